//! Headers of pages, walked before any page is decompressed.
//!
//! A page's header states how many bytes it decompresses to, and the decoder allocates as many before it looks at one:
//! two gibibytes for a few hostile bytes, which can end the process. The footer states the sum for a column, and that
//! was compared with the size of the file; so the headers are compared with the footer. They are Thrift structs in the
//! compact protocol, of which the first three fields are asked for and the rest is skipped.

use parquet::file::reader::ChunkReader;

use super::bytes::ShardBytes;

/// The longest header that is read, in bytes. Those of this format have no statistics and take about 30.
const LONGEST_BYTES: u64 = 512;
/// How deep structs may stand in each other; a header of this format has two levels.
const DEEPEST: u32 = 4;

/// Refuses a column chunk whose pages do not fill it, or decompress to more than it states. All sizes in bytes.
pub(super) fn check_headers(shard: &ShardBytes, start: u64, length: u64, expanded: u64) -> Result<(), String> {
    let end = start.checked_add(length).ok_or("a column ends outside the file")?;
    let (mut at, mut left) = (start, expanded);
    while at < end {
        let bytes = shard.get_bytes(at, (end - at).min(LONGEST_BYTES) as usize).map_err(|error| error.to_string())?;
        let header = Header::parse(&bytes).ok_or("a page's header does not read")?;
        let page = header.expanded.checked_add(header.length);
        left = page.and_then(|page| left.checked_sub(page)).ok_or("its pages hold more bytes than it states")?;
        at = at.saturating_add(header.length).saturating_add(header.compressed);
    }
    if at == end { Ok(()) } else { Err("a page ends outside its column".to_owned()) }
}

/// What a page's header states, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// Of the header itself.
    length: u64,
    expanded: u64,
    compressed: u64,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Compact::of(bytes);
        let (mut field, mut expanded, mut compressed) = (0, None, None);
        while let Some(kind) = cursor.field(&mut field)? {
            match (field, kind) {
                (2, Compact::I32) => expanded = Some(cursor.size()?),
                (3, Compact::I32) => compressed = Some(cursor.size()?),
                _ => cursor.skip(kind, DEEPEST)?,
            }
        }
        Some(Self { length: cursor.at as u64, expanded: expanded?, compressed: compressed? })
    }
}

/// Bytes of Thrift's compact protocol.
pub(super) struct Compact<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Compact<'b> {
    const I32: u8 = 5;
    pub(super) const LIST: u8 = 9;

    pub(super) fn of(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number that is not negative: zigzag puts those at the even values.
    fn size(&mut self) -> Option<u64> {
        let value = self.varint()?;
        (value & 1 == 0).then_some(value >> 1)
    }

    /// The type of the next field, whose number goes to `field`; `None` inside at the end of the struct.
    #[expect(clippy::option_option, reason = "the outer is failure, the inner the end")]
    pub(super) fn field(&mut self, field: &mut u64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *field = match head >> 4 {
            0 => self.size()?,
            delta => *field + u64::from(delta),
        };
        Some(Some(head & 0x0f))
    }

    /// The type of the elements of a list and how many it states.
    pub(super) fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Some((head & 0x0f, count))
    }

    pub(super) fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            // The type of a truth is its value.
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => self.at = self.at.checked_add(8)?,
            8 => self.at = usize::try_from(self.varint()?).ok()?.checked_add(self.at)?,
            12 => {
                let (depth, mut field) = (depth.checked_sub(1)?, 0);
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth)?;
                }
            }
            Self::LIST => {
                let (depth, (element, count)) = (depth.checked_sub(1)?, self.list()?);
                for _ in 0..count {
                    // A truth among others takes a byte.
                    let element = if matches!(element, 1 | 2) { 3 } else { element };
                    self.skip(element, depth)?;
                }
            }
            // Sets and maps, which Parquet has none of.
            _ => return None,
        }
        // What ends outside is told at once, so that no list takes longer than its bytes.
        (self.at <= self.bytes.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data page of 300 bytes in 20, with a struct of its own, as Parquet's writers make it.
    const HEADER: [u8; 15] = [0x15, 0, 0x15, 0xd8, 4, 0x15, 40, 0x2c, 0x15, 2, 0x15, 0, 0, 0, 0];

    #[test]
    fn sizes_are_found_and_the_rest_is_skipped() {
        let parsed = Header::parse(&HEADER[..14]).unwrap();
        assert_eq!(parsed, Header { length: 14, expanded: 300, compressed: 20 });
        for end in 0..13 {
            assert_eq!(Header::parse(&HEADER[..end]), None, "{end}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_without_harm() {
        for bytes in
            [&[0x15; 600][..], &[0xff; 600], &[0x1c; 600], &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 1], &[0x19, 0]]
        {
            assert_eq!(Header::parse(bytes), None);
        }
        // A negative size.
        assert_eq!(Header::parse(&[0x15, 0, 0x15, 1, 0x15, 2, 0]), None);
    }

    #[test]
    fn pages_fill_their_column_and_decompress_to_what_it_states() {
        let mut page = HEADER[..14].to_vec();
        page.extend([7; 20]);
        let shard = ShardBytes::Memory([page.clone(), page].concat().into());
        assert_eq!(check_headers(&shard, 0, 68, 2 * 314), Ok(()));
        assert_eq!(check_headers(&shard, 34, 34, 314), Ok(()));
        let refused = |start, length, expanded| check_headers(&shard, start, length, expanded).unwrap_err();
        assert!(refused(0, 68, 2 * 314 - 1).contains("more bytes than it states"));
        assert!(refused(0, 60, 2 * 314).contains("outside its column"));
        assert!(refused(0, 80, 10_000).contains("outside the file"));
        assert!(refused(1, 67, 10_000).len() > 5);
        assert!(refused(u64::MAX, 2, 10_000).contains("outside the file"));
    }
}
