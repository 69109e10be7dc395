//! Outcomes: what became of the checks' claims in one repository. Pure.
//!
//! Two kinds are kept apart. *Replayed*: claims about past changes, and whether what happened next bore them out, beside how
//! often the same happened to what no claim pointed at (`docs/replay.md`). *Heard*: what people made of comments that were
//! posted. Either may silence a check here or lower its rank; neither unlocks one.

use std::collections::BTreeMap;

use precedent_pipeline::archive::{Archive, Known};
use precedent_pipeline::shard::{ObjectId, Store};
use serde::{Deserialize, Serialize};

/// The name of the blob in a store that holds them.
pub const BLOB: &str = "outcomes";

/// How alarms are settled and matched; changes whenever `docs/replay.md` defines it otherwise.
const PROTOCOL: &str = "replay-2";

/// What is known in one repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// What made and judged the claims, as `fingerprint` has it; what others made says nothing of ours.
    #[serde(default)]
    pub made_by: String,
    /// The commit up to which changes were replayed, in hexadecimal; empty where none were.
    #[serde(default)]
    pub tip: String,
    /// Changes that were replayed: the first-parent steps up to `tip`.
    #[serde(default)]
    pub changes: usize,
    /// Changes further back that are still to be replayed.
    #[serde(default)]
    pub behind: usize,
    /// Each claim about them, oldest first.
    #[serde(default)]
    pub claims: Vec<Claim>,
    /// What happened next, by check: the sums of `claims`.
    #[serde(default)]
    pub replayed: BTreeMap<String, Replayed>,
    /// What people made of comments, by check.
    #[serde(default)]
    pub heard: BTreeMap<String, Heard>,
}

/// A claim about a past change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The check.
    pub check: String,
    /// The step.
    pub commit: ObjectId,
    /// The file whose words it calls untrue, as of the step.
    pub path: String,
    /// What became of it; `None` while its 14 days are not over.
    pub ended: Option<Ended>,
}

/// What became of a claim, and when that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The first step after its 14 days: whoever knows it may know the rest.
    pub by: ObjectId,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// Whether it was borne out.
    pub borne_out: bool,
    /// Files that no claim pointed at and that are like the one it did.
    pub matched: u32,
    /// Those to which the same happened.
    pub matched_borne_out: u32,
}

/// What happened after claims about past changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// Claims whose time is over.
    pub claims: u32,
    /// Those that were borne out.
    pub borne_out: u32,
    /// How often the same happened to what no claim pointed at, 0 to 1.
    pub base_rate: f64,
}

impl Replayed {
    /// The sums of some claims. The base rate is the mean over those that have anything to be compared with.
    pub fn of(fates: impl Iterator<Item = Fate>) -> Replayed {
        let (mut sums, mut shares, mut with_matched) = (Replayed::default(), 0.0, 0u32);
        for fate in fates {
            sums.claims += 1;
            sums.borne_out += u32::from(fate.borne_out);
            if fate.matched > 0 {
                shares += f64::from(fate.matched_borne_out) / f64::from(fate.matched);
                with_matched += 1;
            }
        }
        Replayed { base_rate: shares / f64::from(with_matched.max(1)), ..sums }
    }
}

/// What people made of comments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Comments that were taken up: thanked for, or followed by a change of the lines. [`crate::github::heard`] has the
    /// rules.
    pub taken_up: u32,
    /// Comments that were turned down: by a reaction, by a member's words, or resolved without a change.
    pub turned_down: u32,
    /// Comments of which nothing is known.
    pub open: u32,
}

/// What is known of one check.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// What happened next.
    pub replayed: Replayed,
    /// What people made of it.
    pub heard: Heard,
}

impl Outcomes {
    /// What a store keeps. A blob that cannot be read is as none: it is made again.
    pub fn of(store: &Store) -> Outcomes {
        store.blob(BLOB).and_then(|value| Outcomes::deserialize(value).ok()).unwrap_or_default()
    }

    /// Whether what was replayed is of the rules that there are now.
    pub fn is_current(&self) -> bool {
        self.made_by == fingerprint()
    }

    /// The latest commit of what was replayed by the rules that there are now.
    pub fn last(&self) -> Option<ObjectId> {
        ObjectId::from_hex(&self.tip).ok().filter(|_| self.is_current())
    }

    /// The same with these claims about so many changes in the place of what was replayed before.
    pub fn with(self, tip: &ObjectId, changes: usize, behind: usize, claims: Vec<Claim>) -> Outcomes {
        let replayed = sums(&claims, |_| true);
        Outcomes { made_by: fingerprint(), tip: tip.to_string(), changes, behind, claims, replayed, heard: self.heard }
    }

    /// The same without what became known later than what a review knows: a claim counts if the step that ended its 14 days
    /// is known. When people said what they did is not kept, so that stays.
    pub fn as_of(self, archive: &Archive, known: &Known) -> Outcomes {
        let is_known = |ended: &Ended| archive.number(&ended.by).is_some_and(|number| known.has(number));
        let replayed = if self.is_current() { sums(&self.claims, is_known) } else { BTreeMap::new() };
        Outcomes { replayed, ..self }
    }

    /// What is known of a check.
    pub fn standing(&self, check: &str) -> Standing {
        let replayed = self.replayed.get(check).filter(|_| self.is_current());
        Standing {
            replayed: replayed.copied().unwrap_or_default(),
            heard: self.heard.get(check).copied().unwrap_or_default(),
        }
    }

    /// As it is kept.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("because every key is a string and every value plain")
    }
}

/// What makes claims, and what judges them.
fn fingerprint() -> String {
    format!("{} {PROTOCOL}", crate::checks::FINGERPRINT)
}

/// What became of claims, by check.
fn sums(claims: &[Claim], counts: impl Fn(&Ended) -> bool) -> BTreeMap<String, Replayed> {
    let mut fates: BTreeMap<String, Vec<Fate>> = BTreeMap::new();
    for claim in claims {
        if let Some(ended) = claim.ended.filter(&counts) {
            fates.entry(claim.check.clone()).or_default().push(ended.fate);
        }
    }
    fates.into_iter().map(|(check, fates)| (check, Replayed::of(fates.into_iter()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_checks_were_replayed_as_says_nothing_and_what_people_said_stays() {
        let replayed = Replayed { claims: 30, borne_out: 0, base_rate: 0.1 };
        let heard = Heard { taken_up: 1, turned_down: 2, open: 3 };
        let mut outcomes = Outcomes { made_by: fingerprint(), ..Outcomes::default() };
        outcomes.replayed.insert("stale-doc".into(), replayed);
        outcomes.heard.insert("stale-doc".into(), heard);
        let read = Outcomes::deserialize(&outcomes.to_value()).expect("it is as it was written");
        assert_eq!(read, outcomes);
        assert_eq!(read.standing("stale-doc"), Standing { replayed, heard });
        assert_eq!(read.standing("dead-name"), Standing::default());
        let other = Outcomes { made_by: "checks-0".into(), ..read };
        assert_eq!(other.standing("stale-doc"), Standing { replayed: Replayed::default(), heard });
    }
}
