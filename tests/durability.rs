//! A run that is stopped loses nothing that was durable, and the next one goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use precedent_model::{Document, EmbedError, Embedded, Embedder, Embedding};
use precedent_pipeline::history::Repository;
use precedent_pipeline::shard::{Location, Store};
use precedent_pipeline::{IndexOptions, Progress, Stage, UpkeepOptions, bring_up};

use crate::support::{Fixture, Ran, content, precedent};

#[test]
fn a_locked_store_is_said_to_be_locked_and_can_still_be_read() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json", "--tip", "main"]);
    let lock = std::fs::File::options().write(true).open(fixture.store().join("lock")).expect("the lock file");
    lock.lock().expect("the lock");
    let ran = fixture.run(&["index", "--tip", "topic"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("is held by another writer"), "{}", ran.stderr);
    // Reading what is there waits for nobody.
    assert_eq!(fixture.run(&["review", "main..topic"]).code, 0);
    drop(lock);
    assert_eq!(fixture.json(&["index", "--json", "--tip", "topic"])["commits"], 1);
}

#[test]
fn a_full_disk_is_said_and_what_was_there_stays() {
    let fixture = Fixture::new("hostile");
    fixture.json(&["index", "--json", "--tip", "HEAD~3"]);
    let before = content(&fixture.store());
    // No file may grow beyond 4 KiB, which the kernel refuses in the middle of a shard, as a full disk does.
    let limited = std::process::Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 8; exec \"$0\" index")
        .arg(env!("CARGO_BIN_EXE_precedent"))
        .current_dir(fixture.repo())
        .output()
        .expect("a shell");
    let ran = Ran::of(limited);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot write"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing that was indexed before is lost"), "{}", ran.stderr);
    assert_eq!(content(&fixture.store()), before);
    assert_eq!(fixture.json(&["store", "check", "--json"])["ok"], true);
    assert_eq!(fixture.json(&["index", "--json"])["commits"], 3);
}

/// What a killed run left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// Not even the folder.
    Nothing,
    /// A folder, and no manifest yet.
    NoManifest,
    /// So many commits, and not all of them.
    Part(u64),
    /// All commits; the run was about to end.
    Whole,
}

fn left(store: &Path, all: u64) -> Left {
    if !store.exists() {
        return Left::Nothing;
    }
    match Store::open(store).expect("a store that opens") {
        None => Left::NoManifest,
        Some(store) if store.manifest().rows("commits") == all => Left::Whole,
        Some(store) => Left::Part(store.manifest().rows("commits")),
    }
}

