//! Macros of C and C++ that stand for no declaration: `API_BEGIN_NAMESPACE` on a line of its own, `class API Box {`.
//!
//! Without the preprocessor they look like types or names: what follows is then read as something else, a namespace as a
//! function that is called `namespace`, a class as a function that returns one. The parser sees comments in their place.
//! Whether a word is such a macro is told by it and by what is next to it alone, so that an edit has no reach that it
//! would not have otherwise.

/// Macros are seldom shorter, and so much is needed to put a comment in place of one.
const MIN_NAME: usize = 4;
/// As long as the longest with its arguments.
const SPACES: &str = match std::str::from_utf8(&[b' '; 256]) {
    Ok(spaces) => spaces,
    Err(_) => "",
};
/// How far to look for what follows one.
const MAX_AHEAD: usize = 4096;

/// What a declaration may begin with, and no name is.
const BEGINNINGS: &[&str] = &[
    "alignas",
    "auto",
    "bool",
    "char",
    "class",
    "concept",
    "const",
    "consteval",
    "constexpr",
    "constinit",
    "double",
    "enum",
    "explicit",
    "export",
    "extern",
    "float",
    "friend",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "private",
    "protected",
    "public",
    "short",
    "signed",
    "static",
    "struct",
    "template",
    "thread_local",
    "typedef",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
];
const TYPES: &[&str] = &["class", "struct", "union", "enum"];

/// The name of the macro that a comment stands in for. What is a comment begins with a slash.
pub(super) fn behind(comment: &str) -> Option<&str> {
    name_length(comment).map(|length| &comment[..length])
}

/// What stands in for macros, and where: comments of the same length, and space for access specifiers; in order.
pub(super) fn stand_ins(source: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut before = Before::Boundary;
    let mut end = 0;
    for whole in source.split_inclusive('\n') {
        let line = whole.trim();
        let start = end + whole.len() - whole.trim_start().len();
        end += whole.len();
        let after = &source[end..source.floor_char_boundary(end + MAX_AHEAD)];
        match alone(line) {
            Some(length) if before == Before::Boundary && goes_on(line, after) => {
                put(source, start, length, &mut found)
            }
            _ => {
                let ahead = &source[start..end + after.len()];
                if let Some(length) = before_constructor(ahead) {
                    put(source, start, length, &mut found);
                } else if let Some((offset, length)) = in_head(line, after) {
                    put(source, start + offset, length, &mut found);
                }
                before = before.and(line);
            }
        }
    }
    found
}

fn put(source: &str, at: usize, length: usize, found: &mut Vec<(usize, &'static str)>) {
    let is_specifier = source[at..at + length].ends_with(':');
    match (SPACES.get(..length), SPACES.get(..length - MIN_NAME)) {
        (Some(space), _) if is_specifier => found.push((at, space)),
        (_, Some("")) => found.push((at, "/**/")),
        (_, Some(space)) => found.extend([(at, "/*"), (at + 2, space), (at + length - 2, "*/")]),
        _ => {}
    }
}

/// What stands before a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A declaration may begin.
    Boundary,
    /// Something goes on.
    Open,
    /// A directive goes on.
    Directive,
}

impl Before {
    fn and(self, line: &str) -> Before {
        let code = without_remark(line);
        match () {
            () if code.ends_with('\\') && (code.starts_with('#') || self == Before::Directive) => Before::Directive,
            () if self == Before::Directive || code.starts_with('#') || code.ends_with("*/") => Before::Boundary,
            () if code.is_empty() => self,
            () if code.ends_with([';', '}', '{', ':', '>']) => Before::Boundary,
            () => Before::Open,
        }
    }
}

fn without_remark(line: &str) -> &str {
    line.find("//").map_or(line, |at| line[..at].trim_end())
}

