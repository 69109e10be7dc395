"""Chooses the tokens: the words that most sources have, in order of frequency, and single characters to cover the rest.

    python vocabulary.py BAGS SIZE OUTPUT

A word counts by the square root of its frequency in each file of bags, so that what one project says often does not crowd
out what many say. Sentences count more than code: they are what questions look like.
"""

import collections
import glob
import json
import math
import os
import string
import sys

import numpy

import sources

SENTENCE_WEIGHT = 4
LONGEST_TOKEN = 24
FEWEST_ORIGINS = 2
ALPHABET = string.ascii_lowercase + string.digits


def counts_of(bags):
    """The damped frequency of each word, and in how many files of bags it is."""
    roles = {origin.name.replace("/", "+"): origin.role for origin in sources.load("data.toml")}
    frequency, spread = collections.Counter(), collections.Counter()
    for path in sorted(glob.glob(os.path.join(bags, "*.npz"))):
        name = os.path.basename(path)[: -len(".npz")]
        if roles.get(name, "train") != "train":
            continue
        arrays = numpy.load(path)
        with open(path[: -len(".npz")] + ".json") as file:
            listed = json.load(file)["words"]
        total = numpy.zeros(len(listed))
        for part, weight in (("text", 1), ("name", 2), ("sentence", SENTENCE_WEIGHT)):
            total += weight * numpy.bincount(arrays[part + "_w"], minlength=len(listed))
        for word, count in zip(listed, total.tolist()):
            if count:
                frequency[word] += math.sqrt(count)
                spread[word] += 1
    return frequency, spread


def choose(frequency, spread, size):
    """Tokens by falling frequency, after the two special ones."""
    characters = [word for word, _ in frequency.most_common() if len(word) == 1 and not word.isascii()]
    fixed = set(ALPHABET) | set(characters[:100])
    wanted = size - 2 - len(fixed)
    chosen = []
    for word, _ in frequency.most_common():
        if len(chosen) == wanted:
            break
        if word in fixed or len(word) > LONGEST_TOKEN or spread[word] < FEWEST_ORIGINS:
            continue
        # Long numbers are taken apart, and hexadecimal dumps are no words.
        if word.isdigit() and len(word) > 3 or not any(char.isalnum() for char in word):
            continue
        chosen.append(word)
    ordered = sorted(fixed | set(chosen), key=lambda word: (-frequency[word], word))
    return ["[PAD]", "[UNK]", *ordered]


def main():
    bags, size, output = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    frequency, spread = counts_of(bags)
    tokens = choose(frequency, spread, size)
    with open(output, "w", encoding="utf8") as file:
        file.writelines(token + "\n" for token in tokens)
    covered = sum(frequency[token] for token in tokens) / sum(frequency.values())
    print(f"{len(tokens)} of {len(frequency)} words; the last is {tokens[-1]!r}; they are {covered:.3f} of damped frequency")


if __name__ == "__main__":
    main()
