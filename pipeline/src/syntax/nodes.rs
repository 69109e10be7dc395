//! The nodes of a source with a grammar: its items, and the runs of statements between them.
//!
//! Here items become nodes: they get their text, their symbol and their place. Finding them in the syntax tree is done in
//! `items.rs`, the arithmetic of their extents in `extent.rs`.

use std::ops::Range;

use super::extent::{Lines, NumberedLine, dedent, gaps, paragraphs, widen};
use super::items::{Item, find};
use super::languages::{Grammar, Shape};
use super::split::emit;
use super::stretches::Stretch;
use super::window::{Outline, PlacedNode, find_from};
use super::{Cut, Kind, Node, Reading};

/// A symbol that is longer is not extended by the names of what stands inside it.
const MAX_SYMBOL_BYTES: usize = 512;

/// The nodes of a source, in file order.
pub(super) fn nodes(grammar: &'static Grammar, source: &str) -> Vec<Node> {
    let grammar = grammar.for_source(source);
    let lines = Lines::of(source);
    let items = find(grammar, &lines, &[]).unwrap_or_default().items;
    let (extents, _) = widened(&lines, &items);
    let cuts = assemble(grammar, &lines, &items, &extents, &[], &[]);
    cuts.into_iter()
        .map(|(cut, _)| match cut {
            Cut::New(node) => node,
            Cut::Same { .. } => unreachable!("because nothing is carried over from nothing"),
        })
        .collect()
}

/// The nodes of a source as far as they are not those of the version before it, and what the next version is cut from.
pub(super) fn cut(
    grammar: &'static Grammar,
    text: String,
    before: Option<&Outline>,
) -> (Vec<Cut>, Option<Outline>, Reading) {
    let source = text.as_str();
    let grammar = grammar.for_source(source);
    let before = before.filter(|before| grammar.has_windows && std::ptr::eq(before.grammar, grammar));
    let lines = Lines::of(source);
    let windowed = before.and_then(|before| find_from(before, &lines));
    let reading = match (&windowed, before) {
        (Some(_), _) => Reading::Windows,
        (None, Some(_)) => Reading::Doubtful,
        (None, None) => Reading::Whole,
    };
    let (found, carried) = match windowed {
        Some(windowed) => (Some(windowed.found), windowed.carried),
        None => (find(grammar, &lines, &[]), Vec::new()),
    };
    let parsed = found.is_some();
    let found = found.unwrap_or_default();
    let (extents, whole) = widened(&lines, &found.items);
    let old_nodes = before.map_or(&[][..], |before| &before.nodes);
    let owned = assemble(grammar, &lines, &found.items, &extents, &carried, old_nodes);
    let nodes = owned.iter().map(|(cut, owner)| PlacedNode { lines: cut.lines(), owner: *owner }).collect();
    let cuts = owned.into_iter().map(|(cut, _)| cut).collect();
    let starts = lines.starts.into();
    let outline = parsed.then(|| Outline {
        grammar,
        source: text.into_boxed_str(),
        starts,
        nodes,
        items: found.items,
        extents,
        whole,
        errors: found.errors,
        reports: found.reports,
    });
    (cuts, outline, reading)
}

/// The extents of items widened to lines, and which share none of their lines with anything.
fn widened(lines: &Lines<'_>, items: &[Item]) -> (Vec<Range<usize>>, Vec<bool>) {
    let mut extents: Vec<_> = items.iter().map(|item| item.extent.clone()).collect();
    let is_node = |item: &Item| item.shape != Shape::Plain;
    let mut of_nodes: Vec<_> = items.iter().filter(|item| is_node(item)).map(|item| item.extent.clone()).collect();
    widen(lines, &mut extents);
    let is_whole =
        |extent: &Range<usize>| extent.start == lines.start(extent.start) && extent.end == lines.end(extent.end);
    let whole = extents.iter().map(is_whole).collect();
    // Statements between items do not keep an item from taking the rest of its lines.
    widen(lines, &mut of_nodes);
    let nodes = extents.iter_mut().zip(items).filter(|(_, item)| is_node(item));
    for ((extent, _), of_node) in nodes.zip(of_nodes) {
        *extent = of_node;
    }
    (extents, whole)
}

