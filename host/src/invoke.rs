//! The story of an invocation: resolve the target model, lease a cell, run the hooks, reply.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use tokio::time::{Instant, sleep};

use crate::budget::Account;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::headers::{self, CUSTOM_ATTRIBUTES, INFERENCE_ID, TARGET_MODEL, TARGET_VARIANT};
use crate::hooks::Request;
use crate::host::Host;
use crate::load::Source;
use crate::models::{Model, Models};
use crate::repository::{ModelName, RepositoryError};
use crate::response::{self, Reply};
use crate::sandbox::Invocation;
use crate::server::RequestBody;

/// How long a request waits for loads to give memory back, and its pauses.
const LOADS_WAIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// Which model a request is for.
pub enum Target {
    /// The model that `/invocations` names, if it names one: from the repository if need be.
    Named(Option<String>),
    /// A model that must be loaded: `/models/NAME/invoke`.
    Loaded(String),
}

impl Target {
    /// The target of a request to `/invocations`: the header, or else the query parameter.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] if the header is not UTF-8.
    pub fn of_invocation(headers: &HeaderMap, query: Option<&str>) -> Result<Self, Error> {
        if let Some(name) = text(headers, &TARGET_MODEL)? {
            return Ok(Self::Named(Some(name)));
        }
        let from_query = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(key, _)| key == "TargetModel")
            .map(|(_, value)| value.into_owned());
        Ok(Self::Named(from_query))
    }

    /// The model's name, as far as the caller said it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => name.as_deref(),
            Self::Loaded(name) => Some(name),
        }
    }
}

/// Serves one invocation.
///
/// # Errors
///
/// Any [`Error`] of finding or loading the model, of waiting for a cell, or of the hooks.
pub async fn invoke(
    host: &Host,
    endpoint: &Endpoint,
    target: Target,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Reply, Error> {
    let begin = Instant::now();
    let end = begin + endpoint.settings.limits.request_timeout;
    let request = guest_request(headers, body.bytes)?;
    let invocation = serve(host, endpoint, target, request, end).await?;
    let payload = invocation.payload;
    let charge = Account::new(&host.buffers).charge(payload.body.len() as u64);
    let reply = response::payload(payload, charge.map_err(|_| Error::Overloaded)?)?;
    let in_hooks = invocation.times.total();
    let overhead = begin.elapsed().saturating_sub(in_hooks);
    host.metrics.answered(in_hooks, overhead);
    Ok(reply)
}

async fn serve(
    host: &Host,
    endpoint: &Endpoint,
    target: Target,
    mut request: Request,
    end: Instant,
) -> Result<Invocation, Error> {
    let model = resolve(host, endpoint, target, end).await?;
    // Named in the query, or not at all: the model still learns by which name it was found.
    let name = || model.name.to_string();
    request.target_model.get_or_insert_with(name);
    let result = match host.settings.multi_model {
        true => run_beside_loads(&endpoint.models, &model, request, end).await,
        false => run(&model, request, end).await,
    };
    match &result {
        Ok(invocation) => {
            let times = &invocation.times;
            model.stats.answered(times);
            tracing::debug!(
                model = &*model.name,
                input_fn = ?times.input_fn,
                predict_fn = ?times.predict_fn,
                output_fn = ?times.output_fn,
                "answered"
            );
        }
        Err(_) => model.stats.failed(),
    }
    result
}

/// In SageMaker's multi-model mode a load that finds no room takes all there is before it fails, and
/// no other model goes for it. A request beside it that needs memory just then only has to wait.
async fn run_beside_loads(
    models: &Models,
    model: &Model,
    request: Request,
    end: Instant,
) -> Result<Invocation, Error> {
    let give_up = end.min(Instant::now() + LOADS_WAIT);
    let mut pause = FIRST_PAUSE;
    loop {
        let beside_load = models.is_loading();
        match run(model, request.clone(), end).await {
            Err(error)
                if error.is_full()
                    && (beside_load || models.is_loading())
                    && Instant::now() + pause < give_up =>
            {
                sleep(pause).await;
                pause = (2 * pause).min(LAST_PAUSE);
            }
            result => return result,
        }
    }
}

async fn run(model: &Model, request: Request, end: Instant) -> Result<Invocation, Error> {
    let loaded = model.loaded();
    // The artifact's own limit, within the host's.
    let deadline = end.min(Instant::now() + loaded.request_timeout);
    let lease = loaded
        .cells
        .lease(deadline)
        .await
        .map_err(|e| Error::from_lease(&model.name, e, loaded.request_timeout))?;
    lease
        .invoke(request, deadline)
        .await
        .map_err(|e| Error::from_cell(e, loaded.request_timeout))
}

async fn resolve(
    host: &Host,
    endpoint: &Endpoint,
    target: Target,
    end: Instant,
) -> Result<Arc<Model>, Error> {
    let models = &endpoint.models;
    let name = match target {
        Target::Loaded(name) => {
            let model = models.get_or_wait(&name, end).await?;
            host.metrics.cache_hits.inc();
            return Ok(model);
        }
        Target::Named(Some(name)) => name,
        Target::Named(None) => only_model(endpoint).await?,
    };
    if let Some(model) = models.get(&name) {
        host.metrics.cache_hits.inc();
        return newest(endpoint, model).await;
    }
    if endpoint.repository.is_none() {
        return Ok(models.get_or_wait(&name, end).await?);
    }
    let source = Source::Repository(ModelName::parse(&name)?);
    host.metrics.cache_misses.inc();
    Ok(models.get_or_load(&name, &name, source, end).await?)
}

/// The model, after the repository was asked if each request has to ask.
async fn newest(endpoint: &Endpoint, model: Arc<Model>) -> Result<Arc<Model>, Error> {
    let asks = endpoint.repository.is_some() && endpoint.settings.revalidate_after.is_zero();
    if asks && !endpoint.models.revalidate(&model).await {
        return Err(RepositoryError::NotFound(model.name.to_string()).into());
    }
    Ok(model)
}

/// The model that is meant when a caller names none: the only artifact of the repository, or else
/// the only loaded model.
async fn only_model(endpoint: &Endpoint) -> Result<String, Error> {
    if let Some(repository) = &endpoint.repository {
        return Ok(repository.only().await?.to_string());
    }
    let page = endpoint.models.page(None, 1);
    match page.models.first() {
        Some(model) if !page.more => Ok(model.name.to_string()),
        Some(_) => Err(RepositoryError::Ambiguous("several models").into()),
        None => Err(RepositoryError::Ambiguous("no model").into()),
    }
}

/// What the guest sees of a request.
///
/// # Errors
///
/// [`Error::BadRequest`] if one of the headers is not UTF-8.
pub fn guest_request(headers: &HeaderMap, body: Bytes) -> Result<Request, Error> {
    Ok(Request {
        body: body.into(),
        content_type: text(headers, &CONTENT_TYPE)?,
        accept: text(headers, &ACCEPT)?,
        target_model: text(headers, &TARGET_MODEL)?,
        custom_attributes: text(headers, &CUSTOM_ATTRIBUTES)?,
        inference_id: text(headers, &INFERENCE_ID)?,
        target_variant: text(headers, &TARGET_VARIANT)?,
    })
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Error> {
    Ok(headers::text(headers, name)?.map(str::to_owned))
}