/// The length of the macro that a line is, with its arguments or with the colon of an access specifier.
fn alone(line: &str) -> Option<usize> {
    let name = name_length(line)?;
    let code = without_remark(line);
    let rest = code.get(name..)?.trim_start();
    match rest.as_bytes() {
        [] | [b':'] => Some(code.len()),
        [b'(', ..] => (arguments_length(rest)? == rest.len()).then_some(code.len()),
        _ => None,
    }
}

/// Whether a declaration begins behind a macro that stands alone, and not with it as its type or its name.
fn goes_on(line: &str, after: &str) -> bool {
    let mut rest = after;
    let mut apart = without_remark(line).ends_with(':');
    let next = loop {
        let (line, others) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim_start();
        if line.starts_with("/*") {
            let Some(end) = rest.find("*/") else { return true };
            (apart, rest) = (true, &rest[end + 2..]);
            rest = rest.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n').unwrap_or(rest);
            continue;
        }
        if !line.trim().is_empty() && !line.starts_with("//") {
            break line;
        }
        if others.is_empty() {
            return true;
        }
        (apart, rest) = (true, others);
    };
    let word = &next[..next.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(next.len())];
    let begins = next.starts_with(['}', '#', '~']) || next.starts_with("[[") || BEGINNINGS.contains(&word);
    begins || alone(next.trim_end()).is_some() || apart && !word.is_empty()
}

