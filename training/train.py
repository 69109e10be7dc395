"""Trains the table: what is said of code comes to lie beside the code.

    python train.py DATASET VOCABULARY OUTPUT [--setting value …]

One step takes a batch of pairs and lowers the cross-entropy of each pair among all in its batch, both ways. There are six
kinds of batches, drawn at random:

- doc: a sentence or two of the documentation, and the code with its name, at times with the rest of its documentation;
- name: the name, and the body without the words of the name;
- change: the message of a commit, and what it changed;
- test: the name of a test, and what it tests;
- readme: a sentence of a manual, and what it names;
- alike: first sentences of documentation against each other, where the teacher's similarities are what is wanted.
"""

import argparse
import os
import time

import numba
import numpy
from safetensors.numpy import load_file, save_file

import measure
import sources
from flatten import flatten
from words import Tokenizer

DIMENSION = 256
UNKNOWN = 1
FUNCTION, TYPE, CHANGE, TEST, README = range(5)
# With --stop: steps between two looks at the development repositories, and looks without a better figure before the end.
LOOK, PATIENCE = 50, 4


def settings():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("vocabulary")
    parser.add_argument("output", help="the directory that the model is written to")
    parser.add_argument("--words", default="", help="the teacher's vectors of the tokens, to start from")
    parser.add_argument("--sentences", default="", help="the teacher's vectors of first sentences, for alike batches")
    parser.add_argument("--start", default="", help="a model of the same vocabulary, to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--block", type=int, default=64, help="rows of one origin that stay together in a batch")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--name-weight", type=float, default=3.0)
    parser.add_argument("--header-weight", type=float, default=0.7)
    parser.add_argument("--header-share", type=float, default=0.5, help="how often the header is there")
    parser.add_argument("--doc-share", type=float, default=0.3, help="how often documentation stays in the code")
    parser.add_argument("--name-drop", type=float, default=0.1, help="how often the name is away")
    parser.add_argument("--lexical", type=float, default=0.2, help="how often shared tokens are taken from the code")
    parser.add_argument("--drop", type=float, default=0.1, help="share of tokens that are dropped at random")
    parser.add_argument("--name", type=float, default=0.25, help="share of name batches")
    parser.add_argument("--change", type=float, default=0.15, help="share of change batches")
    parser.add_argument("--test", type=float, default=0.0, help="share of test batches; needs records of pairs.py")
    parser.add_argument("--readme", type=float, default=0.0, help="share of readme batches; needs records of pairs.py")
    parser.add_argument("--alike", type=float, default=0.0, help="share of alike batches; needs --sentences")
    parser.add_argument("--average", type=float, default=0.3, help="the last share of the steps, whose tables are averaged")
    parser.add_argument("--stop", default="", help="records of the development repositories, to end when these get no better")
    parsed = parser.parse_args()
    if parsed.alike and not parsed.sentences:
        parser.error("--alike needs --sentences")
    return parsed


@numba.njit(cache=True)
def fill(pointers, tokens, values, low, high, scale, row, mark, stamp, drop, out_tokens, out_values, filled):
    """Appends rows low to high of a part to the bag; marked tokens are left out, and some at random."""
    for at in range(pointers[low], pointers[high]):
        token = tokens[at]
        if mark[token] == stamp or token == UNKNOWN:
            continue
        if drop > 0.0 and numpy.random.random() < drop:
            continue
        out_tokens[filled] = token
        out_values[filled] = scale * values[at]
        filled += 1
    return filled


