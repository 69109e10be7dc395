//! Rows: what each table holds, one struct a table.
//!
//! Commits and chunks carry **numbers**, dense and never reused within a store, by which the other tables refer to
//! them. Strings that repeat are `Arc<str>`; reading a table shares them.

use std::sync::Arc;

use super::ids::{ChunkId, ObjectId};

/// One indexed commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitRow {
    /// The commit's number in this store; parents have smaller ones.
    pub number: u32,
    /// The commit's object id.
    pub id: ObjectId,
    /// Object ids of the parents, in the commit's order.
    pub parents: Vec<ObjectId>,
    /// The author's name.
    pub author: String,
    /// The author's mail address.
    pub author_email: String,
    /// When it was authored, in seconds since 1970 UTC. Kept within the years 1 to 9999, beyond which common
    /// readers of Parquet have no dates.
    pub author_time: i64,
    /// When it was committed, in seconds since 1970 UTC, within the same years.
    pub commit_time: i64,
    /// The whole message.
    pub message: String,
}

/// What one commit did to one node, or to one file.
#[derive(Debug, Clone, PartialEq)]
pub struct EditRow {
    /// [`CommitRow::number`] of the commit.
    pub commit: u32,
    /// The file after the commit; for a removal, before it.
    pub path: Arc<str>,
    /// The qualified name of the node inside the file; `None` is the file itself.
    pub symbol: Option<Arc<str>>,
    /// The kind of the node (function, struct, …).
    pub kind: Option<Arc<str>>,
    /// What happened.
    pub change: Change,
    /// [`ChunkRow::number`] of the text before.
    pub before: Option<u32>,
    /// [`ChunkRow::number`] of the text after.
    pub after: Option<u32>,
    /// The file before the commit, where it differs from `path`.
    pub before_path: Option<Arc<str>>,
    /// The symbol before the commit, where it differs from `symbol`.
    pub before_symbol: Option<Arc<str>>,
    /// How alike the texts before and after are, from 0 to 1, to three decimals.
    pub similarity: Option<f32>,
    /// First line, 1-based, of the side after (for a removal, before); 0 for files.
    pub start_line: u32,
    /// Last line, inclusive, on the same side; 0 for files.
    pub end_line: u32,
    /// The file's blob before; on file rows only.
    pub before_blob: Option<ObjectId>,
    /// The file's blob after; on file rows only.
    pub after_blob: Option<ObjectId>,
    /// On file rows: why the content was not indexed.
    pub skipped: Option<Arc<str>>,
}

/// What an edit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It was not there before.
    Added,
    /// Its text changed in place.
    Modified,
    /// Its name changed.
    Renamed,
    /// Its file or container changed.
    Moved,
    /// It is not there any more.
    Removed,
    /// It was not there before, and its text came out of another node that lost it; `before` is that node.
    Split,
    /// The text of another node, which is gone, went into it; `before` is that node.
    Joined,
    /// It was not there before, and it is (nearly) a copy of another node that still stands; `before` is that node.
    Copied,
    /// It was there, and how it came there is unknown: at the boundary of a shallow clone, or in a file that was left out
    /// until then and that a change of attributes let in.
    Present,
}

impl Change {
    /// Every kind of change.
    pub const ALL: [Self; 9] = [
        Self::Added,
        Self::Modified,
        Self::Renamed,
        Self::Moved,
        Self::Removed,
        Self::Split,
        Self::Joined,
        Self::Copied,
        Self::Present,
    ];

    /// The word that the store holds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Removed => "removed",
            Self::Split => "split",
            Self::Joined => "joined",
            Self::Copied => "copied",
            Self::Present => "present",
        }
    }

    /// The change that a word of the store means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.as_str() == word)
    }
}

/// A [`ChunkRow`] without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkHead {
    /// Store-wide number.
    pub number: u32,
    /// Identity of the text.
    pub id: ChunkId,
    /// Language.
    pub lang: Arc<str>,
    /// Kind of node.
    pub kind: Arc<str>,
    /// Its own name, may be empty.
    pub name: Arc<str>,
}

/// One version of a node's text, however often it occurs in history.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkRow {
    /// The chunk's number in this store.
    pub number: u32,
    /// The chunk's id, a hash of what follows.
    pub id: ChunkId,
    /// The language.
    pub lang: Arc<str>,
    /// The kind of node.
    pub kind: Arc<str>,
    /// The node's own name, which may be empty.
    pub name: Arc<str>,
    /// The text, from the first attribute or documentation line to the last line.
    pub text: String,
}

