//! Sanitise: text from a model, a repository or a person to Markdown that shows it and does nothing else. Pure.
//!
//! Nothing that is written here mentions anybody, refers to an issue, closes one, commands a bot, links, shows an image or
//! leaves its place. Entities are decoded first, since GitHub decodes them too; what has no width or turns the direction
//! of writing is shown as `U+XXXX`.

use crate::render::visible;

/// No comment is longer, in characters; GitHub takes 65,536.
pub const MAX_BODY_CHARS: usize = 60_000;
/// No paragraph of another's text is longer.
const MAX_PROSE_CHARS: usize = 4_000;
/// A suggestion of more lines is not applied without being read.
const MAX_SUGGESTION_LINES: usize = 10;
/// Nor is a longer one.
const MAX_SUGGESTION_CHARS: usize = 1_000;
/// Entities within entities are decoded so often.
const MAX_DECODING: usize = 4;

/// A paragraph. Code spans stay code; everything else that Markdown or GitHub would act on does not act.
pub fn prose(text: &str) -> String {
    let text = decoded(text);
    let text = match text.char_indices().nth(MAX_PROSE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.trim().to_owned(),
    };
    let text = visible(text.trim());
    let parts: Vec<&str> = text.split('`').collect();
    let mut out = String::with_capacity(text.len() + 16);
    for (at, part) in parts.iter().enumerate() {
        // A backtick without a partner opens nothing.
        let is_code = at % 2 == 1 && at + 1 < parts.len();
        if is_code && !part.trim().is_empty() {
            out.push_str(&format!("`{part}`"));
        } else {
            if at % 2 == 1 {
                out.push('\'');
            }
            out.push_str(&inert(part));
            if is_code {
                out.push('\'');
            }
        }
    }
    out
}

/// A name or a quotation as a code span that it cannot leave.
pub fn code(text: &str) -> String {
    crate::render::code(text)
}

/// Code spans are the same in a table, except that a bar ends the cell.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Whether an address can stand in a text as it is: it leads to a web page, and nothing in it could end it early.
pub fn is_plain_link(address: &str) -> bool {
    const MAX_LINK_CHARS: usize = 300;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/?#=&%:".contains(&byte);
    address.starts_with("https://") && address.len() <= MAX_LINK_CHARS && address.bytes().all(is_plain)
}

/// A `suggestion` block, when the text is complete, small, and exactly what it seems to be; else `None`.
pub fn suggestion(text: &str) -> Option<String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let is_small = text.lines().count() <= MAX_SUGGESTION_LINES && text.chars().count() <= MAX_SUGGESTION_CHARS;
    let is_plain = text.lines().all(|line| visible(&line.replace('\t', " ")) == line.replace('\t', " "));
    let looks_cut = text.lines().any(|line| matches!(line.trim(), "..." | "…" | "// ..." | "# ..."));
    if text.trim().is_empty() || !is_small || !is_plain || looks_cut {
        return None;
    }
    let fence = fence_for(text);
    Some(format!("{fence}suggestion\n{text}\n{fence}"))
}

/// Backticks that no line of the text can close.
fn fence_for(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// A body within GitHub's limit: cut between lines, outside fences and folds, and said to be cut.
pub fn capped(body: &str, limit: usize) -> String {
    const NOTE: &str = "\n\n(cut here: the rest is longer than a comment may be)\n";
    if body.chars().count() <= limit {
        return body.to_owned();
    }
    let room = limit.saturating_sub(NOTE.chars().count() + 64);
    let mut kept = String::new();
    let mut count = 0;
    let mut fence: Option<String> = None;
    let mut is_folded = false;
    // The end of the last line that stands outside of every fence.
    let mut safe_end = 0;
    for line in body.split_inclusive('\n') {
        count += line.chars().count();
        if count > room {
            break;
        }
        kept.push_str(line);
        let mark: String = line.trim_start().chars().take_while(|letter| *letter == '`').collect();
        match &fence {
            Some(open) if mark.len() >= open.len() => fence = None,
            None if mark.len() >= 3 => fence = Some(mark),
            _ => {}
        }
        if fence.is_none() {
            safe_end = kept.len();
            is_folded = (is_folded || line.starts_with("<details>")) && !line.starts_with("</details>");
        }
    }
    kept.truncate(safe_end);
    if is_folded {
        kept.push_str("\n</details>\n");
    }
    kept.push_str(NOTE);
    kept
}

/// Text outside code spans.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_start = true;
    for letter in text.chars() {
        match letter {
            // A zero-width space after these keeps mentions and references from being made.
            '@' | '#' => {
                out.push(letter);
                out.push('\u{200b}');
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '*' | '_' | '[' | ']' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(letter);
            }
            // "https://" would become a link.
            ':' => out.push_str(":\u{200b}"),
            // Bots obey a slash at the start.
            '/' if is_start => out.push_str("\u{200b}/"),
            '-' | '+' | '=' if is_start => {
                out.push('\\');
                out.push(letter);
            }
            _ => out.push(letter),
        }
        is_start &= letter == ' ';
    }
    // GitHub makes links of these without any markup.
    let out = out.replace(":\u{200b} ", ": ").replace("www.", "www\u{200b}.").replace("GH-", "GH\u{200b}-");
    unnamed_commits(&out)
}

