//! What holds for a repository wherever it lies: each test runs over a directory and over two S3
//! servers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use modelcell_tests::artifact::misbehave;
use modelcell_tests::manage::names;
use modelcell_tests::version::{ask, version};
use modelcell_tests::{Server, Store, eventually};
use serde_json::Value;
use url::form_urlencoded;

/// Asks before every request whether there is another version.
const ALWAYS: [&str; 2] = ["--revalidate-after", "0s"];

/// Much shorter than the tests' patience, which is shorter than the default.
const SOON: [&str; 2] = ["--revalidate-after", "1s"];

/// All pages of what lies in the repository, and how many pages there were.
fn listed(server: &Server, limit: usize) -> (Vec<Value>, usize) {
    let mut found = Vec::new();
    let mut query = format!("scope=repository&limit={limit}");
    for pages in 1.. {
        let page = server.get(&format!("/models?{query}")).json();
        let models = page["models"].as_array().unwrap();
        assert!(models.len() <= limit, "{page}");
        found.extend(models.iter().cloned());
        let Some(next) = page.get("nextPageToken") else {
            return (found, pages);
        };
        let next = form_urlencoded::Serializer::new(String::new())
            .append_pair("next_page_token", next.as_str().unwrap())
            .finish();
        query = format!("scope=repository&limit={limit}&{next}");
    }
    unreachable!("a page without a next one was the last")
}

#[test]
fn what_was_put_a_moment_ago_is_there() {
    Store::each(|store| {
        let server = store.setup().start();
        store.put("m.tar.gz", version("one"));
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
    });
}

#[test]
fn names_may_have_folders_and_any_text() {
    Store::each(|store| {
        let server = store.setup().start();
        for (name, encoded) in [
            ("tenant-a/eu/m.tar.gz", "tenant-a%2Feu%2Fm.tar.gz"),
            (
                "ü b+c/100%25 & 'm'.tar.gz",
                "%C3%BC+b%2Bc%2F100%2525+%26+%27m%27.tar.gz",
            ),
        ] {
            store.put(name, version(name));
            let path = format!("/invocations?TargetModel={encoded}");
            let call = server
                .call("POST", &path)
                .header("Content-Type", "text/plain");
            let reply = call.body("predict:read /opt/ml/model/version").send();
            assert_eq!(reply.ok(), name);
        }
    });
}

#[test]
fn what_is_not_there_is_not_found_and_may_come() {
    Store::each(|store| {
        let server = store.setup().start();
        for name in ["m.tar.gz", "tenant-a/m.tar.gz"] {
            let reply = ask(&server, name);
            let message = reply.error(404, "ModelNotFoundException", &[name]);
            assert_eq!(message, format!("Model not found: {name}"));
            store.put(name, version("one"));
            assert_eq!(ask(&server, name).ok(), "one");
        }
    });
}

#[test]
fn the_only_artifact_needs_no_name() {
    Store::each(|store| {
        let server = store.setup().start();
        let ask = || server.call("POST", "/invocations").body("").send();
        ask().error(400, "BadRequestException", &["no model"]);
        store.put("README.md", "not an artifact");
        store.put("tenant-a/m.tar.gz", misbehave());
        assert_eq!(ask().ok(), "ok");
        store.put("n.tar.gz", misbehave());
        ask().error(400, "BadRequestException", &["several models"]);
    });
}

#[test]
fn a_new_version_answers_soon_and_the_old_one_until_then() {
    Store::each(|store| {
        store.put("m.tar.gz", version("one"));
        let server = store.setup().flags(&SOON).start();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
        store.put("m.tar.gz", version("two"));
        eventually("the new version answers", || {
            let answer = ask(&server, "m.tar.gz").ok();
            assert!(["one", "two"].contains(&answer.as_str()), "{answer}");
            answer == "two"
        });
        assert_eq!(ask(&server, "m.tar.gz").ok(), "two");
    });
}

#[test]
fn a_version_is_not_asked_for_more_often_than_told() {
    Store::each(|store| {
        store.put("m.tar.gz", version("one"));
        let server = store.setup().flags(&["--revalidate-after", "1h"]).start();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
        store.put("m.tar.gz", version("two"));
        store.put("n.tar.gz", version("other"));
        assert_eq!(ask(&server, "n.tar.gz").ok(), "other");
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
        // Who cannot wait has it unloaded.
        server.delete("/models/m.tar.gz").ok();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "two");
    });
}

#[test]
fn a_new_version_is_noticed_at_the_next_request_if_each_asks() {
    Store::each(|store| {
        let server = store.setup().flags(&ALWAYS).start();
        for number in 1..=4 {
            let expected = format!("version {number}");
            store.put("m.tar.gz", version(&expected));
            eventually("the new version answers", || {
                ask(&server, "m.tar.gz").ok() == expected
            });
        }
    });
}

