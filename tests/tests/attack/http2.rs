//! The same server in HTTP/2, to clients that begin with it.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use modelcell_tests::manage::metric;
use modelcell_tests::{Server, eventually};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::one_model;

type Sender = SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> Sender {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(sender: &Sender, body: impl Into<Bytes>) -> hyper::Result<Response<Incoming>> {
    let request = Request::post("http://m/endpoints/default/invocations")
        .body(Full::new(body.into()))
        .unwrap();
    sender.clone().send_request(request).await
}

async fn text(response: Response<Incoming>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn in_flight(server: &Server) -> f64 {
    metric(server, "modelcell_requests_in_flight")
}

#[test]
fn many_requests_at_once_on_one_connection() {
    let server = one_model().start();
    Runtime::new().unwrap().block_on(async {
        let sender = connect(server.address()).await;
        let asked = (0..300).map(|_| {
            let sender = sender.clone();
            tokio::spawn(async move { text(send(&sender, "ok").await.unwrap()).await })
        });
        for answer in asked.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap(), "ok");
        }
    });
}

#[test]
fn large_bodies_and_errors() {
    let server = one_model().start();
    Runtime::new().unwrap().block_on(async {
        let sender = connect(server.address()).await;
        let answer = send(&sender, "predict:large 20000000").await.unwrap();
        assert_eq!(text(answer).await.len(), 20_000_000);
        let body = format!("output:remember {}", "a".repeat(5 << 20));
        assert_eq!(text(send(&sender, body).await.unwrap()).await, "remembered");

        let large = send(&sender, "a".repeat(7 << 20)).await.unwrap();
        assert_eq!(large.headers()["x-amzn-errortype"], "ValidationError");
        let failed = send(&sender, "predict:failed x").await.unwrap();
        assert_eq!(failed.status(), StatusCode::FAILED_DEPENDENCY);
        assert_eq!(failed.headers()["x-amzn-errortype"], "ModelError");
    });
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let server = one_model().start();
    Runtime::new().unwrap().block_on(async {
        let sender = connect(server.address()).await;
        let request = Request::get("http://m/ping")
            .header("x", "a".repeat(30_000))
            .body(Full::default())
            .unwrap();
        let answer = sender.clone().send_request(request).await;
        assert!(answer.is_err() || answer.unwrap().status() == 431);
        // Others on the connection, or on another one, are not concerned.
        let sender = connect(server.address()).await;
        assert_eq!(text(send(&sender, "ok").await.unwrap()).await, "ok");
    });
}

#[test]
fn a_request_that_is_taken_back_is_ended() {
    let server = one_model().start();
    server.invoke("m.tar.gz", "ok").ok();
    let runtime = Runtime::new().unwrap();
    let sender = runtime.block_on(connect(server.address()));
    let asked = {
        let sender = sender.clone();
        runtime.spawn(async move { send(&sender, "predict:sleep 600000").await.map(drop) })
    };
    eventually("it runs", || in_flight(&server) == 1.0);
    asked.abort();
    eventually("it has ended", || in_flight(&server) == 0.0);
    let again = runtime.block_on(async { text(send(&sender, "ok").await.unwrap()).await });
    assert_eq!(again, "ok");
}

#[test]
fn a_stop_finishes_what_runs() {
    let mut server = one_model().start();
    server.invoke("m.tar.gz", "ok").ok();
    let runtime = Runtime::new().unwrap();
    let sender = runtime.block_on(connect(server.address()));
    let asked = {
        let sender = sender.clone();
        runtime.spawn(async move { text(send(&sender, "predict:sleep 3000").await.unwrap()).await })
    };
    eventually("it runs", || in_flight(&server) == 1.0);
    server.terminate();
    assert_eq!(runtime.block_on(asked).unwrap(), "slept");
    assert_eq!(server.wait().code(), Some(0));
}
