"""Measures tables on questions in other words: is one of the right definitions within the first ten?

    CLONES=… python questions.py QUESTIONS.jsonl MODEL…

Documentation stays in the indexed text; candidates are all functions and types of a repository.
"""

import collections
import json
import os
import sys

import numpy

import extract
import sources
from measure import Table

# A definition may begin above the line that holds its name, with attributes or a type of its own line.
MOST_LINES_ABOVE = 12


def definitions(repository, commit):
    """What `extract.py` finds in a repository at a commit."""
    directory = os.path.join(os.environ["CLONES"], repository.replace("/", "+"), "repo")
    origin = sources.Origin(repository, "held-out", "git", [(directory, commit)])
    files = sources.files(origin, extract.wanted)
    return [record for path, data in files for record in extract.read_file(path, data)]


def is_gold(record, gold):
    above = gold["line"] - record["line"]
    return record["path"] == gold["path"] and record["name"] == gold["name"] and -3 <= above <= MOST_LINES_ABOVE


def main():
    asked = collections.defaultdict(list)
    with open(sys.argv[1]) as file:
        for question in map(json.loads, file):
            asked[question["repo"], question["commit"]].append(question)
    tables = [(directory, Table.read(directory)) for directory in sys.argv[2:]]
    found = collections.Counter()
    for (repository, commit), questions in asked.items():
        records = definitions(repository, commit)
        texts = [record["doc"] + "\n" + record["text"] for record in records]
        for directory, table in tables:
            scores = table.queries([question["question"] for question in questions]) @ table.documents(records, texts).T
            for question, row in zip(questions, scores):
                right = [at for at, record in enumerate(records) if any(is_gold(record, gold) for gold in question["gold"])]
                if not right:
                    raise SystemExit(f"{repository} has no definition that answers {question['question']!r}")
                found[directory] += int((row > numpy.max(row[right])).sum() < 10)
    total = sum(map(len, asked.values()))
    for directory, _ in tables:
        print(f"{directory}: {found[directory]} of {total}, recall@10 {found[directory] / total:.3f}")


if __name__ == "__main__":
    main()