/// Where a chunk stands in one blob.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanRow {
    /// The blob.
    pub blob: ObjectId,
    /// [`ChunkRow::number`] of the text.
    pub chunk: u32,
    /// The qualified name inside the file.
    pub symbol: Arc<str>,
    /// The enclosing container, empty at top level.
    pub container: Arc<str>,
    /// First line, 1-based.
    pub start_line: u32,
    /// Last line, inclusive.
    pub end_line: u32,
}

/// Where the vectors of one cluster lie in a shard of `vectors`, and their centre.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterRow {
    /// The name of the shard without `.parquet`.
    pub shard: Arc<str>,
    /// The first row in the shard.
    pub first_row: u32,
    /// How many rows, one at the least.
    pub rows: u32,
    /// One step of `centre`.
    pub scale: f32,
    /// The mean of the vectors, as many values as the store has dimensions.
    pub centre: Vec<i8>,
}

/// What a member said in review of a pull request that was merged.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewRow {
    /// GitHub's number of the comment.
    pub comment: i64,
    /// The pull request's number.
    pub pull: u32,
    /// The login of who said it.
    pub author: Arc<str>,
    /// When it was said, in seconds since 1970 UTC.
    pub created: i64,
    /// When it was last edited, likewise.
    pub updated: i64,
    /// The address of the comment.
    pub link: String,
    /// The indexed commit that brought the pull request in.
    pub merge: ObjectId,
    /// The file that it is about, as it was called then.
    pub path: Arc<str>,
    /// Whether the lines that it is about changed after it was said.
    pub outdated: bool,
    /// What was said, in Markdown.
    pub text: String,
    /// The hunk of the diff that it is about, down to the line that it is about.
    pub hunk: String,
    /// One step of `vector`.
    pub scale: f32,
    /// The embedding of the code in the hunk, as many values as the store has dimensions.
    pub vector: Vec<i8>,
}

/// The embedding of one chunk, a unit vector in eight bits a dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// [`ChunkRow::number`] of the text.
    pub chunk: u32,
    /// The length of the vector before it was made a unit vector.
    pub norm: f32,
    /// One step of `vector`: value `i` is about `vector[i] * scale`.
    pub scale: f32,
    /// As many values as the store has dimensions, each from −127 to 127.
    pub vector: Vec<i8>,
}

impl VectorRow {
    /// Rounds a unit vector of finite values to eight bits a dimension, halves away from zero. The greatest
    /// magnitude becomes 127, so the error of a value is at most half of `scale`.
    pub fn quantise(chunk: u32, unit: &[f32], norm: f32) -> Self {
        let greatest = unit.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
        let scale = greatest / 127.0;
        // Dividing by the subnormal scale of a tiny vector could exceed 127; the cast to i8 saturates at 127, and
        // the lower end is clamped to keep the range symmetric.
        let step = |value: &f32| ((value / scale).round() as i8).max(-127);
        let vector = if scale > 0.0 { unit.iter().map(step).collect() } else { vec![0; unit.len()] };
        Self { chunk, norm, scale, vector }
    }

    /// The values that the row stands for, each within half of `scale` of what was quantised.
    pub fn dequantise(&self) -> Vec<f32> {
        self.vector.iter().map(|step| f32::from(*step) * self.scale).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_round_away_from_zero() {
        let row = VectorRow::quantise(1, &[127.0, 0.5, -0.5, 1.5, -2.5, 0.49], 2.0);
        assert_eq!((row.scale, row.vector), (1.0, vec![127, 1, -1, 2, -3, 0]));
    }

    #[test]
    fn the_zero_vector_has_no_scale() {
        let row = VectorRow::quantise(1, &[0.0; 4], 0.0);
        assert_eq!((row.scale, row.dequantise()), (0.0, vec![0.0; 4]));
    }

    #[test]
    fn a_word_for_every_change() {
        for change in Change::ALL {
            assert_eq!(Change::from_word(change.as_str()), Some(change));
        }
        assert_eq!(Change::from_word("Added"), None);
    }

    proptest! {
        #[test]
        fn a_value_comes_back_within_half_a_step(unit in prop::collection::vec(-1.0_f32..1.0, 1..300)) {
            let row = VectorRow::quantise(1, &unit, 1.0);
            for (value, back) in unit.iter().zip(row.dequantise()) {
                prop_assert!((value - back).abs() <= row.scale * 0.5001);
            }
        }
    }
}
