//! HTML: a review as one page that needs nothing else: no script, no font, no request. Pure.
//!
//! The claims first, then the facts by node with the time line of its life, each precedent beside the code that changes, then
//! the diff with the claims in their places. Light and dark follow the reader's setting; all that folds is `<details>`, so that
//! the keyboard opens it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use precedent_pipeline::Piece;

use super::{
    NO_MESSAGE, NO_NAME, by_node, coverage, day, label, notes, or_none, sentence, short, summary, title, visible,
};
use crate::Review;
use crate::briefing::Timeline;
use crate::change::{ChangedFile, ChangedNode};
use crate::finding::{Citation, Fact, FactKind, Finding, NodeName, Side};

/// Lines of the diff that are shown.
const MAX_DIFF_LINES: usize = 4_000;
/// Lines of a node or a precedent that are shown.
const MAX_CODE_LINES: usize = 60;
/// Facts that are shown, the folded ones included.
const MAX_FACTS: usize = 200;

const STYLE: &str = include_str!("html.css");

/// The lines that citations are of, where they could be read.
pub type Passages = HashMap<(String, String, [u32; 2]), String>;

/// The key of a citation among the passages.
pub fn passage_key(citation: &Citation) -> (String, String, [u32; 2]) {
    (citation.commit.to_string(), citation.path.clone(), citation.lines)
}

/// The review as a page.
pub fn html(review: &Review, passages: &Passages) -> String {
    let page = Page { review, passages };
    let mut out = String::with_capacity(64 << 10);
    out.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str(
        "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n",
    );
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    let subject = review.change.subject.trim();
    out.push_str(&format!("<title>{} · precedent</title>\n", text(subject)));
    out.push_str(&format!(
        "<style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#facts\">To the facts</a>\n"
    ));
    page.head(&mut out);
    out.push_str("<main>\n");
    page.claims(&mut out);
    page.facts(&mut out);
    page.diff(&mut out);
    out.push_str("</main>\n");
    page.foot(&mut out);
    out.push_str("</body>\n</html>\n");
    out
}

struct Page<'a> {
    review: &'a Review,
    passages: &'a Passages,
}

