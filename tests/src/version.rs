//! Models that can say which version of their artifact they are.

use crate::artifact::{Tar, artifact, guest};
use crate::{Client, Reply};

/// The first and the last file in an archive of [`version_at_both_ends`].
const ENDS: [&str; 2] = ["version", "zz-version"];

/// An artifact that answers [`ask`] with `version`.
pub fn version(version: &str) -> Vec<u8> {
    artifact(&guest("misbehave"), &[("version", version.as_bytes())])
}

/// The same, not compressed, so that nothing in it tells whether all of it belongs together: where
/// both ends are of one version, so is the rest.
pub fn version_at_both_ends(version: &str) -> Vec<u8> {
    let [first, last] = ENDS;
    Tar::new()
        .file(first, version.as_bytes())
        .file("model.wasm", &guest("misbehave"))
        .file(last, version.as_bytes())
        .tar()
}

/// Asks a model for its version.
pub fn ask(client: &Client, name: &str) -> Reply {
    client.invoke(name, "predict:read /opt/ml/model/version")
}

/// Asks a model for the versions at both ends of its archive.
///
/// # Panics
///
/// If it does not answer.
#[track_caller]
pub fn both_ends(client: &Client, name: &str) -> [String; 2] {
    ENDS.map(|file| {
        let read = format!("predict:read /opt/ml/model/{file}");
        client.invoke(name, &read).ok()
    })
}
