//! The bytes of one shard, wherever it is: a file, memory, or an object that is read in ranges.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::objects::Remote;

/// A shard that can be read anywhere.
#[derive(Debug)]
pub(super) enum ShardBytes {
    /// A file of this machine.
    File(File),
    /// All of it, in memory.
    Memory(Bytes),
    /// An object, of which each range is fetched when it is asked for.
    Remote(Remote),
}

impl ShardBytes {
    /// Hash and length of all of it.
    pub(super) fn hash(&mut self) -> io::Result<(blake3::Hash, u64)> {
        match self {
            Self::File(file) => hash_file(file),
            Self::Memory(bytes) => Ok((blake3::hash(bytes), bytes.len() as u64)),
            Self::Remote(remote) => {
                let bytes = remote.range(0, remote.length())?;
                Ok((blake3::hash(&bytes), bytes.len() as u64))
            }
        }
    }
}

impl ShardBytes {
    /// Fills `out` with the bytes from `offset` on.
    pub(super) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let ends = || io::Error::from(io::ErrorKind::UnexpectedEof);
        match self {
            Self::File(file) => read_at(file, out, offset),
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(|_| ends())?;
                let range = start..start.checked_add(out.len()).ok_or_else(ends)?;
                out.copy_from_slice(bytes.get(range).ok_or_else(ends)?);
                Ok(())
            }
            Self::Remote(remote) => {
                let end = offset.checked_add(out.len() as u64).filter(|end| *end <= remote.length());
                end.ok_or_else(ends)?;
                let bytes = remote.range(offset, out.len() as u64)?;
                out.copy_from_slice(bytes.get(..out.len()).ok_or_else(ends)?);
                Ok(())
            }
        }
    }
}

impl Length for ShardBytes {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Length::len(file),
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Remote(remote) => remote.length(),
        }
    }
}

impl ChunkReader for ShardBytes {
    type T = Reading;

    fn get_read(&self, start: u64) -> Result<Reading> {
        match self {
            Self::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(io::SeekFrom::Start(start))?;
                Ok(Reading::File(BufReader::new(file)))
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(start).ok().filter(|start| *start <= bytes.len());
                Ok(Reading::Memory(bytes.slice(start.ok_or_else(outside)?..).reader()))
            }
            Self::Remote(remote) => {
                let left = remote.length().checked_sub(start).ok_or_else(outside)?;
                // A page's header takes tens of bytes, and the page itself is asked for by its length.
                let bytes = remote.range(start, left.min(HEADER_BYTES))?;
                let rest = Rest { remote: remote.clone(), at: start + bytes.len() as u64 };
                Ok(Reading::Remote(Read::chain(Cursor::new(bytes), rest)))
            }
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= Length::len(self)).ok_or_else(outside)?;
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Memory(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            Self::Remote(remote) => Ok(remote.range(start, length as u64)?),
        }
    }
}

/// Bytes that are fetched for a reader that did not say how many it wants.
const HEADER_BYTES: u64 = 4096;

fn outside() -> ParquetError {
    ParquetError::EOF("a range ends outside the file".to_owned())
}

/// A shard read onwards from some place.
pub(super) enum Reading {
    /// A file of this machine.
    File(BufReader<File>),
    /// Memory.
    Memory(bytes::buf::Reader<Bytes>),
    /// What was fetched, and the rest of the object.
    Remote(io::Chain<Cursor<Bytes>, Rest>),
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
            Self::Remote(bytes) => bytes.read(buffer),
        }
    }
}

/// The rest of an object, fetched as it is read.
pub(super) struct Rest {
    remote: Remote,
    at: u64,
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = (buffer.len() as u64).min(self.remote.length().saturating_sub(self.at));
        if length == 0 {
            return Ok(0);
        }
        let bytes = self.remote.range(self.at, length)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

#[cfg(unix)]
fn read_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                out = &mut out[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Hash and length of a whole file.
pub(super) fn hash_file(file: &mut File) -> io::Result<(blake3::Hash, u64)> {
    let mut hasher = blake3::Hasher::new();
    // Large enough that blake3 hashes many blocks at a time, which is most of its speed.
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finalize(), hasher.count())),
            read => hasher.update(&buffer[..read]),
        };
    }
}
