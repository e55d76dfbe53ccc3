//! The model-management API of SageMaker's multi-model containers: load and unload here, what is
//! there in [`list`], [`describe`] and [`endpoints`].
//!
//! Requests are in snake_case and responses in camelCase, as in
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html>; what AWS leaves open
//! is as in multi-model-server.

mod describe;
mod endpoints;
mod list;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::headers;
use crate::host::Host;
use crate::load::{LoadError, Source};
use crate::models::ModelsError;
use crate::repository::{ModelName, Repository, RepositoryError, without_ending};
use crate::response::{self, Reply};
use crate::sandbox::printable;
pub use describe::describe;
pub use endpoints::endpoints;
pub use list::list;

/// How long an unload waits for requests in flight. The platform waits 360 s.
const UNLOAD_TIMEOUT: Duration = Duration::from_secs(350);

/// A load request whose url has not been followed yet.
#[derive(Debug)]
pub struct LoadRequest {
    /// The name that the model is to have.
    pub name: String,
    /// Where it lies, as the caller wrote it.
    pub url: String,
    /// Whether the caller waits until it is loaded.
    pub synchronous: bool,
}

/// What a load request may say, in its JSON body or else in its query. Parameters of
/// multi-model-server that have no meaning here (workers, batches) are passed over.
#[derive(Debug, Default, Deserialize)]
struct LoadFields {
    model_name: Option<String>,
    url: Option<String>,
    synchronous: Option<Flag>,
}

/// `true` or `"true"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl Flag {
    fn is_true(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
        }
    }
}

impl LoadRequest {
    /// Reads the body if it is JSON, or else the query.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] says what is missing or wrong.
    pub fn parse(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<Self, Error> {
        let fields = parse_fields(headers, query, body)?;
        let url = fields
            .url
            .filter(|url| !url.is_empty())
            .ok_or_else(|| Error::BadRequest("Parameter url is required.".into()))?;
        let name = match fields.model_name.filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => name_from_url(&url),
        };
        check_name(&name)?;
        Ok(Self {
            name,
            url,
            synchronous: fields.synchronous.is_none_or(|flag| flag.is_true()),
        })
    }
}

#[derive(Serialize)]
struct StatusBody {
    status: String,
}

/// `POST /models`
///
/// # Errors
///
/// 400 without a url, 404 if nothing is there, 409 if the name is taken, or why the load failed.
pub async fn load(
    host: &Host,
    endpoint: &Endpoint,
    sent: &HeaderMap,
    query: Option<&str>,
    body: &[u8],
) -> Result<Reply, Error> {
    let LoadRequest {
        name,
        url,
        synchronous,
    } = LoadRequest::parse(sent, query, body)?;
    if let Some(artifact) = headers::text(sent, &headers::TARGET_MODEL)? {
        // The platform's names are hashes. Here is which artifact one stands for.
        let artifact = printable(artifact);
        tracing::info!(model = &*name, target_model = &*artifact, "to be loaded");
    }
    let source = {
        let (url, roots) = (url.clone(), host.settings.model_roots.clone());
        let repository = endpoint.repository.clone();
        spawn_blocking(move || find_source(&url, repository.as_deref(), &roots))
            .await
            .map_err(|_| Error::Stopping)??
    };
    let loading = endpoint.models.register(&name, &url, source)?;
    if !synchronous {
        return Ok(status(StatusCode::ACCEPTED, "Processing worker updates..."));
    }
    // A load ends by itself after --load-timeout; a little more lets its own error come first.
    let deadline = Instant::now() + endpoint.settings.limits.load_timeout + Duration::from_secs(60);
    let loaded = endpoint.models.wait(&name, loading, deadline).await;
    loaded.map_err(in_model_store)?;
    Ok(status(StatusCode::OK, "Workers scaled"))
}

/// `DELETE /models/NAME`
///
/// # Errors
///
/// 404 if the model is not loaded, 408 if its requests do not end in time.
pub async fn unload(endpoint: &Endpoint, name: &str) -> Result<Reply, Error> {
    endpoint
        .models
        .unload(name, Instant::now() + UNLOAD_TIMEOUT)
        .await?;
    Ok(status(
        StatusCode::OK,
        &format!("Model \"{name}\" unregistered"),
    ))
}

/// What the repository does not hold, in multi-model-server's words.
fn in_model_store(error: ModelsError) -> Error {
    if let ModelsError::Load(load) = &error
        && let LoadError::Repository(RepositoryError::NotFound(name)) = &**load
    {
        return Error::UrlNotFound(format!("Model not found in model store: {name}"));
    }
    error.into()
}

fn status(code: StatusCode, text: &str) -> Reply {
    response::json(
        code,
        &StatusBody {
            status: text.to_owned(),
        },
    )
}

fn parse_fields(
    headers: &HeaderMap,
    query: Option<&str>,
    body: &[u8],
) -> Result<LoadFields, Error> {
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if is_json && !body.is_empty() {
        return parse_body(body);
    }
    let mut fields = LoadFields::default();
    for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let value = value.into_owned();
        match &*key {
            "model_name" => fields.model_name = Some(value),
            "url" => fields.url = Some(value),
            "synchronous" => fields.synchronous = Some(Flag::Text(value)),
            _ => {}
        }
    }
    Ok(fields)
}

