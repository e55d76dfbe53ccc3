//! Accepts connections and ends without cutting anybody off.
//!
//! A connection (`connection`) speaks HTTP/1.1 or HTTP/2; which of them may stay when there are too
//! many is decided in `connections`. Its requests are answered by `service`, their bodies read in
//! `body`.

mod body;
mod connection;
mod connections;
mod relay;
mod service;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::host::Host;
pub use body::RequestBody;
use connection::Client;
use connections::Connections;
use service::Service;

/// A pause after an error of `accept`, such as too many open files, that would return at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Clients that are told at a time that there is no room for them; more are turned away without.
const REFUSALS: usize = 64;

/// How long such a client is waited for.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What a client hears if there is no room for its connection.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 120\r\n\r\n\
    {\"code\": 503, \"type\": \"ServiceUnavailableException\", \
    \"message\": \"the host has no room for a connection; try again soon\"}";

/// Serves until `shutdown` is done, then finishes what is in flight.
///
/// Returns whether everything was finished within the time for draining.
pub async fn serve(
    host: Arc<Host>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> bool {
    let connections = Connections::new(host.settings.max_connections);
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let (stopping, stopped) = watch::channel(false);
    let limit = host.settings.drain_timeout;
    let client = Client {
        service: Arc::new(Service::new(host, stopped.clone())),
        stopping: stopped,
    };
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            stream = accept(&listener) => match connections.admit() {
                Some(place) => drop(tokio::spawn(client.clone().serve(stream, place))),
                None => refuse(stream, &refusals),
            },
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    stopping.send_replace(true);
    tracing::info!(limit = ?limit, "stopping: no new connections, finishing requests in flight");
    timeout(limit, connections.all_ended()).await.is_ok()
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells a client to come again.
fn refuse(mut stream: TcpStream, refusals: &Arc<Semaphore>) {
    let Ok(permit) = refusals.clone().try_acquire_owned() else {
        return;
    };
    tokio::spawn(async move {
        let told = async {
            stream.write_all(REFUSAL).await?;
            stream.shutdown().await?;
            // Closing a socket with unread data would cost the client the answer.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        };
        let _ = timeout(REFUSAL_TIME, told).await;
        drop(permit);
    });
}
