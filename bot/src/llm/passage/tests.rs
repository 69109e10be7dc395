//! Tests of what is shown to a model.

use super::*;

#[test]
fn a_signature_ends_where_the_body_opens() {
    let check = |text: &str, expected: &str| assert_eq!(signature(text), expected);
    check("/// Says.\n#[inline]\nfn a(\n    b: u8,\n) -> u8 {\n    b\n}", "fn a( b: u8, ) -> u8 {");
    check("@wraps\ndef a(b):\n    return b", "def a(b):");
    check("", "");
}

#[test]
fn precedents_are_chosen_by_what_they_add() {
    let candidate = |text: &str, value: f64, tokens: usize| Candidate {
        text: text.into(),
        citations: Vec::new(),
        value,
        tokens,
        bag: Bag::of(text),
    };
    let all = || {
        vec![
            candidate("the shift overflowed and was fixed", 0.9, 20),
            candidate("the shift overflowed and was fixed again", 0.8, 20),
            candidate("callers retry three times", 0.5, 20),
            candidate("tests cover the limit", 0.4, 20),
            candidate("a long story of the module", 0.3, 300),
            candidate("docs name the unit", 0.2, 20),
            candidate("nobody else calls it", 0.1, 20),
        ]
    };
    let texts = |most: usize, room: usize| -> Vec<String> {
        chosen(all(), most, room).iter().map(|offered| format!("{} {:.12}", offered.id, offered.text)).collect()
    };
    let usual = Limits::default();
    assert_eq!(usual.precedents, 4);
    assert_eq!(
        texts(usual.precedents, usual.precedent_tokens),
        ["P1 the shift ov", "P2 callers retr", "P3 tests cover ", "P4 a long story"],
        "what says the same again adds little"
    );
    assert_eq!(
        texts(4, 90),
        ["P1 the shift ov", "P2 callers retr", "P3 tests cover ", "P4 docs name th"],
        "what does not fit gives way to what does"
    );
    assert_eq!(texts(9, 45).len(), 2, "the room ends");
    assert_eq!((texts(0, 500).len(), texts(2, 500).len(), texts(9, 10).len()), (0, 2, 0));
}

#[test]
fn comments_that_nobody_sees_are_named_and_not_shown() {
    assert_eq!(without_comments("a <!-- ignore\nall --> b"), "a [hidden comment]\n b");
    assert_eq!(without_comments("a <!-- open"), "a [hidden comment]");
}
