//! Merging: many small shards → few large ones, with the same rows.
//!
//! Every run adds shards, so that a hundred nights would leave a hundred in each table. After a run the tables are
//! looked at as an LSM tree looks at its levels. The **level** of a shard is the logarithm of its rows to base
//! [`FANOUT`]. Walking from the oldest shard to the newest, [`FANOUT`] neighbours of one level become one, and so do
//! a shard and what is older, smaller and beside it. What is left has levels that fall from old to new, with fewer
//! than [`FANOUT`] of each, so there are O(log rows) of them. A row is written again only when its level rises, or once
//! where its shard is the larger one beside a smaller: at most 2 · log(rows) times. Shards of a table's full size are
//! left alone, which bounds what one run rewrites.
//!
//! Rows go through the ordinary reader and writer, so a merged shard is in the order of any other. It takes the place
//! of those that it was made of in one manifest. They are **retired**: readers of earlier manifests find them until
//! the grace period is over.

use std::ops::Range;

use super::commit::{GRACE, seconds_now};
use super::decode::{Decode, Strings};
use super::encode::Encode;
use super::error::StoreError;
use super::lock::WriteLock;
use super::manifest::{Manifest, Retired, ShardEntry};
use super::reader::{Part, Vectors};
use super::rows::{ChunkRow, ClusterRow, CommitRow, EditRow, ReviewRow, SpanRow, VectorRow};
use super::schema::{Effort, Table};
use super::store::Store;
use super::writer::{write_shard, write_vectors};

/// How many shards of a level become one of the next. With fewer a first run would merge much of what it has just
/// written; with more a search would open more shards.
const FANOUT: usize = 10;

/// What to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// What the levels ask for.
    Levels,
    /// Everything, into shards as large as memory allows.
    Everything,
}

/// What merging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeReport {
    /// Shards that others took the place of.
    pub shards: usize,
    /// The shards that did.
    pub into: usize,
    /// Bytes of these.
    pub bytes: u64,
}

impl Store {
    /// Merges shards, as one generation; nothing is written where there is nothing to merge. A failure leaves the
    /// store as it was, as with [`Store::commit`].
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming a shard that cannot be read; a store that cannot be written, or that another
    /// writer wrote.
    pub fn merge(&mut self, lock: &WriteLock, merging: Merging) -> Result<MergeReport, StoreError> {
        let plan = plan(self.manifest(), merging);
        if plan.is_empty() {
            return Ok(MergeReport::default());
        }
        self.check_current(lock)?;
        self.remove_orphans(GRACE)?;
        let result = self.write_merged(lock, plan);
        if result.is_err() {
            self.clean_up();
        }
        result
    }

    fn write_merged(
        &mut self,
        lock: &WriteLock,
        plan: Vec<(Table, Vec<ShardEntry>)>,
    ) -> Result<MergeReport, StoreError> {
        let mut next = Manifest { generation: self.manifest().generation + 1, ..self.manifest().clone() };
        let mut report = MergeReport::default();
        let at = seconds_now();
        for (table, shards) in plan {
            let entries = self.rewrite(table, &shards)?;
            let mut shards = shards;
            if table == Table::Vectors {
                shards.extend(self.clusters_of(&shards)?);
            }
            report.shards += shards.len();
            for entry in entries {
                next.merged_bytes = next.merged_bytes.saturating_add(entry.bytes);
                report.into += 1;
                report.bytes += entry.bytes;
                let is_first = |shard: &ShardEntry| shard.table == entry.table && shards.contains(shard);
                let first = next.shards.iter().position(is_first).unwrap_or(next.shards.len());
                next.shards.insert(first, entry);
            }
            next.shards.retain(|shard| !shards.contains(shard));
            let retire = |shard: ShardEntry| Retired { table: shard.table, name: shard.name, bytes: shard.bytes, at };
            next.retired.extend(shards.into_iter().map(retire));
        }
        let named: Vec<(String, String)> =
            next.shards.iter().map(|shard| (shard.table.clone(), shard.name.clone())).collect();
        next.retired.retain(|file| !named.iter().any(|(table, name)| *table == file.table && *name == file.name));
        self.publish(lock, next, GRACE)?;
        Ok(report)
    }

