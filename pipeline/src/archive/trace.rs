//! Trace: the life of one node, followed through the edits that a commit knows.
//!
//! An edit says what one commit did. That a text came back, or that an edit undid others, is seen only from all of
//! them, and depends on the commit from which one looks. So it is told here, when asked, and is not stored.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{Archive, Known};
use crate::shard::{Change, CommitRow, EditRow, ObjectId, StoreError};
use crate::syntax::{Bag, similarity};

/// A text that came back elsewhere than it was removed has at least this many lines: shorter ones are written anew.
const MIN_RETURNED_LINES: u32 = 5;
/// What came back in its old place is the same node from this similarity on.
const RETURNED_SIMILARITY: f32 = 0.5;
/// Abbreviated commit ids in messages have at least as many digits as Git's own.
const MIN_ID_DIGITS: usize = 7;

/// How an edit of another node belongs to a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The node was split off that one.
    Split,
    /// That one was joined to the node.
    Joined,
    /// That one was removed, and its text came back as the node.
    Returned,
}

impl Via {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Split => "split",
            Via::Joined => "joined",
            Via::Returned => "returned",
        }
    }
}

/// A text that was removed and is there again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Return {
    /// The number of the commit that had removed it.
    pub commit: u32,
    /// The number of the text that it removed; `None` for files.
    pub text: Option<u32>,
    /// How alike the two are. `None` where they differ and have not been compared, see [`Archive::compare_returns`].
    pub similarity: Option<f32>,
}

/// One edit in a lineage, with what the edits before it make of it.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// The edit.
    pub edit: &'a EditRow,
    /// How it belongs here; `None` for an edit of the node itself.
    pub via: Option<Via>,
    /// For what is there anew: where it was removed before.
    pub returns: Option<Return>,
    /// Numbers of the commits whose edits of this lineage it undid, newest first.
    pub reverts: Vec<u32>,
    /// Numbers of the commits whose edits it brought back by undoing their revert, newest first.
    pub reapplies: Vec<u32>,
}

/// A name to follow, back from a commit.
struct Leg {
    path: Arc<str>,
    symbol: Arc<str>,
    kind: Arc<str>,
    /// The text at its end, to tell namesakes apart.
    text: Option<u32>,
    /// The commit at which the node left this name: it and its descendants are about another one.
    until: Option<u32>,
    via: Option<Via>,
}

impl Archive {
    /// The edits of a file as known, newest first, followed where it was renamed.
    pub fn trace_file(&self, known: &Known, path: &str) -> Vec<&EditRow> {
        let mut found: FxHashSet<u32> = FxHashSet::default();
        let mut path: Arc<str> = path.into();
        // The commit at which the file left this path: it and its descendants are about another file.
        let mut left: Option<(u32, Vec<bool>)> = None;
        loop {
            let mut came_from = None;
            let is_own = |edit: &EditRow| {
                let is_later = |(commit, later): &(u32, Vec<bool>)| {
                    edit.commit >= *commit && later[(edit.commit - commit) as usize]
                };
                known.has(edit.commit) && edit.symbol.is_none() && !left.as_ref().is_some_and(is_later)
            };
            for at in self.newest_first(&path, &is_own) {
                // Two branches may have moved two files to where the other one was; neither is followed twice.
                if !found.insert(at) {
                    continue;
                }
                let edit = &self.edits[at as usize];
                if let (Change::Moved, Some(source)) = (edit.change, &edit.before_path) {
                    came_from = Some((source.clone(), edit.commit));
                    break;
                }
            }
            match came_from {
                Some((source, commit)) => {
                    path = source;
                    left = Some((commit, self.descendants(commit)));
                }
                None => break,
            }
        }
        // Branches that ran side by side are told by date, whatever the path was called there.
        let mut found: Vec<u32> = found.into_iter().collect();
        found.sort_by_key(|at| std::cmp::Reverse(self.edit_order(*at)));
        found.into_iter().map(|at| &self.edits[at as usize]).collect()
    }

    /// The edits of one node as known, newest first, followed across renames and moves.
    ///
    /// `text` is the number of its present text. It decides where a file holds several nodes of one name and kind, as
    /// under `cfg`: then only edits that lead to that text are its own.
    pub fn trace(&self, known: &Known, path: &str, symbol: &str, kind: &str, text: Option<u32>) -> Vec<&EditRow> {
        self.walk(known, path, symbol, kind, text, false).into_iter().map(|(edit, _)| edit).collect()
    }

