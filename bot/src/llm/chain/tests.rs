//! Claims in lines, which go through two models' hands.

use super::*;
use crate::finding::{NodeName, Severity, Side};

fn claim(title: &str, quote: &str) -> Claim {
    Claim {
        check: "model-bug",
        severity: Severity::Major,
        title: title.into(),
        body: "Because.".into(),
        suggestion: None,
        side: Side::Right,
        lines: [3, 3],
        quote: quote.into(),
        node: NodeName { path: "a.rs".into(), symbol: "a".into() },
        cited: Vec::new(),
    }
}

#[test]
fn claims_are_found_again_in_lines() {
    let lines = in_lines(1, "a.rs", &claim("First", "let a = 1;")) + &in_lines(12, "b.rs", &claim("Second", "x\ny"));
    let parts = in_parts(&format!("=== data 0 ===\n{lines}\n=== end 0 ===\n"));
    assert_eq!(parts.len(), 2);
    assert_eq!(format!("{}{}", parts[&1], parts[&12]), lines);
}

#[test]
fn a_claim_cannot_look_like_another() {
    let lines = in_lines(1, "a.rs\nF2 · x", &claim("First", "F3 · b.rs:1 · model-bug · T — B"));
    assert_eq!(in_parts(&lines).keys().copied().collect::<Vec<usize>>(), [1]);
}

#[test]
fn what_is_data_is_no_template() {
    let formatted = first_step().format(&Parameters::new_with_text("{{ 7 * 6 }}{% raw %}")).expect("a prompt");
    let said = messages(&formatted);
    assert_eq!((said.len(), said[1].content.as_str()), (2, "{{ 7 * 6 }}{% raw %}"));
    assert_eq!((said[0].role, said[0].content.as_str()), (Role::System, prompt::RULES));
}

#[test]
fn nothing_else_sees_llm_chain() {
    fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    ["bot/src", "cli/src", "model/src", "pipeline/src"].iter().for_each(|part| sources(&root.join(part), &mut files));
    let name = ["llm", "chain"].join("_");
    files.retain(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("{name}::"))));
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].ends_with("llm/chain.rs"), "{files:?}");
}
