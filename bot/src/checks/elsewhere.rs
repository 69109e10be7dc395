//! Elsewhere: the names that a change takes out of the code, and the words that still speak of them.

use precedent_pipeline::lineage::last_name;

use super::gone::{self, Gone, What};
use super::mention::{self, Form, Mention, is_about_another_time, is_historical, is_unmistakable, occurrences};
use super::tree::{Role, Tree, words};
use super::{Scene, anchor};
use crate::change::Change;
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
    let mut comments = gone::OldComments::default();
    let names = gone::candidates(scene.change).into_iter().filter_map(|candidate| {
        let mut mentions = present(scene, mention::mentions(scene.tree, candidate.name)?)?;
        let mut gone = comments.in_code(scene.change, &candidate)?;
        gone::define(scene.change, &mut gone);
        let is_local = matches!(gone.what, What::Used | What::Parameter) || is_test(&gone.path);
        if is_local {
            // What was defined elsewhere may be spoken of elsewhere; a parameter and a test's own names have one home.
            mentions.retain(|mention| is_at_home(scene, &gone, mention));
        }
        let has_heir = matches!(gone.what, What::Used | What::Function) && is_outgrown(scene.change, &gone);
        // A name that only became private or public reads the same in prose.
        let is_same = gone.replacement.as_ref().is_some_and(|new| new.eq_ignore_ascii_case(&gone.name));
        if is_same || has_heir || is_silenced(scene.change, &gone) || may_be_inherited(scene.change, &gone) {
            return None;
        }
        mentions.retain(|mention| means(&gone, mention) && is_about_it(scene, &gone, mention));
        (!mentions.is_empty()).then_some(Spoken { gone, mentions })
    });
    let options = gone::options(scene.change).into_iter().filter_map(|gone| {
        let mentions = present(scene, options_named(scene.tree, &gone.name)?)?;
        Some(Spoken { gone, mentions })
    });
    names.chain(options).collect()
}

/// Whether there may be such a name: the same without a look at the syntax of what changed.
pub(super) fn may_speak(scene: &Scene<'_>) -> bool {
    let is_named = |name: &str| mention::mentions(scene.tree, name).and_then(|found| present(scene, found)).is_some();
    gone::candidates(scene.change).iter().any(|candidate| is_named(candidate.name))
        || gone::options(scene.change)
            .iter()
            .any(|gone| options_named(scene.tree, &gone.name).and_then(|found| present(scene, found)).is_some())
}

/// The mentions that speak of now, if any do.
fn present(scene: &Scene<'_>, mut mentions: Vec<Mention>) -> Option<Vec<Mention>> {
    mentions.retain(|mention| is_present(scene, mention));
    (!mentions.is_empty()).then_some(mentions)
}

/// Whether a mention speaks of now, in words that this change did not write.
fn is_present(scene: &Scene<'_>, mention: &Mention) -> bool {
    let path = scene.tree.path(mention.file);
    if mention.is_document && (is_historical(path) || is_test_data(path)) {
        return false;
    }
    if mention.is_document && scene.owns_up() {
        return false;
    }
    let Some(text) = scene.tree.text(mention.file) else { return false };
    if is_about_another_time(&text, mention.line) || !mention.is_document && is_among_disused(&text, mention.line) {
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
    !is_new || was_there()
}

/// Whether a name stands beside a longer one now, as `select` gave way to `select_by`: words about the shorter often hold of
/// both.
fn is_outgrown(change: &Change, gone: &Gone) -> bool {
    let Some(file) = change.file(&gone.path) else { return false };
    words(&file.after).any(|(_, word)| extends(word, &gone.name))
}

/// Whether a word is a name with words before or after it.
fn extends(word: &str, name: &str) -> bool {
    let is_seam = |rest: &str| rest.starts_with(|next: char| next == '_' || next.is_ascii_uppercase());
    word.strip_prefix(name).is_some_and(is_seam)
        || word
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('_') || name.starts_with(char::is_uppercase) && !rest.is_empty())
}