fn parse_body(body: &[u8]) -> Result<LoadFields, Error> {
    let wrong = |what: String| {
        Error::BadRequest(format!(
            "the body is not a load request such as {{\"model_name\": \"...\", \"url\": \"...\"}}: {what}"
        ))
    };
    let json: serde_json::Value = serde_json::from_slice(body).map_err(|e| {
        wrong(format!(
            "not JSON at line {}, column {}",
            e.line(),
            e.column()
        ))
    })?;
    if !json.is_object() {
        return Err(wrong("not an object".into()));
    }
    serde_json::from_value(json).map_err(|_| wrong("a field of the wrong type".into()))
}

/// Names are free here, unlike those of artifacts, but they go into logs and lists.
fn check_name(name: &str) -> Result<(), Error> {
    // A signature covers a path in which dots are resolved.
    let dots = name.split('/').any(|part| part == "." || part == "..");
    if name.is_empty() || name.len() > 1024 || name.chars().any(char::is_control) || dots {
        let text =
            "model_name must have 1 to 1,024 bytes, no control characters and no parts . or ..";
        return Err(Error::BadRequest(text.into()));
    }
    Ok(())
}

/// `iris` for `tenant-a/iris.tar.gz`, and the model's folder for the platform's
/// `/opt/ml/models/NAME/model`.
fn name_from_url(url: &str) -> String {
    let path = Path::new(url);
    let own = path.file_name().map(|name| name.to_string_lossy());
    let name = match own.as_deref() {
        Some("model") => path.parent().and_then(Path::file_name),
        _ => path.file_name(),
    };
    let name = name.map(|name| name.to_string_lossy()).unwrap_or_default();
    without_ending(&name).unwrap_or(&name).to_owned()
}

/// What a load request's url points to: a name in the repository, or an absolute path in the
/// repository or under one of `roots`.
///
/// Paths elsewhere are refused: otherwise whoever can reach this port could have any directory of
/// the machine read by a model.
///
/// # Errors
///
/// [`Error::ForbiddenUrl`] for what lies elsewhere, [`Error::UrlNotFound`] and others for what makes
/// no sense.
pub fn find_source(
    url: &str,
    repository: Option<&Repository>,
    roots: &[PathBuf],
) -> Result<Source, Error> {
    let not_found = || Error::UrlNotFound(format!("Invalid model url: {url}"));
    let path = url.strip_prefix("file://").unwrap_or(url);
    if path.contains("://") {
        let text = format!("the model url {url} is neither a path nor a name in the repository");
        return Err(Error::BadRequest(text));
    }
    if !path.starts_with('/') {
        return relative_source(path, repository);
    }
    let inside = |path: &Path| {
        repository.is_some_and(|repository| repository.contains(path))
            || roots.iter().any(|root| {
                path.starts_with(root) || root.canonicalize().is_ok_and(|r| path.starts_with(r))
            })
    };
    let forbidden = || {
        Error::ForbiddenUrl(format!(
            "the model url {url} is neither in the repository nor under a --model-root"
        ))
    };
    // Before the disk is asked, or else the answers would tell which paths exist elsewhere.
    let path = Path::new(path);
    if has_parent_dir(path) || !inside(path) {
        return Err(forbidden());
    }
    let path = path.canonicalize().map_err(|_| not_found())?;
    if !inside(&path) {
        return Err(forbidden());
    }
    if path.is_dir() {
        Ok(Source::Directory(path))
    } else if path.is_file() {
        Ok(Source::Archive(path))
    } else {
        Err(not_found())
    }
}

fn has_parent_dir(path: &Path) -> bool {
    path.components()
        .any(|part| part == std::path::Component::ParentDir)
}

fn relative_source(url: &str, repository: Option<&Repository>) -> Result<Source, Error> {
    let not_found = || Error::UrlNotFound(format!("Model not found in model store: {url}"));
    if has_parent_dir(Path::new(url)) {
        let text = format!("Relative path is not allowed in url: {url}");
        return Err(Error::UrlNotFound(text));
    }
    repository.ok_or_else(not_found)?;
    Ok(Source::Repository(ModelName::parse(url)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_urls() {
        for (url, name) in [
            ("/opt/ml/models/abc/model", "abc"),
            ("tenant-a/iris.tar.gz", "iris"),
            ("iris.wasm", "iris"),
            ("/x/y", "y"),
        ] {
            assert_eq!(name_from_url(url), name);
        }
    }

    #[test]
    fn urls_outside_of_the_roots_are_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("m")).unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("link")).unwrap();
        let find = |url: &str| find_source(url, None, &[root.path().to_owned()]);
        let inside = |name: &str| root.path().join(name).display().to_string();

        assert!(matches!(find(&inside("m")), Ok(Source::Directory(_))));
        assert!(matches!(find("/etc"), Err(Error::ForbiddenUrl(_))));
        assert!(matches!(find(&inside("link")), Err(Error::ForbiddenUrl(_))));
        assert!(matches!(
            find(&inside("m/../../..")),
            Err(Error::ForbiddenUrl(_))
        ));
        assert!(matches!(find(&inside("none")), Err(Error::UrlNotFound(_))));
        assert!(matches!(find("../fake.mar"), Err(Error::UrlNotFound(_))));
        assert!(matches!(find("x.tar.gz"), Err(Error::UrlNotFound(_))));
    }
}
