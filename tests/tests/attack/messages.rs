//! Messages that two readers may read in two ways, and those that are too much.

use modelcell_tests::raw::Connection;

use crate::{PING, invocation, one_model};

/// A body that holds a request, in the hope that it is taken for the next one.
const HIDDEN: &str = "GET /models/hidden HTTP/1.1\r\nHost: m\r\n\r\n";

#[test]
fn messages_without_a_clear_length_are_refused() {
    let server = one_model().start();
    for headers in [
        "Content-Length: 5\r\nContent-Length: 41\r\n",
        "Content-Length: 5, 41\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length : 5\r\n",
        "X: a\r\n Content-Length: 5\r\n",
        "X\0: a\r\n",
    ] {
        let mut client = Connection::open(&server);
        client.send(format!(
            "POST /invocations HTTP/1.1\r\nHost: m\r\n{headers}\r\n{HIDDEN}"
        ));
        assert_eq!(client.reply_without_body(), 400, "{headers:?}");
        assert!(client.is_closed(), "{headers:?}");
    }
}

#[test]
fn chunks_that_are_none_end_the_request_and_the_connection() {
    let server = one_model().start();
    for chunks in [
        "zz\r\n",
        "-1\r\n",
        "5\r\nabcdefgh\r\n",
        "fffffffffffffffff\r\n",
        "\r\n",
    ] {
        let mut client = Connection::open(&server);
        client.send(format!(
            "POST /invocations HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}"
        ));
        client.reply().error(400, "BadRequestException", &[]);
        assert!(client.is_closed(), "{chunks:?}");
    }
}

/// RFC 9112, section 6.3: the coding wins, whatever length is stated beside it, and nothing that follows
/// on such a connection can be trusted.
#[test]
fn a_stated_length_beside_chunks_does_not_count() {
    let server = one_model().start();
    for lengths in ["Content-Length: 4\r\n", "Content-Length: 400\r\n"] {
        for headers in [
            format!("{lengths}Transfer-Encoding: chunked\r\n"),
            format!("Transfer-Encoding: chunked\r\n{lengths}"),
        ] {
            let mut client = Connection::open(&server);
            client.send(format!(
                "POST /invocations HTTP/1.1\r\nHost: m\r\n{headers}\r\n2\r\nok\r\n0\r\n\r\n{PING}"
            ));
            assert_eq!(client.reply().ok(), "ok", "{headers}");
            assert!(client.is_closed(), "{headers}");
        }
    }
}

#[test]
fn the_same_length_twice_is_that_length() {
    let server = one_model().start();
    let mut client = Connection::open(&server);
    let length = "Content-Length: 2\r\n";
    client.send(format!(
        "POST /invocations HTTP/1.1\r\nHost: m\r\n{length}{length}\r\nok{PING}"
    ));
    assert_eq!(client.reply().ok(), "ok");
    assert_eq!(client.reply().ok(), "");
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let server = one_model().start();
    let mut client = Connection::open(&server);
    let requests = ["predict:print a", "ok", "predict:hold 1"]
        .map(invocation)
        .concat();
    client.send(requests + PING + "GET /none HTTP/1.1\r\nHost: m\r\n\r\n");
    for answer in ["printed", "ok", "held", ""] {
        assert_eq!(client.reply().ok(), answer);
    }
    client.reply().error(404, "ResourceNotFoundException", &[]);
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let server = one_model().start();
    let large = format!("X: {}\r\n", "a".repeat(400_000));
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    let target = format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000));
    for head in [
        format!("GET /ping HTTP/1.1\r\nHost: m\r\n{large}\r\n"),
        format!("GET /ping HTTP/1.1\r\nHost: m\r\n{many}\r\n"),
        format!("{target}Host: m\r\n\r\n"),
    ] {
        let mut client = Connection::open(&server);
        // The server may have hung up before it has read all.
        client.try_send(head);
        let status = client.reply_without_body();
        assert!([414, 431].contains(&status), "{status}");
        assert!(client.is_closed());
    }
    // What must fit does.
    let mut client = Connection::open(&server);
    let fits = format!("X: {}\r\n", "a".repeat(60_000));
    client.send(format!("GET /ping HTTP/1.1\r\nHost: m\r\n{fits}\r\n"));
    client.reply().ok();
}

#[test]
fn what_is_not_http_is_hung_up_on() {
    let server = one_model().start();
    for bytes in [
        "\x16\x03\x01\x02\x00\x01",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "PRO",
    ] {
        let mut client = Connection::open(&server);
        client.send(bytes);
        client.shut_down();
        client.drain();
    }
    server.get("/ping").ok();
}