/// Whether a mention must be about what is gone, and about nothing else that goes by the name. Many types have a field of
/// one name, and a name of two words may be that of somebody else's function.
fn is_about_it(scene: &Scene<'_>, gone: &Gone, mention: &Mention) -> bool {
    let (is_marked, is_long) = (mention.form != Form::Plain, is_long(&gone.name));
    let path = scene.tree.path(mention.file);
    if is_file_name(scene.tree, mention, &gone.name) {
        return false;
    }
    // `Moved`, which is `PointerMoved` now: prose goes on calling it the short way.
    let is_shorthand = gone.replacement.as_ref().is_some_and(|new| extends(new, &gone.name));
    if is_shorthand && !is_marked {
        return false;
    }
    let owner = owner(&gone.node.symbol, &gone.name);
    let is_qualified = !owner.is_empty()
        && ["::", ".", "#"].iter().any(|mark| mention.text[..mention.at].ends_with(&format!("{owner}{mark}")));
    if mention.is_fenced && !mention.is_document {
        // An example uses what it imports, of whomever.
        return gone.what != What::Used && (is_long || is_qualified);
    }
    match gone.what {
        What::Used => return is_marked,
        What::Parameter => return is_marked || is_long,
        What::Field | What::Variant if !is_marked && !is_long => return is_qualified,
        _ => {}
    }
    let directory = |path: &str| path.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
    if mention.is_document || is_qualified || directory(path) == directory(&gone.path) {
        return true;
    }
    let is_telling = match gone.what {
        What::Field | What::Variant => false,
        What::Type => is_marked || is_long,
        _ => is_marked && is_long,
    };
    let is_type = owner.len() >= 5 && owner.starts_with(char::is_uppercase) || is_unmistakable(owner);
    let names_owner = |text: &str| is_type && occurrences(text, owner).next().is_some();
    is_telling || scene.tree.text(mention.file).is_some_and(|text| names_owner(&text))
}

/// Whether a method may have been inherited since: the type that it belonged to has a line of its own in this change, and
/// builds on another there.
fn may_be_inherited(change: &Change, gone: &Gone) -> bool {
    let owner = owner(&gone.node.symbol, &gone.name);
    let Some(file) = change.file(&gone.path).filter(|_| !owner.is_empty()) else { return false };
    let lines: Vec<&str> = file.after.lines().collect();
    file.diff.added.iter().filter_map(|number| lines.get(*number as usize - 1)).any(|line| {
        let declares = line.trim_start().split_once(&format!("class {owner}"));
        declares.is_some_and(|(_, rest)| {
            rest.starts_with('(') && !rest.starts_with("()")
                || rest.contains("extends")
                || rest.starts_with([':', '<']) && rest.len() > 1
        })
    })
}

/// A parameter or a variable that was silenced, and not removed.
fn is_silenced(change: &Change, gone: &Gone) -> bool {
    let silenced = format!("_{}", gone.name.trim_start_matches('_'));
    let is_small = matches!(gone.what, What::Parameter | What::Field | What::Used);
    is_small && change.file(&gone.path).is_some_and(|file| occurrences(&file.after, &silenced).next().is_some())
}

/// Code that was commented out.
fn is_disused(mention: &Mention) -> bool {
    !mention.is_fenced && mention.text.trim_end().ends_with([';', '{', '}'])
}

/// Whether the lines beside a line are code that was commented out, which it then belongs to.
fn is_among_disused(text: &str, line: u32) -> bool {
    let lines: Vec<&str> = text.lines().skip((line as usize).saturating_sub(2)).take(3).collect();
    let is_comment = |line: &str| line.trim_start().starts_with("//") && !line.trim_start().starts_with("///");
    let is_code = |line: &str| is_comment(line) && line.trim_end().ends_with([';', '{', '}', ',', '(']);
    let own = usize::from(line > 1);
    let beside = lines.iter().enumerate().filter(|(at, _)| *at != own);
    beside.filter(|(_, line)| is_code(line)).count() == 2
}

/// Whether a mention is the name of a file that is there: `Name.ext`.
fn is_file_name(tree: &Tree<'_>, mention: &Mention, name: &str) -> bool {
    let after = &mention.text[mention.at + name.len()..];
    let Some(rest) = after.strip_prefix('.') else { return false };
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let file = format!("{name}.{}", &rest[..end]);
    end > 0 && tree.paths().any(|path| path.rsplit('/').next() == Some(&file))
}