/// Items and the stretches between them become nodes, but for the lines that are carried over. With each node comes the
/// first line of the item that it is, or is a part of.
fn assemble(
    grammar: &Grammar,
    lines: &Lines<'_>,
    items: &[Item],
    extents: &[Range<usize>],
    carried: &[Stretch],
    old_nodes: &[PlacedNode],
) -> Vec<(Cut, u32)> {
    let is_carried = |line: usize| {
        let at = carried.partition_point(|carried| carried.new_end() <= line);
        at < carried.len() && carried[at].new_start <= line
    };
    let come_over: Vec<bool> =
        extents.iter().map(|extent| !carried.is_empty() && is_carried(lines.index(extent.start))).collect();
    let mut inside = vec![Vec::new(); items.len()];
    let mut top = Vec::new();
    for (item, extent) in items.iter().zip(extents).filter(|(item, _)| item.shape != Shape::Plain) {
        item.parent.map_or(&mut top, |parent| &mut inside[parent as usize]).push(extent.clone());
    }
    let mut out = Vec::new();
    let mut owners = Vec::new();
    runs(&Place::default(), grammar, left(gaps(lines, 0..lines.source.len(), &top), &is_carried), &mut out);
    for (index, place) in places(grammar, items, &come_over).iter().enumerate() {
        if come_over[index] {
            continue;
        }
        let (item, extent) = (&items[index], extents[index].clone());
        let (start_line, end_line) = (lines.number(extent.start), lines.number(extent.end));
        // A stretch between items owns itself, whole or in parts.
        owners.extend(out[owners.len()..].iter().map(|node: &Node| node.start_line));
        let node = |kind| place.node(kind, item, start_line, end_line);
        match item.shape {
            Shape::Leaf(kind) => {
                emit(node(kind), &dedent(&lines.within(extent)), &mut out);
                owners.resize(out.len(), start_line);
            }
            Shape::Container(kind) => {
                emit(node(kind), &dedent(&gaps(lines, extent, &inside[index]).concat()), &mut out);
                owners.resize(out.len(), start_line);
            }
            Shape::Scope if place.in_leaf => {}
            Shape::Plain => {}
            Shape::Scope => runs(place, grammar, left(gaps(lines, extent, &inside[index]), &is_carried), &mut out),
        }
    }
    owners.extend(out[owners.len()..].iter().map(|node| node.start_line));
    let mut cuts: Vec<(Cut, u32)> = out.into_iter().map(Cut::New).zip(owners).collect();
    for lines in carried {
        let first = old_nodes.partition_point(|node| (node.lines.0 as usize) <= lines.old.start);
        let now = |line: u32| u32::try_from(line as usize - lines.old.start + lines.new_start).unwrap_or(u32::MAX);
        for (index, node) in old_nodes.iter().enumerate().skip(first) {
            if node.lines.0 as usize > lines.old.end {
                break;
            }
            // A part of what begins before these lines was cut anew with the whole of it.
            if node.owner as usize > lines.old.start {
                let (start_line, end_line) = (now(node.lines.0), now(node.lines.1));
                cuts.push((Cut::Same { index, start_line, end_line }, now(node.owner)));
            }
        }
    }
    // The sort is stable, and an outer item comes before those inside it.
    cuts.sort_by_key(|(cut, _)| cut.lines().0);
    cuts
}

/// The stretches that are not carried over.
fn left<'s>(stretches: Vec<Vec<NumberedLine<'s>>>, is_carried: &dyn Fn(usize) -> bool) -> Vec<Vec<NumberedLine<'s>>> {
    let is_new = |stretch: &Vec<NumberedLine<'_>>| stretch.first().is_some_and(|line| !is_carried(line.0 as usize - 1));
    stretches.into_iter().filter(is_new).collect()
}

