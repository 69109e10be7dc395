//! Rename: which removed file an added one was made from, as `git diff` decides it. Pure.
//!
//! GitHub shows a renamed file against its old text, so a comment on a line that the rename did not touch is
//! refused. Therefore the pairs must be those that Git makes: equal contents first, then a name that only one removed
//! and one added file have, then the most similar; half of the larger file must be shared.

use std::collections::HashMap;

/// A perfect score; Git counts in these units, so that thresholds fall as they do there.
const MAX_SCORE: f64 = 60_000.0;
/// What a pair must reach: half.
const MINIMUM_SCORE: u32 = 30_000;
/// What a pair with a basename of its own must reach: halfway from there to a perfect score.
const MINIMUM_BASENAME_SCORE: u32 = 45_000;
/// Beyond this many pairs, squared, only equal contents and basenames are looked at (`diff.renameLimit`).
const RENAME_LIMIT: usize = 1_000;
/// Sources that are kept for each added file.
const CANDIDATES: usize = 4;
/// Spans are counted by their hash modulo this prime.
const HASH_BASE: u32 = 107_927;
/// A span ends with its line, or here.
const MAX_SPAN_BYTES: u32 = 64;

/// A removed or an added file.
#[derive(Debug)]
pub struct Side<'a> {
    /// The path, as bytes.
    pub path: &'a [u8],
    /// The content's identity.
    pub id: &'a [u8],
    /// The content; `None` for what is no file, or too large: it is paired by identity alone.
    pub content: Option<&'a [u8]>,
    /// File, link and so on; pairs are made within one kind.
    pub kind: u8,
}

impl Side<'_> {
    fn basename(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or(self.path)
    }
}

/// Pairs of indices, (removed, added). Both lists are in the order of their paths.
pub fn pairs(removed: &[Side<'_>], added: &[Side<'_>]) -> Vec<(usize, usize)> {
    let mut matching = Matching {
        removed,
        added,
        source_of: vec![None; added.len()],
        used: vec![false; removed.len()],
        spans: HashMap::new(),
    };
    matching.equal_contents();
    matching.equal_basenames();
    matching.most_similar();
    let mut found: Vec<(usize, usize)> =
        matching.source_of.iter().enumerate().filter_map(|(to, from)| from.map(|from| (from, to))).collect();
    found.sort_unstable();
    found
}

struct Matching<'a> {
    removed: &'a [Side<'a>],
    added: &'a [Side<'a>],
    source_of: Vec<Option<usize>>,
    used: Vec<bool>,
    /// Span counts of contents by address; a content takes part in many comparisons.
    spans: HashMap<*const u8, Vec<(u32, u32)>>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    to: usize,
    from: usize,
    score: u32,
    same_name: bool,
}

impl Matching<'_> {
    fn equal_contents(&mut self) {
        let mut by_id: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (from, side) in self.removed.iter().enumerate() {
            by_id.entry(side.id).or_default().push(from);
        }
        for (to, side) in self.added.iter().enumerate() {
            let free = by_id
                .get(side.id)
                .into_iter()
                .flatten()
                .copied()
                .filter(|from| !self.used[*from] && self.removed[*from].kind == side.kind);
            // The first with the same basename, else the first.
            let best = free.min_by_key(|from| self.removed[*from].basename() != side.basename());
            if let Some(from) = best {
                self.record(from, to);
            }
        }
    }

    /// A basename that one removed and one added file have, and no other.
    fn equal_basenames(&mut self) {
        let unique = |names: Vec<(usize, Vec<u8>)>| -> HashMap<Vec<u8>, Option<usize>> {
            let mut map: HashMap<Vec<u8>, Option<usize>> = HashMap::new();
            for (at, name) in names {
                map.entry(name).and_modify(|known| *known = None).or_insert(Some(at));
            }
            map
        };
        let names = |sides: &[Side<'_>], open: &dyn Fn(usize) -> bool| -> Vec<(usize, Vec<u8>)> {
            let open_sides = sides.iter().enumerate().filter(|(at, _)| open(*at));
            open_sides.map(|(at, side)| (at, side.basename().to_owned())).collect()
        };
        let sources = unique(names(self.removed, &|at| !self.used[at]));
        let targets = unique(names(self.added, &|at| self.source_of[at].is_none()));
        for from in 0..self.removed.len() {
            if self.used[from] {
                continue;
            }
            let name = self.removed[from].basename();
            let (Some(Some(_)), Some(Some(to))) = (sources.get(name), targets.get(name)) else { continue };
            if self.score(from, *to, MINIMUM_BASENAME_SCORE) >= MINIMUM_BASENAME_SCORE {
                self.record(from, *to);
            }
        }
    }

    fn most_similar(&mut self) {
        let sources: Vec<usize> = (0..self.removed.len()).filter(|from| !self.used[*from]).collect();
        let targets: Vec<usize> = (0..self.added.len()).filter(|to| self.source_of[*to].is_none()).collect();
        if sources.is_empty() || sources.len() * targets.len() > RENAME_LIMIT * RENAME_LIMIT {
            return;
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for to in targets {
            let mut best: Vec<Candidate> = Vec::with_capacity(CANDIDATES);
            for from in &sources {
                let same_name = self.removed[*from].basename() == self.added[to].basename();
                let score = self.score(*from, to, MINIMUM_SCORE);
                keep(&mut best, Candidate { to, from: *from, score, same_name });
            }
            candidates.extend(best);
        }
        candidates.sort_by_key(Candidate::rank);
        for candidate in candidates {
            if candidate.score < MINIMUM_SCORE {
                break;
            }
            if self.source_of[candidate.to].is_none() && !self.used[candidate.from] {
                self.record(candidate.from, candidate.to);
            }
        }
    }

    fn record(&mut self, from: usize, to: usize) {
        self.source_of[to] = Some(from);
        self.used[from] = true;
    }

    /// How much of the larger content the two share, in units of [`MAX_SCORE`].
    fn score(&mut self, from: usize, to: usize, minimum: u32) -> u32 {
        let (Some(one), Some(two)) = (self.removed[from].content, self.added[to].content) else { return 0 };
        let (largest, least) = (one.len().max(two.len()), one.len().min(two.len()));
        // Sizes that differ so much cannot reach the minimum.
        if (largest as f64) * (MAX_SCORE - f64::from(minimum)) < (largest - least) as f64 * MAX_SCORE {
            return 0;
        }
        if two.is_empty() {
            return 0;
        }
        for content in [one, two] {
            self.spans.entry(content.as_ptr()).or_insert_with(|| spans(content));
        }
        let shared = shared_bytes(&self.spans[&one.as_ptr()], &self.spans[&two.as_ptr()]);
        (shared as f64 * MAX_SCORE / largest as f64) as u32
    }
}

