//! The keys that hold now, and who calls.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use hyper::Request;

use super::{Claim, Denied, Keys};
use crate::config::AccessSettings;

/// Who may call: everybody, or whoever has one of the keys.
pub struct Access(Option<Locked>);

struct Locked {
    file: PathBuf,
    keys: RwLock<Arc<Keys>>,
}

impl Access {
    /// Reads the keys file, if the settings name one.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub fn open(settings: &AccessSettings) -> Result<Self, String> {
        let Some(file) = settings.keys.clone() else {
            return Ok(Self(None));
        };
        let keys = Keys::read(&file)?;
        tracing::info!(keys = keys.count(), "callers need a key");
        let keys = RwLock::new(Arc::new(keys));
        Ok(Self(Some(Locked { file, keys })))
    }

    /// Reads the keys file again. What is wrong with it is in the log; the keys stay as they were then.
    pub fn reload(&self) {
        let Some(Locked { file, keys }) = &self.0 else {
            tracing::info!("there is no keys file (--keys) to be read again");
            return;
        };
        match Keys::read(file) {
            Ok(new) => {
                tracing::info!(keys = new.count(), "the keys have been read again");
                *keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
            }
            Err(error) => tracing::error!(%error, "the keys stay as they were"),
        }
    }

    /// Who calls, as far as the head of a request tells.
    ///
    /// # Errors
    ///
    /// As [`Keys::check_head`].
    pub fn check_head<B>(&self, request: &Request<B>) -> Result<Caller, Denied> {
        let Some(Locked { keys, .. }) = &self.0 else {
            return Ok(Caller(None));
        };
        let keys = keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let claim = keys.check_head(request, SystemTime::now())?;
        Ok(Caller(Some(claim)))
    }
}

/// Whoever sent a request: somebody with a key, or anybody where no keys are needed.
pub struct Caller(Option<Claim>);

impl Caller {
    /// Whether it may ask this model of an endpoint.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`]
    pub fn may_invoke(&self, endpoint: &str, model: Option<&str>) -> Result<(), Denied> {
        self.claim(|claim| claim.key().may_invoke(endpoint, model))
    }

    /// Whether it may manage this model of an endpoint, or all of them.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`]
    pub fn may_manage(&self, endpoint: &str, model: Option<&str>) -> Result<(), Denied> {
        self.claim(|claim| claim.key().may_manage(endpoint, model))
    }

    /// Whether it may see metrics and readiness.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`]
    pub fn may_monitor(&self) -> Result<(), Denied> {
        self.claim(|claim| claim.key().may_monitor())
    }

    /// Whether it may know of an endpoint.
    pub fn has_endpoint(&self, endpoint: &str) -> bool {
        let claim = self.0.as_ref();
        claim.is_none_or(|claim| claim.key().has_endpoint(endpoint))
    }

    /// Whether the proof covers the body, too.
    pub fn signs_body(&self) -> bool {
        self.0.as_ref().is_some_and(Claim::signs_body)
    }

    /// Whether it is who it says it is.
    ///
    /// # Errors
    ///
    /// [`Denied::Invalid`]
    pub fn prove(&self, body: &[u8]) -> Result<(), Denied> {
        self.claim(|claim| claim.prove(body))
    }

    fn claim(&self, check: impl FnOnce(&Claim) -> Result<(), Denied>) -> Result<(), Denied> {
        self.0.as_ref().map_or(Ok(()), check)
    }
}
