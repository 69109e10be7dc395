"""Counts what the history of a Git repository holds, without any of the project's code.

The figures are for comparison with those of `precedent index`: commits, file-level changes, blobs, and the items of
Rust files with the unique texts among them. Git is read through `git log` and `git cat-file`, Rust through the
PyPI packages `tree_sitter` and `tree_sitter_rust`. The rules of what an item's text is are written anew from their
description, so small differences are expected; what is counted:

- `commits`: commits that HEAD reaches.
- `file_entries`: changed files, summed over the commits that are not merges; `merge_file_entries`: over merges, only
  files that differ from every parent. Renames count as a removal and an addition.
- `distinct_blobs`: different contents of files and symbolic links that these changes name, before or after.
- `rust_blobs`: those that stand at a path ending in `.rs` outside directories of other people's code.
- `rust_nodes`: items in them (functions, types, traits, impls, macros, constants), nested ones too.
- `rust_unique`: the different (kind, name, text) among the items. A text is the whole lines from the first attribute
  or comment above the item to its end, without the indentation of the first line (a line that has less loses what it
  has); for impls and traits, without the lines of the items inside and without blank lines.

Usage:

    python3.11 -m venv venv && venv/bin/pip install -r benches/requirements.txt
    venv/bin/python benches/independent_count.py REPO [--by-kind]

It prints one JSON object. REPO may be bare. With `--by-kind`, the object also has `by_kind`: for each kind, its
nodes and its unique texts.
"""

import argparse
import bisect
import collections
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import tree_sitter
import tree_sitter_rust

VENDOR_DIRECTORIES = {"vendor", "vendors", "vendored", "third_party", "third-party", "thirdparty", "node_modules"}

KINDS = {
    "function_item": "function",
    "function_signature_item": "function",
    "struct_item": "struct",
    "enum_item": "enum",
    "union_item": "union",
    "trait_item": "trait",
    "impl_item": "impl",
    "type_item": "type-alias",
    "associated_type": "type-alias",
    "macro_definition": "macro",
    "const_item": "const",
    "static_item": "const",
}
CONTAINERS = {"trait", "impl"}
COMMENTS = {"line_comment", "block_comment"}
READ_BYTES = 1 << 20

RUST = tree_sitter.Language(tree_sitter_rust.language())
# One pattern for each type finds every node of that type, wherever it stands, inside ERROR nodes too.
ITEMS = tree_sitter.Query(RUST, "\n".join(f"({node_type}) @item" for node_type in KINDS))


@dataclasses.dataclass
class History:
    """What `git log` names."""

    commits: int = 0
    file_entries: int = 0
    merge_file_entries: int = 0
    blobs: set[str] = dataclasses.field(default_factory=set)
    rust_blobs: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass
class Item:
    """A node with the rows that belong to it; rows count from 0, the last is inclusive."""

    node: tree_sitter.Node
    kind: str
    first_row: int
    last_row: int


def git(repository: str, *arguments: str) -> list[str]:
    return ["git", "-C", repository, "--no-replace-objects", *arguments]


def environment() -> dict[str, str]:
    """A partial clone is counted as it is: nothing is fetched."""
    return {**os.environ, "GIT_NO_LAZY_FETCH": "1"}


def tokens_of_log(repository: str) -> Iterator[bytes]:
    """The fields between the NUL bytes of `git log`."""
    command = git(repository, "-c", "log.showSignature=false", "log", "--raw", "-c", "--root", "--no-renames",
                  "--no-abbrev", "-z", "--format=commit %H %P", "HEAD")  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as log:
        rest = b""
        while data := log.stdout.read(READ_BYTES):
            *tokens, rest = (rest + data).split(b"\0")
            yield from tokens
        if rest:
            yield rest
    if log.returncode != 0:
        sys.exit(f"git log failed with status {log.returncode}")


def read_history(repository: str) -> History:
    history = History()
    is_merge = False
    tokens = tokens_of_log(repository)
    for token in tokens:
        token = token.lstrip(b"\n")
        if token.startswith(b"commit "):
            parents = token.split()[2:]
            is_merge = len(parents) > 1
            history.commits += 1
        elif token.startswith(b":"):
            add_entry(history, token.decode(), next(tokens), is_merge)
        elif token:
            sys.exit(f"git log printed something unknown: {token!r}")
    return history


def add_entry(history: History, fields: str, path: bytes, is_merge: bool) -> None:
    """Adds one changed file: one colon for each parent, then modes and ids of the parents and of the result."""
    parents = len(fields) - len(fields.lstrip(":"))
    words = fields[parents:].split()
    modes, ids = words[: parents + 1], words[parents + 1 : 2 * (parents + 1)]
    if is_merge:
        history.merge_file_entries += 1
    else:
        history.file_entries += 1
    for mode, blob in zip(modes, ids, strict=True):
        is_file, is_link = mode.startswith("100"), mode == "120000"
        if is_file or is_link:
            history.blobs.add(blob)
        if is_file and is_rust(path):
            history.rust_blobs.add(blob)


def is_rust(path: bytes) -> bool:
    *directories, name = path.decode(errors="replace").lower().split("/")
    return name.endswith(".rs") and not VENDOR_DIRECTORIES.intersection(directories)


