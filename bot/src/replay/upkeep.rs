//! Upkeep: what became of claims, brought up to a commit a few steps at a time.
//!
//! Kept is an unbroken run of first-parent steps. New ones are taken in their order; when there are none left, older ones, down to
//! [`REACH`]. The checks need objects alone, so the archive is opened only for claims whose 14 days were not over, and for new
//! ones.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::{Objects, Repository};
use precedent_pipeline::shard::{ObjectId, Store};
use precedent_pipeline::{Interrupt, PipelineError};
use rustc_hash::FxHashMap;

use super::claims::{Claimed, claims};
use super::outcome::{Alarm, Record};
use crate::checks::NAMES;
use crate::checks::tree::Library;
use crate::companions::authors::Authors;
use crate::companions::ledger::{Ledger, Line};
use crate::companions::names::Terms;
use crate::companions::protocol::walk;
use crate::companions::question::Texts;
use crate::companions::ranking::mailmap;
use crate::outcomes::{Claim, Outcomes};

/// Steps that are kept at the most, the latest ones.
pub const REACH: usize = 500;

/// Where a run ends.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// No step is begun after this.
    pub until: Instant,
    /// Steps that are kept at the most.
    pub reach: usize,
}

/// What a run came to.
#[derive(Debug)]
pub struct CaughtUp {
    /// What is known now, where that is more than before.
    pub outcomes: Option<Outcomes>,
    /// Steps that were replayed.
    pub steps: usize,
    /// Steps that are left for later.
    pub behind: usize,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// A step: its commit and the first parent, which a root and the end of a shallow clone lack.
type Step = (ObjectId, Option<ObjectId>);

/// The first-parent steps up to a commit, latest first; not beyond one that `ends` says is the last.
fn steps(
    repository: &Repository,
    objects: &Objects,
    tip: ObjectId,
    most: usize,
    ends: impl Fn(&ObjectId) -> bool,
) -> Result<Vec<Step>, PipelineError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut next = Some(tip);
    while let Some(at) = next.filter(|_| steps.len() < most) {
        let parent = objects.commit(repository, &at)?.parents.first().copied();
        steps.push((at, parent));
        next = parent.filter(|_| !ends(&at));
    }
    Ok(steps)
}

/// How many steps lead from what was replayed to a commit, counted up to `most`.
///
/// # Errors
/// History that cannot be read.
pub fn new_steps(
    repository: &Repository,
    kept: &Outcomes,
    tip: &ObjectId,
    most: usize,
) -> Result<usize, PipelineError> {
    let objects = repository.objects();
    let last = kept.last();
    let found = steps(repository, &objects, *tip, most + 1, |id| Some(*id) == last)?;
    if found.last().is_some_and(|(id, _)| Some(*id) == last) {
        return Ok(found.len() - 1);
    }
    // A commit that is older than the last, or beside it, comes to what was replayed further down.
    let known = match last.filter(|last| objects.contains(last)) {
        Some(last) => steps(repository, &objects, last, kept.changes, |_| false)?,
        None => Vec::new(),
    };
    let known: HashSet<ObjectId> = known.into_iter().map(|(id, _)| id).collect();
    let meets = found.iter().position(|(id, _)| known.contains(id));
    Ok(meets.unwrap_or(found.len()).min(most))
}

/// Replays the steps up to a commit that were not yet, as far as the limits allow.
///
/// # Errors
/// History or a store that cannot be read.
pub fn catch_up(
    repository: &Repository,
    store: &Store,
    kept: Outcomes,
    tip: &ObjectId,
    limits: Limits,
    interrupt: &Interrupt,
) -> Result<CaughtUp, PipelineError> {
    let objects = repository.objects();
    let reach = limits.reach.max(if kept.is_current() { kept.changes } else { 0 });
    let line = steps(repository, &objects, *tip, reach, |_| false)?;
    let Some(mut run) = Run::on(repository, &objects, &line, &kept)? else {
        return Ok(CaughtUp { outcomes: None, steps: 0, behind: kept.behind, interrupted: false });
    };
    let library = Library::default();
    let mut found: Vec<Claim> = Vec::new();
    let (mut count, mut interrupted) = (0, false);
    while let Some(at) = run.next(line.len()) {
        interrupted = interrupt.load(Ordering::Relaxed);
        if interrupted || Instant::now() >= limits.until {
            break;
        }
        let (head, parent) = line[at];
        if let Some(parent) = parent {
            let claims = claims(repository, &objects, &library, parent, head)?;
            let open = |claimed: Claimed| Claim {
                check: claimed.check.to_owned(),
                commit: head,
                path: claimed.path,
                ended: None,
            };
            found.extend(claims.into_iter().map(open));
        }
        run.take(at);
        count += 1;
    }
    let behind = line.len() - (run.end - run.first);
    let taken = &line[run.first..run.end];
    let Some((last, _)) = taken.first() else {
        return Ok(CaughtUp { outcomes: None, steps: 0, behind, interrupted });
    };
    if let Some(was_last) = kept.last() {
        let still: HashSet<ObjectId> = taken.iter().map(|(id, _)| *id).collect();
        let mut old: Vec<Claim> = kept.claims.iter().filter(|claim| still.contains(&claim.commit)).cloned().collect();
        // Steps that are gone may have borne out or settled what stays.
        if !still.contains(&was_last) {
            old.iter_mut().for_each(|claim| claim.ended = None);
        }
        found.extend(old);
    }
    if !interrupted && found.iter().any(|claim| claim.ended.is_none()) {
        found = settled(&objects, store, tip, found)?;
    }
    let outcomes = kept.with(last, taken.len(), behind, found);
    Ok(CaughtUp { outcomes: Some(outcomes), steps: count, behind, interrupted })
}

