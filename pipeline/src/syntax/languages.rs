//! The language table: what each language calls its parts. It is data; adding a language is adding an entry.
//!
//! A language is either a grammar (items are found by parsing) or a text format (blocks are found line by line). What is
//! done with an entry stands elsewhere: `nodes.rs` and `anatomy.rs` read grammars, `blocks.rs` reads formats.

use std::sync::OnceLock;

use super::Kind;
use super::parse::Roles;

/// A language that can be cut into nodes.
#[derive(Debug)]
pub struct Language {
    /// Its name in lower case, `rust`.
    pub name: &'static str,
    /// File name endings in lower case, without the dot.
    pub(super) extensions: &'static [&'static str],
    /// Whole file names in lower case; one that ends in `*` stands for every extensionless name that begins so.
    pub(super) file_names: &'static [&'static str],
    /// What opens a comment, for finding the marks of generated files.
    pub(super) comments: &'static [&'static str],
    pub(super) rules: Rules,
}

/// How a language is cut.
#[derive(Debug)]
pub(super) enum Rules {
    Grammar(&'static Grammar),
    Blocks(Format),
}

impl Language {
    /// Whether files of this language are prose or settings rather than code.
    pub const fn is_text(&self) -> bool {
        matches!(self.rules, Rules::Blocks(_))
    }
}

impl PartialEq for Language {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Language {}

/// The language of this name, if there is one.
pub fn language(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.name == name)
}

/// What a grammar calls its items. Strings are node types of the tree-sitter grammar unless they say otherwise.
#[derive(Debug)]
pub(super) struct Grammar {
    pub(super) parser: fn() -> tree_sitter::Language,
    /// What stands between the parts of a symbol.
    pub(super) separator: &'static str,
    pub(super) items: &'static [Item],
    /// Node types that may hold items without being one.
    pub(super) open: &'static [&'static str],
    pub(super) comments: &'static [&'static str],
    /// Attributes and decorators: they belong to the item that follows.
    pub(super) attributes: &'static [&'static str],
    /// Macro calls. What their last child holds between braces is read as items if it parses as such.
    pub(super) macros: &'static [&'static str],
    /// Text with which a comment documents what follows it, and what looks the same but does not.
    pub(super) outer_docs: &'static [&'static str],
    pub(super) not_outer_docs: &'static [&'static str],
    /// Text with which a comment documents what it stands in.
    pub(super) inner_docs: &'static [&'static str],
    /// Whether a string that opens a body documents it.
    pub(super) docstrings: bool,
    /// Last segments of attribute paths that make a function a test; so does any that ends in `_test`.
    pub(super) test_attributes: &'static [&'static str],
    /// Function names that begin so are tests.
    pub(super) test_prefixes: &'static [&'static str],
    /// Function names that begin so are tests inside a class whose name holds `Test`.
    pub(super) test_method_prefixes: &'static [&'static str],
    /// The field that holds a function's parameters, and the node types in it that are a parameter's name.
    pub(super) parameters: &'static str,
    pub(super) bindings: &'static [&'static str],
    /// Names that a method's first parameter has by custom.
    pub(super) receiver_names: &'static [&'static str],
    /// Node types whose text is an identifier.
    pub(super) identifiers: &'static [&'static str],
    /// Node types of string content that may capture `{identifiers}` when they stand inside one of `captures_in`.
    pub(super) captures: &'static [&'static str],
    pub(super) captures_in: &'static [&'static str],
    /// A source with a line that is indented further is not parsed. tree-sitter-python's scanner keeps its indentation
    /// levels, two bytes each, in a buffer of 1,024 bytes whose last byte it can overrun; 360 levels are safe.
    pub(super) max_indent_columns: usize,
    pub(super) roles: OnceLock<Roles>,
}

/// One node type that is an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) node: &'static str,
    pub(super) shape: Shape,
    /// The field that holds its name.
    pub(super) name: &'static str,
    /// The field that says for which interface a container stands, if there can be one.
    pub(super) interface: &'static str,
}

/// What becomes of the items inside an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// They are nodes, and stay in its text too.
    Leaf(Kind),
    /// They are nodes, and are cut out of its text.
    Container(Kind),
    /// They are nodes; it is none, and only lends them its name.
    Scope,
    /// It is no node and holds none: a statement between items. It stands in no table.
    Plain,
}

impl Shape {
    /// Whether what it holds is cut out of its text.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Shape::Container(_) | Shape::Scope)
    }
}

const fn item(node: &'static str, shape: Shape, name: &'static str) -> Item {
    Item { node, shape, name, interface: "" }
}

/// How a text format is cut into blocks.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) style: Style,
    /// Characters of which three or more open a passage that is never cut.
    pub(super) fences: &'static [char],
    /// Whether a deeper line after a blank one continues the block.
    pub(super) indent_continues: bool,
    /// What opens a comment line; comments directly above a heading go with it.
    pub(super) comments: &'static [&'static str],
}

/// What counts as a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
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

const HASH: &[&str] = &["#"];
const SLASHES: &[&str] = &["//", "/*", "*"];