impl Page<'_> {
    fn head(&self, out: &mut String) {
        let change = &self.review.change;
        out.push_str("<header>\n");
        out.push_str(&format!("<h1>{}</h1>\n", text(or_none(&change.subject, NO_MESSAGE))));
        let mut line = format!(
            "<code>{}</code> by {}, against what was known at <code>{}</code>",
            short(&change.head),
            text(or_none(&change.author, NO_NAME)),
            short(&change.base_tip)
        );
        if let Some(coverage) = coverage(self.review) {
            line.push_str(&format!(" · {}", text(&coverage)));
        }
        out.push_str(&format!("<p>{line}</p>\n<p class=\"summary\">{}</p>\n", text(&summary(self.review))));
        out.push_str("<nav aria-label=\"Parts of this page\"><a href=\"#claims\">Claims</a> <a href=\"#facts\">Facts</a> <a href=\"#diff\">Diff</a></nav>\n</header>\n");
    }

    fn claims(&self, out: &mut String) {
        out.push_str("<section id=\"claims\" aria-labelledby=\"claims-title\">\n<h2 id=\"claims-title\">Claims</h2>\n");
        if self.review.findings.is_empty() {
            out.push_str("<p class=\"quiet\">Nothing is claimed about this change.</p>\n");
        }
        for (at, finding) in self.review.findings.iter().enumerate() {
            out.push_str(&self.claim(finding, Some(at)));
        }
        out.push_str("</section>\n");
    }

    /// A claim; `at` is given where it is told first, and left out where it stands in the diff.
    fn claim(&self, finding: &Finding, at: Option<usize>) -> String {
        let mut out = format!("<article class=\"claim {}\"", severity(finding));
        if let Some(at) = at {
            out.push_str(&format!(" id=\"claim-{at}\""));
        }
        out.push_str(&format!(
            ">\n<h3>{}</h3>\n<p>{}</p>\n<p class=\"meta\">{} · {}",
            marked(&finding.title),
            marked(&finding.body),
            finding.check,
            place(&finding.path, finding.line)
        ));
        if let Some(ground) = finding.confidence.and_then(|confidence| confidence.ground()) {
            out.push_str(&format!(" · {ground}"));
        }
        out.push_str("</p>\n");
        if at.is_some() {
            let node = self.node_at(finding);
            for citation in &finding.citations {
                // What stands in the change itself has nothing beside it.
                match node.filter(|_| citation.commit != self.review.change.head) {
                    Some(node) => out.push_str(&self.side_by_side(citation, node)),
                    None => out.push_str(&self.precedent(citation)),
                }
            }
        }
        out.push_str("</article>\n");
        out
    }

    /// The changed node that a claim stands in.
    fn node_at(&self, finding: &Finding) -> Option<&ChangedNode> {
        self.review.change.nodes.iter().find(|node| {
            let side = if finding.side == Side::Right { &node.after } else { &node.before };
            let is_here = |(path, piece): &(Arc<str>, Piece)| {
                **path == *finding.path && (piece.start_line..=piece.end_line).contains(&finding.line)
            };
            side.as_ref().is_some_and(is_here)
        })
    }

    fn facts(&self, out: &mut String) {
        out.push_str("<section id=\"facts\" aria-labelledby=\"facts-title\">\n<h2 id=\"facts-title\">Facts</h2>\n");
        // What meets no rules is for the JSON.
        let grouped = by_node(self.review.briefing.iter().filter(|fact| fact.passes).take(MAX_FACTS));
        if grouped.is_empty() {
            out.push_str("<p class=\"quiet\">History has nothing to say about this change.</p>\n");
        }
        let (open, folded): (Vec<_>, Vec<_>) =
            grouped.into_iter().partition(|(_, facts)| facts.iter().any(|fact| fact.shown));
        open.iter().for_each(|(about, facts)| self.node(about, facts, out));
        if !folded.is_empty() {
            // Of nodes that all are folded, none is more than what is open.
            let more = if open.is_empty() { "" } else { " more" };
            let summary = format!("{}{more} {}", folded.len(), if folded.len() == 1 { "node" } else { "nodes" });
            out.push_str(&format!("<details class=\"more\"><summary>{summary}</summary>\n"));
            folded.iter().for_each(|(about, facts)| self.node(about, facts, out));
            out.push_str("</details>\n");
        }
        out.push_str("</section>\n");
    }

    fn node(&self, about: &NodeName, facts: &[&Fact], out: &mut String) {
        let node = self.review.change.nodes.iter().find(|node| node.name() == *about);
        out.push_str(&format!("<article class=\"node\">\n<h3><code>{}</code>", text(title(about))));
        if !about.symbol.is_empty() {
            out.push_str(&format!(" <span class=\"path\">{}</span>", text(&about.path)));
        }
        out.push_str("</h3>\n");
        if let Some(timeline) = self.review.timelines.iter().find(|timeline| timeline.node == *about) {
            out.push_str(&drawn(timeline));
        }
        let (shown, folded): (Vec<&Fact>, Vec<&Fact>) = facts.iter().partition(|fact| fact.shown);
        self.listed(&shown, node, out);
        if !folded.is_empty() {
            out.push_str(&format!("<details><summary>{} more</summary>\n", folded.len()));
            self.listed(&folded, node, out);
            out.push_str("</details>\n");
        }
        out.push_str("</article>\n");
    }

    fn listed(&self, facts: &[&Fact], node: Option<&ChangedNode>, out: &mut String) {
        if facts.is_empty() {
            return;
        }
        out.push_str("<dl>\n");
        for fact in facts {
            out.push_str(&format!("<dt>{}</dt><dd>{}", label(fact.kind), marked(&sentence(fact))));
            for citation in &fact.citations {
                match node.filter(|_| fact.kind != FactKind::Life) {
                    Some(node) => out.push_str(&self.side_by_side(citation, node)),
                    None => out.push_str(&self.precedent(citation)),
                }
            }
            out.push_str("</dd>\n");
        }
        out.push_str("</dl>\n");
    }

    fn precedent(&self, citation: &Citation) -> String {
        format!("<details><summary>{}</summary>{}</details>", cited(citation), self.passage(citation))
    }

    /// A precedent and the code that changes, one beside the other where there is room.
    fn side_by_side(&self, citation: &Citation, node: &ChangedNode) -> String {
        let (path, piece) = node.now();
        let which = if node.after.is_some() { "in this change" } else { "removed by this change" };
        format!(
            "<details><summary>{}</summary><div class=\"pair\"><figure><figcaption>{}</figcaption>{}</figure>\
             <figure><figcaption>{} {which}</figcaption>{}</figure></div></details>",
            cited(citation),
            cited(citation),
            self.passage(citation),
            place(path, piece.start_line),
            numbered(&piece.text, piece.start_line)
        )
    }

    fn passage(&self, citation: &Citation) -> String {
        let passage = self.passages.get(&passage_key(citation)).map_or(citation.quote.as_str(), String::as_str);
        numbered(passage, citation.lines[0])
    }

    fn diff(&self, out: &mut String) {
        out.push_str("<section id=\"diff\" aria-labelledby=\"diff-title\">\n<h2 id=\"diff-title\">Diff</h2>\n");
        let mut left = MAX_DIFF_LINES;
        let mut left_out = 0;
        let mut files: Vec<&ChangedFile> = self.review.change.shown_files().collect();
        let hunks = files.iter().flat_map(|file| &file.diff.hunks);
        if hunks.map(|hunk| hunk.old_lines.max(hunk.new_lines) as usize).sum::<usize>() > MAX_DIFF_LINES {
            // Where not all can be shown, claims have their places all the same.
            files.sort_by_key(|file| !self.review.findings.iter().any(|finding| finding.path == *file.path));
        }
        for file in files {
            if left == 0 {
                left_out += 1;
                continue;
            }
            self.file(file, &mut left, out);
        }
        if left_out > 0 {
            out.push_str(&format!(
                "<p class=\"quiet\">{left_out} more files are left out here: the change is very large.</p>\n"
            ));
        }
        out.push_str("</section>\n");
    }

    fn file(&self, file: &ChangedFile, left: &mut usize, out: &mut String) {
        let (added, removed) = (file.diff.added.len(), file.diff.removed.len());
        let from = file.old_path.as_ref().map(|old| format!("<span class=\"path\">was {}</span> ", text(old)));
        // What was not looked into has no lines to count.
        let count = format!("<span class=\"plus\">+{added}</span> <span class=\"minus\">−{removed}</span>");
        out.push_str(&format!(
            "<details class=\"file\" open><summary><code>{}</code> {}{}</summary>\n",
            text(&file.path),
            from.unwrap_or_default(),
            if file.language.is_ok() { count.as_str() } else { "" }
        ));
        if let Err(why) = file.language {
            out.push_str(&format!("<p class=\"quiet\">Not looked into: {}</p></details>\n", text(why)));
            return;
        }
        // The hunks of a renamed file are against the text that it had under its old name.
        let renamed = file.old_path.as_ref().and_then(|old| self.review.change.file(old));
        let before = renamed.map_or(&file.before, |renamed| &renamed.before);
        let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), file.after.lines().collect());
        let gone: HashSet<u32> = file.diff.removed.iter().copied().collect();
        let come: HashSet<u32> = file.diff.added.iter().copied().collect();
        out.push_str("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Lines of the difference\"><table class=\"hunks\">\n");
        for hunk in &file.diff.hunks {
            out.push_str(&format!(
                "<tr class=\"at\"><td></td><td></td><td>@@ −{},{} +{},{} @@</td></tr>\n",
                hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines
            ));
            let line = |lines: &[&str], number: u32| text(lines.get(number as usize - 1).copied().unwrap_or(""));
            let first = |start: u32, count: u32| if count == 0 { start + 1 } else { start };
            let (mut at_old, mut at_new) =
                (first(hunk.old_start, hunk.old_lines), first(hunk.new_start, hunk.new_lines));
            let (old_end, new_end) = (at_old + hunk.old_lines, at_new + hunk.new_lines);
            while (at_old < old_end || at_new < new_end) && *left > 0 {
                *left -= 1;
                if at_old < old_end && gone.contains(&at_old) {
                    out.push_str(&row("minus", Some(at_old), None, &line(&old, at_old)));
                    self.claims_at(file, Side::Left, at_old, out);
                    at_old += 1;
                } else if at_new < new_end && come.contains(&at_new) {
                    out.push_str(&row("plus", None, Some(at_new), &line(&new, at_new)));
                    self.claims_at(file, Side::Right, at_new, out);
                    at_new += 1;
                } else {
                    out.push_str(&row("same", Some(at_old), Some(at_new), &line(&new, at_new.max(1))));
                    self.claims_at(file, Side::Right, at_new, out);
                    (at_old, at_new) = (at_old + 1, at_new + 1);
                }
            }
            if at_old < old_end || at_new < new_end {
                out.push_str("<tr class=\"at\"><td></td><td></td><td>The rest is left out here.</td></tr>\n");
                break;
            }
        }
        out.push_str("</table></div></details>\n");
    }

    fn claims_at(&self, file: &ChangedFile, side: Side, line: u32, out: &mut String) {
        let is_here = |finding: &&Finding| finding.path == *file.path && finding.side == side && finding.line == line;
        for finding in self.review.findings.iter().filter(is_here) {
            out.push_str(&format!("<tr class=\"said\"><td colspan=\"3\">{}</td></tr>\n", self.claim(finding, None)));
        }
    }

    fn foot(&self, out: &mut String) {
        out.push_str("<footer>\n");
        for note in notes(self.review) {
            out.push_str(&format!("<p>{}</p>\n", marked(&note)));
        }
        if let Some(voice) = super::voice(self.review) {
            out.push_str(&format!("<p>{}</p>\n", text(&voice)));
        }
        out.push_str(&format!(
            "<p>{:.1} s, {} a language model · index made with {}</p>\n</footer>\n",
            self.review.seconds,
            if self.review.voice.is_some() { "with" } else { "without" },
            text(&self.review.model)
        ));
    }
}

