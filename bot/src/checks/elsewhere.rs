//! Elsewhere: the names that a change takes out of the code, and the words that still speak of them.

use precedent_pipeline::lineage::last_name;

use super::gone::{self, Gone, What};
use super::mention::{self, Form, Mention, is_about_another_time, is_historical};
use super::tree::{Role, Tree};
use super::{Scene, anchor};
use crate::finding::{Citation, Finding, Severity, Side};
use crate::render::{code, visible};

/// Places that are cited for one name.
const MAX_CITED: usize = 3;

/// A name that nothing uses any more, and where it is still spoken of.
pub(super) struct Spoken {
    pub(super) gone: Gone,
    pub(super) mentions: Vec<Mention>,
}

/// Every name that this change takes out of use and that documentation still names, in order of the names.
pub(super) fn spoken(scene: &Scene<'_>) -> Vec<Spoken> {
    let names = gone::names(scene.change).into_iter().filter_map(|mut gone| {
        let Some(mentions) = mention::mentions(scene.tree, &gone.name) else { return local(scene, gone) };
        let mut mentions: Vec<Mention> =
            mentions.into_iter().filter(|mention| is_present(scene, &gone, mention)).collect();
        if mentions.is_empty() {
            return None;
        }
        gone::define(scene.change, &mut gone);
        if gone.what == What::Used {
            // What was defined elsewhere may be spoken of elsewhere.
            mentions.retain(|mention| is_at_home(scene, &gone, mention));
        }
        mentions.retain(|mention| means(scene.tree, &gone, mention));
        (!mentions.is_empty()).then_some(Spoken { gone, mentions })
    });
    let options = gone::options(scene.change).into_iter().filter_map(|gone| {
        let mut mentions = options_named(scene.tree, &gone.name)?;
        mentions.retain(|mention| is_present(scene, &gone, mention));
        (!mentions.is_empty()).then_some(Spoken { gone, mentions })
    });
    names.chain(options).collect()
}

/// A variable that its file holds no more, named in code markup by a comment there. Other files may have one of that name.
fn local(scene: &Scene<'_>, mut gone: Gone) -> Option<Spoken> {
    let file = scene.tree.find(&gone.path)?;
    let mut mentions = mention::in_file(scene.tree, file, &gone.name)?;
    mentions.retain(|mention| {
        mention.form == Form::Markup && is_present(scene, &gone, mention) && means(scene.tree, &gone, mention)
    });
    if mentions.is_empty() || !gone::is_bound(scene.change, &gone) {
        return None;
    }
    gone::define(scene.change, &mut gone);
    if gone.what != What::Used {
        // What has a definition may stand elsewhere now.
        return None;
    }
    gone.what = What::Variable;
    Some(Spoken { gone, mentions })
}

/// Whether a mention speaks of now, in words that this change did not write.
fn is_present(scene: &Scene<'_>, gone: &Gone, mention: &Mention) -> bool {
    let path = scene.tree.path(mention.file);
    if mention.is_document && is_historical(path) {
        return false;
    }
    let Some(text) = scene.tree.text(mention.file) else { return false };
    if is_about_another_time(&text, mention.line) {
        return false;
    }
    let Some(file) = scene.change.file(path) else { return true };
    let is_new = file.diff.added.binary_search(&mention.line).is_ok();
    let was_there = || {
        let trimmed = mention.text.trim();
        scene.change.files.iter().any(|other| {
            (other.path == file.path || !other.exists) && other.before.lines().any(|line| line.trim() == trimmed)
        })
    };
    let _ = gone;
    !is_new || was_there()
}

/// Whether a mention stands in a comment of the file that lost the name.
fn is_at_home(scene: &Scene<'_>, gone: &Gone, mention: &Mention) -> bool {
    !mention.is_document && scene.tree.path(mention.file) == &*gone.path
}

