//! Filter: which places and which commits a query allows.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::Query;
use super::lineages::Lineages;
use crate::PipelineError;
use crate::archive::{Archive, Known, Places};
use crate::shard::{CommitRow, StoreError};

/// Commits, by who wrote them and when.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// The author's name or address holds this, in any case.
    pub author: Option<String>,
    /// Authored then or later, in seconds since 1970 UTC.
    pub since: Option<i64>,
    /// Authored then or before.
    pub until: Option<i64>,
}

impl Brought {
    /// Whether every commit is one.
    pub fn is_any(&self) -> bool {
        self.author.is_none() && self.since.is_none() && self.until.is_none()
    }

    pub(super) fn allows(&self, commit: &CommitRow) -> bool {
        self.since.is_none_or(|since| commit.author_time >= since)
            && self.until.is_none_or(|until| commit.author_time <= until)
            && self.author.as_ref().is_none_or(|author| {
                let author = author.to_lowercase();
                [&commit.author, &commit.author_email].iter().any(|name| name.to_lowercase().contains(&author))
            })
    }

    /// Whether each place has its text from such a commit, among those that are known: the commit brought the text to the
    /// node that stands there, whatever the node was called then.
    ///
    /// # Errors
    /// A shard of texts that cannot be read.
    pub(super) fn to(&self, places: &Places, archive: &Archive, known: &Known) -> Result<Vec<bool>, StoreError> {
        let allowed: Vec<bool> = archive.commits().iter().map(|commit| self.allows(commit)).collect();
        let mut lineages = Lineages::of(archive, known)?;
        Ok((0..places.len())
            .map(|at| {
                let place = places.place(at);
                lineages.of_place(&place).is_some_and(|lineage| {
                    let mut edits = lineages.edits(archive, lineage);
                    edits.any(|edit| edit.after == Some(place.chunk) && allowed[edit.commit as usize])
                })
            })
            .collect())
    }
}

/// The filters of a query, ready to be asked.
pub(super) struct Filter {
    path: Option<GlobMatcher>,
    lang: Option<String>,
    kind: Option<String>,
}

impl Filter {
    pub(super) fn new(query: &Query) -> Result<Filter, PipelineError> {
        let path = match &query.path {
            None => None,
            Some(pattern) => {
                let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
                    PipelineError::Pattern { pattern: pattern.clone(), why: error.kind().to_string() }
                })?;
                Some(glob.compile_matcher())
            }
        };
        Ok(Filter { path, lang: query.lang.clone(), kind: query.kind.clone() })
    }

    /// Whether each place is allowed.
    pub(super) fn allowed(&self, places: &Places) -> Vec<bool> {
        let mut paths: Vec<Option<bool>> = vec![None; places.strings()];
        let mut is_there = |at: usize| match &self.path {
            None => true,
            // A path has many places, and a pattern is asked once about it.
            Some(pattern) => {
                *paths[places.path_number(at)].get_or_insert_with(|| pattern.is_match(Path::new(places.path(at))))
            }
        };
        (0..places.len())
            .map(|at| {
                self.lang.as_ref().is_none_or(|lang| **lang == *places.lang(at))
                    && self.kind.as_ref().is_none_or(|kind| **kind == *places.kind(at))
                    && is_there(at)
            })
            .collect()
    }
}