@numba.njit(cache=True)
def fill_all(parts_low, parts_high, scales, drops, exclude, query, text, name, header, sentence, mark, out_tokens, out_values, out_pointers):
    """The bags of a batch of documents. Parts: 0 text, 1 name, 2 header, 3 sentences.

    `exclude` says for each row whether the tokens of its query are left out.
    """
    filled = 0
    for row in range(len(exclude)):
        stamp = row
        if exclude[row]:
            for at in range(query[0][row], query[0][row + 1]):
                mark[query[1][at]] = stamp
        drop = drops[row]
        if scales[0, row] > 0:
            filled = fill(text[0], text[1], text[2], parts_low[0, row], parts_high[0, row], scales[0, row], row, mark, stamp, drop, out_tokens, out_values, filled)
        if scales[1, row] > 0:
            filled = fill(name[0], name[1], name[2], parts_low[1, row], parts_high[1, row], scales[1, row], row, mark, stamp, 0.0, out_tokens, out_values, filled)
        if scales[2, row] > 0:
            filled = fill(header[0], header[1], header[2], parts_low[2, row], parts_high[2, row], scales[2, row], row, mark, stamp, 0.0, out_tokens, out_values, filled)
        if scales[3, row] > 0:
            filled = fill(sentence[0], sentence[1], sentence[2], parts_low[3, row], parts_high[3, row], scales[3, row], row, mark, stamp, drop, out_tokens, out_values, filled)
        out_pointers[row + 1] = filled
    return filled


@numba.njit(parallel=True, fastmath=True, cache=True)
def forward(pointers, tokens, values, weights, table, out):
    for row in numba.prange(len(pointers) - 1):
        for at in range(pointers[row], pointers[row + 1]):
            token = tokens[at]
            factor = values[at] * weights[token]
            for column in range(table.shape[1]):
                out[row, column] += factor * table[token, column]


@numba.njit(parallel=True, fastmath=True, cache=True)
def backward(pointers, tokens, values, gradient, total, touched):
    half = total.shape[1] // 2
    for side in numba.prange(2):
        for row in range(len(pointers) - 1):
            for at in range(pointers[row], pointers[row + 1]):
                token = tokens[at]
                touched[token] = True
                for column in range(side * half, (side + 1) * half):
                    total[token, column] += values[at] * gradient[row, column]


@numba.njit(parallel=True, fastmath=True, cache=True)
def weigh(scores, temperature, groups):
    """Scores to unnormalised probabilities, in place; others of the same group do not count."""
    for row in numba.prange(scores.shape[0]):
        for column in range(scores.shape[1]):
            if row != column and groups[row] == groups[column]:
                scores[row, column] = 0.0
            else:
                scores[row, column] = numpy.exp((scores[row, column] - 1.0) / temperature)


@numba.njit(parallel=True, fastmath=True, cache=True)
def update(table, from_queries, from_documents, query_logs, document_logs, touched, first, second, logs_first, logs_second, rate, step):
    """Adam, for the rows that the batch touched; the gradients are cleared."""
    beta1, beta2 = numpy.float32(0.9), numpy.float32(0.999)
    correct1, correct2 = 1 - beta1**step, 1 - beta2**step
    for token in numba.prange(table.shape[0]):
        if not touched[token]:
            continue
        touched[token] = False
        query_weight, document_weight = numpy.exp(query_logs[token]), numpy.exp(document_logs[token])
        query_slope = document_slope = numpy.float32(0.0)
        for column in range(table.shape[1]):
            query_slope += from_queries[token, column] * table[token, column]
            document_slope += from_documents[token, column] * table[token, column]
            slope = query_weight * from_queries[token, column] + document_weight * from_documents[token, column]
            first[token, column] = beta1 * first[token, column] + (1 - beta1) * slope
            second[token, column] = beta2 * second[token, column] + (1 - beta2) * slope * slope
            table[token, column] -= rate * (first[token, column] / correct1) / (numpy.sqrt(second[token, column] / correct2) + 1e-8)
            from_queries[token, column] = 0.0
            from_documents[token, column] = 0.0
        for side in range(2):
            slope = query_slope * query_weight if side == 0 else document_slope * document_weight
            logs_first[side, token] = beta1 * logs_first[side, token] + (1 - beta1) * slope
            logs_second[side, token] = beta2 * logs_second[side, token] + (1 - beta2) * slope * slope
            change = 2 * rate * (logs_first[side, token] / correct1) / (numpy.sqrt(logs_second[side, token] / correct2) + 1e-8)
            if side == 0:
                query_logs[token] -= change
            else:
                document_logs[token] -= change


class Part:
    """Rows of tokens with weights."""

    def __init__(self, data, name):
        self.pointers = data[name + "_pointers"]
        self.tokens = data[name + "_tokens"]
        self.values = data[name + "_values"]
        self.arrays = (self.pointers, self.tokens, self.values)


