//! `precedent search`

use std::io::Read;
use std::process::ExitCode;

use precedent_bot::render::{clip, columns, visible};
use precedent_pipeline::search::{self, Brought, Explanation, Ground, Hit, Method, Query, QuestionKind};
use precedent_pipeline::syntax::{Kind as NodeKind, comments, language};

use super::json_line;
use crate::args::SearchArguments;
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::screen;

/// The most that is taken from standard input.
const MOST_BYTES: u64 = 1 << 20;
/// Lines of text shown for each result.
const SHOWN_LINES: usize = 3;

pub(crate) fn run(settings: &Settings, options: &SearchArguments) -> Result<ExitCode, Failure> {
    let text = question(&options.query)?;
    check_names(options)?;
    let place = Place::open(settings)?;
    let tip = match &options.as_of {
        Some(revision) => place.repository.resolve(revision)?,
        None => place.repository.head()?,
    };
    let query = Query {
        text,
        limit: usize::from(options.count),
        path: options.path.clone(),
        lang: options.lang.clone(),
        kind: options.kind.clone(),
        brought: Brought {
            author: options.author.clone(),
            since: options.since,
            // To the last second of the day.
            until: options.until.map(|until| until + 86_399),
        },
        measure: options.explain,
        elsewhere: place.cache(),
    };
    let objects = place.repository.objects();
    let found = if options.history {
        place.with_store(settings, &[tip], |store, embedder| {
            Ok(search::history(store, embedder, &objects, &tip, &query, options.all_versions)?)
        })?
    } else if !query.brought.is_any() || search::asks_history(&query.text) {
        place.with_archive(settings, &[tip], |archive, embedder| {
            Ok(search::alive(Ground::Archive(archive), embedder, &objects, &tip, &query)?)
        })?
    } else {
        place.with_store(settings, &[tip], |store, embedder| {
            Ok(search::alive(Ground::Store(&store), embedder, &objects, &tip, &query)?)
        })?
    };
    if settings.json {
        for hit in &found.hits {
            screen::print(&json_line(hit))?;
        }
    } else if found.hits.is_empty() {
        screen::print(nothing(options, &found.how))?;
    } else {
        let style = screen::style();
        for hit in &found.hits {
            screen::print(&shown(hit, style.width))?;
        }
    }
    if options.explain && settings.json {
        screen::print(&json_line(&Explained { explain: &found.how }))?;
    } else if options.explain {
        screen::print(&explained(&found.how))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The object that follows the results when it is asked for.
#[derive(serde::Serialize)]
struct Explained<'a> {
    explain: &'a Explanation,
}

fn explained(how: &Explanation) -> String {
    let looked = match how.method {
        Method::Exact => format!("compared all {} wanted vectors", how.wanted),
        Method::Codes => format!("looked at the codes of all {} wanted vectors, compared {}", how.wanted, how.compared),
        Method::Clusters => format!(
            "looked into {} of {} clusters, at the codes of {} of {} wanted vectors, compared {}",
            how.probed, how.clusters, how.scanned, how.wanted, how.compared
        ),
    };
    let recall = how.recall.map(|recall| format!("; found {:.0} % of the nearest ten", recall * 100.0));
    let asked = how.kind.map(|kind| match kind {
        QuestionKind::Symbol => "a name",
        QuestionKind::Code => "a piece of code",
        QuestionKind::Change => "a change",
        QuestionKind::Words => "a description",
    });
    let worded = screen::counted(how.worded.unwrap_or(0) as u64, "place");
    let asked = asked.map(|kind| format!("  question taken for {kind}; {worded} found by its words\n"));
    format!("{}  vectors  {looked}{}\n", asked.unwrap_or_default(), recall.unwrap_or_default())
}

/// The question as it was typed, or what standard input holds. Bytes that are no text become U+FFFD.
fn question(typed: &str) -> Result<String, Failure> {
    let text = if typed == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().take(MOST_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(Kind::Usage, format!("standard input cannot be read: {error}")))?;
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        typed.to_owned()
    };
    let unasked = |said: &str| Failure::new(Kind::Usage, said).with_hint("as in: precedent search \"parse a date\"");
    if text.trim().is_empty() {
        return Err(unasked("the question is empty"));
    }
    let read = search::readable(&text);
    if !read.chars().any(char::is_alphanumeric) {
        return Err(unasked("the question holds no word"));
    }
    if read.len() < text.trim().len() {
        screen::tell(&format!("note: of the question, the first {} bytes are read", read.len()));
    }
    Ok(read.to_owned())
}

