//! Outcome: whether what happened next bore an alarm out.
//!
//! The strict proxy: the same author, within 14 days, touches again a node of the change *and* what the alarm pointed at.
//! Beside it stands how often the same happened to matched nodes that no alarm pointed at: of the same file, about as
//! often changed. What a claim points at is the file whose words it calls untrue.
//!
//! An alarm is *settled* by the first step after its 14 days. What is known of a check as of a step comes from the alarms that
//! were settled before it.

use std::collections::{BTreeMap, HashSet};

use precedent_pipeline::archive::Archive;
use serde::Serialize;

use crate::calibration::{self, Score};
use crate::companions::ledger::{Ledger, counts};
use crate::companions::names;
use crate::companions::protocol::Asked;
use crate::companions::question::{Tallies, candidates, file_tallies};
use crate::outcomes::{Claim, Ended, Fate, Replayed, Standing};

/// How long what happened next counts.
const SECONDS: i64 = 14 * 24 * 60 * 60;
/// A companion is missed from this share of this many steps on, as the briefing shows it.
const MIN_SHARE: f32 = 0.6;
const MIN_FILE_SHARE: f32 = 0.95;
const MIN_TOGETHER: f32 = 3.0;
/// A matched node changed at least half and at most twice as often.
const ALIKE: usize = 2;
/// Matched nodes that are looked at for each alarm.
const MATCHED: usize = 50;

/// What a check would have pointed at.
pub(super) struct Alarm {
    check: &'static str,
    /// The step, by its place.
    step: usize,
    candidate: u32,
    is_file: bool,
    /// What the change touches, of the same kind.
    touched: HashSet<u32>,
    /// Matched nodes or files as of then.
    matched: Vec<u32>,
    /// Of a claim, the path of the file as of then.
    path: Option<String>,
    /// Whether a review would have told it then.
    told: bool,
}

/// What became of an alarm whose 14 days are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settled {
    /// The first step after them, by its place.
    by: usize,
    fate: Fate,
}

/// How often a check was borne out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Alarms whose 14 days are over.
    pub alarms: usize,
    /// Those that a review would have told, by the labels and by what was known here at the base.
    pub told: usize,
    /// Those that were borne out.
    pub borne_out: usize,
    /// `borne_out` / `alarms`; 0 for none.
    pub rate: f64,
    /// The mean over alarms of how many of the matched nodes the same happened to.
    pub base_rate: f64,
    /// Matched nodes looked at.
    pub matched: usize,
}

impl Alarm {
    /// The one node, and the one file, that most surely belongs to a step and that it does not touch.
    pub(super) fn companions(asked: &Asked<'_>) -> Vec<Alarm> {
        let (ledger, question) = (asked.ledger, &asked.question);
        let mut alarms = Vec::new();
        let (nodes, _) = candidates(ledger, question);
        let touched: HashSet<u32> = question.known(ledger).into_iter().collect();
        if let Some(candidate) = surest(&nodes, MIN_SHARE, |_| true) {
            let node = &ledger.nodes[candidate as usize];
            let alike = ledger.nodes_in(node.file).filter(|id| {
                let other = &ledger.nodes[*id as usize];
                *id != candidate
                    && !touched.contains(id)
                    && counts(&other.kind)
                    && is_alike(other.steps.len(), node.steps.len())
            });
            let name = |id: u32| {
                let node = &ledger.nodes[id as usize];
                format!("{}#{}", node.path, node.symbol)
            };
            alarms.push(Alarm {
                check: "companion",
                step: asked.at,
                candidate,
                is_file: false,
                matched: drawn(alike, name, asked.at),
                touched: touched.clone(),
                path: None,
                told: false,
            });
        }
        let files = file_tallies(ledger, question);
        if let Some(candidate) = surest(&files, MIN_FILE_SHARE, |id| ledger.files[id as usize].alive) {
            alarms.push(Alarm::of_file("companion-file", asked, candidate));
        }
        alarms
    }

    /// What a claim about a step points at; `None` for a file that was not there before.
    pub(super) fn claim(asked: &Asked<'_>, check: &'static str, path: &str) -> Option<Alarm> {
        let file = asked.ledger.file_at(path)?;
        Some(Alarm { path: Some(path.to_owned()), ..Alarm::of_file(check, asked, file) })
    }

    fn of_file(check: &'static str, asked: &Asked<'_>, candidate: u32) -> Alarm {
        let files = &asked.ledger.files;
        let touched: HashSet<u32> = asked.preview.files.iter().filter_map(|touched| touched.id).collect();
        let steps = files[candidate as usize].steps.len();
        let alike = (0..files.len() as u32).filter(|id| {
            let other = &files[*id as usize];
            *id != candidate && !touched.contains(id) && other.alive && is_alike(other.steps.len(), steps)
        });
        let matched = drawn(alike, |id| files[id as usize].path.to_string(), asked.at);
        Alarm { check, step: asked.at, candidate, is_file: true, touched, matched, path: None, told: false }
    }

    /// What became of it; `None` while its 14 days are not over.
    fn settled(&self, ledger: &Ledger) -> Option<Settled> {
        let end = ledger.steps[self.step].time.saturating_add(SECONDS);
        let by = self.step + 1 + ledger.steps.get(self.step + 1..)?.iter().position(|step| step.time > end)?;
        let hits = self.matched.iter().filter(|id| self.is_borne_out(ledger, by, **id)).count();
        let fate = Fate {
            borne_out: self.is_borne_out(ledger, by, self.candidate),
            matched: self.matched.len() as u32,
            matched_borne_out: hits as u32,
        };
        Some(Settled { by, fate })
    }