/// What a name belonged to: the last part of the symbol that is not the name itself.
fn owner<'s>(symbol: &'s str, name: &str) -> &'s str {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    symbol.rsplit(|letter: char| !is_word(letter)).find(|part| !part.is_empty() && *part != name).unwrap_or_default()
}

/// A name of three words or more, which no two people come up with.
fn is_long(name: &str) -> bool {
    let humps = name.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    name.split('_').filter(|part| part.len() > 1).count() + humps.count() >= 3
}

/// Documents that tests read are data; what explains the tests is not.
fn is_test_data(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_data = |part: &str| {
        ["fixture", "testdata", "snapshot", "golden", "corpus", "test_data", "__snapshots__"]
            .iter()
            .any(|word| part.contains(word))
    };
    let is_read_by_people =
        name.to_lowercase().starts_with("readme") || name.to_lowercase().starts_with("contributing");
    directory.to_lowercase().split('/').any(is_data) || is_test(directory) && !is_read_by_people
}

/// Whether a path is that of tests, whose names mean nothing outside.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| {
        let stem = part.split('.').next().unwrap_or(part);
        matches!(stem, "test" | "tests" | "testing" | "spec" | "__tests__")
            || stem.starts_with("test_")
            || stem.ends_with("_test")
    })
}

/// Whether a mention stands in a comment of the file that lost the name.
fn is_at_home(scene: &Scene<'_>, gone: &Gone, mention: &Mention) -> bool {
    !mention.is_document && scene.tree.path(mention.file) == &*gone.path
}

/// Whether a mention can mean nothing else than what is gone.
fn means(gone: &Gone, mention: &Mention) -> bool {
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
    if is_disused(mention) {
        return false;
    }
    if mention.form == Form::Plain && mention.is_document && gone.what != What::Environment {
        return false;
    }
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
    body.push_str(" No code at the head of this change holds the name.");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_among_disused_code_belongs_to_it() {
        let text = "// trait Q {\n//     Name,\n// }\nfn f() {}\n// see Name\n// about it.\n";
        assert!(is_among_disused(text, 2));
        assert!(!is_among_disused(text, 5));
    }

    #[test]
    fn a_longer_name_extends_a_shorter_one_at_a_seam() {
        for (word, name, expected) in [
            ("select_nth_unstable_by", "select_nth_unstable", true),
            ("try_open_file", "open_file", true),
            ("FooBarBaz", "FooBar", true),
            ("NewFooBar", "FooBar", true),
            ("open_files", "open_file", false),
            ("open_file", "open_file", false),
        ] {
            assert_eq!(extends(word, name), expected, "{word} {name}");
        }
    }

    #[test]
    fn documents_among_tests_are_data_unless_they_explain() {
        for (path, expected) in [
            ("tests/fixtures/a.md", true),
            ("crates/x/tests/data.md", true),
            ("tests/README.md", false),
            ("docs/testing.md", false),
            ("pkg/testdata/README.md", true),
        ] {
            assert_eq!(is_test_data(path), expected, "{path}");
        }
    }

    #[test]
    fn names_of_three_words_are_long() {
        for (name, expected) in
            [("overall_memory_budget", true), ("FileSliceTrait", true), ("num_idle", false), ("setSegment", false)]
        {
            assert_eq!(is_long(name), expected, "{name}");
        }
    }

    #[test]
    fn an_owner_is_what_a_name_stands_in() {
        for (symbol, name, expected) in
            [("Config", "max_size", "Config"), ("Config::open", "open", "Config"), ("open_file", "open_file", "")]
        {
            assert_eq!(owner(symbol, name), expected, "{symbol}");
        }
    }

    #[test]
    fn paths_of_tests_are_known() {
        for (path, expected) in
            [("tests/a.rs", true), ("pkg/a_test.go", true), ("test_a.py", true), ("src/testimony.rs", false)]
        {
            assert_eq!(is_test(path), expected, "{path}");
        }
    }
}
