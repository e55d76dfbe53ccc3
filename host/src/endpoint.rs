//! An endpoint: a name that callers use for a repository, and all that is its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hyper::StatusCode;

use crate::budget::Budget;
use crate::config::{EndpointSettings, Settings};
use crate::error::Error;
use crate::load::{Loader, Tools};
use crate::metrics::Metrics;
use crate::models::{Models, Neighbours, Policy};
use crate::repository::Repository;

/// A repository, its models and their limits.
pub struct Endpoint {
    /// As the operator gave them.
    pub settings: EndpointSettings,
    /// Where target models come from. None in SageMaker's multi-model mode, where the platform
    /// says what to load.
    pub repository: Option<Arc<Repository>>,
    /// What is loaded.
    pub models: Arc<Models>,
    /// The memory that its models may hold.
    pub budget: Arc<Budget>,
    /// Its requests in flight.
    pub gate: Gate,
    /// What it has done.
    pub counts: Counts,
}

impl Endpoint {
    /// Opens its repository and begins to load its pinned models. `labelled` if log lines are to name
    /// it.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub async fn start(
        settings: EndpointSettings,
        host: &Settings,
        tools: &Arc<Tools>,
        metrics: &Arc<Metrics>,
        neighbours: &Arc<Neighbours>,
        labelled: bool,
    ) -> Result<Self, String> {
        let repository = match &settings.repository {
            Some(options) => Some(Arc::new(
                Repository::open(options, tools.workspace()).await?,
            )),
            None => None,
        };
        let budget = Budget::new(settings.memory_budget);
        let loader = Loader::new(
            tools.clone(),
            repository.clone(),
            settings.limits.clone(),
            budget.clone(),
        );
        let policy = Policy {
            endpoint: labelled.then(|| settings.name.as_str().into()),
            neighbours: neighbours.clone(),
            budget: budget.clone(),
            evicts: !host.multi_model,
            min_residency: settings.min_residency,
            repository: repository.clone(),
            revalidate_after: settings.revalidate_after,
            pins: settings.pins.clone(),
        };
        Ok(Self {
            models: Models::start(loader, policy, metrics.clone()),
            gate: Gate::new(settings.max_requests),
            counts: Counts::default(),
            repository,
            budget,
            settings,
        })
    }

    /// Lets a request to a model in.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`] if as many as allowed are there already.
    pub fn enter(&self) -> Result<Pass<'_>, Error> {
        self.gate
            .enter()
            .ok_or(Error::TooMany(self.settings.max_requests))
    }
}

/// Counts how many are inside, and lets no more in than `limit`.
pub struct Gate {
    limit: usize,
    inside: AtomicUsize,
}

/// The right to be inside, until it is dropped.
pub struct Pass<'a>(&'a AtomicUsize);

impl Gate {
    /// Nobody is inside.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            inside: AtomicUsize::new(0),
        }
    }

    /// Lets one more in, if there is room.
    pub fn enter(&self) -> Option<Pass<'_>> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        // Dropped again if it is one too many.
        let pass = Pass(&self.inside);
        (before < self.limit).then_some(pass)
    }

    /// How many are inside.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Requests to the models of an endpoint, by how they ended.
#[derive(Debug, Default)]
pub struct Counts {
    invocations: AtomicU64,
    errors_4xx: AtomicU64,
    errors_5xx: AtomicU64,
}

/// A reading of [`Counts`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountsReading {
    /// All requests.
    pub invocations: u64,
    /// Those that were answered with a status from 400 to 499.
    pub errors_4xx: u64,
    /// Those that were answered with a status from 500.
    pub errors_5xx: u64,
}

impl Counts {
    /// Counts a request that was answered with `status`.
    pub fn answered(&self, status: StatusCode) {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        if status.is_client_error() {
            self.errors_4xx.fetch_add(1, Ordering::Relaxed);
        } else if status.is_server_error() {
            self.errors_5xx.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts now.
    pub fn read(&self) -> CountsReading {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CountsReading {
            invocations: read(&self.invocations),
            errors_4xx: read(&self.errors_4xx),
            errors_5xx: read(&self.errors_5xx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_lets_so_many_in_and_others_when_they_have_left() {
        let gate = Gate::new(2);
        let first = gate.enter().unwrap();
        let _second = gate.enter().unwrap();
        assert!(gate.enter().is_none());
        assert_eq!(gate.inside(), 2);
        drop(first);
        assert!(gate.enter().is_some());
        assert_eq!(gate.inside(), 1);
    }
}
