"""Splits questions into dev.jsonl and test.jsonl, half of each repository in either.

    split.py FILE [FILE ...]

Within a repository, questions are ordered by the SHA-256 of the seed, the repository and the question; the first half
is for development, the rest for the test. So the split depends on the questions alone, neither on their order nor on
the version of Python, and `split.py dev.jsonl test.jsonl` changes nothing.
"""

import hashlib
import json
import pathlib
import sys

SEED = "paraphrase-1"
HERE = pathlib.Path(__file__).resolve().parent


def draw(entry):
    """The lot of a question."""
    drawn = "\0".join([SEED, entry["repo"], entry["question"]])
    return hashlib.sha256(drawn.encode()).hexdigest()


def parts(entries):
    """The questions for development and those for the test, each by repository and lot."""
    dev, test = [], []
    for repo in sorted({entry["repo"] for entry in entries}):
        drawn = sorted((entry for entry in entries if entry["repo"] == repo), key=draw)
        half = len(drawn) // 2
        dev += drawn[:half]
        test += drawn[half:]
    return dev, test


def main():
    entries = []
    for path in sys.argv[1:]:
        entries += [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    if not entries:
        sys.exit("no questions: name the files that hold them")
    for name, part in zip(("dev", "test"), parts(entries)):
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in part)
        (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{name}.jsonl: {len(part)} questions")


if __name__ == "__main__":
    main()
