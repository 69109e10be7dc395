//! Ids: of Git objects and of chunks, as raw bytes.
//!
//! Both print as lower-case hexadecimal. They carry no proof that the object exists.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of a SHA-1 object id.
const SHA1_BYTES: usize = 20;
/// Bytes of a SHA-256 object id.
const SHA256_BYTES: usize = 32;

/// Text or bytes that are not an id.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum IdError {
    /// The number of bytes is not that of any known hash.
    #[error("object id of {0} bytes, expected 20 or 32")]
    Length(usize),
    /// The text holds something that is not a hexadecimal digit, or half a byte.
    #[error("object id {0:?} is not hexadecimal")]
    Hex(String),
}

/// The id of a Git object: 20 bytes for SHA-1, 32 for SHA-256. In JSON it is a hexadecimal string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId {
    // Unused bytes are zero, so that comparing and hashing the whole array is right.
    bytes: [u8; SHA256_BYTES],
    length: u8,
}

impl ObjectId {
    /// Takes 20 or 32 raw bytes.
    pub fn from_bytes(raw: &[u8]) -> Result<Self, IdError> {
        if raw.len() != SHA1_BYTES && raw.len() != SHA256_BYTES {
            return Err(IdError::Length(raw.len()));
        }
        let mut bytes = [0; SHA256_BYTES];
        bytes[..raw.len()].copy_from_slice(raw);
        Ok(Self { bytes, length: raw.len() as u8 })
    }

    /// Takes 40 or 64 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Result<Self, IdError> {
        // Bounded before it is decoded, for the text may come from a manifest that someone else wrote.
        if text.len() != 2 * SHA1_BYTES && text.len() != 2 * SHA256_BYTES {
            return Err(IdError::Length(text.len() / 2));
        }
        let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
        let mut bytes = [0; SHA256_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let (high, low) = digit(pair[0]).zip(digit(pair[1])).ok_or_else(|| IdError::Hex(text.to_owned()))?;
            *byte = high << 4 | low;
        }
        Ok(Self { bytes, length: (text.len() / 2) as u8 })
    }

    /// The raw bytes: 20 or 32.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_bytes())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::from_hex(&text)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.to_string()
    }
}

/// The id of a chunk: the first 16 bytes of the blake3 of its language, kind, own name and text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub [u8; 16]);

impl ChunkId {
    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_bytes_agree() {
        for length in [20, 32] {
            let raw: Vec<u8> = (0..length).map(|i| i * 7 + 3).collect();
            let id = ObjectId::from_bytes(&raw).unwrap();
            assert_eq!(id.as_bytes(), raw);
            assert_eq!(ObjectId::from_hex(&id.to_string()), Ok(id));
            assert_eq!(ObjectId::from_hex(&id.to_string().to_uppercase()), Ok(id));
            assert_eq!(serde_json::from_str::<ObjectId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        }
        assert_eq!(ChunkId([0xa5; 16]).to_string(), "a5".repeat(16));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert_eq!(ObjectId::from_bytes(&[1; 19]), Err(IdError::Length(19)));
        assert_eq!(ObjectId::from_hex(""), Err(IdError::Length(0)));
        assert!(matches!(ObjectId::from_hex(&"g".repeat(40)), Err(IdError::Hex(_))));
        // Forty bytes, but not forty digits.
        assert!(matches!(ObjectId::from_hex(&"é".repeat(20)), Err(IdError::Hex(_))));
    }
}
