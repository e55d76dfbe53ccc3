//! Answers requests: who asks for what, and may they; then the operation itself.
//!
//! `/ping` and `GET /models` touch nothing that blocks, so they answer at once whatever models do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::body::{self, Limits, RequestBody};
use super::connections::{InFlight, Phase};
use crate::access::Caller;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::headers;
use crate::host::Host;
use crate::invoke::{Target, invoke};
use crate::manage;
use crate::monitor;
use crate::response::{self, Reply};
use crate::route::{Operation, Route, is_runtime_api, route};
use crate::runtime_api::Echo;

/// The body of a request that wants none: bytes, and the time for them.
const EMPTY_BODY: u64 = 64 << 10;
const EMPTY_BODY_TIME: Duration = Duration::from_secs(10);

/// A request to load a model may have so many bytes, however small those to models must be.
const LOAD_BODY: u64 = 64 << 10;

/// From this size on, a body's digest takes so long that other requests must not wait for it: about a
/// quarter of a millisecond.
const LARGE_BODY: usize = 256 << 10;

/// What serves the requests of all connections.
pub(super) struct Service {
    host: Arc<Host>,
    stopping: watch::Receiver<bool>,
}

/// A request whose caller is known by its head, but not proven yet.
struct Call<'a> {
    head: Parts,
    body: Incoming,
    caller: Caller,
    flight: &'a mut InFlight,
}

impl Service {
    pub(super) fn new(host: Arc<Host>, stopping: watch::Receiver<bool>) -> Self {
        Self { host, stopping }
    }

