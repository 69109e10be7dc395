//! Question: a change, and which nodes or files might belong to it.

use std::collections::HashSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::ledger::{Ledger, Preview, encloses};
use super::names::{self, Terms};

/// The latest steps of a node or file that are looked at.
const STEPS_LOOKED_AT: usize = 300;
/// Nodes considered at the most.
const MAX_CANDIDATES: usize = 3_000;
/// Steps of the same author, and of anybody, whose nodes are considered.
const AUTHORS_STEPS: usize = 40;
const ANYBODYS_STEPS: usize = 15;
/// How far back they are looked for.
const AUTHORS_REACH: usize = 2_000;
/// Nodes of one name that are considered.
const NAMESAKES: usize = 60;
/// Files that changed with those of the change, whose nodes are considered.
const FILES_BESIDE: usize = 8;

/// A node that the change touches.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its number; `None` for what is new.
    pub id: Option<u32>,
    /// Where it stands.
    pub path: Arc<str>,
    /// Its name there.
    pub symbol: Arc<str>,
    /// What it is.
    pub kind: Arc<str>,
    /// Its text before.
    pub before: Option<Arc<Terms>>,
    /// Its text afterwards.
    pub after: Option<Arc<Terms>>,
}

impl Seen {
    /// Terms of one kind, before and afterwards; none where it is not there.
    pub fn terms(&self, kind: fn(&Terms) -> &Vec<u32>) -> (&[u32], &[u32]) {
        let before = self.before.as_deref().map_or(&[][..], |terms| kind(terms));
        (before, self.after.as_deref().map_or(&[][..], |terms| kind(terms)))
    }
}

/// What is known of a change.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Who wrote it, as far as they are known.
    pub authors: Vec<u32>,
    /// The nodes that it touches.
    pub seen: Vec<Seen>,
    /// The files that it touches: their numbers, and their paths.
    pub files: Vec<(Option<u32>, Arc<str>)>,
    /// Nodes that are no candidates besides.
    pub barred: HashSet<u32>,
}

/// Where the terms of texts come from.
pub trait Texts: Sync {
    /// The terms of a text.
    fn terms(&self, chunk: u32) -> Arc<Terms>;
    /// The cosine similarity of two texts by their vectors, where they have any.
    fn cosine(&self, one: u32, two: u32) -> f32;
}

impl Question {
    /// The question that a step is, seen from before it.
    pub fn of(preview: &Preview, authors: Vec<u32>, texts: &dyn Texts) -> Question {
        let seen = preview
            .nodes
            .iter()
            .map(|touched| Seen {
                id: touched.id,
                path: touched.path.clone(),
                symbol: touched.symbol.clone(),
                kind: touched.kind.clone(),
                before: touched.before.map(|chunk| texts.terms(chunk)),
                after: touched.after.filter(|_| touched.exists).map(|chunk| texts.terms(chunk)),
            })
            .collect();
        let files = preview.files.iter().map(|touched| (touched.id, touched.path.clone())).collect();
        Question { authors, seen, files, barred: HashSet::new() }
    }

    /// The same without one node, and without what encloses it or lies in it: had it not changed, neither had they.
    pub fn without(&self, ledger: &Ledger, hidden: u32) -> Question {
        let node = &ledger.nodes[hidden as usize];
        let is_hidden = |seen: &Seen| {
            seen.id == Some(hidden)
                || seen.id.is_some_and(|id| {
                    let other = &ledger.nodes[id as usize];
                    other.path == node.path && (encloses(&other.symbol, &node.symbol) || other.symbol == node.symbol)
                })
        };
        let mut question = self.clone();
        question.barred.extend(self.seen.iter().filter(|seen| is_hidden(seen)).filter_map(|seen| seen.id));
        question.barred.remove(&hidden);
        question.seen.retain(|seen| !is_hidden(seen));
        // A file in which nothing else changed is not there either.
        let left: HashSet<&Arc<str>> = question.seen.iter().map(|seen| &seen.path).collect();
        question.files.retain(|(id, path)| *id != Some(node.file) && *path != node.path || left.contains(path));
        question
    }