/// The macros between the keyword and the name of a type that is declared with its body in a line.
fn in_head(line: &str, after: &str) -> Option<(usize, usize)> {
    let head = without_remark(line);
    let head = &head[..head.find('{').unwrap_or(head.len())];
    let ends_of_keywords = TYPES.iter().filter_map(|keyword| {
        let at = head.rfind(keyword)?;
        let is_word = !head[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        (is_word && head[at + keyword.len()..].starts_with([' ', '\t'])).then_some(at + keyword.len())
    });
    let keyword = ends_of_keywords.max()?;
    let blank = |at: usize| at + line[at..].len() - line[at..].trim_start().len();
    let start = blank(keyword);
    let mut end = start;
    let mut at = start;
    while let Some(name) = name_length(&line[at..]) {
        let arguments = Some(&line[at + name..]).filter(|rest| rest.starts_with('('));
        let whole = at + name + arguments.map_or(Some(0), arguments_length)?;
        let next = blank(whole);
        let names_type = |rest: &str| rest.starts_with(|first: char| first.is_alphabetic() || first == '_');
        if !names_type(&line[next..]) || line[next..].starts_with("final") {
            break;
        }
        (end, at) = (whole, next);
    }
    if end == start {
        return None;
    }
    let in_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let rest = line[at..].trim_start_matches(in_name).trim_start();
    let rest = rest.strip_prefix("final").map_or(rest, str::trim_start);
    let opens = rest.starts_with(['{', '<']) || rest.starts_with(':') && !rest.starts_with("::");
    (opens || without_remark(rest).is_empty() && after.trim_start().starts_with(['{', ':']))
        .then(|| (start, end - start))
}

/// The length of the macro that a text begins with, if a constructor follows that initialises members: that is no function
/// with the macro for its type.
fn before_constructor(text: &str) -> Option<usize> {
    let length = name_length(text)?;
    let rest = text[length..].strip_prefix(' ')?;
    let rest = rest.strip_prefix("explicit ").unwrap_or(rest);
    let name = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    let rest = &rest[name..];
    if name == 0 || !rest.starts_with('(') {
        return None;
    }
    let rest = rest[arguments_length(rest)?..].trim_start();
    let rest = rest.strip_prefix("noexcept").map_or(rest, str::trim_start);
    (rest.starts_with(':') && !rest.starts_with("::")).then_some(length)
}

/// The length of a name of capitals at the beginning of a text.
fn name_length(text: &str) -> Option<usize> {
    let is_in_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let length = text.bytes().take_while(|byte| is_in_name(byte)).count();
    let name = &text[..length];
    let is_name = length >= MIN_NAME && !name.starts_with(|first: char| first.is_ascii_digit());
    let ends = !text[length..].starts_with(|letter: char| letter.is_alphanumeric());
    (is_name && ends && name.bytes().any(|byte| byte.is_ascii_uppercase())).then_some(length)
}

/// The length of what stands between the first bracket of a text and its partner.
fn arguments_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source as the parser sees it, with stars in place of the space in comments that stand in.
    fn seen(source: &str) -> String {
        let mut seen = source.to_owned();
        for (at, text) in stand_ins(source) {
            seen.replace_range(at..at + text.len(), &text.replace(' ', "*"));
        }
        seen
    }

    #[test]
    fn a_macro_alone_before_a_declaration_is_a_comment() {
        for (source, expected) in [
            ("API_BEGIN\nnamespace a {\n", "/*******/\nnamespace a {\n"),
            ("};\n\n  API_EXPORT(1, (2))  // so\n\nclass A {};", "};\n\n  /****************/  // so\n\nclass A {};"),
            ("{\n  Q_OBJECT\n\n  Type f();\n", "{\n  /******/\n\n  Type f();\n"),
            ("{\nPRIVATE_UNLESS_TESTED:\n  a_t b;", "{\n**********************\n  a_t b;"),
            (
                "#define A\n/** d\n@x */\nAPI_PURE\nstatic int f();",
                "#define A\n/** d\n@x */\n/******/\nstatic int f();",
            ),
            ("A_BEGIN\nB_BEGIN\n#if X\n}\nA_END", "/*****/\n/*****/\n#if X\n}\n/***/"),
        ] {
            assert_eq!(seen(source), expected);
        }
    }

    #[test]
    fn a_word_of_capitals_that_is_part_of_something_is_none() {
        for source in [
            "BOOL\nf(void)\n{\n}",
            "static int\nHANDLER(int a)\n{\n}",
            "TEST_CASE(\"a\")\n{\n}",
            "enum a {\n  B_ONE,\n  B_LAST\n};",
            "int a = B_ONE |\n  B_TWO\n#if X\n;",
            "#define A \\\n  B_BEGIN \\\n  C_BEGIN\nint a;",
            "API_CALL(a);\nstatic int b;",
            "ABC\nstatic int a;",
            "struct FILE_T a = {};",
            "struct FILE_T *a(int b) {\n}",
            "class ABCD {\n};",
            "class ABCD final {\n};",
            "class ABCD : E {\n};",
        ] {
            assert_eq!(seen(source), source);
        }
    }

    #[test]
    fn a_macro_before_a_constructor_that_initialises_is_a_comment() {
        for (source, expected) in [
            ("  API_CONST Box(int a) : a_(a) {}", "  /*******/ Box(int a) : a_(a) {}"),
            (
                "API_CONST explicit Box(\n  int a)\n  noexcept : a_(a) {}",
                "/*******/ explicit Box(\n  int a)\n  noexcept : a_(a) {}",
            ),
        ] {
            assert_eq!(seen(source), expected);
        }
        for source in ["BOOL f(int a) { }", "BOOL f(int a);", "BOOL f(A::b)::c", "BOOL f(", "BOOL a : 3;"] {
            assert_eq!(seen(source), source);
        }
    }

    #[test]
    fn a_macro_before_the_name_of_a_type_is_a_comment() {
        for (source, expected) in [
            ("class API_X Box {\n};", "class /***/ Box {\n};"),
            (
                "template <T> struct API_X(\"a\") ALIGNED Box final : Base {",
                "template <T> struct /****************/ Box final : Base {",
            ),
            ("enum class API_X Kind : int { A };", "enum class /***/ Kind : int { A };"),
            ("struct PACKED box\n{\n};", "struct /****/ box\n{\n};"),
            ("template <class T> class API_X Box {", "template <class T> class /***/ Box {"),
            ("class API_X BOX\n  : Base", "class /***/ BOX\n  : Base"),
        ] {
            assert_eq!(seen(source), expected);
        }
    }
}
