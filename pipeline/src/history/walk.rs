//! Walk: which commits there are, every parent before its children.
//!
//! The order depends on the graph, the commit times and the ids alone, so two runs over the same
//! history number its commits alike, whatever the number of threads, and whether or not Git has written a
//! commit-graph. That file keeps 34 bits of a time, so no more of it counts here: a date before 1970 or after 2514
//! stands where its last 34 bits do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use gix::commitgraph::Graph as CommitGraph;
use gix::prelude::FindExt;

use super::repository::{from_gix, to_gix};
use super::{HistoryError, Objects, Repository};
use crate::shard::ObjectId;

/// A commit as it is stored.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Its root tree.
    pub tree: ObjectId,
    /// Its parents in order; empty for a root, and where a shallow clone ends.
    pub parents: Vec<ObjectId>,
    /// True where a shallow clone ends: parents exist, but not here.
    pub boundary: bool,
    /// The author's name, as recorded.
    pub author: String,
    /// The author's e-mail address, as recorded.
    pub author_email: String,
    /// Seconds since 1970-01-01 UTC.
    pub author_time: i64,
    /// Seconds since 1970-01-01 UTC.
    pub commit_time: i64,
    /// The whole message.
    pub message: String,
}

/// Commits in the order in which they are to be indexed.
pub struct Walk {
    /// Parents before children.
    pub order: Vec<ObjectId>,
}

/// The bits of a commit's time that a commit-graph keeps.
const TIME_BITS: u64 = (1 << 34) - 1;

/// A commit in the graph of a walk.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Its id.
    pub id: ObjectId,
    /// Its root tree.
    pub tree: ObjectId,
    /// Its parents in order, each once; empty for a root, and where a shallow clone ends.
    pub parents: Vec<ObjectId>,
}

struct Visited {
    commit: Linked,
    time: u64,
    missing_parents: usize,
    children: Vec<usize>,
}

impl Walk {
    /// The commits at which a shallow clone ends the walk short of what is known.
    pub fn cut_off<'a>(&'a self, repository: &'a Repository) -> impl Iterator<Item = &'a ObjectId> {
        self.order.iter().filter(|id| repository.is_shallow_at(id))
    }

    /// All commits that `tips` reach and `known` does not hold.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when a commit is not there although the clone is not cut off at it.
    pub fn new(repository: &Repository, tips: &[ObjectId], known: &HashSet<ObjectId>) -> Result<Walk, HistoryError> {
        let order = Walk::linked(repository, tips, known)?.into_iter().map(|commit| commit.id).collect();
        Ok(Walk { order })
    }

    /// The same commits in the same order, each with its tree and its parents.
    ///
    /// # Errors
    /// As [`Walk::new`].
    pub fn linked(
        repository: &Repository,
        tips: &[ObjectId],
        known: &HashSet<ObjectId>,
    ) -> Result<Vec<Linked>, HistoryError> {
        let objects = repository.objects();
        let graph = objects.commit_graph(repository);
        let mut visited: Vec<Visited> = Vec::new();
        let mut index: HashMap<ObjectId, usize> = HashMap::new();
        let mut pending: Vec<(ObjectId, Option<usize>)> = tips.iter().rev().map(|tip| (*tip, None)).collect();
        let mut buffer = Vec::new();
        while let Some((id, child)) = pending.pop() {
            if known.contains(&id) {
                continue;
            }
            let seen = index.get(&id).copied();
            let at = match seen {
                Some(at) => at,
                None => {
                    let (time, commit) = read_links(repository, &objects, graph.as_ref(), &id, &mut buffer)?;
                    let at = visited.len();
                    index.insert(id, at);
                    pending.extend(commit.parents.iter().rev().map(|parent| (*parent, Some(at))));
                    visited.push(Visited { commit, time, missing_parents: 0, children: Vec::new() });
                    at
                }
            };
            if let Some(child) = child {
                visited[at].children.push(child);
                visited[child].missing_parents += 1;
            }
        }
        Ok(parents_first(visited))
    }
}

fn read_links(
    repository: &Repository,
    objects: &Objects,
    graph: Option<&CommitGraph>,
    id: &ObjectId,
    buffer: &mut Vec<u8>,
) -> Result<(u64, Linked), HistoryError> {
    if let Some(links) = graph.and_then(|graph| graph_links(graph, id)) {
        return Ok(links);
    }
    let commit = objects
        .repo
        .objects
        .find_commit(&to_gix(id), buffer)
        .map_err(|error| objects.unreadable("commit", id, error))?;
    let time = commit.time().map(|time| time.seconds.cast_unsigned() & TIME_BITS).unwrap_or(0);
    let parents = if repository.is_shallow_at(id) {
        Vec::new()
    } else {
        distinct(commit.parents().map(|parent| from_gix(&parent)))
    };
    Ok((time, Linked { id: *id, tree: from_gix(&commit.tree()), parents }))
}