    /// The same without one file and all that is in it.
    pub fn without_file(&self, ledger: &Ledger, hidden: u32) -> Question {
        let mut question = self.clone();
        let path = &ledger.files[hidden as usize].path;
        question.files.retain(|(id, _)| *id != Some(hidden));
        question
            .seen
            .retain(|seen| seen.path != *path && seen.id.is_none_or(|id| ledger.nodes[id as usize].file != hidden));
        question
    }

    /// The nodes of the change that have a past, by number.
    pub fn known(&self, ledger: &Ledger) -> Vec<u32> {
        let counted = |id: &u32| !ledger.nodes[*id as usize].steps.is_empty();
        self.seen.iter().filter_map(|seen| seen.id).filter(counted).collect()
    }
}

/// What steps say of one candidate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// The greatest share of a touched node's steps that changed the candidate as well.
    pub most_share: f32,
    /// The sum of those shares.
    pub sum_of_shares: f32,
    /// How many of the touched nodes ever changed with it.
    pub sources: f32,
    /// The most steps that it shares with one of them.
    pub most_together: f32,
    /// Likeness of this change and the steps that changed the candidate, summed, and the greatest.
    pub likeness: f32,
    /// See above.
    pub most_likeness: f32,
    /// The latest step that changed both it and a touched node, counted from 1; 0 for none.
    pub last_together: u32,
}

/// Candidates with their tallies.
#[derive(Debug, Default)]
pub struct Tallies {
    slots: FxHashMap<u32, u32>,
    /// Candidates, by number, in the order in which they were found.
    pub ids: Vec<u32>,
    /// Their tallies, in the same order.
    pub of: Vec<Tally>,
}

impl Tallies {
    fn slot(&mut self, id: u32) -> &mut Tally {
        let next = self.ids.len() as u32;
        let slot = *self.slots.entry(id).or_insert(next);
        if slot == next {
            self.ids.push(id);
            self.of.push(Tally::default());
        }
        &mut self.of[slot as usize]
    }

    /// The tally of a candidate, if it is one.
    pub fn get(&self, id: u32) -> Option<&Tally> {
        self.slots.get(&id).map(|slot| &self.of[*slot as usize])
    }

    /// What the steps of some nodes (or files) say of others. `is_own` says which are no others, `steps_of` gives the steps
    /// of one, `members` what a step changed.
    pub fn count<'l>(
        known: &[u32],
        is_own: impl Fn(u32) -> bool,
        steps_of: impl Fn(u32) -> &'l [u32],
        members: impl Fn(u32) -> &'l [u32],
    ) -> Tallies {
        let mut tallies = Tallies::default();
        let mut overlap: FxHashMap<u32, u32> = FxHashMap::default();
        let mut together: FxHashMap<u32, u32> = FxHashMap::default();
        for &node in known {
            let steps = steps_of(node);
            let steps = &steps[steps.len().saturating_sub(STEPS_LOOKED_AT)..];
            together.clear();
            for &step in steps {
                *overlap.entry(step).or_default() += 1;
                for &other in members(step) {
                    if !is_own(other) {
                        *together.entry(other).or_default() += 1;
                    }
                }
            }
            let mut found: Vec<(u32, u32)> = together.iter().map(|(other, count)| (*other, *count)).collect();
            found.sort_unstable();
            for (other, count) in found {
                let share = count as f32 / (steps.len() as f32 + 1.0);
                let tally = tallies.slot(other);
                tally.most_share = tally.most_share.max(share);
                tally.sum_of_shares += share;
                tally.sources += 1.0;
                tally.most_together = tally.most_together.max(count as f32);
            }
        }
        let mut steps: Vec<(u32, u32)> = overlap.into_iter().collect();
        steps.sort_unstable();
        for (step, overlap) in steps {
            let members = members(step);
            let likeness = overlap as f32 / (members.len() as f32 * known.len() as f32).sqrt();
            for &other in members.iter().filter(|other| !is_own(**other)) {
                let tally = tallies.slot(other);
                tally.likeness += likeness;
                tally.most_likeness = tally.most_likeness.max(likeness);
                tally.last_together = step + 1;
            }
        }
        tallies
    }
}