/// Which steps of a line are replayed, by their places in it, latest first.
#[derive(Debug, PartialEq)]
struct Run {
    first: usize,
    end: usize,
}

impl Run {
    /// What is kept of a line; `None` where all of the line is, and more that came after it.
    fn on(
        repository: &Repository,
        objects: &Objects,
        line: &[Step],
        kept: &Outcomes,
    ) -> Result<Option<Run>, PipelineError> {
        let none = Run { first: 0, end: 0 };
        // What is kept may be of a branch that is gone.
        let Some(last) = kept.last().filter(|last| objects.contains(last)) else { return Ok(Some(none)) };
        let known = steps(repository, objects, last, kept.changes, |_| false)?;
        let places: FxHashMap<ObjectId, usize> = known.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let meets = line.iter().enumerate().find_map(|(at, (id, _))| Some((at, *places.get(id)?)));
        Ok(match meets {
            Some((0, ahead)) if ahead > 0 => None,
            Some((first, ahead)) => Some(Run { first, end: line.len().min(first + known.len() - ahead) }),
            None => Some(none),
        })
    }

    /// The step that comes next, if there is one left.
    fn next(&self, steps: usize) -> Option<usize> {
        self.first.checked_sub(1).or(Some(self.end).filter(|end| *end < steps))
    }

    fn take(&mut self, at: usize) {
        if at < self.first { self.first = at } else { self.end = at + 1 }
    }
}

/// Claims in the order of their steps, with what became of them. Those that point at a file that is new are left out, as are
/// those about steps of bots.
fn settled(objects: &Objects, store: &Store, tip: &ObjectId, claims: Vec<Claim>) -> Result<Vec<Claim>, PipelineError> {
    let Some(store) = Store::open(store.location())? else { return Ok(claims) };
    let archive = Archive::open(store)?;
    let Some(number) = archive.number(tip) else { return Ok(claims) };
    let line = Line::of(&archive, number);
    let mut wanted: FxHashMap<ObjectId, Vec<Claim>> = FxHashMap::default();
    for claim in claims {
        wanted.entry(claim.commit).or_default().push(claim);
    }
    let mut ledger = Ledger::new(Authors::new(mailmap(objects, tip)));
    let mut record = Record::new();
    let commit_of = |at: usize| archive.commit(line.spine[at]).id;
    walk(&archive, &line, &mut ledger, &NoTexts, |at| wanted.contains_key(&commit_of(at)), &mut |asked| {
        let alarm = |claim: &Claim| {
            let check = NAMES.into_iter().find(|name| *name == claim.check)?;
            Alarm::claim(asked, check, &claim.path)
        };
        record.add(wanted[&commit_of(asked.at)].iter().filter_map(alarm).collect());
    });
    record.settle(&ledger);
    Ok(record.claims(&archive, &ledger))
}

/// Claims about files ask nothing of texts.
struct NoTexts;

impl Texts for NoTexts {
    fn terms(&self, _chunk: u32) -> std::sync::Arc<Terms> {
        std::sync::Arc::default()
    }

    fn cosine(&self, _one: u32, _two: u32) -> f32 {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_steps_come_first_in_their_order_and_then_older_ones() {
        let order = |mut run: Run, steps: usize| {
            let mut order = Vec::new();
            while let Some(at) = run.next(steps) {
                run.take(at);
                order.push(at);
            }
            assert_eq!(run, Run { first: 0, end: steps });
            order
        };
        assert_eq!(order(Run { first: 2, end: 5 }, 8), [1, 0, 5, 6, 7]);
        assert_eq!(order(Run { first: 0, end: 0 }, 3), [0, 1, 2]);
        assert_eq!(order(Run { first: 0, end: 3 }, 3), [0usize; 0]);
    }
}
