//! Passage: the part of a change that one question is about, with what is known of it; and which parts are asked about.
//!
//! Everything that is shown is redacted first, file by file, so that a secret over several lines is seen whole.

use std::collections::{BTreeMap, HashMap};

use precedent_pipeline::history::Objects;
use precedent_pipeline::syntax::{Bag, similarity};

use super::budget::{Kept, Limits};
use super::model::Model;
use super::prompt;
use crate::briefing::{Repair, repair};
use crate::change::{Change, ChangedFile, ChangedNode};
use crate::diff::{FileDiff, Hunk};
use crate::evidence::Evidence;
use crate::finding::{Citation, Fact, FactKind, NodeName};
use crate::redact::redacted;
use crate::render::{short, visible};
use crate::voice::{Material, Tokens, Unasked};

/// Longer lines are cut.
const MAX_LINE_CHARS: usize = 300;
/// Lines of a precedent's code that are shown.
const EXCERPT_LINES: usize = 8;
/// Fewer tokens hold no hunk worth asking about.
const LEAST_ROOM: usize = 48;
/// Tokens around a claim in the second look, beside its path and what the first answer said of it.
const CLAIM_FRAME_TOKENS: usize = 48;

/// What happened to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Added,
    Removed,
    Same,
}

/// A line of a hunk as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) mark: Mark,
    /// Its number on the old side; of an added line, that of the next.
    pub(super) old: u32,
    /// Its number on the new side; of a removed line, that of the next.
    pub(super) new: u32,
    pub(super) text: String,
}

impl Line {
    /// The number that is shown beside it.
    pub(super) fn number(&self) -> u32 {
        if self.mark == Mark::Removed { self.old } else { self.new }
    }
}

/// A hunk, or a part of a long one.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) number: u32,
    /// The first lines of the node that it stands in; may be empty.
    pub(super) signature: String,
    /// That node.
    pub(super) node: NodeName,
    pub(super) lines: Vec<Line>,
}

/// Something known that may be cited.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    /// `P1`, `P2` and so on.
    pub(super) id: String,
    pub(super) text: String,
    pub(super) citations: Vec<Citation>,
}

/// What one question is about.
#[derive(Debug, Clone)]
pub(super) struct Passage {
    pub(super) path: String,
    /// Its place among the files of the change.
    pub(super) file: usize,
    pub(super) hunks: Vec<Shown>,
    pub(super) offered: Vec<Offered>,
    /// The question's text.
    pub(super) text: String,
    /// Tokens of the whole question, rules included.
    pub(super) tokens: usize,
    pub(super) risk: f64,
}

/// What is asked about and what is not.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Riskiest file first.
    pub(super) passages: Vec<Passage>,
    pub(super) unasked: Vec<Unasked>,
    /// What the second look may take if each answer is as long and claims as much as it can.
    pub(super) kept: Kept,
    pub(super) hidden_characters: u32,
}

/// Cuts a change into questions, riskiest file first, until the limits are reached.
pub(super) fn plan(material: &Material<'_>, model: &dyn Model, limits: &Limits) -> Plan {
    let mut plan = Plan::default();
    let change = material.change;
    let index = Index::of(material);
    let mut order: Vec<(usize, f64)> = change
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.language.is_ok() && !file.diff.hunks.is_empty())
        .map(|(at, file)| (at, risk(material, &index, file)))
        .collect();
    order.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
    let rules = prompt::rules_tokens(model);
    let mut spent = Tokens::default();
    let frame = second_frame(model, limits);
    let mut claims = Tokens::default();
    for (at, risk) in order {
        let file = &change.files[at];
        // A change may have thousands of files: one that cannot be asked about any more is not read.
        let least = Tokens { prompt: (rules + LEAST_ROOM) as u64, completion: limits.first_answer() as u64 };
        let reserved = second_look(model, limits, frame, claims);
        let is_over = plan.passages.len() as u32 + reserved.requests >= limits.requests;
        let why = match limits.allow(spent + least + reserved.tokens) {
            _ if is_over => Some(format!("a review may ask {} questions", limits.requests)),
            allowed => allowed.err(),
        };
        if let Some(why) = why {
            plan.unasked.push(Unasked { path: file.path.to_string(), risk, why });
            continue;
        }
        let mut reader = Reader { material, index: &index, model, limits, hidden: 0 };
        let (passages, too_small) = reader.passages(at, file, risk, rules);
        plan.hidden_characters += reader.hidden;
        let mut why = too_small.then(|| "the model's context is smaller than its hunks".to_owned());
        for passage in passages {
            let question = Tokens { prompt: passage.tokens as u64, completion: limits.first_answer() as u64 };
            let more = claims + second_share(model, &passage.path, limits);
            let kept = second_look(model, limits, frame, more);
            if plan.passages.len() as u32 + kept.requests >= limits.requests {
                why = Some(format!("a review may ask {} questions", limits.requests));
            } else if let Err(too_much) = limits.allow(spent + question + kept.tokens) {
                why = Some(too_much);
            } else {
                spent += question;
                claims = more;
                plan.kept = kept;
                plan.passages.push(passage);
            }
        }
        plan.unasked.extend(why.map(|why| Unasked { path: file.path.to_string(), risk, why }));
    }
    plan
}