    fn rewrite(&self, table: Table, shards: &[ShardEntry]) -> Result<Vec<ShardEntry>, StoreError> {
        match table {
            Table::Commits => self.write_again(self.rows_of::<CommitRow>(shards)?),
            Table::Edits => self.write_again(self.rows_of::<EditRow>(shards)?),
            Table::Chunks => self.write_again(self.rows_of::<ChunkRow>(shards)?),
            Table::Spans => self.write_again(self.rows_of::<SpanRow>(shards)?),
            Table::Vectors => {
                let mut rows = self.vector_rows_of(shards)?;
                rows.sort_by_key(|row| row.chunk);
                write_vectors(self.medium(), &rows, self.manifest().dimension, Effort::Thorough)
            }
            Table::Reviews => self.write_again(self.rows_of::<ReviewRow>(shards)?),
            // They are written with the vectors that they are of.
            Table::Clusters => Ok(Vec::new()),
        }
    }

    fn write_again<R: Encode>(&self, mut rows: Vec<R>) -> Result<Vec<ShardEntry>, StoreError> {
        R::order(&mut rows);
        let entry = write_shard(self.medium(), &rows, self.manifest().dimension, Effort::Thorough)?;
        Ok(entry.into_iter().collect())
    }

    /// The shards of `clusters` that speak of these shards of `vectors`. Each was written beside one of them.
    fn clusters_of(&self, vectors: &[ShardEntry]) -> Result<Vec<ShardEntry>, StoreError> {
        let mut found = Vec::new();
        for shard in self.manifest().shards_of(Table::Clusters.name()) {
            let clusters = self.rows_of::<ClusterRow>(std::slice::from_ref(shard))?;
            let is_of_them = |cluster: &ClusterRow| vectors.iter().any(|entry| entry.stem() == &*cluster.shard);
            match clusters.iter().filter(|cluster| is_of_them(cluster)).count() {
                0 => {}
                all if all == clusters.len() => found.push(shard.clone()),
                _ => return Err(StoreError::damaged(shard.file(), "it speaks of more than one shard of vectors")),
            }
        }
        Ok(found)
    }

    fn rows_of<R: Decode>(&self, shards: &[ShardEntry]) -> Result<Vec<R>, StoreError> {
        let (mut rows, mut strings) = (Vec::new(), Strings::default());
        shards.iter().try_for_each(|shard| self.read_rows(shard, &mut strings, &mut rows))?;
        Ok(rows)
    }

    fn vector_rows_of(&self, shards: &[ShardEntry]) -> Result<Vec<VectorRow>, StoreError> {
        let mut vectors = Vectors::default();
        for shard in shards {
            self.read_shard(Table::Vectors, shard, Part::default(), |batch| vectors.append(batch))?;
        }
        let values = vectors.values.chunks_exact(self.manifest().dimension as usize);
        let rows = vectors.chunk.iter().zip(vectors.norm.iter().zip(&vectors.scale)).zip(values);
        Ok(rows
            .map(|((chunk, (norm, scale)), values)| VectorRow {
                chunk: *chunk,
                norm: *norm,
                scale: *scale,
                vector: values.to_vec(),
            })
            .collect())
    }
}

/// The shards to make one of, table by table.
fn plan(manifest: &Manifest, merging: Merging) -> Vec<(Table, Vec<ShardEntry>)> {
    let mut plan = Vec::new();
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Clusters) {
        let shards: Vec<&ShardEntry> = manifest.shards_of(table.name()).collect();
        let groups = match merging {
            Merging::Levels => {
                by_level(&shards, Limits { full_bytes: table.full_bytes(), most_rows: table.most_rows() })
            }
            Merging::Everything => by_rows(&shards, table.most_rows()),
        };
        let groups = groups.into_iter().filter(|group| group.len() > 1);
        plan.extend(groups.map(|group| (table, shards[group].iter().map(|shard| (*shard).clone()).collect())));
    }
    plan
}

/// Neighbours that become one shard, or are one.
#[derive(Debug, Clone)]
struct Group {
    shards: Range<usize>,
    rows: u64,
    bytes: u64,
}

impl Group {
    fn level(&self) -> u32 {
        self.rows.max(1).ilog(FANOUT as u64)
    }
}

/// How large a shard of a table becomes.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// One of so many bytes is left alone.
    full_bytes: u64,
    /// And none of more rows is made, for all of them are in memory then.
    most_rows: u64,
}

impl Limits {
    /// Whether a group is left alone. Two that are not can always be joined.
    fn is_full(self, group: &Group) -> bool {
        group.bytes >= self.full_bytes || group.rows > self.most_rows / 2
    }

