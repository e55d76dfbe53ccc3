//! Accepts connections, reads requests, and ends without cutting anybody off.
//!
//! `/ping` and `GET /models` touch nothing that blocks, so they answer at once whatever models do.

mod relay;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::budget::{Account, Charge};
use crate::error::Error;
use crate::host::Host;
use crate::invoke::{Target, invoke};
use crate::manage;
use crate::monitor;
use crate::response::{self, Reply};
use crate::route::{Route, route};
use relay::Relayed;

/// How long a client may take to send a request's headers, or keep a connection idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a connection may hold of what its client sends ahead, in bytes. A request's headers must fit.
const READ_BUFFER: usize = 64 << 10;

/// How long a client may leave an answer unread, without progress. It is held in memory until then.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long, and how much, of a body that is too large is read to its end.
const DISCARD_TIME: Duration = Duration::from_secs(2);
const DISCARD_BYTES: usize = 64 << 20;

/// A pause after an error of `accept`, such as too many open files, that would return at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is done, then finishes what is in flight.
///
/// Returns whether everything was finished within the time for draining.
pub async fn serve(
    host: Arc<Host>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> bool {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(host.settings.max_connections));
    let (stopping, _) = watch::channel(false);
    let service = Arc::new(Service {
        host: host.clone(),
        stopping: stopping.subscribe(),
    });
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            (stream, permit) = accept(&listener, &permits) => {
                serve_connection(service.clone(), stream, permit, &graceful);
            }
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let limit = host.settings.drain_timeout;
    tracing::info!(limit = ?limit, "stopping: no new connections, finishing requests in flight");
    timeout(limit, graceful.shutdown()).await.is_ok()
}

/// The next connection, with the right to be one of so many.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed. Waiting here leaves further clients in the kernel's backlog.
    let permit = permits.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn serve_connection(
    service: Arc<Service>,
    stream: TcpStream,
    permit: Option<OwnedSemaphorePermit>,
    graceful: &GracefulShutdown,
) {
    // Answers are written in one piece; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(READ_BUFFER)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.answer(request).await) }
            }),
        );
    let connection = Relayed::new(graceful.watch(connection));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(permit);
    });
}

/// What serves the requests of all connections.
struct Service {
    host: Arc<Host>,
    stopping: watch::Receiver<bool>,
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match self.dispatch(request).await {
            Ok(reply) => reply,
            Err(error) => {
                // It may quote what a caller sent, which must not forge lines.
                let text = crate::sandbox::printable(&error.to_string());
                tracing::debug!(error = %text, status = error.status().0.as_u16(), "request failed");
                response::error(&error)
            }
        }
    }

    async fn dispatch(&self, request: Request<Incoming>) -> Result<Reply, Error> {
        let host = &*self.host;
        let (head, body) = request.into_parts();
        let (headers, query) = (&head.headers, head.uri.query());
        match route(&head.method, head.uri.path())? {
            Route::Ping if *self.stopping.borrow() => Err(Error::Stopping),
            Route::Ping => Ok(response::empty()),
            Route::Ready => Ok(monitor::ready(host)),
            Route::Metrics => monitor::metrics(host),
            Route::List => manage::list(host, query).await,
            Route::Describe(name) => manage::describe(host, &name),
            Route::Unload(name) => manage::unload(host, &name).await,
            Route::Load => {
                let body = self.read(headers, body).await?;
                manage::load(host, headers, query, &body.bytes).await
            }
            Route::Invocations => {
                let target = Target::of_invocation(headers, query);
                self.invoke(target, headers, body).await
            }
            Route::Invoke(name) => self.invoke(Ok(Target::Loaded(name)), headers, body).await,
        }
    }

    /// A request to a model, counted however it ends.
    async fn invoke(
        &self,
        target: Result<Target, Error>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Reply, Error> {
        let result = async {
            let target = target?;
            let body = self.read(headers, body).await?;
            invoke(&self.host, target, headers, body).await
        };
        let result = result.await;
        self.host.metrics.invoked(match &result {
            Ok(reply) => reply.status(),
            Err(error) => error.status().0,
        });
        result
    }

    /// The whole body, within the limits of size and time.
    async fn read(&self, headers: &HeaderMap, mut body: Incoming) -> Result<RequestBody, Error> {
        let limit = self.host.settings.max_body;
        if body.size_hint().lower() > limit {
            // A client that asks first (`100-continue`) gets its answer before it sends anything.
            if !headers.contains_key(EXPECT) {
                discard(&mut body).await;
            }
            return Err(Error::BodyTooLarge(limit));
        }
        let time = self.host.settings.limits.request_timeout;
        let mut charge = Account::new(&self.host.buffers)
            .charge(0)
            .map_err(|_| Error::Overloaded)?;
        let read = timeout(time, collect(&mut body, limit, &mut charge)).await;
        let result = read.unwrap_or(Err(Error::BodyTimeout));
        if let Err(Error::BodyTooLarge(_) | Error::Overloaded) = result {
            discard(&mut body).await;
        }
        result.map(|bytes| RequestBody {
            bytes,
            _charge: charge,
        })
    }
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
