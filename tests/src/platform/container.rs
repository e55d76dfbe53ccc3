//! A container that runs, and what the platform calls it by.

use std::ops::Deref;
use std::process::{Child, ExitStatus};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::launch::Launch;
use crate::http::{Call, Client, Reply, TARGET_MODEL};
use crate::kernel::listener;
use crate::log::Log;
use crate::process::Process;
use crate::wait::PATIENCE;

/// How long a container may take to end by itself when its test is over.
const GRACE: Duration = Duration::from_secs(5);

/// A running container; it is ended when the value is dropped. Derefs to its [`Client`].
pub struct Container {
    client: Client,
    process: Process,
    server: OnceLock<u32>,
    log: Log,
    launch: Launch,
}

impl Container {
    /// Waits until a container that was started is healthy, as the platform does.
    pub(super) fn healthy(mut child: Child, launch: Launch) -> Self {
        let log = Log::follow(child.stderr.take().unwrap());
        let address = format!("127.0.0.1:{}", launch.port());
        let mut container = Self {
            client: Client::new(&address, vec![launch.cache_dir().display().to_string()]),
            process: Process(child),
            server: OnceLock::new(),
            log,
            launch,
        };
        let deadline = Instant::now() + PATIENCE;
        while !container.is_healthy() {
            let ended = container.process.0.try_wait().unwrap();
            assert!(ended.is_none(), "the container has ended: {ended:?}");
            assert!(Instant::now() < deadline, "the container is not healthy");
            sleep(Duration::from_millis(20));
        }
        container
    }

    fn is_healthy(&self) -> bool {
        let answer = self.call("GET", "/ping").try_send();
        answer.is_ok_and(|reply| reply.status == 200)
    }

    /// How it was started.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// A client that other threads can have.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The server's process, which is not the one that was started if an engine runs it.
    ///
    /// # Panics
    ///
    /// If the kernel does not tell.
    pub fn pid(&self) -> u32 {
        *self.server.get_or_init(|| {
            let found = listener(self.launch.port());
            found.expect("the server's process cannot be found: it is another user's, or has ended")
        })
    }

    /// The url of a model's files in a LOAD.
    pub fn url(&self, hash: &str) -> String {
        format!("{}/{hash}/model", self.launch.models_inside())
    }

    /// LOAD, with files that may lie under another hash.
    pub fn load(&self, hash: &str, url: &str, target: &str) -> Reply {
        self.call("POST", "/models")
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .header(TARGET_MODEL, target)
            .body(json!({"model_name": hash, "url": url}).to_string())
            .send()
    }

    /// UNLOAD.
    pub fn unload(&self, hash: &str, target: &str) -> Reply {
        let path = format!("/models/{hash}");
        let call = self.call("DELETE", &path);
        call.header(TARGET_MODEL, target).send()
    }

    /// INVOKE, with all headers of InvokeEndpoint that a container may see.
    pub fn invocation(&self, hash: &str, target: &str, body: &str) -> Call<'_> {
        self.call("POST", &format!("/models/{hash}/invoke"))
            .header(TARGET_MODEL, target)
            .header("Content-Type", "text/plain")
            .header("Accept", "application/json")
            .header("X-Amzn-SageMaker-Custom-Attributes", "trace=7")
            .header("X-Amzn-SageMaker-Inference-Id", "id-7")
            .body(body)
    }

    /// INVOKE, sent.
    pub fn invoke(&self, hash: &str, target: &str, body: &str) -> Reply {
        self.invocation(hash, target, body).send()
    }

    /// The names and urls of all models that LIST shows, page by page as the platform asks for them.
    ///
    /// # Panics
    ///
    /// If a page is not as it should be.
    pub fn list(&self) -> Vec<(String, String)> {
        let mut models = Vec::new();
        let mut path = "/models".to_owned();
        loop {
            let page = self.get(&path);
            page.ok();
            let page = page.json();
            for model in page["models"].as_array().unwrap() {
                let text = |key: &str| model[key].as_str().unwrap().to_owned();
                models.push((text("modelName"), text("modelUrl")));
            }
            match page.get("nextPageToken") {
                Some(token) => {
                    path = format!("/models?next_page_token={}", token.as_str().unwrap());
                }
                None => return models,
            }
        }
    }

    /// Sends SIGTERM to what was started, as the platform does.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// How it ended; waits for it.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Ends an engine's container: killing the engine's process would leave the server behind.
    fn end_in_engine(&mut self) {
        self.process.terminate();
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if let Ok(Some(_)) | Err(_) = self.process.0.try_wait() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        let server = self.server.get().copied();
        if let Some(pid) = server.or_else(|| listener(self.launch.port())) {
            // It may have ended already.
            let _ = Pid::from_raw(pid.cast_signed()).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

impl Deref for Container {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.launch.is_image() && matches!(self.process.0.try_wait(), Ok(None)) {
            self.end_in_engine();
        }
        if std::thread::panicking() {
            println!("the container's log:\n{}", self.log.lines().join("\n"));
        }
    }
}
