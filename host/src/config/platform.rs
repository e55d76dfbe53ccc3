//! What SageMaker says through the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use bytesize::ByteSize;

use super::Lookup;

/// The port of containers, unless the platform names another:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html>
const PORT: u16 = 8080;

/// Who reads the body limit of SageMaker's XGBoost container allows no more than this in multi-model
/// mode.
const MAX_CONTENT_CEILING: u64 = 20 << 20;

/// The variables that matter here.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Platform {
    /// The platform loads and unloads the models itself.
    pub(super) multi_model: bool,
    port: Option<u16>,
    /// The ports that a container may open beside that one.
    safe_ports: Option<RangeInclusive<u16>>,
    /// The largest request body.
    pub(super) max_body: Option<ByteSize>,
    /// The largest answer.
    pub(super) max_response: Option<ByteSize>,
    /// The longest time for a request.
    pub(super) request_seconds: Option<u64>,
}

impl Platform {
    /// # Errors
    ///
    /// One line that names the variable whose value makes no sense.
    pub(super) fn read(env: Lookup<'_>) -> Result<Self, String> {
        let multi_model =
            env("SAGEMAKER_MULTI_MODEL").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let seconds = [
            "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT",
            "SAGEMAKER_RESPONSE_TIMEOUT",
        ];
        Ok(Self {
            multi_model,
            port: number(env, "SAGEMAKER_BIND_TO_PORT")?,
            safe_ports: safe_ports(env)?,
            max_body: max_body(env, multi_model)?,
            max_response: number(env, "SAGEMAKER_MAX_RESPONSE_SIZE")?.map(ByteSize),
            request_seconds: first(env, &seconds)?,
        })
    }

    /// Whether this is a container of SageMaker's.
    pub(super) fn is_there(&self) -> bool {
        self.multi_model || self.port.is_some()
    }

    /// Within SageMaker all interfaces, because the platform calls from outside of the container.
    pub(super) fn bind(&self) -> SocketAddr {
        let address = match self.is_there() {
            true => Ipv4Addr::UNSPECIFIED,
            false => Ipv4Addr::LOCALHOST,
        };
        SocketAddr::from((address, self.own_port()))
    }

    fn own_port(&self) -> u16 {
        self.port.unwrap_or(PORT)
    }

    /// Containers that share a network address get ports of their own, and must not open others.
    ///
    /// # Errors
    ///
    /// If `port` is another one.
    pub(super) fn check_port(&self, port: u16) -> Result<(), String> {
        match &self.safe_ports {
            Some(safe) if !safe.contains(&port) && port != self.own_port() => Err(format!(
                "--bind names the port {port}, but SageMaker calls on {} (SAGEMAKER_BIND_TO_PORT) \
                 and allows {} to {} beside it (SAGEMAKER_SAFE_PORT_RANGE): leave --bind out",
                self.own_port(),
                safe.start(),
                safe.end()
            )),
            _ => Ok(()),
        }
    }
}

/// The most exact variable first, as DJL Serving has it.
fn max_body(env: Lookup<'_>, multi_model: bool) -> Result<Option<ByteSize>, String> {
    if let Some(bytes) = number(env, "SAGEMAKER_MAX_REQUEST_SIZE")? {
        return Ok(Some(ByteSize(bytes)));
    }
    if let Some(mib) = number::<u64>(env, "SAGEMAKER_MAX_PAYLOAD_IN_MB")? {
        return Ok(Some(ByteSize(mib.saturating_mul(1 << 20))));
    }
    let bytes = number::<u64>(env, "MAX_CONTENT_LENGTH")?;
    let ceiling = if multi_model {
        MAX_CONTENT_CEILING
    } else {
        u64::MAX
    };
    Ok(bytes.map(|bytes| ByteSize(bytes.min(ceiling))))
}

/// `25000-25999`, both included.
fn safe_ports(env: Lookup<'_>) -> Result<Option<RangeInclusive<u16>>, String> {
    let name = "SAGEMAKER_SAFE_PORT_RANGE";
    let Some(value) = env(name) else {
        return Ok(None);
    };
    let port = |text: &str| text.trim().parse::<u16>().ok();
    let range = value
        .split_once('-')
        .and_then(|(first, last)| Some(port(first)?..=port(last)?))
        .filter(|range| !range.is_empty());
    range.map(Some).ok_or_else(|| {
        format!(
            "the variable {name} is {value:?}, which is not a range of ports such as 25000-25999"
        )
    })
}

/// The first of these variables that is set.
fn first(env: Lookup<'_>, names: &[&str]) -> Result<Option<u64>, String> {
    let set = names.iter().find(|name| env(name).is_some());
    set.map_or(Ok(None), |name| number(env, name))
}

fn number<T: FromStr>(env: Lookup<'_>, name: &str) -> Result<Option<T>, String> {
    env(name)
        .map(|value| {
            value.trim().parse().map_err(|_| {
                format!("the variable {name} is {value:?}, which is not a number that fits")
            })
        })
        .transpose()
}