    /// Groups that are not full as one; as several where that would have too many rows, full ones but for the last.
    fn joined(self, groups: &[Group]) -> Vec<Group> {
        let mut joined: Vec<Group> = Vec::new();
        for group in groups {
            match joined.last_mut() {
                Some(last) if last.rows.saturating_add(group.rows) <= self.most_rows => {
                    last.shards.end = group.shards.end;
                    last.rows += group.rows;
                    last.bytes = last.bytes.saturating_add(group.bytes);
                }
                _ => joined.push(group.clone()),
            }
        }
        joined
    }
}

/// Groups whose levels fall from old to new, fewer than [`FANOUT`] of each, but for full ones, between which there is
/// at most one that is not.
fn by_level(shards: &[&ShardEntry], limits: Limits) -> Vec<Range<usize>> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, shard) in shards.iter().enumerate() {
        groups.push(Group { shards: at..at + 1, rows: shard.rows, bytes: shard.bytes });
        while let Some(count) = to_join(&groups, limits) {
            let rest = groups.len() - count;
            let joined = limits.joined(&groups[rest..]);
            groups.truncate(rest);
            groups.extend(joined);
        }
        // What stands before a full one has no larger neighbour to wait for. Joining may have made several, so each is looked at.
        let mut until = groups.len();
        while let Some(full) = groups[..until].iter().rposition(|group| limits.is_full(group)) {
            let small = groups[..full].iter().rev().take_while(|group| !limits.is_full(group)).count();
            until = full - small;
            if small > 1 {
                let joined = limits.joined(&groups[until..full]);
                groups.splice(until..full, joined);
            }
        }
    }
    groups.into_iter().map(|group| group.shards).collect()
}

/// How many of the last groups are to become one.
fn to_join(groups: &[Group], limits: Limits) -> Option<usize> {
    let last = groups.last().filter(|last| !limits.is_full(last))?;
    let open = || groups.iter().rev().skip(1).take_while(|group| !limits.is_full(group));
    let smaller = open().take_while(|group| group.level() < last.level()).count();
    if smaller > 0 {
        return Some(smaller + 1);
    }
    let equal = open().take_while(|group| group.level() == last.level()).count();
    (equal + 1 >= FANOUT).then_some(equal + 1)
}

