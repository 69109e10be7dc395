"""Measures a table on repositories: does a sentence of its documentation find a function among all of them?

    python measure.py RECORDS held-out|development MODEL…

A model is a directory with `model.safetensors` and `vocab.txt`. Documentation is not part of the indexed text; a query is
the first sentence of a function's documentation, without the function's own name where it opens with it, as is the custom
in Go. The measure is the mean reciprocal rank within the first ten, and the recall at ten.
"""

import collections
import json
import os
import random
import re
import sys

import numpy
import scipy.sparse
from safetensors.numpy import load_file

import sources
from words import Tokenizer, header_of, words

MOST_QUERIES = 800
SEED = 1
NAME_WEIGHT = 3.0
HEADER_WEIGHT = 1.6
# A text counts for the length of its sum to a power: (TEXT_LENGTH / length) ** TEXT_POWER times what it is.
TEXT_LENGTH, TEXT_POWER = 11.2, 0.375


def first_sentence(doc):
    first = doc.split("\n")[0]
    sentence = re.match(r"(.{20,}?[.!?])(\s|$)", first)
    return (sentence.group(1) if sentence else first)[:300]


def letters(text):
    return re.sub(r"\W+", "", text.lower())


def has_name(sentence, name):
    """Whether the identifier itself stands in the sentence, and is more than a word of English."""
    return len(words(name)) > 1 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sentence) is not None


def questions(functions):
    """Pairs of a sentence and the number of its function; ambiguous ones are left out."""
    docs = collections.Counter(letters(function["doc"].split("\n")[0]) for function in functions if function["doc"])
    found = []
    for number, function in enumerate(functions):
        if not function["doc"] or docs[letters(function["doc"].split("\n")[0])] > 1:
            continue
        sentence = first_sentence(function["doc"])
        opening, _, rest = sentence.partition(" ")
        if rest and opening.strip("`():.,").split(".")[-1] == function["name"]:
            sentence = rest
        if len(words(sentence)) >= 4 and not has_name(sentence, function["name"]):
            found.append((sentence, number))
    times = collections.Counter(sentence.lower() for sentence, _ in found)
    found = [question for question in found if times[question[0].lower()] == 1]
    random.Random(SEED).shuffle(found)
    return found[:MOST_QUERIES]


class Table:
    """A table as the program reads it."""

    def __init__(self, tensors, tokenizer, header_weight=HEADER_WEIGHT, name_weight=NAME_WEIGHT):
        vectors = tensors["vectors"].astype(numpy.float32) * tensors["scale"][:, None]
        self.for_queries = vectors * tensors["query_weight"][:, None]
        self.for_documents = vectors * tensors["document_weight"][:, None]
        self.tokenizer = tokenizer
        self.name_weight, self.header_weight = name_weight, header_weight

    @classmethod
    def read(cls, directory, header_weight=HEADER_WEIGHT):
        tensors = load_file(os.path.join(directory, "model.safetensors"))
        return cls(tensors, Tokenizer.read(os.path.join(directory, "vocab.txt")), header_weight)

    def queries(self, texts):
        return unit(counts(self.tokenizer, texts) @ self.for_queries)

    def documents(self, functions, texts=None):
        return self.sums(parts(self.tokenizer, functions, texts))

    def sums(self, parts):
        text, name, header = (part @ self.for_documents for part in parts)
        text *= (TEXT_LENGTH / (numpy.linalg.norm(text, axis=1, keepdims=True) + 1e-6)) ** TEXT_POWER
        return unit(text + self.name_weight * name + self.header_weight * header)


def counts(tokenizer, texts):
    """A row of weighted tokens for each text."""
    pointers, tokens, values = [0], [], []
    for text in texts:
        counted = collections.Counter(tokenizer.tokens(text))
        tokens.extend(counted)
        values.extend(counted.values())
        pointers.append(len(tokens))
    weights = 1 + numpy.log(numpy.array(values, numpy.float32)) if values else numpy.zeros(0, numpy.float32)
    return scipy.sparse.csr_matrix((weights, tokens, pointers), shape=(len(texts), tokenizer.size))


def parts(tokenizer, functions, texts=None):
    """Texts, names and headers of functions, as rows of weighted tokens."""
    return (
        counts(tokenizer, texts or [function["text"] for function in functions]),
        counts(tokenizer, [function["name"] for function in functions]),
        counts(tokenizer, [header_of(function["path"], function["container"]) for function in functions]),
    )


def unit(sums):
    return sums / (numpy.linalg.norm(sums, axis=1, keepdims=True) + 1e-6)


def ranks(scores, wanted):
    """The rank, from 1, of the wanted document of each query; equals count against it by half."""
    own = scores[numpy.arange(len(wanted)), wanted][:, None]
    return 1 + (scores > own).sum(1) + ((scores == own).sum(1) - 1) // 2


def summary(found):
    return float(numpy.where(found <= 10, 1 / found, 0).mean()), float((found <= 10).mean())


def functions_of(records, origin):
    path = os.path.join(records, origin.name.replace("/", "+") + ".jsonl")
    with open(path) as file:
        return [record for record in map(json.loads, file) if record["kind"] == "function"]


def measure(table, functions, asked):
    scores = table.queries([sentence for sentence, _ in asked]) @ table.documents(functions).T
    return summary(ranks(scores, numpy.array([number for _, number in asked])))


def main():
    records, role = sys.argv[1:3]
    origins = [origin for origin in sources.load("data.toml") if origin.role == role]
    if not origins:
        raise SystemExit(f"data.toml has no repository of role {role!r}; roles are train, development and held-out")
    for directory in sys.argv[3:]:
        for header_weight in (0.0, HEADER_WEIGHT):
            table, all_figures = Table.read(directory, header_weight), []
            print(f"{directory}, {'with' if header_weight else 'without'} header: MRR@10 / recall@10")
            for origin in origins:
                functions = functions_of(records, origin)
                asked = questions(functions)
                figures = measure(table, functions, asked)
                all_figures.append(figures)
                print(f"  {origin.name} ({len(functions)}, {len(asked)}): {figures[0]:.3f} / {figures[1]:.3f}")
            mean = numpy.mean(all_figures, axis=0)
            print(f"  mean: {mean[0]:.4f} / {mean[1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
