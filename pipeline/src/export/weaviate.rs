//! Weaviate: one object a line, as its batch interface takes them.

use std::io::{self, Write};

use serde::Serialize;

use super::{Described, uuid, write_line};

/// The collection that the objects say they are of.
const COLLECTION: &str = "Chunk";

#[derive(Serialize)]
struct Object<'a> {
    class: &'static str,
    id: String,
    vector: &'a [f32],
    properties: Properties<'a>,
}

/// Flat, since a collection's properties have plain types; `id` is a name that Weaviate keeps for itself.
#[derive(Serialize)]
struct Properties<'a> {
    chunk: &'a str,
    number: u32,
    lang: &'a str,
    kind: &'a str,
    name: &'a str,
    path: &'a str,
    symbol: &'a str,
    start_line: u32,
    end_line: u32,
    commit: &'a str,
    time: i64,
    text: &'a str,
}

pub(super) fn write(out: &mut dyn Write, described: &Described<'_>, vector: &[f32]) -> io::Result<()> {
    let properties = Properties {
        chunk: &described.chunk,
        number: described.number,
        lang: described.lang,
        kind: described.kind,
        name: described.name,
        path: described.path,
        symbol: described.symbol,
        start_line: described.lines[0],
        end_line: described.lines[1],
        commit: &described.commit,
        time: described.time,
        text: described.text,
    };
    write_line(out, &Object { class: COLLECTION, id: uuid(&described.chunk), vector, properties })
}