/// A kind or a language that nothing could have is a slip of the fingers.
fn check_names(options: &SearchArguments) -> Result<(), Failure> {
    if let Some(kind) = &options.kind
        && NodeKind::from_name(kind).is_none()
    {
        let names = NodeKind::ALL.map(NodeKind::as_str).join(", ");
        return Err(Failure::new(Kind::Usage, format!("`{kind}` is no kind of node"))
            .with_hint(format!("the kinds are {names}")));
    }
    match &options.lang {
        Some(lang) if language(lang).is_none() => Err(Failure::new(Kind::Usage, format!("`{lang}` is not indexed"))
            .with_hint("languages are named as in: rust, python, typescript, cpp, csharp, bash, markdown, toml")),
        _ => Ok(()),
    }
}

fn shown(hit: &Hit, width: usize) -> String {
    let name = format!("{:>3}  {:.2}  {}", hit.rank, hit.score, visible(&hit.symbol));
    let place = format!("{}:{}-{}", visible(&hit.path), hit.lines[0], hit.lines[1]);
    let gap = width.saturating_sub(columns(&name) + columns(&place));
    let mut out =
        if gap >= 2 { format!("{name}{}{place}\n", " ".repeat(gap)) } else { format!("{name}\n           {place}\n") };
    if let Some(life) = &hit.life {
        let state = if life.alive { "alive" } else { "gone" };
        out.push_str(&format!(
            "           {} version{}, {} to {}, {state}\n",
            life.versions,
            if life.versions == 1 { "" } else { "s" },
            &life.first_commit[..7],
            &life.last_commit[..7]
        ));
    }
    for line in telling(&hit.text, lead(&hit.lang, &hit.text)) {
        out.push_str(&format!("           {}\n", clip(visible(line).trim_end(), width.saturating_sub(11))));
    }
    out
}

/// The bytes of the comments that a text begins with.
fn lead(lang: &str, text: &str) -> usize {
    let found = language(lang).and_then(|language| comments(language, text)).unwrap_or_default();
    found.iter().fold(0, |end, comment| {
        let goes_on = text.get(end..comment.start).is_some_and(|between| between.trim().is_empty());
        if goes_on { comment.end } else { end }
    })
}

/// A few lines of a text that say something: no blank ones, and none of brackets and the marks of a comment alone. Of the
/// comments that it begins with there is one, where it has more than that.
fn telling(text: &str, lead: usize) -> impl Iterator<Item = &str> {
    let says = |line: &&str| line.chars().any(char::is_alphanumeric);
    // A text that has no such line is shown as it is.
    let any = text.lines().any(|line| says(&line));
    let shown = move |line: &&str| if any { says(line) } else { !line.trim().is_empty() };
    let (words, rest) = text.split_at(lead);
    let room = if rest.lines().any(|line| shown(&line)) { 1 } else { SHOWN_LINES };
    words.lines().filter(shown).take(room).chain(rest.lines().filter(shown)).take(SHOWN_LINES)
}

/// What to say where nothing was found.
fn nothing(options: &SearchArguments, how: &Explanation) -> &'static str {
    match (how.wanted, &options.path) {
        (0, Some(_)) => "  nothing found: nothing passes the filters; paths are from the root of the repository\n",
        (0, None) => "  nothing found: nothing passes the filters\n",
        _ => "  nothing found\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_say_something_are_shown() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(telling(text, lead("java", text)).collect::<Vec<&str>>(), expected);
        };
        check("/**\n * Adds.\n *\n */\nint add() {\n}\n", &[" * Adds.", "int add() {"]);
        check("// One.\n// Two.\n\n/* Three.\nFour. */\n@A\nint add() {\n  b\n}\n", &["// One.", "@A", "int add() {"]);
        check("// One.\n// Two.\n", &["// One.", "// Two."]);
        check("\n{\n}\n", &["{", "}"]);
        check("a\nb\nc\nd\n", &["a", "b", "c"]);
        check("", &[]);
    }
}