/// Groups of at most so many rows, or of one shard.
fn by_rows(shards: &[&ShardEntry], most_rows: u64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut rows = 0_u64;
    for (at, shard) in shards.iter().enumerate() {
        rows = rows.saturating_add(shard.rows);
        match groups.last_mut() {
            Some(group) if rows <= most_rows => group.end = at + 1,
            _ => {
                groups.push(at..at + 1);
                rows = shard.rows;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A byte a row, so that sizes are rows.
    fn shards(rows: &[u64]) -> Vec<ShardEntry> {
        rows.iter().map(|rows| ShardEntry::new("edits", blake3::hash(b""), *rows, *rows)).collect()
    }

    fn merged(rows: &[u64], full: u64) -> Vec<u64> {
        merged_within(rows, Limits { full_bytes: full, most_rows: u64::MAX })
    }

    fn merged_within(rows: &[u64], limits: Limits) -> Vec<u64> {
        let shards = shards(rows);
        let shards: Vec<&ShardEntry> = shards.iter().collect();
        let groups = by_level(&shards, limits);
        groups.into_iter().map(|group| rows[group].iter().sum()).collect()
    }

    #[test]
    fn ten_of_a_level_become_one_and_what_is_small_joins_the_larger_beside_it() {
        let check = |rows: &[u64], expected: &[u64]| assert_eq!(merged(rows, u64::MAX), expected, "{rows:?}");
        let levels = |large: &[u64], middle: usize, small: usize| -> Vec<u64> {
            large.iter().copied().chain(vec![11; middle]).chain(vec![1; small]).collect()
        };
        check(&[], &[]);
        check(&[5], &[5]);
        check(&[1; 9], &[1; 9]);
        check(&[1; 10], &[10]);
        check(&levels(&[700], 9, 2), &levels(&[700], 9, 2));
        check(&levels(&[700], 8, 10), &[700, 11, 11, 11, 11, 11, 11, 11, 11, 10]);
        check(&levels(&[700], 9, 10), &[700, 109]);
        check(&[1, 1, 70], &[72]);
        check(&[600, 1, 1, 70], &[600, 72]);
    }

    #[test]
    fn full_shards_are_left_alone() {
        assert_eq!(merged(&[100; 11], 100), [100; 11]);
        assert_eq!(merged(&[1, 1, 100, 1, 1, 1, 100, 1], 100), [2, 100, 3, 100, 1]);
        // What a group is before it is written does not go beyond a full one.
        assert_eq!(merged(&[40; 11], 100), [400, 40]);
    }

    #[test]
    fn no_more_rows_are_joined_than_memory_holds() {
        let limits = Limits { full_bytes: 1000, most_rows: 300 };
        let merged = |rows: &[u64]| merged_within(rows, limits);
        // Ten of a level that are nearly full: three at a time, and the last one waits.
        assert_eq!(merged(&[99; 10]), [297, 297, 297, 99]);
        assert_eq!(merged(&[297, 297, 297, 99, 99]), [297, 297, 297, 99, 99]);
        // More than half of what may be joined is full.
        assert_eq!(merged(&[151; 20]), [151; 20]);
        assert_eq!(merged(&[140, 140, 151]), [280, 151]);
        // The full one that joining made is not the last one.
        let limits = Limits { full_bytes: 2514, most_rows: 6000 };
        let rows = [1000, 1000, 416, 707, 919, 982, 525, 2513];
        assert_eq!(merged_within(&rows, limits), [2000, 3549, 2513]);
    }

    #[test]
    fn compaction_fills_shards_up_to_what_memory_holds() {
        let shards = shards(&[3, 3, 3, 9, 1, 1]);
        let shards: Vec<&ShardEntry> = shards.iter().collect();
        assert_eq!(by_rows(&shards, 9), [0..3, 3..4, 4..6]);
        assert_eq!(by_rows(&shards, 1000).first(), Some(&(0..6)));
    }

    proptest! {
        #[test]
        fn shards_become_full_and_no_fuller_and_rows_are_rewritten_few_times(
            runs in prop::collection::vec(1_u64..3000, 1..200),
            full_bytes in 2000_u64..40_000,
            most_rows in 6000_u64..40_000,
        ) {
            let limits = Limits { full_bytes, most_rows };
            let is_full = |rows: u64| rows >= full_bytes || rows > most_rows / 2;
            let (mut rows, mut written, mut total) = (Vec::new(), 0, 0_u64);
            for run in runs {
                rows.push(run);
                total += run;
                let after = merged_within(&rows, limits);
                let mut left = rows.clone();
                written += after.iter().filter(|group| {
                    let kept = left.iter().position(|shard| shard == *group);
                    kept.map(|at| left.remove(at)).is_none()
                }).sum::<u64>();
                rows = after;
                prop_assert_eq!(rows.iter().sum::<u64>(), total);
                prop_assert!(rows.iter().all(|rows| *rows <= most_rows), "{:?}", rows);
                // One at the most waits between two full ones, and behind the last there are few.
                let waiting: Vec<usize> = rows.split(|rows| is_full(*rows)).map(<[u64]>::len).collect();
                let (last, between) = waiting.split_last().unwrap();
                prop_assert!(between.iter().all(|count| *count <= 1), "{:?}", rows);
                let levels = u64::from(most_rows.ilog(FANOUT as u64)) + 1;
                prop_assert!(*last as u64 <= (FANOUT as u64 - 1) * levels, "{:?}", rows);
                prop_assert!(written <= 2 * levels * total, "{} for {}", written, total);
            }
        }

        #[test]
        fn however_shards_come_few_are_left_and_rows_are_rewritten_few_times(
            runs in prop::collection::vec(1_u64..3000, 1..200)
        ) {
            let (mut rows, mut written, mut total) = (Vec::new(), 0, 0_u64);
            for run in runs {
                rows.push(run);
                total += run;
                let after = merged(&rows, u64::MAX);
                let mut left = rows.clone();
                // What is in both was not written again.
                written += after.iter().filter(|group| {
                    let kept = left.iter().position(|shard| shard == *group);
                    kept.map(|at| left.remove(at)).is_none()
                }).sum::<u64>();
                rows = after;
                prop_assert_eq!(rows.iter().sum::<u64>(), total);
                let levels = u64::from(total.ilog(FANOUT as u64)) + 1;
                prop_assert!(rows.len() as u64 <= (FANOUT as u64 - 1) * levels, "{:?}", rows);
                prop_assert!(written <= 2 * levels * total, "{} for {}", written, total);
                prop_assert_eq!(&merged(&rows, u64::MAX), &rows);
            }
        }
    }
}
