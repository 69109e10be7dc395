"""Anchors: the lines that may carry a comment, held against `git diff` as an independent parser reads it.

    compare.py HUNKS REPOSITORY... [--pairs N] [--mutations N]

Pairs are every commit with its first parent, and every merge as the pull request that it was: the merge base with what
it brought in. `git diff-tree` (Git's defaults, renames on) writes the patches and `unidiff` reads them; HUNKS, the
example of this name, does the same without either. Compared for each file: both paths, every hunk header, every added
and every removed line. With --mutations, files of the history are edited at random as well (CRLF, no newline at the
end, one line alone, blocks moved and repeated), as commits in a scratch repository.
"""

import argparse
import collections
import json
import random
import re
import subprocess
import sys
import tempfile

import unidiff


def git(repository, *arguments, text=None):
    command = ["git", "-C", repository, *arguments]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout


def pairs_of(repository, limit):
    """Commits with their first parent, and merges as pull requests, newest first."""
    log = git(repository, "log", "--format=%H %P", "HEAD").decode().splitlines()
    pairs, merges = [], []
    for line in log:
        commit, *parents = line.split()
        if len(parents) == 1:
            pairs.append((parents[0], commit))
        elif len(parents) == 2:
            merges.append(parents)
    half = limit // 2
    found = []
    for first, second in merges[:half]:
        base = subprocess.run(
            ["git", "-C", repository, "merge-base", first, second], stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        if base and base != second:
            found.append((base, second))
    return found + pairs[: limit - len(found)], len(found)


def patches(repository, pairs):
    """The patch of each pair, from one process."""
    trees = git(repository, "cat-file", "--batch-check=%(objectname)", text="".join(
        f"{base}^{{tree}}\n{head}^{{tree}}\n" for base, head in pairs).encode()).decode().split()
    feed = "".join(f"{trees[2 * at]} {trees[2 * at + 1]}\n" for at in range(len(pairs)))
    arguments = ["-c", "core.quotePath=false", "diff-tree", "--stdin", "-r", "-p", "-M", "--full-index", "--no-color"]
    out = git(repository, *arguments, text=feed.encode())
    head = re.compile(rb"^[0-9a-f]{40} [0-9a-f]{40}\n", re.M)
    starts = [match.start() for match in head.finditer(out)]
    by_trees = collections.defaultdict(bytes)
    for at, start in enumerate(starts):
        end = starts[at + 1] if at + 1 < len(starts) else len(out)
        line, _, body = out[start:end].partition(b"\n")
        by_trees[line.decode()] = body
    return [by_trees[f"{trees[2 * at]} {trees[2 * at + 1]}"] for at in range(len(pairs))]


def unquote(path):
    if path is None or path == "/dev/null":
        return None
    return path[2:] if path[:2] in ("a/", "b/") else path


def expected(patch):
    """path, old path, hunks, added, removed of each file that has hunks."""
    files = {}
    # Only the line feed ends a line for Git; unidiff splits at others too unless they are taken away first.
    text = patch.decode("latin-1")
    text = re.sub("[\r\x0b\x0c\x1c\x1d\x1e\x85]", "?", text)
    patches = list(unidiff.PatchSet(text))
    name = lambda file: unquote(file.target_file) or unquote(file.source_file)
    # Git shows what a link points to, and the commit of a submodule, as a line, and a file that becomes one as a file
    # that is removed and one that is added. None of them carries comments here.
    kinds = {name(file) for file in patches if re.search(r" 1[26]0000$", str(file.patch_info), re.M)}
    for file in patches:
        if len(file) == 0 or name(file) in kinds:
            continue
        added, removed, hunks = [], [], []
        for hunk in file:
            hunks.append([hunk.source_start, hunk.source_length, hunk.target_start, hunk.target_length])
            for line in hunk:
                if line.is_added:
                    added.append(line.target_line_no)
                elif line.is_removed:
                    removed.append(line.source_line_no)
        old, new = unquote(file.source_file), unquote(file.target_file)
        files[new or old] = (old, hunks, added, removed)
    return files


def found(record):
    files = {}
    for file in record["files"]:
        if file["hunks"]:
            key = file["new"] or file["old"]
            files[key] = (file["old"], file["hunks"], file["added"], file["removed"])
    return files


def is_plain(path):
    """Other names are quoted by Git and escaped by us; they are compared by number of hunks only."""
    return path is None or re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", path)


def compare(program, repository, pairs, wrong):
    feed = "".join(f"{base} {head}\n" for base, head in pairs).encode()
    ours = subprocess.run([program, repository], input=feed, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    counts = collections.Counter()
    for pair, patch, line in zip(pairs, patches(repository, pairs), ours, strict=True):
        want, have = expected(patch), found(json.loads(line))
        odd = {key for key in want if not is_plain(key)}, {key for key in have if not is_plain(key)}
        want = {key: value for key, value in want.items() if key not in odd[0]}
        have = {key: value for key, value in have.items() if key not in odd[1]}
        counts["diffs"] += 1
        counts["files"] += len(want)
        counts["renames"] += sum(value[0] not in (None, key) for key, value in want.items())
        counts["hunks"] += sum(len(value[1]) for value in want.values())
        counts["one-line hunks"] += sum(hunk[1] <= 1 or hunk[3] <= 1 for value in want.values() for hunk in value[1])
        counts["deletions"] += sum(bool(value[3]) for value in want.values())
        counts["no newline"] += patch.count(b"\\ No newline")
        counts["CRLF"] += patch.count(b"\r\n") > 0
        counts["lines"] += sum(h[1] + h[3] for value in want.values() for h in value[1])
        counts["oddly named"] += len(odd[0])
        if want != have or len(odd[0]) != len(odd[1]):
            wrong.append((repository, pair, {key for key in {*want, *have} if want.get(key) != have.get(key)}))
    return counts


def mutated(generator, text):
    """One random edit of a text, of the kinds that diffs stumble over."""
    lines = text.split(b"\n")
    for _ in range(generator.choice((1, 1, 2, 3, 8))):
        at = generator.randrange(len(lines))
        span = generator.randrange(1, 9)
        block = lines[at : at + span]
        kind = generator.randrange(8)
        if kind == 0:
            lines[at : at + span] = []
        elif kind == 1:
            lines[at:at] = block
        elif kind == 2:
            lines[at : at + span] = []
            to = generator.randrange(len(lines) + 1)
            lines[to:to] = block
        elif kind == 3:
            lines[at : at + span] = [line + b"\r" for line in block]
        elif kind == 4:
            lines[at : at + span] = [b"    " + line for line in block]
        elif kind == 5:
            lines[at] = lines[at] + b" changed"
        elif kind == 6:
            lines[at:at] = [b""] * generator.randrange(1, 3)
        else:
            lines = lines[:-1] if lines[-1] == b"" and len(lines) > 1 else [*lines, b""]
        lines = lines or [b""]
    return b"\n".join(lines)


def scratch(repository, directory, count, seed):
    """A repository of pairs of one-file commits: texts of `repository` and random edits of them."""
    generator = random.Random(seed)
    listing = git(repository, "ls-tree", "-r", "--format=%(objectname) %(objectsize) %(path)", "HEAD").decode()
    blobs = [line.split(" ", 2) for line in listing.splitlines()]
    blobs = [(name, path) for name, size, path in blobs if size.isdigit() and 0 < int(size) < 60_000]
    subprocess.run(["git", "init", "--quiet", "--bare", directory], check=True)
    feed, pairs, mark = [], [], 0
    who = b"committer Ada <ada@example.org> 1704067200 +0000\ndata 0\n"
    for number in range(count):
        name, path = generator.choice(blobs)
        text = git(repository, "cat-file", "blob", name)
        if b"\0" in text:
            continue
        ends = []
        for version in (text, mutated(generator, text)):
            mark += 1
            ends.append(mark)
            feed.append(b"commit refs/heads/s%d\nmark :%d\n" % (mark, mark) + who)
            feed.append(b"M 100644 inline file\ndata %d\n" % len(version) + version + b"\n")
        pairs.append(tuple(ends))
    marks = directory + "/marks"
    git(directory, "fast-import", "--quiet", f"--export-marks={marks}", text=b"".join(feed))
    by_mark = dict(line.split() for line in open(marks))
    return [(by_mark[f":{base}"], by_mark[f":{head}"]) for base, head in pairs]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hunks")
    parser.add_argument("repositories", nargs="+")
    parser.add_argument("--pairs", type=int, default=2_000, help="for each repository")
    parser.add_argument("--mutations", type=int, default=500, help="for each repository")
    options = parser.parse_args()
    wrong, total = [], collections.Counter()
    for seed, repository in enumerate(options.repositories):
        pairs, merges = pairs_of(repository, options.pairs)
        counts = collections.Counter(merges=merges)
        for at in range(0, len(pairs), 500):
            counts += compare(options.hunks, repository, pairs[at : at + 500], wrong)
        with tempfile.TemporaryDirectory() as directory:
            edits = scratch(repository, directory, options.mutations, seed)
            counts["mutations"] = len(edits)
            counts += compare(options.hunks, directory, edits, wrong)
        print(repository, dict(counts))
        total += counts
    print("all", dict(total))
    print("wrong", len(wrong))
    for repository, pair, paths in wrong[:40]:
        print("  ", repository, *pair, *sorted(paths)[:3])
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
