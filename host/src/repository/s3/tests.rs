//! Against a server that plays S3 by a script: it gives the answers of a list, one a connection.

use std::io::Read as _;
use std::path::Path;
use std::sync::Mutex;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Region};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::load::compiler::CompileOptions;
use crate::workspace::Workspace;

const FOO: &str = "\"acbd18db4cc2f85cedef654fccc4a4d8\"";
const BAR: &str = "\"37b51d194a7513e45b56f6524f2d51f2\"";

/// An answer, and how many bytes its body should have if it has fewer.
struct Answer {
    status: &'static str,
    headers: String,
    body: &'static str,
    cut: usize,
}

fn answer(status: &'static str, body: &'static str) -> Answer {
    Answer {
        status,
        headers: String::new(),
        body,
        cut: 0,
    }
}

/// An object's content, of which `cut` bytes do not come.
fn object(status: &'static str, etag: &str, body: &'static str, cut: usize) -> Answer {
    Answer {
        headers: format!("ETag: {etag}\r\n"),
        cut,
        ..answer(status, body)
    }
}

fn rest(etag: &str, from: usize, body: &'static str) -> Answer {
    let mut answer = object("206 Partial Content", etag, body, 0);
    let last = from + body.len() - 1;
    answer.headers += &format!("Content-Range: bytes {from}-{last}/{}\r\n", last + 1);
    answer
}

struct Scripted {
    repository: S3Repository,
    workspace: Workspace,
    dir: tempfile::TempDir,
    /// The heads of the requests that came, in lower case.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// A repository whose server gives `answers`, and then none.
    async fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(play(listener, answers, requests.clone()));
        let dir = tempfile::tempdir().unwrap();
        let workspace =
            Workspace::open(dir.path(), Some(1 << 20), &CompileOptions::default()).unwrap();
        let options = RepositoryOptions {
            location: "s3://bucket/a/".parse().unwrap(),
            s3_endpoint: Some(endpoint.clone()),
            s3_path_style: true,
            revalidate_after: Duration::ZERO,
            downloads: 1,
        };
        let client = Client::from_conf(unsigned(&endpoint));
        let cache = workspace.artifacts().clone();
        Self {
            repository: S3Repository::new(client, "bucket", "a/", &options, cache),
            workspace,
            dir,
            requests,
        }
    }

    async fn fetch(&self) -> Result<(String, String), RepositoryError> {
        self.fetch_within(Duration::from_secs(60)).await
    }

    /// The content of the artifact and its version.
    async fn fetch_within(&self, limit: Duration) -> Result<(String, String), RepositoryError> {
        let progress = Progress::default();
        let deadline = Instant::now() + limit;
        let mut artifact = self.repository.fetch(&name(), deadline, &progress).await?;
        let mut content = String::new();
        artifact.file.read_to_string(&mut content).unwrap();
        Ok((content, artifact.version.0))
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Whether neither an entry nor a file that was to become one is there.
    fn nothing_is_left(&self) -> bool {
        self.workspace.disk().used() == 0 && only_empty_files(self.dir.path())
    }
}

/// A host's lock is empty.
fn only_empty_files(dir: &Path) -> bool {
    let mut entries = std::fs::read_dir(dir).unwrap();
    entries.all(|entry| {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => only_empty_files(&entry.path()),
            false => entry.metadata().unwrap().len() == 0,
        }
    })
}

fn name() -> ModelName {
    ModelName::parse("m.tar.gz").unwrap()
}

/// No credentials, and no patience.
fn unsigned(endpoint: &str) -> Config {
    let http = aws_smithy_http_client::Builder::new().build_http();
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .allow_no_auth()
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .build()
}

async fn play(listener: TcpListener, answers: Vec<Answer>, requests: Arc<Mutex<Vec<String>>>) {
    let mut answers = answers.into_iter();
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        requests.lock().unwrap().push(head);
        let Some(answer) = answers.next() else {
            // Nothing ever comes.
            std::future::pending::<()>().await;
            return;
        };
        let text = format!(
            "HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n{}",
            answer.status,
            answer.body.len() + answer.cut,
            answer.headers,
            answer.body
        );
        socket.write_all(text.as_bytes()).await.unwrap();
    }
}

fn found(content: &str, etag: &str) -> Result<(String, String), RepositoryError> {
    Ok((content.to_owned(), etag.to_owned()))
}

#[tokio::test]
async fn what_was_fetched_is_fetched_again_only_if_it_changed() {
    let s3 = Scripted::new(vec![
        object("200 OK", FOO, "foo", 0),
        answer("304 Not Modified", ""),
        object("200 OK", BAR, "bar", 0),
        answer("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"),
        answer("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"),
    ])
    .await;
    assert_eq!(s3.fetch().await, found("foo", FOO));
    assert_eq!(s3.fetch().await, found("foo", FOO));
    assert_eq!(s3.fetch().await, found("bar", BAR));
    for _ in 0..2 {
        let missing = RepositoryError::NotFound("m.tar.gz".into());
        assert_eq!(s3.fetch().await, Err(missing));
    }
    let requests = s3.requests();
    let asks = |request: &String| request.contains("if-none-match");
    let asked: Vec<bool> = requests.iter().map(asks).collect();
    assert_eq!(asked, [false, true, true, true, false]);
    assert!(requests[0].starts_with("get /bucket/a/m.tar.gz?"));
    assert!(requests[0].contains("x-amz-checksum-mode: enabled"));
    assert!(s3.nothing_is_left());
}