#[test]
fn a_run_killed_at_any_of_200_instants_leaves_a_store_that_the_next_run_completes() {
    const KILLS: usize = 200;
    const COMMITS: u64 = 768;
    let fixture = Fixture::new("generations");
    let index = |store: &Path| {
        let mut command = precedent(&fixture.repo(), &["index", "--memory", "32", "--store", &store.to_string_lossy()]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary")
    };
    let whole = fixture.beside("whole");
    let undisturbed = || {
        let _ = std::fs::remove_dir_all(&whole);
        let begun = Instant::now();
        assert!(index(&whole).wait().expect("an end").success());
        begun.elapsed()
    };
    // The first run reads from the disk, and the others from memory.
    let length = (0..3).map(|_| undisturbed()).min().expect("three runs");
    let expected = content(&whole);
    assert_eq!(left(&whole, COMMITS), Left::Whole);
    let generations = Store::open(&whole).expect("opens").expect("is there").manifest().shards_of("commits").count();
    assert!(generations == 3, "{generations} generations");

    let store = fixture.beside("killed");
    let mut random: u64 = 20_240_101;
    let mut states: BTreeMap<Left, usize> = BTreeMap::new();
    let (mut kills, mut completed) = (0, 0);
    let parts = |states: &BTreeMap<Left, usize>| states.keys().filter(|left| matches!(left, Left::Part(_))).count();
    // A busy machine may take longer to come to every state.
    while kills < KILLS
        || kills < 4 * KILLS && !(states.contains_key(&Left::NoManifest) && parts(&states) == 2 && completed >= 5)
    {
        // Knuth's constants; the low bits of such a sequence are poor.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut run = index(&store);
        let longest = if kills < KILLS { length } else { length * 2 };
        std::thread::sleep(longest.mul_f64((random >> 40) as f64 / (1 << 24) as f64));
        run.kill().expect("a process that was not waited for");
        let status = run.wait().expect("an end");
        if status.success() {
            assert!(content(&store) == expected, "after {kills} kills");
            std::fs::remove_dir_all(&store).expect("gone");
            completed += 1;
        } else {
            assert_eq!(status.code(), None, "the run failed by itself");
            *states.entry(left(&store, COMMITS)).or_default() += 1;
            kills += 1;
        }
    }
    assert!(index(&store).wait().expect("an end").success());
    assert!(content(&store) == expected, "after the last kill");
    let parts = parts(&states);
    assert!(states.contains_key(&Left::NoManifest) && parts == 2 && completed >= 5, "{completed}: {states:?}");
}

#[test]
fn an_interrupt_ends_with_130_and_what_was_indexed_is_kept() {
    let fixture = Fixture::new("many");
    let mut child = precedent(&fixture.repo(), &["index"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    // The lock file appears before the first commit is read, and the signal handler before that.
    let begun = Instant::now();
    while !fixture.store().join("lock").exists() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let status = child.wait().expect("an end");
    assert_eq!(status.code(), Some(130));
    let report = fixture.json(&["index", "--json"]);
    assert_eq!(report["totals"]["commits"], 1200);
    assert_eq!(fixture.json(&["store", "check", "--json"])["ok"], true);
}

/// An encoder that looks at whether it is to go on, and meets an interrupt in its second generation.
#[derive(Debug)]
struct Slow {
    asked: AtomicUsize,
    interrupt: Arc<AtomicBool>,
    at: usize,
}

impl Embedder for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn fingerprint(&self) -> &str {
        "slow-v1"
    }

    fn dimension(&self) -> usize {
        8
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(512)
    }

    fn documents(&self, documents: &[Document<'_>]) -> Result<Embedded, EmbedError> {
        let embedding = |document: &Document<'_>| {
            let mut unit = vec![0.0; 8];
            unit[document.text.len() % 8] = 1.0;
            Embedding { unit, norm: 1.0 }
        };
        Ok(Embedded { embeddings: documents.iter().map(embedding).collect(), failed: Vec::new() })
    }

    fn documents_while(
        &self,
        documents: &[Document<'_>],
        goes_on: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Option<Embedded>, EmbedError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == self.at {
            self.interrupt.store(true, Ordering::Relaxed);
        }
        let is_wanted = goes_on(documents.len() / 2) && goes_on(documents.len());
        if is_wanted { self.documents(documents).map(Some) } else { Ok(None) }
    }

    fn query(&self, _: &str) -> Result<Embedding, EmbedError> {
        unreachable!("because nobody searches")
    }

    fn header(&self, _: &str) -> Option<Vec<f32>> {
        None
    }
}

#[test]
fn an_interrupt_while_texts_are_embedded_ends_the_run_and_counts_what_is_kept() {
    const COMMITS: u64 = 768;
    let fixture = Fixture::new("generations");
    let repository = Repository::discover(&fixture.repo()).expect("a repository");
    let tips = [repository.head().expect("a commit")];
    let run = |store: &Path, at: usize| {
        let interrupt = Arc::new(AtomicBool::new(false));
        let embedder = Arc::new(Slow { asked: AtomicUsize::new(0), interrupt: interrupt.clone(), at });
        let index = IndexOptions { memory: 32 << 20, ..IndexOptions::default() };
        let texts = AtomicUsize::new(0);
        let heard = |progress: Progress| {
            if progress.stage == Stage::Embed {
                texts.fetch_max(progress.done as usize, Ordering::Relaxed);
            }
        };
        let options = UpkeepOptions { rebuild: None, embedder, index };
        let location = Location::folder(store);
        let ran = bring_up(&repository, &location, &tips, &options, &|_| {}, &heard, &interrupt).expect("a run");
        assert!(texts.into_inner() > 0, "it tells how far it has come");
        ran.1
    };
    let whole = fixture.beside("whole");
    assert_eq!(run(&whole, usize::MAX).commits, COMMITS);
    let store = fixture.beside("interrupted");
    let report = run(&store, 1);
    assert!(report.interrupted && report.partial);
    assert!((1..COMMITS).contains(&report.commits), "{}", report.commits);
    assert_eq!(
        (report.commits, report.chunks, report.embedded),
        (report.totals.commits, report.totals.chunks, report.chunks)
    );
    let rest = run(&store, usize::MAX);
    assert_eq!(report.commits + rest.commits, COMMITS);
    assert!(content(&store) == content(&whole));
}
