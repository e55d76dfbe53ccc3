//! AWS Signature Version 4 in the `Authorization` header, checked as it was made:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>.
//!
//! What of a request is not signed, somebody in between may change. So what the host acts on must be
//! signed: method, path, query, body, and the headers that [`headers`] names.

mod authorization;
mod canonical;
mod clock;
mod headers;

use std::time::SystemTime;

use hyper::Request;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use authorization::Signature;

use super::denied::Denied;
use clock::Date;

/// The service that AWS's clients of the runtime API sign for.
const SERVICE: &str = "sagemaker";

/// The one algorithm: with a secret that both sides have.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A signed request's head, in the right form, and what is left to check with the body.
pub struct Signed {
    /// The canonical request up to the body's digest.
    head: Vec<u8>,
    date: Date,
    region: String,
    signature: String,
    /// `x-amz-content-sha256`: the body's digest as the caller says.
    content: Option<String>,
}

impl Signed {
    /// Checks all that can be checked without the key and the body.
    pub fn check<B>(request: &Request<B>, signature: &Signature<'_>) -> Result<Self, Denied> {
        let signed = headers::SignedHeaders::parse(signature.signed_headers)?;
        signed.check(request.headers())?;
        let date = Date::of(request.headers(), &signed)?;
        date.check_scope(signature.date)?;
        Ok(Self {
            head: canonical::head(request, &signed)?,
            date,
            region: signature.region.to_owned(),
            signature: signature.signature.to_owned(),
            content: headers::content_digest(request.headers())?,
        })
    }

    /// Refuses a request of another time.
    pub fn check_clock(&self, now: SystemTime) -> Result<(), Denied> {
        self.date.check_clock(now)
    }

    /// The day of the signing key.
    pub fn date(&self) -> &str {
        self.date.day()
    }

    /// The region of the signing key. Any will do: there is only this host.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// What `secret` becomes for this request's day and region.
    pub fn signing_key(&self, secret: &str) -> Zeroizing<Vec<u8>> {
        let time = self.date.time();
        let key = aws_sigv4::sign::v4::generate_signing_key(secret, time, &self.region, SERVICE);
        Zeroizing::new(key.as_ref().to_vec())
    }

    /// Refuses a body that is not the one, and a signature that `key` has not made.
    pub fn prove(&self, key: &[u8], body: &[u8]) -> Result<(), Denied> {
        let digest = hex(&Sha256::digest(body));
        if self.content.as_ref().is_some_and(|said| *said != digest) {
            return Err(Denied::Invalid(
                "The provided 'x-amz-content-sha256' header does not match what was computed."
                    .into(),
            ));
        }
        let request = Sha256::new().chain_update(&self.head).chain_update(&digest);
        let text = format!(
            "{ALGORITHM}\n{}\n{}/{}/{SERVICE}/aws4_request\n{}",
            self.date.stamp(),
            self.date.day(),
            self.region,
            hex(&request.finalize()),
        );
        let right = aws_sigv4::sign::v4::calculate_signature(key, text.as_bytes());
        if right.as_bytes().ct_eq(self.signature.as_bytes()).into() {
            return Ok(());
        }
        Err(Denied::Invalid(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method, and whether a proxy changes the path, \
             Host or another signed header."
                .into(),
        ))
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|d| char::from_digit(d.into(), 16));
    bytes.iter().flat_map(digits).flatten().collect()
}