/// Every language, grammars first. Where two claim a file, the first wins.
pub(super) static LANGUAGES: [Language; 23] = [
    Language { name: "rust", extensions: &["rs"], file_names: &[], comments: SLASHES, rules: Rules::Grammar(&RUST) },
    Language {
        name: "python",
        extensions: &["py", "pyi", "pyw"],
        file_names: &["sconstruct", "wscript"],
        comments: &["#", "\"\"\"", "'''"],
        rules: Rules::Grammar(&PYTHON),
    },
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
        extensions: &["sh", "bash", "zsh", "fish", "ksh", "envrc"],
        file_names: &[
            ".bashrc",
            ".bash_profile",
            ".profile",
            ".zshrc",
            ".envrc",
            "configure",
            "pkgbuild",
            "_cargo",
            "_rg",
        ],
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

static RUST: Grammar = Grammar {
    parser: || tree_sitter_rust::LANGUAGE.into(),
    separator: "::",
    items: &[
        item("function_item", Shape::Leaf(Kind::Function), "name"),
        item("function_signature_item", Shape::Leaf(Kind::Function), "name"),
        item("struct_item", Shape::Leaf(Kind::Struct), "name"),
        item("enum_item", Shape::Leaf(Kind::Enum), "name"),
        item("union_item", Shape::Leaf(Kind::Union), "name"),
        item("trait_item", Shape::Container(Kind::Trait), "name"),
        Item { node: "impl_item", shape: Shape::Container(Kind::Impl), name: "type", interface: "trait" },
        item("type_item", Shape::Leaf(Kind::TypeAlias), "name"),
        item("associated_type", Shape::Leaf(Kind::TypeAlias), "name"),
        item("macro_definition", Shape::Leaf(Kind::Macro), "name"),
        item("const_item", Shape::Leaf(Kind::Const), "name"),
        item("static_item", Shape::Leaf(Kind::Const), "name"),
        item("mod_item", Shape::Scope, "name"),
    ],
    open: &[
        "source_file",
        "declaration_list",
        "foreign_mod_item",
        "block",
        "expression_statement",
        "unsafe_block",
        "async_block",
        "const_block",
        "if_expression",
        "else_clause",
        "match_expression",
        "match_block",
        "match_arm",
        "while_expression",
        "loop_expression",
        "for_expression",
    ],
    comments: &["line_comment", "block_comment"],
    attributes: &["attribute_item"],
    macros: &["macro_invocation"],
    outer_docs: &["///", "/**"],
    not_outer_docs: &["////", "/***", "/**/"],
    inner_docs: &["//!", "/*!"],
    docstrings: false,
    test_attributes: &["test", "rstest", "test_case", "proptest", "quickcheck", "test_log", "bench"],
    test_prefixes: &[],
    test_method_prefixes: &[],
    parameters: "parameters",
    bindings: &["identifier", "shorthand_field_identifier"],
    receiver_names: &[],
    identifiers: &["identifier", "type_identifier", "field_identifier", "shorthand_field_identifier", "metavariable"],
    captures: &["string_content"],
    captures_in: &["token_tree"],
    max_indent_columns: usize::MAX,
    roles: OnceLock::new(),
};

static PYTHON: Grammar = Grammar {
    parser: || tree_sitter_python::LANGUAGE.into(),
    separator: ".",
    items: &[
        item("function_definition", Shape::Leaf(Kind::Function), "name"),
        item("class_definition", Shape::Container(Kind::Class), "name"),
        item("type_alias_statement", Shape::Leaf(Kind::TypeAlias), "left"),
    ],
    open: &[
        "module",
        "block",
        "decorated_definition",
        "if_statement",
        "elif_clause",
        "else_clause",
        "for_statement",
        "while_statement",
        "try_statement",
        "except_clause",
        "finally_clause",
        "with_statement",
        "match_statement",
        "case_clause",
    ],
    comments: &["comment"],
    attributes: &["decorator"],
    macros: &[],
    outer_docs: &[],
    not_outer_docs: &[],
    inner_docs: &[],
    docstrings: true,
    test_attributes: &[],
    test_prefixes: &["test_"],
    test_method_prefixes: &["test"],
    parameters: "parameters",
    bindings: &["identifier"],
    receiver_names: &["self", "cls"],
    identifiers: &["identifier"],
    captures: &[],
    captures_in: &[],
    max_indent_columns: 360,
    roles: OnceLock::new(),
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_languages_share_a_name_or_an_extension() {
        let mut seen = HashSet::new();
        for language in &LANGUAGES {
            assert!(seen.insert(language.name), "{} stands twice", language.name);
        }
        let mut seen = HashSet::new();
        for extension in LANGUAGES.iter().flat_map(|language| language.extensions) {
            assert!(seen.insert(extension), ".{extension} stands twice");
        }
    }

    #[test]
    fn every_node_type_and_field_in_the_table_exists_in_its_grammar() {
        for grammar in [&RUST, &PYTHON] {
            let language = (grammar.parser)();
            let items = grammar.items.iter().map(|item| item.node);
            let others = [
                grammar.open,
                grammar.comments,
                grammar.attributes,
                grammar.macros,
                grammar.identifiers,
                grammar.captures,
            ];
            for node in items.chain(others.into_iter().flatten().copied()) {
                assert_ne!(language.id_for_node_kind(node, true), 0, "{node} is no node type");
            }
            for field in grammar.items.iter().flat_map(|item| [item.name, item.interface]).chain([grammar.parameters]) {
                assert!(field.is_empty() || language.field_id_for_name(field).is_some(), "{field} is no field");
            }
        }
    }

    #[test]
    fn languages_are_found_by_name() {
        assert_eq!(language("rust").map(|found| found.name), Some("rust"));
        assert_eq!(language("Rust"), None);
    }
}
