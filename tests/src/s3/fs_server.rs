//! An S3 server in this process: s3s over a temporary directory. It verifies signatures.
//!
//! s3s-fs leaves out what AWS says of conditions, missing buckets and encoded lists, and a reader
//! could see a new object with the old one's ETag; [`Strict`] makes up for it.

use std::net::{Ipv4Addr, SocketAddr};

use async_trait::async_trait;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tokio::task::{JoinHandle, JoinSet};

use super::{ACCESS_KEY, SECRET_KEY};

/// A running server; it ends when the value is dropped.
pub struct FsServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    _root: TempDir,
}

impl FsServer {
    /// Starts a server without buckets on a free port.
    pub async fn start() -> Self {
        let root = TempDir::new().unwrap();
        let mut service = S3ServiceBuilder::new(Strict {
            fs: FileSystem::new(root.path()).unwrap(),
            writing: RwLock::default(),
        });
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            accepting: tokio::spawn(accept(listener, service.build())),
            _root: root,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for FsServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Connections end with this task.
async fn accept(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let serve = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        // A client may leave when it likes.
        connections.spawn(async { serve.await.unwrap_or_default() });
    }
}

/// A file system that keeps to what AWS documents.
struct Strict {
    fs: FileSystem,
    /// Held by writers alone: an object and its ETag are two files.
    writing: RwLock<()>,
}

impl Strict {
    /// What `If-Match` and `If-None-Match` ask for, and that there is such an object.
    async fn check<T>(
        &self,
        request: &S3Request<T>,
        object: (&str, &str),
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let head = HeadObjectInput {
            bucket: object.0.to_owned(),
            key: object.1.to_owned(),
            ..HeadObjectInput::default()
        };
        let found = self.fs.head_object(same_request(request, head)).await?;
        let tag = found.output.e_tag;
        let is = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(wanted) => tag.as_ref().is_some_and(|tag| tag.weak_cmp(wanted)),
        };
        if if_match.is_some_and(|wanted| !is(wanted)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if if_none_match.is_some_and(is) {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

/// A key as lists have it that were asked for with `encoding-type=url`.
fn encoded(key: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
            char::from(byte).to_string()
        }
        b' ' => "+".to_owned(),
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(encode).collect()
}

/// A request for something else with the same credentials.
fn same_request<A, B>(request: &S3Request<A>, input: B) -> S3Request<B> {
    S3Request {
        input,
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers: request.headers.clone(),
        extensions: Default::default(),
        credentials: request.credentials.clone(),
        region: request.region.clone(),
        service: request.service.clone(),
        trailing_headers: None,
    }
}

#[async_trait]
impl S3 for Strict {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.fs.create_bucket(request).await
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.fs.head_bucket(request).await
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let _alone = self.writing.write().await;
        self.fs.put_object(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.fs.create_multipart_upload(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.fs.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _alone = self.writing.write().await;
        self.fs.complete_multipart_upload(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _alone = self.writing.write().await;
        self.fs.delete_object(request).await
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        // The body is of an open file, so it stays what it is when the lock is gone.
        let _unchanged = self.writing.read().await;
        let input = &request.input;
        let object = (&*input.bucket, &*input.key);
        let (is, is_not) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        self.check(&request, object, is, is_not).await?;
        self.fs.get_object(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let _unchanged = self.writing.read().await;
        let input = &request.input;
        let object = (&*input.bucket, &*input.key);
        let (is, is_not) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        self.check(&request, object, is, is_not).await?;
        self.fs.head_object(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _unchanged = self.writing.read().await;
        let mut listed = self.fs.list_objects_v2(request).await?;
        let encoding = listed.output.encoding_type.as_ref();
        if encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) {
            for object in listed.output.contents.iter_mut().flatten() {
                object.key = object.key.as_deref().map(encoded);
            }
        }
        Ok(listed)
    }
}
