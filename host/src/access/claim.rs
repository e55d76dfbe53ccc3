//! A request's claim to be from a key's holder.

use std::sync::Arc;

use super::denied::Denied;
use super::keys::Key;
use super::sigv4::Signed;

/// Which key a request says that it is from. Not to be acted on before [`Claim::prove`], but to be
/// refused by: what the key may not do, the request may not do, whoever sent it.
pub struct Claim {
    key: Arc<Key>,
    /// The signature that is to be proven; none if a token has proven the key.
    signed: Option<Signed>,
}

impl Claim {
    pub(super) fn proven(key: Arc<Key>) -> Self {
        Self { key, signed: None }
    }

    pub(super) fn signed(key: Arc<Key>, signed: Signed) -> Self {
        Self {
            key,
            signed: Some(signed),
        }
    }

    /// The key that is claimed.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Whether the signature covers the body, so that it is needed for the proof.
    pub fn signs_body(&self) -> bool {
        self.signed.is_some()
    }

    /// Whether the claim is true, now that the body is there.
    ///
    /// # Errors
    ///
    /// [`Denied::Invalid`]
    pub fn prove(&self, body: &[u8]) -> Result<(), Denied> {
        let Some(signed) = &self.signed else {
            return Ok(());
        };
        let credentials = self.key.credentials().ok_or(Denied::Unknown)?;
        credentials.prove(signed, body)
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("key", &self.key)
            .field("proven", &self.signed.is_none())
            .finish()
    }
}
