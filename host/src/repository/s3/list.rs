//! The list of a repository's artifacts.

use std::time::SystemTime;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object};
use percent_encoding::percent_decode_str;

use super::S3Repository;
use super::refusal::{Refusal, Subject, refusal};
use crate::repository::{Listed, Listing, ModelName, RepositoryError, SetupFault, without_ending};

/// Objects that S3 is asked for at a time; it sends no more.
const PAGE: usize = 1000;

/// Pages that are read for one list: whatever else lies in the bucket, the work is bounded.
const PAGE_LIMIT: usize = 50;

/// As [`S3Repository::list`].
pub(super) async fn list(
    s3: &S3Repository,
    after: Option<&str>,
    limit: usize,
) -> Result<Listing, RepositoryError> {
    let mut artifacts = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGE_LIMIT {
        let page = page(s3, after, next.as_deref()).await?;
        artifacts.extend(listed(&page, &s3.prefix, after));
        if artifacts.len() > limit {
            artifacts.truncate(limit);
            let more = true;
            return Ok(Listing { artifacts, more });
        }
        next = page.next_continuation_token;
        if next.is_none() {
            let more = false;
            return Ok(Listing { artifacts, more });
        }
    }
    // Who goes on asks for what comes after the last one, so there must be one.
    if artifacts.is_empty() {
        return Err(SetupFault::Crowded.into());
    }
    let more = true;
    Ok(Listing { artifacts, more })
}

async fn page(
    s3: &S3Repository,
    after: Option<&str>,
    next: Option<&str>,
) -> Result<ListObjectsV2Output, RepositoryError> {
    let request = s3.client.list_objects_v2().bucket(&s3.bucket);
    let request = request
        .prefix(&s3.prefix)
        // XML cannot carry every character that a key may have.
        .encoding_type(EncodingType::Url)
        .max_keys(PAGE as i32)
        .set_continuation_token(next.map(str::to_owned))
        .set_start_after(after.map(|after| format!("{}{after}", s3.prefix)));
    request
        .send()
        .await
        .map_err(|error| match refusal(&error, Subject::List, &s3.place) {
            Refusal::Fault(error) => error,
            Refusal::NotModified | Refusal::Missing | Refusal::Replaced => SetupFault::NotS3.into(),
        })
}

/// The artifacts of a page that come after the name `after`.
fn listed<'a>(
    page: &'a ListObjectsV2Output,
    prefix: &'a str,
    after: Option<&'a str>,
) -> impl Iterator<Item = Listed> + 'a {
    let encoded = page.encoding_type() == Some(&EncodingType::Url);
    let artifact = move |object: &Object| artifact(object, prefix, encoded);
    let artifacts = page.contents().iter().filter_map(artifact);
    artifacts.filter(move |artifact| after.is_none_or(|after| artifact.name.as_str() > after))
}

/// None if the object is no artifact.
fn artifact(object: &Object, prefix: &str, encoded: bool) -> Option<Listed> {
    let key = match encoded {
        true => decode(object.key()?)?,
        false => object.key()?.to_owned(),
    };
    let name = key.strip_prefix(prefix)?;
    without_ending(name)?;
    let modified = object.last_modified().copied();
    Some(Listed {
        name: ModelName::parse(name).ok()?,
        size: object.size().and_then(|size| size.try_into().ok())?,
        modified: modified
            .and_then(|time| SystemTime::try_from(time).ok())
            .unwrap_or(SystemTime::UNIX_EPOCH),
    })
}

/// S3 writes a space as a plus and a plus as `%2B`.
fn decode(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().ok()?;
    Some(key.into_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::DateTime;

    use super::*;

    fn names(keys: &[&str], encoding: Option<EncodingType>, after: Option<&str>) -> Vec<String> {
        let object = |key: &&str| {
            let object = Object::builder().key(*key).size(7);
            object.last_modified(DateTime::from_secs(1)).build()
        };
        let page = ListObjectsV2Output::builder()
            .set_contents(Some(keys.iter().map(object).collect()))
            .set_encoding_type(encoding)
            .build();
        let names = listed(&page, "a/", after).map(|artifact| artifact.name.to_string());
        names.collect()
    }

    #[test]
    fn only_artifacts_are_listed() {
        let keys = [
            "a/",
            "a/README.md",
            "a//x.tar.gz",
            "a/b/m.tar.gz",
            "a/n.wasm",
        ];
        assert_eq!(names(&keys, None, None), ["b/m.tar.gz", "n.wasm"]);
        assert_eq!(names(&keys, None, Some("b/m.tar.gz")), ["n.wasm"]);
    }

    #[test]
    fn names_are_decoded_where_they_are_encoded() {
        let keys = ["a/x+y%2Bz%C3%BC.tar", "a/%00.tar", "a/%FF.tar"];
        assert_eq!(names(&keys, Some(EncodingType::Url), None), ["x y+zü.tar"]);
        assert_eq!(names(&["a/x+y%41.tar"], None, None), ["x+y%41.tar"]);
    }
}
