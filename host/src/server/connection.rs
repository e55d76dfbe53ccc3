//! One connection: which protocol it speaks, and when it ends.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

use super::connections::{Activity, Phase, Place};
use super::relay::Relayed;
use super::service::Service;
use super::stream::ClientStream;

/// How long a connection may be idle. Longer than the minute after which most load balancers close
/// theirs, so that it is they who close, who know whether a request is on its way.
const IDLE_TIME: Duration = Duration::from_secs(75);

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// How long a connection that is told to go may still take, and how often it is looked at then.
const GRACE: Duration = Duration::from_secs(1);

/// After so many looks a client's new requests are refused. Those of HTTP/2 hear that they should send
/// no more, but it is up to them.
const LOOKS_UNTIL_CLOSED: usize = 5;

/// What a connection may hold of what its client sends ahead, in bytes. A request's headers must fit.
const READ_BUFFER: usize = 64 << 10;

/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// Bytes of the headers of one HTTP/2 request. A header of a byte on the wire may be one of a hundred
/// bytes here, and each of a connection's requests has its own.
const HEADER_LIST: u32 = 16 << 10;

/// How HTTP/2 begins, and nothing else.
const PREFACE: [u8; 4] = *b"PRI ";

/// After so long a client that sent the first letters of that is looked at again, and after twice that,
/// and so on: none comes that late who means it.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PREFACE_PAUSE: Duration = Duration::from_secs(1);

/// What serves clients.
#[derive(Clone)]
pub(super) struct Client {
    /// Answers their requests.
    pub(super) service: Arc<Service>,
    /// True when the server is about to stop.
    pub(super) stopping: watch::Receiver<bool>,
}

enum Protocol {
    Http1,
    Http2,
}

/// Why a connection must end.
enum End {
    /// The server stops: what is in flight is finished.
    Stopping,
    /// It has been idle too long, or another client is to have its place.
    Unwanted,
    /// Its client does not take an answer.
    Stalled,
}

impl End {
    /// Whether a connection that was told to go may be cut off.
    fn allows(&self, activity: &Activity) -> bool {
        let idle = match self {
            Self::Stopping => activity.is_idle(),
            Self::Unwanted => {
                activity.requests(Phase::Working) + activity.requests(Phase::Sending) == 0
            }
            Self::Stalled => false,
        };
        idle || (activity.sends_too_long() && activity.requests(Phase::Working) == 0)
    }
}

impl Client {
    /// Serves a connection until it ends.
    pub(super) async fn serve(self, stream: TcpStream, place: Place) {
        // Answers are written in one piece; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let activity = place.activity.clone();
        let protocol = {
            let told = pin!(protocol(&stream));
            tokio::select! {
                // A request that has come already is answered, also if the server is to stop.
                biased;
                protocol = told => protocol,
                _ = self.end(&activity) => None,
            }
        };
        match protocol {
            Some(Protocol::Http1) => self.http1(stream, &activity).await,
            Some(Protocol::Http2) => self.http2(stream, &activity).await,
            None => drop(self),
        }
        // Last, because the server ends when there are no places left, and the host with it.
        drop(place);
    }

    async fn http1(self, stream: TcpStream, activity: &Arc<Activity>) {
        let (service, shared) = (self.service.clone(), activity.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // The stream and the look at idle connections see to it.
            .header_read_timeout(None)
            .max_buf_size(READ_BUFFER)
            .serve_connection(
                TokioIo::new(ClientStream::new(stream, shared.clone())),
                service_fn(move |request| {
                    // Counted before anybody looks whether the client has more to say.
                    let (service, flight) = (service.clone(), shared.request());
                    async move { Ok::<_, Infallible>(service.answer(request, flight).await) }
                }),
            );
        Relayed::new(self.drive(connection, activity)).await;
    }

    async fn http2(self, stream: TcpStream, activity: &Arc<Activity>) {
        let (service, shared) = (self.service.clone(), activity.clone());
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_LIST)
            // What a client may send ahead, of one body and of all: as with HTTP/1.1.
            .initial_stream_window_size(READ_BUFFER as u32)
            .initial_connection_window_size(READ_BUFFER as u32)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| {
                    // Counted before anybody looks whether the client has more to say.
                    let (service, flight) = (service.clone(), shared.request());
                    async move { Ok::<_, Infallible>(service.answer(request, flight).await) }
                }),
            );
        self.drive(connection, activity).await;
    }

    /// Lets a connection go on until it ends by itself or must end.
    async fn drive<C>(&self, connection: C, activity: &Activity)
    where
        C: GracefulConnection,
        C::Error: std::fmt::Display,
    {
        let mut connection = pin!(connection);
        let ended = |result: Result<(), C::Error>| {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
        };
        let end = tokio::select! {
            result = connection.as_mut() => return ended(result),
            end = self.end(activity) => end,
        };
        connection.as_mut().graceful_shutdown();
        for look in 0.. {
            tokio::select! {
                result = connection.as_mut() => return ended(result),
                () = sleep(GRACE) => {}
            }
            if look == LOOKS_UNTIL_CLOSED {
                activity.close();
            }
            // A request that has just come is answered.
            let settled = activity.unchanged() >= GRACE || activity.is_closed();
            if settled && end.allows(activity) {
                return;
            }
        }
    }

    /// Returns when the connection must end.
    async fn end(&self, activity: &Activity) -> End {
        let mut stopping = self.stopping.clone();
        let stops = async {
            // The sender lives as long as the server.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        let overdue = async {
            loop {
                sleep(LOOK).await;
                if activity.is_idle() && activity.unchanged() >= IDLE_TIME {
                    return End::Unwanted;
                }
                if activity.sends_too_long() {
                    return End::Stalled;
                }
            }
        };
        tokio::select! {
            () = stops => End::Stopping,
            () = activity.evicted() => End::Unwanted,
            end = overdue => end,
        }
    }
}

/// Which protocol a client speaks; none if it leaves. Nothing is read.
async fn protocol(stream: &TcpStream) -> Option<Protocol> {
    let mut start = [0; PREFACE.len()];
    let mut pause = PREFACE_PAUSE;
    loop {
        let count = stream.peek(&mut start).await.ok()?;
        let (begin, expected) = (start.get(..count)?, PREFACE.get(..count)?);
        return match count {
            0 => None,
            _ if begin != expected => Some(Protocol::Http1),
            _ if count == PREFACE.len() => Some(Protocol::Http2),
            _ => {
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PREFACE_PAUSE);
                continue;
            }
        };
    }
}