/// The nodes that might belong to a change.
pub fn candidates(ledger: &Ledger, question: &Question) -> (Tallies, Tallies) {
    let steps = |node: u32| ledger.nodes[node as usize].steps.as_slice();
    let known = question.known(ledger);
    let own: HashSet<u32> = known.iter().copied().collect();
    let members = |step: u32| ledger.steps[step as usize].nodes.as_slice();
    let mut tallies = Tallies::count(&known, |id| own.contains(&id), steps, members);
    let files = file_tallies(ledger, question);
    // The rest have no tally yet.
    let mut more: Vec<u32> = Vec::new();
    for id in question.files.iter().filter_map(|(id, _)| *id) {
        more.extend(ledger.nodes_in(id));
    }
    for seen in &question.seen {
        let namesakes = ledger.by_name.get(&names::node_stem(&seen.symbol));
        more.extend(namesakes.into_iter().flatten().rev().take(NAMESAKES));
    }
    for (_, path) in &question.files {
        let beside = ledger.by_stem.get(&names::file_stem(path));
        for file in beside.into_iter().flatten().rev().take(3) {
            more.extend(ledger.nodes_in(*file));
        }
    }
    for file in beside(&files) {
        more.extend(ledger.nodes_in(file));
    }
    let (mut own, mut any) = (AUTHORS_STEPS, ANYBODYS_STEPS);
    for step in ledger.steps.iter().rev().take(AUTHORS_REACH) {
        let is_own = step.authors.iter().any(|author| question.authors.contains(author));
        if any > 0 || is_own && own > 0 {
            more.extend(&step.nodes);
            any = any.saturating_sub(1);
            own -= usize::from(is_own && own > 0);
        }
    }
    for id in more {
        if tallies.ids.len() >= 2 * MAX_CANDIDATES {
            break;
        }
        tallies.slot(id);
    }
    let own: HashSet<u32> = question.seen.iter().filter_map(|seen| seen.id).collect();
    let counts = |id: u32| {
        let node = &ledger.nodes[id as usize];
        node.alive && super::ledger::counts(&node.kind) && !own.contains(&id) && !question.barred.contains(&id)
    };
    let parts: HashSet<u32> = enclosing(ledger, question);
    (tallies.keep(|id| counts(id) && !parts.contains(&id)), files)
}

/// What encloses or lies in what the change touches.
fn enclosing(ledger: &Ledger, question: &Question) -> HashSet<u32> {
    let mut found = HashSet::new();
    for seen in &question.seen {
        let Some(file) = ledger.file_at(&seen.path) else { continue };
        found.extend(ledger.nodes_in(file).filter(|id| encloses(&ledger.nodes[*id as usize].symbol, &seen.symbol)));
    }
    found
}

/// The same for files: what their steps say of others.
pub fn file_tallies(ledger: &Ledger, question: &Question) -> Tallies {
    let known: Vec<u32> = question.files.iter().filter_map(|(id, _)| *id).collect();
    let own: HashSet<u32> = known.iter().copied().collect();
    let steps = |file: u32| ledger.files[file as usize].steps.as_slice();
    let members = |step: u32| ledger.steps[step as usize].files.as_slice();
    Tallies::count(&known, |id| own.contains(&id), steps, members)
}

/// The files that changed most with those of the change.
fn beside(files: &Tallies) -> Vec<u32> {
    let mut order: Vec<usize> = (0..files.ids.len()).collect();
    order.sort_by(|one, two| {
        files.of[*two].likeness.total_cmp(&files.of[*one].likeness).then(files.ids[*one].cmp(&files.ids[*two]))
    });
    order.into_iter().take(FILES_BESIDE).map(|at| files.ids[at]).collect()
}

impl Tallies {
    fn keep(self, keep: impl Fn(u32) -> bool) -> Tallies {
        let mut kept = Tallies::default();
        for (id, tally) in self.ids.into_iter().zip(self.of) {
            if kept.ids.len() < MAX_CANDIDATES && keep(id) {
                *kept.slot(id) = tally;
            }
        }
        kept
    }
}