/// The same from Git's own cache of it; `None` for a commit that is too new to be in it.
fn graph_links(graph: &CommitGraph, id: &ObjectId) -> Option<(u64, Linked)> {
    let commit = graph.commit_by_id(to_gix(id))?;
    let parents = commit.iter_parents().map(|at| at.map(|at| from_gix(graph.id_at(at)))).collect::<Result<Vec<_>, _>>();
    let tree = from_gix(commit.root_tree_id());
    Some((
        commit.committer_timestamp() & TIME_BITS,
        Linked { id: *id, tree, parents: distinct(parents.ok()?.into_iter()) },
    ))
}

/// A commit may name one parent twice; an edge is counted once.
fn distinct(parents: impl Iterator<Item = ObjectId>) -> Vec<ObjectId> {
    let mut seen = HashSet::new();
    parents.filter(|parent| seen.insert(*parent)).collect()
}

/// Kahn's algorithm; among the commits that are ready, the oldest first, then by id.
fn parents_first(mut visited: Vec<Visited>) -> Vec<Linked> {
    let mut ready: BinaryHeap<Reverse<(u64, ObjectId, usize)>> = visited
        .iter()
        .enumerate()
        .filter(|(_, commit)| commit.missing_parents == 0)
        .map(|(at, visited)| Reverse((visited.time, visited.commit.id, at)))
        .collect();
    let mut order = Vec::with_capacity(visited.len());
    while let Some(Reverse((_, id, at))) = ready.pop() {
        let Linked { tree, .. } = visited[at].commit;
        order.push(Linked { id, tree, parents: std::mem::take(&mut visited[at].commit.parents) });
        for child in std::mem::take(&mut visited[at].children) {
            visited[child].missing_parents -= 1;
            if visited[child].missing_parents == 0 {
                ready.push(Reverse((visited[child].time, visited[child].commit.id, child)));
            }
        }
    }
    order
}

impl Objects {
    /// Git's commit-graph file, where there is one that can be trusted. Where a clone is cut off, it cannot.
    fn commit_graph(&self, repository: &Repository) -> Option<CommitGraph> {
        if repository.shallow().is_empty() { self.repo.commit_graph_if_enabled().ok().flatten() } else { None }
    }

    /// Reads one commit.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when it is not there.
    pub fn commit(&self, repository: &Repository, id: &ObjectId) -> Result<Commit, HistoryError> {
        let mut buffer = Vec::new();
        let commit = self
            .repo
            .objects
            .find_commit(&to_gix(id), &mut buffer)
            .map_err(|error| self.unreadable("commit", id, error))?;
        let boundary = repository.is_shallow_at(id);
        let (author, author_email, author_time) =
            commit.author().map(|who| (who.name.to_string(), who.email.to_string(), who.seconds())).unwrap_or_default();
        let parents = if boundary { Vec::new() } else { commit.parents().map(|parent| from_gix(&parent)).collect() };
        Ok(Commit {
            id: *id,
            tree: from_gix(&commit.tree()),
            parents,
            boundary,
            author,
            author_email,
            author_time,
            commit_time: commit.time().map(|time| time.seconds).unwrap_or(0),
            message: String::from_utf8_lossy(commit.message).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ObjectId {
        ObjectId::from_bytes(&[byte; 20]).expect("because it has 20 bytes")
    }

    #[test]
    fn a_child_never_precedes_its_parent_even_when_clocks_run_backwards() {
        // 0 is the child of 1, and claims to be older.
        let commit = |byte| Linked { id: id(byte), tree: id(0), parents: Vec::new() };
        let visited = vec![
            Visited { commit: commit(9), time: 5, missing_parents: 1, children: vec![] },
            Visited { commit: commit(1), time: 50, missing_parents: 0, children: vec![0] },
            Visited { commit: commit(2), time: 7, missing_parents: 0, children: vec![] },
        ];
        let order: Vec<ObjectId> = parents_first(visited).into_iter().map(|commit| commit.id).collect();
        assert_eq!(order, [id(2), id(1), id(9)]);
    }
}
