//! `precedent store check`

use std::process::ExitCode;

use serde::Serialize;

use super::json_line;
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::screen;

#[derive(Serialize)]
struct Document<'a> {
    path: String,
    ok: bool,
    shards: usize,
    rows: &'a std::collections::BTreeMap<String, u64>,
    bytes: u64,
    problems: &'a [String],
}

pub(crate) fn check(settings: &Settings) -> Result<ExitCode, Failure> {
    let place = Place::open(settings)?;
    let Some((directory, store)) = place.existing()? else {
        return Err(Failure::new(Kind::Data, format!("there is no store at `{}`", place.directory().display()))
            .with_hint("make one with: precedent index"));
    };
    let report = store.check()?;
    let ok = report.problems.is_empty();
    if settings.json {
        screen::print(&json_line(&Document {
            path: directory.display().to_string(),
            ok,
            shards: report.shards,
            rows: &report.rows,
            bytes: report.bytes,
            problems: &report.problems,
        }))?;
    } else {
        let mut out =
            format!("  {}\n  {} shards, {}\n", directory.display(), report.shards, screen::bytes(report.bytes));
        for (table, rows) in &report.rows {
            out.push_str(&format!("  {table:<8}  {:>12} rows\n", screen::grouped(*rows)));
        }
        out.push_str(if ok { "  every byte is as it was written, and every reference resolves\n" } else { "" });
        for problem in &report.problems {
            out.push_str(&format!("  problem   {problem}\n"));
        }
        screen::print(&out)?;
    }
    if ok {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::new(Kind::Data, format!("the store at `{}` does not hold together", directory.display()))
            .with_hint("build it again with: precedent index --rebuild"))
    }
}