/// GitHub links forty hexadecimal digits to a commit; nothing is lost when they are broken.
fn unnamed_commits(text: &str) -> String {
    const DIGITS: usize = 40;
    let mut out = String::with_capacity(text.len());
    let mut run = 0;
    for letter in text.chars() {
        run = if letter.is_ascii_hexdigit() { run + 1 } else { 0 };
        if run == DIGITS {
            out.push('\u{200b}');
            run = 0;
        }
        out.push(letter);
    }
    out
}

/// Character references decoded, again if decoding made one.
pub fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..MAX_DECODING {
        let next = decoded_once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn decoded_once(text: &str) -> String {
    const LONGEST: usize = 34;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(LONGEST).find(|(_, letter)| *letter == ';').map(|(end, _)| end);
        match end.and_then(|end| Some((end, entity(&rest[1..end])?))) {
            Some((end, letter)) => {
                out.push(letter);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Numbers, and the names of what could do something.
fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return Some(char::from_u32(code).filter(|letter| *letter != '\0').unwrap_or('\u{fffd}'));
    }
    let letter = match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "nbsp" | "NonBreakingSpace" => ' ',
        "commat" => '@',
        "num" => '#',
        "sol" => '/',
        "bsol" => '\\',
        "colon" => ':',
        "period" => '.',
        "excl" => '!',
        "lsqb" | "lbrack" => '[',
        "rsqb" | "rbrack" => ']',
        "lpar" => '(',
        "rpar" => ')',
        "grave" | "DiacriticalGrave" => '`',
        "ast" | "midast" => '*',
        "lowbar" | "UnderBar" => '_',
        "vert" | "verbar" | "VerticalLine" => '|',
        "NewLine" => '\n',
        "Tab" => '\t',
        "shy" => '\u{ad}',
        "ZeroWidthSpace" => '\u{200b}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "lrm" => '\u{200e}',
        "rlm" => '\u{200f}',
        _ => return None,
    };
    Some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(prose(text), expected);
    }

    #[test]
    fn words_cannot_become_markup() {
        check("by <img src=x> @team", "by &lt;img src=x&gt; @\u{200b}team");
        check("see [x](y) and ![z](w)", "see \\[x\\](y) and \\!\\[z\\](w)");
        check("[a]: https://x.y", "\\[a\\]: https:\u{200b}//x.y");
        check("`a_b <c>` stays", "`a_b <c>` stays");
        check("reads: fine", "reads: fine");
        check("www.x.y GH-12", "www\u{200b}.x.y GH\u{200b}-12");
        check("a $`x`$ b", "a \\$`x`\\$ b");
    }

    #[test]
    fn entities_are_decoded_before_anything_is_broken() {
        check("&#64;user", "@\u{200b}user");
        check("&amp;#64;user &commat;org/team", "@\u{200b}user @\u{200b}org/team");
        check("&lt;!-- x --&gt;", "&lt;\\!-- x --&gt;");
        check("a && b &; &unknown;", "a &amp;&amp; b &amp;; &amp;unknown;");
        check("&#x202e;x", "U+202Ex");
    }

    #[test]
    fn nothing_commands_a_bot_or_closes_an_issue() {
        check("/merge", "\u{200b}/merge");
        check("@dependabot merge", "@\u{200b}dependabot merge");
        check("Fixes #1, closes owner/repo#2", "Fixes #\u{200b}1, closes owner/repo#\u{200b}2");
        check("# Title", "#\u{200b} Title");
        check("- item", "\\- item");
        check(&"a".repeat(40), &format!("{}\u{200b}a", "a".repeat(39)));
    }

    #[test]
    fn a_backtick_without_a_partner_opens_nothing() {
        check("a ` b @c", "a ' b @\u{200b}c");
        check("`x` and ` @y", "`x` and ' @\u{200b}y");
    }

    #[test]
    fn suggestions_are_whole_small_and_plain() {
        assert_eq!(suggestion("let a = 1;\n"), Some("```suggestion\nlet a = 1;\n```".into()));
        assert_eq!(suggestion("/// ```\n"), Some("````suggestion\n/// ```\n````".into()));
        assert_eq!(suggestion("\tindented"), Some("```suggestion\n\tindented\n```".into()));
        for refused in ["", "  \n", "a\n...\nb", "a\u{202e}b", &"x\n".repeat(11), &"x".repeat(1001), "a\rb"] {
            assert_eq!(suggestion(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn long_bodies_are_cut_outside_of_fences() {
        let body = format!("intro\n\n<details>\n```\n{}```\n</details>\nend\n", "code\n".repeat(100));
        let cut = capped(&body, 300);
        assert!(cut.chars().count() <= 300, "{cut}");
        assert!(cut.starts_with("intro") && !cut.contains("```") && cut.contains("</details>"), "{cut}");
        assert!(cut.contains("cut here"));
        assert_eq!(capped("short", 300), "short");
        let wide = capped(&"é\n".repeat(40_000), MAX_BODY_CHARS);
        assert!(wide.chars().count() <= MAX_BODY_CHARS && wide.chars().count() > 50_000);
    }
}
