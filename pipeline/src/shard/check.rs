//! The full check of a store: every byte, and every reference between tables.

use std::collections::{BTreeMap, HashSet};

use super::decode::{Decode, Strings};
use super::error::StoreError;
use super::ids::ObjectId;
use super::manifest::ShardEntry;
use super::reader::{Part, Vectors};
use super::rows::{ChunkRow, ClusterRow, CommitRow, EditRow, ReviewRow, SpanRow};
use super::schema::Table;
use super::store::Store;

/// What checking a store found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Shards that the manifest names.
    pub shards: usize,
    /// Rows that could be read, by table.
    pub rows: BTreeMap<String, u64>,
    /// Bytes of shards and manifest.
    pub bytes: u64,
    /// What is wrong, one sentence each; empty if all is well.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// Notes how many rows have a fault, and one of them.
    fn fault(&mut self, what: &str, faulty: impl Iterator<Item = String>) {
        let mut faulty = faulty.peekable();
        if let Some(first) = faulty.peek().cloned() {
            self.problems.push(format!("{what}: {} (first: {first})", faulty.count()));
        }
    }
}

impl Store {
    /// Verifies every shard's hash and content and the references between tables. A damaged shard is a problem in
    /// the report, not an error, and the rest is still looked at; references to a table with a damaged shard are
    /// not, for they would all seem broken. Holds all rows of one table in memory at a time, and texts of one shard.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let mut report =
            CheckReport { shards: self.manifest().shards.len(), bytes: self.bytes_on_disk(), ..CheckReport::default() };
        // Reading a shard takes its hash, unless that was done before.
        self.forget_verified();
        for shard in self.manifest().shards.iter().filter(|shard| Table::ALL.iter().all(|t| t.name() != shard.table)) {
            // A table of a later version: its rows mean nothing here, and its bytes can still be compared.
            if let Err(error) = self.open_shard(shard) {
                report.problems.push(error.to_string());
            }
        }
        let commits = self.check_commits(&mut report);
        let chunks = self.check_chunks(&mut report);
        self.check_edits(&mut report, commits.as_ref(), chunks.as_ref());
        self.check_spans(&mut report, chunks.as_ref());
        self.check_vectors(&mut report, chunks.as_ref());
        self.check_clusters(&mut report);
        self.check_reviews(&mut report);
        Ok(report)
    }

    /// Returns the numbers of the commits, if all could be read.
    fn check_commits(&self, report: &mut CheckReport) -> Option<HashSet<u32>> {
        let commits: Vec<CommitRow> = self.readable(report)?;
        let numbers = unique(report, "commits share a number", commits.iter().map(|row| row.number));
        let ids: HashSet<ObjectId> = unique(report, "commits share an id", commits.iter().map(|row| row.id));
        let next = self.manifest().next_commit;
        let late = commits.iter().filter(|row| row.number >= next).map(|row| row.number.to_string());
        report.fault("commits have a number that was not given out", late);
        let shallow: HashSet<ObjectId> = self.manifest().shallow.iter().copied().collect();
        let complete = |row: &&CommitRow| shallow.contains(&row.id) || row.parents.iter().all(|id| ids.contains(id));
        let orphans = commits.iter().filter(|row| !complete(row)).map(|row| row.id.to_string());
        report.fault("commits have a parent that is not indexed", orphans);
        let tips = self.manifest().tips.iter().filter(|id| !ids.contains(id)).map(ObjectId::to_string);
        report.fault("tips are not indexed", tips);
        Some(numbers)
    }

    /// Returns the numbers of the chunks, if all could be read.
    fn check_chunks(&self, report: &mut CheckReport) -> Option<HashSet<u32>> {
        let mut ids = Vec::new();
        self.each_shard(report, Table::Chunks, |shard| {
            // One shard at a time, for texts are the bulk of a store and nothing is asked of them but to be text.
            let mut chunks: Vec<ChunkRow> = Vec::new();
            self.read_rows(shard, &mut Strings::default(), &mut chunks)?;
            ids.extend(chunks.iter().map(|row| (row.number, row.id)));
            Ok(())
        })?;
        report.rows.insert(Table::Chunks.name().to_owned(), ids.len() as u64);
        unique(report, "chunks share an id", ids.iter().map(|(_, id)| *id));
        let next = self.manifest().next_chunk;
        let late = ids.iter().filter(|(number, _)| *number >= next).map(|(number, _)| number.to_string());
        report.fault("chunks have a number that was not given out", late);
        Some(unique(report, "chunks share a number", ids.iter().map(|(number, _)| *number)))
    }

    fn check_edits(
        &self,
        report: &mut CheckReport,
        commits: Option<&HashSet<u32>>,
        chunks: Option<&HashSet<u32>>,
    ) -> Option<()> {
        let edits: Vec<EditRow> = self.readable(report)?;
        let missing = |known: Option<&HashSet<u32>>, number| known.is_some_and(|known| !known.contains(&number));
        let lost = edits.iter().filter(|row| missing(commits, row.commit)).map(|row| row.commit.to_string());
        report.fault("edits are of a commit that is not stored", lost);
        let texts = edits.iter().flat_map(|row| row.before.into_iter().chain(row.after));
        let lost = texts.filter(|number| missing(chunks, *number)).map(|number| number.to_string());
        report.fault("edits name a chunk that is not stored", lost);
        Some(())
    }

    fn check_spans(&self, report: &mut CheckReport, chunks: Option<&HashSet<u32>>) -> Option<()> {
        let spans: Vec<SpanRow> = self.readable(report)?;
        let chunks = chunks?;
        let lost = spans.iter().filter(|row| !chunks.contains(&row.chunk)).map(|row| row.chunk.to_string());
        report.fault("spans name a chunk that is not stored", lost);
        Some(())
    }

    fn check_vectors(&self, report: &mut CheckReport, chunks: Option<&HashSet<u32>>) -> Option<()> {
        let mut vectors = Vectors::default();
        self.each_shard(report, Table::Vectors, |shard| {
            self.read_shard(Table::Vectors, shard, Part::default(), |batch| vectors.append(batch))
        })?;
        report.rows.insert(Table::Vectors.name().to_owned(), vectors.chunk.len() as u64);
        let numbers = unique(report, "vectors share a chunk", vectors.chunk.iter().copied());
        let odd = vectors.chunk.iter().zip(vectors.norm.iter().zip(&vectors.scale));
        let odd = odd.filter(|(_, (norm, scale))| !norm.is_finite() || !scale.is_finite());
        report.fault("vectors have a norm or scale that is not finite", odd.map(|(number, _)| number.to_string()));
        let chunks = chunks?;
        // In order of number, so that the same fault always reads the same.
        let lost = vectors.chunk.iter().filter(|number| !chunks.contains(number)).map(u32::to_string);
        report.fault("vectors are of a chunk that is not stored", lost);
        let mut bare: Vec<u32> = chunks.difference(&numbers).copied().collect();
        bare.sort_unstable();
        report.fault("chunks have no vector", bare.iter().map(u32::to_string));
        Some(())
    }

    fn check_clusters(&self, report: &mut CheckReport) -> Option<()> {
        self.readable::<ClusterRow>(report)?;
        match self.vector_shards() {
            Ok(shards) => {
                let faulty = shards.iter().filter_map(|shard| shard.check_codes().err());
                report.problems.extend(faulty.map(|error| error.to_string()));
            }
            // What keeps a shard from being read whole was noted with its rows.
            Err(error) if report.problems.iter().any(|problem| *problem == error.to_string()) => {}
            Err(error) => report.problems.push(error.to_string()),
        }
        Some(())
    }

    fn check_reviews(&self, report: &mut CheckReport) -> Option<()> {
        let reviews: Vec<ReviewRow> = self.readable(report)?;
        unique(report, "reviews share a comment", reviews.iter().map(|row| row.comment));
        let odd = reviews.iter().filter(|row| !row.scale.is_finite()).map(|row| row.comment.to_string());
        report.fault("reviews have a scale that is not finite", odd);
        Some(())
    }

    /// The rows of a table, or `None` after noting which shards could not be read.
    fn readable<R: Decode>(&self, report: &mut CheckReport) -> Option<Vec<R>> {
        let (mut rows, mut strings) = (Vec::new(), Strings::default());
        let whole = self.each_shard(report, R::TABLE, |shard| self.read_rows(shard, &mut strings, &mut rows));
        report.rows.insert(R::TABLE.name().to_owned(), rows.len() as u64);
        whole.map(|()| rows)
    }

    /// Calls `read` for every shard of a table, and notes failures; `None` if there were any.
    fn each_shard(
        &self,
        report: &mut CheckReport,
        table: Table,
        mut read: impl FnMut(&ShardEntry) -> Result<(), StoreError>,
    ) -> Option<()> {
        let mut whole = Some(());
        for shard in self.manifest().shards_of(table.name()) {
            if let Err(error) = read(shard) {
                report.problems.push(error.to_string());
                whole = None;
            }
        }
        whole
    }
}

/// The set of the values, after noting those that come twice.
fn unique<T: Copy + Eq + std::hash::Hash + std::fmt::Debug>(
    report: &mut CheckReport,
    what: &str,
    values: impl Iterator<Item = T>,
) -> HashSet<T> {
    let mut seen = HashSet::new();
    let twice: Vec<T> = values.filter(|value| !seen.insert(*value)).collect();
    report.fault(what, twice.iter().map(|value| format!("{value:?}")));
    seen
}
