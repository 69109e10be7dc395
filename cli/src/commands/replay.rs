//! `precedent replay`

use std::process::ExitCode;

use precedent_bot::outcomes::{BLOB, Outcomes};
use precedent_bot::render::visible;
use precedent_bot::replay::{self, Figure, Found, Last, Replay};
use precedent_pipeline::shard::Store;
use serde::Serialize;

use super::json_line;
use crate::args::ReplayArguments;
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::screen;

pub(crate) fn run(settings: &Settings, options: &ReplayArguments) -> Result<ExitCode, Failure> {
    let last = parse(&options.last)?;
    let place = Place::open(settings)?;
    let tip = match &options.as_of {
        Some(revision) => place.repository.resolve(revision)?,
        None => place.repository.head()?,
    };
    let found = place
        .with_archive(settings, &[tip], |archive, _| Ok(replay::replay(&place.repository, archive, &tip, last)?))?;
    let Some(found) = found else {
        return Err(Failure::new(Kind::Data, format!("`{tip}` is not indexed"))
            .with_hint("bring the index up to it: precedent index --tip REV"));
    };
    if options.keep {
        keep(&super::store::existing(&place)?, |kept| kept.with(&tip, found.replayed, 0, found.claims.clone()))?;
    }
    let name = super::eval::name(&place.repository);
    let text = match settings.json {
        true => json_line(&Document {
            task: "replay",
            repo: &name,
            queries: found.nodes.queries + found.files.queries,
            metrics: Both { node: &found.nodes.metrics, file: &found.files.metrics },
            baselines: found
                .nodes
                .baselines
                .iter()
                .filter_map(|(way, node)| Some((*way, Both { node, file: found.files.baselines.get(way)? })))
                .collect(),
            replay: &found,
        }),
        false => shown(&name, &found),
    };
    screen::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Puts what became of the claims into the store, and says which generation that is.
pub(super) fn keep(store: &Store, outcomes: impl FnOnce(Outcomes) -> Outcomes) -> Result<Option<u64>, Failure> {
    let lock = store.lock()?;
    // Another run may have written since; a store that is gone by now has nothing to keep.
    let Some(mut store) = Store::open(store.location())? else { return Ok(None) };
    let outcomes = outcomes(Outcomes::of(&store));
    store.put_blob(&lock, BLOB, outcomes.to_value())?;
    Ok(Some(store.manifest().generation))
}

#[derive(Serialize)]
struct Document<'a> {
    task: &'static str,
    repo: &'a str,
    queries: usize,
    metrics: Both<'a>,
    baselines: std::collections::BTreeMap<&'static str, Both<'a>>,
    replay: &'a Replay,
}

#[derive(Serialize)]
struct Both<'a> {
    node: &'a replay::Figures,
    file: &'a replay::Figures,
}

/// `500` steps, or `20%` of them.
fn parse(text: &str) -> Result<Last, Failure> {
    let wrong = || {
        Failure::new(Kind::Usage, format!("`{}` is no number of changes", visible(text)))
            .with_hint("as in: precedent replay --last 500, or --last 20%")
    };
    match text.strip_suffix('%') {
        Some(share) => {
            let share: f64 = share.parse().map_err(|_| wrong())?;
            if share > 0.0 && share <= 100.0 { Ok(Last::Percent(share)) } else { Err(wrong()) }
        }
        None => match text.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(count) => Ok(Last::Steps(count)),
        },
    }
}

fn shown(name: &str, replay: &Replay) -> String {
    let mut out = format!("  replay of {}: the last {} of {} changes\n", visible(name), replay.replayed, replay.steps);
    for (what, found) in [("function", &replay.nodes), ("file", &replay.files)] {
        out.push_str(&companions(what, found));
    }
    if !replay.outcomes.is_empty() {
        out.push_str("\n  what happened next, within 14 days and by the same author\n");
        out.push_str(&format!(
            "  {:<16}{:>8}{:>8}{:>12}{:>8}{:>11}\n",
            "", "alarms", "told", "borne out", "rate", "base rate"
        ));
    }
    for (check, outcome) in &replay.outcomes {
        out.push_str(&format!(
            "  {check:<16}{:>8}{:>8}{:>12}{:>8.3}{:>11.3}\n",
            outcome.alarms, outcome.told, outcome.borne_out, outcome.rate, outcome.base_rate
        ));
    }
    out
}

fn companions(what: &str, found: &Found) -> String {
    if found.queries == 0 {
        return format!("\n  one {what} hidden: no change here could be asked about\n");
    }
    let mut out = format!(
        "\n  one {what} hidden: {} changes, {} queries over {} candidates\n  {:<10}{:<18}{}\n",
        found.steps, found.queries, found.candidates, "", "MRR", "recall@10"
    );
    for (way, figures) in std::iter::once((&"ranking", &found.metrics)).chain(&found.baselines) {
        out.push_str(&format!("  {way:<10}{:<18}{}\n", figure(&figures.mrr), figure(&figures.recall)));
    }
    out
}

/// `.531 (.50-.56)`
fn figure(figure: &Figure) -> String {
    let digits = |value: f64, count: usize| format!("{value:.count$}");
    format!("{} ({}-{})", digits(figure.value, 3), digits(figure.low, 2), digits(figure.high, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_changes_are_a_number_or_a_share() {
        assert_eq!(parse("500").ok(), Some(Last::Steps(500)));
        assert_eq!(parse("20%").ok(), Some(Last::Percent(20.0)));
        for wrong in ["", "0", "-1", "0%", "101%", "x", "%", "nan%"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
