//! Packs: blobs read from pack files, with what they are stored as differences from kept.
//!
//! Git stores the versions of a file as differences, most often an older one from a newer one, and history is read from the
//! first commit on. So what a blob is a difference from is asked for later, and again and again on the way to others. gix
//! keeps what it was asked for, and inflates the whole version at the end of each chain anew. Here all that blobs are
//! differences from is kept, least recently used last, for all threads together.
//!
//! Only what is plain is read here: an object in a pack with an index, whose chain lies in that pack. For anything else, and
//! for whatever looks damaged, gix is asked, whose errors say what is the matter. The format of packs is that of
//! `gitformat-pack`.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clru::{CLruCache, CLruCacheConfig, WeightScale};
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::{data, index};
use rustc_hash::FxBuildHasher;

/// Bytes of blobs that are kept as bases.
const KEPT_BYTES: NonZeroUsize = NonZeroUsize::new(48 << 20).expect("because it is more than nothing");
/// An object, or difference, that is larger is left to gix.
const MOST_BYTES: usize = 16 << 20;
/// A chain that is longer is left to gix. Git makes none of more than 4,095.
const MOST_LINKS: usize = 4095;

/// The packs of a repository as they were when the first blob was read, and what blobs in them are differences from.
pub(super) struct Packs {
    packs: Vec<Pack>,
    bases: Mutex<CLruCache<Place, Arc<[u8]>, FxBuildHasher, Bytes>>,
}

struct Pack {
    index: index::File,
    data: data::File,
}

/// A pack, and where in it an entry begins.
type Place = (usize, u64);

/// What a base weighs.
struct Bytes;

impl WeightScale<Place, Arc<[u8]>> for Bytes {
    fn weight(&self, _: &Place, base: &Arc<[u8]>) -> usize {
        base.len()
    }
}

/// What a thread decodes with.
#[derive(Default)]
pub(super) struct Decoder {
    inflate: gix::zlib::Inflate,
    delta: Vec<u8>,
    /// The pack that the last blob was in.
    pack: usize,
}

/// A blob that was found.
pub(super) enum Found {
    Content(Vec<u8>),
    /// It is larger than was asked for.
    Larger,
}

impl Packs {
    /// Opens all packs; those that cannot be are left to gix.
    pub(super) fn open(store: &gix::odb::Store) -> Packs {
        let directories = [store.path().to_owned()].into_iter().chain(store.alternate_db_paths().unwrap_or_default());
        let entries = directories.filter_map(|directory| directory.join("pack").read_dir().ok()).flatten();
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension() == Some(OsStr::new("idx")));
        paths.sort_unstable();
        let open = |path: &PathBuf| {
            let index = index::File::at(path, store.object_hash()).ok()?;
            let data = data::File::at(path.with_extension("pack"), store.object_hash()).ok()?;
            Some(Pack { index, data })
        };
        let config = CLruCacheConfig::new(KEPT_BYTES).with_hasher(FxBuildHasher).with_scale(Bytes);
        Packs { packs: paths.iter().filter_map(open).collect(), bases: Mutex::new(CLruCache::with_config(config)) }
    }

    /// A blob of at most so many bytes; `None` if gix must say what it is, or that it is missing.
    pub(super) fn blob(&self, id: &gix::oid, most: usize, decoder: &mut Decoder) -> Option<Found> {
        let (pack, offset) = self.place(id, decoder.pack)?;
        decoder.pack = pack;
        self.decode(pack, offset, most, decoder)
    }

    /// Where an object is; blobs that are asked for one after the other are often in one pack.
    fn place(&self, id: &gix::oid, likely: usize) -> Option<Place> {
        let others = (0..self.packs.len()).filter(|other| *other != likely);
        [likely].into_iter().chain(others).find_map(|at| {
            let pack = self.packs.get(at)?;
            Some((at, pack.index.pack_offset_at_index(pack.index.lookup(id)?)))
        })
    }

    fn decode(&self, at: usize, offset: u64, most: usize, decoder: &mut Decoder) -> Option<Found> {
        let content = |bytes: &[u8]| if bytes.len() > most { Found::Larger } else { Found::Content(bytes.to_vec()) };
        if let Some(kept) = self.kept((at, offset)) {
            return Some(content(&kept));
        }
        let Pack { index, data } = &self.packs[at];
        let wanted = data.entry(offset).ok()?;
        let Some(mut next) = base_of(&wanted, index)? else {
            return match usize::try_from(wanted.decompressed_size) {
                Ok(size) if size <= most => inflated(data, &wanted, decoder).map(Found::Content),
                _ => Some(Found::Larger),
            };
        };
        // The size of the blob stands at the beginning of its difference.
        let delta = inflated(data, &wanted, decoder)?;
        if Delta::of(&delta)?.size > most {
            return Some(Found::Larger);
        }
        let mut chain: Vec<(u64, data::Entry)> = Vec::new();
        let mut base = loop {
            if let Some(kept) = self.kept((at, next)) {
                break kept;
            }
            let entry = data.entry(next).ok()?;
            match base_of(&entry, index)? {
                Some(further) if chain.len() < MOST_LINKS => {
                    chain.push((next, entry));
                    next = further;
                }
                Some(_) => return None,
                None => break self.keep((at, next), inflated(data, &entry, decoder)?),
            }
        };
        while let Some((offset, entry)) = chain.pop() {
            let mut delta = std::mem::take(&mut decoder.delta);
            inflate(data, &entry, decoder, &mut delta)?;
            let result = Delta::of(&delta)?.applied(&base)?;
            decoder.delta = delta;
            base = self.keep((at, offset), result);
        }
        Delta::of(&delta)?.applied(&base).map(Found::Content)
    }

    fn kept(&self, place: Place) -> Option<Arc<[u8]>> {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned()
    }

    fn keep(&self, place: Place, content: Vec<u8>) -> Arc<[u8]> {
        let content: Arc<[u8]> = content.into();
        // What is too large to be kept comes back, and is dropped.
        let _ = self.bases.lock().unwrap_or_else(PoisonError::into_inner).put_with_weight(place, content.clone());
        content
    }
}

