//! Lineages: which texts under which names are one node over all of history, and its life.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::ever::Lived;
use crate::archive::{Archive, Known, Place};
use crate::shard::{Change, EditRow, StoreError};

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

/// A text under a name: the file, the symbol in it, and the number of the text.
type Standing = (Arc<str>, Arc<str>, u32);

/// Texts under names that are one node: joined by each edit that leads from one to the other, and where what was removed came
/// back in its place, changed. A name alone is not a node, since another may take it over.
pub(super) struct Lineages {
    at: FxHashMap<Standing, u32>,
    root: Vec<u32>,
    edits: FxHashMap<u32, Vec<u32>>,
    /// For each edit the text under a name that it brought.
    brought: Vec<Option<u32>>,
}

impl Lineages {
    /// # Errors
    /// A shard of texts that cannot be read.
    pub(super) fn of(archive: &Archive, known: &Known) -> Result<Lineages, StoreError> {
        let brought = vec![None; archive.edits().len()];
        let mut lineages =
            Lineages { at: FxHashMap::default(), root: Vec::new(), edits: FxHashMap::default(), brought };
        let (mut slots, mut removed, mut returned) = (Vec::new(), FxHashMap::default(), Vec::new());
        for (at, edit) in (0..).zip(archive.edits()).filter(|(_, edit)| known.has(edit.commit)) {
            let Some(symbol) = &edit.symbol else { continue };
            let is_same_node =
                matches!(edit.change, Change::Modified | Change::Renamed | Change::Moved | Change::Removed);
            let before = edit.before.filter(|_| is_same_node).map(|text| {
                let path = edit.before_path.as_ref().unwrap_or(&edit.path);
                lineages.slot((path.clone(), edit.before_symbol.as_ref().unwrap_or(symbol).clone(), text))
            });
            let after = edit.after.map(|text| lineages.slot((edit.path.clone(), symbol.clone(), text)));
            lineages.brought[at as usize] = after;
            if let (Some(before), Some(after)) = (before, after) {
                lineages.join(before, after);
            }
            slots.extend(after.or(before).map(|slot| (at, slot)));
            // What comes to the place of one that was removed may be that one, changed.
            let place = (&edit.path, symbol, &edit.kind);
            match (edit.change, edit.after, after) {
                (Change::Removed, ..) => drop(removed.insert(place, (edit, before))),
                (Change::Added | Change::Split | Change::Copied, Some(text), Some(after)) => {
                    if let Some((gone, Some(before))) = removed.get(&place)
                        && let Some(old) = gone.before.filter(|old| *old != text)
                        && archive.is_ancestor(gone.commit, edit.commit)
                    {
                        returned.push(((old, text), (*before, after)));
                    }
                }
                _ => {}
            }
        }
        let pairs: Vec<(u32, u32)> = returned.iter().map(|(texts, _)| *texts).collect();
        for ((_, (before, after)), is_same) in returned.into_iter().zip(archive.came_back(&pairs)?) {
            if is_same {
                lineages.join(before, after);
            }
        }
        for (at, slot) in slots {
            let root = lineages.find(slot);
            lineages.edits.entry(root).or_default().push(at);
        }
        Ok(lineages)
    }

    /// Makes two texts under names one node.
    fn join(&mut self, one: u32, two: u32) {
        let (one, two) = (self.find(one), self.find(two));
        self.root[one.max(two) as usize] = one.min(two);
    }

    fn slot(&mut self, standing: Standing) -> u32 {
        let next = self.root.len() as u32;
        let slot = *self.at.entry(standing).or_insert(next);
        if slot == next {
            self.root.push(next);
        }
        slot
    }

    /// The node of a text under a name.
    pub(super) fn find(&mut self, mut at: u32) -> u32 {
        while self.root[at as usize] != at {
            // Each step halves the way for whoever comes next.
            self.root[at as usize] = self.root[self.root[at as usize] as usize];
            at = self.root[at as usize];
        }
        at
    }

    /// The number of the text under a name that an edit brought, by the edit's position; `None` where none is known.
    pub(super) fn brought(&self, at: usize) -> Option<u32> {
        self.brought[at]
    }

    /// The node whose text stands, or stood, at a place; `None` where no known edit brought it there.
    pub(super) fn of_place(&mut self, place: &Place) -> Option<u32> {
        let standing = *self.at.get(&(place.path.clone(), place.symbol.clone(), place.chunk))?;
        Some(self.find(standing))
    }

    /// The edits of a node, oldest first.
    pub(super) fn edits<'a>(&self, archive: &'a Archive, lineage: u32) -> impl Iterator<Item = &'a EditRow> {
        self.edits.get(&lineage).into_iter().flatten().map(|at| &archive.edits()[*at as usize])
    }

    /// The life of a node; `living` are the nodes that stand in the tree asked about.
    pub(super) fn lived(&self, archive: &Archive, lineage: u32, living: &FxHashSet<u32>) -> Option<Lived> {
        let edits: Vec<&EditRow> = self.edits(archive, lineage).collect();
        let (first, last) = (edits.first()?, edits.last()?);
        let versions: FxHashSet<u32> = edits.iter().filter_map(|edit| edit.after).collect();
        // Named after where it first stood and as what, which no later edit changes.
        let text = first.after.or(first.before).map(|text| archive.head(text).id.to_string());
        let named = format!("{}\0{}\0{}", first.path, first.symbol.as_deref()?, text?);
        Some(Lived {
            lineage: u64::from_be_bytes(*blake3::hash(named.as_bytes()).as_bytes().first_chunk()?),
            versions: versions.len() as u32,
            first: first.commit,
            last: last.commit,
            alive: living.contains(&lineage),
        })
    }
}
