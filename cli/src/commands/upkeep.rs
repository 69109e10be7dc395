//! Upkeep: past changes replayed after `precedent index`, so that reviews know how claims fared here.
//!
//! It is bounded, and it is good to have: whatever becomes of it, the index is there.

use std::time::{Duration, Instant};

use precedent_bot::outcomes::Outcomes;
use precedent_bot::replay::{self, CaughtUp, Limits, REACH};
use precedent_pipeline::shard::{ObjectId, Store};
use serde::Serialize;

use crate::failure::Failure;
use crate::place::Place;
use crate::progress::interruptible;
use crate::screen;

/// Seconds where none are given.
const SECONDS: u32 = 1;
/// New changes from which on they are replayed unasked: a few say nothing of a rate, and must not be waited for.
const LEAST_NEW: usize = 20;

/// What was replayed.
#[derive(Serialize)]
pub(super) struct Replayed {
    /// Changes that were.
    steps: usize,
    seconds: f64,
    /// Changes that are left for later; null where it is not known.
    behind: Option<usize>,
    #[serde(skip)]
    pub(super) interrupted: bool,
    /// The store's generation where something was kept.
    #[serde(skip)]
    pub(super) generation: Option<u64>,
}

impl Replayed {
    /// A line for people; nothing where nothing was done.
    pub(super) fn shown(&self) -> String {
        let Replayed { steps, seconds, behind, .. } = self;
        if *steps == 0 {
            return String::new();
        }
        let later = match behind {
            Some(0) | None => String::new(),
            Some(behind) => format!(", {} left for later", screen::grouped(*behind as u64)),
        };
        let text = format!("{} as of then{later}", screen::counted(*steps as u64, "past change"));
        screen::line("replay", &text, *seconds)
    }
}

/// Replays new changes up to a commit and keeps what became of the claims about them. What goes wrong is a note.
pub(super) fn replay(place: &Place, store: &Store, tip: &ObjectId, asked: Option<u32>) -> Replayed {
    let started = Instant::now();
    let result = attempt(place, store, tip, asked, started);
    let seconds = started.elapsed().as_secs_f64();
    match result {
        Ok((CaughtUp { steps, behind, interrupted, .. }, generation)) => {
            Replayed { steps, seconds, behind: Some(behind), interrupted, generation }
        }
        Err(failure) => {
            screen::tell(&format!("note: past changes could not be replayed: {}", failure.message()));
            Replayed { steps: 0, seconds, behind: None, interrupted: false, generation: None }
        }
    }
}

fn attempt(
    place: &Place,
    store: &Store,
    tip: &ObjectId,
    asked: Option<u32>,
    started: Instant,
) -> Result<(CaughtUp, Option<u64>), Failure> {
    let kept = Outcomes::of(store);
    let new = replay::new_steps(&place.repository, &kept, tip, LEAST_NEW)?;
    if asked.is_none() && kept.is_current() && new < LEAST_NEW {
        let nothing = CaughtUp { outcomes: None, steps: 0, behind: kept.behind + new, interrupted: false };
        return Ok((nothing, None));
    }
    let until = started + Duration::from_secs(asked.unwrap_or(SECONDS).into());
    let limits = Limits { until, reach: REACH };
    let mut caught_up = interruptible(|flag| replay::catch_up(&place.repository, store, kept, tip, limits, flag))?;
    let generation = match caught_up.outcomes.take() {
        // What people said may have been fetched meanwhile.
        Some(outcomes) => super::replay::keep(store, |now| Outcomes { heard: now.heard, ..outcomes })?,
        None => None,
    };
    Ok((caught_up, generation))
}