/// What is kept for a second look at claims of so many tokens: in parts, where the context does not hold them all. Comparing
/// the parts with each other is done with what is left then.
fn second_look(model: &dyn Model, limits: &Limits, frame: Tokens, claims: Tokens) -> Kept {
    let room = (model.context_tokens() as u64).saturating_sub(limits.first_answer() as u64 + frame.prompt);
    let looks = claims.prompt.div_ceil(room.max(1)).clamp(1, u64::from(u32::MAX));
    let frames = Tokens { prompt: frame.prompt * looks, completion: frame.completion * looks };
    Kept { requests: looks as u32, tokens: frames + claims, time: limits.second_time() }
}

/// Tokens of a second look at nothing.
fn second_frame(model: &dyn Model, limits: &Limits) -> Tokens {
    let empty = prompt::fenced("");
    let read = model.count(prompt::SECOND_RULES) + model.count(&empty) + model.overhead(2);
    Tokens { prompt: read as u64, completion: limits.second_answer(0) as u64 }
}

/// What the claims of one answer add to the second look at the most: all that the answer says, in lines. Text is counted here
/// a little higher than by whoever wrote it.
fn second_share(model: &dyn Model, path: &str, limits: &Limits) -> Tokens {
    let frames = prompt::MAX_CLAIMS * (CLAIM_FRAME_TOKENS + model.count(path));
    let written = limits.second_answer(prompt::MAX_CLAIMS) - limits.second_answer(0);
    Tokens { prompt: (limits.answer_tokens * 4 / 3 + frames) as u64, completion: written as u64 }
}

/// What there is of each file, so that no file is looked for among all.
struct Index<'a> {
    /// The places of the changed nodes that stand in a file or stood there.
    nodes: HashMap<&'a str, Vec<usize>>,
    facts: HashMap<&'a str, Vec<&'a Fact>>,
}

