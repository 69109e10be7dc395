//! Hollow: the files of stored documents, of which an index of words has none, looked at before tantivy opens them.
//!
//! What opens one makes room for as many layers as it states, before it has read any, and a program that asks for more memory
//! than there is ends there and then. So what is stated is compared with what there is.

use tantivy::index::SegmentComponent;
use tantivy::{HasLen, Index};

use super::LexiconError;

/// What ends such a file: version, where the layers are, and bytes that do not matter here.
const END_BYTES: usize = 28;
const LAYERS_AT: std::ops::Range<usize> = 4..12;
/// Marks the last byte of a number, of which each other byte has seven bits more.
const STOP: u8 = 0x80;
/// A file of no documents that says more than this of them is none of ours: some bytes for each block of 16 KiB.
const MOST_BYTES: usize = 64 << 20;

/// Whether no segment's file states more layers than it has bytes for them.
pub(super) fn are_sound(index: &Index) -> Result<bool, LexiconError> {
    for segment in index.searchable_segments()? {
        let file = segment.open_read(SegmentComponent::Store).map_err(tantivy::TantivyError::from)?;
        if file.len() > MOST_BYTES || !is_sound(&file.read_bytes()?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_sound(bytes: &[u8]) -> bool {
    let end = bytes.len().checked_sub(END_BYTES).map(|at| bytes.split_at(at));
    let Some((body, end)) = end else { return false };
    let Ok(at) = end[LAYERS_AT].try_into().map(u64::from_le_bytes) else { return false };
    let Some(layers) = usize::try_from(at).ok().and_then(|at| body.get(at..)) else { return false };
    let mut stated = 0_u64;
    for (place, byte) in layers.iter().take(10).enumerate() {
        stated |= u64::from(byte & !STOP).checked_shl(7 * place as u32).unwrap_or(u64::MAX);
        if byte & STOP != 0 {
            return stated <= layers.len() as u64;
        }
    }
    false
}
