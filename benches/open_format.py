"""Checks that a store opens in other people's tools, as docs/format.md promises.

- Every shard that the manifest names is read whole by DuckDB, pyarrow, Polars and pandas. Each must find as many rows
  as the manifest says, and the columns that docs/format.md lists, in that order.
- Every SQL query of docs/format.md is run in DuckDB on the store; each table must have one. The query for vectors finds
  nearest neighbours: they must be those that pyarrow and numpy find among all vectors, from the bytes of them.

Usage:

    python3.11 -m venv venv && venv/bin/pip install -r benches/requirements.txt
    venv/bin/python benches/open_format.py STORE [--document docs/format.md]

It prints one line for each table and reader, and one for each query. The exit code is 1 if anything disagrees.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import re
import sys
from collections.abc import Callable, Iterator

import duckdb
import numpy
import pandas
import polars
import pyarrow.parquet

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent / "docs" / "format.md"
STORE_IN_DOCUMENT = "'store/"
SIMILARITY_TOLERANCE = 1e-4
# As many as the document's query asks for.
NEIGHBOURS = 10


@dataclasses.dataclass
class Opened:
    rows: int
    columns: list[str]


@dataclasses.dataclass
class Section:
    """What docs/format.md says under one heading."""

    columns: list[str]
    queries: list[str]


def open_with_duckdb(shard: str) -> Opened:
    table = duckdb.connect().read_parquet(shard).to_arrow_table()
    return Opened(table.num_rows, table.column_names)


def open_with_pyarrow(shard: str) -> Opened:
    table = pyarrow.parquet.read_table(shard)
    return Opened(table.num_rows, table.column_names)


def open_with_polars(shard: str) -> Opened:
    frame = polars.read_parquet(shard)
    return Opened(frame.height, frame.columns)


def open_with_pandas(shard: str) -> Opened:
    frame = pandas.read_parquet(shard)
    return Opened(len(frame), list(frame.columns))


READERS = {
    "duckdb": open_with_duckdb,
    "pyarrow": open_with_pyarrow,
    "polars": open_with_polars,
    "pandas": open_with_pandas,
}


def read_document(path: pathlib.Path) -> dict[str, Section]:
    """The sections by heading, each with the first column of its table and its SQL blocks."""
    headings_and_bodies = re.split(r"^## (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        heading: Section(
            columns=re.findall(r"^\| `(\w+)` \|", body, flags=re.MULTILINE),
            queries=re.findall(r"^```sql\n(.*?)^```", body, flags=re.MULTILINE | re.DOTALL),
        )
        for heading, body in zip(headings_and_bodies[::2], headings_and_bodies[1::2], strict=True)
    }


def shards_by_table(store: pathlib.Path) -> dict[str, list[dict]]:
    manifest = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
    tables = collections.defaultdict(list)
    for shard in manifest["shards"]:
        tables[shard["table"]].append(shard)
    return tables


def check_table(store: pathlib.Path, table: str, shards: list[dict], columns: list[str]) -> Iterator[bool]:
    """Reads one table with every reader; gives whether each agrees."""
    for reader, open_shard in READERS.items():
        rows, faults = 0, []
        for shard in shards:
            found, fault = check_shard(open_shard, store / table / shard["name"], shard["rows"], columns)
            rows += found
            faults += [f"{shard['name']}: {fault}"] if fault else []
        report(f"{table:<10} {reader:<8} {len(shards)} shard(s), {rows} rows", faults)
        yield not faults


def check_shard(
    open_shard: Callable[[str], Opened], path: pathlib.Path, rows: int, columns: list[str]
) -> tuple[int, str | None]:
    """The rows of one shard, and what is wrong with it."""
    try:
        opened = open_shard(str(path))
    except Exception as error:  # each library has its own; whichever it is, the shard did not open
        return 0, f"does not open: {error}"
    if opened.rows != rows:
        return opened.rows, f"{opened.rows} rows, the manifest says {rows}"
    if opened.columns != columns:
        return opened.rows, f"columns {opened.columns}, the document says {columns}"
    return opened.rows, None


def check_queries(store: pathlib.Path, heading: str, queries: list[str]) -> Iterator[bool]:
    """Runs the queries under one heading; gives whether each ran and was right as far as it can be checked."""
    for query in queries:
        first_line = query.splitlines()[0].lstrip("- ")
        try:
            rows = run(query, store)
            faults = wrong_neighbours(store, rows) if heading == "vectors" else []
        except Exception as error:  # the query is wrong, or the store is: both are to be told
            rows, faults = [], [f"does not run: {error}"]
        report(f"{heading:<10} query    {len(rows)} rows: {first_line}", faults)
        yield not faults


def run(query: str, store: pathlib.Path) -> list[tuple]:
    """Runs a query on the shards that count: a folder may also hold retired ones, which a glob would find."""
    path = str(store).replace("'", "''")
    tables = shards_by_table(store)

    def shards(glob: re.Match[str]) -> str:
        return "read_parquet([" + ", ".join(f"'{path}/{glob[1]}/{shard['name']}'" for shard in tables[glob[1]]) + "])"

    query = re.sub(rf"{STORE_IN_DOCUMENT}(\w+)/\*\.parquet'", shards, query)
    return duckdb.connect().execute(query.replace(STORE_IN_DOCUMENT, f"'{path}/")).fetchall()


def wrong_neighbours(store: pathlib.Path, neighbours: list[tuple[int, float]]) -> list[str]:
    """What differs between the query's (chunk, similarity to chunk 0), best first, and the same from all vectors."""
    chunks, vectors = read_vectors(store)
    similarities = vectors @ vectors[chunks == 0][0]
    expected = numpy.sort(similarities)[::-1][:NEIGHBOURS]
    of_chunk = dict(zip(chunks.tolist(), similarities.tolist(), strict=True))
    faults = [
        f"chunk {chunk}: similarity {similarity}, computed {of_chunk[chunk]}"
        for chunk, similarity in neighbours
        if not abs(similarity - of_chunk[chunk]) <= SIMILARITY_TOLERANCE
    ]
    # Of equals any may be found, but each only once.
    found = [similarity for _, similarity in neighbours]
    if len(found) != len(expected) or len({chunk for chunk, _ in neighbours}) != len(found):
        faults.append(f"{len(found)} neighbours in place of {len(expected)} different ones")
    elif not numpy.allclose(found, expected, atol=SIMILARITY_TOLERANCE):
        faults.append(f"similarities {found}, and the greatest are {expected.tolist()}")
    return faults


