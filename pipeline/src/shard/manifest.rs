//! The manifest: the list of what counts, and the only commit point of a store.
//!
//! It is read as untrusted input: nothing in it is used as a path, a size or a count before [`Manifest::parse`] has
//! looked at it.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::ids::ObjectId;
use super::location::{Medium, Version};

/// The format of the tables and of the manifest that this version writes.
pub const FORMAT: u64 = 3;
/// The oldest format that it reads. A store of it has that of its writer as soon as one writes; its shards stay as they are
/// until they are merged.
pub(super) const OLDEST_FORMAT: u64 = 2;

/// The manifest's file name.
pub(super) const MANIFEST: &str = "manifest.json";
/// Where it is written, in a folder, before it gets its name.
pub(super) const MANIFEST_TEMPORARY: &str = "manifest.json.tmp";

/// The longest manifest that is read, in bytes: some 200,000 shards, where a store has tens.
pub(super) const LONGEST_BYTES: u64 = 64 << 20;
/// The most dimensions of a vector; the largest embedding models in use have a few thousand.
const MOST_DIMENSIONS: u32 = 1 << 16;
/// Hexadecimal digits of a shard's hash that make its name.
const NAME_DIGITS: usize = 32;
/// Hexadecimal digits of a whole blake3 hash.
const HASH_DIGITS: usize = 64;

/// The most rows a byte of a shard can hold. Real tables have a third of a row a byte (spans) or less; the bound is
/// there so that a few stated bytes cannot ask for billions of rows.
const MOST_ROWS_A_BYTE: u64 = 256;
/// The most bytes that a byte of a shard can decompress to, beyond [`FREE_BYTES`]. Texts of many versions take a 26th.
const MOST_EXPANSION: u64 = 1024;
/// What any shard may decompress to, so that one long and repetitive text is no reason to refuse it.
const FREE_BYTES: u64 = 256 << 20;

/// What the store holds at one generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this JSON object's shape, 1.
    pub schema: u32,
    /// The format of the store: [`FORMAT`], or a former one that nothing was written to since.
    pub format: u64,
    /// Counts commits to the store, from 1; 0 is the empty store that was never written.
    pub generation: u64,
    /// The commits whose whole history is indexed.
    pub tips: Vec<ObjectId>,
    /// The indexed commits whose parents a shallow clone lacked.
    pub shallow: Vec<ObjectId>,
    /// What cut files into chunks; a store of another chunker is not comparable.
    pub chunker: String,
    /// What made the vectors.
    pub embedder: String,
    /// Values a vector.
    pub dimension: u32,
    /// The number that the next commit gets.
    pub next_commit: u32,
    /// The number that the next chunk gets.
    pub next_chunk: u32,
    /// Folders that hold a `.gitattributes`, as the tips have them.
    pub attribute_dirs: Vec<String>,
    /// The shards; those of one table in the order of their rows.
    pub shards: Vec<ShardEntry>,
    /// Files that were shards before others took their place, kept for readers of earlier manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
    /// Bytes of shards that were written for new rows, since the store was made.
    #[serde(default)]
    pub first_bytes: u64,
    /// Bytes of shards that were written to merge others.
    #[serde(default)]
    pub merged_bytes: u64,
    /// How far what was said in review has been fetched.
    #[serde(default, skip_serializing_if = "ReviewsPlace::is_start")]
    pub reviews: ReviewsPlace,
    /// Named blobs that this room does not read, kept as they are.
    pub blobs: Vec<serde_json::Value>,
}

/// How far review comments have been fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewsPlace {
    /// Every comment that was last edited before this second since 1970 UTC has been read.
    #[serde(default)]
    pub until: Option<i64>,
    /// Pull requests with comments that were left out because no indexed commit brought them in, by their numbers.
    #[serde(default)]
    pub waiting: Vec<u32>,
}

impl ReviewsPlace {
    fn is_start(&self) -> bool {
        *self == Self::default()
    }
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// The table, which is also the folder. A table that this version does not know is kept and ignored.
    pub table: String,
    /// The file's name: the first 32 digits of `blake3`, and `.parquet`.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// The file's size in bytes.
    pub bytes: u64,
    /// Hash of the file's bytes, 64 hexadecimal digits.
    pub blake3: String,
}

