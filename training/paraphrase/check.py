"""Checks that the paraphrased questions are well formed and that every gold definition stands where it is said to.

    check.py --repos DIRECTORY [FILE ...]
    check.py --repo OWNER/NAME=PATH [--repo ...] [FILE ...]

A repository is looked for as OWNER/NAME, OWNER+NAME/repo, OWNER+NAME or NAME below DIRECTORY; `--repo` goes before
that. It may be bare; only objects are read, through `git`. Without FILE, dev.jsonl and test.jsonl beside this script
are checked, and then also that they are what `split.py` makes of their union. What is wrong goes to standard error,
one line each, and the exit code is 1. Python 3.9, standard library only.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

import split

HERE = pathlib.Path(__file__).resolve().parent
MAX_GOLD = 4
WORDS = range(4, 16)

# What stands before or around the name on the line that defines it.
DEFINITIONS = {
    "rs": r"\b(fn|struct|enum|union|trait|type|const|static|mod)\s+{name}\b|\bmacro_rules!\s+{name}\b",
    "py": r"^\s*(async\s+)?(def|class)\s+{name}\b",
    "go": r"^\s*(func|type)\s+(\([^)]*\)\s*)?{name}\b",
    "js": r"\b(function|class)\s+{name}\b|^\s*(static\s+|async\s+|get\s+|set\s+)*{name}\(.*\{{$",
    "java": r"\b(class|interface|enum|record)\s+{name}\b|^\s*[\w<].*[\w>\]]\s+{name}\(",
    "c": r"^\w.*\b{name}\(",
    "rb": r"^\s*(def\s+(self\.)?|class\s+|module\s+){name}(?![\w?!])",
}


class Sources:
    """File versions of the repositories, read once each."""

    def __init__(self, directory, named):
        self.directory = directory
        self.named = named
        self.cache = {}

    def place(self, repo):
        if repo in self.named:
            return self.named[repo]
        if self.directory is not None:
            owner, _, name = repo.partition("/")
            for below in (repo, f"{owner}+{name}/repo", f"{owner}+{name}", name):
                if (self.directory / below).is_dir():
                    return self.directory / below
        return None

    def lines(self, repo, commit, path):
        """The lines of a file at a commit, or a sentence that says why there are none."""
        key = (repo, commit, path)
        if key not in self.cache:
            self.cache[key] = self.read(*key)
        return self.cache[key]

    def read(self, repo, commit, path):
        place = self.place(repo)
        if place is None:
            return f"no directory for {repo}: name it with --repo {repo}=PATH"
        command = ["git", "-C", str(place), "show", f"{commit}:{path}"]
        shown = subprocess.run(command, capture_output=True, check=False)
        if shown.returncode != 0:
            return shown.stderr.decode(errors="replace").strip().splitlines()[-1]
        return shown.stdout.decode(errors="replace").split("\n")


def gold_error(sources, entry, gold):
    """What is wrong with one gold definition; `None` if nothing is."""
    path, symbol, name, line = gold["path"], gold["symbol"], gold["name"], gold["line"]
    where = f"{entry['repo']} {path}:{line}"
    if re.split(r"::|\.", symbol)[-1] != name:
        return f"{where}: the symbol `{symbol}` does not end in `{name}`"
    lines = sources.lines(entry["repo"], entry["commit"], path)
    if isinstance(lines, str):
        return f"{where}: {lines}"
    if not 1 <= line <= len(lines):
        return f"{where}: the file has {len(lines)} lines"
    text = lines[line - 1]
    if name not in text:
        return f"{where}: no `{name}` in `{text.strip()}`"
    pattern = DEFINITIONS.get(path.rsplit(".", 1)[-1])
    if pattern is None:
        return f"{where}: what a definition looks like in such a file is not known here"
    if not re.search(pattern.format(name=re.escape(name)), text):
        return f"{where}: `{name}` is named but not defined in `{text.strip()}`"
    return None


def entry_errors(sources, entry):
    """What is wrong with one question."""
    question = entry["question"]
    if set(entry) != {"repo", "commit", "question", "gold"}:
        yield f"{question!r}: the fields are {sorted(entry)}"
    if len(question.split()) not in WORDS:
        yield f"{question!r}: has {len(question.split())} words"
    if not re.fullmatch("[0-9a-f]{40}", entry["commit"]):
        yield f"{question!r}: {entry['commit']!r} is not a full commit id"
    if not 1 <= len(entry["gold"]) <= MAX_GOLD:
        yield f"{question!r}: has {len(entry['gold'])} gold definitions"
    own = {word.lower() for gold in entry["gold"] for word in re.findall(r"\w+", gold["name"])}
    for word in sorted(own & set(re.findall(r"\w+", question.lower()))):
        yield f"{question!r}: names a gold definition: {word}"
    for gold in entry["gold"]:
        error = gold_error(sources, entry, gold)
        if error is not None:
            yield f"{question!r}: {error}"


def errors(sources, entries):
    """What is wrong with questions, those of one another included."""
    seen = set()
    for entry in entries:
        key = (entry["repo"], entry["question"])
        if key in seen:
            yield f"{entry['question']!r}: asked twice of {entry['repo']}"
        seen.add(key)
        yield from entry_errors(sources, entry)
    commits = {}
    for entry in entries:
        commits.setdefault(entry["repo"], set()).add(entry["commit"])
    for repo, ids in commits.items():
        if len(ids) > 1:
            yield f"{repo}: questions name {len(ids)} commits"


def load(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repos", type=pathlib.Path, metavar="DIRECTORY")
    parser.add_argument("--repo", action="append", default=[], metavar="OWNER/NAME=PATH")
    parser.add_argument("files", nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    named = dict(pair.split("=", 1) for pair in arguments.repo)
    files = arguments.files or [HERE / "dev.jsonl", HERE / "test.jsonl"]
    parts = [load(path) for path in files]
    entries = [entry for part in parts for entry in part]
    found = list(errors(Sources(arguments.repos, named), entries))
    if not arguments.files and parts != list(split.parts(entries)):
        found.append("dev.jsonl and test.jsonl are not what split.py makes of them")
    for error in found:
        print(error, file=sys.stderr)
    golds = sum(len(entry["gold"]) for entry in entries)
    repos = len({entry["repo"] for entry in entries})
    print(f"{len(entries)} questions, {golds} gold definitions, {repos} repositories, {len(found)} errors")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
