//! Method and path to operation. Pure: no I/O, no headers but the method.
//!
//! Routes are those of SageMaker's container contract:
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html> and
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html>.

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
    let not_allowed = |allow| Err(Error::MethodNotAllowed { allow });
    match (path, method) {
        ("/ping", &Method::GET) => Ok(Route::Ping),
        ("/ping", _) => not_allowed("GET"),
        ("/ready", &Method::GET) => Ok(Route::Ready),
        ("/metrics", &Method::GET) => Ok(Route::Metrics),
        ("/ready" | "/metrics", _) => not_allowed("GET"),
        ("/invocations", &Method::POST) => Ok(Route::Invocations),
        ("/invocations", _) => not_allowed("POST"),
        ("/models" | "/models/", &Method::GET) => Ok(Route::List),
        ("/models" | "/models/", &Method::POST) => Ok(Route::Load),
        ("/models" | "/models/", _) => not_allowed("GET, POST"),
        _ => match path.strip_prefix("/models/") {
            Some(rest) => model_route(method, rest),
            None => Err(Error::NoSuchRoute),
        },
    }
}

fn model_route(method: &Method, rest: &str) -> Result<Route, Error> {
    match *method {
        Method::GET => Ok(Route::Describe(decode(rest)?)),
        Method::DELETE => Ok(Route::Unload(decode(rest)?)),
        Method::POST => match rest.strip_suffix("/invoke") {
            Some(name) if !name.is_empty() => Ok(Route::Invoke(decode(name)?)),
            _ => Err(Error::MethodNotAllowed {
                allow: "GET, DELETE",
            }),
        },
        _ => Err(Error::MethodNotAllowed {
            allow: "GET, DELETE",
        }),
    }
}

fn decode(name: &str) -> Result<String, Error> {
    percent_decode_str(name)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| Error::BadRequest("the model's name is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        for (method, path, expected) in [
            (Method::GET, "/ping", Route::Ping),
            (Method::POST, "/invocations", Route::Invocations),
            (Method::GET, "/models", Route::List),
            (Method::POST, "/models", Route::Load),
            (Method::GET, "/models/m", Route::Describe("m".into())),
            (Method::DELETE, "/models/m", Route::Unload("m".into())),
            (Method::POST, "/models/m/invoke", Route::Invoke("m".into())),
            (
                Method::POST,
                "/models/a/m.tar.gz/invoke",
                Route::Invoke("a/m.tar.gz".into()),
            ),
            (
                Method::POST,
                "/models/a%2Fm%20x/invoke",
                Route::Invoke("a/m x".into()),
            ),
        ] {
            assert_eq!(route(&method, path).unwrap(), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_there() {
        for (method, path) in [(Method::GET, "/"), (Method::GET, "/pings")] {
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
