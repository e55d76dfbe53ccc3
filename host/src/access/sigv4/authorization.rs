//! The `Authorization` header of a signed request.

use super::{ALGORITHM, SERVICE};
use crate::access::denied::{Denied, shown};

/// What the header says.
#[derive(Debug)]
pub struct Signature<'a> {
    pub access_key_id: &'a str,
    /// The day of the credential's scope.
    pub date: &'a str,
    pub region: &'a str,
    /// Names, with semicolons in between.
    pub signed_headers: &'a str,
    pub signature: &'a str,
}

impl<'a> Signature<'a> {
    /// Takes apart `Credential=..., SignedHeaders=..., Signature=...`, in any order.
    pub fn parse(algorithm: &str, parts: &'a str) -> Result<Self, Denied> {
        check_algorithm(algorithm)?;
        let [mut credential, mut signed_headers, mut signature] = [None; 3];
        for part in parts.split(',').map(str::trim) {
            let Some((name, value)) = part.split_once('=') else {
                return incomplete("The Authorization header has a part without an equal-sign.");
            };
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return incomplete("The Authorization header has a part of unknown name."),
            };
            if place.replace(value).is_some() {
                return incomplete(&format!("The Authorization header has two '{name}' parts."));
            }
        }
        let needed = |part: Option<&'a str>, name| match part.filter(|value| !value.is_empty()) {
            Some(value) => Ok(value),
            None => incomplete(&format!(
                "Authorization header requires '{name}' parameter."
            )),
        };
        let [access_key_id, date, region] = scope(needed(credential, "Credential")?)?;
        Ok(Self {
            access_key_id,
            date,
            region,
            signed_headers: needed(signed_headers, "SignedHeaders")?,
            signature: needed(signature, "Signature")?,
        })
    }
}

fn check_algorithm(algorithm: &str) -> Result<(), Denied> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    let what = shown(algorithm);
    if algorithm.starts_with("AWS4-") {
        return incomplete(&format!(
            "Unsupported AWS 'algorithm': '{what}': use {ALGORITHM}."
        ));
    }
    // Not repeated: without a scheme in front, this may be a token.
    incomplete(&format!(
        "The Authorization header must begin with '{ALGORITHM}' or 'Bearer'."
    ))
}

/// The access key id, day and region of a credential for this service.
fn scope(credential: &str) -> Result<[&str; 3], Denied> {
    let mut parts = credential.split('/');
    let five = [(); 5].map(|()| parts.next().filter(|part| !part.is_empty()));
    let ([Some(id), Some(date), Some(region), Some(service), Some(end)], None) =
        (five, parts.next())
    else {
        return incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term.",
        );
    };
    if service != SERVICE {
        let got = shown(service);
        return Err(Denied::Invalid(format!(
            "Credential should be scoped to correct service: '{SERVICE}', not '{got}'."
        )));
    }
    if end != "aws4_request" {
        let got = shown(end);
        return Err(Denied::Invalid(format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{got}'."
        )));
    }
    Ok([id, date, region])
}

fn incomplete<T>(what: &str) -> Result<T, Denied> {
    Err(Denied::Incomplete(what.to_owned()))
}