impl<'a> Index<'a> {
    fn of(material: &Material<'a>) -> Index<'a> {
        let mut index = Index { nodes: HashMap::new(), facts: HashMap::new() };
        for (at, node) in material.change.nodes.iter().enumerate() {
            for (path, _) in [&node.before, &node.after].into_iter().flatten() {
                let places = index.nodes.entry(path).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        for fact in material.facts {
            index.facts.entry(&fact.about.path).or_default().push(fact);
        }
        index
    }

    /// The places of the nodes of a file.
    fn nodes(&self, path: &str) -> &[usize] {
        self.nodes.get(path).map_or(&[], Vec::as_slice)
    }
}

/// How often what is changed was repaired, by the messages of its history; and a little for its size. An order, not a
/// probability.
fn risk(material: &Material<'_>, index: &Index<'_>, file: &ChangedFile) -> f64 {
    let mut risk = 0.0;
    for at in index.nodes(&file.path) {
        for edit in material.precedents.traces.get(*at).into_iter().flatten() {
            risk += match repair(material.precedents.archive.commit(edit.commit)) {
                Some(Repair::Revert) => 2.0,
                Some(Repair::Fix) => 1.0,
                None => 0.1,
            };
        }
    }
    let changed = file.diff.added.len() + file.diff.removed.len();
    risk + 0.5 * (1.0 + changed as f64).ln()
}

/// Makes passages of one file.
struct Reader<'a> {
    material: &'a Material<'a>,
    index: &'a Index<'a>,
    model: &'a dyn Model,
    limits: &'a Limits,
    hidden: u32,
}

impl Reader<'_> {
    /// The passages of a file, and whether something of it fits into no question.
    fn passages(&mut self, at: usize, file: &ChangedFile, risk: f64, rules: usize) -> (Vec<Passage>, bool) {
        let instructions = redacted(&self.material.config.instructions(&file.path)).0;
        let checks = self.checks(&file.path);
        let fixed =
            rules + self.model.count(&instructions) + self.model.count(&checks) + self.model.count(&file.path) + 64;
        let context = self.model.context_tokens().saturating_sub(self.limits.first_answer() + fixed);
        // Precedents give way before the code does.
        let room = context.min(self.limits.passage_tokens);
        if room < LEAST_ROOM {
            return (Vec::new(), true);
        }
        let (hunks, is_cut) = self.hunks(file, room);
        let mut passages = Vec::new();
        let mut pending: Vec<Shown> = Vec::new();
        let mut size = 0;
        let mut close = |reader: &mut Self, hunks: Vec<Shown>, size: usize| {
            if hunks.iter().any(|hunk| hunk.lines.iter().any(|line| line.mark != Mark::Same)) {
                let spare = context.saturating_sub(size).min(reader.limits.precedent_tokens);
                let offered = reader.offered(&file.path, &hunks, spare);
                let text = prompt::question(&file.path, &instructions, &hunks, &offered, &checks);
                let text = prompt::sent(reader.model, &text);
                let tokens = rules + reader.model.count(&text) + reader.model.overhead(2);
                passages.push(Passage { path: file.path.to_string(), file: at, hunks, offered, text, tokens, risk });
            }
        };
        for (mut hunk, tokens) in hunks {
            if size + tokens > room && !pending.is_empty() {
                close(self, std::mem::take(&mut pending), size);
                size = 0;
            }
            hunk.number = pending.len() as u32 + 1;
            size += tokens;
            pending.push(hunk);
        }
        close(self, pending, size);
        (passages, is_cut)
    }

    /// What the checks claim of a file.
    fn checks(&mut self, path: &str) -> String {
        let here = self.material.findings.iter().filter(|finding| finding.path == path);
        here.map(|finding| {
            let text = format!("{} at line {}: {} {}", finding.check, finding.line, finding.title, finding.body);
            format!("{}\n", self.safe(&text))
        })
        .collect()
    }

    /// The hunks of a file with their tokens, none with more than `room`; and whether a line had to be left out.
    fn hunks(&mut self, file: &ChangedFile, room: usize) -> (Vec<(Shown, usize)>, bool) {
        let before = match &file.old_path {
            Some(old) => self.material.change.file(old).map_or("", |old| &old.before),
            None => &file.before,
        };
        let is_text = file.language.is_ok_and(|language| language.is_text());
        let old = self.lines(before, is_text);
        let new = self.lines(&file.after, is_text);
        let mut out = Vec::new();
        let mut is_cut = false;
        for hunk in &file.diff.hunks {
            let lines = walk(&file.diff, hunk, &old, &new);
            let (node, signature) = self.enclosing(file, &lines);
            let heading = 12 + self.model.count(&signature);
            let mut part: Vec<Line> = Vec::new();
            let mut size = heading;
            let shown = |lines: Vec<Line>| Shown { number: 0, signature: signature.clone(), node: node.clone(), lines };
            for line in lines {
                let tokens = self.model.count(&prompt::line(&line));
                if heading + tokens > room {
                    is_cut = true;
                    continue;
                }
                if size + tokens > room {
                    out.push((shown(std::mem::take(&mut part)), size));
                    size = heading;
                }
                size += tokens;
                part.push(line);
            }
            if !part.is_empty() {
                out.push((shown(part), size));
            }
        }
        (out, is_cut)
    }

    /// The lines of a text as they may be shown.
    fn lines(&mut self, text: &str, is_text: bool) -> Vec<String> {
        let text = redacted(text).0;
        let text = if is_text { without_comments(&text) } else { text };
        text.lines().map(|line| self.shown(line)).collect()
    }

    /// A line in which nothing is hidden and nothing ends a message.
    fn shown(&mut self, line: &str) -> String {
        let kept: String = line.replace('\t', "    ").chars().take(MAX_LINE_CHARS).collect();
        let shown = visible(&kept);
        if shown != kept {
            let hidden = kept.chars().filter(|letter| visible(&letter.to_string()).chars().count() > 1).count();
            self.hidden += hidden as u32;
        }
        self.model.plain(&shown)
    }

    /// Words of others on one line, without secrets.
    fn safe(&mut self, text: &str) -> String {
        let text = redacted(&without_comments(text)).0;
        let line = text.split_whitespace().collect::<Vec<&str>>().join(" ");
        self.shown(&line)
    }

    /// The smallest changed node around the first changed line, and how it begins.
    fn enclosing(&mut self, file: &ChangedFile, lines: &[Line]) -> (NodeName, String) {
        let here = NodeName { path: file.path.to_string(), symbol: String::new() };
        let Some(first) = lines.iter().find(|line| line.mark != Mark::Same) else { return (here, String::new()) };
        let holds = |node: &&ChangedNode| {
            let (side, line) = match first.mark {
                Mark::Removed => (&node.before, first.old),
                _ => (&node.after, first.new),
            };
            side.as_ref().is_some_and(|(path, piece)| {
                (**path == *file.path || file.old_path.as_ref() == Some(path))
                    && (piece.start_line..=piece.end_line).contains(&line)
            })
        };
        let paths = [Some(&*file.path), file.old_path.as_deref()];
        let mut places: Vec<usize> =
            paths.into_iter().flatten().flat_map(|path| self.index.nodes(path)).copied().collect();
        places.sort_unstable();
        places.dedup();
        let nodes = places.into_iter().map(|at| &self.material.change.nodes[at]);
        let smallest = nodes.filter(holds).min_by_key(|node| {
            let piece = &node.now().1;
            piece.end_line - piece.start_line
        });
        let Some(node) = smallest else { return (here, String::new()) };
        let signature = signature(&node.now().1.text);
        (node.name(), self.safe(&signature))
    }

    fn offered(&mut self, path: &str, hunks: &[Shown], room: usize) -> Vec<Offered> {
        chosen(self.candidates(path, hunks), self.limits.precedents, room)
    }

    /// All that is known of the nodes of a passage, in words.
    fn candidates(&mut self, path: &str, hunks: &[Shown]) -> Vec<Candidate> {
        let is_here = |name: &NodeName| name.path == path && hunks.iter().any(|hunk| hunk.node.symbol == name.symbol);
        let material = self.material;
        let mut ranks: BTreeMap<FactKind, usize> = BTreeMap::new();
        let mut found = Vec::new();
        let index = self.index;
        let facts = index.facts.get(path).into_iter().flatten();
        for fact in facts.filter(|fact| is_here(&fact.about) || fact.about.symbol.is_empty()) {
            let rank = ranks.entry(fact.kind).or_default();
            let value = worth(fact.kind) / (1.0 + 0.5 * *rank as f64);
            *rank += 1;
            found.push(self.candidate(&words(fact), fact.citations.clone(), value, fact.kind == FactKind::Copy));
        }
        for at in index.nodes(path) {
            let neighbours =
                material.precedents.neighbours.get(*at).filter(|_| is_here(&material.change.nodes[*at].name()));
            let Some(neighbours) = neighbours else { continue };
            for (rank, near) in neighbours.iter().enumerate() {
                let place = &near.place;
                let base = &material.change.base;
                let Some(citation) = material.evidence.cite(base, &place.path, place.start_line, place.end_line) else {
                    continue;
                };
                if found.iter().any(|known: &Candidate| known.citations.contains(&citation)) {
                    continue;
                }
                let text = format!("near to it in meaning: `{}`", place.symbol);
                let value = worth(FactKind::Copy) * 0.8 / (1.0 + 0.5 * rank as f64);
                found.push(self.candidate(&text, vec![citation], value, true));
            }
        }
        found
    }

    fn candidate(&mut self, text: &str, citations: Vec<Citation>, value: f64, with_code: bool) -> Candidate {
        let mut out = self.safe(text);
        if let Some(citation) = citations.first() {
            let [start, end] = citation.lines;
            let place = format!("({}:{start}-{end} at {})", citation.path, short(&citation.commit));
            out.push(' ');
            out.push_str(&self.safe(&place));
            if with_code {
                for line in excerpt(self.material.evidence, citation) {
                    let line = self.lines(&line, false).pop().unwrap_or_default();
                    out.push_str(&format!("\n    | {line}"));
                }
            }
        }
        let tokens = self.model.count(&out) + 4;
        Candidate { bag: Bag::of(&out), text: out, citations, value, tokens }
    }
}

/// Precedents, chosen one by one: each the one that adds most to those before it and still fits.
fn chosen(mut candidates: Vec<Candidate>, most: usize, room: usize) -> Vec<Offered> {
    let mut chosen: Vec<Offered> = Vec::new();
    let mut bags: Vec<Bag> = Vec::new();
    let mut left = room;
    while chosen.len() < most {
        let gain = |candidate: &Candidate| {
            let like = bags.iter().map(|bag| similarity(bag, &candidate.bag)).fold(0.0, f32::max);
            candidate.value * f64::from(1.0 - like)
        };
        let best = (0..candidates.len())
            .filter(|at| candidates[*at].tokens <= left)
            .max_by(|one, two| gain(&candidates[*one]).total_cmp(&gain(&candidates[*two])).then(two.cmp(one)));
        let Some(best) = best else { break };
        let candidate = candidates.remove(best);
        left -= candidate.tokens;
        bags.push(candidate.bag);
        let id = format!("P{}", chosen.len() + 1);
        chosen.push(Offered { id, text: candidate.text, citations: candidate.citations });
    }
    chosen
}

/// A precedent that may be offered.
struct Candidate {
    text: String,
    citations: Vec<Citation>,
    /// What it is worth on its own.
    value: f64,
    tokens: usize,
    bag: Bag,
}

/// What a kind of fact is worth in a question. Set by hand: what people said, and what was undone, before counts.
fn worth(kind: FactKind) -> f64 {
    match kind {
        FactKind::Review => 0.9,
        FactKind::Return | FactKind::Undo => 0.8,
        FactKind::Copy => 0.7,
        FactKind::Companion => 0.5,
        FactKind::Test => 0.45,
        FactKind::Life => 0.4,
    }
}

fn words(fact: &Fact) -> String {
    match fact.kind {
        FactKind::Life => format!("history of `{}`: {}", fact.node.symbol, fact.text),
        FactKind::Companion | FactKind::Test => format!("usually changes too: {}", fact.text),
        _ => fact.text.clone(),
    }
}

fn excerpt(evidence: &Evidence<'_>, citation: &Citation) -> Vec<String> {
    let Some(around) = evidence.around(citation) else { return Vec::new() };
    let [start, end] = citation.lines;
    // All of it is redacted, since a key may begin before the lines that are shown.
    let (text, _) = redacted(&around.text);
    let count = (end.saturating_sub(start) as usize + 1).min(EXCERPT_LINES);
    text.lines().skip((start - around.first_line) as usize).take(count).map(str::to_owned).collect()
}

/// The lines of a hunk in the order in which they are shown. `old` and `new` are the lines of both sides.
pub(super) fn walk(diff: &FileDiff, hunk: &Hunk, old: &[String], new: &[String]) -> Vec<Line> {
    let mut lines = Vec::new();
    // Of an empty side, Git names the line before.
    let mut at_old = hunk.old_start + u32::from(hunk.old_lines == 0);
    let mut at_new = hunk.new_start + u32::from(hunk.new_lines == 0);
    let (end_old, end_new) = (at_old + hunk.old_lines, at_new + hunk.new_lines);
    while at_old < end_old || at_new < end_new {
        let mark = match () {
            () if at_old < end_old && diff.holds_old(at_old) => Mark::Removed,
            () if at_new < end_new && diff.added.binary_search(&at_new).is_ok() => Mark::Added,
            () => Mark::Same,
        };
        let source = if mark == Mark::Removed { old.get(at_old as usize - 1) } else { new.get(at_new as usize - 1) };
        lines.push(Line { mark, old: at_old, new: at_new, text: source.cloned().unwrap_or_default() });
        at_old += u32::from(mark != Mark::Added);
        at_new += u32::from(mark != Mark::Removed);
    }
    lines
}

/// How a node begins: its first lines that are no comment and no attribute, to where its body opens.
fn signature(text: &str) -> String {
    const MAX_LINES: usize = 4;
    let is_lead =
        |line: &str| ["//", "/*", "*", "#[", "#!", "@", "\"\"\"", "# "].iter().any(|mark| line.starts_with(mark));
    let mut out = String::new();
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty()).skip_while(|line| is_lead(line)).take(MAX_LINES)
    {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(line);
        if line.ends_with(['{', ':', ';', '}', '=']) {
            break;
        }
    }
    out
}

/// A text whose HTML comments, which people do not see, are said to be there and nothing else. Lines stay where they are.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("<!--") {
        out.push_str(&rest[..at]);
        let length = rest[at..].find("-->").map_or(rest.len() - at, |end| end + 3);
        out.push_str("[hidden comment]");
        out.extend(rest[at..at + length].chars().filter(|letter| *letter == '\n'));
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// The citation of lines of a change, which the object database must have.
pub(super) fn citation(
    objects: &Objects,
    change: &Change,
    file: &ChangedFile,
    is_new: bool,
    lines: [u32; 2],
) -> Option<Citation> {
    let (commit, path) = match is_new {
        true => (&change.head, &file.path),
        false => (&change.base, file.old_path.as_ref().unwrap_or(&file.path)),
    };
    Citation::read(objects, commit, path, lines[0], lines[1])
}

#[cfg(test)]
mod tests;
