#!/usr/bin/env python3
"""Chooses the weights of the ranking from what `precedent eval --judged FILE` wrote of development repositories.

    choose.py TASK=FILE...

TASK is `doc`, `msg` or `ask`; the name of a file starts with its repository, `OWNER+NAME.doc.jsonl`. Each query is a list
of candidates with their signals. Weights maximise the likelihood of a right answer under a softmax over the scores, with
a small penalty on their squares, for each kind of question by itself. For `msg` any node in a file that the commit
changed is right. Figures are of weights that were fitted on the other half of the repositories that they are measured on.
"""
import collections
import json
import pathlib
import sys

import numpy as np

SIGNALS = ["meaning", "words", "definition", "named", "called", "path", "container", "coherence", "apart", "callable",
           "size", "said", "said-file", "churn", "churn-file", "recent", "recent-file", "mended", "private", "prose",
           "akin", "common", "declared", "container-akin", "container-said", "covered", "similar", "kind"]
# These are for the trees, which are grown upon what is chosen here.
FOR_TREES = ["covered", "similar"]
STEPS = 120
RATE = 0.5
# Candidates of a query that a fit looks at: right answers, and the best by meaning and words.
KEPT = 60
PENALTY = 1e-3
# Which tasks teach which kind of question. Messages that do not open as a change does are answered as other words are.
TASKS = {"change": {"msg", "doc"}, "words": {"doc", "ask"}, "code": set(), "symbol": set()}
# Of a repository no more queries than this count in a fit, so that large ones do not decide alone.
MOST_QUERIES = 800


class Query:
    def __init__(self, task, repository, kind, judged):
        self.task, self.repository, self.kind = task, repository, kind
        rows = judged["rows"]
        self.signals = np.array([row[0] for row in rows], np.float32).reshape(len(rows), len(SIGNALS))
        self.signals[:, [SIGNALS.index(name) for name in FOR_TREES]] = 0
        self.gold = np.array([row[2 if task == "msg" else 1] for row in rows], bool)
        self.files = np.array([row[3] for row in rows], np.int32)
        self.golds = judged["golds"]

    def ranked(self, weights, decay):
        scores = self.signals @ weights
        order = np.argsort(-scores, kind="stable")
        if decay:
            seen = collections.Counter()
            for at in order:
                scores[at] -= decay * min(seen[self.files[at]], 4)
                seen[self.files[at]] += 1
            order = np.argsort(-scores, kind="stable")
        return order

    def outcome(self, weights, decay=0.0):
        """Reciprocal rank and recall at ten."""
        order = self.ranked(weights, decay)
        if self.task == "msg":
            _, first = np.unique(self.files[order], return_index=True)
            order = order[np.sort(first)]
        hits = np.flatnonzero(self.gold[order[:10]])
        if not len(hits):
            return 0.0, 0.0
        found = 1 if self.task == "ask" else min(len(hits), self.golds)
        golds = 1 if self.task == "ask" else min(self.golds, 10)
        return 1 / (hits[0] + 1), min(1.0, found / golds)


def load(arguments):
    queries = []
    for argument in arguments:
        task, path = argument.split("=", 1)
        repository = pathlib.Path(path).name.split(".")[0]
        count = 0
        for line in open(path, encoding="utf-8"):
            judged = json.loads(line)
            if judged["rows"] and count < MOST_QUERIES:
                queries.append(Query(task, repository, judged["kind"], judged))
                count += 1
    return queries


def fit(queries, start):
    """Adam on the mean negative log-likelihood of right answers; each task counts the same."""
    queries = [query for query in queries if query.gold.any()]
    kept = [np.flatnonzero(query.gold | (np.argsort(np.argsort(-query.signals @ start)) < KEPT)) for query in queries]
    tasks = collections.Counter(query.task for query in queries)
    shares = np.array([1 / tasks[query.task] for query in queries], np.float32)
    shares /= shares.sum()
    signals = np.concatenate([query.signals[rows] for query, rows in zip(queries, kept)])
    gold = np.concatenate([query.gold[rows] for query, rows in zip(queries, kept)])
    ends = np.cumsum([len(rows) for rows in kept])
    starts = np.concatenate([[0], ends[:-1]])
    of = np.repeat(np.arange(len(queries)), np.diff(np.concatenate([[0], ends])))
    weights = start.copy()
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        scores = signals @ weights
        scores = np.exp(scores - np.maximum.reduceat(scores, starts)[of])
        everything = scores / np.add.reduceat(scores, starts)[of]
        right = scores * gold
        right = right / np.add.reduceat(right, starts)[of]
        gradient = ((everything - right) * shares[of]) @ signals + 2 * PENALTY * weights
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient ** 2
        rate = RATE * (1 - step / STEPS)
        weights -= rate * (first / (1 - 0.9 ** step)) / (np.sqrt(second / (1 - 0.99 ** step)) + 1e-9)
    return weights


def scaled(weights):
    """Meaning and words together count 1."""
    return weights / max(weights[0] + weights[1], 1e-6)


def shown(queries, weights_of, decay=0.0):
    for task in sorted({query.task for query in queries}):
        per = collections.defaultdict(list)
        for query in queries:
            if query.task == task:
                per[query.repository].append(query.outcome(weights_of(query), decay))
        means = {repository: np.mean(outcomes, axis=0) for repository, outcomes in per.items()}
        print(f"    {task}: " + "  ".join(f"{name.split('+')[-1]} {m:.3f}/{r:.3f}" for name, (m, r) in sorted(means.items())))
        total = np.mean(list(means.values()), axis=0)
        print(f"    {task}: mean of {len(means)} MRR@10 {total[0]:.4f}  recall@10 {total[1]:.4f}")


def main():
    queries = load(sys.argv[1:])
    start = np.zeros(len(SIGNALS), np.float32)
    start[:2] = (6, 4)
    print("vectors and words, 0.6 and 0.4")
    shown(queries, lambda query: start)
    chosen, held = {}, {}
    for kind in sorted({query.kind for query in queries}):
        of_kind = [query for query in queries if query.kind == kind]
        if len(of_kind) < 100:
            print(f"{kind}: {len(of_kind)} queries, too few")
            chosen[kind] = start
            continue
        of_kind = [query for query in of_kind if query.task in TASKS[kind]]
        chosen[kind] = fit(of_kind, start)
        repositories = sorted({query.repository for query in queries})
        for fold in range(2):
            out = set(repositories[fold::2])
            weights = fit([query for query in of_kind if query.repository not in out], start)
            held.update({(kind, repository): weights for repository in out})
        print(f"{kind}: {len(of_kind)} queries")
        for name, weight in zip(SIGNALS, scaled(chosen[kind])):
            print(f"    {name:<15}{weight:+.3f}")
    print("fitted on the other half of the repositories")
    without = lambda query: scaled(held.get((query.kind, query.repository), chosen[query.kind]))
    for decay in (0.0, 0.02, 0.05):
        print(f"  decay {decay}")
        shown(queries, without, decay)


if __name__ == "__main__":
    main()
