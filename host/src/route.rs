//! Method and path to operation. Pure: no I/O, no headers but the method.
//!
//! Routes are those of SageMaker's container contract:
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html> and
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html>, and under `/endpoints`
//! that of its runtime API:
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html>.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::error::Error;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /ping`
    Ping,
    /// `GET /ready`, an extension
    Ready,
    /// `GET /metrics`
    Metrics,
    /// `GET /endpoints`, an extension
    Endpoints,
    /// `POST /endpoints/NAME/invocations`: InvokeEndpoint of SageMaker's runtime API
    InvokeEndpoint(String),
    /// The container contract: of the default endpoint, or under `/endpoints/NAME` of that one
    Of(Option<String>, Operation),
}

/// What the container contract offers for the models of an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /invocations`
    Invocations,
    /// `POST /models`
    Load,
    /// `GET /models`
    List,
    /// `GET /models/NAME`
    Describe(String),
    /// `DELETE /models/NAME`
    Unload(String),
    /// `POST /models/NAME/invoke`
    Invoke(String),
}

/// The route of a request.
///
/// A model's name may have slashes, written as such or as `%2F`: `/models/tenant-a/iris.tar.gz`.
///
/// # Errors
///
/// [`Error::NoSuchRoute`], [`Error::MethodNotAllowed`], or [`Error::BadRequest`] for a name that is
/// not UTF-8.
pub fn route(method: &Method, path: &str) -> Result<Route, Error> {
    match (path, method) {
        ("/ping", &Method::GET) => Ok(Route::Ping),
        ("/ready", &Method::GET) => Ok(Route::Ready),
        ("/metrics", &Method::GET) => Ok(Route::Metrics),
        ("/endpoints" | "/endpoints/", &Method::GET) => Ok(Route::Endpoints),
        ("/ping" | "/ready" | "/metrics" | "/endpoints" | "/endpoints/", _) => not_allowed("GET"),
        ("/invocations", &Method::POST) => Ok(Route::Of(None, Operation::Invocations)),
        ("/invocations", _) => not_allowed("POST"),
        _ => match path.strip_prefix("/endpoints/") {
            Some(rest) => endpoint_route(method, rest),
            None => Ok(Route::Of(None, models_route(method, path)?)),
        },
    }
}

/// Whether a path is one of SageMaker's runtime API, whose errors have a shape of their own.
pub fn is_runtime_api(path: &str) -> bool {
    let rest = path.strip_prefix("/endpoints/");
    let operation = rest.and_then(|rest| rest.split_once('/')).map(|(_, o)| o);
    operation.is_some_and(|operation| operation != "models" && !operation.starts_with("models/"))
}

/// The rest of `/endpoints/NAME/...`.
fn endpoint_route(method: &Method, rest: &str) -> Result<Route, Error> {
    let Some((name, _)) = rest.split_once('/') else {
        return Err(Error::NoSuchRoute);
    };
    let operation = rest.get(name.len()..).unwrap_or_default();
    let name = decode(name)?;
    match (operation, method) {
        ("/invocations", &Method::POST) => Ok(Route::InvokeEndpoint(name)),
        ("/invocations", _) => not_allowed("POST"),
        _ => Ok(Route::Of(Some(name), models_route(method, operation)?)),
    }
}

fn models_route(method: &Method, path: &str) -> Result<Operation, Error> {
    match (path, method) {
        ("/models" | "/models/", &Method::GET) => Ok(Operation::List),
        ("/models" | "/models/", &Method::POST) => Ok(Operation::Load),
        ("/models" | "/models/", _) => not_allowed("GET, POST"),
        _ => match path.strip_prefix("/models/") {
            Some(rest) => model_route(method, rest),
            None => Err(Error::NoSuchRoute),
        },
    }
}

fn model_route(method: &Method, rest: &str) -> Result<Operation, Error> {
    match *method {
        Method::GET => Ok(Operation::Describe(decode(rest)?)),
        Method::DELETE => Ok(Operation::Unload(decode(rest)?)),
        Method::POST => match rest.strip_suffix("/invoke") {
            Some(name) if !name.is_empty() => Ok(Operation::Invoke(decode(name)?)),
            _ => not_allowed("GET, DELETE"),
        },
        _ => not_allowed("GET, DELETE"),
    }
}

fn not_allowed<T>(allow: &'static str) -> Result<T, Error> {
    Err(Error::MethodNotAllowed { allow })
}

fn decode(name: &str) -> Result<String, Error> {
    percent_decode_str(name)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| Error::BadRequest("a name in the path is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        assert_eq!(route(&Method::GET, "/ping").unwrap(), Route::Ping);
        for (method, path, expected) in [
            (Method::POST, "/invocations", Operation::Invocations),
            (Method::GET, "/models", Operation::List),
            (Method::POST, "/models", Operation::Load),
            (Method::GET, "/models/m", Operation::Describe("m".into())),
            (Method::DELETE, "/models/m", Operation::Unload("m".into())),
            (
                Method::POST,
                "/models/a/m.tar.gz/invoke",
                Operation::Invoke("a/m.tar.gz".into()),
            ),
            (
                Method::POST,
                "/models/a%2Fm%20x/invoke",
                Operation::Invoke("a/m x".into()),
            ),
        ] {
            let found = route(&method, path).unwrap();
            assert_eq!(found, Route::Of(None, expected), "{method} {path}");
            assert!(!is_runtime_api(path));
        }
    }

    #[test]
    fn endpoints_have_the_models_routes_and_the_runtime_api() {
        let of = |operation| Route::Of(Some("churn".into()), operation);
        for (method, path, expected) in [
            (Method::GET, "/endpoints", Route::Endpoints),
            (Method::GET, "/endpoints/churn/models", of(Operation::List)),
            (
                Method::DELETE,
                "/endpoints/churn/models/a/b",
                of(Operation::Unload("a/b".into())),
            ),
        ] {
            assert_eq!(route(&method, path).unwrap(), expected, "{method} {path}");
            assert!(!is_runtime_api(path), "{path}");
        }
        let path = "/endpoints/churn/invocations";
        let invoke = Route::InvokeEndpoint("churn".into());
        assert_eq!(route(&Method::POST, path).unwrap(), invoke);
        assert!(is_runtime_api(path));
        for path in [
            "/endpoints/a/async-invocations",
            "/endpoints/a/b/c",
            "/endpoints/a/",
        ] {
            let missing = route(&Method::POST, path);
            assert!(matches!(missing, Err(Error::NoSuchRoute)), "{path}");
            assert!(is_runtime_api(path), "{path}");
        }
    }

    #[test]
    fn what_is_not_there() {
        for (method, path) in [
            (Method::GET, "/"),
            (Method::GET, "/pings"),
            (Method::GET, "/endpoints/a"),
        ] {
            assert!(
                matches!(route(&method, path), Err(Error::NoSuchRoute)),
                "{method} {path}"
            );
        }
        for (method, path) in [
            (Method::POST, "/ping"),
            (Method::GET, "/invocations"),
            (Method::DELETE, "/models"),
            (Method::PUT, "/models/m"),
            (Method::POST, "/models/m"),
            (Method::POST, "/models//invoke"),
        ] {
            assert!(
                matches!(route(&method, path), Err(Error::MethodNotAllowed { .. })),
                "{method} {path}"
            );
        }
        assert!(matches!(
            route(&Method::GET, "/models/%ff"),
            Err(Error::BadRequest(_))
        ));
    }
}
