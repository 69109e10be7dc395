"""Checks that what `precedent export` writes opens in the tools that it is for, with the same neighbours.

The vectors are read once more from the store's Parquet shards, with pyarrow and numpy alone, as docs/format.md describes
them. Every export must hold the same ids and values, FAISS must find the same neighbours as numpy does, and each line for
Weaviate must make an object of its own client's types.

Usage: check.py PRECEDENT STORE REPOSITORY WORK

It prints one line for each format. The exit code is 1 if anything disagrees.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import uuid

import faiss
import numpy
import pyarrow.parquet
from weaviate.collections.classes.data import DataObject

NEIGHBOURS = 10
QUESTIONS = 50
TOLERANCE = 1e-5


def stored(store: pathlib.Path) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Numbers and vectors of all chunks, in order of number."""
    shards = [s for s in json.loads((store / "manifest.json").read_text())["shards"] if s["table"] == "vectors"]
    numbers, vectors = [], []
    for shard in shards:
        table = pyarrow.parquet.read_table(store / "vectors" / shard["name"], columns=["chunk", "scale", "vector"])
        numbers.append(table["chunk"].to_numpy())
        steps = numpy.stack([numpy.frombuffer(cell, dtype="int8") for cell in table["vector"].to_pylist()])
        vectors.append(steps.astype("float32") * table["scale"].to_numpy()[:, None])
    numbers, vectors = numpy.concatenate(numbers), numpy.concatenate(vectors)
    order = numpy.argsort(numbers)
    return numbers[order].astype("int64"), vectors[order]


def chunk_ids(store: pathlib.Path) -> dict[int, str]:
    shards = [s for s in json.loads((store / "manifest.json").read_text())["shards"] if s["table"] == "chunks"]
    ids = {}
    for shard in shards:
        table = pyarrow.parquet.read_table(store / "chunks" / shard["name"], columns=["number", "id"])
        ids.update(zip(table["number"].to_pylist(), (id.hex() for id in table["id"].to_pylist()), strict=True))
    return ids


def same(numbers: numpy.ndarray, vectors: numpy.ndarray, ids: numpy.ndarray, values: numpy.ndarray) -> list[str]:
    order = numpy.argsort(ids)
    if not numpy.array_equal(ids[order], numbers):
        return ["the ids are not those of the store"]
    return [] if numpy.array_equal(values[order], vectors) else ["the values are not those of the store"]


def check_faiss(path: pathlib.Path, numbers: numpy.ndarray, vectors: numpy.ndarray) -> list[str]:
    index = faiss.read_index(str(path))
    inner = faiss.downcast_index(index.index)
    faults = same(numbers, vectors, faiss.vector_to_array(index.id_map), inner.reconstruct_n(0, index.ntotal))
    described = [json.loads(line)["number"] for line in path.with_name(path.name + ".jsonl").open(encoding="utf-8")]
    if sorted(described) != numbers.tolist():
        faults.append("the lines beside it are not of its ids")
    questions = vectors[numpy.linspace(0, len(vectors) - 1, min(QUESTIONS, len(vectors))).astype(int)]
    count = min(NEIGHBOURS, len(vectors))
    scores, found = index.search(questions, count)
    similarities = questions @ vectors.T
    expected = -numpy.sort(-similarities, axis=1)[:, :count]
    if not numpy.allclose(scores, expected, atol=TOLERANCE):
        faults.append("the neighbours are not those that numpy finds")
    # Of equals any may be found, but each only once, and only with its own similarity.
    of_found = numpy.take_along_axis(similarities, numpy.searchsorted(numbers, found).clip(max=len(numbers) - 1), axis=1)
    if not numpy.isin(found, numbers).all() or any(len(set(row)) < count for row in found.tolist()):
        faults.append("a neighbour has no id of the store, or one is found twice")
    elif not numpy.allclose(scores, of_found, atol=TOLERANCE):
        faults.append("a neighbour has another one's id")
    return faults


def check_npy(path: pathlib.Path, numbers: numpy.ndarray, vectors: numpy.ndarray) -> list[str]:
    ids = numpy.load(path / "ids.npy")
    faults = same(numbers, vectors, ids, numpy.load(path / "vectors.npy"))
    described = [json.loads(line)["number"] for line in (path / "chunks.jsonl").open(encoding="utf-8")]
    return faults if described == ids.tolist() else [*faults, "the lines are not in the order of the rows"]


def check_pinecone(
    path: pathlib.Path, numbers: numpy.ndarray, vectors: numpy.ndarray, chunks: dict[int, str]
) -> list[str]:
    table = pyarrow.parquet.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    faults = []
    if (types["id"], types["metadata"]) != ("string", "string") or not types["values"].startswith("list<"):
        faults.append(f"columns {types}")
    metadata = [json.loads(text) for text in table["metadata"].to_pylist()]
    if any(isinstance(value, (list, dict)) for record in metadata for value in record.values()):
        faults.append("metadata is not flat")
    if any(
        not record["chunk"] == chunks[record["number"]] == id
        for record, id in zip(metadata, table["id"].to_pylist(), strict=True)
    ):
        faults.append("a chunk has another id")
    ids = numpy.array([record["number"] for record in metadata])
    values = numpy.stack([numpy.array(row, dtype="float32") for row in table["values"].to_pylist()])
    # A vector of zeros is refused by Pinecone.
    kept = vectors.any(axis=1)
    return faults + same(numbers[kept], vectors[kept], ids, values)


def check_weaviate(
    path: pathlib.Path, numbers: numpy.ndarray, vectors: numpy.ndarray, chunks: dict[int, str]
) -> list[str]:
    ids, values, faults = [], [], []
    for line in path.open(encoding="utf-8"):
        written = json.loads(line)
        made = DataObject(properties=written["properties"], uuid=uuid.UUID(written["id"]), vector=written["vector"])
        number = made.properties["number"]
        if made.properties["chunk"] != chunks[number]:
            faults = ["a chunk has another id"]
        ids.append(number)
        values.append(numpy.array(made.vector, dtype="float32"))
    return faults + same(numbers, vectors, numpy.array(ids), numpy.stack(values))


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks what `precedent export` writes.")
    for name in ["precedent", "store", "repository", "work"]:
        parser.add_argument(name, type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    numbers, vectors = stored(arguments.store)
    chunks = chunk_ids(arguments.store)
    checks = {
        "faiss": lambda path: check_faiss(path, numbers, vectors),
        "npy": lambda path: check_npy(path, numbers, vectors),
        "pinecone": lambda path: check_pinecone(path, numbers, vectors, chunks),
        "weaviate": lambda path: check_weaviate(path, numbers, vectors, chunks),
    }
    failed = False
    for name, check in checks.items():
        out = arguments.work / f"export-{name}"
        command = [arguments.precedent, "export", "--format", name, "--out", out]
        subprocess.run([*command, "--store", arguments.store, "--repo", arguments.repository], check=True, stdout=sys.stderr)
        faults = check(out)
        failed |= bool(faults)
        print(f"{name:<9} {len(numbers)} vectors: {'; '.join(faults) or 'ok'}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
