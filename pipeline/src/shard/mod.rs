//! The store: what indexing found, kept in immutable Parquet files that any reader of Parquet opens.
//!
//! A store is one directory, or one prefix of an object store. Seven tables (`commits`, `edits`, `chunks`, `spans`,
//! `vectors`, `clusters`, `reviews`) are each a folder of
//! **shards**: Parquet files that are never changed after they are written, and whose name is a hash of their
//! bytes. `manifest.json` lists the shards that count. Committing a **generation** writes new shards, makes them
//! durable, and only then replaces the manifest; the manifest is the only commit point, so a crash at any instant
//! leaves either the old generation or the new one, and never a part of one. Readers take no lock. There is one
//! writer at a time, by a file lock that the operating system releases when the writer dies.
//!
//! What is read back is untrusted: a store travels through caches and downloads. The manifest is checked when the
//! store is opened; a shard's hash, shape, counts and pages are checked when it is read. Whatever fails becomes
//! [`StoreError::Damaged`] with the name of the file, never a panic.
//!
//! This room knows neither Git nor embedding: it stores rows that others made. The format for other readers is
//! described in `docs/format.md`.

mod store;

mod blobs;
mod check;
mod clear;
mod commit;
mod error;
mod manifest;
mod merge;

mod bytes;
mod disk;
mod draft;
mod folder;
mod location;
mod lock;
mod objects;
mod shelf;

mod clusters;
mod decode;
mod encode;
mod footer;
mod headers;
mod pages;
mod reader;
mod reviews;
mod schema;
mod vector_shard;
mod waiting;
mod writer;

mod ids;
mod rows;

mod pinecone;

pub use check::CheckReport;
pub use clear::ClearReport;
pub use commit::{GRACE, Generation};
pub use error::StoreError;
pub use ids::{ChunkId, IdError, ObjectId};
pub use location::{Location, LocationError};
pub use lock::WriteLock;
pub use manifest::{FORMAT, Manifest, Retired, ReviewsPlace, ShardEntry};
pub use merge::{MergeReport, Merging};
pub use pinecone::PineconeWriter;
pub use reader::Vectors;
pub use rows::{Change, ChunkHead, ChunkRow, ClusterRow, CommitRow, EditRow, ReviewRow, SpanRow, VectorRow};
pub use store::{Settings, Store};
pub use vector_shard::{Column, VectorShard};

#[cfg(test)]
mod tests;
