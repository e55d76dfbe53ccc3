//! A repository in S3, or in a server that speaks its protocol.
//!
//! What was fetched stays in the [`ArtifactCache`], and S3 is asked whether it is still the newest
//! unless that was asked a moment ago. Nothing is asked when the host starts, so a host starts
//! whether S3 can be reached or not.

mod checksum;
mod client;
mod download;
mod list;
mod recent;
mod refusal;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::cache::{ArtifactCache, CacheError, CacheKey, Cached};
use super::{Artifact, Freshness, Listing, ModelName, Outage, RepositoryError, Version};
use crate::config::RepositoryOptions;
use crate::load::progress::Progress;
use download::Download;
use recent::Recent;
use refusal::{Refusal, Subject, refusal};

/// For an answer that is no artifact.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A repository in S3.
#[derive(Debug)]
pub struct S3Repository {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
    /// As callers and the log may see it.
    place: String,
    /// A text that no other repository has, for the cache.
    identity: String,
    cache: Arc<ArtifactCache>,
    /// One permit for each download.
    downloads: Semaphore,
    recent: Recent,
}

/// Which content of an object is asked for.
#[derive(Debug, Clone, Copy)]
enum Wanted<'a> {
    /// Whatever there is.
    Any,
    /// Anything but this version.
    Newer(&'a str),
    /// The rest of this version, from a byte on.
    Rest(&'a str, u64),
}

impl S3Repository {
    /// The objects of `bucket` whose keys begin with `prefix`. Does not ask S3 for anything.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub(super) async fn open(
        bucket: &str,
        prefix: &str,
        options: &RepositoryOptions,
        cache: Arc<ArtifactCache>,
    ) -> Result<Self, String> {
        let client = client::connect(options).await?;
        Ok(Self::new(client, bucket, prefix, options, cache))
    }

    fn new(
        client: Client,
        bucket: &str,
        prefix: &str,
        options: &RepositoryOptions,
        cache: Arc<ArtifactCache>,
    ) -> Self {
        let place = options.location.to_string();
        let endpoint = options.s3_endpoint.as_deref().unwrap_or_default();
        Self {
            client,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            identity: format!("{endpoint} {place}"),
            place,
            cache,
            downloads: Semaphore::new(options.downloads.min(Semaphore::MAX_PERMITS)),
            recent: Recent::new(options.revalidate_after),
        }
    }

    /// The artifact `name`, from the cache if that is the newest.
    ///
    /// # Errors
    ///
    /// As [`super::Repository::fetch`].
    pub(super) async fn fetch(
        &self,
        name: &ModelName,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Artifact, RepositoryError> {
        // What has come of a download goes when this is dropped.
        timeout_at(deadline, self.fetch_newest(name, progress))
            .await
            .unwrap_or(Err(RepositoryError::Deadline))
    }

    async fn fetch_newest(
        &self,
        name: &ModelName,
        progress: &Progress,
    ) -> Result<Artifact, RepositoryError> {
        let key = self.cache_key(name);
        let cached = self.cached(&key).await?;
        let Some(cached) = cached else {
            // First, because S3 begins to send when it is asked.
            let _permit = self.permit().await?;
            let asked = Instant::now();
            let response = self.get(name, Wanted::Any).await;
            let response = response.map_err(|refusal| refusal.into_error(name))?;
            return self.download(name, key, response, asked, progress).await;
        };
        if let Some(as_of) = self.recent.when(name, &cached.etag) {
            return Ok(artifact(cached, as_of));
        }
        let asked = Instant::now();
        match self.get(name, Wanted::Newer(&cached.etag)).await {
            Ok(response) => {
                // Who has nothing to download does not wait for those who have. If S3 ends a
                // response that waits, the download resumes.
                let _permit = self.permit().await?;
                self.download(name, key, response, asked, progress).await
            }
            Err(Refusal::NotModified) => {
                self.recent.note(name, &cached.etag, asked);
                Ok(artifact(cached, asked))
            }
            Err(Refusal::Missing) => {
                self.recent.forget(name);
                let cache = self.cache.clone();
                blocking(move || cache.discard(&key)).await?;
                Err(Refusal::Missing.into_error(name))
            }
            Err(refusal) => Err(refusal.into_error(name)),
        }
    }

    async fn download(
        &self,
        name: &ModelName,
        key: CacheKey,
        response: GetObjectOutput,
        asked: Instant,
        progress: &Progress,
    ) -> Result<Artifact, RepositoryError> {
        let download = Download::new(self, name, progress);
        let (etag, incoming) = download.run(response).await?;
        let cache = self.cache.clone();
        let cached = blocking(move || {
            let file = cache
                .keep(&key, &etag, incoming)
                .map_err(CacheError::from)?;
            Ok::<_, CacheError>(Cached { file, etag })
        });
        let cached = cached.await?.map_err(cache_error)?;
        self.recent.note(name, &cached.etag, asked);
        Ok(artifact(cached, asked))
    }

    /// Compares what lies under `name` with `version`.
    ///
    /// # Errors
    ///
    /// As [`super::Repository::check`].
    pub(super) async fn check(
        &self,
        name: &ModelName,
        version: &Version,
    ) -> Result<Freshness, RepositoryError> {
        let asked = Instant::now();
        let freshness = in_time(self.head(name, version)).await?;
        match freshness {
            Freshness::Same => self.recent.note(name, &version.0, asked),
            Freshness::Changed | Freshness::Gone => self.recent.forget(name),
        }
        Ok(freshness)
    }

    /// Has the next [`S3Repository::fetch`] of `name` ask S3.
    pub(super) fn forget(&self, name: &ModelName) {
        self.recent.forget(name);
    }

    async fn head(
        &self,
        name: &ModelName,
        version: &Version,
    ) -> Result<Freshness, RepositoryError> {
        let request = self.client.head_object().bucket(&self.bucket);
        let request = request.key(self.key(name)).if_none_match(&version.0);
        match request.send().await {
            // Not every server knows the condition.
            Ok(found) if found.e_tag() == Some(&version.0) => Ok(Freshness::Same),
            Ok(_) => Ok(Freshness::Changed),
            Err(error) => match refusal(&error, Subject::Version(name), &self.place) {
                Refusal::NotModified => Ok(Freshness::Same),
                Refusal::Missing => self.confirm_missing(name, version).await,
                refusal => Err(refusal.into_error(name)),
            },
        }
    }

    /// An answer to HEAD has no body, so a 404 may be of anybody: a bucket that is gone, or a proxy.
    /// Models go for it only if S3 itself says which key it does not have.
    async fn confirm_missing(
        &self,
        name: &ModelName,
        version: &Version,
    ) -> Result<Freshness, RepositoryError> {
        match self.get(name, Wanted::Newer(&version.0)).await {
            Ok(_) => Ok(Freshness::Changed),
            Err(Refusal::NotModified) => Ok(Freshness::Same),
            Err(Refusal::Missing) => Ok(Freshness::Gone),
            Err(refusal) => Err(refusal.into_error(name)),
        }
    }

    /// At most `limit` artifacts after the name `after`.
    ///
    /// # Errors
    ///
    /// As [`super::Repository::list`].
    pub(super) async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, RepositoryError> {
        in_time(list::list(self, after, limit)).await
    }

    async fn get(&self, name: &ModelName, wanted: Wanted<'_>) -> Result<GetObjectOutput, Refusal> {
        let request = self.client.get_object().bucket(&self.bucket);
        let request = request.key(self.key(name));
        let request = match wanted {
            Wanted::Any => request,
            Wanted::Newer(etag) => request.if_none_match(etag),
            Wanted::Rest(etag, from) => request.if_match(etag).range(format!("bytes={from}-")),
        };
        let whole = !matches!(wanted, Wanted::Rest(..));
        // The SDK would check a response itself if it knew of the header (see `checksum`).
        let request = request.customize().mutate_request(move |request| {
            if whole {
                request
                    .headers_mut()
                    .insert("x-amz-checksum-mode", "ENABLED");
            }
        });
        let response = request.send().await;
        response.map_err(|error| refusal(&error, Subject::Artifact(name), &self.place))
    }

    fn key(&self, name: &ModelName) -> String {
        format!("{}{name}", self.prefix)
    }

    fn cache_key(&self, name: &ModelName) -> CacheKey {
        CacheKey::new(&self.identity, &self.key(name))
    }

    async fn cached(&self, key: &CacheKey) -> Result<Option<Cached>, RepositoryError> {
        let (cache, key) = (self.cache.clone(), key.clone());
        blocking(move || cache.find(&key)).await
    }

    async fn permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, RepositoryError> {
        // It is never closed.
        self.downloads.acquire().await.map_err(|_| interrupted())
    }
}

fn artifact(cached: Cached, as_of: Instant) -> Artifact {
    Artifact::copy(cached.file, Version(cached.etag), as_of)
}

async fn in_time<T>(
    work: impl Future<Output = Result<T, RepositoryError>>,
) -> Result<T, RepositoryError> {
    timeout(ANSWER_LIMIT, work)
        .await
        .unwrap_or(Err(Outage::Unreachable.into()))
}

/// File systems block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RepositoryError> {
    spawn_blocking(work).await.map_err(|_| interrupted())
}

fn cache_error(error: CacheError) -> RepositoryError {
    match error {
        CacheError::Full(full) => RepositoryError::Full(full),
        CacheError::Io(error) => RepositoryError::Io(error.kind()),
    }
}

/// The host is stopping.
fn interrupted() -> RepositoryError {
    RepositoryError::Io(io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
