//! A repository of any kind that a test can fill, so that one test holds for all of them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::s3::{ACCESS_KEY, Bucket, REGION, SECRET_KEY};
use crate::server::Setup;

/// The folder of a bucket that is the repository.
const PREFIX: &str = "tenants/models/";

/// A repository that outlives the servers on it, with a cache directory of its own.
pub struct Store {
    kind: Kind,
    cache: TempDir,
}

enum Kind {
    Directory(TempDir),
    S3(Bucket),
}

impl Store {
    /// In a directory.
    pub fn directory() -> Self {
        Self::of(Kind::Directory(TempDir::new().unwrap()))
    }

    /// In a bucket on s3s.
    pub fn s3() -> Self {
        Self::of(Kind::S3(Bucket::new()))
    }

    /// In a bucket on moto, if it is installed.
    pub fn moto() -> Option<Self> {
        Some(Self::of(Kind::S3(Bucket::on_moto()?)))
    }

    fn of(kind: Kind) -> Self {
        let cache = TempDir::new().unwrap();
        Self { kind, cache }
    }

    /// Does the same over a store of each kind, side by side, because such tests mostly wait.
    ///
    /// # Panics
    ///
    /// In a thread with the store's name, if `test` does.
    pub fn each(test: impl Fn(&Self) + Sync) {
        let mut stores = vec![
            ("in a directory", Self::directory()),
            ("on s3s", Self::s3()),
        ];
        stores.extend(Self::moto().map(|moto| ("on moto", moto)));
        let test = &test;
        thread::scope(|scope| {
            for (name, store) in stores {
                let thread = thread::Builder::new().name(name.to_owned());
                thread.spawn_scoped(scope, move || test(&store)).unwrap();
            }
        });
    }

    /// Puts an artifact, or replaces it at once and as a whole.
    ///
    /// # Panics
    ///
    /// If the repository refuses it.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        match &self.kind {
            Kind::Directory(dir) => replace(&dir.path().join(name), content.as_ref()),
            Kind::S3(bucket) => bucket.put(&format!("{PREFIX}{name}"), content.as_ref()),
        }
    }

    /// Deletes an artifact.
    ///
    /// # Panics
    ///
    /// If the repository refuses that.
    pub fn delete(&self, name: &str) {
        match &self.kind {
            Kind::Directory(dir) => fs::remove_file(dir.path().join(name)).unwrap(),
            Kind::S3(bucket) => bucket.delete(&format!("{PREFIX}{name}")),
        }
    }

    /// The bucket.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn bucket(&self) -> &Bucket {
        match &self.kind {
            Kind::S3(bucket) => bucket,
            Kind::Directory(_) => panic!("this store is a directory"),
        }
    }

    /// The directory.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn folder(&self) -> &Path {
        match &self.kind {
            Kind::Directory(dir) => dir.path(),
            Kind::S3(_) => panic!("this store is a bucket"),
        }
    }

    /// The cache directory of the servers on this store.
    pub fn cache(&self) -> &Path {
        self.cache.path()
    }

    /// How to start a server on this store.
    pub fn setup(&self) -> Setup {
        match &self.kind {
            Kind::Directory(dir) => self.on(&dir.path().display().to_string()),
            Kind::S3(bucket) => self.at(bucket.address(), &self.url()),
        }
    }

    /// How to start a server on another repository at the bucket's server.
    pub fn setup_of(&self, repository: &str) -> Setup {
        self.at(self.bucket().address(), repository)
    }

    /// The same with a proxy before the bucket.
    pub fn setup_through(&self, proxy: &Proxy) -> Setup {
        self.at(proxy.address(), &self.url())
    }

    /// A proxy before the bucket.
    pub fn proxy(&self) -> Proxy {
        Proxy::start(self.bucket().address())
    }

    fn url(&self) -> String {
        format!("s3://{}/{PREFIX}", self.bucket().name())
    }

    fn at(&self, address: SocketAddr, repository: &str) -> Setup {
        self.on(repository)
            .flags(&["--s3-endpoint", &format!("http://{address}")])
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_REGION", REGION)
            .secret(SECRET_KEY)
    }

    fn on(&self, repository: &str) -> Setup {
        Setup::new()
            .without_repository()
            .flags(&["--repository", repository])
            .cache(self.cache.path())
    }
}

/// As those who publish into a directory should: nobody sees half of it.
fn replace(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}
