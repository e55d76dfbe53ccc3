//! Requests and replies.

use serde_json::Value;
use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderMap, Request, request};

use crate::wait::PATIENCE;

/// The header that names a model.
pub const TARGET_MODEL: &str = "X-Amzn-SageMaker-Target-Model";

/// An HTTP client of one server. It sends no headers of its own but those that HTTP needs.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    address: String,
    secrets: Vec<String>,
}

impl Client {
    /// A client of the server at `address`, none of whose errors may contain any of `secrets`.
    pub fn new(address: &str, secrets: Vec<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(2 * PATIENCE))
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .user_agent(AutoHeaderValue::None)
            .build();
        Self {
            agent: config.into(),
            address: address.to_owned(),
            secrets,
        }
    }

    /// Begins a request.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let uri = format!("http://{}{path}", self.address);
        Call {
            client: self,
            request: Request::builder().method(method).uri(uri),
            body: None,
        }
    }

    /// A GET request, sent.
    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path).send()
    }

    /// A DELETE request, sent.
    pub fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path).send()
    }

    /// Begins an invocation of a model with a text.
    pub fn invocation(&self, model: &str, body: &str) -> Call<'_> {
        self.call("POST", "/invocations")
            .header(TARGET_MODEL, model)
            .header("Content-Type", "text/plain")
            .body(body)
    }

    /// An invocation of a model with a text, sent.
    pub fn invoke(&self, model: &str, body: &str) -> Reply {
        self.invocation(model, body).send()
    }

    /// `POST /models` with a JSON body, sent.
    pub fn load(&self, body: &Value) -> Reply {
        self.call("POST", "/models")
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .body(body.to_string())
            .send()
    }

    /// A reply that came another way.
    pub(crate) fn reply(&self, status: u16, headers: HeaderMap, body: Vec<u8>) -> Reply {
        Reply {
            status,
            headers,
            body,
            secrets: self.secrets.clone(),
        }
    }
}

/// A request that is being put together.
pub struct Call<'a> {
    client: &'a Client,
    request: request::Builder,
    body: Option<Vec<u8>>,
}

impl Call<'_> {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the request and reads the reply.
    ///
    /// # Panics
    ///
    /// If there is no reply.
    pub fn send(self) -> Reply {
        self.try_send().expect("the server did not answer")
    }

    /// Sends the request and reads the reply, if there is one.
    ///
    /// # Errors
    ///
    /// The client's: no connection, or one that ended early.
    pub fn try_send(self) -> Result<Reply, ureq::Error> {
        let agent = &self.client.agent;
        let mut response = match self.body {
            Some(body) => agent.run(self.request.body(body)?)?,
            None => agent.run(self.request.body(())?)?,
        };
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_vec()?;
        let (head, _) = response.into_parts();
        Ok(self.client.reply(head.status.as_u16(), head.headers, body))
    }
}

/// What the server answered.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    secrets: Vec<String>,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("not JSON ({error}): {} {}", self.status, self.text());
        })
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that the status is 200, and returns the body as text.
    ///
    /// # Panics
    ///
    /// With the body, if the status is another one.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.text()
    }

    /// Checks that this is an error of this status and type, in the shape that all errors have, and
    /// that its message has these texts and nothing that is the host's own business. Returns the
    /// message.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn error(&self, status: u16, kind: &str, parts: &[&str]) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        let keys: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["code", "message", "type"], "{body}");
        assert_eq!(body["code"], status, "{body}");
        assert_eq!(body["type"], kind, "{body}");
        let message = body["message"].as_str().expect("the message is a text");
        assert!(!message.is_empty());
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        let never = [
            ".rs:",
            "backtrace",
            "wasmtime::",
            "/root/",
            "/home/",
            "/tmp/",
        ];
        for secret in never
            .into_iter()
            .chain(self.secrets.iter().map(String::as_str))
        {
            assert!(!message.contains(secret), "{secret:?} is in {message:?}");
        }
        message.to_owned()
    }
}
