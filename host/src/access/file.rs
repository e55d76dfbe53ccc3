//! The keys file: a TOML file that only its owner may read, with one table a key.
//!
//! An error is one line that says what to mend. None repeats a value of the file, since a value in
//! the wrong place may be a secret.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::keys::{Credentials, Key, TokenDigest};
use super::pattern::Pattern;
use super::policy::{Policy, Right};

/// The largest file, in bytes; one that is larger is not a file of keys.
const SIZE_LIMIT: u64 = 1 << 20;

/// The shortest secret and token, in bytes.
const SECRET_LEAST: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    keys: BTreeMap<String, Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table such as [keys.NAME]"
)]
struct Entry {
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    token: Option<Secret>,
    #[serde(default = "invoke_only")]
    allow: Vec<Right>,
    #[serde(default = "everything")]
    endpoints: Vec<String>,
    #[serde(default = "everything")]
    target_models: Vec<String>,
}

#[derive(Deserialize)]
#[serde(from = "String")]
struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

fn invoke_only() -> Vec<Right> {
    vec![Right::Invoke]
}

fn everything() -> Vec<String> {
    vec!["*".into()]
}

/// Whether others than the owner and, if that is root, those whom root lets read it by their group
/// can come by the file. systemd and Kubernetes hand secrets over as files of root with mode 0440.
fn is_open(mode: u32, owner: u32) -> bool {
    let allowed = if owner == 0 { 0o740 } else { 0o700 };
    mode & 0o777 & !allowed != 0
}

/// The text of a keys file that nobody but its owner may read or write.
pub fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    let failed = |e: std::io::Error| format!("the keys file {shown} cannot be read: {e}");
    // Asked before it is opened, which for a pipe would wait for somebody to write.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(format!("the keys file {shown} is not a file"));
    }
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    let mode = about.permissions().mode() & 0o777;
    if is_open(mode, about.uid()) {
        return Err(format!(
            "the keys file {shown} is open to others (mode {mode:04o}): let only its owner read it \
             (chmod 600)"
        ));
    }
    // Whole from the start: a buffer that grows leaves copies behind.
    let size = about.len().min(SIZE_LIMIT);
    let room = usize::try_from(size).unwrap_or_default().saturating_add(1);
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(SIZE_LIMIT + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > SIZE_LIMIT {
        return Err(format!("the keys file {shown} is larger than 1 MiB"));
    }
    Ok(text)
}

/// The keys of a file's text: at least one, and no two with the same access key id or token.
pub fn parse(text: &str) -> Result<Vec<Key>, String> {
    let document: Document = toml::from_str(text).map_err(|e| {
        let start = e.span().map_or(0, |span| span.start);
        format!(
            "line {}: {}",
            line(text, start),
            without_values(e.message())
        )
    })?;
    if document.keys.is_empty() {
        return Err("there is no key: write one as a table [keys.NAME]".into());
    }
    let mut seen = Seen::default();
    let mut keys = Vec::with_capacity(document.keys.len());
    for (name, entry) in document.keys {
        let line = line(text, entry.span().start);
        let key = check_name(&name)
            .and_then(|()| key(&name, entry.into_inner()))
            .and_then(|key| seen.check(&key).map(|()| key))
            .map_err(|what| format!("line {line}: {what}"))?;
        keys.push(key);
    }
    Ok(keys)
}

fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// The parser's message without the value or name that it found, only with what it expected.
fn without_values(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let quotes = [
        "invalid type",
        "invalid value",
        "unknown field",
        "unknown variant",
    ];
    let Some(kind) = quotes.iter().find(|kind| first.starts_with(**kind)) else {
        return first.to_owned();
    };
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("{kind}, expected {expected}"),
        None => (*kind).to_owned(),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
    if !printable || !(1..=64).contains(&name.len()) {
        return Err("a key's name must have 1 to 64 printable ASCII characters, no spaces".into());
    }
    Ok(())
}

