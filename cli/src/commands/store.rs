//! `precedent store check`, `compact` and `gc`

use std::collections::BTreeMap;
use std::process::ExitCode;

use precedent_pipeline::shard::{GRACE, Merging, Store, WriteLock};
use serde::Serialize;

use super::json_line;
use crate::args::GcArguments;
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::screen;

/// The store of a place, which must be there.
pub(super) fn existing(place: &Place) -> Result<Store, Failure> {
    place.existing()?.ok_or_else(|| {
        Failure::new(Kind::Data, format!("there is no store at `{}`", place.location()))
            .with_hint("make one with: precedent index")
    })
}

/// The same, and the right to write to it.
fn existing_to_write(settings: &Settings) -> Result<(Store, WriteLock), Failure> {
    let store = existing(&Place::open(settings)?)?;
    let lock = store.lock()?;
    // Another run may have written between the two.
    let store = Store::open(store.location())?.unwrap_or(store);
    Ok((store, lock))
}

#[derive(Serialize)]
struct Checked<'a> {
    path: String,
    ok: bool,
    shards: usize,
    shards_by_table: BTreeMap<&'a str, usize>,
    rows: &'a BTreeMap<String, u64>,
    bytes: u64,
    retired: usize,
    retired_bytes: u64,
    write_amplification: f64,
    problems: &'a [String],
}

pub(crate) fn check(settings: &Settings) -> Result<ExitCode, Failure> {
    let store = existing(&Place::open(settings)?)?;
    let report = store.check()?;
    let ok = report.problems.is_empty();
    let retired = &store.manifest().retired;
    let mut shards_by_table: BTreeMap<&str, usize> = BTreeMap::new();
    for shard in &store.manifest().shards {
        *shards_by_table.entry(&shard.table).or_default() += 1;
    }
    let document = Checked {
        path: store.location().to_string(),
        ok,
        shards: report.shards,
        shards_by_table,
        rows: &report.rows,
        bytes: report.bytes,
        retired: retired.len(),
        retired_bytes: retired.iter().map(|file| file.bytes).fold(0, u64::saturating_add),
        write_amplification: store.write_amplification(),
        problems: &report.problems,
    };
    screen::print(&if settings.json { json_line(&document) } else { shown(&document) })?;
    if ok {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::new(Kind::Data, format!("the store at `{}` does not hold together", store.location()))
            .with_hint("build it again with: precedent index --rebuild"))
    }
}

fn shown(checked: &Checked<'_>) -> String {
    let Checked { path, shards, bytes, write_amplification, .. } = checked;
    let bytes = screen::bytes(*bytes);
    let mut out = format!("  {path}\n  {shards} shards, {bytes}, written {write_amplification:.1} times over\n");
    for (table, rows) in checked.rows {
        let shards = checked.shards_by_table.get(table.as_str()).copied().unwrap_or(0);
        let rows = screen::grouped(*rows);
        out.push_str(&format!("  {table:<8}  {rows:>12} rows in {}\n", screen::counted(shards as u64, "shard")));
    }
    if checked.retired > 0 {
        let files = screen::counted(checked.retired as u64, "retired shard");
        let bytes = screen::bytes(checked.retired_bytes);
        out.push_str(&format!("  {files} for readers that began before, {bytes}\n"));
    }
    if checked.ok {
        out.push_str("  every byte is as it was written, and every reference resolves\n");
    }
    for problem in checked.problems {
        out.push_str(&format!("  problem   {problem}\n"));
    }
    out
}

#[derive(Serialize)]
struct Compacted {
    shards_before: usize,
    shards: usize,
    bytes_before: u64,
    bytes: u64,
    written_bytes: u64,
    generation: u64,
    write_amplification: f64,
}

pub(crate) fn compact(settings: &Settings) -> Result<ExitCode, Failure> {
    let (mut store, lock) = existing_to_write(settings)?;
    let (shards_before, bytes_before) = (store.manifest().shards.len(), store.bytes_on_disk());
    let report = store.merge(&lock, Merging::Everything)?;
    let compacted = Compacted {
        shards_before,
        shards: store.manifest().shards.len(),
        bytes_before,
        bytes: store.bytes_on_disk(),
        written_bytes: report.bytes,
        generation: store.manifest().generation,
        write_amplification: store.write_amplification(),
    };
    if settings.json {
        screen::print(&json_line(&compacted))?;
    } else if report.shards == 0 {
        screen::print(&format!("  nothing to merge in {} shards\n", compacted.shards))?;
    } else {
        let (before, after) = (screen::bytes(bytes_before), screen::bytes(compacted.bytes));
        screen::print(&format!(
            "  {shards_before} shards → {}, {before} → {after}\n  the former ones stay for {} minutes; earlier: precedent store gc --grace 0\n",
            compacted.shards,
            GRACE.as_secs() / 60,
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Cleared {
    removed: usize,
    removed_bytes: u64,
    kept: usize,
    kept_bytes: u64,
    generation: u64,
}

pub(crate) fn gc(settings: &Settings, options: &GcArguments) -> Result<ExitCode, Failure> {
    let (mut store, lock) = existing_to_write(settings)?;
    let report = store.clear(&lock, options.grace)?;
    let cleared = Cleared {
        removed: report.removed.len(),
        removed_bytes: report.bytes,
        kept: report.kept.len(),
        kept_bytes: report.kept.iter().map(|file| file.bytes).fold(0, u64::saturating_add),
        generation: store.manifest().generation,
    };
    if settings.json {
        screen::print(&json_line(&cleared))?;
    } else {
        let removed = screen::counted(cleared.removed as u64, "file");
        screen::print(&format!(
            "  removed {removed} ({} of retired shards); {} stay for readers that began before\n",
            screen::bytes(cleared.removed_bytes),
            screen::counted(cleared.kept as u64, "file"),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