impl Candidate {
    /// Less is better.
    fn rank(&self) -> (std::cmp::Reverse<u32>, bool) {
        (std::cmp::Reverse(self.score), !self.same_name)
    }
}

/// Keeps the best few; among equals the earlier.
fn keep(best: &mut Vec<Candidate>, next: Candidate) {
    if best.len() < CANDIDATES {
        best.push(next);
        return;
    }
    let mut worst = 0;
    for at in 1..best.len() {
        if best[at].rank() > best[worst].rank() {
            worst = at;
        }
    }
    if best[worst].rank() > next.rank() {
        best[worst] = next;
    }
}

/// Whether Git takes a content for binary: a NUL in its first 8,000 bytes.
pub fn is_binary(content: &[u8]) -> bool {
    content.iter().take(8_000).any(|byte| *byte == 0)
}

/// How many bytes of the content stand in spans of each hash, by hash.
fn spans(content: &[u8]) -> Vec<(u32, u32)> {
    let is_text = !is_binary(content);
    let mut counts: HashMap<u32, u32> = HashMap::new();
    let (mut low, mut high, mut length) = (0u32, 0u32, 0u32);
    for (at, byte) in content.iter().enumerate() {
        if is_text && *byte == b'\r' && content.get(at + 1) == Some(&b'\n') {
            continue;
        }
        let before = low;
        low = (low << 7) ^ (high >> 25);
        high = (high << 7) ^ (before >> 25);
        low = low.wrapping_add(u32::from(*byte));
        length += 1;
        if length < MAX_SPAN_BYTES && *byte != b'\n' {
            continue;
        }
        *counts.entry(low.wrapping_add(high.wrapping_mul(0x61)) % HASH_BASE).or_default() += length;
        (low, high, length) = (0, 0, 0);
    }
    if length > 0 {
        *counts.entry(low.wrapping_add(high.wrapping_mul(0x61)) % HASH_BASE).or_default() += length;
    }
    let mut sorted: Vec<(u32, u32)> = counts.into_iter().collect();
    sorted.sort_unstable();
    sorted
}

fn shared_bytes(one: &[(u32, u32)], two: &[(u32, u32)]) -> u64 {
    let mut others = two.iter().peekable();
    let mut shared = 0;
    for (hash, count) in one {
        while others.next_if(|(other, _)| other < hash).is_some() {}
        if let Some((_, other)) = others.next_if(|(other, _)| other == hash) {
            shared += u64::from(*count.min(other));
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides<'a>(files: &[(&'a str, &'a str)]) -> Vec<Side<'a>> {
        let side = |(path, text): &(&'a str, &'a str)| Side {
            path: path.as_bytes(),
            id: text.as_bytes(),
            content: Some(text.as_bytes()),
            kind: 0,
        };
        files.iter().map(side).collect()
    }

    fn check(removed: &[(&str, &str)], added: &[(&str, &str)], expected: &[(usize, usize)]) {
        assert_eq!(pairs(&sides(removed), &sides(added)), expected);
    }

    #[test]
    fn equal_contents_are_a_pair_and_the_basename_decides_between_two() {
        check(&[("a/x", "same\n"), ("b/y", "same\n")], &[("c/y", "same\n")], &[(1, 0)]);
        check(&[("a/x", "same\n")], &[("b/1", "same\n"), ("c/x", "same\n")], &[(0, 0)]);
    }

    #[test]
    fn half_of_the_larger_must_be_shared() {
        check(&[("a", "1\n2\n3\n4\n")], &[("b", "1\n2\nx\ny\n")], &[(0, 0)]);
        check(&[("a", "1\n2\n3\n4\n")], &[("b", "1\nz\nx\ny\n")], &[]);
    }

    #[test]
    fn nothing_is_made_from_two_or_into_two() {
        check(&[("a", "1\n2\n3\n4\n")], &[("b", "1\n2\n3\nx\n"), ("c", "1\n2\n3\n4\n5\n")], &[(0, 1)]);
    }
}
