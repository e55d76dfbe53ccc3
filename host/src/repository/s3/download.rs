//! A download: from S3 to a file, a piece at a time.
//!
//! A download that is cut half-way goes on where it was, as long as the object is the same and each
//! attempt brings something, or a few do not. If the object is replaced meanwhile or what came does
//! not fit its checksum, the download starts over, a few times. Dropping it ends it and deletes
//! what has come.

use std::io;
use std::time::Duration;

use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::checksum::{Check, Promise};
use super::{S3Repository, Wanted, blocking, cache_error};
use crate::load::progress::Progress;
use crate::repository::cache::{CacheError, Incoming};
use crate::repository::{ModelName, Outage, RepositoryError, SetupFault};

/// Bytes of a download in memory, before they are written.
const BUFFER: usize = 1 << 20;

/// A body without a byte for this long counts as cut.
const STALL_LIMIT: Duration = Duration::from_secs(20);

/// Attempts in a row that bring nothing worth the request.
const FRUITLESS_LIMIT: u32 = 5;

/// Bytes that are worth a request.
const WORTHWHILE: u64 = 4096;

/// Times that a download starts.
const START_LIMIT: u32 = 4;

/// The pause before the first further attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// One download.
pub(super) struct Download<'a> {
    s3: &'a S3Repository,
    name: &'a ModelName,
    progress: &'a Progress,
}

/// What S3 says of an object.
struct Object {
    etag: String,
    size: u64,
    promise: Option<Promise>,
}

/// What has come of it.
struct Part {
    incoming: Incoming,
    check: Option<Check>,
}

impl<'a> Download<'a> {
    pub(super) fn new(s3: &'a S3Repository, name: &'a ModelName, progress: &'a Progress) -> Self {
        Self { s3, name, progress }
    }

    /// Downloads what `response` begins, or what takes its place meanwhile. Returns the ETag and the
    /// complete file.
    ///
    /// # Errors
    ///
    /// Any [`RepositoryError`].
    pub(super) async fn run(
        &self,
        response: GetObjectOutput,
    ) -> Result<(String, Incoming), RepositoryError> {
        let mut result = self.receive(response).await;
        for _ in 1..START_LIMIT {
            let Err(error @ (RepositoryError::Changing | RepositoryError::Damaged(..))) = &result
            else {
                break;
            };
            tracing::warn!(artifact = %self.name, %error, "the download starts over");
            let response = self.s3.get(self.name, Wanted::Any).await;
            let response = response.map_err(|refusal| refusal.into_error(self.name))?;
            result = self.receive(response).await;
        }
        result
    }

    async fn receive(
        &self,
        response: GetObjectOutput,
    ) -> Result<(String, Incoming), RepositoryError> {
        let object = Object::of(&response).ok_or(SetupFault::NotS3)?;
        let mut part = self.begin(&object).await?;
        let mut body = response.body;
        let mut fruitless = 0;
        loop {
            let before = part.incoming.written();
            part = self.read(body, part, object.size).await?;
            if part.incoming.written() == object.size {
                break;
            }
            fruitless = match part.incoming.written() >= before + WORTHWHILE {
                true => 0,
                false => fruitless + 1,
            };
            let response = self.ask_for_rest(&object, &part, &mut fruitless).await?;
            (body, part) = self.join(response, &object, part).await?;
        }
        let whole = part.check.is_none_or(Check::fits);
        if !whole {
            return Err(self.damaged("its checksum"));
        }
        Ok((object.etag, part.incoming))
    }

    async fn begin(&self, object: &Object) -> Result<Part, RepositoryError> {
        let (cache, size) = (self.s3.cache.clone(), object.size);
        let incoming = blocking(move || cache.begin(size)).await?;
        self.progress.download(size);
        Ok(Part {
            incoming: incoming.map_err(cache_error)?,
            check: object.promise.as_ref().map(Promise::check),
        })
    }

