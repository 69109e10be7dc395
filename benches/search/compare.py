"""Compares vector search with FAISS and USearch, on the vectors of real histories and questions that people wrote.

Usage: compare.py VECTORS STORE... --work FOLDER [--questions 400] [--without hnsw,usearch,...] [--only build|ask]

VECTORS is the example `vectors` of precedent-pipeline; the vectors of all STOREs are put together. Questions are first
lines of commit messages of those histories, embedded as questions are. Half of them, by a hash of their text, choose each
index's effort: the least whose recall@10 reaches .96 and .98. The other half is what is reported. Exact is the inner
product of the stored vectors in 32-bit floats. Everything runs on one thread; a cold start is a new process that opens the
index and asks one question: with all files in the page cache, and with those of the index dropped from it. Programs and
libraries stay there.

All indices are built before the first one is asked, so that they are asked within a few minutes; with `--only`, each of the
two is a run of its own, and what was built is taken from FOLDER.

It prints one line of JSON for each index, then a table.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import faiss
import numpy
import pyarrow.compute
import pyarrow.parquet
import usearch.index

DIMENSION = 256
COUNT = 10
COLD_RUNS = 5
RECALLS = (0.96, 0.98)
SHARE_WANTED = 100
LEAST_WORDS = 4
# About as many as a first run of cargo's history commits at once.
ROWS_A_GENERATION = 18_000


def shards(store: pathlib.Path, table: str) -> list[pathlib.Path]:
    manifest = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
    return [store / table / shard["name"] for shard in manifest["shards"] if shard["table"] == table]


def read_vectors(stores: list[pathlib.Path]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Signed bytes, one row a vector, and the step of each row."""
    values, scales = [], []
    for shard in (shard for store in stores for shard in shards(store, "vectors")):
        table = pyarrow.parquet.read_table(shard, columns=["scale", "vector"])
        for chunk in table["vector"].chunks:
            data = numpy.frombuffer(chunk.buffers()[1], dtype=numpy.int8)
            values.append(data[chunk.offset * DIMENSION :][: len(chunk) * DIMENSION].reshape(-1, DIMENSION))
        scales.append(table["scale"].to_numpy())
    return numpy.concatenate(values), numpy.concatenate(scales)


def read_questions(stores: list[pathlib.Path], count: int) -> tuple[list[str], list[str]]:
    """First lines of messages, for choosing and for reporting; as many of each, in an order that a hash gives."""
    lines = set()
    for shard in (shard for store in stores for shard in shards(store, "commits")):
        for message in pyarrow.parquet.read_table(shard, columns=["message"])["message"].to_pylist():
            line = message.split("\n", 1)[0].strip()
            if len(line.split()) >= LEAST_WORDS and not line.startswith("Merge "):
                lines.add(line)
    ordered = sorted(lines, key=lambda line: hashlib.sha256(line.encode()).hexdigest())
    even = [line for line in ordered if int(hashlib.sha256(line.encode()).hexdigest()[-1], 16) % 2 == 0]
    odd = [line for line in ordered if int(hashlib.sha256(line.encode()).hexdigest()[-1], 16) % 2 == 1]
    return even[:count], odd[:count]


def exact_neighbours(vectors: numpy.ndarray, questions: numpy.ndarray, wanted: numpy.ndarray | None) -> numpy.ndarray:
    best_scores = numpy.full((len(questions), COUNT), -numpy.inf, numpy.float32)
    best = numpy.zeros((len(questions), COUNT), numpy.int64)
    for first in range(0, len(vectors), 65536):
        scores = questions @ vectors[first : first + 65536].T
        if wanted is not None:
            scores[:, wanted[first : first + 65536] == 0] = -numpy.inf
        scores = numpy.concatenate([best_scores, scores], axis=1)
        ids = numpy.concatenate([best, numpy.tile(numpy.arange(first, first + scores.shape[1] - COUNT), (len(best), 1))], 1)
        top = numpy.argpartition(-scores, COUNT, axis=1)[:, :COUNT]
        best_scores, best = numpy.take_along_axis(scores, top, 1), numpy.take_along_axis(ids, top, 1)
    return best


def recall(found: numpy.ndarray, exact: numpy.ndarray) -> float:
    return float(numpy.mean([len(set(one) & set(two)) / COUNT for one, two in zip(found.tolist(), exact.tolist())]))