/// Whether a mention can mean nothing else than what is gone.
fn means(tree: &Tree<'_>, gone: &Gone, mention: &Mention) -> bool {
    let (before, after) = (&mention.text[..mention.at], &mention.text[mention.at + gone.name.len()..]);
    if before.ends_with(['/', '-', '\\', '@', '$', '%']) && !before.ends_with("//") || after.starts_with(['/', '-']) {
        return false;
    }
    let is_file_name = after.strip_prefix('.').is_some_and(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
        [
            "rs", "py", "go", "ts", "js", "java", "md", "rst", "toml", "json", "txt", "yml", "yaml", "sh", "html", "c",
            "h",
        ]
        .contains(&&rest[..end])
    });
    if is_file_name || before.contains("http://") || before.contains("https://") {
        return false;
    }
    // A block of code in a document is a program of its own; in a comment it is an example of this one.
    if mention.is_fenced && (mention.is_document || defines(&mention.text, &gone.name)) {
        return false;
    }
    if mention.form == Form::Plain && mention.is_document && gone.what != What::Environment {
        return false;
    }
    let _ = tree;
    is_ours(gone, before)
}

/// A line that gives the name a meaning of its own.
fn defines(line: &str, name: &str) -> bool {
    let words = [
        "fn ",
        "def ",
        "func ",
        "function ",
        "class ",
        "struct ",
        "enum ",
        "let ",
        "const ",
        "var ",
        "type ",
        "trait ",
        "interface ",
    ];
    words.iter().any(|word| line.contains(&format!("{word}{name}")))
        || [" =", " :=", ":", " :"]
            .iter()
            .any(|mark| line.contains(&format!("{name}{mark}")) && !line.contains(&format!("{name}::")))
}

/// Whether the qualifier of a mention, if it has one, is that of the name.
fn is_ours(gone: &Gone, before: &str) -> bool {
    let Some(rest) =
        before.strip_suffix("::").or_else(|| before.strip_suffix('#')).or_else(|| before.strip_suffix('.'))
    else {
        return true;
    };
    let start = rest
        .rfind(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .map_or(0, |at| at + rest[at..].chars().next().map_or(1, char::len_utf8));
    let qualifier = &rest[start..];
    if qualifier.is_empty() || ["crate", "self", "Self", "super", "this", "cls"].contains(&qualifier) {
        return true;
    }
    let path = gone.path.replace('-', "_");
    let in_path = path.split(['/', '.']).any(|part| part == qualifier);
    let in_symbol = gone
        .node
        .symbol
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .any(|part| part == qualifier);
    // A chain of names in a role or a link is a path, and not a value.
    let is_chain = rest[..start].ends_with(['.', '~', '`', ':']);
    let is_variable = before.ends_with('.') && qualifier.starts_with(char::is_lowercase) && !is_chain;
    let is_own_name = last_name(&gone.node.symbol) == qualifier;
    in_path || in_symbol || is_own_name || is_variable
}

/// Where documents and comments name an option; `None` when code still knows it.
fn options_named(tree: &Tree<'_>, name: &str) -> Option<Vec<Mention>> {
    let snake = name.replace('-', "_");
    let hump = |word: &str| word[..1].to_uppercase() + &word[1..];
    let camel: String = name.split('-').filter(|part| !part.is_empty()).map(hump).collect();
    let lower = camel[..1].to_lowercase() + &camel[1..];
    for spelling in [&snake, &camel, &lower] {
        mention::mentions(tree, spelling)?;
    }
    let mut found = Vec::new();
    for file in tree.holders(name) {
        // Completions are copies of the options, and follow them by hand or by program.
        if tree.path(file).to_lowercase().contains("complet") {
            continue;
        }
        let Some(text) = tree.text(file) else { continue };
        let bounded = |at: usize| {
            let rest = &text[at + name.len()..];
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
                && !rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_alphanumeric))
        };
        let is_whole = |at: usize| {
            !text[..at].trim_end_matches("--").ends_with(|last: char| last.is_alphanumeric() || last == '-')
        };
        let starts: Vec<usize> =
            text.match_indices(name).map(|(at, _)| at).filter(|at| bounded(*at) && is_whole(*at)).collect();
        let comments = match tree.role(file) {
            Role::Document(_) => None,
            Role::Code(language) => Some(tree.comments(file, language)?),
            Role::Settings | Role::Other if starts.is_empty() => continue,
            Role::Settings | Role::Other => return None,
        };
        for at in starts {
            if let Some(comments) = &comments
                && !comments.iter().any(|range| range.contains(&at))
            {
                return None;
            }
            if text[..at].ends_with("--") {
                let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
                found.push(Mention {
                    file,
                    line: u32::try_from(text[..start].matches('\n').count() + 1).unwrap_or(u32::MAX),
                    text: text[start..].lines().next().unwrap_or_default().to_owned(),
                    at: at - start,
                    form: Form::Markup,
                    is_document: comments.is_none(),
                    is_fenced: false,
                });
            }
        }
    }
    Some(found)
}

