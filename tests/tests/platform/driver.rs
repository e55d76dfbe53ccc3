//! The driver itself: that it notices what it is there to notice.

use std::net::TcpListener;

use modelcell_tests::artifact::misbehave;
use modelcell_tests::platform::watch::Watch;
use modelcell_tests::platform::{Launch, Platform, hash};

#[test]
#[should_panic(expected = "/ping")]
fn a_container_that_is_not_there() {
    // Nobody listens on it any more when this line has ended.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    Watch::begin(address.unwrap().port()).end();
}

#[test]
#[should_panic(expected = "timeout")]
fn a_container_that_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    Watch::begin(silent.local_addr().unwrap().port()).end();
}

#[test]
#[should_panic(expected = "left == right")]
fn a_model_that_is_not_there() {
    let platform = Platform::start(Launch::new());
    platform.store("a.tar.gz", misbehave());
    platform.store("b.tar.gz", misbehave());
    platform.ask("a.tar.gz", "").ok();
    platform.unload(&hash("a.tar.gz"), "a.tar.gz").ok();
    platform.ask("b.tar.gz", "");
}
