//! A model of a runtime, asked through all hooks in fresh cells.

use std::time::Duration;

use modelcell::hooks::Request;
use modelcell::load::Loaded;
use modelcell::sandbox::Isolation;
use modelcell_bench::costs::{Cost, Round};
use modelcell_bench::in_process::{InProcess, ask};

/// A loaded model.
pub struct Ours<'a> {
    host: &'a InProcess,
    loaded: Loaded,
}

impl<'a> Ours<'a> {
    /// Loads an artifact of one file, whose cells are fresh for each request.
    pub fn load(host: &'a InProcess, file: &str, content: &[u8]) -> Result<Self, String> {
        let loaded = host.load(None, &[(file, content)], Isolation::Request)?;
        Ok(Self { host, loaded })
    }

    /// How long such a load takes when the runtime's code is at hand.
    pub fn time_load(host: &InProcess, file: &str, content: &[u8]) -> Result<Duration, String> {
        let timed = host.load_timed(None, &[(file, content)], Isolation::Request)?;
        Ok(timed.1)
    }

    /// The answer to a request.
    pub fn answer(&self, request: &Request) -> Result<Vec<u8>, String> {
        Ok(self.host.ask(&self.loaded, request)?.payload.body)
    }

    /// Asks each of `requests` in turn until there were `count`, and says what one costs.
    pub fn cost(&self, requests: &[Request], count: usize) -> Result<Cost, String> {
        self.host.runtime().block_on(async {
            let mut round = Round::default();
            for request in requests.iter().cycle().take(count) {
                round.add(&ask(&self.loaded, request).await?);
            }
            Ok(round.cost())
        })
    }
}

/// A request with this body, and an answer of this type.
pub fn request(content_type: &str, body: impl Into<Vec<u8>>, accept: &str) -> Request {
    Request {
        body: body.into(),
        content_type: Some(content_type.into()),
        accept: Some(accept.into()),
        target_model: None,
        custom_attributes: None,
        inference_id: None,
        target_variant: None,
    }
}
