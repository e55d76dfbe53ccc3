//! The keys, and which of them a request claims.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hyper::Request;
use hyper::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::claim::Claim;
use super::denied::Denied;
use super::file;
use super::policy::Policy;
use super::sigv4::{Signature, Signed};

/// All keys.
pub struct Keys {
    by_id: HashMap<String, Arc<Key>>,
    with_token: Vec<Arc<Key>>,
    count: usize,
}

impl Keys {
    /// Reads the keys file.
    ///
    /// # Errors
    ///
    /// One line that says what to mend, also if the file's group or others may read or write it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = file::read(path)?;
        Self::parse(&text).map_err(|what| format!("the keys file {}: {what}", path.display()))
    }

    /// Takes the text of a keys file.
    ///
    /// # Errors
    ///
    /// One line that says what to mend, without any value of the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys: Vec<_> = file::parse(text)?.into_iter().map(Arc::new).collect();
        let by_id = keys.iter().filter_map(|key| {
            let credentials = key.credentials.as_ref()?;
            Some((credentials.access_key_id.clone(), Arc::clone(key)))
        });
        Ok(Self {
            by_id: by_id.collect(),
            count: keys.len(),
            with_token: keys.into_iter().filter(|key| key.token.is_some()).collect(),
        })
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Which key a request claims to be from, before its body is read: the proof is in the right
    /// form and of this time, and a bearer token is known.
    ///
    /// In HTTP/2 the host that was signed is the request's `:authority`, here in its URI.
    ///
    /// # Errors
    ///
    /// [`Denied`] but [`Denied::Forbidden`].
    pub fn check_head<B>(&self, request: &Request<B>, now: SystemTime) -> Result<Claim, Denied> {
        let Some(authorization) = authorization(request.headers())? else {
            return Err(without_authorization(request.uri().query()));
        };
        let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            let key = self.with_token(rest.trim()).ok_or(Denied::Unknown)?;
            return Ok(Claim::proven(key));
        }
        let signature = Signature::parse(scheme, rest)?;
        let signed = Signed::check(request, &signature)?;
        let key = self.by_id.get(signature.access_key_id);
        // A key of the file has no session, so that a session's token is not one of ours.
        let key = key.filter(|_| !request.headers().contains_key("x-amz-security-token"));
        let key = key.ok_or(Denied::Unknown)?;
        signed.check_clock(now)?;
        Ok(Claim::signed(Arc::clone(key), signed))
    }

    /// The key of a token. Every token is compared, as a whole, so that the time tells nothing.
    fn with_token(&self, token: &str) -> Option<Arc<Key>> {
        let digest = TokenDigest::of(token);
        let mut found = None;
        for key in &self.with_token {
            if key.token.as_ref().is_some_and(|own| own.is(&digest)) {
                found = Some(key);
            }
        }
        found.map(Arc::clone)
    }
}

/// The one `Authorization` header, if there is any.
fn authorization(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Denied::Incomplete(
            "The request has more than one Authorization header.".into(),
        ));
    }
    let text = value.to_str().map(str::trim);
    text.map(Some).map_err(|_| {
        Denied::Incomplete("The Authorization header has characters that are not ASCII.".into())
    })
}

fn without_authorization(query: Option<&str>) -> Denied {
    let presigned = query.unwrap_or_default().split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        name.eq_ignore_ascii_case("x-amz-signature") || name.eq_ignore_ascii_case("x-amz-algorithm")
    });
    if presigned {
        return Denied::Incomplete(
            "Presigned URLs are not supported: send the signature in the Authorization header."
                .into(),
        );
    }
    Denied::Missing
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// One key: who it is, how it is proven, and what it allows.
pub struct Key {
    name: String,
    credentials: Option<Credentials>,
    token: Option<TokenDigest>,
    policy: Policy,
}

impl Key {
    pub(super) fn new(
        name: String,
        credentials: Option<Credentials>,
        token: Option<TokenDigest>,
        policy: Policy,
    ) -> Self {
        Self {
            name,
            credentials,
            token,
            policy,
        }
    }

    /// The name, for the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the key may ask a model of an endpoint. `model` is the name that will be looked up;
    /// none where the request names none, which only a key for all models may do.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`]
    pub fn may_invoke(&self, endpoint: &str, model: Option<&str>) -> Result<(), Denied> {
        self.policy.invoke(&self.name, endpoint, model)
    }

    /// Whether the key may describe or unload `model` of an endpoint. With none: whether it may
    /// manage the whole, as a list does, and a load, which takes any artifact under any name.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`]
    pub fn may_manage(&self, endpoint: &str, model: Option<&str>) -> Result<(), Denied> {
        self.policy.manage(&self.name, endpoint, model)
    }

    /// Whether the key may see metrics and readiness, which tell of the host as a whole. A key that
    /// may manage only a part may not, unless it is allowed to monitor, too.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`]
    pub fn may_monitor(&self) -> Result<(), Denied> {
        self.policy.monitor(&self.name)
    }

    /// Whether the key is for an endpoint at all, for a list of those that it may know of.
    pub fn has_endpoint(&self, endpoint: &str) -> bool {
        self.policy.has_endpoint(endpoint)
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(super) fn token(&self) -> Option<&TokenDigest> {
        self.token.as_ref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The digest of a bearer token; the token itself is not kept.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// In a time that does not depend on either.
    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// An access key id and its secret.
pub struct Credentials {
    access_key_id: String,
    secret: Zeroizing<String>,
    /// The signing key of the last signature that was right. Only one: dates and regions come from
    /// callers, who would fill a larger store.
    last: Mutex<Option<SigningKey>>,
}

/// What a secret becomes for a day and a region.
struct SigningKey {
    date: String,
    region: String,
    key: Zeroizing<Vec<u8>>,
}

impl Credentials {
    pub fn new(access_key_id: String, secret: Zeroizing<String>) -> Self {
        Self {
            access_key_id,
            secret,
            last: Mutex::new(None),
        }
    }

    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Whether a request with this body was signed with the secret.
    pub fn prove(&self, signed: &Signed, body: &[u8]) -> Result<(), Denied> {
        let lock = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |last: &SigningKey| last.date == signed.date() && last.region == signed.region();
        let known = lock()
            .as_ref()
            .filter(|last| fits(last))
            .map(|last| last.key.clone());
        if let Some(key) = known {
            return signed.prove(&key, body);
        }
        let key = signed.signing_key(&self.secret);
        signed.prove(&key, body)?;
        *lock() = Some(SigningKey {
            date: signed.date().to_owned(),
            region: signed.region().to_owned(),
            key,
        });
        Ok(())
    }
}
