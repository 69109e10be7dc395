//! Plan: which findings of a report are told, and where. Pure.

use std::collections::{HashMap, HashSet};

use super::report::{Finding, Report};
use crate::diff::FileDiff;

/// What was told before.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Findings that were told on this pull request, whatever became of them.
    pub ids: HashSet<String>,
    /// How many of them the review of this head told.
    pub of_head: usize,
}

/// Findings that are to be told, and how.
#[derive(Debug, Clone, Default)]
pub struct Plan<'a> {
    /// On their lines, best first.
    pub commented: Vec<&'a Finding>,
    /// New, but not on a line that may carry a comment.
    pub elsewhere: Vec<&'a Finding>,
    /// New, beyond the cap.
    pub beyond: usize,
    /// Told before, and not told again.
    pub known: usize,
}

impl<'a> Plan<'a> {
    /// At most `most` findings, best first, each once. What was told before is not told again, wherever its line is now; what the
    /// review of this head told takes its room, so that a second run on a head shows what the first one showed.
    pub fn of(report: &'a Report, known: &Known, anchors: &HashMap<String, FileDiff>, most: usize) -> Plan<'a> {
        let mut plan = Plan::default();
        let mut seen: HashSet<&str> = HashSet::new();
        for finding in report.findings.iter().filter(|finding| seen.insert(&finding.id)) {
            if known.ids.contains(&finding.id) {
                plan.known += 1;
            } else if !is_anchored(finding, anchors) {
                plan.elsewhere.push(finding);
            } else if plan.commented.len() < most {
                plan.commented.push(finding);
            } else {
                plan.beyond += 1;
            }
        }
        let room = most.saturating_sub(plan.commented.len() + known.of_head);
        plan.beyond += plan.elsewhere.len().saturating_sub(room);
        plan.elsewhere.truncate(room);
        plan
    }
}

/// Whether both ends of a finding stand in one hunk.
fn is_anchored(finding: &Finding, anchors: &HashMap<String, FileDiff>) -> bool {
    let Some(diff) = anchors.get(&finding.path) else { return false };
    let hunk = diff.hunk_of(finding.side, finding.line);
    match finding.start_line {
        None => hunk.is_some(),
        Some(start) => start <= finding.line && hunk.is_some() && diff.hunk_of(finding.side, start) == hunk,
    }
}
