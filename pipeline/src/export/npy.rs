//! NumPy: `vectors.npy`, `ids.npy`, and `chunks.jsonl`, which says what the ids are of.
//!
//! The format is that of NumPy's `lib/format.py`, version 1.0: a magic number, a Python dictionary padded so that the
//! data is aligned to 64 bytes, and the data in C order.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{ExportError, Exported, Rows, Unfinished, each_row, write_line, writing};
use crate::archive::Archive;

/// Where the data begins is a multiple of this.
const ALIGNMENT: usize = 64;

/// Writes the three files into the folder `out`.
pub(super) fn write(archive: &Archive, rows: &Rows, out: &Path) -> Result<Exported, ExportError> {
    fs::create_dir_all(out).map_err(writing(out))?;
    let paths = ["vectors.npy", "ids.npy", "chunks.jsonl"].map(|name| out.join(name));
    let [mut vectors, mut ids, mut lines] =
        [Unfinished::create(&paths[0])?, Unfinished::create(&paths[1])?, Unfinished::create(&paths[2])?];
    let count = rows.count();
    vectors.out.write_all(&header("<f4", &format!("{count}, {}", rows.dimension))).map_err(writing(&paths[0]))?;
    ids.out.write_all(&header("<i8", &format!("{count},"))).map_err(writing(&paths[1]))?;
    each_row(archive, rows, |described, vector| {
        write_values(&mut vectors.out, vector).map_err(writing(&paths[0]))?;
        ids.out.write_all(&i64::from(described.number).to_le_bytes()).map_err(writing(&paths[1]))?;
        write_line(&mut lines.out, described).map_err(writing(&paths[2]))
    })?;
    lines.finish()?;
    ids.finish()?;
    vectors.finish()?;
    rows.exported(paths.to_vec())
}

fn write_values(out: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    out.write_all(&bytes)
}

/// The head of a file of this element type and shape.
fn header(element: &str, shape: &str) -> Vec<u8> {
    let dictionary = format!("{{'descr': '{element}', 'fortran_order': False, 'shape': ({shape}), }}");
    let magic = b"\x93NUMPY\x01\x00";
    // Two bytes of length, and the line's end.
    let length = (magic.len() + 2 + dictionary.len() + 1).next_multiple_of(ALIGNMENT) - magic.len() - 2;
    let mut head = magic.to_vec();
    head.extend((length as u16).to_le_bytes());
    head.extend(format!("{dictionary:<width$}\n", width = length - 1).into_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_padded_and_says_its_length() {
        for shape in ["0, 256", "1234567890, 65536", "5,"] {
            let head = header("<f4", shape);
            assert_eq!(head.len() % ALIGNMENT, 0);
            assert_eq!(usize::from(u16::from_le_bytes([head[8], head[9]])), head.len() - 10);
            assert!(head.starts_with(b"\x93NUMPY\x01\x00") && head[10] == b'{' && head.ends_with(b"\n"));
        }
    }
}
