//! Shards that somebody made up, hash and all, to fill the memory: each is named, by a program that may have one gibibyte.
#![cfg(target_os = "linux")]

use crate::support::{Fixture, Ran, precedent};

const LIMIT_KIB: u64 = 1 << 20;

/// A fixture with a store, for which the limit is enough.
fn indexed() -> Fixture {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json"]);
    for arguments in [&["store", "check"][..], &["search", "wait", "--history"]] {
        let ran = limited(&fixture, arguments);
        assert_eq!(ran.code, 0, "enough for a store that is whole: {}", ran.stderr);
    }
    fixture
}

/// Runs with a limit of memory.
fn limited(fixture: &Fixture, arguments: &[&str]) -> Ran {
    let whole = precedent(&fixture.repo(), arguments);
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(format!("ulimit -v {LIMIT_KIB} && exec \"$0\" \"$@\""));
    command.arg(whole.get_program()).args(whole.get_args()).current_dir(fixture.repo());
    command.envs(whole.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(command.stdin(std::process::Stdio::null()).output().expect("sh"))
}

/// A shard in the manifest.
fn stated(fixture: &Fixture, table: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let manifest = fixture.store().join("manifest.json");
    let mut stated: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&manifest).expect("a manifest")).expect("JSON");
    let shards = stated["shards"].as_array_mut().expect("shards");
    change(shards.iter_mut().find(|shard| shard["table"] == table).expect("a shard"));
    std::fs::write(manifest, stated.to_string()).expect("written");
}

/// Puts other bytes into the place of a table's shard, as somebody would who can compute hashes. Gives the new file's name.
fn forge(fixture: &Fixture, table: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let mut file = String::new();
    stated(fixture, table, |shard| {
        let folder = fixture.store().join(table);
        let bytes = change(std::fs::read(folder.join(shard["name"].as_str().expect("a name"))).expect("a shard"));
        let hash = blake3::hash(&bytes).to_hex();
        let name = format!("{}.parquet", &hash[..32]);
        std::fs::write(folder.join(&name), &bytes).expect("written");
        file = format!("{table}/{name}");
        (shard["name"], shard["blake3"], shard["bytes"]) =
            (name.as_str().into(), hash.as_str().into(), bytes.len().into());
    });
    file
}

/// What a store check and a search make of a forged shard: its name, and a way out.
fn is_named(fixture: &Fixture, file: &str) {
    let ran = limited(fixture, &["store", "check"]);
    assert_eq!(ran.code, 3, "{file}: {}", ran.stderr);
    let said = ran.stdout + &ran.stderr;
    assert!(said.contains(file) && said.contains("--rebuild") && !said.contains("panicked"), "{said}");
    let ran = limited(fixture, &["search", "wait", "--history", "--json"]);
    assert_eq!(ran.code, 0, "{file}: {}", ran.stderr);
    assert!(ran.stderr.contains(file) && ran.stderr.contains("the store is built again"), "{}", ran.stderr);
    assert!(!ran.stdout.is_empty(), "{file}");
}

#[test]
fn a_page_of_two_gibibytes_is_named_by_a_program_that_may_have_one() {
    let fixture = indexed();
    // The first page, which begins after four bytes, then states two gibibytes; it takes no byte more of the file.
    let bomb = |mut bytes: Vec<u8>| {
        let after_number =
            |bytes: &[u8], at: usize| at + bytes[at..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
        // Its type, its size decompressed, its size, and a struct of numbers and truths.
        assert_eq!((&bytes[..4], bytes[4], bytes[6]), (&b"PAR1"[..], 0x15, 0x15));
        let size = after_number(&bytes, 7);
        let more = 5 - (size - 7);
        assert_eq!(bytes[size], 0x15);
        let rest = after_number(&bytes, size + 1);
        let mut length = 0;
        for byte in bytes[size + 1..rest].iter().rev() {
            length = length << 7 | usize::from(byte & 0x7f);
        }
        assert!(bytes[rest] & 0xf == 0xc, "a struct: {:x}", bytes[rest]);
        let mut at = rest + 1;
        while bytes[at] != 0 {
            at = if bytes[at] & 0xf <= 2 { at + 1 } else { after_number(&bytes, at + 1) };
        }
        // Two ends, and then the page, of which the last bytes go. Sizes are stated twofold, since they have a sign.
        let end = at + 2 + length / 2;
        bytes.drain(end - more..end);
        let mut left = length - 2 * more;
        for byte in &mut bytes[size + 1..rest] {
            *byte = *byte & 0x80 | (left & 0x7f) as u8;
            left >>= 7;
        }
        bytes.splice(7..size, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        bytes
    };
    for table in ["edits", "chunks", "commits"] {
        let file = forge(&fixture, table, bomb);
        is_named(&fixture, &file);
    }
}

/// A number as Thrift's compact protocol has it: seven bits a byte.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Puts other bytes in the place of some in a footer and states its new length.
fn refoot(bytes: &[u8], of: &[u8], by: &[u8]) -> Vec<u8> {
    let tail = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[tail..tail + 4].try_into().expect("four bytes")) as usize;
    let (mut footer, mut rest, mut found) = (Vec::new(), &bytes[tail - length..tail], 0);
    while let Some((first, others)) = rest.split_first() {
        if rest.starts_with(of) {
            footer.extend_from_slice(by);
            (rest, found) = (&rest[of.len()..], found + 1);
        } else {
            footer.push(*first);
            rest = others;
        }
    }
    assert!(found > 0, "{of:x?}");
    let stated = (footer.len() as u32).to_le_bytes();
    [&bytes[..tail - length], &footer, &stated, &bytes[tail + 4..]].concat()
}

#[test]
fn a_footer_that_states_huge_counts_is_named_by_a_program_that_may_have_one_gibibyte() {
    /// Fields of one after the one before, of a number and a list; and the list's elements.
    const NUMBER: u8 = 0x16;
    const LIST: u8 = 0x19;
    const STRUCTS: u8 = 0xc;
    /// What made it, with its length.
    const MAKER: &[u8] = b"\x28\x19parquet";
    let fixture = indexed();
    let most = varint(i32::MAX as u64);
    for table in ["commits", "edits", "chunks", "spans", "vectors"] {
        let mut rows = 0;
        stated(&fixture, table, |shard| rows = shard["rows"].as_u64().expect("a count"));
        let count = |rows: u64| [&[NUMBER][..], &varint(2 * rows)].concat();
        let groups = [&count(rows)[..], &[LIST, 1 << 4 | STRUCTS]].concat();
        let many = [&count(rows)[..], &[LIST, 15 << 4 | STRUCTS], &most].concat();
        let file = forge(&fixture, table, |bytes| refoot(&bytes, &groups, &many));
        is_named(&fixture, &file);
        // As many rows as there are bytes for in no file, everywhere; and a name that is as long.
        let file = forge(&fixture, table, |bytes| refoot(&bytes, &count(rows), &count(1 << 40)));
        is_named(&fixture, &file);
        let file = forge(&fixture, table, |bytes| refoot(&bytes, MAKER, &[&[0x28][..], &most, b"parquet"].concat()));
        is_named(&fixture, &file);
    }
}
