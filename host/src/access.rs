//! Who may ask for what: the keys, the proof that a request is a key's, and what the key allows.
//!
//! In the order of a request ([`Access`], [`Caller`]): [`Keys::check_head`] says which key a request claims, before its body
//! is read; what that key may never do is refused then ([`Key`]); [`Claim::prove`] checks the
//! signature over head and body. A bearer token proves itself with the head.
//!
//! The server reads the keys again when it is told to. A claim holds its key, so a request in
//! flight ends under the keys that it began with.
//!
//! Every refusal is a [`Denied`], in AWS's words and with AWS's codes, whatever the route and the
//! kind of proof: an unknown token is 403 as an unknown access key id is, not 401. So that what a
//! client sees does not depend on how it was set up, and AWS's SDKs know each of them.
//!
//! Secrets stay here: none is in a `Debug`, a message or a log.

mod claim;
mod current;
mod denied;
mod file;
mod keys;
mod pattern;
mod policy;
mod sigv4;
#[cfg(test)]
mod tests;

pub use claim::Claim;
pub use current::{Access, Caller};
pub use denied::Denied;
pub use keys::{Key, Keys};
