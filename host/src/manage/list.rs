//! `GET /models`: the loaded models, or with `scope=repository` those that could be.

use hyper::StatusCode;
use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::repository::Listed;
use crate::response::{self, Reply};

/// Models on a page, unless the caller wants fewer.
const PAGE: usize = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListBody<T> {
    models: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadedItem {
    model_name: String,
    model_url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryItem {
    model_name: String,
    /// Bytes.
    size: u64,
    /// As in `2026-01-31T12:00:00Z`.
    last_modified: String,
    loaded: bool,
}

/// What a request asks for.
struct Query {
    limit: usize,
    after: Option<String>,
    of_repository: bool,
}

/// `GET /models`
///
/// # Errors
///
/// If the repository cannot be listed, or there is none; never without `scope=repository`.
pub async fn list(endpoint: &Endpoint, query: Option<&str>) -> Result<Reply, Error> {
    let query = parse(query)?;
    if query.of_repository {
        return list_repository(endpoint, &query).await;
    }
    let page = endpoint.models.page(query.after.as_deref(), query.limit);
    let items = page.models.iter().map(|model| LoadedItem {
        model_name: model.name.to_string(),
        model_url: model.url.clone(),
    });
    let last = page.models.last().map(|model| model.name.to_string());
    Ok(reply(items.collect(), last, page.more))
}

async fn list_repository(endpoint: &Endpoint, query: &Query) -> Result<Reply, Error> {
    let repository = endpoint.repository.as_ref().ok_or_else(|| {
        Error::BadRequest("there is no repository to list: the platform loads the models".into())
    })?;
    let page = repository.list(query.after.as_deref(), query.limit).await?;
    let last = page
        .artifacts
        .last()
        .map(|artifact| artifact.name.to_string());
    let items = page
        .artifacts
        .iter()
        .map(|artifact| item(endpoint, artifact));
    Ok(reply(items.collect(), last, page.more))
}

fn item(endpoint: &Endpoint, artifact: &Listed) -> RepositoryItem {
    RepositoryItem {
        model_name: artifact.name.to_string(),
        size: artifact.size,
        last_modified: humantime::format_rfc3339_seconds(artifact.modified).to_string(),
        loaded: endpoint.models.is_ready(artifact.name.as_str()),
    }
}

fn parse(query: Option<&str>) -> Result<Query, Error> {
    let mut parsed = Query {
        limit: PAGE,
        after: None,
        of_repository: false,
    };
    for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*key {
            "limit" => {
                // What makes no sense means the default, as in multi-model-server.
                let wish = value.parse().ok();
                parsed.limit = wish.filter(|n| (1..=PAGE).contains(n)).unwrap_or(PAGE);
            }
            "next_page_token" => parsed.after = Some(value.into_owned()),
            "scope" if value == "repository" => parsed.of_repository = true,
            "scope" if value == "loaded" => {}
            "scope" => {
                let text = "scope must be loaded or repository";
                return Err(Error::BadRequest(text.into()));
            }
            _ => {}
        }
    }
    Ok(parsed)
}

/// The token is the last name, so a page neither repeats nor leaves out a model because others come
/// and go between two calls.
fn reply<T: Serialize>(models: Vec<T>, last: Option<String>, more: bool) -> Reply {
    let body = ListBody {
        models,
        next_page_token: last.filter(|_| more),
    };
    response::json(StatusCode::OK, &body)
}