/// What stands between items, one node a stretch. A stretch of closing brackets says nothing and is none.
fn runs(place: &Place, grammar: &Grammar, stretches: Vec<Vec<NumberedLine<'_>>>, out: &mut Vec<Node>) {
    let symbol = joined(&place.inside, "(top)", grammar);
    let cut = |stretch| if grammar.cuts_runs { paragraphs(stretch) } else { vec![stretch] };
    for stretch in stretches.into_iter().flat_map(cut) {
        let closers = |line: &NumberedLine<'_>| {
            line.1.chars().all(|letter| letter.is_whitespace() || "})];".contains(letter))
                || grammar.closers.contains(&line.1.trim())
        };
        let lines = dedent(&stretch);
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
        if lines.iter().all(closers) {
            continue;
        }
        let node = Node {
            kind: Kind::Run,
            name: String::new(),
            symbol: symbol.clone(),
            container: place.label.clone(),
            start_line: first.0,
            end_line: last.0,
            text: String::new(),
        };
        emit(node, &lines, out);
    }
}

/// Where an item stands, and what it lends to the names of those inside it.
#[derive(Default)]
struct Place {
    symbol: String,
    container: String,
    /// The symbol that those inside it extend, and the container that they name: `Vec` and `Foo for Vec` in an impl.
    inside: String,
    label: String,
    /// Whether its text is also the text of an item around it.
    in_leaf: bool,
}

/// The place of each item; of those that come over, and all that is in them, none is made.
fn places(grammar: &Grammar, items: &[Item], come_over: &[bool]) -> Vec<Place> {
    let outermost = Place::default();
    let mut places: Vec<Place> = Vec::with_capacity(items.len());
    for (item, come_over) in items.iter().zip(come_over) {
        let Some(named) = item.label.as_ref().filter(|_| !come_over) else {
            places.push(Place::default());
            continue;
        };
        let around = item.parent.map_or(&outermost, |parent| &places[parent as usize]);
        let whose = |path: &str| match named.owner.as_str() {
            "" => path.to_owned(),
            owner => lent(path, owner, grammar),
        };
        let (path, container) = (whose(&around.inside), whose(&around.label));
        let leaf_around = item.parent.is_some_and(|parent| matches!(items[parent as usize].shape, Shape::Leaf(_)));
        let label = match named.interface.as_str() {
            "" => named.name.clone(),
            interface => format!("{interface} for {}", named.name),
        };
        let own = match item.shape {
            Shape::Container(Kind::Impl) => &format!("impl {label}"),
            _ => &label,
        };
        places.push(Place {
            symbol: joined(&path, own, grammar),
            inside: lent(&path, &named.name, grammar),
            label: lent(&container, &label, grammar),
            container,
            in_leaf: leaf_around || around.in_leaf,
        });
    }
    places
}

impl Place {
    fn node(&self, kind: Kind, item: &Item, start_line: u32, end_line: u32) -> Node {
        Node {
            kind: if item.is_test { Kind::Test } else { kind },
            name: item.name().to_owned(),
            symbol: self.symbol.clone(),
            container: self.container.clone(),
            start_line,
            end_line,
            text: String::new(),
        }
    }
}

/// A path with one more name.
fn joined(path: &str, name: &str, grammar: &Grammar) -> String {
    if path.is_empty() { name.to_owned() } else { [path, name].join(grammar.separator) }
}

/// The path that an item lends to those inside it. `_`, as of a nameless constant, adds nothing.
fn lent(path: &str, name: &str, grammar: &Grammar) -> String {
    if name == "_" || path.len() > MAX_SYMBOL_BYTES { path.to_owned() } else { joined(path, name, grammar) }
}

#[cfg(test)]
mod tests {
    use crate::syntax::{Node, language, nodes};

    fn of(language_name: &str, source: &str) -> Vec<Node> {
        nodes(language(language_name).expect("because the tests name languages of the table"), source)
    }

