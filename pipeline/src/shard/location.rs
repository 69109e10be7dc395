//! Location: where a store is, and what it asks of such a place.
//!
//! A place is a folder on this machine, or a prefix of an object store. Both keep named files that appear whole or not
//! at all, and a manifest that is replaced only by who has seen the one before. The rest of this room knows no other
//! difference between them.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::AmazonS3Builder;
use object_store::memory::InMemory;
use object_store::{ClientOptions, RetryConfig, UpdateVersion};

use super::bytes::ShardBytes;
use super::draft::Draft;
use super::error::StoreError;
use super::folder::Folder;
use super::lock::Held;
use super::manifest::ShardEntry;
use super::objects::Objects;
use super::shelf::{self, Shelf};
use super::waiting::Waiting;

/// Where a store is.
#[derive(Clone)]
pub struct Location {
    medium: Arc<dyn Medium>,
}

/// Text that names no place for a store.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum LocationError {
    /// There is nothing in it.
    #[error("the place of the store is empty")]
    Empty,
    /// A URL of a kind that is not known here.
    #[error("a store at `{0}://` is not supported")]
    Scheme(String),
    /// A `file://` URL that is no absolute path of this machine.
    #[error("`{0}` is not the URL of a folder on this machine")]
    File(String),
    /// An `s3://` URL without a bucket, or settings of the environment that make no client: what was wrong.
    #[error("`{0}` cannot be reached: {1}")]
    Bucket(String, String),
}

/// How long one request to an object store may take, the bytes of a shard included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a request is tried again that fails, and how often.
const RETRY: (Duration, usize) = (Duration::from_secs(60), 5);

impl Location {
    /// A folder, which need not be there yet.
    pub fn folder(dir: impl Into<PathBuf>) -> Self {
        Self::of(Folder::new(dir.into()))
    }

    /// A store that is there as long as this value and its clones are.
    pub fn memory() -> Self {
        Self::of(Objects::new(Arc::new(InMemory::new()), "", "memory://"))
    }

    /// This place to be read, with what is written over it kept in memory, as long as the value and its clones are there.
    pub fn draft(&self) -> Self {
        Self::of(Draft::new(Arc::clone(&self.medium)))
    }

    /// What stands under a prefix of a bucket of S3, or of a server that speaks its protocol and knows conditional
    /// writes. Who asks, where, and from which region is what the environment says in the variables that all tools read:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`. Nothing is asked yet.
    fn s3(url: &str, rest: &str, shelf: Option<PathBuf>) -> Result<Self, LocationError> {
        let wrong = |why: &dyn fmt::Display| LocationError::Bucket(url.to_owned(), why.to_string());
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['?', '#', '@']) {
            return Err(wrong(&"it does not name a bucket"));
        }
        // Whoever made one before is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let waiting = Waiting::in_network().map_err(|error| wrong(&error))?;
        let (retry_timeout, max_retries) = RETRY;
        let client = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(allows_http()))
            .with_retry(RetryConfig { max_retries, retry_timeout, ..RetryConfig::default() })
            .build()
            .map_err(|error| wrong(&error))?;
        let prefix = prefix.trim_matches('/');
        let shown = if prefix.is_empty() { format!("s3://{bucket}/") } else { format!("s3://{bucket}/{prefix}/") };
        let objects = Objects::new(Arc::new(client), prefix, &shown).with_waiting(waiting);
        Ok(Self::of(match shelf {
            Some(folder) => objects.with_shelf(Shelf::new(folder, shelf::BYTES)),
            None => objects,
        }))
    }

    /// A path, a `file://` URL with an absolute path, `s3://BUCKET/PREFIX`, or `memory://`.
    ///
    /// # Errors
    /// [`LocationError`] where the text is nothing of these.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        Self::parse_with_shelf(text, None)
    }

    /// The same, where shards from the network are kept in this folder until others need the room.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn parse_with_shelf(text: &str, shelf: Option<PathBuf>) -> Result<Self, LocationError> {
        match text.split_once("://") {
            None if text.is_empty() => Err(LocationError::Empty),
            None => Ok(Self::folder(text)),
            Some(("memory", "" | "/")) => Ok(Self::memory()),
            Some(("file", rest)) => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                let path = decode(path).filter(|path| Path::new(path).is_absolute());
                path.map(Self::folder).ok_or_else(|| LocationError::File(text.to_owned()))
            }
            Some(("s3", rest)) => Self::s3(text, rest, shelf),
            Some((scheme, _)) => Err(LocationError::Scheme(scheme.to_owned())),
        }
    }

    /// The folder, where it is one.
    pub fn path(&self) -> Option<&Path> {
        self.medium.folder()
    }

    /// Whether a store was ever written here.
    pub fn was_written(&self) -> Result<bool, StoreError> {
        self.medium.was_locked()
    }

    pub(super) fn of(medium: impl Medium + 'static) -> Self {
        Self { medium: Arc::new(medium) }
    }

    pub(super) fn medium(&self) -> &dyn Medium {
        &*self.medium
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.medium.name("").display().fmt(f)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.medium, &other.medium)
            || self.path().is_some_and(|path| other.path().is_some_and(|other| path == other))
    }
}

