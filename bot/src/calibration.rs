//! Calibration: how often a check was judged to be right, and whether it may speak. Pure.
//!
//! A check speaks when the lower bound of its labelled precision is high enough, over repositories that took no part in
//! its design. What happened later in the repository at hand may silence it there, or lower its rank; it unlocks nothing.

use serde::{Deserialize, Serialize};

use crate::finding::Confidence;
use crate::outcomes::Standing;

/// The table that is shipped: check, judged alarms, those judged right. It is made from `fixtures/labels`, and a test
/// holds them together.
const SHIPPED: &str = include_str!("calibration.tsv");

/// The lower bound from which a check may speak.
pub const SPEAKS_FROM: f64 = 0.6;
/// The normal deviate of a two-sided bound of 95 %.
const Z: f64 = 1.959_963_985;
/// Replayed claims that must be known before they count for anything.
const MIN_REPLAYED: u32 = 20;
/// Comments that people must have taken up or turned down, likewise.
const MIN_HEARD: u32 = 5;
/// A check whose comments are taken up less often than this, for sure, is silent in that repository.
const SILENCED_BELOW: f64 = 0.5;

/// A verdict on an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The words are untrue since this change.
    Right,
    /// They are not, or not because of it.
    Wrong,
    /// It cannot be said; counts as wrong.
    Doubt,
}

/// An alarm that people judged; a line of `fixtures/labels`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Label {
    /// `owner/name`.
    pub repo: String,
    /// The change.
    pub commit: String,
    /// The check.
    pub check: String,
    /// The finding's id.
    pub id: String,
    /// What was claimed.
    pub claim: String,
    /// Whether the repository was looked at while the check was designed; such labels do not count.
    pub design: bool,
    /// What each reader said, without knowing of the others.
    pub verdicts: Vec<Verdict>,
    /// Why, in a line.
    pub reason: String,
}

impl Label {
    /// Right if every reader said so.
    pub fn is_right(&self) -> bool {
        !self.verdicts.is_empty() && self.verdicts.iter().all(|verdict| *verdict == Verdict::Right)
    }
}

/// How often a check was right.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The check.
    pub check: String,
    /// Alarms that were judged.
    pub n: u32,
    /// Those judged right.
    pub right: u32,
}

impl Score {
    /// The share that was right; 0 of nothing.
    pub fn precision(&self) -> f64 {
        if self.n == 0 { 0.0 } else { f64::from(self.right) / f64::from(self.n) }
    }

    /// Wilson's interval of 95 % around it.
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.right, self.n)
    }

    /// Whether the check may speak.
    pub fn speaks(&self) -> bool {
        self.interval().0 >= SPEAKS_FROM
    }

    /// What is stated of a finding: the share with one right and one wrong added (Laplace), so that few cases never give
    /// certainty.
    pub fn stated(&self) -> f64 {
        f64::from(self.right + 1) / f64::from(self.n + 2)
    }
}

/// Wilson's score interval of 95 % for `right` of `n` (E. B. Wilson, 1927); everything when `n` is 0.
pub fn wilson(right: u32, n: u32) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (share, n) = (f64::from(right) / f64::from(n), f64::from(n));
    let centre = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// The scores of the checks that labels speak of, by name; labels of repositories that took part in the design do not
/// count.
pub fn scores<'l>(labels: impl IntoIterator<Item = &'l Label>) -> Vec<Score> {
    let mut found: std::collections::BTreeMap<&str, (u32, u32)> = std::collections::BTreeMap::new();
    for label in labels.into_iter().filter(|label| !label.design) {
        let (right, n) = found.entry(&label.check).or_default();
        *n += 1;
        *right += u32::from(label.is_right());
    }
    found.into_iter().map(|(check, (right, n))| Score { check: check.to_owned(), n, right }).collect()
}

/// The table as it is shipped.
pub fn table(scores: &[Score]) -> String {
    let mut out = "check\tjudged\tright\n".to_owned();
    for score in scores {
        out.push_str(&format!("{}\t{}\t{}\n", score.check, score.n, score.right));
    }
    out
}

/// The scores that this program was built with, for every check of `checks`, in their order.
pub fn shipped(checks: &[&str]) -> Vec<Score> {
    let of = |check: &str| {
        let mut row = SHIPPED.lines().find(|line| line.split('\t').next() == Some(check))?.split('\t').skip(1);
        Some((row.next()?.parse().ok()?, row.next()?.parse().ok()?))
    };
    checks
        .iter()
        .map(|check| {
            let (n, right) = of(check).unwrap_or((0, 0));
            Score { check: (*check).to_owned(), n, right }
        })
        .collect()
}

/// The confidence with which a check may speak in a repository, or `None` if it must be silent there.
///
/// A check is silent where people turned down most of what it said, and where what its claims pointed at was, for sure,
/// touched less often than anything else. Where people's share is below the labels' for sure, that is what is stated.
/// Nothing that is known of a repository gives a check a voice.
pub fn voice(score: &Score, standing: &Standing) -> Option<Confidence> {
    if !score.speaks() {
        return None;
    }
    let Standing { replayed, heard } = standing;
    if replayed.claims >= MIN_REPLAYED && wilson(replayed.borne_out, replayed.claims).1 < replayed.base_rate {
        return None;
    }
    let labelled = Confidence { value: score.stated(), basis: "labels", n: score.n };
    let n = heard.taken_up + heard.turned_down;
    if n < MIN_HEARD {
        return Some(labelled);
    }
    let (_, high) = wilson(heard.taken_up, n);
    if high < SILENCED_BELOW {
        return None;
    }
    Some(if high < labelled.value { Confidence { value: high, basis: "repository", n } } else { labelled })
}

