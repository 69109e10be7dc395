//! Hunks: for each pair of commits on standard input, `BASE HEAD` a line, the changed lines of every file as this
//! project sees them, one JSON object a line. `benches/anchors/compare.py` holds them against `git diff`.

use std::error::Error;
use std::io::{BufRead, BufWriter, Write};
use std::path::Path;

use precedent_bot::diff::tree::{self, TreeDiff};
use precedent_pipeline::history::Repository;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: hunks REPOSITORY < PAIRS")?;
    let repository = Repository::discover(Path::new(&directory))?;
    let objects = repository.objects();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (base, head) = line.split_once(' ').ok_or("a line is not a pair")?;
        let changes = objects.between(&repository.resolve(base)?, &repository.resolve(head)?)?;
        let files: Vec<_> = tree::diff(&objects, &changes).iter().map(as_json).collect();
        writeln!(out, "{}", json!({"base": base, "head": head, "files": files}))?;
    }
    out.flush()?;
    Ok(())
}

fn as_json(file: &TreeDiff) -> serde_json::Value {
    let hunks: Vec<_> =
        file.diff.hunks.iter().map(|hunk| [hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines]).collect();
    json!({
        "old": file.old_path,
        "new": file.new_path,
        "hunks": hunks,
        "added": file.diff.added,
        "removed": file.diff.removed,
    })
}