#[test]
fn a_broken_new_version_leaves_the_old_one_at_work() {
    Store::each(|store| {
        store.put("m.tar.gz", version("one"));
        let server = store.setup().flags(&ALWAYS).start();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
        assert_eq!(
            server.get("/models/m.tar.gz").json()["refreshError"],
            Value::Null
        );

        store.put("m.tar.gz", "not an archive");
        let mut error = Value::Null;
        eventually("the failure is shown", || {
            assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
            error = server.get("/models/m.tar.gz").json()["refreshError"].take();
            !error.is_null()
        });
        let error = error.as_str().unwrap();
        assert!(error.contains("tar.gz"), "{error}");
        server.log().wait_for(&["m.tar.gz", error]);
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");

        store.put("m.tar.gz", version("three"));
        eventually("a sound version answers", || {
            ask(&server, "m.tar.gz").ok() == "three"
        });
        assert_eq!(
            server.get("/models/m.tar.gz").json()["refreshError"],
            Value::Null
        );
    });
}

#[test]
fn no_request_fails_while_a_model_is_replaced() {
    const CLIENTS: usize = 4;
    Store::each(|store| {
        store.put("m.tar.gz", version("1"));
        let server = store.setup().flags(&ALWAYS).start();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "1");
        let stop = AtomicBool::new(false);
        let newest = AtomicUsize::new(1);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut before = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let answer: usize = ask(&server, "m.tar.gz").ok().parse().unwrap();
                        assert!(answer >= before, "{answer} after {before}");
                        before = answer;
                        newest.fetch_max(answer, Ordering::Relaxed);
                    }
                });
            }
            // Also if one of them panics, or they would go on forever.
            let _stop = OnDrop(|| stop.store(true, Ordering::Relaxed));
            for number in 2..=4 {
                store.put("m.tar.gz", version(&number.to_string()));
                eventually("the new version answers", || {
                    newest.load(Ordering::Relaxed) == number
                });
            }
        });
        assert_eq!(ask(&server, "m.tar.gz").ok(), "4");
        let errors = &server.get("/models/m.tar.gz").json()["errors"];
        assert_eq!(errors, 0);
    });
}

/// Does something at the end of a scope, however that is left.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

#[test]
fn a_deleted_model_goes() {
    Store::each(|store| {
        store.put("m.tar.gz", version("one"));
        store.put("n.tar.gz", version("other"));
        let server = store.setup().flags(&SOON).start();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
        assert_eq!(ask(&server, "n.tar.gz").ok(), "other");
        store.delete("m.tar.gz");
        eventually("it is not found", || {
            let reply = ask(&server, "m.tar.gz");
            if reply.status == 200 {
                return false;
            }
            reply.error(404, "ModelNotFoundException", &["m.tar.gz"]);
            true
        });
        assert_eq!(names(&server.get("/models").json()), ["n.tar.gz"]);
        assert_eq!(ask(&server, "n.tar.gz").ok(), "other");
        store.put("m.tar.gz", version("two"));
        assert_eq!(ask(&server, "m.tar.gz").ok(), "two");
    });
}

#[test]
fn the_list_says_what_lies_there() {
    Store::each(|store| {
        store.put("b.tar.gz", version("one"));
        store.put("a/b/c.wasm", "x");
        let server = store.setup().start();
        assert_eq!(ask(&server, "b.tar.gz").ok(), "one");
        let (models, _) = listed(&server, 100);
        let [cold, loaded] = models.as_slice() else {
            panic!("{models:?}");
        };
        assert_eq!(cold["modelName"], "a/b/c.wasm");
        assert_eq!(cold["size"], 1);
        assert_eq!(cold["loaded"], false);
        assert_eq!(loaded["modelName"], "b.tar.gz");
        assert_eq!(loaded["size"], version("one").len());
        assert_eq!(loaded["loaded"], true);
        let time = loaded["lastModified"].as_str().unwrap();
        assert!(time.ends_with('Z'), "{time}");
        let time = DateTime::from_str(time, DateTimeFormat::DateTime).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(time.secs().try_into().unwrap());
        let age = SystemTime::now().duration_since(time).unwrap();
        assert!(age < Duration::from_secs(120), "{age:?}");
    });
}

#[test]
fn the_list_of_artifacts_comes_in_pages_without_what_is_none() {
    Store::each(|store| {
        let names = [
            "A.tar.gz",
            "a b+c/100%25 & 'm'.tar.gz",
            "m-1.tgz",
            "m-2.tar",
            "tenant-a/m.tar.gz",
            "tenant-b/m.wasm",
            "ü.tar.gz",
        ];
        for name in names {
            store.put(name, "x");
            for other in 0..4 {
                store.put(&format!("{name}-{other}.md"), "not an artifact");
            }
        }
        let server = store.setup().start();
        for limit in [1, 2, 3, 7, 100] {
            let (models, pages) = listed(&server, limit);
            let found: Vec<_> = models.iter().map(|m| m["modelName"].as_str()).collect();
            assert_eq!(found, names.map(Some), "{limit}");
            assert_eq!(pages, names.len().div_ceil(limit), "no empty last page");
        }
    });
}
