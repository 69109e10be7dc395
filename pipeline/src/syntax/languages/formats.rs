//! Text formats: prose and settings, cut line by line.

use super::{HASH, Language, Rules, SLASHES};

/// How a text format is cut into blocks.
#[derive(Debug)]
pub(in crate::syntax) struct Format {
    pub(in crate::syntax) style: Style,
    /// Characters of which three or more open a passage that is never cut.
    pub(in crate::syntax) fences: &'static [char],
    /// Whether a deeper line after a blank one continues the block.
    pub(in crate::syntax) indent_continues: bool,
    /// What opens a comment line; comments directly above a heading go with it.
    pub(in crate::syntax) comments: &'static [&'static str],
}

/// What counts as a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::syntax) enum Style {
    /// Nothing.
    Plain,
    /// `# Title`, and titles underlined with `=` or `-`.
    Markdown,
    /// Titles underlined, or over- and underlined, with any punctuation; levels in order of appearance.
    Rst,
    /// `== Title`
    Asciidoc,
    /// `.SH TITLE`; paragraph macros cut like blank lines.
    Roff,
    /// `[table]`, `[[array]]`, `[section]`
    Tables,
    /// `key:` in the first column.
    Keys,
    /// `name() {` and `function name`, in the first column; names its own block only.
    Functions,
    /// `target: …` in the first column; names its own block only.
    Targets,
}

const fn format(style: Style, fences: &'static [char], comments: &'static [&'static str]) -> Rules {
    Rules::Blocks(Format { style, fences, indent_continues: true, comments })
}

/// Every text format. Where two claim a file, the first wins.
pub(super) static FORMATS: [Language; 21] = [
    Language {
        name: "markdown",
        extensions: &["md", "markdown", "mdown", "mkd", "mdx", "qmd"],
        file_names: &[],
        comments: &["<!--", "[//]"],
        rules: format(Style::Markdown, &['`', '~'], &[]),
    },
    Language {
        name: "restructuredtext",
        extensions: &["rst", "rest"],
        file_names: &[],
        comments: &[".."],
        rules: format(Style::Rst, &[], &[]),
    },
    Language {
        name: "asciidoc",
        extensions: &["adoc", "asciidoc"],
        file_names: &[],
        comments: &["//"],
        rules: format(Style::Asciidoc, &['-', '.', '+', '`'], &[]),
    },
    Language {
        name: "roff",
        extensions: &["1", "2", "3", "4", "5", "6", "7", "8", "man", "roff"],
        file_names: &[],
        comments: &[".\\\"", "'\\\"", "\\\""],
        rules: format(Style::Roff, &[], &[]),
    },
    Language {
        name: "toml",
        extensions: &["toml"],
        file_names: &["pipfile"],
        comments: HASH,
        rules: format(Style::Tables, &[], HASH),
    },
    Language {
        name: "yaml",
        extensions: &["yaml", "yml", "cff"],
        file_names: &[".clang-format", ".clang-tidy"],
        comments: HASH,
        rules: format(Style::Keys, &[], HASH),
    },
    Language {
        name: "ini",
        extensions: &["ini", "cfg", "conf", "properties", "desktop", "service"],
        file_names: &[".editorconfig", ".gitconfig", ".gitmodules", ".npmrc", ".flake8", ".pylintrc", ".coveragerc"],
        comments: &["#", ";", "!"],
        rules: format(Style::Tables, &[], &["#", ";"]),
    },
    Language {
        name: "shell",
        extensions: &["zsh", "fish"],
        file_names: &[".zshrc", ".zshenv", ".zprofile", "_cargo", "_rg"],
        comments: HASH,
        rules: format(Style::Functions, &[], HASH),
    },
    Language {
        name: "powershell",
        extensions: &["ps1", "psm1", "psd1"],
        file_names: &[],
        comments: &["#", "<#"],
        rules: format(Style::Functions, &[], HASH),
    },
    Language {
        name: "batch",
        extensions: &["bat", "cmd"],
        file_names: &[],
        comments: &["rem", "REM", "::", "@rem", "@REM"],
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "make",
        extensions: &["mk", "mak", "make"],
        file_names: &["makefile", "gnumakefile", "makefile.in", "makefile.am"],
        comments: HASH,
        rules: format(Style::Targets, &[], HASH),
    },
    Language {
        name: "just",
        extensions: &["just"],
        file_names: &["justfile", ".justfile"],
        comments: HASH,
        rules: format(Style::Targets, &[], HASH),
    },
    Language {
        name: "dockerfile",
        extensions: &["dockerfile", "containerfile"],
        file_names: &["dockerfile", "containerfile"],
        comments: HASH,
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "cmake",
        extensions: &["cmake"],
        file_names: &["cmakelists.txt"],
        comments: HASH,
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "html",
        extensions: &["html", "htm", "xhtml", "hbs", "tera", "j2"],
        file_names: &[],
        comments: &["<!--"],
        // Everything in a document is indented below its first line, so depth says nothing here.
        rules: Rules::Blocks(Format { style: Style::Plain, fences: &[], indent_continues: false, comments: &[] }),
    },
    Language {
        name: "css",
        extensions: &["css", "scss", "sass", "less"],
        file_names: &[],
        comments: SLASHES,
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "sql",
        extensions: &["sql"],
        file_names: &[],
        comments: &["--", "/*", "*"],
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "protobuf",
        extensions: &["proto"],
        file_names: &[],
        comments: SLASHES,
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "nix",
        extensions: &["nix"],
        file_names: &[],
        comments: &["#", "/*", "*"],
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "patterns",
        extensions: &["gitignore", "gitattributes", "dockerignore", "ignore", "mailmap"],
        file_names: &[
            ".gitignore",
            ".gitattributes",
            ".dockerignore",
            ".ignore",
            ".rgignore",
            ".npmignore",
            ".hgignore",
            ".prettierignore",
            ".eslintignore",
            ".mailmap",
            ".git-blame-ignore-revs",
            "codeowners",
            "requirements.txt",
        ],
        comments: HASH,
        rules: format(Style::Plain, &[], &[]),
    },
    Language {
        name: "text",
        extensions: &["txt", "text", "tex"],
        file_names: &[
            "readme*",
            "changelog*",
            "changes*",
            "history*",
            "news*",
            "license*",
            "licence*",
            "copying*",
            "copyright*",
            "unlicense*",
            "notice*",
            "patents*",
            "authors*",
            "contributors*",
            "contributing*",
            "maintainers*",
            "install*",
            "hacking*",
            "todo*",
            "security*",
            "thanks*",
            "credits*",
        ],
        comments: HASH,
        rules: format(Style::Plain, &[], &[]),
    },
];
