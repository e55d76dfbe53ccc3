//! The connection to S3: credentials, region, address, time limits.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::{ResponseChecksumValidation, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::time::timeout;
use url::Url;

use crate::config::RepositoryOptions;

/// For a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// From a request to the first byte of its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// For one operation without its body, further attempts included.
const OPERATION_LIMIT: Duration = Duration::from_secs(30);

/// Attempts of one operation. Models that wait for one are worth a few, but not more.
const ATTEMPTS: u32 = 3;

/// For finding the settings, of which the region may be asked for on the network.
const SETTINGS_LIMIT: Duration = Duration::from_secs(5);

/// S3-compatible servers have no regions, but a signature must name one.
const COMPATIBLE_REGION: &str = "us-east-1";

/// A client that has not sent anything to S3 yet, and gets credentials when it does.
///
/// # Errors
///
/// One line that says what to mend.
pub(super) async fn connect(options: &RepositoryOptions) -> Result<Client, String> {
    let endpoint = options.s3_endpoint.as_deref();
    if let Some(endpoint) = endpoint {
        check_endpoint(endpoint)?;
    }
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let settings = settings(http, endpoint).await?;
    let mut config = aws_sdk_s3::config::Builder::from(&settings)
        .force_path_style(options.s3_path_style)
        .retry_classifier(TooManyRequests)
        // Downloads are checked by this crate, which knows how they resume.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(config.build()))
}

/// Makes the SDK try again after the status of some S3-compatible servers for what S3 calls
/// `SlowDown`.
#[derive(Debug)]
struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if response.status().as_u16() == 429 => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "too many requests"
    }
}

async fn settings(http: SharedHttpClient, endpoint: Option<&str>) -> Result<SdkConfig, String> {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(200))
                .with_max_backoff(Duration::from_secs(3)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_LIMIT)
                .read_timeout(ANSWER_LIMIT)
                .operation_timeout(OPERATION_LIMIT)
                .build(),
        )
        // Downloads have a limit of their own for a body that stalls.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let settings = timeout(SETTINGS_LIMIT, with_region(loader, endpoint).load());
    match settings.await {
        Ok(settings) if settings.region().is_some() => Ok(settings),
        _ => Err(
            "no AWS region is set for the repository: set AWS_REGION to that of the bucket".into(),
        ),
    }
}

/// With an endpoint of its own the region matters little, so nobody on the network is asked for it.
fn with_region(loader: ConfigLoader, endpoint: Option<&str>) -> ConfigLoader {
    if endpoint.is_none() {
        return loader;
    }
    loader.region(
        RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::from_static(COMPATIBLE_REGION)),
    )
}

fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let url = Url::parse(endpoint);
    match url {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(()),
        _ => Err(format!(
            "--s3-endpoint {} is not an address such as http://127.0.0.1:9000",
            endpoint.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address() {
        for good in ["http://127.0.0.1:9000", "https://s3.example.com/path"] {
            check_endpoint(good).unwrap();
        }
        for bad in [
            "",
            "127.0.0.1:9000",
            "s3.example.com",
            "s3://bucket",
            "http://",
        ] {
            assert!(check_endpoint(bad).unwrap_err().contains("--s3-endpoint"));
        }
    }
}
