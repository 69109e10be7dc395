//! Objects of a repository as GitHub's API gives them, read by Git itself.

use std::path::Path;
use std::process::Command;

use precedent_bot::redact::base64;
use serde_json::{Value, json};

use super::fake::REPOSITORY;

/// The kind of the answer and its fields; `None` where there is no such object.
pub(super) fn given(repository: &Path, parts: &[&str], query: &str, truncates: bool) -> Option<(&'static str, Value)> {
    match parts {
        ["git", "commits", id] => Some(("commit", commit(repository, id)?)),
        ["git", "trees", id] => Some(("tree", tree(repository, id, query.contains("recursive="), truncates)?)),
        ["git", "blobs", id] => Some(("blob", blob(repository, id)?)),
        ["compare", ends] => Some(("comparison", comparison(repository, ends)?)),
        _ => None,
    }
}

fn commit(repository: &Path, id: &str) -> Option<Value> {
    let told =
        text(repository, &["show", "--no-patch", "--format=%T%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B", id])?;
    let parts: Vec<&str> = told.trim_end().split('\0').collect();
    let [tree, author, author_email, authored, committer, committer_email, committed, message] = parts[..] else {
        return None;
    };
    Some(json!({
        "sha": id, "tree": {"sha": tree}, "message": message,
        "author": {"name": author, "email": author_email, "date": authored},
        "committer": {"name": committer, "email": committer_email, "date": committed},
    }))
}

fn tree(repository: &Path, id: &str, recursive: bool, truncates: bool) -> Option<Value> {
    let flags: &[&str] = if recursive { &["-r", "-t"] } else { &[] };
    let arguments = [&["ls-tree", "-l", "-z"], flags, &[id]].concat();
    let listed = text(repository, &arguments)?;
    let mut entries: Vec<Value> = Vec::new();
    for line in listed.split_terminator('\0') {
        let (told, path) = line.split_once('\t')?;
        let [mode, kind, sha, size] = told.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let at = match kind {
            "blob" => "blobs",
            _ => "trees",
        };
        let mut entry = json!({
            "path": path, "mode": mode, "type": kind, "sha": sha,
            "url": format!("https://api.github.com/repos/{REPOSITORY}/git/{at}/{sha}"),
        });
        if let Ok(size) = size.parse::<u64>() {
            entry["size"] = size.into();
        }
        entries.push(entry);
    }
    let is_cut = recursive && truncates;
    if is_cut {
        entries.truncate(1);
    }
    Some(json!({"sha": id, "tree": entries, "truncated": is_cut}))
}

fn blob(repository: &Path, id: &str) -> Option<Value> {
    let content = git(repository, &["cat-file", "blob", id])?;
    // In lines of sixty, as GitHub has them.
    let lines: Vec<String> =
        base64(&content).as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect();
    Some(json!({"sha": id, "size": content.len(), "encoding": "base64", "content": lines.concat()}))
}

fn comparison(repository: &Path, ends: &str) -> Option<Value> {
    let (base, head) = ends.split_once("...")?;
    let merge_base = text(repository, &["merge-base", base, head])?;
    Some(json!({"merge_base_commit": {"sha": merge_base.trim()}}))
}

fn text(repository: &Path, arguments: &[&str]) -> Option<String> {
    String::from_utf8(git(repository, arguments)?).ok()
}

fn git(repository: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").current_dir(repository).args(arguments).output().expect("git");
    output.status.success().then_some(output.stdout)
}