fn severity(finding: &Finding) -> &'static str {
    use crate::finding::Severity;
    match finding.severity {
        Severity::Info => "info",
        Severity::Minor => "minor",
        Severity::Major | Severity::Critical => "major",
    }
}

fn row(class: &str, old: Option<u32>, new: Option<u32>, line: &str) -> String {
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    format!("<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{line}</td></tr>\n", number(old), number(new))
}

fn place(path: &str, line: u32) -> String {
    format!("<code>{}:{line}</code>", text(path))
}

fn cited(citation: &Citation) -> String {
    format!("{} at <code>{}</code>", place(&citation.path, citation.lines[0]), short(&citation.commit))
}

/// Code with its line numbers, up to a length.
fn numbered(code: &str, first: u32) -> String {
    let mut out = String::from("<pre tabindex=\"0\">");
    let lines: Vec<&str> = code.lines().collect();
    for (number, line) in (first..).zip(lines.iter().take(MAX_CODE_LINES)) {
        out.push_str(&format!("<span class=\"number\">{number}</span>{}\n", text(line)));
    }
    if lines.len() > MAX_CODE_LINES {
        out.push_str(&format!("<span class=\"number\"></span>… {} more lines\n", lines.len() - MAX_CODE_LINES));
    }
    out.push_str("</pre>");
    out
}

