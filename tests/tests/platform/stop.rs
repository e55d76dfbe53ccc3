//! The end of an instance: SIGTERM, and SIGKILL 30 s later.

use std::thread;
use std::time::{Duration, Instant};

use modelcell_tests::artifact::{misbehave, misbehave_at_load};
use modelcell_tests::eventually;
use modelcell_tests::platform::{Launch, Platform, hash};

/// After this the platform sends SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

#[test]
fn sigterm_in_the_middle_of_requests_loses_none() {
    let launch = Launch::new().env("MODELCELL_CELLS_PER_MODEL", "4");
    let mut platform = Platform::start(launch);
    platform.store("m.tar.gz", misbehave());
    platform.ask("m.tar.gz", "").ok();
    let name = hash("m.tar.gz");
    let client = platform.client().clone();
    let path = format!("/models/{name}/invoke");
    let requests: Vec<_> = (0..4)
        .map(|_| {
            let (client, path) = (client.clone(), path.clone());
            thread::spawn(move || client.call("POST", &path).body("predict:sleep 5000").send())
        })
        .collect();
    eventually("all requests are in cells", || {
        let model = platform.get(&format!("/models/{name}")).json();
        model["cells"] == 4 && model["idleCells"] == 0
    });
    let begin = Instant::now();
    platform.terminate();
    eventually("it takes no more requests", || {
        match client.call("GET", "/ping").try_send() {
            Ok(reply) => {
                assert!([200, 503].contains(&reply.status), "{}", reply.status);
                reply.status == 503
            }
            Err(_) => true,
        }
    });
    assert!(
        requests.iter().any(|request| !request.is_finished()),
        "there is something to wait for"
    );
    for request in requests {
        assert_eq!(request.join().unwrap().ok(), "slept");
    }
    assert_eq!(platform.container().wait().code(), Some(0));
    assert!(begin.elapsed() < GRACE, "{:?}", begin.elapsed());
}

/// The platform gets an answer to a LOAD, whatever it is, and the container ends in time.
#[test]
fn sigterm_in_the_middle_of_a_load_is_answered() {
    let mut platform = Platform::start(Launch::new());
    platform.store(
        "slow.tar.gz",
        &misbehave_at_load("print model_fn has begun\nsleep 3000"),
    );
    let url = platform.unpack("slow.tar.gz");
    let client = platform.client().clone();
    let body = serde_json::json!({"model_name": "slow", "url": url});
    let load = thread::spawn(move || client.load(&body));
    platform.log().wait_for(&["model_fn has begun"]);
    let begin = Instant::now();
    platform.terminate();
    let reply = load.join().unwrap();
    assert!([200, 503].contains(&reply.status), "{}", reply.text());
    assert_eq!(platform.container().wait().code(), Some(0));
    assert!(begin.elapsed() < GRACE, "{:?}", begin.elapsed());
}
