//! What all requests share.

use std::sync::Arc;

use crate::access::Access;
use crate::budget::Budget;
use crate::config::Settings;
use crate::endpoint::{Endpoint, Gate};
use crate::error::Error;
use crate::load::Tools;
use crate::metrics::Metrics;
use crate::models::Neighbours;

/// The host: its settings and its endpoints.
pub struct Host {
    /// As the operator gave them.
    pub settings: Settings,
    /// Who may call.
    pub access: Access,
    /// The endpoints, the default one first if there is one.
    endpoints: Vec<Endpoint>,
    /// The engine and the cache directory.
    pub tools: Arc<Tools>,
    /// What operators watch.
    pub metrics: Arc<Metrics>,
    /// The memory that bodies and answers of requests in flight may hold.
    pub buffers: Arc<Budget>,
    /// Requests to models in flight.
    pub gate: Gate,
}

impl Host {
    /// Opens the repositories and the cache directory and starts the engine.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub async fn start(settings: Settings) -> Result<Self, String> {
        let access = Access::open(&settings.access)?;
        let metrics = Arc::new(Metrics::new()?);
        let tools = Tools::start(&settings, metrics.clone())?;
        let neighbours: Arc<Neighbours> = Arc::default();
        let mut endpoints = Vec::new();
        for (own, labelled) in named(&settings) {
            let name = own.name.clone();
            let start =
                Endpoint::start(own, &settings, &tools, &metrics, &neighbours, labelled).await;
            endpoints.push(start.map_err(|error| match labelled {
                true => format!("the endpoint {name}: {error}"),
                false => error,
            })?);
        }
        Ok(Self {
            access,
            endpoints,
            tools,
            metrics,
            buffers: Budget::new(settings.request_memory),
            gate: Gate::new(settings.max_requests),
            settings,
        })
    }

    /// The endpoints, the default one first if there is one.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The name of the endpoint that a request means, whether there is such a one or not.
    pub fn endpoint_name<'a>(&'a self, name: Option<&'a str>) -> &'a str {
        let default = || self.settings.default_endpoint.as_ref();
        match name {
            Some(name) => name,
            None => default().map_or("", |endpoint| &endpoint.name),
        }
    }

    /// The endpoint `name`, or the default one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchEndpoint`], [`Error::NoDefaultEndpoint`]
    pub fn endpoint(&self, name: Option<&str>) -> Result<&Endpoint, Error> {
        match name {
            Some(name) => {
                let mut all = self.endpoints.iter();
                let found = all.find(|endpoint| endpoint.settings.name == name);
                found.ok_or_else(|| Error::NoSuchEndpoint(name.to_owned()))
            }
            None => {
                let first = self.endpoints.first();
                let default = first.filter(|_| self.settings.default_endpoint.is_some());
                default.ok_or(Error::NoDefaultEndpoint)
            }
        }
    }
}

/// The settings of all endpoints, and whether log lines are to name the endpoint.
fn named(settings: &Settings) -> Vec<(crate::config::EndpointSettings, bool)> {
    let default = settings.default_endpoint.iter();
    let default = default.map(|endpoint| (endpoint.clone(), false));
    let others = settings.endpoints.iter();
    default
        .chain(others.map(|endpoint| (endpoint.clone(), true)))
        .collect()
}
