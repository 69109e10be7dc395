//! Blobs come out of packs as they were committed, or not at all.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::super::Repository;
use super::*;
use crate::history::NoBlob;
use crate::shard::ObjectId;

fn git(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut git = Command::new("git");
    let named = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"];
    let ran = git.current_dir(directory).args(named).args(arguments).output().expect("git");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

/// A repository with forty versions of a file, packed; the ids and contents of its blobs, oldest first.
fn packed(directory: &Path, settings: &[&str]) -> Vec<(ObjectId, Vec<u8>)> {
    git(directory, &["init", "--quiet"]);
    let mut lines: Vec<String> =
        (0..300).map(|line| format!("fn f{line}() {{ {} }}\n", line * line * 7919 % 104_729)).collect();
    let mut blobs = Vec::new();
    for version in 0..40 {
        lines[version * 7] = format!("// {version}\n");
        lines.push(format!("fn g{version}() {{}}\n"));
        let text = lines.concat();
        std::fs::write(directory.join("a.rs"), &text).expect("a file");
        git(directory, &["add", "a.rs"]);
        git(directory, &["commit", "--quiet", "-m", "next"]);
        let id = String::from_utf8(git(directory, &["rev-parse", "HEAD:a.rs"])).expect("an id");
        blobs.push((ObjectId::from_hex(id.trim()).expect("an id"), text.into_bytes()));
    }
    git(directory, &[settings, &["repack", "-adfq", "--depth=50", "--window=50"]].concat());
    blobs
}

fn packs_of(repository: &Repository) -> Packs {
    Packs::open(repository.objects().repo.objects.store_ref())
}

fn oid(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

/// Each blob is read from the packs, and is what was committed.
fn check(repository: &Repository, blobs: &[(ObjectId, Vec<u8>)]) {
    let newest_first: Vec<_> = blobs.iter().rev().collect();
    for order in [blobs.iter().collect(), newest_first] {
        let (packs, mut decoder) = (packs_of(repository), Decoder::default());
        for (id, text) in order.iter().chain(&order) {
            match packs.blob(&oid(id), text.len(), &mut decoder) {
                Some(Found::Content(content)) => assert_eq!(content, *text),
                Some(Found::Larger) => panic!("{id} is no larger"),
                None => panic!("{id} is not read from the pack"),
            }
            assert!(matches!(packs.blob(&oid(id), text.len() - 1, &mut decoder), Some(Found::Larger)), "{id}");
        }
    }
}

#[test]
fn blobs_come_out_of_packs_as_they_were_committed() {
    for settings in [&[][..], &["-c", "repack.useDeltaBaseOffset=false"], &["-c", "pack.compression=0"]] {
        let directory = tempfile::tempdir().expect("a folder");
        let blobs = packed(directory.path(), settings);
        let listed = git(directory.path(), &["verify-pack", "-v", "--stat-only", &pack(directory.path(), "idx")]);
        assert!(String::from_utf8_lossy(&listed).contains("chain length = 10"), "there are chains to follow");
        check(&Repository::discover(directory.path()).expect("a repository"), &blobs);
    }
}

#[test]
fn the_packs_of_another_repository_are_read_where_git_reads_them() {
    let directory = tempfile::tempdir().expect("a folder");
    let (one, other) = (directory.path().join("one"), directory.path().join("other"));
    std::fs::create_dir(&one).expect("a folder");
    let blobs = packed(&one, &[]);
    git(directory.path(), &["clone", "--quiet", "--shared", "--bare", "one", "other"]);
    check(&Repository::discover(&other).expect("a repository"), &blobs);
}

#[test]
fn what_is_no_blob_of_a_pack_is_left_to_gix() {
    let directory = tempfile::tempdir().expect("a folder");
    let blobs = packed(directory.path(), &[]);
    std::fs::write(directory.path().join("b"), "loose").expect("a file");
    let loose = String::from_utf8(git(directory.path(), &["hash-object", "-w", "b"])).expect("an id");
    let loose = ObjectId::from_hex(loose.trim()).expect("an id");
    let tree = String::from_utf8(git(directory.path(), &["rev-parse", "HEAD^{tree}"])).expect("an id");
    let tree = ObjectId::from_hex(tree.trim()).expect("an id");
    let unknown = ObjectId::from_hex(&"1".repeat(40)).expect("an id");
    let repository = Repository::discover(directory.path()).expect("a repository");
    let (packs, mut decoder) = (packs_of(&repository), Decoder::default());
    for id in [&loose, &tree, &unknown] {
        assert!(packs.blob(&oid(id), usize::MAX, &mut decoder).is_none(), "{id}");
    }
    let objects = repository.objects();
    assert_eq!(objects.blob(&loose).as_deref(), Some(&b"loose"[..]));
    assert_eq!(objects.blob_within(&loose, 5).as_deref(), Ok(&b"loose"[..]));
    assert_eq!(objects.blob_within(&loose, 4), Err(NoBlob::Larger));
    assert_eq!(objects.blob_within(&tree, usize::MAX), Err(NoBlob::Missing));
    assert_eq!(objects.blob_within(&unknown, 4), Err(NoBlob::Missing));
    assert_eq!(objects.blob(&blobs[0].0).as_ref(), Some(&blobs[0].1));
}

/// The pack of a repository that has one.
fn pack(directory: &Path, extension: &str) -> String {
    let mut entries =
        directory.join(".git/objects/pack").read_dir().expect("a folder").map(|entry| entry.expect("one").path());
    let found = entries.find(|path| path.extension() == Some(OsStr::new(extension))).expect("a pack");
    found.to_str().expect("a plain name").to_owned()
}

#[test]
fn a_damaged_pack_gives_what_was_committed_or_nothing() {
    let directory = tempfile::tempdir().expect("a folder");
    let blobs = packed(directory.path(), &[]);
    let path = pack(directory.path(), "pack");
    let whole = std::fs::read(&path).expect("a pack");
    let mut lost = 0;
    for at in (0..whole.len() - 20).step_by(whole.len() / 100) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        std::fs::remove_file(&path).expect("a pack that is read-only");
        std::fs::write(&path, damaged).expect("a pack");
        let repository = Repository::discover(directory.path()).expect("a repository");
        let (packs, mut decoder) = (packs_of(&repository), Decoder::default());
        for (id, text) in &blobs {
            match packs.blob(&oid(id), usize::MAX, &mut decoder) {
                Some(Found::Content(content)) => assert_eq!(content, *text, "{at}"),
                _ => lost += 1,
            }
        }
    }
    assert!(lost > 100, "{lost} of {} were damaged", 100 * blobs.len());
}

/// An instruction, as `gitformat-pack` has them.
#[derive(Clone, Debug)]
enum Instruction {
    Copy { start: usize, length: usize },
    Insert(Vec<u8>),
}

fn instruction() -> impl Strategy<Value = Instruction> {
    prop_oneof![
        (0..BASE / 2, 1..BASE / 2).prop_map(|(start, length)| Instruction::Copy { start, length }),
        prop::collection::vec(any::<u8>(), 1..128).prop_map(Instruction::Insert),
    ]
}

/// Bytes of the base; a copy of 65,536 has a length of its own.
const BASE: usize = 200_000;

fn written(size: usize, out: &mut Vec<u8>) {
    let mut rest = size;
    while rest > 0x7f {
        out.push((rest & 0x7f | 0x80) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A difference in bytes, and what it makes of the base.
fn delta(base: &[u8], instructions: &[Instruction]) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut result) = (Vec::new(), Vec::new());
    for instruction in instructions {
        match instruction {
            Instruction::Insert(text) => {
                bytes.push(text.len() as u8);
                bytes.extend(text);
                result.extend(text);
            }
            Instruction::Copy { start, length } => {
                let coded = if *length == 0x1_0000 { 0 } else { *length };
                let numbers = [start.to_le_bytes()[..4].to_vec(), coded.to_le_bytes()[..3].to_vec()].concat();
                let present = numbers.iter().enumerate().filter(|(_, byte)| **byte != 0);
                bytes.push(present.clone().fold(0x80, |bits, (at, _)| bits | 1 << at));
                bytes.extend(present.map(|(_, byte)| byte));
                result.extend(&base[*start..start + length]);
            }
        }
    }
    let mut whole = Vec::new();
    written(base.len(), &mut whole);
    written(result.len(), &mut whole);
    whole.extend(bytes);
    (whole, result)
}

fn base() -> Vec<u8> {
    (0..BASE).map(|at| (at * at / 7 % 251) as u8).collect()
}

#[test]
fn a_copy_of_64_kib_has_no_length() {
    let instructions =
        [Instruction::Copy { start: 0, length: 0x1_0000 }, Instruction::Copy { start: 7, length: 0x1_0001 }];
    let (bytes, result) = delta(&base(), &instructions);
    assert_eq!(Delta::of(&bytes).and_then(|delta| delta.applied(&base())), Some(result));
}

proptest! {
    #[test]
    fn differences_are_applied_as_they_were_made(instructions in prop::collection::vec(instruction(), 0..12), cut in any::<prop::sample::Index>()) {
        let base = base();
        let (bytes, result) = delta(&base, &instructions);
        prop_assert_eq!(Delta::of(&bytes).expect("whole").applied(&base), Some(result.clone()));
        prop_assert_eq!(Delta::of(&bytes).expect("whole").applied(&base[1..]), None);
        let cut = cut.index(bytes.len());
        let applied = Delta::of(&bytes[..cut]).and_then(|delta| delta.applied(&base));
        prop_assert!(applied.is_none(), "{cut} of {}", bytes.len());
    }

    #[test]
    fn no_bytes_are_too_odd(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Delta::of(&bytes).and_then(|delta| delta.applied(b"base"));
        bytes.splice(0..0, [4, 9]);
        if let Some(made) = Delta::of(&bytes).and_then(|delta| delta.applied(b"base")) {
            prop_assert_eq!(made.len(), 9);
        }
    }
}
