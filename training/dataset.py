"""Records to bags of words, and, with a vocabulary, to bags of tokens.

    python dataset.py words RECORDS BAGS      each text as counted words, and what words there are
    python dataset.py tokens BAGS VOCABULARY DATASET

The second step is quick, so that vocabularies can be compared.
"""

import collections
import glob
import hashlib
import json
import os
import re
import sys
from multiprocessing import Pool

import numba
import numpy

from measure import letters
from words import Tokenizer, header_of, words

# A sentence is at least this long, in words; shorter ones are left out.
SHORTEST_SENTENCE = 3
MOST_SENTENCES = 8
SENTENCE_END = re.compile(r"(?<=[a-z0-9)'\"`][.!?:;])\s+(?=[A-Z`\"'(])|\n")
PARTS = ("text", "name", "header", "sentence")


def sentences_of(record):
    """The documentation in sentences; the function's own name is cut off where it opens the first."""
    doc = record["doc"]
    opening, _, rest = doc.partition(" ")
    if rest and opening.strip("`():.,").split(".")[-1] == record["name"]:
        doc = rest
    found = [sentence for sentence in SENTENCE_END.split(doc) if sentence]
    return [sentence for sentence in found if len(words(sentence)) >= SHORTEST_SENTENCE][:MOST_SENTENCES]


