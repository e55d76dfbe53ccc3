//! Reads the bodies of requests, within limits of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use tokio::time::timeout;

use crate::budget::{Account, Budget, Charge};
use crate::error::Error;

/// How long, and how much, of a body that is too large is read to its end.
const DISCARD_TIME: Duration = Duration::from_secs(2);
const DISCARD_BYTES: usize = 64 << 20;

/// How much of a body is taken, and where it is charged.
pub(super) struct Limits<'a> {
    /// Bytes.
    pub(super) size: u64,
    /// For all of it to come.
    pub(super) time: Duration,
    /// The memory for requests in flight.
    pub(super) buffers: &'a Arc<Budget>,
}

/// The whole body, within the limits.
///
/// # Errors
///
/// [`Error::BodyTooLarge`], [`Error::BodyTimeout`], [`Error::Overloaded`], or [`Error::BadRequest`]
/// if it ends early.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &mut Incoming,
    limits: &Limits<'_>,
) -> Result<RequestBody, Error> {
    if body.size_hint().lower() > limits.size {
        // A client that asks first (`100-continue`) gets its answer before it sends anything.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(Error::BodyTooLarge(limits.size));
    }
    let mut charge = Account::new(limits.buffers)
        .charge(0)
        .map_err(|_| Error::Overloaded)?;
    let read = timeout(limits.time, collect(body, limits.size, &mut charge)).await;
    let result = read.unwrap_or(Err(Error::BodyTimeout));
    if let Err(Error::BodyTooLarge(_) | Error::Overloaded) = result {
        discard(body).await;
    }
    result.map(|bytes| RequestBody {
        bytes,
        _charge: charge,
    })
}

/// A request's body, and what it holds of the memory for requests in flight.
pub struct RequestBody {
    /// The body.
    pub bytes: Bytes,
    _charge: Charge,
}

/// All of a body of at most `limit` bytes, charged as it comes: nobody holds memory by announcing a
/// body alone.
async fn collect(body: &mut Incoming, limit: u64, charge: &mut Charge) -> Result<Bytes, Error> {
    // What was announced is the most that will come.
    let most = body.size_hint().upper().unwrap_or(limit).min(limit) as usize;
    let mut first = Bytes::new();
    let mut all = Vec::new();
    // A body that came with its headers is whole after one frame. Asking for another would put this
    // task to sleep and wake another thread only to hear that there is none.
    while !body.is_end_stream() {
        let frame = match body.frame().await {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                return Err(Error::BadRequest(
                    "the request's body ended before its stated length".into(),
                ));
            }
            None => break,
        };
        // Trailers say nothing to a model.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let total = all.len() + first.len() + data.len();
        if total as u64 > limit {
            return Err(Error::BodyTooLarge(limit));
        }
        let alone = first.is_empty() && all.is_empty();
        // A buffer that grows takes more than it holds.
        let taken = match alone || total <= all.capacity() {
            true => total,
            false => (2 * total).min(most).max(total),
        };
        charge
            .grow((taken as u64).saturating_sub(charge.bytes()))
            .map_err(|_| Error::Overloaded)?;
        if alone {
            first = data;
        } else {
            all.reserve_exact(taken.saturating_sub(all.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// Reads a body that is refused and throws it away, within bounds. Most clients write all of a body
/// before they read; a connection that is closed before would cost them the reply.
async fn discard(body: &mut Incoming) {
    let _ = timeout(DISCARD_TIME, async {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    })
    .await;
}
