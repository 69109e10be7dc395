//! Outcomes: what became of the checks' claims in one repository. Pure.
//!
//! Two kinds are kept apart. *Replayed*: claims about past changes, and whether what happened next bore them out, beside how
//! often the same happened to what no claim pointed at (`docs/replay.md`). *Heard*: what people made of comments that were
//! posted. Either may silence a check here or lower its rank; neither unlocks one.

use std::collections::BTreeMap;

use precedent_pipeline::shard::Store;
use serde::{Deserialize, Serialize};

use crate::replay::Replay;

/// The name of the blob in a store that holds them.
pub const BLOB: &str = "outcomes";

/// What is known in one repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The checks whose claims were replayed, [`crate::checks::FINGERPRINT`]; those of other checks say nothing of ours.
    #[serde(default)]
    pub made_by: String,
    /// The commit up to which changes were replayed, in hexadecimal; empty where none were.
    #[serde(default)]
    pub tip: String,
    /// Changes that were replayed.
    #[serde(default)]
    pub changes: usize,
    /// What happened next, by check.
    #[serde(default)]
    pub replayed: BTreeMap<String, Replayed>,
    /// What people made of comments, by check.
    #[serde(default)]
    pub heard: BTreeMap<String, Heard>,
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

    /// The same with what a replay found in the place of what an earlier one did.
    pub fn with(self, replay: &Replay) -> Outcomes {
        let replayed = replay.outcomes.iter().map(|(check, outcome)| {
            let (claims, borne_out) = (outcome.alarms as u32, outcome.borne_out as u32);
            ((*check).to_owned(), Replayed { claims, borne_out, base_rate: outcome.base_rate })
        });
        Outcomes {
            made_by: crate::checks::FINGERPRINT.to_owned(),
            tip: replay.tip.clone(),
            changes: replay.replayed,
            replayed: replayed.collect(),
            heard: self.heard,
        }
    }

    /// What is known of a check.
    pub fn standing(&self, check: &str) -> Standing {
        let replayed = self.replayed.get(check).filter(|_| self.made_by == crate::checks::FINGERPRINT);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_checks_were_replayed_as_says_nothing_and_what_people_said_stays() {
        let replayed = Replayed { claims: 30, borne_out: 0, base_rate: 0.1 };
        let heard = Heard { taken_up: 1, turned_down: 2, open: 3 };
        let mut outcomes = Outcomes { made_by: crate::checks::FINGERPRINT.into(), ..Outcomes::default() };
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