class Ours:
    """The store, asked by the example program: in one shard, or as generations and their merging leave it."""

    # The first is the default.
    efforts = [None] + [
        (share, 4096, compared) for compared in (320, 640, 1280) for share in (0.03, 0.1, 0.2, 0.3, 0.45, 0.6, 0.7, 0.8)
    ]

    def __init__(self, name: str, binary: pathlib.Path, work: pathlib.Path, rows_a_generation: int | None = None):
        self.name, self.binary, self.work, self.store = name, binary, work, work / name
        self.more = [] if rows_a_generation is None else [rows_a_generation]

    def build(self, _: numpy.ndarray) -> dict:
        shutil.rmtree(self.store, ignore_errors=True)
        return self.call("build", self.work / "vectors.i8", self.work / "scales.f32", self.store, *self.more)

    def cold(self) -> list[str]:
        return [str(self.binary), "first", str(self.store), str(self.work / "first.f32")]

    def files(self) -> list[pathlib.Path]:
        return [file for file in self.store.rglob("*") if file.is_file()]

    def ask(self, questions: numpy.ndarray, efforts: list, wanted: numpy.ndarray | None) -> list:
        questions.tofile(self.work / "ask.f32")
        (self.work / "efforts.json").write_text(json.dumps(efforts))
        more = []
        if wanted is not None:
            wanted.tofile(self.work / "wanted.u8")
            more = [self.work / "wanted.u8"]
        out = self.work / "out.u32"
        seconds = self.call("ask", self.store, self.work / "ask.f32", self.work / "efforts.json", out, *more)["seconds"]
        found = numpy.fromfile(out, numpy.uint32).reshape(len(efforts), len(questions), COUNT)
        return list(zip(found, seconds))

    def call(self, *arguments) -> dict:
        done = subprocess.run([self.binary, *map(str, arguments)], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)