    /// The same with the edits of the nodes that it was split off, that were joined to it and that it came back from,
    /// each as it stood until then.
    pub fn lineage(&self, known: &Known, path: &str, symbol: &str, kind: &str, text: Option<u32>) -> Vec<Step<'_>> {
        self.steps(self.walk(known, path, symbol, kind, text, true))
    }

    fn walk(
        &self,
        known: &Known,
        path: &str,
        symbol: &str,
        kind: &str,
        text: Option<u32>,
        follow: bool,
    ) -> Vec<(&EditRow, Option<Via>)> {
        let first = Leg { path: path.into(), symbol: symbol.into(), kind: kind.into(), text, until: None, via: None };
        let mut legs = vec![first];
        // By place in the table. The node's own come first, and so keep what they are.
        let mut found: HashMap<u32, Option<Via>> = HashMap::new();
        while let Some(leg) = legs.pop() {
            let branches = self.walk_leg(known, leg, follow, &mut found);
            // What is followed last is popped first: the node's own line before its tributaries.
            legs.extend(branches);
            legs.sort_by_key(|leg| leg.via.is_none());
        }
        let mut found: Vec<(u32, Option<Via>)> = found.into_iter().collect();
        found.sort_by_key(|(at, _)| std::cmp::Reverse(self.edit_order(*at)));
        found.into_iter().map(|(at, via)| (&self.edits[at as usize], via)).collect()
    }

    /// Follows one name to the edit that brought the node there; returns what to follow from there.
    fn walk_leg(&self, known: &Known, leg: Leg, follow: bool, found: &mut HashMap<u32, Option<Via>>) -> Vec<Leg> {
        let later: OnceCell<Vec<bool>> = OnceCell::new();
        let is_own = |edit: &EditRow| {
            known.has(edit.commit)
                && edit.symbol.as_ref() == Some(&leg.symbol)
                && edit.kind.as_ref() == Some(&leg.kind)
                && leg.until.is_none_or(|until| {
                    edit.commit < until
                        || edit.commit > until
                            && !later.get_or_init(|| self.descendants(until))[(edit.commit - until) as usize]
                })
        };
        let own = self.newest_first(&leg.path, &is_own);
        let shares_its_name = self.shares_its_name(&own);
        let mut text = leg.text.filter(|_| shares_its_name);
        let mut born: Option<Vec<bool>> = None;
        let mut branches = Vec::new();
        for at in own {
            let edit = &self.edits[at as usize];
            if text.is_some() && edit.after != text {
                continue;
            }
            // Before a node was new, its name may have been another's, who left with it.
            if let Some(ancestors) = &born
                && ancestors[edit.commit as usize]
            {
                if edit.change != Change::Removed {
                    continue;
                }
                born = None;
            }
            if found.contains_key(&at) {
                break;
            }
            found.insert(at, leg.via);
            let source = |via: Option<Via>| Leg {
                path: edit.before_path.clone().unwrap_or_else(|| leg.path.clone()),
                symbol: edit.before_symbol.clone().unwrap_or_else(|| leg.symbol.clone()),
                // A split or a joined part may have been of another kind, as a test is.
                kind: edit.before.map_or_else(|| leg.kind.clone(), |text| self.head(text).kind.clone()),
                text: edit.before,
                until: Some(edit.commit),
                via,
            };
            match edit.change {
                Change::Moved | Change::Renamed => {
                    branches.push(source(leg.via));
                    return branches;
                }
                Change::Joined => {
                    if follow {
                        branches.push(source(leg.via.or(Some(Via::Joined))));
                    }
                    continue;
                }
                Change::Split if follow => branches.push(source(leg.via.or(Some(Via::Split)))),
                _ => {}
            }
            let is_new = matches!(edit.change, Change::Added | Change::Split | Change::Copied);
            if is_new && follow {
                let elsewhere = self.removed_elsewhere(edit, &|| self.ancestors(edit.commit));
                branches.extend(elsewhere.map(|gone| Leg {
                    path: gone.path.clone(),
                    symbol: gone.symbol.clone().unwrap_or_else(|| leg.symbol.clone()),
                    kind: leg.kind.clone(),
                    text: None,
                    until: Some(edit.commit),
                    via: leg.via.or(Some(Via::Returned)),
                }));
            }
            if text.is_some() {
                text = edit.before.filter(|_| !is_new);
                if text.is_none() {
                    break;
                }
            } else if is_new {
                born = Some(self.ancestors(edit.commit));
            }
        }
        branches
    }

    /// Where commits stand in time, the same in whatever order they were indexed; after all ancestors.
    fn order(&self, commit: u32) -> (i64, ObjectId) {
        (self.dates[commit as usize], self.commits[commit as usize].id)
    }

    /// The same for edits, by their places in the table.
    fn edit_order(&self, at: u32) -> (i64, ObjectId, u32) {
        let (date, id) = self.order(self.edits[at as usize].commit);
        (date, id, at)
    }

    /// Some of the edits at a path, newest first, by their places in the table.
    fn newest_first(&self, path: &str, is_wanted: &dyn Fn(&EditRow) -> bool) -> Vec<u32> {
        let at_path = self.by_path.get(path).map_or(&[][..], Vec::as_slice);
        let mut edits: Vec<u32> = at_path.iter().copied().filter(|at| is_wanted(&self.edits[*at as usize])).collect();
        edits.sort_by_key(|at| std::cmp::Reverse(self.edit_order(*at)));
        edits
    }

    /// Whether several nodes of one name and kind ever stood side by side in a file, by its edits of that name.
    fn shares_its_name(&self, newest_first: &[u32]) -> bool {
        let (mut standing, mut last) = (0i64, None);
        let oldest_first = newest_first.iter().rev().map(|at| &self.edits[*at as usize]);
        for edit in oldest_first.filter(|edit| edit.change != Change::Joined) {
            if last.replace(edit.commit) == Some(edit.commit) {
                return true;
            }
            match edit.change {
                Change::Removed => standing -= 1,
                Change::Modified => {}
                // It may have been there before, and out of sight for a while.
                Change::Present => standing = standing.max(1),
                _ => standing += 1,
            }
            if standing > 1 {
                return true;
            }
        }
        false
    }

    /// Edits, newest first, as steps: what of them came back, and what undid what.
    pub fn steps<'a>(&'a self, edits: impl IntoIterator<Item = (&'a EditRow, Option<Via>)>) -> Vec<Step<'a>> {
        let mut steps: Vec<Step<'a>> = edits
            .into_iter()
            .map(|(edit, via)| Step { edit, via, returns: None, reverts: Vec::new(), reapplies: Vec::new() })
            .collect();
        for at in (0..steps.len()).rev() {
            let edit = steps[at].edit;
            let ancestors: OnceCell<Vec<bool>> = OnceCell::new();
            let is_before = |commit: u32| {
                let ancestors = ancestors.get_or_init(|| self.ancestors(edit.commit));
                commit < edit.commit && ancestors[commit as usize]
            };
            let returns = self.returned(edit, &is_before, &|| self.ancestors(edit.commit));
            let older = &steps[at + 1..];
            let mut reverts = undone(edit, older, &is_before);
            for commit in self.named_in(self.commit(edit.commit), &is_before) {
                if older.iter().any(|step| step.edit.commit == commit) {
                    reverts.push(commit);
                }
            }
            let mut reapplies = Vec::new();
            for step in older.iter().filter(|step| reverts.contains(&step.edit.commit)).collect::<Vec<_>>() {
                if step.reapplies.is_empty() {
                    reapplies.extend(&step.reverts);
                } else {
                    reverts.extend(&step.reapplies);
                }
            }
            for commits in [&mut reverts, &mut reapplies] {
                commits.sort_unstable_by(|one, two| two.cmp(one));
                commits.dedup();
            }
            // What was undone on the way and is undone again was not brought back.
            reapplies.retain(|commit| !reverts.contains(commit));
            let step = &mut steps[at];
            (step.returns, step.reverts, step.reapplies) = (returns, reverts, reapplies);
        }
        steps
    }

    /// Compares what came back changed with what was removed, and forgets the returns of what is another node.
    ///
    /// # Errors
    /// A shard of texts that cannot be read.
    pub fn compare_returns(&self, steps: &mut [Step<'_>]) -> Result<(), StoreError> {
        let open = |step: &Step<'_>| match step.returns {
            Some(Return { text: Some(text), similarity: None, .. }) => Some((text, step.edit.after?)),
            _ => None,
        };
        let pairs: Vec<(u32, u32)> = steps.iter().filter_map(open).collect();
        let steps = steps.iter_mut().filter(|step| open(step).is_some());
        for (step, alike) in steps.zip(self.alike(&pairs)?) {
            step.returns = step
                .returns
                .map(|found| Return { similarity: Some(alike), ..found })
                .filter(|_| alike >= RETURNED_SIMILARITY);
        }
        Ok(())
    }

    /// Whether each text, which came to a place where the one before it in the pair had been removed, is the same node.
    ///
    /// # Errors
    /// A shard of texts that cannot be read.
    pub(crate) fn came_back(&self, pairs: &[(u32, u32)]) -> Result<Vec<bool>, StoreError> {
        Ok(self.alike(pairs)?.into_iter().map(|alike| alike >= RETURNED_SIMILARITY).collect())
    }

    /// How alike the texts of each pair are.
    fn alike(&self, pairs: &[(u32, u32)]) -> Result<Vec<f32>, StoreError> {
        let mut numbers: Vec<u32> = pairs.iter().flat_map(|(old, new)| [*old, *new]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let texts = self.store().chunks_by_number(&numbers)?;
        let bags: HashMap<u32, Bag> = texts.into_iter().map(|chunk| (chunk.number, Bag::of(&chunk.text))).collect();
        let alike =
            |(old, new): &(u32, u32)| bags.get(old).zip(bags.get(new)).map_or(0.0, |(old, new)| similarity(old, new));
        Ok(pairs.iter().map(alike).collect())
    }

    /// Where what an edit brings was removed before.
    fn returned(
        &self,
        edit: &EditRow,
        is_before: &dyn Fn(u32) -> bool,
        ancestors: &dyn Fn() -> Vec<bool>,
    ) -> Option<Return> {
        if !matches!(edit.change, Change::Added | Change::Split | Change::Copied) {
            return None;
        }
        let here = |other: &EditRow| {
            other.change == Change::Removed
                && other.symbol == edit.symbol
                && other.kind == edit.kind
                && is_before(other.commit)
        };
        let is_same = |other: &&EditRow| after(edit).is_some() && before(other) == after(edit);
        let removals = self.newest_first(&edit.path, &here);
        let mut removals = removals.iter().map(|at| &self.edits[*at as usize]);
        let of = |gone: &EditRow, similarity| Return { commit: gone.commit, text: gone.before, similarity };
        removals
            .clone()
            .find(is_same)
            .or_else(|| self.removed_elsewhere(edit, ancestors))
            .map(|gone| of(gone, Some(1.0)))
            .or_else(|| removals.next().map(|gone| of(gone, None)))
    }

    /// The newest removal of the very text that an edit brings, in another place, where it has not been since.
    fn removed_elsewhere(&self, edit: &EditRow, ancestors: &dyn Fn() -> Vec<bool>) -> Option<&EditRow> {
        let text = edit.after?;
        if edit.end_line + 1 < edit.start_line + MIN_RETURNED_LINES {
            return None;
        }
        let removals = self.removals().get(&text)?;
        let known = ancestors();
        let is_known = |commit: u32| commit < edit.commit && known[commit as usize];
        let is_back = |gone: &EditRow| {
            self.edits_at(&gone.path).any(|other| {
                other.after.is_some()
                    && other.commit > gone.commit
                    && other.symbol == gone.symbol
                    && other.kind == gone.kind
                    && is_known(other.commit)
                    && self.is_ancestor(gone.commit, other.commit)
            })
        };
        let is_elsewhere = |gone: &EditRow| (&gone.path, &gone.symbol) != (&edit.path, &edit.symbol);
        removals
            .iter()
            .map(|at| (self.edit_order(*at), &self.edits[*at as usize]))
            .filter(|(_, gone)| is_elsewhere(gone) && is_known(gone.commit) && !is_back(gone))
            .max_by_key(|(order, _)| *order)
            .map(|(_, gone)| gone)
    }

    /// Removals of code, by the text that was removed.
    fn removals(&self) -> &HashMap<u32, Vec<u32>> {
        self.removals.get_or_init(|| {
            let mut removals: HashMap<u32, Vec<u32>> = HashMap::new();
            for (at, edit) in self.edits.iter().enumerate() {
                let is_code = !matches!(edit.kind.as_deref(), None | Some("run" | "section" | "impl"));
                if let (Change::Removed, Some(text), true) = (edit.change, edit.before, is_code) {
                    removals.entry(text).or_default().push(at as u32);
                }
            }
            removals
        })
    }

    /// The commits that a message says it reverts, of those before it. An abbreviation counts if it is unique there.
    fn named_in(&self, commit: &CommitRow, is_before: &dyn Fn(u32) -> bool) -> Vec<u32> {
        let mut named = Vec::new();
        for digits in reverted_ids(&commit.message) {
            let mut found = self.commits[..commit.number as usize]
                .iter()
                .filter(|other| begins_with(&other.id, &digits) && is_before(other.number));
            if let (Some(one), None) = (found.next(), found.next()) {
                named.push(one.number);
            }
        }
        named
    }

    /// For each commit up to this one, whether it is this one or an ancestor.
    fn ancestors(&self, commit: u32) -> Vec<bool> {
        let mut member = vec![false; commit as usize + 1];
        self.mark_ancestors(commit, &mut |at| !std::mem::replace(&mut member[at as usize], true));
        member
    }

    /// Whether a commit is another one or its ancestor. Ancestors have smaller numbers, so nothing older is looked at.
    pub(crate) fn is_ancestor(&self, commit: u32, of: u32) -> bool {
        let mut member = vec![false; (of + 1).saturating_sub(commit) as usize];
        self.mark_ancestors(of, &mut |at| {
            at >= commit && !std::mem::replace(&mut member[(at - commit) as usize], true)
        });
        member.first().copied().unwrap_or(false)
    }

    /// For each commit from this one on, whether it is this one or a descendant.
    fn descendants(&self, commit: u32) -> Vec<bool> {
        let mut member = vec![false; self.commits.len() - commit as usize];
        member[0] = true;
        for at in commit + 1..self.commits.len() as u32 {
            member[(at - commit) as usize] =
                self.parents(at).any(|parent| parent >= commit && member[(parent - commit) as usize]);
        }
        member
    }
}

/// A text on one side of an edit.
#[derive(PartialEq, Clone, Copy)]
enum Text<'a> {
    Node(u32),
    File(&'a ObjectId),
}

fn before(edit: &EditRow) -> Option<Text<'_>> {
    edit.before.map(Text::Node).or(edit.before_blob.as_ref().map(Text::File))
}