def contents(repository: str, blobs: set[str]) -> Iterator[bytes]:
    """The content of each blob; those that the repository lacks are named on stderr and left out."""
    command = git(repository, "cat-file", "--batch")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as batch:
        for blob in sorted(blobs):
            batch.stdin.write(f"{blob}\n".encode())
            batch.stdin.flush()
            header = batch.stdout.readline().split()
            if len(header) != 3:
                print(f"not counted: {blob} is missing", file=sys.stderr)
                continue
            content = batch.stdout.read(int(header[2]))
            batch.stdout.read(1)
            yield content


def items(root: tree_sitter.Node) -> list[Item]:
    """Every item below, outer ones before those inside them."""
    nodes = tree_sitter.QueryCursor(ITEMS).captures(root).get("item", [])
    nodes.sort(key=lambda node: (node.start_byte, -node.end_byte))
    return [Item(node, KINDS[node.type], first_row(node), last_row(node)) for node in nodes]


def first_row(node: tree_sitter.Node) -> int:
    """The row of the first attribute or comment that belongs to the item, or of the item itself."""
    row = node.start_point.row
    above = node.prev_named_sibling
    while above is not None and belongs_to_next(above, row):
        row = above.start_point.row
        above = above.prev_named_sibling
    return row


def belongs_to_next(node: tree_sitter.Node, next_row: int) -> bool:
    """Attributes and doc comments belong to the item that follows; other comments do if no line is between them."""
    if node.type == "attribute_item":
        return True
    if node.type not in COMMENTS or stands_after_code(node):
        return False
    if node.text.startswith((b"//!", b"/*!")):
        return False
    return node.child_by_field_name("outer") is not None or last_row(node) + 1 >= next_row


def stands_after_code(node: tree_sitter.Node) -> bool:
    """Whether the comment's line begins with something that is neither a comment nor an attribute."""
    before = node.prev_sibling
    if before is None or before.type in COMMENTS or before.type == "attribute_item":
        return False
    return before.end_point.row == node.start_point.row


def last_row(node: tree_sitter.Node) -> int:
    """A doc comment ends at the start of the next row: the grammar counts its line break in."""
    end = node.end_point
    return end.row - 1 if end.column == 0 and end.row > node.start_point.row else end.row


def name_of(node: tree_sitter.Node) -> bytes:
    fields = (node.child_by_field_name(field) for field in ("name", "trait", "type"))
    if node.type != "impl_item":
        fields = (node.child_by_field_name("name"),)
    return b" for ".join(field.text for field in fields if field is not None)


def text_of(item: Item, inside: list[Item], lines: list[str]) -> str:
    """The item's lines. A container loses its blank lines too: they stand between the items that are cut out."""
    rows = set(range(item.first_row, item.last_row + 1))
    if item.kind in CONTAINERS:
        rows -= rows_to_cut(item, inside)
        rows = {row for row in rows if lines[row].strip()}
    return dedent([lines[row] for row in sorted(rows)])


def rows_to_cut(container: Item, inside: list[Item]) -> set[int]:
    """The rows of the items inside, but for those that also hold the container's braces."""
    body = container.node.child_by_field_name("body")
    braces = {container.last_row} if body is None else {body.start_point.row, container.last_row}
    return {row for item in inside for row in range(item.first_row, item.last_row + 1)} - braces


def dedent(lines: list[str]) -> str:
    """Takes the indentation of the first line from every line, as far as the line has it."""
    width = indentation(lines[0])
    return "\n".join(line[min(width, indentation(line)) :] for line in lines)


def indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def items_inside(index: int, all_items: list[Item], starts: list[int]) -> list[Item]:
    end = bisect.bisect_left(starts, all_items[index].node.end_byte)
    return all_items[index + 1 : end]


def pieces(parser: tree_sitter.Parser, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The kind of each item of one file, and a digest of its kind, name and text."""
    source = content.decode(errors="replace").replace("\r\n", "\n")
    lines = source.split("\n")
    all_items = items(parser.parse(source.encode()).root_node)
    starts = [item.node.start_byte for item in all_items]
    for index, item in enumerate(all_items):
        text = text_of(item, items_inside(index, all_items, starts), lines)
        key = b"\0".join([item.kind.encode(), name_of(item.node), text.encode()])
        yield item.kind, hashlib.blake2b(key, digest_size=16).digest()


def count(repository: str) -> dict:
    history = read_history(repository)
    parser = tree_sitter.Parser(RUST)
    nodes: collections.Counter[str] = collections.Counter()
    unique: dict[str, set[bytes]] = collections.defaultdict(set)
    for content in contents(repository, history.rust_blobs):
        for kind, digest in pieces(parser, content):
            nodes[kind] += 1
            unique[kind].add(digest)
    return {
        "commits": history.commits,
        "file_entries": history.file_entries,
        "merge_file_entries": history.merge_file_entries,
        "distinct_blobs": len(history.blobs),
        "rust_blobs": len(history.rust_blobs),
        "rust_nodes": nodes.total(),
        "rust_unique": sum(len(digests) for digests in unique.values()),
        "by_kind": {kind: {"nodes": nodes[kind], "unique": len(unique[kind])} for kind in sorted(nodes)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts what the history of a Git repository holds.")
    parser.add_argument("repository", metavar="REPO")
    parser.add_argument("--by-kind", action="store_true", help="also count each kind of item")
    arguments = parser.parse_args()
    figures = count(arguments.repository)
    if not arguments.by_kind:
        del figures["by_kind"]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