fn key(name: &str, entry: Entry) -> Result<Key, String> {
    let credentials = credentials(entry.access_key_id, entry.secret_access_key)
        .map_err(|what| format!("key {name}: {what}"))?;
    let token = entry.token.map(token).transpose();
    let token = token.map_err(|what| format!("key {name}: {what}"))?;
    if credentials.is_none() && token.is_none() {
        return Err(format!(
            "key {name} has nothing to prove it with: give it an access-key-id and a \
             secret-access-key, or a token, or both"
        ));
    }
    let policy = policy(entry.allow, entry.endpoints, entry.target_models)
        .map_err(|what| format!("key {name}: {what}"))?;
    Ok(Key::new(name.to_owned(), credentials, token, policy))
}

fn credentials(id: Option<String>, secret: Option<Secret>) -> Result<Option<Credentials>, String> {
    let (id, secret) = match (id, secret) {
        (None, None) => return Ok(None),
        (Some(id), Some(Secret(secret))) => (id, secret),
        _ => return Err("access-key-id and secret-access-key go together".into()),
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !id.bytes().all(word) || !(16..=128).contains(&id.len()) {
        return Err("access-key-id must have 16 to 128 letters, digits and underscores".into());
    }
    if secret.len() < SECRET_LEAST || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "secret-access-key must have at least {SECRET_LEAST} printable ASCII characters, no spaces"
        ));
    }
    Ok(Some(Credentials::new(id, secret)))
}

/// A token of the characters that may stand behind `Bearer`:
/// <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>.
fn token(Secret(token): Secret) -> Result<TokenDigest, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.len() < SECRET_LEAST || !token.bytes().all(fits) {
        return Err(format!(
            "token must have at least {SECRET_LEAST} letters, digits and characters of -._~+/="
        ));
    }
    Ok(TokenDigest::of(&token))
}

fn policy(
    allow: Vec<Right>,
    endpoints: Vec<String>,
    target_models: Vec<String>,
) -> Result<Policy, String> {
    if allow.is_empty() {
        return Err("allow is empty: it may list \"invoke\", \"manage\" and \"monitor\"".into());
    }
    Ok(Policy {
        allow,
        endpoints: patterns("endpoints", endpoints)?,
        target_models: patterns("target-models", target_models)?,
    })
}

fn patterns(field: &str, texts: Vec<String>) -> Result<Vec<Pattern>, String> {
    if texts.is_empty() {
        return Err(format!(
            "{field} is empty: it may list patterns, [\"*\"] for all"
        ));
    }
    let patterns: Option<_> = texts.into_iter().map(Pattern::new).collect();
    patterns.ok_or_else(|| {
        let most = Pattern::LIMIT;
        format!("each of {field} must have 1 to {most} characters, no control characters")
    })
}

/// What is already taken, and by which key.
#[derive(Default)]
struct Seen {
    ids: HashMap<String, String>,
    tokens: HashMap<TokenDigest, String>,
}

impl Seen {
    fn check(&mut self, key: &Key) -> Result<(), String> {
        let name = key.name();
        if let Some(credentials) = key.credentials() {
            let id = credentials.access_key_id().to_owned();
            if let Some(other) = self.ids.insert(id, name.to_owned()) {
                return Err(format!(
                    "keys {other} and {name} have the same access-key-id"
                ));
            }
        }
        if let Some(token) = key.token()
            && let Some(other) = self.tokens.insert(token.clone(), name.to_owned())
        {
            return Err(format!("keys {other} and {name} have the same token"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_read_what_root_lets_it_read() {
        for mode in [0o600, 0o400, 0o700] {
            assert!(!is_open(mode, 1000) && !is_open(mode, 0), "{mode:o}");
        }
        for mode in [0o640, 0o440] {
            assert!(is_open(mode, 1000) && !is_open(mode, 0), "{mode:o}");
        }
        for mode in [0o620, 0o604, 0o602, 0o601, 0o644, 0o660, 0o666, 0o460] {
            assert!(is_open(mode, 1000) && is_open(mode, 0), "{mode:o}");
        }
    }
}