/// What an entry is a difference from, if it is one; the outer `None` for what is no blob, or lies elsewhere.
fn base_of(entry: &data::Entry, index: &index::File) -> Option<Option<u64>> {
    match entry.header {
        Header::Blob => Some(None),
        Header::OfsDelta { base_distance } => entry.checked_base_pack_offset(base_distance).map(Some),
        Header::RefDelta { base_id } => Some(Some(index.pack_offset_at_index(index.lookup(base_id)?))),
        Header::Tree | Header::Commit | Header::Tag => None,
    }
}

/// What an entry holds: a blob, or a difference.
fn inflated(data: &data::File, entry: &data::Entry, decoder: &mut Decoder) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    inflate(data, entry, decoder, &mut out)?;
    Some(out)
}

fn inflate(data: &data::File, entry: &data::Entry, decoder: &mut Decoder, out: &mut Vec<u8>) -> Option<()> {
    let size = usize::try_from(entry.decompressed_size).ok().filter(|size| *size <= MOST_BYTES)?;
    out.resize(size, 0);
    data.decompress_entry(entry, &mut decoder.inflate, out).ok().map(|_| ())
}

/// A difference: sizes, and instructions that make one object from another.
struct Delta<'d> {
    base_size: usize,
    size: usize,
    instructions: &'d [u8],
}

impl<'d> Delta<'d> {
    /// `None` when it is damaged.
    fn of(bytes: &'d [u8]) -> Option<Delta<'d>> {
        let (base_size, rest) = number(bytes)?;
        let (size, instructions) = number(rest)?;
        Some(Delta { base_size, size, instructions })
    }

    /// What it makes of its base; `None` when it is damaged, or too large to be made here.
    fn applied(&self, base: &[u8]) -> Option<Vec<u8>> {
        if base.len() != self.base_size || self.size > MOST_BYTES {
            return None;
        }
        let mut out = Vec::with_capacity(self.size);
        let mut rest = self.instructions;
        while let Some((&instruction, after)) = rest.split_first() {
            rest = after;
            let text = if instruction & 0x80 == 0 {
                // As many bytes of text follow. None would be an instruction that nobody has defined.
                let (text, after) = rest.split_at_checked(usize::from(instruction)).filter(|_| instruction != 0)?;
                rest = after;
                text
            } else {
                let mut field = |bytes: u32, present: u8| {
                    (0..bytes).filter(|byte| present >> byte & 1 == 1).try_fold(0_usize, |number, byte| {
                        let (&next, after) = rest.split_first()?;
                        rest = after;
                        Some(number | usize::from(next) << (8 * byte))
                    })
                };
                let start = field(4, instruction)?;
                let length = match field(3, instruction >> 4)? {
                    0 => 0x1_0000,
                    length => length,
                };
                base.get(start..start.checked_add(length)?)?
            };
            if text.len() > self.size - out.len() {
                return None;
            }
            out.extend_from_slice(text);
        }
        (out.len() == self.size).then_some(out)
    }
}

/// A number of seven bits a byte, least first, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().take(8).position(|byte| byte & 0x80 == 0)?;
    let number = bytes[..=last].iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    Some((number, &bytes[last + 1..]))
}

#[cfg(test)]
mod tests;
