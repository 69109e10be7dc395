//! The footer of a shard, looked at before it is parsed.
//!
//! A footer states how many row groups it has, and the parser makes room for as many before it reads one: hundreds of
//! gigabytes for six hostile bytes, which can end the process. So that number is looked for first, in every field where
//! the parser would find it. The other lists of a footer are bounded by its length.

use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use super::bytes::ShardBytes;
use super::headers::Compact;

/// The field of the row groups.
const GROUPS: u64 = 4;
/// The most row groups that a footer may state: they are numbered by 16 bits with a sign.
const MOST_GROUPS: u64 = i16::MAX as u64;
/// How deep structs and lists may stand in each other; a footer of this format has seven levels.
const DEEPEST: u32 = 16;

/// What the footer of a shard says.
pub(super) fn footer(shard: &ShardBytes) -> Result<ParquetMetaData, String> {
    let words = |error: parquet::errors::ParquetError| error.to_string();
    let cut = || "it is too short for its footer".to_owned();
    let end = Length::len(shard).checked_sub(FOOTER_SIZE as u64).ok_or_else(cut)?;
    let tail: [u8; FOOTER_SIZE] =
        shard.get_bytes(end, FOOTER_SIZE).map_err(words)?.as_ref().try_into().map_err(|_| cut())?;
    let tail = FooterTail::try_new(&tail).map_err(words)?;
    if tail.is_encrypted_footer() {
        return Err("its footer is encrypted".to_owned());
    }
    let start = end.checked_sub(tail.metadata_length() as u64).ok_or_else(cut)?;
    let bytes = shard.get_bytes(start, tail.metadata_length()).map_err(words)?;
    check_groups(&bytes)?;
    ParquetMetaDataReader::decode_metadata(&bytes).map_err(words)
}

fn check_groups(footer: &[u8]) -> Result<(), String> {
    let unread = || "its footer does not read".to_owned();
    let (mut cursor, mut field) = (Compact::of(footer), 0);
    while let Some(kind) = cursor.field(&mut field).ok_or_else(unread)? {
        // The parser numbers fields by 16 bits.
        if field & 0xffff == GROUPS && kind == Compact::LIST {
            // Looked at, and then skipped as any other list.
            let (_, groups) = Compact::of(cursor.rest()).list().ok_or_else(unread)?;
            if groups > MOST_GROUPS {
                return Err(format!("it states {groups} row groups"));
            }
        }
        cursor.skip(kind, DEEPEST).ok_or_else(unread)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_are_counted_wherever_they_are_stated() {
        // A version, two row groups of one number each, and what made it.
        let whole = [0x15, 2, 0x39, 0x2c, 0x16, 2, 0, 0x16, 2, 0, 0x28, 1, b'x', 0];
        assert_eq!(check_groups(&whole), Ok(()));
        for end in 0..whole.len() {
            assert!(check_groups(&whole[..end]).is_err(), "cut at {end}");
        }
        // 2^31 - 1 groups; the same after a list of none.
        let many = [0x15, 2, 0x39, 0xfc, 0xff, 0xff, 0xff, 0xff, 7, 0];
        assert!(check_groups(&many).unwrap_err().contains("2147483647 row groups"));
        let again = [&[0x49, 0x0c, 0x09, 8][..], &many[3..]].concat();
        assert!(check_groups(&again).unwrap_err().contains("2147483647 row groups"));
        // As many truths, and numbers of eight bytes, which run out.
        for element in [1, 3, 7, 8] {
            let bytes = [0x19, 0xf0 | element, 0xff, 0xff, 0xff, 0xff, 7, 0, 0];
            assert!(check_groups(&bytes).is_err(), "{element}");
        }
        // Lists in lists without end.
        assert!(check_groups(&[0x19; 200]).is_err());
    }
}
