//! What S3 says of an object's content, checked while it comes. The SDK's own check is not used: it
//! sees one response, and a download may take several.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{ChecksumType, ServerSideEncryption};
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::HttpChecksum;
use aws_smithy_types::base64;
use md5::{Digest as _, Md5};
use sha2::{Digest as _, Sha512};

use crate::load::compile::hex;

/// A checksum of the whole object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promise {
    algorithm: Algorithm,
    /// As the header has it.
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Smithy(ChecksumAlgorithm),
    Sha512,
    Md5,
    /// The MD5 that is the ETag of what was uploaded in one piece.
    ETag,
}

impl Promise {
    /// The checksum that is said with an object, if there is one of all of it. What was uploaded in
    /// parts may have a checksum of the parts' checksums only.
    pub(super) fn of(object: &GetObjectOutput) -> Option<Self> {
        use ChecksumAlgorithm as A;
        let headers = [
            (
                Algorithm::Smithy(A::Crc64Nvme),
                object.checksum_crc64_nvme(),
            ),
            (Algorithm::Smithy(A::Crc32c), object.checksum_crc32_c()),
            (Algorithm::Smithy(A::Crc32), object.checksum_crc32()),
            (Algorithm::Smithy(A::Sha256), object.checksum_sha256()),
            (Algorithm::Smithy(A::Sha1), object.checksum_sha1()),
            (Algorithm::Sha512, object.checksum_sha512()),
            (Algorithm::Md5, object.checksum_md5()),
        ];
        let of_parts = object.checksum_type() == Some(&ChecksumType::Composite);
        let mut whole = headers.into_iter().filter_map(|(algorithm, value)| {
            // No base64 has a dash: it precedes the number of parts.
            let value = value.filter(|value| !of_parts && !value.contains('-'))?;
            Some(Self {
                algorithm,
                value: value.to_owned(),
            })
        });
        whole.next().or_else(|| Self::of_etag(object))
    }

    fn of_etag(object: &GetObjectOutput) -> Option<Self> {
        let encrypted = object.sse_customer_algorithm().is_some()
            || object
                .server_side_encryption()
                .is_some_and(|kind| *kind != ServerSideEncryption::Aes256);
        let etag = object.e_tag()?.trim_matches('"');
        let plain = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        (plain && !encrypted).then(|| Self {
            algorithm: Algorithm::ETag,
            value: etag.to_ascii_lowercase(),
        })
    }

    /// Begins to compare.
    pub(super) fn check(&self) -> Check {
        let hasher = match self.algorithm {
            Algorithm::Smithy(algorithm) => Hasher::Smithy(algorithm.into_impl()),
            Algorithm::Sha512 => Hasher::Sha512(Box::default()),
            Algorithm::Md5 | Algorithm::ETag => Hasher::Md5(Md5::default()),
        };
        Check {
            hasher,
            promise: self.clone(),
        }
    }
}

/// A comparison that goes on.
pub(super) struct Check {
    hasher: Hasher,
    promise: Promise,
}

enum Hasher {
    Smithy(Box<dyn HttpChecksum>),
    Sha512(Box<Sha512>),
    Md5(Md5),
}

impl Check {
    /// The next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Smithy(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
            Hasher::Md5(hasher) => hasher.update(bytes),
        }
    }

    /// Whether all the bytes were those that were promised.
    pub(super) fn fits(self) -> bool {
        let found = match (self.hasher, self.promise.algorithm) {
            (Hasher::Smithy(hasher), _) => hasher.header_value().as_bytes().to_vec(),
            (Hasher::Sha512(hasher), _) => base64::encode(hasher.finalize()).into_bytes(),
            (Hasher::Md5(hasher), Algorithm::ETag) => hex(&hasher.finalize()).into_bytes(),
            (Hasher::Md5(hasher), _) => base64::encode(hasher.finalize()).into_bytes(),
        };
        found == self.promise.value.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::get_object::builders::GetObjectOutputBuilder;

    use super::*;

    fn object() -> GetObjectOutputBuilder {
        GetObjectOutput::builder()
    }

    #[test]
    fn each_algorithm_tells_the_content_from_another() {
        let etag = "\"acbd18db4cc2f85cedef654fccc4a4d8\"";
        for object in [
            object().checksum_crc32("jHNlIQ=="),
            object().checksum_crc32_c("z8SuHQ=="),
            object().checksum_crc64_nvme("5O33DmauDQI="),
            object().checksum_sha1("C+7Hteo/D9vJXQ3UfzxbwnXaijM="),
            object().checksum_sha256("LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="),
            object().checksum_sha512(
                "9/u6bgY2+JDlb7vzKD5STG+jIErimDgtYkdB0NxmODJuKCxBvl5CVNiCB3LFUYosWowMf37aGVlKfrU5RT4e1w==",
            ),
            object().checksum_md5("rL0Y20zC+Fzt72VPzMSk2A=="),
            object().e_tag(etag),
            object().e_tag(etag).checksum_sha1("0000-2"),
        ] {
            let promise = Promise::of(&object.build()).unwrap();
            for (content, same) in [("foo", true), ("fob", false), ("", false)] {
                let mut check = promise.check();
                check.update(content.as_bytes());
                assert_eq!(check.fits(), same, "{promise:?} {content}");
            }
        }
    }

    #[test]
    fn what_is_no_checksum_of_the_whole_is_not_taken_for_one() {
        let etag = "\"acbd18db4cc2f85cedef654fccc4a4d8\"";
        for object in [
            object(),
            object().e_tag("\"acbd18db4cc2f85cedef654fccc4a4d8-2\""),
            object().e_tag(etag).sse_customer_algorithm("AES256"),
            object()
                .e_tag(etag)
                .server_side_encryption(ServerSideEncryption::AwsKms),
            object()
                .checksum_crc32("jHNlIQ==")
                .checksum_type(ChecksumType::Composite),
            object().checksum_crc32("jHNlIQ==-3"),
        ] {
            assert_eq!(Promise::of(&object.build()), None);
        }
    }
}