/// How good the stated confidence is, each label judged by what the labels of the other repositories say of its check.
#[derive(Debug, Clone, Serialize)]
pub struct Reliability {
    /// Labels that could be judged so.
    pub n: u32,
    /// The mean squared difference of what was stated and what was so (G. W. Brier, 1950); 0 is best.
    pub brier: f64,
    /// By tenths of the stated confidence.
    pub bins: Vec<Bin>,
}

/// The labels whose stated confidence lies in one tenth.
#[derive(Debug, Clone, Serialize)]
pub struct Bin {
    /// From here.
    pub from: f64,
    /// The mean of what was stated.
    pub stated: f64,
    /// The share that was right.
    pub right: f64,
    /// Wilson's interval around that share.
    pub interval: (f64, f64),
    /// How many.
    pub n: u32,
}

/// States each label's confidence without its repository, and compares.
pub fn reliability(labels: &[Label]) -> Reliability {
    let judged: Vec<&Label> = labels.iter().filter(|label| !label.design).collect();
    let stated = |label: &Label| {
        let others = judged.iter().filter(|other| other.repo != label.repo).copied();
        scores(others).iter().find(|score| score.check == label.check).map(Score::stated)
    };
    let pairs: Vec<(f64, bool)> = judged.iter().filter_map(|label| Some((stated(label)?, label.is_right()))).collect();
    let n = pairs.len() as u32;
    let square = |(stated, right): &(f64, bool)| (stated - f64::from(u8::from(*right))).powi(2);
    let brier = pairs.iter().map(square).sum::<f64>() / f64::from(n.max(1));
    let bins = (0..10u32).filter_map(|tenth| {
        let inside: Vec<_> = pairs.iter().filter(|(stated, _)| ((stated * 10.0) as u32).min(9) == tenth).collect();
        let count = inside.len() as u32;
        let right = inside.iter().filter(|(_, right)| *right).count() as u32;
        (count > 0).then(|| Bin {
            from: f64::from(tenth) / 10.0,
            stated: inside.iter().map(|(stated, _)| stated).sum::<f64>() / f64::from(count),
            right: f64::from(right) / f64::from(count),
            interval: wilson(right, count),
            n: count,
        })
    });
    Reliability { n, brier, bins: bins.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcomes::{Heard, Replayed};

    fn labels() -> Vec<Label> {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/labels");
        let mut files: Vec<_> =
            std::fs::read_dir(directory).expect("labels").map(|entry| entry.expect("a file").path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        let text: String = files.iter().map(|path| std::fs::read_to_string(path).expect("a text")).collect();
        text.lines().map(|line| serde_json::from_str(line).expect("a label")).collect()
    }

    #[test]
    fn the_shipped_table_is_that_of_the_labels() {
        assert_eq!(
            SHIPPED,
            table(&scores(&labels())),
            "write it with: precedent eval checks --labels fixtures/labels --table"
        );
    }

    #[test]
    fn no_alarm_is_judged_twice() {
        let mut seen = std::collections::HashSet::new();
        for label in labels() {
            assert!(seen.insert((label.repo.clone(), label.commit.clone(), label.id.clone())), "{}", label.claim);
            assert!(!label.verdicts.is_empty() && !label.reason.is_empty(), "{}", label.claim);
        }
    }

    #[test]
    fn bounds_are_those_of_the_literature() {
        let (low, high) = wilson(9, 10);
        assert!((low - 0.596).abs() < 0.001 && (high - 0.982).abs() < 0.001, "{low} {high}");
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn outcomes_silence_and_lower_but_never_unlock() {
        let score = |right, n| Score { check: "x".into(), n, right };
        let good = score(90, 100);
        let heard =
            |taken_up, turned_down| Standing { heard: Heard { taken_up, turned_down, open: 9 }, ..Standing::default() };
        let replayed = |claims, borne_out, base_rate| Standing {
            replayed: Replayed { claims, borne_out, base_rate },
            ..Standing::default()
        };
        let unknown = voice(&good, &Standing::default());
        assert_eq!(unknown.map(|confidence| confidence.basis), Some("labels"));
        for little in [heard(0, 4), heard(5, 2), replayed(5, 0, 0.5), replayed(100, 2, 0.01)] {
            assert_eq!(voice(&good, &little), unknown, "{little:?}");
        }
        for against in [heard(0, 5), heard(10, 40), replayed(100, 2, 0.2)] {
            assert_eq!(voice(&good, &against), None, "{against:?}");
        }
        let lowered = voice(&good, &heard(50, 50)).expect("it speaks");
        assert_eq!((lowered.basis, lowered.n), ("repository", 100));
        assert!(lowered.value < good.stated());
        for poor in [score(0, 0), score(9, 10), score(50, 100)] {
            assert_eq!(voice(&poor, &heard(100, 0)), None);
            assert_eq!(voice(&poor, &replayed(100, 100, 0.0)), None);
        }
    }
}
