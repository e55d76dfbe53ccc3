//! Why a repository does not give what it is asked for. The texts are for callers: they say what to
//! do and name nothing of the host; details go to the log.

use std::io;

use crate::workspace::disk::DiskFull;

/// Why a name or what it points to is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RepositoryError {
    /// The name is empty, too long or could leave the repository.
    #[error(
        "the target model's name {0}; it must be a path inside the repository such as NAME.tar.gz or FOLDER/NAME.tar.gz"
    )]
    BadName(&'static str),
    /// No artifact has this name.
    #[error("Model not found: {0}")]
    NotFound(String),
    /// A link leads out of the repository.
    #[error("{0} is a link that leaves the repository")]
    Leaves(String),
    /// The caller named no model, and it is not clear which is meant.
    #[error(
        "the repository holds {0}: name one in the header X-Amzn-SageMaker-Target-Model or the query parameter TargetModel"
    )]
    Ambiguous(&'static str),
    /// The artifact is being written to, so what was read is of no version.
    #[error("the artifact is being replaced; try again")]
    Changing,
    /// The repository or the cache directory could not be read or written.
    #[error("the repository could not be read ({0})")]
    Io(io::ErrorKind),
    /// The host's credentials do not let it read an artifact.
    #[error(
        "access to {name} is denied: the host's credentials need s3:GetObject on {place}* (and \
         kms:Decrypt if it is encrypted with a key of their own); without s3:ListBucket on the \
         bucket a model that does not exist looks the same"
    )]
    Denied {
        /// The artifact's name.
        name: String,
        /// The bucket and prefix.
        place: String,
    },
    /// The host's credentials do not let it list the artifacts.
    #[error(
        "the list of {0} is denied: the host's credentials need s3:ListBucket on the bucket, for \
         this prefix"
    )]
    ListDenied(String),
    /// S3 cannot be used as it is set up.
    #[error("the repository cannot be used: {0}")]
    Setup(#[from] SetupFault),
    /// S3 cannot be used just now.
    #[error("the repository {0}; try again")]
    Outage(#[from] Outage),
    /// The time for loading a model was over before the artifact was there.
    #[error("the artifact did not arrive within the time for loading a model (--load-timeout)")]
    Deadline,
    /// What S3 sends does not fit what it says of it, however often it is asked.
    #[error("{0} arrived damaged several times ({1} does not fit); upload it anew")]
    Damaged(String, &'static str),
    /// There is no room to keep the artifact.
    #[error("the artifact could not be kept: {0}")]
    Full(#[from] DiskFull),
}

/// What the operator has to mend before S3 can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetupFault {
    /// The credential chain found none.
    #[error(
        "the host gets no AWS credentials; give it a role, AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or a profile (the host's log says more)"
    )]
    NoCredentials,
    /// S3 does not know the credentials.
    #[error("S3 does not know the host's access key; check its AWS credentials")]
    UnknownCredentials,
    /// The credentials are over.
    #[error("the host's AWS credentials have expired or their session token is wrong; renew them")]
    ExpiredCredentials,
    /// The secret key is wrong.
    #[error(
        "S3 refuses the host's signature (SignatureDoesNotMatch); check the secret access key, and \
         that no proxy changes requests"
    )]
    Signature,
    /// The clocks differ.
    #[error(
        "the clock of the host's machine differs too much from that of S3 (RequestTimeTooSkewed); \
         set it right"
    )]
    Clock,
    /// The bucket does not exist.
    #[error("its bucket does not exist; check --repository and --s3-endpoint")]
    NoBucket,
    /// The bucket lies in another region.
    #[error("its bucket lies in another region; set AWS_REGION to it")]
    Region,
    /// The server's certificate is from nobody whom the host trusts.
    #[error(
        "the host does not trust its server's certificate; name the file of the authority that made \
         it in SSL_CERT_FILE"
    )]
    Certificate,
    /// The object is in an archive.
    #[error(
        "the artifact lies in an archive storage class; restore it or copy it to a standard one"
    )]
    Archived,
    /// There is too much in between artifacts.
    #[error(
        "it holds too many objects that are no artifacts to be listed; keep artifacts under a prefix \
         of their own"
    )]
    Crowded,
    /// Something that has no text of its own here.
    #[error(
        "S3 refuses the request with status {0}; check the region, the credentials and --s3-endpoint \
         (the host's log says more)"
    )]
    Refused(u16),
    /// What answers is not S3.
    #[error("its server does not answer as S3 does; check --s3-endpoint")]
    NotS3,
}

/// Why S3 cannot be used just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// It asks for fewer requests.
    #[error("asks for fewer requests")]
    Throttled,
    /// It answers with an error of its own.
    #[error("failed with status {0}")]
    Failed(u16),
    /// No connection, or no answer in time.
    #[error("does not answer")]
    Unreachable,
    /// The connection was cut again and again.
    #[error("cuts downloads off")]
    Cut,
}
