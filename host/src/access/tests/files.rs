//! Keys files: what they may say, and that their errors do not tell secrets.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{ID, Keys, SECRET, TOKEN, Wire};

fn error(text: &str) -> String {
    let error = Keys::parse(text).unwrap_err();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

fn entry(rest: &str) -> String {
    format!("[keys.a]\ntoken = \"{TOKEN}\"\n{rest}\n")
}

#[test]
fn a_key_has_what_it_is_given() {
    let text = format!(
        "# The service that asks.\n[keys.churn-service]\naccess-key-id = \"{ID}\"\n\
         secret-access-key = \"{SECRET}\"\ntoken = \"{TOKEN}\"\nallow = [\"invoke\", \"manage\"]\n\
         endpoints = [\"churn\", \"fraud-*\"]\ntarget-models = [\"tenant-a/*\"]\n\
         [keys.\"b@host\"]\ntoken = \"0123456789abcdef\"\n"
    );
    let keys = Keys::parse(&text).unwrap();
    assert_eq!(keys.count(), 2);
    let claim = |token: &str| {
        let wire = Wire {
            method: "GET".into(),
            target: "/models".into(),
            headers: vec![("authorization".into(), format!("Bearer {token}"))],
            body: Vec::new(),
        };
        wire.check_at(&keys, 0).unwrap()
    };
    let a = claim(TOKEN);
    assert_eq!(a.name(), "churn-service");
    a.may_invoke("fraud-eu", Some("tenant-a/x")).unwrap();
    a.may_invoke("fraud-eu", None).unwrap_err();
    a.may_invoke("other", Some("tenant-a/x")).unwrap_err();
    a.may_manage("churn", Some("tenant-a/x")).unwrap();
    a.may_manage("churn", None).unwrap_err();
    a.may_monitor().unwrap_err();
    assert!(a.has_endpoint("churn") && !a.has_endpoint("default"));
    let b = claim("0123456789abcdef");
    assert_eq!(b.name(), "b@host");
    b.may_invoke("any", None).unwrap();
    b.may_manage("any", Some("x")).unwrap_err();
    b.may_monitor().unwrap_err();
}

/// The file is refused with these words.
fn refused(text: &str, words: &str) {
    let error = error(text);
    assert!(error.contains(words), "{text}: {error}");
}

fn credentials(id: &str, secret: &str) -> String {
    format!("access-key-id = \"{id}\"\nsecret-access-key = \"{secret}\"\n")
}

#[test]
fn mistakes_of_form_are_named_with_their_line() {
    refused("", "there is no key: write one as a table [keys.NAME]");
    refused("[keys]\n", "there is no key");
    refused("\n[key.a]\n", "line 2: unknown field, expected `keys`");
    let entry = |rest, words| refused(&entry(rest), words);
    entry(
        "acess-key-id = \"x\"",
        "line 3: unknown field, expected one of `access-key-id`",
    );
    entry(
        "allow = [\"all\"]",
        "line 3: unknown variant, expected one of `invoke`, `manage`",
    );
    entry(
        "allow = \"invoke\"",
        "line 3: invalid type, expected a sequence",
    );
    entry("token = \"x\"", "line 3: duplicate key");
    entry("allow = []", "line 1: key a: allow is empty");
    entry("endpoints = []", "line 1: key a: endpoints is empty");
    entry(
        "target-models = []",
        "line 1: key a: target-models is empty",
    );
    entry(
        "endpoints = [\"a\", \"\"]",
        "each of endpoints must have 1 to 1024 characters",
    );
    entry(
        "target-models = [\"a\\n\"]",
        "each of target-models must have",
    );
}

#[test]
fn each_key_can_be_proven_and_not_be_guessed() {
    let key = |rest: &str, words| refused(&format!("\n[keys.a]\n{rest}"), words);
    key("", "line 2: key a has nothing to prove it with");
    let together = "line 2: key a: access-key-id and secret-access-key go together";
    key(&format!("access-key-id = \"{ID}\""), together);
    key(
        &format!("token = \"{TOKEN}\"\nsecret-access-key = \"{SECRET}\""),
        together,
    );
    for token in [
        "",
        "0123456789abcde",
        "0123456789 abcdef",
        "0123456789abcdé",
    ] {
        key(
            &format!("token = \"{token}\""),
            "line 2: key a: token must have at least 16",
        );
    }
    for id in ["MODELCELL000001", "MODEL-CELL-000001", &"M".repeat(129)] {
        key(
            &credentials(id, SECRET),
            "line 2: key a: access-key-id must have 16 to 128",
        );
    }
    for secret in [
        "0123456789abcde",
        "0123456789 abcdef",
        "0123456789abcdef\\n",
    ] {
        key(
            &credentials(ID, secret),
            "line 2: key a: secret-access-key must have at least 16",
        );
    }
}

#[test]
fn names_fit_the_log() {
    for name in [&"n".repeat(65), "\"a b\"", "\"\"", "\"a\\n\"", "\"é\""] {
        let text = format!("[keys.{name}]\ntoken = \"{TOKEN}\"\n");
        refused(&text, "line 1: a key's name must have 1 to 64");
    }
    Keys::parse(&format!("[keys.{}]\ntoken = \"{TOKEN}\"\n", "n".repeat(64))).unwrap();
}

#[test]
fn no_two_keys_are_one() {
    let a = entry("");
    refused(&format!("{a}{a}"), "line 4: duplicate key");
    let same_token = format!("{a}[keys.b]\ntoken = \"{TOKEN}\"");
    refused(&same_token, "line 4: keys a and b have the same token");
    let same = credentials(ID, SECRET);
    let other = credentials(ID, &SECRET.to_lowercase());
    for second in [&same, &other] {
        let text = format!("[keys.a]\n{same}[keys.b]\n{second}");
        refused(&text, "line 4: keys a and b have the same access-key-id");
    }
}

/// Refused, if at all, in one line without six characters in a row of a secret.
fn tells_no_secret(text: &str) -> bool {
    let Err(error) = Keys::parse(text) else {
        return false;
    };
    for secret in [SECRET, TOKEN] {
        let told = (0..=secret.len() - 6).any(|at| error.contains(&secret[at..at + 6]));
        assert!(!told, "{text}: {error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
    true
}

/// The file with a character less, more or other at each place.
#[test]
fn errors_of_typing_tell_no_secrets() {
    let same = credentials(ID, SECRET);
    let text = format!("[keys.a]\n{same}token = \"{TOKEN}\"\nallow = [\"invoke\"]\n");
    let mut errors = 0;
    let mut check = |text: &str| errors += usize::from(tells_no_secret(text));
    for at in 0..text.len() {
        let (before, after) = text.split_at(at);
        check(&format!("{before}{}", &after[1..]));
        check(before);
        for c in "\"'\n=[]{}#.,\\ x0\u{0}é".chars() {
            check(&format!("{before}{c}{after}"));
            check(&format!("{before}{c}{}", &after[1..]));
        }
    }
    assert!(errors > 1000);
}

#[test]
fn errors_of_misplaced_secrets_tell_no_secrets() {
    for text in [
        format!("keys = \"{SECRET}\""),
        format!("keys = [\"{SECRET}\"]"),
        format!("[keys]\na = \"{SECRET}\""),
        format!("[keys]\na = [\"{SECRET}\"]"),
        format!("[keys.a]\n\"{SECRET}\" = 1"),
        format!("[keys.a]\n{TOKEN} = 1"),
        format!("[keys.a]\n{TOKEN}"),
        format!("[keys.a]\ntoken = {TOKEN}"),
        format!("[keys.a]\ntoken = {SECRET}"),
        format!("[keys.a]\ntoken = [\"{SECRET}\"]"),
        format!("[keys.a]\nallow = [\"{TOKEN}\"]"),
        format!("[keys.a]\nallow = \"{SECRET}, expected {TOKEN}\""),
        format!("[keys.a]\nallow = {{ \"{TOKEN}\" = 1 }}"),
        format!("[keys.a]\nendpoints = \"{SECRET}\""),
        format!("[keys.\"{SECRET} \"]\ntoken = \"x\""),
        format!("[{TOKEN}]\n"),
        format!("\"{SECRET}\" = 1\n\"{SECRET}\" = 2"),
        format!("[keys.a]\n\"{SECRET}\" = 1\n\"{SECRET}\" = 2"),
        format!("[keys.a]\n[keys.a.token]\n\"{SECRET}\" = 1"),
    ] {
        assert!(tells_no_secret(&text), "{text}");
    }
    let digits = "[keys.a]\ntoken = 1234567890123456789";
    assert_eq!(error(digits), "line 2: invalid type, expected a string");
}

#[test]
fn debug_tells_no_secrets() {
    let keys = super::keys();
    let wire = Wire {
        method: "GET".into(),
        target: "/models".into(),
        headers: vec![("authorization".into(), format!("Bearer {TOKEN}"))],
        body: Vec::new(),
    };
    let claim = keys.check_head(&wire.request(), super::at(0)).unwrap();
    let text = format!("{keys:?} {claim:?} {:?}", claim.key());
    assert!(
        text.contains("count: 2") && text.contains("\"test\""),
        "{text}"
    );
    assert!(
        !text.contains(SECRET) && !text.contains(TOKEN) && !text.contains(ID),
        "{text}"
    );
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    for mode in [0o600, 0o400, 0o700] {
        write(&path, &entry(""), mode);
        assert_eq!(Keys::read(&path).unwrap().count(), 1, "{mode:o}");
        fs::remove_file(&path).unwrap();
    }
    for mode in [0o620, 0o604, 0o602, 0o601, 0o644, 0o666] {
        write(&path, &entry(""), mode);
        let error = Keys::read(&path).unwrap_err();
        let mode = format!("(mode {mode:04o})");
        assert!(
            error.contains(&mode) && error.contains("chmod 600"),
            "{error}"
        );
    }
}

/// As Kubernetes mounts a secret: the file is a link into a directory that is a link.
#[test]
fn links_to_a_file_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("..2026_11_22")).unwrap();
    write(&path("..2026_11_22/keys.toml"), &entry(""), 0o400);
    symlink("..2026_11_22", path("..data")).unwrap();
    symlink("..data/keys.toml", path("keys.toml")).unwrap();
    assert_eq!(Keys::read(&path("keys.toml")).unwrap().count(), 1);
}

#[test]
fn what_is_no_file_of_keys_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    let error = || Keys::read(&path).unwrap_err();
    assert!(error().contains("keys.toml cannot be read: No such file"));
    fs::create_dir(&path).unwrap();
    assert!(error().contains("keys.toml is not a file"));
    fs::remove_dir(&path).unwrap();
    fs::write(&path, [0xff]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(error().contains("UTF-8"), "{}", error());
    write(&path, &entry("allow = []"), 0o600);
    assert!(
        error().contains("keys.toml: line 1: key a: "),
        "{}",
        error()
    );
    write(&path, &"#".repeat((1 << 20) + 1), 0o600);
    assert!(error().contains("larger than 1 MiB"));
}