class Faiss:
    """An index of FAISS by the words of its factory."""

    def __init__(self, name: str, description: str, efforts: list, work: pathlib.Path):
        self.name, self.description, self.efforts = name, description, efforts
        self.file = work / f"{name}.faiss"

    def build(self, vectors: numpy.ndarray) -> dict:
        begun = time.perf_counter()
        index = faiss.index_factory(DIMENSION, self.description, faiss.METRIC_INNER_PRODUCT)
        sample = vectors[:: max(1, len(vectors) // (64 * max(1, round(4 * math.sqrt(len(vectors))))))]
        index.train(numpy.ascontiguousarray(sample))
        index.add(vectors)
        seconds = time.perf_counter() - begun
        faiss.write_index(index, str(self.file))
        return {"rows": len(vectors), "seconds": seconds, "bytes": self.file.stat().st_size}

    def cold(self) -> list[str]:
        code = (
            "import faiss, numpy; faiss.omp_set_num_threads(1); index = faiss.read_index({!r});"
            "index.search(numpy.fromfile({!r}, numpy.float32).reshape(1, -1), 10)"
        )
        return [sys.executable, "-c", code.format(str(self.file), str(self.file.parent / "first.f32"))]

    def files(self) -> list[pathlib.Path]:
        return [self.file]

    def parameters(self, effort, selector):
        if effort is None:
            return faiss.SearchParameters(sel=selector) if selector else None
        if "HNSW" in self.description:
            return faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        if "Refine" in self.description:
            inner = faiss.SearchParametersIVF(nprobe=effort[0], sel=selector)
            return faiss.IndexRefineSearchParameters(k_factor=effort[1], base_index_params=inner)
        return faiss.SearchParametersIVF(nprobe=effort, sel=selector)

    def ask(self, questions: numpy.ndarray, efforts: list, wanted: numpy.ndarray | None) -> list:
        index = faiss.read_index(str(self.file))
        bits = None if wanted is None else numpy.packbits(wanted, bitorder="little")
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        answers = []
        for effort in efforts:
            parameters, found, seconds = self.parameters(effort, selector), [], []
            for question in questions:
                begun = time.perf_counter()
                found.append(index.search(question[None], COUNT, params=parameters)[1][0])
                seconds.append(time.perf_counter() - begun)
            answers.append((numpy.array(found), seconds))
        return answers


class USearch:
    name = "usearch-int8"
    efforts = [32, 64, 128, 256, 512]

    def __init__(self, work: pathlib.Path):
        self.file = work / "usearch.index"

    def build(self, vectors: numpy.ndarray) -> dict:
        begun = time.perf_counter()
        index = usearch.index.Index(ndim=DIMENSION, metric="ip", dtype="i8")
        index.add(numpy.arange(len(vectors)), vectors, threads=1)
        seconds = time.perf_counter() - begun
        index.save(str(self.file))
        return {"rows": len(vectors), "seconds": seconds, "bytes": self.file.stat().st_size}

    def cold(self) -> list[str]:
        code = (
            "import numpy, usearch.index; index = usearch.index.Index.restore({!r}, view=True);"
            "index.search(numpy.fromfile({!r}, numpy.float32), 10)"
        )
        return [sys.executable, "-c", code.format(str(self.file), str(self.file.parent / "first.f32"))]

    def files(self) -> list[pathlib.Path]:
        return [self.file]

    def ask(self, questions: numpy.ndarray, efforts: list, wanted: numpy.ndarray | None) -> list:
        index = usearch.index.Index.restore(str(self.file))
        answers = []
        for effort in efforts if wanted is None else []:
            index.expansion_search = effort
            found, seconds = [], []
            for question in questions:
                begun = time.perf_counter()
                found.append(index.search(question, COUNT, threads=1).keys)
                seconds.append(time.perf_counter() - begun)
            answers.append((numpy.array(found), seconds))
        return answers


def competitors(rows: int, work: pathlib.Path) -> list:
    lists = round(4 * math.sqrt(rows))
    probes = [16, 32, 64, 128, 256, 512]
    refined = [(probe, factor) for factor in (10, 30) for probe in probes]
    return [
        Faiss("faiss-sq8", "SQ8", [None], work),
        Faiss("faiss-ivf-sq8", f"IVF{lists},SQ8", probes, work),
        Faiss("faiss-ivf-pq-fastscan", f"IVF{lists},PQ64x4fs,Refine(SQ8)", refined, work),
        Faiss("faiss-hnsw-sq8", "HNSW16_SQ8", [32, 64, 128, 256, 512], work),
        USearch(work),
    ]


def milliseconds(seconds: list, part: float) -> float:
    return round(float(numpy.percentile(seconds, part)) * 1000, 4)


def drop(files: list[pathlib.Path]) -> None:
    """Asks the system to have nothing of these files in memory, once they are on disk."""
    for file in files:
        descriptor = os.open(file, os.O_RDWR)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def cold_start(command: list[str], dropped: list[pathlib.Path]) -> list[float]:
    """Milliseconds of each run, the least first."""
    runs = []
    for _ in range(COLD_RUNS):
        drop(dropped)
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        runs.append(round((time.perf_counter() - begun) * 1000, 1))
    return sorted(runs)


def processor_seconds() -> float:
    """What this process and those that it waited for took so far."""
    times = os.times()
    return sum(times[:4])


def measure(index, built: dict, chosen: tuple, reported: tuple, wanted: numpy.ndarray) -> dict:
    """`chosen` and `reported` are (questions, exact neighbours, exact neighbours among those wanted)."""
    line = {"index": index.name, "build": built, "cold_ms": cold_start(index.cold(), [])}
    line["cold_from_disk_ms"] = cold_start(index.cold(), index.files())
    tried = [recall(found, chosen[1]) for found, _ in index.ask(chosen[0], index.efforts, None)]
    answers = index.ask(reported[0], index.efforts, None)
    line["grid"] = [
        {"effort": effort, "recall": round(recall(found, reported[1]), 4), "p50_ms": milliseconds(seconds, 50),
         "p99_ms": milliseconds(seconds, 99), "chosen_recall": round(on_chosen, 4)}
        for effort, (found, seconds), on_chosen in zip(index.efforts, answers, tried)
    ]
    filtered = index.ask(reported[0], index.efforts, wanted)
    line["filtered"] = [
        {"effort": effort, "recall": round(recall(found, reported[2]), 4), "p50_ms": milliseconds(seconds, 50)}
        for effort, (found, seconds) in zip(index.efforts, filtered)
    ]
    for least in RECALLS:
        enough = [point for point in line["grid"] if point["chosen_recall"] >= least]
        line[f"at_{least}"] = min(enough, key=lambda point: point["p50_ms"], default=None)
    return line


def prepare(stores: list[pathlib.Path], work: pathlib.Path, ours: Ours, count: int) -> numpy.ndarray:
    """Writes vectors, questions and their exact neighbours into the folder, and returns the vectors."""
    values, scales = read_vectors(stores)
    values.tofile(work / "vectors.i8")
    scales.tofile(work / "scales.f32")
    vectors = values.astype(numpy.float32) * scales[:, None]
    wanted = (numpy.random.default_rng(5).integers(0, SHARE_WANTED, len(vectors)) == 0).astype(numpy.uint8)
    sets = []
    for questions in read_questions(stores, count):
        (work / "texts.json").write_text(json.dumps(questions))
        ours.call("embed", work / "texts.json", work / "questions.f32")
        embedded = numpy.fromfile(work / "questions.f32", numpy.float32).reshape(-1, DIMENSION)
        sets.append((embedded, exact_neighbours(vectors, embedded, None), exact_neighbours(vectors, embedded, wanted)))
    sets[1][0][:1].tofile(work / "first.f32")
    names = [f"{of}_{what}" for of in ("chosen", "reported") for what in ("questions", "exact", "filtered")]
    numpy.savez(work / "sets.npz", wanted=wanted, **dict(zip(names, sets[0] + sets[1])))
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares vector search with FAISS and USearch.")
    parser.add_argument("binary", metavar="VECTORS", type=pathlib.Path)
    parser.add_argument("stores", metavar="STORE", type=pathlib.Path, nargs="+")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--without", default="", help="names of indices to leave out, with commas")
    parser.add_argument("--only", choices=["build", "ask"], help="one of the two parts of a run")
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    faiss.omp_set_num_threads(1)

    ours = Ours("precedent", arguments.binary.resolve(), work)
    as_stored = Ours("precedent-as-stored", arguments.binary.resolve(), work, ROWS_A_GENERATION)

    def indices(rows: int) -> list:
        every = [ours, as_stored, *competitors(rows, work)]
        return [index for index in every if index.name not in arguments.without.split(",")]

    if arguments.only != "ask":
        vectors = prepare(arguments.stores, work, ours, arguments.questions)
        for index in indices(len(vectors)):
            begun = processor_seconds()
            built = index.build(vectors)
            built["processor_seconds"] = round(processor_seconds() - begun, 1)
            (work / f"{index.name}.built.json").write_text(json.dumps(built))
            print(json.dumps({"index": index.name, "build": built}), flush=True)
        del vectors
    if arguments.only == "build":
        return
    sets = numpy.load(work / "sets.npz")
    chosen, reported = (
        tuple(sets[f"{of}_{what}"] for what in ("questions", "exact", "filtered")) for of in ("chosen", "reported")
    )
    rows = len(sets["wanted"])
    print(json.dumps({"rows": rows, "stores": len(arguments.stores), "questions": [len(chosen[0]), len(reported[0])]}))
    lines = []
    for index in indices(rows):
        built = json.loads((work / f"{index.name}.built.json").read_text())
        lines.append(measure(index, built, chosen, reported, sets["wanted"]))
        print(json.dumps(lines[-1]), flush=True)
    print(table(lines))


def table(lines: list[dict]) -> str:
    def point(at: dict | None) -> str:
        return f"{at['p50_ms']:.2f} / {at['p99_ms']:.2f} ms, {at['recall']:.3f}" if at else "not reached"

    heads = ["index", "build, processor", "bytes a vector", "cold, median, from memory / from disk"]
    heads += ["p50 / p99, recall for .96", "for .98"]
    rows = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for line in lines:
        build = line["build"]
        cold, from_disk = (line[key][COLD_RUNS // 2] for key in ("cold_ms", "cold_from_disk_ms"))
        each = build["bytes"] / build["rows"]
        cells = [line["index"], f"{build['processor_seconds']:.1f} s", f"{each:.0f}", f"{cold:.0f} / {from_disk:.0f} ms"]
        rows.append("| " + " | ".join(cells + [point(line[f"at_{least}"]) for least in RECALLS]) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
