//! What SageMaker says through the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use bytesize::ByteSize;

use super::Lookup;

/// The variables that matter here.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Platform {
    /// The platform loads and unloads the models itself.
    pub(super) multi_model: bool,
    port: Option<u16>,
    /// The largest request body.
    pub(super) max_body: Option<ByteSize>,
}

impl Platform {
    /// # Errors
    ///
    /// One line that names the variable whose value makes no sense.
    pub(super) fn read(env: Lookup<'_>) -> Result<Self, String> {
        let multi_model =
            env("SAGEMAKER_MULTI_MODEL").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        Ok(Self {
            multi_model,
            port: number(env, "SAGEMAKER_BIND_TO_PORT")?,
            // The more exact one first, as DJL Serving has it.
            max_body: match number(env, "SAGEMAKER_MAX_REQUEST_SIZE")? {
                Some(bytes) => Some(ByteSize(bytes)),
                None => match number::<u64>(env, "SAGEMAKER_MAX_PAYLOAD_IN_MB")? {
                    Some(mib) => Some(ByteSize(mib.saturating_mul(1 << 20))),
                    None => number(env, "MAX_CONTENT_LENGTH")?.map(ByteSize),
                },
            },
        })
    }

    /// Within SageMaker all interfaces, because the platform calls from outside of the container.
    pub(super) fn bind(&self) -> SocketAddr {
        let inside = self.multi_model || self.port.is_some();
        let address = if inside {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        SocketAddr::from((address, self.port.unwrap_or(8080)))
    }
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
