"""Tests of check.py and split.py: `python3 -m unittest discover training/paraphrase`."""

import copy
import pathlib
import subprocess
import tempfile
import unittest

import check
import split

SOURCE = "import os\n\n\nclass Store:\n    def lock(self):\n        os.open(self.path)\n\n\nStore().lock()\n"
GOLD = {"path": "a/store.py", "symbol": "Store.lock", "name": "lock", "line": 5}


def git(place, *arguments):
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(place), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        place = pathlib.Path(cls.directory.name) / "own" / "er"
        (place / "a").mkdir(parents=True)
        git(place, "init", "--quiet")
        (place / "a" / "store.py").write_text(SOURCE, encoding="utf-8")
        git(place, "add", ".")
        git(place, "commit", "--quiet", "--message", "one")
        cls.commit = git(place, "rev-parse", "HEAD")
        cls.sources = check.Sources(pathlib.Path(cls.directory.name), {})

    def found(self, **changes):
        gold = {**GOLD, **{key: value for key, value in changes.items() if key in GOLD}}
        entry = {"repo": "own/er", "commit": self.commit, "question": "let nobody else write here", "gold": [gold]}
        entry.update({key: value for key, value in changes.items() if key in entry})
        return list(check.errors(self.sources, [entry]))

    def assert_one(self, found, part):
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def test_what_is_right_passes(self):
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(symbol="Store", name="Store", line=4), [])

    def test_a_wrong_line_is_an_error(self):
        self.assert_one(self.found(line=6), "no `lock` in `os.open(self.path)`")
        self.assert_one(self.found(line=4), "no `lock`")
        self.assert_one(self.found(line=0), "lines")
        self.assert_one(self.found(line=99), "lines")

    def test_a_call_is_no_definition(self):
        self.assert_one(self.found(line=9), "not defined")

    def test_what_is_not_there_is_an_error(self):
        self.assert_one(self.found(path="a/other.py"), "other.py")
        self.assert_one(self.found(commit="0" * 40), "0000")
        self.assert_one(self.found(commit=self.commit[:12]), "full commit id")
        self.assert_one(self.found(repo="no/where"), "--repo no/where=PATH")

    def test_the_symbol_ends_in_the_name(self):
        self.assert_one(self.found(symbol="Store.unlock"), "does not end in")

    def test_a_question_has_its_form(self):
        self.assert_one(self.found(question="nobody else writes"), "3 words")
        self.assert_one(self.found(question="take the lock for me"), "names a gold definition")
        self.assert_one(self.found(gold=[]), "0 gold definitions")
        self.assert_one(self.found(gold=[GOLD] * 5), "5 gold definitions")

    def test_nothing_is_asked_twice(self):
        entry = {"repo": "own/er", "commit": self.commit, "question": "let nobody else write here", "gold": [GOLD]}
        self.assert_one(list(check.errors(self.sources, [entry, copy.deepcopy(entry)])), "asked twice")

    def test_definitions_of_each_language(self):
        lines = {
            "rs": ("    pub(crate) fn f<T>(", "    f(x)"),
            "go": ("func (s *S) f(x int) {", "\tf(x)"),
            "js": ("  async f(a, b) {", "    f(a, b);"),
            "java": ("  private static <T> List<T> f(int a) {", "    f(a);"),
            "c": ("static int f(int a) {", "  f(a);"),
            "rb": ("    def self.f(a)", "      f(a)"),
            "py": ("    def f(self):", "        f(x)"),
        }
        for extension, (definition, call) in lines.items():
            for text, is_definition in ((definition, True), (call, False)):
                place = check.Sources(None, {})
                place.cache["r", "c", f"x.{extension}"] = [text]
                gold = {"path": f"x.{extension}", "symbol": "f", "name": "f", "line": 1}
                error = check.gold_error(place, {"repo": "r", "commit": "c"}, gold)
                self.assertEqual(error is None, is_definition, (extension, text, error))


class Split(unittest.TestCase):
    def test_halves_do_not_depend_on_order(self):
        entries = [{"repo": f"r{number % 3}", "question": f"q{number}"} for number in range(12)]
        dev, test = split.parts(entries)
        self.assertEqual(split.parts(entries[::-1]), (dev, test))
        self.assertEqual(split.parts(test + dev), (dev, test))
        self.assertEqual([entry["repo"] for entry in dev], ["r0", "r0", "r1", "r1", "r2", "r2"])
        key = str
        self.assertEqual(sorted(dev + test, key=key), sorted(entries, key=key))

    def test_the_files_are_what_it_makes(self):
        files = [check.load(check.HERE / name) for name in ("dev.jsonl", "test.jsonl")]
        self.assertEqual([len(part) for part in files], [72, 72])
        self.assertEqual(list(split.parts(files[0] + files[1])), files)
        for part in files:
            repos = [entry["repo"] for entry in part]
            self.assertEqual({repo: repos.count(repo) for repo in repos}, dict.fromkeys(repos, 6))


if __name__ == "__main__":
    unittest.main()