#[tokio::test]
async fn a_download_that_is_cut_goes_on_where_it_was() {
    let s3 = Scripted::new(vec![
        object("200 OK", FOO, "f", 2),
        answer("500 Internal Server Error", ""),
        rest(FOO, 1, "oo"),
    ])
    .await;
    assert_eq!(s3.fetch().await, found("foo", FOO));
    let last = s3.requests().pop().unwrap();
    assert!(last.contains("range: bytes=1-\r\n"), "{last}");
    assert!(last.contains(&format!("if-match: {FOO}\r\n")), "{last}");
}

#[tokio::test]
async fn a_server_without_ranges_sends_all_of_it_again() {
    let answers = vec![
        object("200 OK", FOO, "fo", 1),
        object("200 OK", FOO, "foo", 0),
    ];
    assert_eq!(
        Scripted::new(answers).await.fetch().await,
        found("foo", FOO)
    );
}

#[tokio::test]
async fn what_is_replaced_meanwhile_is_downloaded_anew() {
    let ways = [
        answer("412 Precondition Failed", ""),
        // A server that does not know the condition.
        rest(BAR, 1, "ar"),
    ];
    for way in ways {
        let answers = vec![
            object("200 OK", FOO, "f", 2),
            way,
            object("200 OK", BAR, "bar", 0),
        ];
        assert_eq!(
            Scripted::new(answers).await.fetch().await,
            found("bar", BAR)
        );
    }
}

#[tokio::test]
async fn damage_is_noticed_and_the_download_starts_over() {
    let damaged = || object("200 OK", FOO, "fop", 0);
    let s3 = Scripted::new(vec![damaged(), object("200 OK", FOO, "foo", 0)]).await;
    assert_eq!(s3.fetch().await, found("foo", FOO));

    let s3 = Scripted::new((0..9).map(|_| damaged()).collect()).await;
    let error = s3.fetch().await.unwrap_err();
    assert!(matches!(error, RepositoryError::Damaged(..)), "{error}");
    assert_eq!(s3.requests().len(), 4);
    assert!(s3.nothing_is_left());
}

#[tokio::test]
async fn a_server_that_always_cuts_is_given_up() {
    let cut = || object("206 Partial Content", FOO, "", 3);
    let mut answers = vec![object("200 OK", FOO, "", 3)];
    answers.extend((0..9).map(|_| {
        let mut answer = cut();
        answer.headers += "Content-Range: bytes 0-2/3\r\n";
        answer
    }));
    let s3 = Scripted::new(answers).await;
    assert_eq!(s3.fetch().await, Err(Outage::Cut.into()));
    assert!(s3.nothing_is_left());
}

#[tokio::test]
async fn the_time_for_loading_is_kept() {
    let s3 = Scripted::new(vec![object("200 OK", FOO, "f", 2)]).await;
    let result = s3.fetch_within(Duration::from_millis(300)).await;
    assert_eq!(result, Err(RepositoryError::Deadline));
    assert!(s3.nothing_is_left());
}

#[tokio::test]
async fn what_is_larger_than_the_disk_budget_is_not_downloaded() {
    let s3 = Scripted::new(vec![object("200 OK", FOO, "f", 2 << 20)]).await;
    let error = s3.fetch().await.unwrap_err();
    assert!(matches!(error, RepositoryError::Full(_)), "{error}");
    assert!(s3.nothing_is_left());
}

#[tokio::test]
async fn a_version_is_compared() {
    let s3 = Scripted::new(vec![
        answer("304 Not Modified", ""),
        object("200 OK", FOO, "", 0),
        object("200 OK", BAR, "", 0),
        answer("404 Not Found", ""),
        answer("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"),
        answer("404 Not Found", ""),
        answer("304 Not Modified", ""),
        answer("403 Forbidden", ""),
    ])
    .await;
    let version = Version(FOO.to_owned());
    let name = name();
    let check = || s3.repository.check(&name, &version);
    assert_eq!(check().await, Ok(Freshness::Same));
    assert_eq!(check().await, Ok(Freshness::Same));
    assert_eq!(check().await, Ok(Freshness::Changed));
    // A 404 to HEAD is confirmed by GET, whose answer says what is missing.
    assert_eq!(check().await, Ok(Freshness::Gone));
    assert_eq!(check().await, Ok(Freshness::Same));
    let error = check().await.unwrap_err();
    assert!(matches!(error, RepositoryError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let s3 = Scripted::new(vec![
        answer(
            "200 OK",
            "<ListBucketResult><IsTruncated>true</IsTruncated>\
             <NextContinuationToken>t</NextContinuationToken>\
             <Contents><Key>a/README</Key><Size>1</Size></Contents>\
             <Contents><Key>a/b.tar.gz</Key><Size>2</Size></Contents></ListBucketResult>",
        ),
        answer(
            "200 OK",
            "<ListBucketResult><IsTruncated>false</IsTruncated>\
             <Contents><Key>a/c.tar.gz</Key><Size>3</Size>\
             <LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents></ListBucketResult>",
        ),
    ])
    .await;
    let listing = s3.repository.list(Some("a.tar.gz"), 5).await.unwrap();
    let names = listing
        .artifacts
        .iter()
        .map(|artifact| artifact.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["b.tar.gz", "c.tar.gz"]);
    assert_eq!(listing.artifacts[1].size, 3);
    assert!(!listing.more);
    let requests = s3.requests();
    assert!(
        requests[0].contains("start-after=a%2fa.tar.gz"),
        "{}",
        requests[0]
    );
    assert!(requests[1].contains("continuation-token=t"));
}