def read_vectors(store: pathlib.Path) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The numbers of all chunks, and their vectors."""
    chunks, vectors = [], []
    for shard in shards_by_table(store)["vectors"]:
        table = pyarrow.parquet.read_table(store / "vectors" / shard["name"], columns=["chunk", "scale", "vector"])
        chunks.append(table["chunk"].to_numpy())
        steps = numpy.stack([numpy.frombuffer(cell, dtype="int8") for cell in table["vector"].to_pylist()])
        vectors.append(steps * table["scale"].to_numpy().astype("float64")[:, None])
    return numpy.concatenate(chunks), numpy.concatenate(vectors)


def report(line: str, faults: list[str]) -> None:
    print(f"{line}: {'; '.join(faults) or 'ok'}", flush=True)


def check(store: pathlib.Path, document: pathlib.Path) -> bool:
    sections = read_document(document)
    results = []
    tables = shards_by_table(store)
    for table, shards in tables.items():
        section = sections.get(table, Section([], []))
        results += check_table(store, table, shards, section.columns)
        if not section.queries:
            report(f"{table:<10} query    none", ["the document has no query for this table"])
            results.append(False)
    for heading, section in sections.items():
        # What was said in review is there once it was fetched.
        if heading == "reviews" and heading not in tables:
            print("reviews    not in this store")
            continue
        results += check_queries(store, heading, section.queries)
    return bool(results) and all(results)


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks that a store opens in other people's tools.")
    parser.add_argument("store", metavar="STORE", type=pathlib.Path)
    parser.add_argument("--document", type=pathlib.Path, default=DOCUMENT)
    arguments = parser.parse_args()
    sys.exit(0 if check(arguments.store, arguments.document) else 1)


if __name__ == "__main__":
    main()
