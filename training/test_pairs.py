"""Tests of pairs.py: `python -m unittest discover training`, with the packages of requirements.txt."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
DATES = '''def parse_date(text):
    """Reads a day."""
    year, month, day = text.split("-")
    return int(year), int(month), int(day)


def to_seconds(day):
    return 86400 * (day[2] + 30 * day[1] + 365 * day[0])
'''
TEST_DATES = '''from dates import parse_date, to_seconds


def test_parse_date_refuses_an_empty_line():
    parse_date("")


def test_parse_date_works():
    parse_date("2026-01-02")


def check_parse_date_of_a_helper():
    parse_date("2026-01-02")
'''
BUFFER = '''/// Takes bytes.
pub fn fill_buffer(bytes: &[u8], into: &mut Vec<u8>) { into.extend_from_slice(bytes); into.truncate(64); }

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_too_long_for_the_buffer_is_cut() {
        let mut into = Vec::new();
        super::fill_buffer(&[1; 100], &mut into);
        assert_eq!(into.len(), 64);
    }
}
'''
PATHS = "export function joinPaths(first, second) {\n  return first.replace(/\\/$/, '') + '/' + second;\n}\n"
PATHS_TEST = '''import { joinPaths } from "../paths";

describe("paths", () => {
  it("should keep one slash between two parts", () => {
    expect(joinPaths("a/", "b")).toBe("a/b");
  });
});
'''
MANUAL = '''# Manual

A day that stands in a file is read by `parse_date`, which wants a year, a month and `text`.

```
Nothing of this block with `to_seconds` is a sentence of the manual at all.
```

See `to_seconds()`.
'''
FILES = {
    "dates.py": DATES, "tests/test_dates.py": TEST_DATES, "src/buffer.rs": BUFFER, "paths.js": PATHS,
    "__tests__/paths.test.js": PATHS_TEST, "README.md": MANUAL, "CHANGELOG.md": MANUAL,
}  # fmt: skip


class Pairs(unittest.TestCase):
    def test_tests_and_sentences_of_repositories_of_training_are_found(self):
        with tempfile.TemporaryDirectory() as directory:
            listed = []
            for name, role in (("own/seen", "train"), ("own/kept", "held-out")):
                place = pathlib.Path(directory, "clones", name.replace("/", "+"), "repo")
                for path, text in FILES.items():
                    (place / path).parent.mkdir(parents=True, exist_ok=True)
                    (place / path).write_text(text)
                git = ["git", "-C", str(place), "-c", "user.name=T", "-c", "user.email=t@example.org"]
                for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
                    subprocess.run([*git, *arguments], check=True)
                listed.append(f'[[repositories]]\nname = "{name}"\nrole = "{role}"\ncommit = "HEAD"\n')
            data = pathlib.Path(directory, "data.toml")
            data.write_text("\n".join([*listed, "[packages]\npypi = []\nnpm = []\ncrates = []\n"]))
            records = pathlib.Path(directory, "records")
            records.mkdir()
            environment = {**os.environ, "CLONES": str(pathlib.Path(directory, "clones")), "JOBS": "1"}
            command = [sys.executable, str(HERE / "pairs.py"), str(data), str(records)]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            self.assertFalse((records / "pairs-own+kept.jsonl").exists())
            found = [json.loads(line) for line in (records / "pairs-own+seen.jsonl").read_text().splitlines()]
        self.assertEqual(
            sorted((pair["kind"], pair["doc"], pair["path"], pair["name"]) for pair in found),
            [
                ("readme", "A day that stands in a file is read by , which wants a year, a month and text", "dates.py", "parse_date"),
                ("test", "keep one slash between two parts", "paths.js", "joinPaths"),
                ("test", "parse date refuses an empty line", "dates.py", "parse_date"),
                ("test", "what is too long for the buffer is cut", "src/buffer.rs", "fill_buffer"),
            ],
        )


if __name__ == "__main__":
    unittest.main()