/// A file that no longer counts, and stays for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// The table, which is also the folder.
    pub table: String,
    /// The file's name.
    pub name: String,
    /// The file's size in bytes.
    pub bytes: u64,
    /// When it was retired, in seconds since 1970 UTC.
    pub at: u64,
}

impl Retired {
    /// The file, relative to the store.
    pub(super) fn file(&self) -> String {
        format!("{}/{}", self.table, self.name)
    }

    /// Whether it was retired at least `grace` ago. A clock that went back makes it stay longer.
    pub(super) fn is_over(&self, now: u64, grace: Duration) -> bool {
        now.saturating_sub(self.at) >= grace.as_secs()
    }
}

/// Whether a name can be a table's: only letters, so no separators, no dots, no drive letters.
fn is_table_name(table: &str) -> bool {
    !table.is_empty() && table.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
}

/// Whether a file's name can be a shard's.
pub(super) fn is_shard_name(name: &str) -> bool {
    let hexadecimal = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    name.strip_suffix(".parquet").is_some_and(|stem| stem.len() == NAME_DIGITS && stem.bytes().all(hexadecimal))
}

/// The name of a shard whose bytes have this hash.
pub(super) fn shard_name(hash: &blake3::Hash) -> String {
    format!("{}.parquet", &hash.to_hex()[..NAME_DIGITS])
}

impl ShardEntry {
    /// The entry of a file with this content.
    pub(super) fn new(table: &str, hash: blake3::Hash, rows: u64, bytes: u64) -> Self {
        let blake3 = hash.to_hex().to_string();
        let name = shard_name(&hash);
        Self { table: table.to_owned(), name, rows, bytes, blake3 }
    }

    /// The file, relative to the store.
    pub fn file(&self) -> String {
        format!("{}/{}", self.table, self.name)
    }

    /// The name without `.parquet`.
    pub(super) fn stem(&self) -> &str {
        self.name.strip_suffix(".parquet").unwrap_or(&self.name)
    }

    /// Refuses names that are no plain names and counts that no such file can hold.
    fn check(&self) -> Result<(), String> {
        if !is_table_name(&self.table) {
            return Err(format!("table {:?} is not a plain name", self.table));
        }
        let hexadecimal = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        if self.blake3.len() != HASH_DIGITS || !self.blake3.bytes().all(hexadecimal) {
            return Err(format!("shard {:?} has no blake3 hash", self.name));
        }
        if self.name.strip_suffix(".parquet") != Some(&self.blake3[..NAME_DIGITS]) {
            return Err(format!("shard {:?} is not named by its hash", self.name));
        }
        plausible(self.rows, 0, self.bytes).map_err(|why| format!("shard {:?} {why}", self.name))
    }
}

impl Manifest {
    /// Reads the manifest; `None` if there is none.
    pub(super) fn read(medium: &dyn Medium) -> Result<Option<(Self, Version)>, StoreError> {
        let Some((text, version)) = medium.read_manifest(LONGEST_BYTES)? else { return Ok(None) };
        if text.len() as u64 > LONGEST_BYTES {
            return Err(StoreError::damaged(MANIFEST, "it is longer than any manifest"));
        }
        Ok(Some((Self::parse(&text)?, version)))
    }

    /// Parses and checks a manifest. The format is looked at first, for another format may be another shape.
    pub(super) fn parse(text: &[u8]) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Header {
            format: u64,
        }
        let damaged = |why: String| StoreError::damaged(MANIFEST, why);
        let header: Header = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&header.format) {
            return Err(StoreError::Version { found: header.format, supported: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        manifest.check().map_err(damaged)?;
        Ok(manifest)
    }

    /// Refuses what no store of this format states. A writer asks too, so that it writes nothing it could not open.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.dimension == 0 || self.dimension > MOST_DIMENSIONS {
            return Err(format!("vectors of {} dimensions", self.dimension));
        }
        let mut seen = HashSet::new();
        for shard in &self.shards {
            shard.check()?;
            if !seen.insert((&shard.table, &shard.name)) {
                return Err(format!("shard {:?} is named twice", shard.name));
            }
        }
        if let Some(file) = self.retired.iter().find(|file| !is_table_name(&file.table) || !is_shard_name(&file.name)) {
            return Err(format!("retired file {:?} has no shard's name", file.file()));
        }
        for (table, next) in [("commits", self.next_commit), ("chunks", self.next_chunk)] {
            // Numbers are never reused, so there cannot be more rows than numbers were given out.
            let rows = self.rows(table);
            if rows > u64::from(next) {
                return Err(format!("{rows} {table} where the next number is {next}"));
            }
        }
        Ok(())
    }

    /// The shards of one table, oldest first.
    pub fn shards_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a ShardEntry> {
        self.shards.iter().filter(move |shard| shard.table == table)
    }

    /// Rows of one table, over all shards.
    pub fn rows(&self, table: &str) -> u64 {
        self.shards_of(table).fold(0, |sum, shard| sum.saturating_add(shard.rows))
    }

    /// The text that is written.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("because every key is a string and every value plain");
        text.push(b'\n');
        text
    }
}

