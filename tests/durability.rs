//! A run that is stopped loses nothing that was durable, and the next one goes on.

use std::process::Stdio;
use std::time::{Duration, Instant};

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

#[test]
fn a_run_killed_at_any_moment_leaves_a_store_that_the_next_run_completes() {
    let fixture = Fixture::new("review");
    let whole = fixture.beside("whole");
    fixture.json(&["index", "--json", "--store", &whole.to_string_lossy()]);
    let expected = content(&whole);
    let store = fixture.beside("killed");
    let store_text = store.to_string_lossy().into_owned();
    for delay_ms in (0..60).step_by(3) {
        let mut child = precedent(&fixture.repo(), &["index", "--store", &store_text])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        std::thread::sleep(Duration::from_millis(delay_ms));
        let _ = child.kill();
        child.wait().expect("an end");
    }
    let report = fixture.json(&["index", "--json", "--store", &store_text]);
    assert_eq!(report["totals"]["commits"], 9);
    assert_eq!(content(&store), expected);
    assert_eq!(fixture.json(&["store", "check", "--json", "--store", &store_text])["ok"], true);
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