fn after(edit: &EditRow) -> Option<Text<'_>> {
    edit.after.map(Text::Node).or(edit.after_blob.as_ref().map(Text::File))
}

/// Whether an edit leads from one text of the node to another one.
fn is_rewrite(edit: &EditRow) -> bool {
    matches!(edit.change, Change::Modified | Change::Renamed | Change::Moved)
        && before(edit).is_some()
        && before(edit) != after(edit)
}

/// The commits whose edits lie between an edit's text and the same text earlier in its life, newest first; none where
/// that text was never there before.
fn undone(edit: &EditRow, older: &[Step<'_>], is_before: &dyn Fn(u32) -> bool) -> Vec<u32> {
    let target = after(edit);
    if !is_rewrite(edit) || !older.iter().any(|step| is_rewrite(step.edit) && before(step.edit) == target) {
        return Vec::new();
    }
    let mut text = before(edit);
    let mut commits = Vec::new();
    for step in older {
        if is_rewrite(step.edit) && after(step.edit) == text && is_before(step.edit.commit) {
            commits.push(step.edit.commit);
            text = before(step.edit);
            if text == target {
                return commits;
            }
        }
    }
    Vec::new()
}

/// The commit ids after Git's own words for a revert, as they are written.
fn reverted_ids(message: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for (at, words) in message.match_indices("This reverts commit") {
        let rest = &message[at + words.len()..];
        for word in rest.strip_prefix('s').unwrap_or(rest).split_whitespace() {
            let digits = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
            let is_id = digits.len() >= MIN_ID_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_id {
                ids.push(digits.to_ascii_lowercase());
            } else if digits != "and" {
                break;
            }
            if word.ends_with('.') {
                break;
            }
        }
    }
    ids
}

fn begins_with(id: &ObjectId, digits: &str) -> bool {
    // Cheaper than writing out every id: the first byte decides for nearly all.
    let first = u8::from_str_radix(&digits[..2], 16).ok();
    id.as_bytes().first().copied() == first && id.to_string().starts_with(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_is_named_in_gits_words() {
        let check = |message: &str, expected: &[&str]| assert_eq!(reverted_ids(message), expected, "{message}");
        check(
            "Revert \"x\"\n\nThis reverts commit 0123456789abcdef0123456789abcdef01234567.",
            &["0123456789abcdef0123456789abcdef01234567"],
        );
        check("back\n\nThis reverts commit ABCDEF0, reversing\nchanges made to 7654321.", &["abcdef0"]);
        check("This reverts commits 1234567, 89abcde and `fedcba9`.", &["1234567", "89abcde", "fedcba9"]);
        check("This reverts commit 1234567.\nThis reverts commit 89abcde.", &["1234567", "89abcde"]);
        // Too short, no id, or not said of this commit.
        check("This reverts commit 12345.", &[]);
        check("This reverts commit of yesterday, which made outages worse.", &[]);
        check("See 1234567.", &[]);
        check("This reverts commit", &[]);
    }
}
