//! Outputs: what a runner reads back: `GITHUB_OUTPUT` entries, and lines of a log that it must not obey. Pure.

/// An entry for `GITHUB_OUTPUT` that holds any value, in the form with a delimiter that the value does not contain.
pub fn entry(name: &str, value: &str) -> String {
    let mut delimiter = "precedent".to_owned();
    let mut salt = 0u64;
    while value.contains(&delimiter) {
        salt += 1;
        delimiter = format!("precedent_{}", &blake3::hash(format!("{salt}{value}").as_bytes()).to_hex()[..32]);
    }
    // A carriage return would end a line for the runner.
    let value = value.replace('\r', "");
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// A log line that is no workflow command: runners obey lines that begin with `::`, and the older `##[`.
pub fn inert(line: &str) -> String {
    line.split('\n')
        .map(|line| {
            let line = line.replace('\r', " ");
            let start = line.trim_start();
            if start.starts_with("::") || line.contains("##[") {
                line.replace("::", ": :").replace("##[", "## [")
            } else {
                line
            }
        })
        .collect::<Vec<String>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_its_entry() {
        assert_eq!(entry("a", "b"), "a<<precedent\nb\nprecedent\n");
        let hostile = entry("a", "x\nprecedent\nstolen=1");
        let delimiter = hostile.lines().next().and_then(|line| line.split_once("<<")).expect("a delimiter").1;
        assert_eq!(hostile.lines().filter(|line| *line == delimiter).count(), 1);
        assert!(hostile.ends_with(&format!("\n{delimiter}\n")));
    }

    #[test]
    fn log_lines_command_nothing() {
        assert_eq!(inert("a\n  ::set-output name=x::y"), "a\n  : :set-output name=x: :y");
        assert_eq!(inert("note\r::add-mask::x"), "note ::add-mask::x");
        assert_eq!(inert("##[error]x"), "## [error]x");
        assert_eq!(inert("std::mem"), "std::mem");
    }
}
