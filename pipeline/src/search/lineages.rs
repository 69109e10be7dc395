//! Lineages: names that are one node over all of history, and its life.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use crate::archive::{Archive, Known};
use crate::shard::Change;

/// The life of a node over all versions.
#[derive(Debug, Clone, Serialize)]
pub struct Life {
    /// An identity shared by all versions of the node.
    pub lineage: String,
    /// How many distinct texts it has had.
    pub versions: usize,
    /// The first commit known to hold it.
    pub first_commit: String,
    /// The last commit that edited it.
    pub last_commit: String,
    /// Whether it stands in the tree asked about.
    pub alive: bool,
}

type Name = (Arc<str>, Arc<str>);

/// Names that are one node: joined wherever an edit renamed or moved it.
pub(super) struct Lineages {
    at: HashMap<Name, usize>,
    root: Vec<usize>,
    edits: HashMap<usize, Vec<u32>>,
    names: Vec<Name>,
}

impl Lineages {
    pub(super) fn of(archive: &Archive, known: &Known) -> Lineages {
        let mut lineages = Lineages { at: HashMap::new(), root: Vec::new(), edits: HashMap::new(), names: Vec::new() };
        for edit in archive.edits().iter().filter(|edit| known.has(edit.commit)) {
            let Some(symbol) = &edit.symbol else { continue };
            let now = lineages.slot((edit.path.clone(), symbol.clone()));
            if matches!(edit.change, Change::Moved | Change::Renamed) {
                let path = edit.before_path.clone().unwrap_or_else(|| edit.path.clone());
                let symbol = edit.before_symbol.clone().unwrap_or_else(|| symbol.clone());
                let before = lineages.slot((path, symbol));
                let (one, two) = (lineages.find(now), lineages.find(before));
                let (first, second) = (one.min(two), one.max(two));
                lineages.root[second] = first;
            }
        }
        for (at, edit) in archive.edits().iter().enumerate().filter(|(_, edit)| known.has(edit.commit)) {
            let Some(symbol) = &edit.symbol else { continue };
            let slot = lineages.at[&(edit.path.clone(), symbol.clone())];
            let root = lineages.find(slot);
            lineages.edits.entry(root).or_default().push(at as u32);
        }
        lineages
    }

    fn slot(&mut self, name: Name) -> usize {
        let next = self.root.len();
        match self.at.entry(name) {
            std::collections::hash_map::Entry::Occupied(slot) => *slot.get(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                self.names.push(slot.key().clone());
                slot.insert(next);
                self.root.push(next);
                next
            }
        }
    }

    fn find(&self, mut at: usize) -> usize {
        while self.root[at] != at {
            at = self.root[at];
        }
        at
    }

    pub(super) fn of_place(&self, path: &Arc<str>, symbol: &Arc<str>) -> usize {
        self.find(self.at[&(path.clone(), symbol.clone())])
    }

    pub(super) fn life(&self, archive: &Archive, lineage: usize, living: &HashSet<Name>) -> Life {
        let edits: Vec<_> = self.edits[&lineage].iter().map(|at| &archive.edits()[*at as usize]).collect();
        let versions: HashSet<u32> = edits.iter().filter_map(|edit| edit.after).collect();
        let commit = |at: usize| archive.commit(edits[at].commit).id.to_string();
        // Named after where it first stood, which no later edit changes.
        let (path, symbol) = &self.names[lineage];
        let identity = blake3::hash(format!("{path}\0{symbol}").as_bytes()).to_hex();
        let alive = edits.iter().any(|edit| {
            edit.symbol.as_ref().is_some_and(|symbol| living.contains(&(edit.path.clone(), symbol.clone())))
        });
        Life {
            lineage: identity[..16].to_owned(),
            versions: versions.len(),
            first_commit: commit(0),
            last_commit: commit(edits.len() - 1),
            alive,
        }
    }
}
