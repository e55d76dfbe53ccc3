//! Whole requests, signed by AWS's own signers, and what becomes of them when they are changed.

mod botocore;
mod files;
mod forms;
mod random;
mod signer;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::Request;

use super::{Denied, Key, Keys};

const ID: &str = "MODELCELLTEST0000001";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "a-token-of-enough-bytes";

/// 2026-11-22T21:44:48Z
const NOW: u64 = 1_795_383_888;

fn keys() -> Keys {
    Keys::parse(&format!(
        "[keys.other]\ntoken = \"{TOKEN}-other\"\n\
         access-key-id = \"MODELCELLOTHER000001\"\nsecret-access-key = \"{SECRET}\"\n\
         [keys.test]\ntoken = \"{TOKEN}\"\n\
         access-key-id = \"{ID}\"\nsecret-access-key = \"{SECRET}\"\n"
    ))
    .unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A request as it is on the wire.
#[derive(Debug, Clone, PartialEq)]
struct Wire {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Wire {
    fn request(&self) -> Request<()> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap()
    }

    fn set(&mut self, name: &str, value: &str) {
        let named = |header: &&mut (String, String)| header.0.eq_ignore_ascii_case(name);
        match self.headers.iter_mut().find(named) {
            Some(header) => header.1 = value.to_owned(),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }

    fn get(&self, name: &str) -> &str {
        let named = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        &self.headers.iter().find(named).unwrap().1
    }

    fn check_at(&self, keys: &Keys, seconds: u64) -> Result<Arc<Key>, Denied> {
        let claim = keys.check_head(&self.request(), at(seconds))?;
        claim.prove(&self.body)?;
        Ok(claim.key().clone())
    }

    fn check(&self) -> Result<Arc<Key>, Denied> {
        self.check_at(&keys(), NOW)
    }

    /// The code and the message that the request is refused with.
    fn refusal(&self) -> (&'static str, String) {
        let denied = self.check().unwrap_err();
        (denied.code(), denied.to_string())
    }
}