    /// The answer to a request.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        mut flight: InFlight,
    ) -> Response<Full<Bytes>> {
        let echo = is_runtime_api(request.uri().path()).then(|| Echo::of(request.headers()));
        let result = self.dispatch(request, &mut flight).await;
        let mut reply = result.unwrap_or_else(|error| {
            // It may quote what a caller sent, which must not forge lines.
            let text = crate::sandbox::printable(&error.to_string());
            let request = echo.as_ref().map(|echo| &*echo.request_id);
            let status = error.status().0.as_u16();
            tracing::debug!(error = %text, status, request, "request failed");
            match echo {
                Some(_) => response::runtime_error(&error),
                None => response::error(&error),
            }
        });
        if let Some(echo) = echo {
            response::echo(&mut reply, echo);
        }
        flight.send(reply.body().len());
        reply.map(|bytes| {
            Full::new(Bytes::from_owner(Sent {
                bytes,
                _flight: flight,
            }))
        })
    }

    async fn dispatch(
        &self,
        request: Request<Incoming>,
        flight: &mut InFlight,
    ) -> Result<Reply, Error> {
        let host = &*self.host;
        if flight.is_late() {
            return Err(Error::Late);
        }
        let route = route(request.method(), request.uri().path())?;
        if route == Route::Ping {
            // Whoever watches the host's health has no key.
            return match *self.stopping.borrow() {
                true => Err(Error::Stopping),
                false => Ok(response::empty()),
            };
        }
        let caller = host.access.check_head(&request)?;
        let (head, body) = request.into_parts();
        let call = Call {
            head,
            body,
            caller,
            flight,
        };
        match route {
            Route::Ping => Err(Error::NoSuchRoute),
            Route::Ready => {
                self.prove(call).await?.may_monitor()?;
                Ok(monitor::ready(host))
            }
            Route::Metrics => {
                self.prove(call).await?.may_monitor()?;
                monitor::metrics(host)
            }
            Route::Endpoints => {
                let caller = self.prove(call).await?;
                Ok(manage::endpoints(host, &caller))
            }
            Route::InvokeEndpoint(name) => {
                headers::check(&call.head.headers)?;
                let target = Target::of_invocation(&call.head.headers, call.head.uri.query())?;
                self.invoke(call, Some(&name), target).await
            }
            Route::Of(name, Operation::Invocations) => {
                let target = Target::of_invocation(&call.head.headers, call.head.uri.query())?;
                self.invoke(call, name.as_deref(), target).await
            }
            Route::Of(name, Operation::Invoke(model)) => {
                self.invoke(call, name.as_deref(), Target::Loaded(model))
                    .await
            }
            Route::Of(name, operation) => self.manage(call, name.as_deref(), operation).await,
        }
    }

    /// A request to a model, counted however it ends.
    async fn invoke(
        &self,
        mut call: Call<'_>,
        endpoint: Option<&str>,
        target: Target,
    ) -> Result<Reply, Error> {
        let host = &*self.host;
        // Before a caller learns which endpoints there are.
        let name = host.endpoint_name(endpoint);
        let allowed = call.caller.may_invoke(name, target.name());
        let endpoint = match allowed
            .map_err(Error::from)
            .and_then(|()| host.endpoint(endpoint))
        {
            Ok(endpoint) => endpoint,
            Err(error) => return Err(self.refuse(call, error).await),
        };
        let result = async {
            let limit = host.settings.max_requests;
            let _of_host = host.gate.enter().ok_or(Error::TooMany(limit))?;
            let _of_endpoint = endpoint.enter()?;
            let size = endpoint.settings.max_body;
            let body = self.read(&mut call, endpoint, size).await?;
            invoke(host, endpoint, target, &call.head.headers, body).await
        };
        let result = result.await;
        if !matches!(result, Err(Error::Denied(_))) {
            let status = match &result {
                Ok(reply) => reply.status(),
                Err(error) => error.status().0,
            };
            host.metrics.invoked(status);
            endpoint.counts.answered(status);
        }
        result
    }

    /// A request to the model-management API.
    async fn manage(
        &self,
        mut call: Call<'_>,
        endpoint: Option<&str>,
        operation: Operation,
    ) -> Result<Reply, Error> {
        let host = &*self.host;
        let model = match &operation {
            Operation::Describe(name) | Operation::Unload(name) => Some(&**name),
            _ => None,
        };
        let name = host.endpoint_name(endpoint);
        let allowed = call.caller.may_manage(name, model);
        let endpoint = match allowed
            .map_err(Error::from)
            .and_then(|()| host.endpoint(endpoint))
        {
            Ok(endpoint) => endpoint,
            Err(error) => return Err(self.refuse(call, error).await),
        };
        if matches!(operation, Operation::Load) {
            let size = endpoint.settings.max_body.max(LOAD_BODY);
            let body = self.read(&mut call, endpoint, size).await?;
            let Parts { headers, uri, .. } = &call.head;
            return manage::load(host, endpoint, headers, uri.query(), &body.bytes).await;
        }
        let query = call.head.uri.query().map(str::to_owned);
        self.prove(call).await?;
        match operation {
            Operation::List => manage::list(endpoint, query.as_deref()).await,
            Operation::Describe(name) => manage::describe(host, endpoint, &name),
            Operation::Unload(name) => manage::unload(endpoint, &name).await,
            Operation::Load | Operation::Invocations | Operation::Invoke(_) => {
                Err(Error::NoSuchRoute)
            }
        }
    }

    /// The body of at most `size` bytes, which proves who the caller is.
    async fn read(
        &self,
        call: &mut Call<'_>,
        endpoint: &Endpoint,
        size: u64,
    ) -> Result<RequestBody, Error> {
        let limits = Limits {
            size,
            time: endpoint.settings.limits.request_timeout,
            buffers: &self.host.buffers,
        };
        let read = body::read(&call.head.headers, &mut call.body, &limits).await?;
        call.flight.enter(Phase::Working);
        match read.bytes.len() > LARGE_BODY && call.caller.signs_body() {
            true => block_in_place(|| call.caller.prove(&read.bytes))?,
            false => call.caller.prove(&read.bytes)?,
        }
        Ok(read)
    }

    /// What a caller hears who is refused with `error`, once it is proven: whoever knows the id of a
    /// key alone must not learn from refusals what the key allows and which endpoints there are.
    async fn refuse(&self, mut call: Call<'_>, error: Error) -> Error {
        let host = &*self.host;
        let endpoints = host.endpoints().iter();
        let largest = endpoints.max_by_key(|endpoint| endpoint.settings.max_body);
        let Some(endpoint) = largest.filter(|_| call.caller.signs_body()) else {
            return error;
        };
        let Some(_of_host) = host.gate.enter() else {
            return Error::TooMany(host.settings.max_requests);
        };
        let size = endpoint.settings.max_body.max(LOAD_BODY);
        let read = self.read(&mut call, endpoint, size).await;
        read.err().unwrap_or(error)
    }

    /// Proves who the caller is where no body is wanted. Only a signature speaks of one.
    async fn prove(&self, mut call: Call<'_>) -> Result<Caller, Error> {
        if !call.caller.signs_body() {
            call.flight.enter(Phase::Working);
            return Ok(call.caller);
        }
        let limits = Limits {
            size: EMPTY_BODY,
            time: EMPTY_BODY_TIME,
            buffers: &self.host.buffers,
        };
        let read = body::read(&call.head.headers, &mut call.body, &limits).await?;
        call.flight.enter(Phase::Working);
        call.caller.prove(&read.bytes)?;
        Ok(call.caller)
    }
}

/// An answer's body, whose request is in flight until it is sent.
struct Sent {
    bytes: Bytes,
    _flight: InFlight,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