/// The time line of a node's life: a mark for each edit, in the place of its date.
fn drawn(timeline: &Timeline) -> String {
    let (Some(first), Some(last)) =
        (timeline.events.iter().map(|event| event.when).min(), timeline.events.iter().map(|event| event.when).max())
    else {
        return String::new();
    };
    let span = (last - first).max(1) as f64;
    let mut out = format!(
        "<svg class=\"life\" role=\"img\" aria-label=\"{} edits from {} to {}\">\n<line x1=\"1%\" y1=\"14\" x2=\"99%\" y2=\"14\"/>\n",
        timeline.events.len(),
        day(first),
        day(last)
    );
    for event in timeline.events.iter().rev() {
        let x = 1.0 + (event.when - first) as f64 / span * 98.0;
        out.push_str(&format!(
            "<circle class=\"{}\" cx=\"{x:.2}%\" cy=\"14\" r=\"4\"><title>{} {} {}: {}</title></circle>\n",
            event.class,
            day(event.when),
            short(&event.commit),
            event.change,
            text(&event.subject)
        ));
    }
    out.push_str("</svg>\n");
    out.push_str(&format!("<p class=\"dates\"><span>{}</span>", day(first)));
    for (class, word) in [
        ("born", "added"),
        ("edit", "edited"),
        ("fix", "fixed"),
        ("revert", "undone"),
        ("move", "moved"),
        ("gone", "removed"),
    ] {
        let count = timeline.events.iter().filter(|event| event.class == class).count();
        if count > 0 {
            out.push_str(&format!("<span class=\"key {class}\">{count} × {word}</span>"));
        }
    }
    out.push_str(&format!("<span>{}</span></p>\n", day(last)));
    out
}

/// A text as HTML: nothing in it is markup, and nothing in it is unseen.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 16);
    // Tabs stay, for code; everything else that has no shape is spelled out.
    for (at, part) in raw.split('\t').enumerate() {
        if at > 0 {
            out.push('\t');
        }
        for letter in visible(part).chars() {
            match letter {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                letter => out.push(letter),
            }
        }
    }
    out
}

/// A sentence whose code spans are code.
fn marked(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        // A backtick without a partner opens nothing.
        match (at % 2 == 1, at + 1 < parts.len()) {
            (true, true) => out.push_str(&format!("<code>{}</code>", text(part))),
            (true, false) => out.push_str(&format!("`{}", text(part))),
            (false, _) => out.push_str(&text(part)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup_or_unseen() {
        assert_eq!(text("<b a='1'>&\"\t\u{202e}x"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;\tU+202Ex");
        assert_eq!(marked("`<i>` and `x"), "<code>&lt;i&gt;</code> and `x");
        assert_eq!(marked("a"), "a");
    }

    #[test]
    fn long_code_is_cut_and_says_so() {
        let code = "x\n".repeat(MAX_CODE_LINES + 5);
        let shown = numbered(&code, 7);
        assert!(shown.contains("<span class=\"number\">7</span>x\n") && shown.contains("… 5 more lines"), "{shown}");
    }
}
