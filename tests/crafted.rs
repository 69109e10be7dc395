//! Shards that somebody made up, hash and all, to fill the memory: each is named, by a program that may have one gibibyte
//! and a minute of a processor.
#![cfg(target_os = "linux")]

use crate::support::{Fixture, Ran, precedent};

const LIMIT_KIB: u64 = 1 << 20;
/// Of processor time: who is stopped for it has no exit code.
const LIMIT_SECONDS: u64 = 60;

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
    command.arg("-c").arg(format!("ulimit -v {LIMIT_KIB} && ulimit -t {LIMIT_SECONDS} && exec \"$0\" \"$@\""));
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

#[test]
fn a_manifest_that_states_more_numbers_than_rows_makes_no_room_for_them() {
    for key in ["next_chunk", "next_commit"] {
        for arguments in [&["search", "wait", "--json"][..], &["search", "wait", "--history", "--json"]] {
            let fixture = indexed();
            let expected = limited(&fixture, arguments).stdout;
            let manifest = fixture.store().join("manifest.json");
            let mut stated: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&manifest).expect("a manifest")).expect("JSON");
            stated[key] = u32::MAX.into();
            std::fs::write(&manifest, stated.to_string()).expect("written");
            let ran = limited(&fixture, arguments);
            assert_eq!((ran.code, ran.stdout), (0, expected), "{key}: {}", ran.stderr);
        }
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

/// Of an index of words, a file's bytes changed, with the checksum that fits them.
fn forged_words(file: &str, whole: &[u8], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    if file.ends_with("json") {
        // Another number in the place of one.
        let text = String::from_utf8_lossy(whole).into_owned();
        let starts: Vec<usize> = (1..text.len())
            .filter(|at| text.as_bytes()[*at].is_ascii_digit() && !text.as_bytes()[at - 1].is_ascii_digit())
            .collect();
        let start = starts[random(starts.len())];
        let end = start + text[start..].bytes().take_while(u8::is_ascii_digit).count();
        let number = ["0", "1", "999999999", "2147483647", "4294967295", "18446744073709551615"][random(6)];
        return [&text[..start], number, &text[end..]].concat().into_bytes();
    }
    // A file ends with words that state its checksum, their length, and a number.
    let length = u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().expect("four bytes")) as usize;
    let (body, foot) = whole[..whole.len() - 8].split_at(whole.len() - 8 - length);
    let mut body = body.to_vec();
    for _ in 0..[1, 1, 2, 4][random(4)] {
        if body.is_empty() {
            break;
        }
        let at = random(body.len());
        let until = (at + 1 + random(8)).min(body.len());
        match random(6) {
            0 => body[at] ^= 1 << random(8),
            1 => body[at..until].fill(0xff),
            2 => body[at..until].fill(0),
            3 => drop(body.splice(at..at + 1, [0xff, 0xff, 0xff, 0xff, 0x0f])),
            4 => drop(body.drain(at..until)),
            // A number of this sort ends with a byte above 0x7f.
            _ => drop(body.splice(at..at + 1, [0x7f, 0x7f, 0x7f, 0x7f, 0x87])),
        }
    }
    let mut foot: serde_json::Value = serde_json::from_slice(foot).expect("JSON");
    foot["crc"] = crc(&body).into();
    let foot = foot.to_string().into_bytes();
    [&body, &foot, &(foot.len() as u32).to_le_bytes()[..], &whole[whole.len() - 4..]].concat()
}

/// The checksum of zip files.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

#[test]
fn words_that_somebody_made_up_checksums_and_all_end_no_search() {
    const CHANGES: usize = 120;
    assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    let fixture = indexed();
    let asked = [("texts", ["search", "wait", "--json"]), ("messages", ["search", "fix the wait", "--json"])];
    let expected = asked.map(|(_, arguments)| limited(&fixture, &arguments).stdout.lines().count());
    let mut state = 1_u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut changed = std::collections::BTreeMap::new();
    for (which, (folder, arguments)) in asked.iter().enumerate() {
        let folder = fixture.store().join("lexical").join(folder);
        let files = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut whole: Vec<_> = files.map(|file| (std::fs::read(&file).expect("a file"), file)).collect();
        whole.sort_by(|one, two| one.1.cmp(&two.1));
        let some: Vec<_> =
            whole.iter().filter(|(bytes, file)| bytes.len() > 8 && !file.ends_with("checked.json")).collect();
        for _ in 0..CHANGES / 2 {
            let (bytes, file) = some[random(some.len())];
            std::fs::write(file, forged_words(&file.to_string_lossy(), bytes, &mut random)).expect("written");
            let ran = limited(&fixture, arguments);
            assert_eq!(ran.code, 0, "{}: {}", file.display(), ran.stderr);
            assert!(!ran.stderr.contains("panicked"), "{}: {}", file.display(), ran.stderr);
            // What is near is found without any words.
            assert_eq!(ran.stdout.lines().count(), expected[which], "{}", file.display());
            *changed.entry(file.extension().unwrap_or_default().to_string_lossy().into_owned()).or_insert(0) += 1;
            // The program may have put another index there.
            std::fs::remove_dir_all(&folder).expect("removed");
            std::fs::create_dir(&folder).expect("a folder");
            whole.iter().for_each(|(bytes, file)| std::fs::write(file, bytes).expect("written"));
        }
    }
    assert!(["fast", "idx", "store", "term", "json"].iter().all(|end| changed.contains_key(*end)), "{changed:?}");
}

#[test]
fn room_is_made_for_no_more_parts_of_stored_texts_than_there_are() {
    let fixture = indexed();
    let folder = fixture.store().join("lexical/texts");
    let files = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let file = files.into_iter().find(|file| file.extension().is_some_and(|end| end == "store")).expect("a file");
    let whole = std::fs::read(&file).expect("a file");
    let foot =
        whole.len() - 8 - u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().expect("four bytes")) as usize;
    // Where the parts are stated stands in the last 28 bytes, after the version.
    let mut body = whole[..foot].to_vec();
    let at = u64::from_le_bytes(body[foot - 24..foot - 16].try_into().expect("eight bytes")) as usize;
    assert_eq!(body[at] & 0x80, 0x80, "a number of one byte");
    body.splice(at..=at, [0x7f, 0x7f, 0x7f, 0x7f, 0x87]);
    let mut stated: serde_json::Value = serde_json::from_slice(&whole[foot..whole.len() - 8]).expect("JSON");
    stated["crc"] = crc(&body).into();
    let stated = stated.to_string().into_bytes();
    let bytes = [&body, &stated, &(stated.len() as u32).to_le_bytes()[..], &whole[whole.len() - 4..]].concat();
    std::fs::write(&file, bytes).expect("written");
    let ran = limited(&fixture, &["search", "wait", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!file.exists(), "it was made again");
}
