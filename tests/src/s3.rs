//! Buckets on real S3 servers, filled with the AWS SDK.

mod fs_server;
mod moto;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, CreateBucketConfiguration};
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::Builder;
use tokio::runtime::Runtime;

use fs_server::FsServer;

/// The access key that the servers take.
pub const ACCESS_KEY: &str = "AKIATESTTESTTESTTEST";

/// Its secret, which must not come back in any answer.
pub const SECRET_KEY: &str = "a-secret-that-nobody-may-see";

/// The region that all requests are signed for.
pub const REGION: &str = "eu-central-1";

/// The least that S3 takes as a part.
const PART: usize = 5 << 20;

/// What runs the clients and the servers of this process.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// An object that was got.
pub struct Object {
    /// Its ETag.
    pub etag: String,
    /// Its bytes, or those that were asked for.
    pub body: Vec<u8>,
}

/// A bucket on a server.
pub struct Bucket {
    name: String,
    address: SocketAddr,
    client: Client,
    /// If it is the bucket's own.
    _server: Option<FsServer>,
}

impl Bucket {
    /// A bucket on an s3s server of its own, which verifies signatures.
    pub fn new() -> Self {
        let server = runtime().block_on(FsServer::start());
        Self::on(server.address(), Some(server))
    }

    /// A bucket on the moto server that the tests of this process share; none, saying so, where
    /// moto could not be installed.
    pub fn on_moto() -> Option<Self> {
        let address = moto::address();
        if address.is_none() {
            println!("skipped on moto: MODELCELL_PYTHON is not set (scripts/test-python.sh)");
        }
        Some(Self::on(address?, None))
    }

    fn on(address: SocketAddr, server: Option<FsServer>) -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(1);
        let name = format!("models-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let bucket = Self {
            client: client(address),
            name,
            address,
            _server: server,
        };
        let place = CreateBucketConfiguration::builder()
            .location_constraint(REGION.into())
            .build();
        let create = bucket.client.create_bucket().bucket(&bucket.name);
        let create = create.create_bucket_configuration(place);
        runtime().block_on(create.send()).unwrap();
        bucket
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `GetObject` gives under these conditions when it is asked at `address`, which may be
    /// that of a proxy.
    ///
    /// # Errors
    ///
    /// The code or else the status of S3's error, or nothing if the body does not arrive.
    pub fn get(
        &self,
        address: SocketAddr,
        key: &str,
        conditions: impl FnOnce(GetObjectFluentBuilder) -> GetObjectFluentBuilder,
    ) -> Result<Object, String> {
        let get = client(address).get_object().bucket(&self.name).key(key);
        runtime().block_on(async {
            let found = conditions(get).send().await.map_err(|error| {
                let status = error.raw_response().map(|raw| raw.status().to_string());
                let code = error.code().map(str::to_owned);
                code.or(status).unwrap_or_default()
            })?;
            Ok(Object {
                etag: found.e_tag.unwrap(),
                body: found
                    .body
                    .collect()
                    .await
                    .map_err(|_| String::new())?
                    .to_vec(),
            })
        })
    }

    /// Puts an object.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub fn put(&self, key: &str, content: &[u8]) {
        let put = self.client.put_object().bucket(&self.name).key(key);
        let put = put.body(ByteStream::from(content.to_vec()));
        runtime().block_on(put.send()).unwrap();
    }

    /// Puts an object as most tools put a large one.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub fn put_in_parts(&self, key: &str, content: &[u8]) {
        runtime().block_on(async {
            let upload = self.client.create_multipart_upload();
            let upload = upload.bucket(&self.name).key(key).send().await.unwrap();
            let upload = upload.upload_id().unwrap();
            let mut parts = CompletedMultipartUpload::builder();
            for (number, part) in (1..).zip(content.chunks(PART)) {
                let put = self.client.upload_part().bucket(&self.name).key(key);
                let put = put.upload_id(upload).part_number(number);
                let put = put.body(ByteStream::from(part.to_vec())).send();
                let part = CompletedPart::builder().part_number(number);
                parts = parts.parts(part.set_e_tag(put.await.unwrap().e_tag).build());
            }
            let complete = self.client.complete_multipart_upload();
            let complete = complete.bucket(&self.name).key(key).upload_id(upload);
            let completed = complete.multipart_upload(parts.build()).send().await;
            let answered = |error: &SdkError<_>| error.raw_response().map(|raw| raw.status());
            match completed.as_ref().err().and_then(answered) {
                // moto calls the answer's element otherwise than S3 does.
                Some(status) if status.is_success() => {}
                _ => drop(completed.unwrap()),
            }
        });
    }

    /// Deletes an object.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub fn delete(&self, key: &str) {
        let delete = self.client.delete_object().bucket(&self.name).key(key);
        runtime().block_on(delete.send()).unwrap();
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::new()
    }
}

fn client(address: SocketAddr) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(format!("http://{address}"))
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .http_client(Builder::new().build_http())
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}