class Batches:
    """An endless stream of batches of some rows: blocks of one origin that stay together, in random order."""

    def __init__(self, rows, origins, settings, random):
        self.rows, self.origins, self.settings, self.random = rows, origins, settings, random
        self.queue = numpy.empty(0, numpy.int64)

    def next(self):
        size = self.settings.batch
        while len(self.queue) < size:
            self.queue = numpy.concatenate([self.queue, self.order()])
        batch, self.queue = self.queue[:size], self.queue[size:]
        return batch

    def order(self):
        """Neighbours in a file stay beside each other in runs of 16; runs of one origin make up blocks."""
        blocks, run = [], 16
        bounds = numpy.flatnonzero(numpy.diff(self.origins[self.rows])) + 1
        for rows in numpy.split(self.rows, bounds):
            runs = [rows[at : at + run] for at in range(0, len(rows), run)]
            mixed = numpy.concatenate([runs[at] for at in self.random.permutation(len(runs))])
            blocks.extend(mixed[at : at + self.settings.block] for at in range(0, len(mixed), self.settings.block))
        return numpy.concatenate([blocks[at] for at in self.random.permutation(len(blocks))])


def in_runs(vectors, random, run=16):
    """An order of rows in which each run is a row drawn at random and what is most like it of those left."""
    order, result = random.permutation(len(vectors)), []
    for part in (order[at : at + 4096] for at in range(0, len(order), 4096)):
        scores = vectors[part] @ vectors[part].T
        free = numpy.ones(len(part), numpy.bool_)
        for at in range(len(part)):
            if free[at]:
                free[at] = False
                left = numpy.flatnonzero(free)
                if len(left) >= run:
                    left = left[numpy.argpartition(-scores[at, left], run - 1)[: run - 1]]
                free[left] = False
                result.extend((part[at], *part[left]))
    return numpy.array(result, numpy.int64)


class AlikeBatches:
    """An endless stream of batches of rows whose sentences the teacher finds alike, in runs."""

    def __init__(self, rows, meaning, settings, random):
        self.rows, self.meaning, self.settings, self.random = rows, meaning, settings, random
        self.queue = numpy.empty(0, numpy.int64)

    def next(self):
        size = self.settings.batch
        while len(self.queue) < size:
            rows = self.random.permutation(self.rows)[: 12 * size]
            rows = rows[in_runs(self.meaning(rows), self.random)]
            blocks = [rows[at : at + self.settings.block] for at in range(0, len(rows), self.settings.block)]
            self.queue = numpy.concatenate([self.queue, *(blocks[at] for at in self.random.permutation(len(blocks)))])
        batch, self.queue = self.queue[:size], self.queue[size:]
        return batch


def unit(sums):
    length = numpy.sqrt((sums * sums).sum(1, keepdims=True)) + 1e-6
    return sums / length, length


class Mean:
    """The mean of several states of a table."""

    def __init__(self):
        self.sums, self.count = None, 0

    def add(self, state):
        self.sums = [part.copy() for part in state] if self.sums is None else [total + part for total, part in zip(self.sums, state)]
        self.count += 1

    def value(self):
        return self.sums and [total / self.count for total in self.sums]


class Development:
    """The development repositories, whose functions are asked for with a table as `flatten.py` makes it."""

    def __init__(self, settings):
        self.tokenizer = Tokenizer.read(settings.vocabulary)
        self.asked, self.best, self.figures = [], None, []
        for origin in sources.load("data.toml"):
            if origin.role == "development":
                functions = measure.functions_of(settings.stop, origin)
                pairs = measure.questions(functions)
                asked = measure.counts(self.tokenizer, [sentence for sentence, _ in pairs])
                wanted = numpy.array([number for _, number in pairs])
                self.asked.append((measure.parts(self.tokenizer, functions), asked, wanted))

    def look(self, state):
        """The mean reciprocal rank; the best state is kept."""
        table = measure.Table(flatten(in_bytes(*state)), self.tokenizer)
        figures = []
        for parts, asked, wanted in self.asked:
            scores = measure.unit(asked @ table.for_queries) @ table.sums(parts).T
            figures.append(measure.summary(measure.ranks(scores, wanted))[0])
        self.figures.append(float(numpy.mean(figures)))
        if self.figures[-1] == max(self.figures):
            self.best = state
        return self.figures[-1]

    def is_over(self):
        return len(self.figures) - 1 - numpy.argmax(self.figures) >= PATIENCE


