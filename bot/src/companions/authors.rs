//! Authors: who wrote what a step brought.
//!
//! Names and addresses go through `.mailmap`. The author of a merge that brings others' commits is an integrator, and is
//! left out, as are bots.

use std::collections::HashMap;

use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Commit;
use precedent_pipeline::shard::CommitRow;
use rustc_hash::FxHashMap;

/// Numbers for people.
#[derive(Debug, Clone, Default)]
pub struct Authors {
    numbers: HashMap<String, u32>,
    /// What names and addresses, as commits have them, came to be.
    seen: FxHashMap<String, FxHashMap<String, Option<u32>>>,
    mailmap: Mailmap,
}

impl Authors {
    /// Nobody yet, with a `.mailmap` to go by.
    pub fn new(mailmap: Mailmap) -> Authors {
        Authors { mailmap, ..Authors::default() }
    }

    /// The number of whoever wrote a commit; `None` for a bot.
    pub fn of(&mut self, commit: &CommitRow) -> Option<u32> {
        if let Some(number) = self.seen.get(&commit.author).and_then(|seen| seen.get(&commit.author_email)) {
            return *number;
        }
        let next = self.numbers.len() as u32;
        let identity = self.identity(&commit.author, &commit.author_email);
        let number = identity.map(|identity| *self.numbers.entry(identity).or_insert(next));
        self.seen.entry(commit.author.clone()).or_default().insert(commit.author_email.clone(), number);
        number
    }

    /// The number of whoever wrote a commit, if they are known.
    pub fn known(&self, commit: &CommitRow) -> Option<u32> {
        self.numbers.get(&self.identity(&commit.author, &commit.author_email)?).copied()
    }

    /// Whoever wrote a commit, by their proper name; `None` for a bot.
    pub fn name<'a>(&'a self, commit: &'a CommitRow) -> Option<&'a str> {
        let (name, email) = self.mailmap.resolve(&commit.author, &commit.author_email);
        (!is_bot(name, email)).then_some(name)
    }

    fn identity(&self, name: &str, email: &str) -> Option<String> {
        let (name, email) = self.mailmap.resolve(name, email);
        (!is_bot(name, email)).then(|| email.to_lowercase())
    }

    /// The authors of the commits that a step brought, in order of their numbers.
    pub fn of_step(&mut self, archive: &Archive, commits: &[u32]) -> Vec<u32> {
        let mut authors: Vec<u32> = written(archive, commits).filter_map(|commit| self.of(commit)).collect();
        authors.sort_unstable();
        authors.dedup();
        authors
    }

    /// The same without giving anybody a number.
    pub fn known_of_step(&self, archive: &Archive, commits: &[u32]) -> Vec<u32> {
        let mut authors: Vec<u32> = written(archive, commits).filter_map(|commit| self.known(commit)).collect();
        authors.sort_unstable();
        authors.dedup();
        authors
    }

    /// The same of commits that are under review and in no store.
    pub fn known_of_change(&self, commits: &[Commit]) -> Vec<u32> {
        let written = commits.iter().filter(|commit| is_written(commit.parents.len(), commits.len()));
        let known = written
            .filter_map(|commit| self.numbers.get(&self.identity(&commit.author, &commit.author_email)?).copied());
        let mut authors: Vec<u32> = known.collect();
        authors.sort_unstable();
        authors.dedup();
        authors
    }

    /// Whether nobody but bots wrote what a step brought.
    pub fn is_of_bots(&self, archive: &Archive, commits: &[u32]) -> bool {
        written(archive, commits).all(|commit| self.identity(&commit.author, &commit.author_email).is_none())
    }
}

/// The commits of a step that somebody wrote: all but the merges that bring others.
fn written<'a>(archive: &'a Archive, commits: &'a [u32]) -> impl Iterator<Item = &'a CommitRow> {
    let rows = commits.iter().map(|commit| archive.commit(*commit));
    rows.filter(|commit| is_written(commit.parents.len(), commits.len()))
}

/// Whether somebody wrote a commit, given how many parents it has and how many commits the step brought. The author of a merge
/// that brings others is an integrator.
fn is_written(parents: usize, commits: usize) -> bool {
    commits == 1 || parents < 2
}

/// Names that no person has.
fn is_bot(name: &str, email: &str) -> bool {
    const BOTS: [&str; 8] = [
        "dependabot",
        "renovate",
        "bors",
        "github-actions",
        "pre-commit-ci",
        "greenkeeper",
        "snyk-bot",
        "allcontributors",
    ];
    let name = name.to_lowercase();
    name.ends_with("[bot]")
        || email.contains("[bot]@")
        || BOTS.iter().any(|bot| name == *bot || name.starts_with(&format!("{bot}-")))
}

/// The lines of a `.mailmap`, in the four forms that gitmailmap(5) has.
#[derive(Debug, Clone, Default)]
pub struct Mailmap {
    /// By address, and by name and address, both in lower case; the proper name and address, where they are given.
    by_address: HashMap<String, (Option<String>, Option<String>)>,
    by_both: HashMap<(String, String), (Option<String>, Option<String>)>,
}

