"""Asks `precedent search` the questions of a file, and tells how many are answered within the first ten results.

    ask.py QUESTIONS.jsonl --precedent PROGRAM --repos DIRECTORY --stores DIRECTORY

Clones lie as DIRECTORY/OWNER+NAME/repo, stores as DIRECTORY/OWNER+NAME. Each question is asked as of the commit that its line
names, with whatever ranking the program has. Everything that the index holds may be found, tests and documents included.
"""

import argparse
import collections
import json
import os
import subprocess

DEPTH = 10


def answers(result, gold):
    first, last = result["lines"]
    symbol = result["symbol"] or ""
    return result["path"] == gold["path"] and symbol.endswith(gold["name"]) and first <= gold["line"] <= last


def rank(program, clone, store, question):
    """Place of the first right answer, from 1; `None` where it is not among the results."""
    command = [program, "--repo", clone, "--store", store, "search", "--as-of", question["commit"], "--json"]
    command += ["-k", str(DEPTH), "--", question["question"]]
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    results = [json.loads(line) for line in printed.splitlines()]
    if len(results) > DEPTH:
        raise SystemExit(f"{len(results)} results where {DEPTH} were asked for")
    right = [place for place, result in enumerate(results, 1) if any(answers(result, gold) for gold in question["gold"])]
    return min(right, default=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions")
    parser.add_argument("--precedent", default="precedent", metavar="PROGRAM")
    parser.add_argument("--repos", required=True, metavar="DIRECTORY")
    parser.add_argument("--stores", required=True, metavar="DIRECTORY")
    parser.add_argument("--each", action="store_true", help="print the place of every question's answer too")
    options = parser.parse_args()
    ranks = collections.defaultdict(list)
    with open(options.questions, encoding="utf-8") as file:
        for question in map(json.loads, file):
            name = question["repo"].replace("/", "+")
            clone, store = os.path.join(options.repos, name, "repo"), os.path.join(options.stores, name)
            found = rank(options.precedent, clone, store, question)
            ranks[question["repo"]].append(found)
            if options.each:
                print(f"{found or '-':>3}  {question['repo']}  {question['question']}")
    for repository, of_one in sorted(ranks.items()):
        print(f"{repository}: {sum(found is not None for found in of_one)} of {len(of_one)}")
    found = [found for of_one in ranks.values() for found in of_one]
    hits = [place for place in found if place]
    reciprocal = sum(1 / place for place in hits) / len(found)
    print(f"recall@{DEPTH} {len(hits) / len(found):.3f} ({len(hits)} of {len(found)}), MRR@{DEPTH} {reciprocal:.3f}")


if __name__ == "__main__":
    main()