def number_of(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


class Bags:
    """Rows of counted words, growing."""

    def __init__(self):
        self.pointers, self.words, self.counts = [0], [], []

    def add(self, text, numbers):
        counted = collections.Counter(words(text))
        self.words.extend(numbers[word] for word in counted)
        self.counts.extend(counted.values())
        self.pointers.append(len(self.words))

    def arrays(self):
        return numpy.array(self.pointers, numpy.int64), numpy.array(self.words, numpy.int32), numpy.array(
            self.counts, numpy.float32
        )


def bag(job):
    """One file of records to arrays."""
    source, target = job
    numbers = collections.defaultdict(lambda: len(numbers))
    bags = {part: Bags() for part in PARTS}
    first, sentences = [0], []
    hashes, about = [], []
    with open(source) as file:
        for line in file:
            record = json.loads(line)
            found = sentences_of(record) if record["doc"] else []
            bags["text"].add(record["text"], numbers)
            bags["name"].add(record["name"], numbers)
            bags["header"].add(header_of(record["path"], record["container"]), numbers)
            for sentence in found:
                bags["sentence"].add(sentence, numbers)
            sentences.extend(found)
            first.append(len(sentences))
            hashes.append(
                (
                    number_of(letters(record["text"])),
                    number_of(letters(record["doc"].split("\n")[0])),
                    number_of(record["name"].lower()),
                )
            )
            about.append((record["kind"], record["lang"]))
    arrays = {f"{part}_{kind}": array for part in PARTS for kind, array in zip("pwc", bags[part].arrays())}
    numpy.savez(
        target + ".part.npz",
        first=numpy.array(first, numpy.int64),
        hashes=numpy.array(hashes, numpy.int64).reshape(-1, 3),
        **arrays,
    )
    with open(target + ".json", "w") as file:
        json.dump({"words": list(numbers), "sentences": sentences, "about": about}, file)
    os.rename(target + ".part.npz", target + ".npz")
    return os.path.basename(target), len(hashes)


def make_bags(records, output):
    os.makedirs(output, exist_ok=True)
    jobs = []
    for source in sorted(glob.glob(os.path.join(records, "*.jsonl")), key=os.path.getsize, reverse=True):
        target = os.path.join(output, os.path.basename(source)[: -len(".jsonl")])
        if not os.path.exists(target + ".npz"):
            jobs.append((source, target))
    with Pool(int(os.environ.get("JOBS", "2"))) as pool:
        for name, count in pool.imap_unordered(bag, jobs):
            print(f"{name}: {count} records in bags", flush=True)


@numba.njit(cache=True)
def expand(pointers, local, counts, split_pointers, split_tokens, new_pointers, tokens, values, mark, place):
    """Rows of words to rows of distinct tokens with summed counts; `mark` is -1 throughout at first."""
    filled = 0
    for row in range(len(pointers) - 1):
        start = filled
        for at in range(pointers[row], pointers[row + 1]):
            word = local[at]
            for piece in range(split_pointers[word], split_pointers[word + 1]):
                token = split_tokens[piece]
                if mark[token] != row:
                    mark[token] = row
                    place[token] = filled
                    tokens[filled] = token
                    values[filled] = 0.0
                    filled += 1
                values[place[token]] += counts[at]
        new_pointers[row + 1] = filled
    return filled


def in_tokens(arrays, part, split_pointers, split_tokens, size):
    pointers, local, counts = (arrays[f"{part}_{kind}"] for kind in "pwc")
    room = int((split_pointers[local + 1] - split_pointers[local]).sum()) if len(local) else 0
    new_pointers = numpy.zeros(len(pointers), numpy.int64)
    tokens, values = numpy.empty(room, numpy.int32), numpy.empty(room, numpy.float32)
    mark, place = numpy.full(size, -1, numpy.int64), numpy.zeros(size, numpy.int64)
    filled = expand(pointers, local, counts, split_pointers, split_tokens, new_pointers, tokens, values, mark, place)
    return new_pointers, tokens[:filled].copy(), 1 + numpy.log(values[:filled])


def make_dataset(bags, vocabulary, output):
    """All training records in one: what is in a held-out or development repository too, by text or documentation, is out."""
    import sources

    roles = {origin.name.replace("/", "+"): origin.role for origin in sources.load("data.toml")}
    tokenizer = Tokenizer.read(vocabulary)
    names = sorted(os.path.basename(path)[: -len(".npz")] for path in glob.glob(os.path.join(bags, "*.npz")))
    kept_out = [name for name in names if roles.get(name, "train") != "train"]
    banned_texts, banned_docs = set(), set()
    nothing = number_of("")
    for name in kept_out:
        hashes = numpy.load(os.path.join(bags, name + ".npz"))["hashes"]
        banned_texts.update(hashes[:, 0].tolist())
        banned_docs.update(hashes[:, 1].tolist())
    banned_docs.discard(nothing)
    seen, doc_uses = set(), collections.Counter()
    gathered = collections.defaultdict(list)
    languages, counts, all_sentences = {}, collections.Counter(), []
    for origin, name in enumerate(name for name in names if name not in kept_out):
        arrays = numpy.load(os.path.join(bags, name + ".npz"))
        with open(os.path.join(bags, name + ".json")) as file:
            extra = json.load(file)
        split = [tokenizer.vocabulary.split(word) for word in extra["words"]]
        split_pointers = numpy.zeros(len(split) + 1, numpy.int64)
        split_pointers[1:] = numpy.cumsum([len(pieces) for pieces in split])
        split_tokens = numpy.fromiter((piece for pieces in split for piece in pieces), numpy.int32)
        hashes, first = arrays["hashes"], arrays["first"]
        keep, with_doc = numpy.zeros(len(hashes), bool), numpy.zeros(len(hashes), bool)
        for row, (text, doc, _) in enumerate(hashes.tolist()):
            # A text may come back with other documentation, in another version or for a commit.
            key = (text, doc)
            if text in banned_texts or doc in banned_docs or key in seen:
                continue
            seen.add(key)
            has_sentence = first[row + 1] > first[row]
            if doc != nothing and has_sentence:
                doc_uses[doc] += 1
                with_doc[row] = doc_uses[doc] <= MOST_DOC_USES
            if with_doc[row] or extra["about"][row][0] == "function":
                keep[row] = True
        rows = numpy.flatnonzero(keep)
        for part in ("text", "name", "header"):
            append_rows(gathered, part, in_tokens(arrays, part, split_pointers, split_tokens, tokenizer.size), rows)
        # Sentences of what is kept, row after row.
        ends = numpy.where(with_doc[rows], first[rows + 1], first[rows])
        chosen = numpy.concatenate([numpy.arange(a, b) for a, b in zip(first[rows], ends)] or [numpy.zeros(0, int)]).astype(int)
        append_rows(gathered, "sentence", in_tokens(arrays, "sentence", split_pointers, split_tokens, tokenizer.size), chosen)
        all_sentences.extend(extra["sentences"][at] for at in chosen)
        gathered["sentence_count"].append(ends - first[rows])
        gathered["hashes"].append(hashes[rows])
        gathered["origin"].append(numpy.full(len(rows), origin, numpy.int32))
        kinds = {"function": 0, "type": 1, "change": 2, "test": 3, "readme": 4}
        gathered["kind"].append(numpy.array([kinds[extra["about"][row][0]] for row in rows], numpy.int8))
        for row in rows:
            kind, lang = extra["about"][row]
            counts[(lang, kind, bool(with_doc[row]))] += 1
    result = {key: numpy.concatenate(parts) for key, parts in gathered.items() if not key.endswith("_lengths")}
    for part in PARTS:
        lengths = numpy.concatenate(gathered[part + "_lengths"])
        result[part + "_pointers"] = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int64)
    result["first"] = numpy.concatenate([[0], numpy.cumsum(result.pop("sentence_count"))]).astype(numpy.int64)
    numpy.savez(output, **result)
    with open(output + ".sentences.json", "w") as file:
        json.dump(all_sentences, file)
    summary = {" ".join((lang, kind, "documented" if doc else "undocumented")): count for (lang, kind, doc), count in sorted(counts.items())}
    with open(output + ".counts.json", "w") as file:
        json.dump(summary, file, indent=1)
    documented = sum(count for (_, _, doc), count in counts.items() if doc)
    print(f"{len(result['hashes'])} rows, {documented} documented, {len(all_sentences)} sentences")


# Documentation that more functions share says little about each.
MOST_DOC_USES = 4


def append_rows(gathered, part, rows_of_tokens, rows):
    pointers, tokens, values = rows_of_tokens
    lengths = pointers[rows + 1] - pointers[rows] if len(rows) else numpy.zeros(0, numpy.int64)
    total = int(lengths.sum())
    at = numpy.repeat(pointers[rows] - numpy.concatenate([[0], numpy.cumsum(lengths)[:-1]]), lengths) + numpy.arange(total) if total else numpy.zeros(0, int)
    gathered[part + "_tokens"].append(tokens[at])
    gathered[part + "_values"].append(values[at].astype(numpy.float32))
    gathered[part + "_lengths"].append(lengths)


def main():
    step = sys.argv[1]
    if step == "words":
        make_bags(*sys.argv[2:4])
    else:
        make_dataset(*sys.argv[2:5])


if __name__ == "__main__":
    main()