class Trainer:
    def __init__(self, settings):
        self.settings = settings
        self.random = numpy.random.default_rng(settings.seed)
        seed_numba(settings.seed)
        with open(settings.vocabulary, encoding="utf8") as file:
            self.size = file.read().count("\n")
        data = numpy.load(settings.dataset)
        self.text, self.name, self.header, self.sentence = (Part(data, name) for name in ("text", "name", "header", "sentence"))
        self.first, self.hashes, kind, origins = data["first"], data["hashes"], data["kind"], data["origin"]
        documented = self.first[1:] > self.first[:-1]
        name_words = numpy.diff(self.name.pointers)
        _, inverse, uses = numpy.unique(self.hashes[:, 2], return_inverse=True, return_counts=True)
        telling = (name_words >= 2) & (uses[inverse] <= 30) & (kind == FUNCTION)
        self.streams = {
            "doc": Batches(numpy.flatnonzero(documented & (kind < CHANGE)), origins, settings, self.random),
            "name": Batches(numpy.flatnonzero(telling), origins, settings, self.random),
        }
        self.shares = {"name": settings.name}
        for mode, of in (("change", CHANGE), ("test", TEST), ("readme", README)):
            self.shares[mode] = getattr(settings, mode)
            self.streams[mode] = Batches(numpy.flatnonzero(documented & (kind == of)), origins, settings, self.random)
            if self.shares[mode] and not len(self.streams[mode].rows):
                raise SystemExit(f"{settings.dataset} has nothing for {mode} batches")
        self.shares["alike"] = settings.alike
        if settings.alike:
            told = numpy.load(settings.sentences)
            self.vectors, self.sentence_of = told["vectors"], told["row"]
            if len(self.sentence_of) != len(self.hashes):
                raise SystemExit(f"{settings.sentences} is of another data set")
            self.streams["alike"] = AlikeBatches(self.streams["doc"].rows, self.meaning, settings, self.random)
        self.start()

    def start(self):
        """Vectors of the teacher or random ones; rare tokens weigh more than frequent ones, as inverse frequency has it."""
        frequency = numpy.bincount(self.text.tokens, minlength=self.size) + numpy.bincount(self.sentence.tokens, minlength=self.size)
        inverse = numpy.log((len(self.hashes) + 1) / (frequency + 1)).astype(numpy.float32)
        if self.settings.words:
            vectors = numpy.load(self.settings.words).astype(numpy.float32)
            vectors -= vectors.mean(0)
            _, _, directions = numpy.linalg.svd(vectors[: self.size], full_matrices=False)
            table = vectors @ directions[:DIMENSION].T
            table /= numpy.linalg.norm(table, axis=1, keepdims=True) + 1e-6
        else:
            table = self.random.standard_normal((self.size, DIMENSION)) / numpy.sqrt(DIMENSION)
        logs = numpy.log(numpy.clip(inverse, 0.3, 10) / 5).astype(numpy.float32)
        self.query_logs, self.document_logs = logs.copy(), logs.copy()
        if self.settings.start:
            tensors = load_file(os.path.join(self.settings.start, "model.safetensors"))
            table = tensors["vectors"] * tensors["scale"][:, None]
            self.query_logs, self.document_logs = (numpy.log(tensors[name]) for name in ("query_weight", "document_weight"))
        self.table = numpy.ascontiguousarray(table, numpy.float32)
        self.table[:2] = 0
        self.from_queries, self.from_documents, self.moment1, self.moment2 = (numpy.zeros_like(self.table) for _ in range(4))
        self.logs1, self.logs2 = (numpy.zeros((2, self.size), numpy.float32) for _ in range(2))
        self.touched = numpy.zeros(self.size, numpy.bool_)
        self.mark = numpy.empty(self.size, numpy.int64)

    def meaning(self, rows):
        """The teacher's vectors of the first sentences."""
        return self.vectors[self.sentence_of[rows]].astype(numpy.float32)

    def bags(self, rows, low, high, scales, drop, exclude, query):
        """Bags of documents from row ranges of the four parts."""
        parts = (self.text, self.name, self.header, self.sentence)
        room = sum(int((part.pointers[high[at]] - part.pointers[low[at]]).sum()) for at, part in enumerate(parts))
        tokens, values = numpy.empty(room, numpy.int32), numpy.empty(room, numpy.float32)
        pointers = numpy.zeros(len(rows) + 1, numpy.int64)
        self.mark[:] = -1
        drops = numpy.full(len(rows), drop)
        filled = fill_all(low, high, scales.astype(numpy.float32), drops, exclude, query, *(part.arrays for part in parts), self.mark, tokens, values, pointers)
        return pointers, tokens[:filled], values[:filled]

    def batch(self, mode):
        """Queries and documents in bags, and the groups whose members do not count against each other."""
        rows = self.streams[mode].next()
        count = len(rows)
        chance = lambda share: self.random.random(count) < share  # noqa: E731
        everything = numpy.zeros(count, numpy.bool_)
        nothing = (numpy.zeros(count + 1, numpy.int64), numpy.zeros(0, numpy.int32), numpy.zeros(0, numpy.float32))
        first, last = self.first[rows], self.first[rows + 1]
        low, high = numpy.stack([rows] * 4), numpy.stack([rows + 1] * 4)
        asked = numpy.zeros((4, count))
        if mode == "name":
            asked[1] = 1
            low[3] = high[3] = 0
            query = self.bags(rows, low, high, asked, 0.0, everything, nothing)
            scales = numpy.stack([numpy.ones(count), numpy.zeros(count), self.settings.header_weight * chance(self.settings.header_share), numpy.zeros(count)])
            documents = self.bags(rows, low, high, scales, self.settings.drop, ~everything, query)
            return query, documents, self.hashes[rows, 2]
        if mode == "alike":
            low[3], high[3], asked[3] = first, first + 1, 1
            query = self.bags(rows, low, high, asked, 0.0, everything, nothing)
            scales = asked.copy()
            scales[1] = self.settings.name_weight * chance(0.3)
            documents = self.bags(rows, low, high, scales, self.settings.drop, everything, nothing)
            return query, documents, self.sentence_of[rows]
        # The first sentence at most times, else another, and at times with what follows.
        begin = numpy.where(chance(0.65), first, first + (self.random.random(count) * (last - first)).astype(numpy.int64))
        end = numpy.minimum(begin + 1 + chance(0.3), last)
        low[3], high[3], asked[3] = begin, end, 1
        query = self.bags(rows, low, high, asked, 0.0, everything, nothing)
        named = numpy.where(chance(self.settings.name_drop), 0.0, self.settings.name_weight)
        headed = self.settings.header_weight * chance(self.settings.header_share)
        # The rest of the documentation: what follows the question, or else what comes before it.
        low[3], high[3] = numpy.where(end < last, end, first), numpy.where(end < last, last, begin)
        kept = chance(self.settings.doc_share) * 1.0
        scales = numpy.stack([numpy.ones(count), named, headed, kept])
        documents = self.bags(rows, low, high, scales, self.settings.drop, chance(self.settings.lexical), query)
        return query, documents, self.hashes[rows, 1]

    def alikeness(self, sentences):
        """What alike batches should come to, by the teacher: the mean of the shares in each row and in each column."""
        vectors = self.vectors[sentences].astype(numpy.float32)
        odds = vectors @ vectors.T
        weigh(odds, numpy.float32(self.settings.temperature), sentences)
        numpy.fill_diagonal(odds, 0)
        return odds * (0.5 / odds.sum(1)[:, None] + 0.5 / odds.sum(0)[None, :])

    def step(self, number):
        share, mode = self.random.random(), "doc"
        for candidate, part in self.shares.items():
            if share < part:
                mode = candidate
                break
            share -= part
        query, documents, groups = self.batch(mode)
        count, temperature = len(query[0]) - 1, numpy.float32(self.settings.temperature)
        query_sums, document_sums = (numpy.zeros((count, DIMENSION), numpy.float32) for _ in range(2))
        forward(*query, numpy.exp(self.query_logs), self.table, query_sums)
        forward(*documents, numpy.exp(self.document_logs), self.table, document_sums)
        queries, query_lengths = unit(query_sums)
        answers, answer_lengths = unit(document_sums)
        odds = queries @ answers.T
        diagonal = numpy.arange(count)
        if mode == "alike":
            wanted = self.alikeness(groups)
            own = (wanted * odds).sum(1)
        else:
            own = odds[diagonal, diagonal].copy()
        weigh(odds, temperature, groups)
        if mode == "alike":
            odds[diagonal, diagonal] = 0
        rows, columns = odds.sum(1), odds.sum(0)
        slope = odds * (0.5 / rows[:, None] + 0.5 / columns[None, :])
        if mode == "alike":
            slope -= wanted
        else:
            slope[diagonal, diagonal] -= 1
        slope *= numpy.float32(1 / (self.settings.temperature * count))
        loss = float((-(own - 1) / temperature + 0.5 * numpy.log(rows) + 0.5 * numpy.log(columns)).mean())
        for side, other, lengths, bag, total in (
            (queries, slope @ answers, query_lengths, query, self.from_queries),
            (answers, slope.T @ queries, answer_lengths, documents, self.from_documents),
        ):
            gradient = (other - side * (other * side).sum(1, keepdims=True)) / lengths
            backward(*bag, numpy.ascontiguousarray(gradient, numpy.float32), total, self.touched)
        remaining = 1 - number / self.settings.steps
        rate = self.settings.rate * min(1, (number + 1) / self.settings.warmup) * max(0.03, remaining)
        update(
            self.table, self.from_queries, self.from_documents, self.query_logs, self.document_logs, self.touched,
            self.moment1, self.moment2, self.logs1, self.logs2, numpy.float32(rate), numpy.float32(number + 1),
        )  # fmt: skip
        return mode, loss

    def train(self):
        """The result is the mean of tables of the last steps, or with --stop of those before the best look."""
        began, losses, mean = time.time(), {}, Mean()
        development = Development(self.settings) if self.settings.stop else None
        for number in range(self.settings.steps):
            mode, loss = self.step(number)
            losses[mode] = 0.95 * losses.get(mode, loss) + 0.05 * loss
            if (development or number >= (1 - self.settings.average) * self.settings.steps) and number % 5 == 0:
                mean.add((self.table, self.query_logs, self.document_logs))
            if number % 200 == 199:
                told = ", ".join(f"{kind} {value:.3f}" for kind, value in sorted(losses.items()))
                print(f"step {number + 1}, {time.time() - began:.0f} s: {told}", flush=True)
            if development and number % LOOK == LOOK - 1:
                looked, mean = mean, Mean()
                print(f"step {number + 1}: MRR@10 {development.look(looked.value()):.4f}", flush=True)
                if development.is_over():
                    break
        best = development.best if development else mean.value()
        if best:
            self.table, self.query_logs, self.document_logs = best

    def save(self):
        os.makedirs(self.settings.output, exist_ok=True)
        tensors = in_bytes(self.table, self.query_logs, self.document_logs)
        save_file(tensors, os.path.join(self.settings.output, "model.safetensors"))
        with open(self.settings.vocabulary, "rb") as source, open(os.path.join(self.settings.output, "vocab.txt"), "wb") as copy:
            copy.write(source.read())


def in_bytes(table, query_logs, document_logs):
    """The layout that the program reads: 8 bits a component, one scale a token."""
    scale = numpy.abs(table).max(1) / 127 + 1e-12
    return {
        "vectors": numpy.round(table / scale[:, None]).astype(numpy.int8),
        "scale": scale.astype(numpy.float32),
        "query_weight": numpy.exp(query_logs).astype(numpy.float32),
        "document_weight": numpy.exp(document_logs).astype(numpy.float32),
    }


@numba.njit
def seed_numba(seed):
    numpy.random.seed(seed)


def main():
    trainer = Trainer(settings())
    print({mode: len(stream.rows) for mode, stream in trainer.streams.items()}, flush=True)
    trainer.train()
    trainer.save()


if __name__ == "__main__":
    main()