    /// Checks nodes, written as `kind symbol lines: text`, with `|` for line breaks.
    #[track_caller]
    fn check(language_name: &str, source: &str, expected: &[&str]) {
        let shown = |node: &Node| {
            let text = node.text.replace('\n', "|");
            format!("{} {} {}-{}: {text}", node.kind.as_str(), node.symbol, node.start_line, node.end_line)
        };
        let found: Vec<_> = of(language_name, source).iter().map(shown).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn functions_inside_macro_calls_are_found() {
        let source = "cfg_rt! {\n    /// Doc.\n    #[inline]\n    pub fn f() {}\n\n    impl A {\n        fn g() {}\n    }\n\n    cfg_more! {\n        fn h() {}\n    }\n}\n";
        let found = [
            "run (top) 1-1: cfg_rt! {",
            "function f 2-4: /// Doc.|#[inline]|pub fn f() {}",
            "impl impl A 6-8: impl A {|}",
            "function A::g 7-7: fn g() {}",
            "run (top) 10-10: cfg_more! {",
            "function h 11-11: fn h() {}",
        ];
        check("rust", source, &found);
        // What stands in a function, in other brackets, or does not parse as items is no scope.
        let in_function = "fn f() {\n    m! { fn g() {} }\n}\n";
        check("rust", in_function, &["function f 1-3: fn f() {|    m! { fn g() {} }|}"]);
        check("rust", "m!(fn g() {});\n", &["run (top) 1-1: m!(fn g() {});"]);
        check("rust", "m! { fn g() {} => }\n", &["run (top) 1-1: m! { fn g() {} => }"]);
    }

    #[test]
    fn leaves_are_whole_and_containers_are_what_is_left() {
        let source = "impl<T> Foo<T> for a::Vec<T> {\n    const N: u8 = 1;\n    // kept\n\n    /// Does.\n    fn f() {\n        g();\n    }\n}\n";
        check(
            "rust",
            source,
            &[
                "impl impl Foo for a::Vec 1-9: impl<T> Foo<T> for a::Vec<T> {|    // kept|}",
                "const a::Vec::N 2-2: const N: u8 = 1;",
                "function a::Vec::f 5-8: /// Does.|fn f() {|    g();|}",
            ],
        );
        assert_eq!(of("rust", source)[2].container, "Foo for a::Vec");
        check(
            "python",
            "class A(B):\n    \"\"\"Doc.\"\"\"\n\n    def f(self):\n        pass\n\n    x = 1\n",
            &["class A 1-7: class A(B):|    \"\"\"Doc.\"\"\"|    x = 1", "function A.f 4-5: def f(self):|    pass"],
        );
    }

    #[test]
    fn a_method_that_comes_or_goes_leaves_its_container() {
        let without = of("rust", "impl A {\n    fn f() {}\n}\n");
        let with = of("rust", "impl A {\n    fn f() {}\n\n    fn g() {}\n}\n");
        assert_eq!(without[0].text, with[0].text);
        assert_eq!(with[0].text, "impl A {\n}");
    }

    #[test]
    fn every_kind_of_item_is_found() {
        let source = "struct A<T>(T);\nenum B { C }\nunion D { e: u8 }\ntrait E { type F; fn g(); }\ntype H = A<u8>;\nmacro_rules! i { () => {} }\nstatic J: u8 = 1;\n";
        let found: Vec<_> =
            of("rust", source).iter().map(|node| format!("{} {}", node.kind.as_str(), node.symbol)).collect();
        assert_eq!(
            found.join(", "),
            "struct A, enum B, union D, trait E, type-alias E::F, function E::g, type-alias H, macro i, const J"
        );
    }

    #[test]
    fn modules_lend_their_name_and_are_no_nodes() {
        check(
            "rust",
            "use a;\n\n#[cfg(x)]\nmod m {\n    use b;\n\n    mod n {\n        fn f() {}\n    }\n}\nmod o;\n",
            &[
                "run (top) 1-1: use a;",
                "run m::(top) 3-5: #[cfg(x)]|mod m {|    use b;",
                "run m::n::(top) 7-7: mod n {",
                "function m::n::f 8-8: fn f() {}",
                "run (top) 11-11: mod o;",
            ],
        );
        check(
            "rust",
            "extern \"C\" {\n    fn f();\n}\n",
            &["run (top) 1-1: extern \"C\" {", "function f 2-2: fn f();"],
        );
    }

    #[test]
    fn nested_functions_belong_to_both() {
        check(
            "rust",
            "fn f() {\n    if a {\n        fn g() {}\n    }\n}",
            &["function f 1-5: fn f() {|    if a {|        fn g() {}|    }|}", "function f::g 3-3: fn g() {}"],
        );
        check(
            "rust",
            "const _: () = {\n    fn g() {}\n};",
            &["const _ 1-3: const _: () = {|    fn g() {}|};", "function g 2-2: fn g() {}"],
        );
        check(
            "python",
            "def f():\n  def g(): pass\n  return g",
            &["function f 1-3: def f():|  def g(): pass|  return g", "function f.g 2-2: def g(): pass"],
        );
    }

    #[test]
    fn extents_begin_with_what_leads_up_to_the_item() {
        check(
            "rust",
            "// far\n\n// near\n#[a]\n\n/// doc\n\npub fn f() {} // end\n",
            &["run (top) 1-1: // far", "function f 3-8: // near|#[a]||/// doc||pub fn f() {} // end"],
        );
        check(
            "rust",
            "//! in\nstruct A; // of A\nfn f() {}\n",
            &["run (top) 1-1: //! in", "struct A 2-2: struct A; // of A", "function f 3-3: fn f() {}"],
        );
        check(
            "python",
            "# c\n@d\n# e\nasync def f():\n    pass\n    # tail\n# out\n",
            &["function f 1-6: # c|@d|# e|async def f():|    pass|    # tail", "run (top) 7-7: # out"],
        );
    }

    #[test]
    fn tests_are_told_by_attribute_or_name() {
        let kinds = |language: &str, source: &str| {
            of(language, source).iter().map(|node| node.kind.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kinds("rust", "#[test]\n/// x\nfn f() {}\n#[tokio::test(a = 1)]\nasync fn g() {}"), "test test");
        assert_eq!(
            kinds("rust", "#[cargo_test]\nfn f() {}\n#[cfg(test)]\nfn g() {}\n#[latest] fn h() {}"),
            "test function function"
        );
        assert_eq!(kinds("python", "def test_a(): pass\ndef testB(): pass"), "test function");
        assert_eq!(
            kinds("python", "class TestA:\n  def testB(self): pass\n  def c(self): pass"),
            "class test function"
        );
    }

    #[test]
    fn items_on_one_line_share_it_by_bytes() {
        check(
            "rust",
            "fn a() {} x!(); fn b() {}\n",
            &["run (top) 1-1: x!(); ", "function a 1-1: fn a() {}", "function b 1-1: fn b() {}"],
        );
        check("rust", "impl A { fn a() {} }", &["impl impl A 1-1: impl A { | }", "function A::a 1-1: fn a() {}"]);
    }

    #[test]
    fn what_does_not_parse_is_kept() {
        check(
            "rust",
            "fn a() {}\n}}} struct ;; x\nfn b() {}\nimpl C {\n    fn d() { if }\n",
            &[
                "function a 1-1: fn a() {}",
                "run (top) 2-2: }}} struct ;; x",
                "function b 3-3: fn b() {}",
                "impl impl C 4-5: impl C {",
                "function C::d 5-5: fn d() { if }",
            ],
        );
        let found = of("python", "def a(:\n    pass\n\ndef b(): pass\n");
        assert_eq!(found.last().map(|node| node.symbol.as_str()), Some("b"), "{found:?}");
    }

    #[test]
    fn symbols_may_stand_twice() {
        let symbols: Vec<_> =
            of("rust", "#[a]\nfn f() {}\n#[b]\nfn f() {}").into_iter().map(|node| node.symbol).collect();
        assert_eq!(symbols, ["f", "f"]);
    }

    #[test]
    fn line_endings_and_depth_do_not_change_a_text() {
        let text = |source: &str| of("rust", source).pop().map(|node| node.text);
        let plain = text("fn f() {\n\tg();\n}\n");
        assert_eq!(text("fn f() {\r\n\tg();\r\n}\r\n"), plain);
        assert_eq!(text("mod m {\n\tfn f() {\n\t\tg();\n\t}\n}"), plain);
    }

    #[test]
    fn an_empty_file_has_no_nodes() {
        check("rust", "", &[]);
        check("python", "\n \n", &[]);
        check("rust", "}\n", &[]);
    }
}