/// Whether a file of `bytes` can hold `rows` that take `expanded` bytes when decompressed. Writing and reading ask
/// the same question, so that nothing is written that would be refused.
pub(super) fn plausible(rows: u64, expanded: u64, bytes: u64) -> Result<(), String> {
    if rows > u64::from(u32::MAX) || rows > bytes.saturating_mul(MOST_ROWS_A_BYTE) {
        return Err(format!("states {rows} rows in {bytes} bytes"));
    }
    if expanded > bytes.saturating_mul(MOST_EXPANSION).saturating_add(FREE_BYTES) {
        return Err(format!("states {expanded} bytes in {bytes} compressed bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            schema: 1,
            format: FORMAT,
            generation: 3,
            tips: vec![ObjectId::from_bytes(&[7; 20]).unwrap()],
            shallow: vec![],
            chunker: "rows".into(),
            embedder: "table".into(),
            dimension: 256,
            next_commit: 10,
            next_chunk: 10,
            attribute_dirs: vec!["docs".into()],
            shards: vec![ShardEntry::new("commits", blake3::hash(b"x"), 10, 100)],
            retired: vec![Retired { table: "edits".into(), name: format!("{:032x}.parquet", 7), bytes: 9, at: 5 }],
            first_bytes: 100,
            merged_bytes: 0,
            reviews: ReviewsPlace { until: Some(9), waiting: vec![3, 7] },
            blobs: vec![serde_json::json!({ "name": "replay", "bytes": 12 })],
        }
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> String {
        let mut changed = manifest();
        change(&mut changed);
        Manifest::parse(&changed.text()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Manifest::parse(&manifest().text()).unwrap(), manifest());
    }

    #[test]
    fn another_format_is_refused_whatever_its_shape() {
        let error = Manifest::parse(br#"{"format": 9, "shards": "elsewhere"}"#).unwrap_err();
        assert!(matches!(error, StoreError::Version { found: 9, supported: FORMAT }));
        assert!(error.to_string().contains("format 9"));
    }

    #[test]
    fn names_that_leave_the_store_are_refused() {
        for name in ["../manifest.json", "../../etc/passwd", "/etc/passwd", "", ".parquet", "a.parquet"] {
            assert!(refused(|m| m.shards[0].name = name.into()).contains("not named by its hash"), "{name}");
        }
        for table in ["..", "", "a/b", "C:", "commits\0", "Commits"] {
            assert!(refused(|m| m.shards[0].table = table.into()).contains("not a plain name"), "{table}");
        }
        for (table, name) in [("edits", "../manifest.json"), ("..", "lock"), ("edits", "writing.tmp"), ("/", "")] {
            let retired = Retired { table: table.into(), name: name.into(), bytes: 1, at: 1 };
            assert!(refused(|m| m.retired[0] = retired.clone()).contains("no shard's name"), "{table}/{name}");
        }
        assert!(refused(|m| m.shards[0].blake3 = "é".repeat(32)).contains("no blake3"));
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        assert!(refused(|m| m.shards[0].rows = u64::MAX).contains("rows in"));
        assert!(refused(|m| m.shards[0].rows = 100_000).contains("rows in"));
        assert!(refused(|m| m.next_commit = 9).contains("next number is 9"));
        assert!(refused(|m| m.dimension = 0).contains("dimensions"));
        assert!(refused(|m| m.dimension = u32::MAX).contains("dimensions"));
        assert!(refused(|m| m.shards.push(m.shards[0].clone())).contains("named twice"));
    }

    #[test]
    fn what_does_not_parse_is_damaged_and_named() {
        for text in ["", "{", "[]", "{}", "null", r#"{"format":2}"#, "\u{0}"] {
            let error = Manifest::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged { what, .. } if what == MANIFEST), "{text}");
        }
    }
}
