//! Tree: the places of one commit's tree, joined once and [kept](super::kept) in a file.

use std::path::Path;

use super::kept::{Kept, made_of};
use super::places::{Gathered, Places};
use super::snapshot::{alive, heads};
use crate::PipelineError;
use crate::history::Objects;
use crate::shard::{ChunkHead, ObjectId, Store, StoreError};

/// The folder inside a store.
const FOLDER: &str = "places";
/// Files that are kept in it: the trees that were asked about last.
const KEPT: usize = 8;

/// The nodes in the tree of a commit, in order of their places: from a file, or joined and put into one. `elsewhere` is a
/// folder for where the store cannot hold it; `known` are the heads of all chunks, if they were read.
///
/// # Errors
/// A tree that is missing, or a shard that cannot be read. Files never are a reason to fail.
pub fn places_at(
    store: &Store,
    known: Option<&[ChunkHead]>,
    objects: &Objects,
    commit: &ObjectId,
    elsewhere: Option<&Path>,
) -> Result<Places, PipelineError> {
    let made_of = made_of(store, Some(commit), &["chunks", "spans"]);
    let kept = Kept::new(store, elsewhere, FOLDER, &made_of, KEPT);
    if let Some(places) = kept.read(|bytes| Places::from_bytes(bytes, 0, &made_of, store.chunk_count())) {
        return Ok(places);
    }
    let places = match known {
        Some(known) => joined(store, known, objects, commit)?,
        None => joined(store, &heads(store)?, objects, commit)?,
    };
    kept.keep(&places.to_bytes(&made_of));
    Ok(places)
}

fn joined(store: &Store, heads: &[ChunkHead], objects: &Objects, commit: &ObjectId) -> Result<Places, PipelineError> {
    let rows = rows_of(store, heads.len())?;
    let mut gathered = Gathered::default();
    for place in alive(store, heads, objects, commit)? {
        gathered.push(&place, &heads[place.chunk as usize], rows[place.chunk as usize]);
    }
    Ok(gathered.finish())
}

/// In which row of the chunks each text is, by its number.
pub(crate) fn rows_of(store: &Store, chunks: usize) -> Result<Vec<Option<u32>>, StoreError> {
    let mut rows = vec![None; chunks];
    for (row, (number, _)) in (0..).zip(store.chunk_ids()?) {
        if let Some(of_number) = rows.get_mut(number as usize) {
            *of_number = Some(row);
        }
    }
    Ok(rows)
}
