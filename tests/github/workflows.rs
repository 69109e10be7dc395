//! The workflows to copy, and this project's own, which are the same with another source of the action.

use crate::support::root;

/// The block that begins with a line, as its lines: those that follow and are indented further, comments left out.
fn block(text: &str, first: &str) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.trim() != first);
    let head = lines.next().unwrap_or_else(|| panic!("no {first}"));
    let inner = lines.take_while(|line| line.is_empty() || depth(line) > depth(head));
    inner.map(|line| line.split(" #").next().unwrap_or("").trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn both(name: &str) -> [String; 2] {
    ["workflows", ".github/workflows"]
        .map(|folder| std::fs::read_to_string(root().join(folder).join(name)).expect("a workflow"))
}

/// Each job's permissions, in order.
fn permissions(text: &str) -> Vec<Vec<String>> {
    let starts = text.match_indices("    permissions:\n").map(|(at, _)| at);
    starts.map(|at| block(&text[at..], "permissions:")).collect()
}

#[test]
fn this_project_asks_for_the_permissions_that_it_tells_others_to() {
    for name in ["index.yml", "review.yml"] {
        let [copied, own] = both(name);
        assert_eq!(permissions(&copied), permissions(&own), "{name}");
        assert!([copied, own].iter().all(|text| text.contains("\npermissions: {}\n")), "{name}");
    }
    let [copied, _] = both("index.yml");
    assert_eq!(permissions(&copied), [["contents: read", "pull-requests: read"]]);
    let [copied, _] = both("review.yml");
    assert_eq!(permissions(&copied), [["contents: read"], ["pull-requests: write"]]);
}

#[test]
fn what_goes_to_code_scanning_is_written_by_a_job_that_cannot_write() {
    let text = std::fs::read_to_string(root().join("workflows/sarif.yml")).expect("a workflow");
    assert_eq!(permissions(&text), [&["contents: read"][..], &["security-events: write", "actions: read"]]);
    let (analyse, upload) = text.split_once("\n  upload:\n").expect("two jobs");
    assert!(analyse.contains("mode: review\n          format: sarif\n          findings: precedent.sarif\n"));
    assert!(upload.contains("upload-sarif@") && upload.contains("sarif_file: precedent.sarif\n"));
    assert!(!upload.contains("checkout@") && !upload.contains("mode:"));
}

#[test]
fn case_29_of_two_runs_on_a_pull_request_the_later_one_goes_on() {
    for text in both("review.yml") {
        let group = block(&text, "concurrency:");
        assert_eq!(
            group,
            ["group: precedent-review-${{ github.event.pull_request.number }}", "cancel-in-progress: true"]
        );
    }
    for text in both("index.yml") {
        assert_eq!(block(&text, "concurrency:"), ["group: precedent-index", "cancel-in-progress: false"]);
    }
}
