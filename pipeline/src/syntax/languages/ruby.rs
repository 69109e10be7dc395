//! Ruby.
//!
//! Calls with a title and a block, `describe "…" do` and `it "…" do`, are scopes and tests of that name.

use super::grammar::{Grammar, Shape, When, item};
use super::{HASH, Language, Rules};
use crate::syntax::Kind;
use crate::syntax::guard::Hazard;

pub(super) static RUBY: Language = Language {
    name: "ruby",
    extensions: &["rb", "rake", "gemspec", "ru", "podspec"],
    file_names: &["rakefile", "gemfile", "guardfile", "podfile", "vagrantfile", "brewfile", "capfile", "fastfile"],
    comments: HASH,
    rules: Rules::Grammar(&GRAMMAR),
};

const SUITES: &[&str] = &["describe", "context", "feature", "shared_examples", "shared_context"];
const TESTS: &[&str] = &["it", "specify", "scenario", "test", "should"];

static GRAMMAR: Grammar = Grammar {
    separator: "::",
    items: &[
        item("method", Shape::Leaf(Kind::Function), "name"),
        item("singleton_method", Shape::Leaf(Kind::Function), "name"),
        item("class", Shape::Container(Kind::Class), "name"),
        item("module", Shape::Scope, "name").when(When::Has(&["body"])),
        item("call", Shape::Scope, "").when(When::Calls(SUITES)).outside_leaves(),
        item("call", Shape::Leaf(Kind::Test), "").when(When::Calls(TESTS)).outside_leaves(),
    ],
    open: &[
        "program",
        "body_statement",
        "singleton_class",
        "do_block",
        "block",
        "block_body",
        "if",
        "unless",
        "then",
        "else",
        "elsif",
        "begin",
        "rescue",
        "ensure",
    ],
    // `private def f`
    wrappers: &["call", "argument_list"],
    call: ("method", "arguments"),
    functions: &["do_block", "block"],
    strings: &["string", "constant", "scope_resolution"],
    closers: &["end"],
    test_method_prefixes: &["test"],
    identifiers: &["identifier", "constant", "instance_variable", "class_variable", "global_variable"],
    hazard: Hazard::Heredocs,
    ..Grammar::of(|| tree_sitter_ruby::LANGUAGE.into())
};
