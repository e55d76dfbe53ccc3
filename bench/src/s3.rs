//! An S3 server on loopback that holds the artifacts of a [`Fleet`], in a thread of its own.
//!
//! The protocol, signatures included, is the crate `s3s`; what lies here is only which object a key
//! stands for. Objects can be read without a signature too, so that a plain GET can be timed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::crypto::{Checksum, Md5};
use s3s::dto::{
    ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    StreamingBlob, Timestamp,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::fleet::{Fleet, NAMES, name};

/// The bucket.
const BUCKET: &str = "bench";
/// What the keys begin with.
const PREFIX: &str = "models/";
/// The pair of keys that opens the bucket.
pub const ACCESS_KEY: &str = "benchkey";
/// The secret one.
pub const SECRET_KEY: &str = "benchsecret";

/// A running S3 server; ends when dropped.
pub struct S3Server {
    /// Where it listens.
    pub address: SocketAddr,
    _runtime: Runtime,
}

impl S3Server {
    /// Serves the artifacts of `fleet` under all names.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub fn start(fleet: Arc<Fleet>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let etags = (0..fleet.models())
            .map(|model| std::fs::read(fleet.artifact(model)).map(|content| md5(&content)))
            .collect::<Result<_, _>>()?;
        let mut builder = S3ServiceBuilder::new(Objects { fleet, etags });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.set_access(Anyone);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(accept(listener, builder.build()));
        Ok(Self {
            address,
            _runtime: runtime,
        })
    }

    /// What `--repository` is told.
    pub fn location() -> String {
        format!("s3://{BUCKET}/{PREFIX}")
    }

    /// The path of a plain GET.
    pub fn path(number: usize) -> String {
        format!("/{BUCKET}/{PREFIX}{}", name(number))
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// A signature that is there must be right, but none is needed.
struct Anyone;

#[async_trait]
impl S3Access for Anyone {
    async fn check(&self, _: &mut S3AccessContext<'_>) -> S3Result<()> {
        Ok(())
    }
}

struct Objects {
    fleet: Arc<Fleet>,
    /// Of each model: the MD5 of its artifact, as S3 has it for what was uploaded in one piece. Whoever
    /// downloads can check it.
    etags: Vec<String>,
}

fn md5(content: &[u8]) -> String {
    Md5::checksum(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Objects {
    /// The number of the name that a key stands for.
    fn number(bucket: &str, key: &str) -> S3Result<usize> {
        key.strip_prefix(PREFIX)
            .and_then(|name| name.strip_prefix('m')?.strip_suffix(".tar.gz"))
            .and_then(|digits| digits.parse().ok())
            .filter(|&number| bucket == BUCKET && number < NAMES && key.ends_with(&name(number)))
            .ok_or_else(|| s3_error!(NoSuchKey))
    }

    fn etag(&self, number: usize) -> ETag {
        let etag = self.etags.get(number % self.etags.len().max(1));
        ETag::Strong(etag.cloned().unwrap_or_default())
    }

    /// Refuses who has this version already, as S3 does.
    fn must_be_newer(&self, number: usize, known: Option<&ETagCondition>) -> S3Result<()> {
        if known.and_then(ETagCondition::as_etag) == Some(&self.etag(number)) {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }

    async fn length(&self, number: usize) -> S3Result<i64> {
        let metadata = tokio::fs::metadata(self.fleet.artifact(number)).await;
        metadata
            .ok()
            .and_then(|metadata| i64::try_from(metadata.len()).ok())
            .ok_or_else(|| s3_error!(InternalError))
    }
}

#[async_trait]
impl S3 for Objects {
    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        if input.range.is_some() {
            return Err(s3_error!(NotImplemented));
        }
        let number = Self::number(&input.bucket, &input.key)?;
        self.must_be_newer(number, input.if_none_match.as_ref())?;
        let content = tokio::fs::read(self.fleet.artifact(number)).await;
        let content = content.map_err(|_| s3_error!(InternalError))?;
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(content.len()).ok(),
            body: Some(StreamingBlob::from(Body::from(content))),
            e_tag: Some(self.etag(number)),
            last_modified: Some(Timestamp::from(SystemTime::UNIX_EPOCH)),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let number = Self::number(&input.bucket, &input.key)?;
        self.must_be_newer(number, input.if_none_match.as_ref())?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(self.length(number).await?),
            e_tag: Some(self.etag(number)),
            last_modified: Some(Timestamp::from(SystemTime::UNIX_EPOCH)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn head_bucket(
        &self,
        _: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let after = input.continuation_token.or(input.start_after);
        let limit = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or(1000);
        let mut listed = Vec::new();
        let mut more = false;
        for number in 0..NAMES {
            let key = format!("{PREFIX}{}", name(number));
            if !key.starts_with(&prefix) || after.as_ref().is_some_and(|after| key <= *after) {
                continue;
            }
            more = listed.len() == limit;
            if more {
                break;
            }
            listed.push(Object {
                e_tag: Some(self.etag(number)),
                size: Some(self.length(number).await?),
                last_modified: Some(Timestamp::from(SystemTime::UNIX_EPOCH)),
                key: Some(key),
                ..Object::default()
            });
        }
        let last = listed.last().and_then(|object| object.key.clone());
        Ok(S3Response::new(ListObjectsV2Output {
            is_truncated: Some(more),
            next_continuation_token: last.filter(|_| more),
            key_count: i32::try_from(listed.len()).ok(),
            contents: Some(listed),
            ..ListObjectsV2Output::default()
        }))
    }
}