impl Mailmap {
    /// Reads a `.mailmap`; lines that are none are left out.
    pub fn parse(text: &str) -> Mailmap {
        let mut map = Mailmap::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("").trim();
            let Some((name, rest)) = line.split_once('<') else { continue };
            let Some((first, rest)) = rest.split_once('>') else { continue };
            let proper_name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            let second = rest.split_once('<').and_then(|(name, rest)| Some((name.trim(), rest.split_once('>')?.0)));
            match second {
                None => {
                    map.by_address.insert(first.trim().to_lowercase(), (proper_name, None));
                }
                Some((name, address)) => {
                    let proper = (proper_name, Some(first.trim().to_owned()));
                    let address = address.trim().to_lowercase();
                    match name {
                        "" => map.by_address.insert(address, proper),
                        _ => map.by_both.insert((name.to_lowercase(), address), proper),
                    };
                }
            }
        }
        map
    }

    /// The proper name and address.
    pub fn resolve<'a>(&'a self, name: &'a str, email: &'a str) -> (&'a str, &'a str) {
        let address = email.to_lowercase();
        let found = self.by_both.get(&(name.to_lowercase(), address.clone())).or_else(|| self.by_address.get(&address));
        match found {
            Some((proper_name, proper_email)) => {
                (proper_name.as_deref().unwrap_or(name), proper_email.as_deref().unwrap_or(email))
            }
            None => (name, email),
        }
    }
}

#[cfg(test)]
mod tests {
    use precedent_pipeline::shard::ObjectId;

    use super::*;

    #[test]
    fn a_mailmap_is_read_in_its_four_forms() {
        let map = Mailmap::parse(
            "# people\nJane Doe <jane@old.example>\n<jane@example.org> <jane@laptop>\n\
             Joe R. <joe@example.org> <joe@work.example>\nJoe R. <joe@example.org> Build <root@build>\nnonsense\n",
        );
        let check = |name, email, expected| assert_eq!(map.resolve(name, email), expected);
        check("jd", "Jane@Old.example", ("Jane Doe", "Jane@Old.example"));
        check("Jane", "jane@laptop", ("Jane", "jane@example.org"));
        check("J", "joe@work.example", ("Joe R.", "joe@example.org"));
        check("build", "root@build", ("Joe R.", "joe@example.org"));
        check("Other", "root@build", ("Other", "root@build"));
    }

    #[test]
    fn a_mailmap_that_goes_in_circles_is_followed_one_step_as_git_does() {
        let map = Mailmap::parse("Ada <ada@x.example> <bob@x.example>\nBob <bob@x.example> <ada@x.example>\n");
        assert_eq!(map.resolve("A", "ada@x.example"), ("Bob", "bob@x.example"));
        assert_eq!(map.resolve("B", "bob@x.example"), ("Ada", "ada@x.example"));
    }

    #[test]
    fn a_change_has_the_authors_of_its_commits_but_no_integrators_and_no_bots() {
        let commit = |name: &str, email: &str, parents: usize| Commit {
            id: ObjectId::from_hex(&"1".repeat(40)).expect("an id"),
            tree: ObjectId::from_hex(&"2".repeat(40)).expect("an id"),
            parents: vec![ObjectId::from_hex(&"3".repeat(40)).expect("an id"); parents],
            boundary: false,
            author: name.into(),
            author_email: email.into(),
            author_time: 0,
            commit_time: 0,
            message: String::new(),
        };
        let mut authors = Authors::new(Mailmap::parse("<ada@x.example> <ada@laptop>\n"));
        authors.numbers = [("ada@x.example".to_owned(), 4), ("bob@x.example".to_owned(), 2)].into();
        authors.numbers.insert("dependabot@x.example".into(), 7);
        let check = |commits: &[Commit], expected: &[u32]| assert_eq!(authors.known_of_change(commits), expected);
        let merge = commit("Bob", "bob@x.example", 2);
        let (ada, laptop) = (commit("Ada", "Ada@X.example", 1), commit("Ada", "ada@laptop", 1));
        check(&[merge.clone(), ada.clone(), laptop], &[4]);
        check(&[commit("Bob", "bob@x.example", 1), ada.clone()], &[2, 4]);
        // A merge alone is somebody's work.
        check(&[merge], &[2]);
        check(&[commit("dependabot[bot]", "dependabot@x.example", 1), ada, commit("New", "new@x", 1)], &[4]);
        check(&[], &[]);
    }

    #[test]
    fn bots_are_no_authors() {
        assert!(is_bot("dependabot[bot]", "x"));
        assert!(is_bot("bors", "bors@rust-lang.org"));
        assert!(is_bot("Any", "49699333+any[bot]@users.noreply.github.com"));
        assert!(!is_bot("Abbot", "abbot@example.org"));
        assert!(!is_bot("Borsalino", "b@example.org"));
    }
}