/// The claim about one name.
pub(super) fn finding(scene: &Scene<'_>, check: &'static str, spoken: &Spoken) -> Option<Finding> {
    let Spoken { gone, mentions } = spoken;
    let path_of = |mention: &Mention| scene.tree.path(mention.file).to_owned();
    // Where the words themselves are shown, that is the place to say so.
    let shown = mentions
        .iter()
        .find_map(|mention| Some((mention, anchor::of_new_line(scene.change, &path_of(mention), mention.line)?)));
    let (first, anchor, is_in_place) = match shown {
        Some((mention, anchor)) => (mention, anchor, true),
        None => (
            mentions.iter().min_by_key(|mention| (mention.form, mention.file, mention.line))?,
            anchor::of_removed_name(scene.change, &gone.path, &gone.name, gone.line)?,
            false,
        ),
    };
    let head = &scene.change.head;
    let mut citations = Vec::new();
    let rest = mentions.iter().filter(|mention| *mention != first);
    for mention in std::iter::once(first).chain(rest).take(MAX_CITED) {
        citations.push(Citation::read(scene.objects, head, &path_of(mention), mention.line, mention.line)?);
    }
    let name = if gone.what == What::Option { format!("--{}", gone.name) } else { gone.name.clone() };
    let verb = match (&gone.replacement, gone.what) {
        (Some(new), _) => format!("which this change renames to {}", code(new)),
        (None, What::Used) => "whose last use this change removes".to_owned(),
        (None, _) => "which this change removes".to_owned(),
    };
    let what = if gone.what == What::Used { String::new() } else { format!("the {} ", gone.what.noun()) };
    let place = visible(&path_of(first));
    let mut body = format!("Line {} of {} reads: {}.", first.line, code(&place), code(&citations[0].quote));
    if mentions.len() > 1 {
        body.push_str(&format!(" It is named in {} places in all.", mentions.len()));
    }
    let where_to = if gone.what == What::Variable { "in this file" } else { "at the head of this change" };
    body.push_str(&format!(" No code {where_to} holds the name."));
    if let Some(origin) = Citation::read(scene.objects, &scene.change.base, &gone.path, gone.line, gone.line) {
        body.push_str(&format!(" It stood in line {} of {} before.", gone.line, code(&gone.path)));
        citations.push(origin);
    }
    let suggestion = gone
        .replacement
        .as_ref()
        .filter(|_| is_in_place && anchor.side == Side::Right)
        .map(|new| format!("{}{new}{}", &first.text[..first.at], &first.text[first.at + gone.name.len()..]));
    Some(Finding {
        id: Finding::id(check, &gone.node, &gone.name),
        check,
        path: anchor.path,
        side: anchor.side,
        start_line: None,
        line: anchor.line,
        severity: if first.is_document { Severity::Major } else { Severity::Minor },
        confidence: None,
        title: format!("{} still speaks of {what}{}, {verb}", code(&place), code(&name)),
        body,
        suggestion,
        citations,
    })
}