impl From<&Path> for Location {
    fn from(dir: &Path) -> Self {
        Self::folder(dir)
    }
}

impl From<&PathBuf> for Location {
    fn from(dir: &PathBuf) -> Self {
        Self::folder(dir)
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

/// Whether the environment names a server without TLS, which who names it has decided.
fn allows_http() -> bool {
    let named = |name: &str| std::env::var(name).is_ok_and(|url| url.starts_with("http://"));
    named("AWS_ENDPOINT_URL") || named("AWS_ENDPOINT_URL_S3") || named("AWS_ENDPOINT")
}

/// The text that a URL's path stands for, where `%2F` is a byte.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|c| char::from(c).to_digit(16));
        bytes.push(if byte == b'%' { (digit()? << 4 | digit()?) as u8 } else { byte });
    }
    String::from_utf8(bytes).ok()
}

/// Which version of the manifest was read, for who replaces it. A folder has none: its lock keeps others out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Version(pub(super) Option<UpdateVersion>);

/// A file of a table's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name inside the table's folder.
    pub(super) name: String,
    /// When it was written, where a writer that this one cannot keep out may be about to name it.
    pub(super) written: Option<SystemTime>,
}

/// What a store asks of the place that it is in. Names are relative to the store: `manifest.json`, `commits/….parquet`.
pub(super) trait Medium: fmt::Debug + Send + Sync {
    /// What people call a file.
    fn name(&self, file: &str) -> PathBuf;

    /// The folder, where it is one.
    fn folder(&self) -> Option<&Path>;

    /// The manifest's bytes, at most `longest` and one more, and its version. `None` if there is none.
    fn read_manifest(&self, longest: u64) -> Result<Option<(Vec<u8>, Version)>, StoreError>;

    /// Puts a manifest in place of the one of this version, durably; `None` was none. When it returns, everything
    /// that was written before is durable too. `Ok(None)` if another one is there by now.
    fn replace_manifest(&self, text: &[u8], expected: Option<&Version>) -> Result<Option<Version>, StoreError>;

    /// Removes what a failed [`Medium::replace_manifest`] may have left.
    fn remove_unfinished_manifest(&self) -> Result<(), StoreError>;

    /// The length of a file, in bytes, where that costs next to nothing to ask. `Err` in words if it is no such file.
    fn length(&self, file: &str) -> Result<Option<Result<u64, String>>, StoreError>;

    /// A file's bytes, to be read in part; `None` if it is missing. What `verified` files hold was looked at before.
    fn open(&self, file: &str, verified: bool) -> Result<Option<ShardBytes>, StoreError>;

    /// Writes a shard of a table, which gets its name when `write` has ended.
    fn write_shard(
        &self,
        table: &str,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<ShardEntry>,
    ) -> Result<ShardEntry, StoreError>;

    /// The files of a table.
    fn list(&self, table: &str) -> Result<Vec<Listed>, StoreError>;

    /// Removes a file; that it is gone already is no error.
    fn remove(&self, file: &str) -> Result<(), StoreError>;

    /// Takes the right to write.
    fn lock(&self) -> Result<Held, StoreError>;

    /// Whether the right to write was ever taken here.
    fn was_locked(&self) -> Result<bool, StoreError>;

    /// Moves the manifest, and then the tables' files, into `set-aside/GENERATION`, and says where that is.
    fn set_aside(&self, generation: &str) -> Result<PathBuf, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_or_a_url() {
        let path = |text: &str| Location::parse(text).map(|location| location.path().map(Path::to_owned));
        assert_eq!(path("a/b"), Ok(Some("a/b".into())));
        assert_eq!(path("file:///a/b%20c"), Ok(Some("/a/b c".into())));
        assert_eq!(path("file://localhost/a"), Ok(Some("/a".into())));
        assert_eq!(path("memory://"), Ok(None));
        assert_eq!(path(""), Err(LocationError::Empty));
        assert_eq!(path("s3://bucket/a"), Ok(None));
        assert_eq!(
            Location::parse("s3://bucket/a//").map(|location| location.to_string()),
            Ok("s3://bucket/a/".into())
        );
        assert!(matches!(path("s3:///a"), Err(LocationError::Bucket(..))));
        assert_eq!(path("gs://bucket/a"), Err(LocationError::Scheme("gs".into())));
        for wrong in ["file://", "file://a/b", "file:///a%2", "file:///%ff"] {
            assert_eq!(path(wrong), Err(LocationError::File(wrong.into())), "{wrong}");
        }
    }

    #[test]
    fn places_are_the_same_where_their_files_are() {
        assert_eq!(Location::folder("a"), Location::folder("a"));
        assert_ne!(Location::folder("a"), Location::folder("b"));
        let memory = Location::memory();
        assert_eq!(memory, memory.clone());
        assert_ne!(memory, Location::memory());
    }
}
