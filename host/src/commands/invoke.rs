//! `modelcell invoke`

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use clap::Args;
use tokio::time::Instant;

use super::local::Places;
use crate::hooks::Request;
use crate::load::Loaded;
use crate::sandbox::Invocation;

/// Send one request to an artifact in a cell, without a server.
///
/// The answer's body goes to stdout; its content type, the time of each hook and what the model
/// prints go to stderr.
#[derive(Debug, Args)]
pub struct Invoke {
    /// The artifact: a tar.gz, a tar, a component or an unpacked directory.
    #[arg(value_name = "ARTIFACT")]
    artifact: PathBuf,

    /// The body: text, @FILE, or - for stdin.
    #[arg(long, value_name = "TEXT|@FILE|-", default_value = "-")]
    body: String,

    /// The body's content type.
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: String,

    /// The content type that the answer should have; the model chooses if there is none.
    #[arg(long, value_name = "TYPE")]
    accept: Option<String>,

    /// Opaque text for the model (X-Amzn-SageMaker-Custom-Attributes).
    #[arg(long, value_name = "TEXT")]
    custom_attributes: Option<String>,

    #[command(flatten)]
    places: Places,
}

impl Invoke {
    pub(super) fn run(self) -> Result<(), String> {
        let local = self.places.start()?;
        let (name, loaded) = local.load(&self.artifact)?;
        let request = Request {
            body: read_body(&self.body)?,
            content_type: Some(self.content_type),
            accept: self.accept,
            target_model: Some(name),
            custom_attributes: self.custom_attributes,
            inference_id: None,
            target_variant: None,
        };
        let invocation = local.threads.block_on(ask(&loaded, request))?;
        tracing::info!(
            content_type = invocation.payload.content_type,
            custom_attributes = invocation.payload.custom_attributes,
            input_fn = ?invocation.times.input_fn,
            predict_fn = ?invocation.times.predict_fn,
            output_fn = ?invocation.times.output_fn,
            "answered"
        );
        print(&invocation.payload.body)
    }
}

async fn ask(loaded: &Loaded, request: Request) -> Result<Invocation, String> {
    let deadline = Instant::now() + loaded.request_timeout;
    let lease = loaded.cells.lease(deadline).await;
    let answer = lease.map_err(|e| e.to_string())?;
    let answer = answer.invoke(request, deadline).await;
    answer.map_err(|e| e.to_string())
}

fn read_body(body: &str) -> Result<Vec<u8>, String> {
    if body == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|e| format!("stdin cannot be read: {e}"))?;
        return Ok(bytes);
    }
    match body.strip_prefix('@') {
        Some(file) => std::fs::read(file).map_err(|e| format!("{file} cannot be read: {e}")),
        None => Ok(body.as_bytes().to_vec()),
    }
}

fn print(body: &[u8]) -> Result<(), String> {
    let mut stdout = std::io::stdout().lock();
    let line_end: &[u8] = if stdout.is_terminal() && !body.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    };
    stdout
        .write_all(body)
        .and_then(|()| stdout.write_all(line_end))
        .and_then(|()| stdout.flush())
        .map_err(|e| format!("the answer could not be written: {e}"))
}