    /// Reads `body` until it ends or is cut.
    async fn read(
        &self,
        mut body: ByteStream,
        mut part: Part,
        size: u64,
    ) -> Result<Part, RepositoryError> {
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut waiting = 0;
        loop {
            let cut = match timeout(STALL_LIMIT, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    waiting += bytes.len();
                    self.progress.downloaded(bytes.len() as u64);
                    chunks.push(bytes);
                    if waiting < BUFFER {
                        continue;
                    }
                    None
                }
                Ok(None) => Some("it ended".to_owned()),
                Ok(Some(Err(error))) => Some(DisplayErrorContext(error).to_string()),
                Err(_) => Some("it stalled".to_owned()),
            };
            if part.incoming.written() + waiting as u64 > size {
                return Err(self.damaged("its length"));
            }
            part = part.write(std::mem::take(&mut chunks)).await?;
            waiting = 0;
            let Some(cut) = cut else { continue };
            let came = part.incoming.written();
            if came < size {
                tracing::warn!(artifact = %self.name, came, size, cut, "a download was cut");
            }
            return Ok(part);
        }
    }

    /// Asks for what is missing until S3 sends it, or it makes no sense to go on.
    async fn ask_for_rest(
        &self,
        object: &Object,
        part: &Part,
        fruitless: &mut u32,
    ) -> Result<GetObjectOutput, RepositoryError> {
        let mut error = RepositoryError::Outage(Outage::Cut);
        while *fruitless < FRUITLESS_LIMIT {
            sleep(FIRST_PAUSE * 2_u32.pow(*fruitless)).await;
            let rest = Wanted::Rest(&object.etag, part.incoming.written());
            error = match self.s3.get(self.name, rest).await {
                Ok(response) => return Ok(response),
                Err(refusal) => refusal.into_error(self.name),
            };
            if !matches!(error, RepositoryError::Outage(_)) {
                break;
            }
            *fruitless += 1;
        }
        Err(error)
    }

    /// Joins the body of `response` to what has come.
    async fn join(
        &self,
        response: GetObjectOutput,
        object: &Object,
        mut part: Part,
    ) -> Result<(ByteStream, Part), RepositoryError> {
        if response.e_tag() != Some(&object.etag) {
            return Err(RepositoryError::Changing);
        }
        let from = part.incoming.written();
        match response.content_range() {
            Some(range) if range.starts_with(&format!("bytes {from}-")) => {}
            Some(_) => return Err(SetupFault::NotS3.into()),
            // Not every server knows ranges: it sends all of it again.
            None => {
                self.progress.download(object.size);
                part.check = object.promise.as_ref().map(Promise::check);
                part = part.rewind().await?;
            }
        }
        Ok((response.body, part))
    }

    fn damaged(&self, what: &'static str) -> RepositoryError {
        RepositoryError::Damaged(self.name.to_string(), what)
    }
}

impl Object {
    /// None if an answer lacks what every server says.
    fn of(response: &GetObjectOutput) -> Option<Self> {
        Some(Self {
            etag: response.e_tag().filter(|etag| !etag.is_empty())?.to_owned(),
            size: response.content_length()?.try_into().ok()?,
            promise: Promise::of(response),
        })
    }
}

impl Part {
    async fn write(self, chunks: Vec<Bytes>) -> Result<Self, RepositoryError> {
        self.change(move |part| {
            for chunk in chunks {
                if let Some(check) = &mut part.check {
                    check.update(&chunk);
                }
                part.incoming.write(&chunk)?;
            }
            Ok(())
        })
        .await
    }

    async fn rewind(self) -> Result<Self, RepositoryError> {
        self.change(|part| part.incoming.rewind()).await
    }

    async fn change(
        mut self,
        work: impl FnOnce(&mut Self) -> io::Result<()> + Send + 'static,
    ) -> Result<Self, RepositoryError> {
        blocking(move || work(&mut self).map(|()| self))
            .await?
            .map_err(|error| cache_error(CacheError::from(error)))
    }
}
