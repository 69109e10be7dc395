//! Outcome: whether what happened next bore an alarm out.
//!
//! The strict proxy: the same author, within 14 days, touches again a node of the change *and* what the alarm pointed at.
//! Beside it stands how often the same happened to matched nodes that no alarm pointed at: of the same file, about as
//! often changed. What a claim points at is the file whose words it calls untrue.

use std::collections::{BTreeMap, HashSet};

use precedent_pipeline::shard::ObjectId;
use serde::Serialize;

use crate::companions::ledger::{Ledger, counts};
use crate::companions::protocol::Asked;
use crate::companions::question::{Tallies, candidates, file_tallies};
use crate::finding::Finding;

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
}

/// How often a check was borne out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Alarms whose 14 days are over.
    pub alarms: usize,
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
            let matched = ledger
                .nodes_in(node.file)
                .filter(|id| {
                    let other = &ledger.nodes[*id as usize];
                    *id != candidate
                        && !touched.contains(id)
                        && counts(&other.kind)
                        && is_alike(other.steps.len(), node.steps.len())
                })
                .take(MATCHED)
                .collect();
            alarms.push(Alarm {
                check: "companion",
                step: asked.at,
                candidate,
                is_file: false,
                touched: touched.clone(),
                matched,
            });
        }
        let files = file_tallies(ledger, question);
        let own: HashSet<u32> = question.files.iter().filter_map(|(id, _)| *id).collect();
        if let Some(candidate) = surest(&files, MIN_FILE_SHARE, |id| ledger.files[id as usize].alive) {
            alarms.push(Alarm::of_file("companion-file", asked.at, ledger, candidate, own));
        }
        alarms
    }

    /// The claims that the checks have about a step, each for the file that it cites as of the step; one for a check and a
    /// file.
    pub(super) fn claims(asked: &Asked<'_>, findings: &[Finding], head: &ObjectId) -> Vec<Alarm> {
        let ledger = asked.ledger;
        let own: HashSet<u32> = asked.question.files.iter().filter_map(|(id, _)| *id).collect();
        let mut seen = HashSet::new();
        let pointed = findings.iter().filter_map(|finding| {
            let cited = finding.citations.iter().find(|citation| citation.commit == *head)?;
            let file = ledger.file_at(&cited.path)?;
            seen.insert((finding.check, file)).then_some((finding.check, file))
        });
        pointed.map(|(check, file)| Alarm::of_file(check, asked.at, ledger, file, own.clone())).collect()
    }

    fn of_file(check: &'static str, step: usize, ledger: &Ledger, candidate: u32, own: HashSet<u32>) -> Alarm {
        let steps = ledger.files[candidate as usize].steps.len();
        let matched = (0..ledger.files.len() as u32)
            .filter(|id| {
                let other = &ledger.files[*id as usize];
                *id != candidate && !own.contains(id) && other.alive && is_alike(other.steps.len(), steps)
            })
            .take(MATCHED)
            .collect();
        Alarm { check, step, candidate, is_file: true, touched: own, matched }
    }

    /// Whether the same author came back to a node of the change and to this one.
    fn is_borne_out(&self, ledger: &Ledger, candidate: u32) -> bool {
        let step = &ledger.steps[self.step];
        let mut later = ledger.steps[self.step + 1..].iter().take_while(|next| next.time <= step.time + SECONDS);
        later.any(|next| {
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

/// What happened next, by check. Alarms whose 14 days are not over are left out.
pub(super) fn outcomes(ledger: &Ledger, alarms: &[Alarm]) -> BTreeMap<&'static str, Outcome> {
    let end = ledger.steps.last().map_or(i64::MIN, |step| step.time);
    let mut outcomes: BTreeMap<&'static str, (Outcome, f64, usize)> = BTreeMap::new();
    for alarm in alarms.iter().filter(|alarm| ledger.steps[alarm.step].time + SECONDS <= end) {
        let (outcome, base, with_matched) = outcomes.entry(alarm.check).or_default();
        outcome.alarms += 1;
        outcome.borne_out += usize::from(alarm.is_borne_out(ledger, alarm.candidate));
        if !alarm.matched.is_empty() {
            let hits = alarm.matched.iter().filter(|id| alarm.is_borne_out(ledger, **id)).count();
            *base += hits as f64 / alarm.matched.len() as f64;
            *with_matched += 1;
            outcome.matched += alarm.matched.len();
        }
    }
    outcomes
        .into_iter()
        .map(|(check, (outcome, base, with_matched))| {
            let rate = outcome.borne_out as f64 / outcome.alarms.max(1) as f64;
            (check, Outcome { rate, base_rate: base / with_matched.max(1) as f64, ..outcome })
        })
        .collect()
}
