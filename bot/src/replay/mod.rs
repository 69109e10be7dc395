//! Replay: past changes, asked as of then, and compared with what happened next.
//!
//! `docs/replay.md` defines every figure. Steps are taken in order; each is asked about before anything is learned from
//! it, so what is said of a step can only come from the steps before it.

mod claims;
mod copies;
mod figures;
mod outcome;
mod upkeep;

use std::collections::{BTreeMap, HashMap};

use precedent_pipeline::PipelineError;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Repository;
use precedent_pipeline::shard::ObjectId;
use serde::Serialize;

use crate::checks::tree::Library;
use crate::companions::authors::Authors;
use crate::companions::features::{FILE_COLUMNS, NODE_COLUMNS};
use crate::companions::ledger::{Ledger, Line};
use crate::companions::protocol::{Query, file_queries, node_queries, walk};
use crate::companions::ranking::{Weights, mailmap};
use crate::companions::texts::AllTexts;
use crate::outcomes::Claim;

pub use copies::{Looked, NearCopy, near_copies};
pub use figures::Figures;
pub use outcome::Outcome;
pub use precedent_pipeline::eval::Figure;
pub use upkeep::{CaughtUp, Limits, REACH, catch_up, new_steps};

use claims::claims;
use figures::Scores;
use outcome::{Alarm, Record};

/// Steps before the first one that is scored, from which the repository's own weights are learned.
const WARM_UP_STEPS: usize = 400;

/// Which steps to ask about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Last {
    /// So many of the latest.
    Steps(usize),
    /// The latest so many percent.
    Percent(f64),
}

/// How a kind of companion was found again.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// Steps that were asked about.
    pub steps: usize,
    /// Queries: members that were hidden in turn.
    pub queries: usize,
    /// Candidates of a query, in the mean.
    pub candidates: usize,
    /// Queries whose answer was not among the candidates.
    pub absent: usize,
    /// The ranking as it is.
    pub metrics: Figures,
    /// Simple rankings on the same candidates.
    pub baselines: BTreeMap<&'static str, Figures>,
}

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// First-parent steps in all.
    pub steps: usize,
    /// Steps that were replayed.
    pub replayed: usize,
    /// The latest step that was replayed.
    pub tip: String,
    /// Hidden functions.
    pub nodes: Found,
    /// Hidden files.
    pub files: Found,
    /// For each check, what happened next.
    pub outcomes: BTreeMap<&'static str, Outcome>,
    /// Every claim of a check, oldest first, for [`crate::outcomes::Outcomes::with`].
    #[serde(skip)]
    pub claims: Vec<Claim>,
}

/// Replays the latest steps up to a commit.
///
/// # Errors
/// A store that cannot be read, or a commit that is not in it.
pub fn replay(
    repository: &Repository,
    archive: &Archive,
    tip: &ObjectId,
    last: Last,
) -> Result<Option<Replay>, PipelineError> {
    let Some(number) = archive.number(tip) else { return Ok(None) };
    let objects = repository.objects();
    let line = Line::of(archive, number);
    let texts = AllTexts::read(archive.store())?;
    let steps = line.spine.len();
    let first = steps
        - match last {
            Last::Steps(count) => count.min(steps),
            Last::Percent(share) => ((steps as f64 * share / 100.0).round() as usize).min(steps),
        };
    let mut ledger = Ledger::new(Authors::new(mailmap(&objects, tip)));
    let mut weights = Weights::built_in();
    let mut tasks = [Task::new(NODE_COLUMNS.len()), Task::new(FILE_COLUMNS.len())];
    let mut record = Record::new();
    let library = Library::default();
    let mut failure = None;
    let wants = |at: usize| at + WARM_UP_STEPS >= first;
    walk(archive, &line, &mut ledger, &texts, wants, &mut |asked| {
        let is_scored = asked.at >= first;
        let (ledger, preview, question) = (asked.ledger, asked.preview, &asked.question);
        let (nodes, files) = rayon::join(
            || node_queries(ledger, preview, question, &texts),
            || file_queries(ledger, preview, question, &texts, &weights.forests[0]),
        );
        let queries = [nodes, files];
        for (task, queries) in queries.into_iter().enumerate() {
            if is_scored {
                tasks[task].score(task, &queries, &weights);
            }
            // All of a step's queries are asked before any of them is learned from.
            for query in &queries {
                if let Some(right) = query.right {
                    weights.learn(task, &query.rows, right);
                }
            }
        }
        if is_scored && failure.is_none() {
            record.settle(asked.ledger);
            record.add(Alarm::companions(asked));
            let head = archive.commit(line.spine[asked.at]);
            let Some(parent) = head.parents.first() else { return };
            match claims(repository, &objects, &library, *parent, head.id) {
                Err(error) => failure = Some(error),
                Ok(found) => {
                    let alarms = found.iter().filter_map(|claimed| Alarm::claim(asked, claimed.check, &claimed.path));
                    record.add(alarms.collect());
                }
            }
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    record.settle(&ledger);
    let [nodes, files] = tasks;
    Ok(Some(Replay {
        steps,
        replayed: steps - first,
        tip: tip.to_string(),
        nodes: nodes.found(),
        files: files.found(),
        outcomes: record.outcomes(),
        claims: record.claims(archive, &ledger),
    }))
}

/// Simple rankings: their names, and the columns that they sort by, for nodes and for files.
const BASELINES: [(&str, [&str; 2]); 3] = [
    ("share", ["most_share", "most_share"]),
    ("popular", ["steps", "steps"]),
    ("overlap", ["text_overlap", "common_path"]),
];

/// One kind of companion while it is scored.
struct Task {
    columns: usize,
    ways: HashMap<&'static str, Scores>,
    queries: usize,
    candidates: usize,
    absent: usize,
}

impl Task {
    fn new(columns: usize) -> Task {
        Task { columns, ways: HashMap::new(), queries: 0, candidates: 0, absent: 0 }
    }

    fn score(&mut self, task: usize, queries: &[Query], weights: &Weights) {
        if queries.is_empty() {
            return;
        }
        let names = if task == 0 { &NODE_COLUMNS[..] } else { &FILE_COLUMNS[..] };
        self.queries += queries.len();
        self.candidates += queries.iter().map(|query| query.ids.len()).sum::<usize>();
        self.absent += queries.iter().filter(|query| query.right.is_none()).count();
        let mut add = |way: &'static str, scores: &dyn Fn(&Query) -> Vec<f32>| {
            let ranks: Vec<f64> = queries.iter().map(|query| query.rank(&scores(query))).collect();
            self.ways.entry(way).or_default().add(&ranks);
        };
        add("ranking", &|query| weights.scores(task, &query.rows));
        for (way, columns) in BASELINES {
            let column = names.iter().position(|name| *name == columns[task]).expect("because the table names columns");
            add(way, &|query| query.scores(|row| row[column]));
        }
        debug_assert!(queries.iter().all(|query| query.columns == self.columns));
    }

    fn found(self) -> Found {
        let mut ways = self.ways;
        let metrics = ways.remove("ranking").unwrap_or_default();
        Found {
            steps: metrics.steps(),
            queries: self.queries,
            candidates: self.candidates / self.queries.max(1),
            absent: self.absent,
            metrics: metrics.figures(),
            baselines: ways.into_iter().map(|(way, scores)| (way, scores.figures())).collect(),
        }
    }
}