    /// Whether the same author came back to a node of the change and to this one.
    fn is_borne_out(&self, ledger: &Ledger, by: usize, candidate: u32) -> bool {
        let step = &ledger.steps[self.step];
        ledger.steps[self.step + 1..by].iter().any(|next| {
            let changed = if self.is_file { &next.files } else { &next.nodes };
            next.authors.iter().any(|author| step.authors.contains(author))
                && changed.binary_search(&candidate).is_ok()
                && changed.iter().any(|id| self.touched.contains(id))
        })
    }
}

fn is_alike(one: usize, two: usize) -> bool {
    one <= two * ALIKE && two <= one * ALIKE
}

/// Matched nodes or files, drawn by a hash of their names and of the step, so that no order decides which ones.
fn drawn(alike: impl Iterator<Item = u32>, name: impl Fn(u32) -> String, step: usize) -> Vec<u32> {
    let mut drawn: Vec<(u32, u32)> = alike.map(|id| (names::hash(&format!("{}@{step}", name(id))), id)).collect();
    drawn.sort_unstable();
    drawn.truncate(MATCHED);
    drawn.into_iter().map(|(_, id)| id).collect()
}

/// The candidate of the greatest share that is sure enough.
fn surest(tallies: &Tallies, least: f32, counts: impl Fn(u32) -> bool) -> Option<u32> {
    let sure = tallies.ids.iter().zip(&tallies.of).filter(|(id, tally)| {
        // The share of a tally counts one step more, against shares of few.
        tally.most_together >= MIN_TOGETHER
            && tally.most_share >= least * tally.most_together / (tally.most_together + 1.0)
            && counts(**id)
    });
    sure.max_by(|one, two| one.1.most_share.total_cmp(&two.1.most_share).then(two.0.cmp(one.0))).map(|(id, _)| *id)
}

/// Alarms, and what became of them, as of one step after the other.
pub(super) struct Record {
    alarms: Vec<Alarm>,
    settled: Vec<Option<Settled>>,
    /// What the labels say of the checks.
    scores: Vec<Score>,
}

impl Record {
    pub(super) fn new() -> Record {
        Record { alarms: Vec::new(), settled: Vec::new(), scores: calibration::shipped(&crate::checks::NAMES) }
    }

    /// Settles the alarms whose 14 days ended with the steps so far.
    pub(super) fn settle(&mut self, ledger: &Ledger) {
        for (alarm, settled) in self.alarms.iter().zip(&mut self.settled) {
            if settled.is_none() {
                *settled = alarm.settled(ledger);
            }
        }
    }

    /// Adds alarms of the step that comes next. Whether they would have been told is judged by what is settled by now.
    pub(super) fn add(&mut self, alarms: Vec<Alarm>) {
        let told: Vec<bool> = alarms.iter().map(|alarm| self.tells(alarm.check)).collect();
        for (alarm, told) in alarms.into_iter().zip(told) {
            self.alarms.push(Alarm { told, ..alarm });
            self.settled.push(None);
        }
    }

    /// Whether a check speaks here by now.
    fn tells(&self, check: &str) -> bool {
        let fates = self.of(check).map(|(_, settled)| settled.fate);
        let standing = Standing { replayed: Replayed::of(fates), ..Standing::default() };
        let score = self.scores.iter().find(|score| score.check == check);
        score.is_some_and(|score| calibration::voice(score, &standing).is_some())
    }

    fn of<'r>(&'r self, check: &'r str) -> impl Iterator<Item = (&'r Alarm, &'r Settled)> {
        let settled = self.alarms.iter().zip(&self.settled);
        settled.filter_map(move |(alarm, settled)| (alarm.check == check).then_some((alarm, settled.as_ref()?)))
    }

    /// The claims among them, as they are kept.
    pub(super) fn claims(&self, archive: &Archive, ledger: &Ledger) -> Vec<Claim> {
        let commit = |step: usize| archive.commit(ledger.steps[step].commit).id;
        let claim = |(alarm, settled): (&Alarm, &Option<Settled>)| {
            Some(Claim {
                check: alarm.check.to_owned(),
                commit: commit(alarm.step),
                path: alarm.path.clone()?,
                ended: settled.map(|settled| Ended { by: commit(settled.by), fate: settled.fate }),
            })
        };
        self.alarms.iter().zip(&self.settled).filter_map(claim).collect()
    }

    /// What happened next, by check. Alarms that are not settled are left out.
    pub(super) fn outcomes(&self) -> BTreeMap<&'static str, Outcome> {
        let checks: HashSet<&'static str> = self.alarms.iter().map(|alarm| alarm.check).collect();
        let outcome = |check: &'static str| {
            let replayed = Replayed::of(self.of(check).map(|(_, settled)| settled.fate));
            let (alarms, borne_out) = (replayed.claims as usize, replayed.borne_out as usize);
            Outcome {
                alarms,
                told: self.of(check).filter(|(alarm, _)| alarm.told).count(),
                borne_out,
                rate: borne_out as f64 / alarms.max(1) as f64,
                base_rate: replayed.base_rate,
                matched: self.of(check).map(|(_, settled)| settled.fate.matched as usize).sum(),
            }
        };
        let all = checks.into_iter().map(|check| (check, outcome(check)));
        all.filter(|(_, outcome)| outcome.alarms > 0).collect()
    }
}
