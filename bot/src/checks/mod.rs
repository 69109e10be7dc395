//! Checks: claims about a change; one file per check, one registry.
//!
//! A claim must be right. What a check is not sure of, it does not say.

mod stale_doc;

use precedent_pipeline::history::Objects;

use crate::change::Change;
use crate::finding::Finding;
use crate::precedent::Precedents;

type Check = fn(&Change, &Precedents<'_>, &Objects) -> Vec<Finding>;

/// All checks.
const CHECKS: [Check; 1] = [stale_doc::findings];

/// Every claim, gravest first, in the order of the diff among equals.
pub fn findings(change: &Change, precedents: &Precedents<'_>, objects: &Objects) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(change, precedents, objects)).collect();
    findings.sort_by(|one, two| {
        two.severity.cmp(&one.severity).then_with(|| (&one.path, one.line).cmp(&(&two.path, two.line)))
    });
    findings
}
