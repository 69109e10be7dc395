"""Measures lineage: against histories that a script wrote, and against Git on real repositories.

    python benches/lineage/measure.py scripted PRECEDENT [--seeds train|test] [--commits N] [--wrong N]
    python benches/lineage/measure.py real PRECEDENT REPO [--store DIR] [--sample N] [--seed N] [--examples N]

PRECEDENT is the program. `scripted` prints precision and recall for each change, `real` agreement with `git blame` and
`git log -L` and every disagreement by what explains it. Needs Git, and DuckDB for `scripted`; see requirements.txt.
What is compared with what is in docs/lineage.md.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

SEEDS = {"train": range(1, 13), "test": range(101, 125)}
CHANGES = ["added", "modified", "renamed", "moved", "removed", "split", "joined", "copied"]


def run(*command, check=True):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace")
    if check and done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout if done.returncode == 0 else None


def lineage(precedent, repo, store, place, *options):
    printed = run(precedent, "--repo", repo, "--store", store, "--json", "lineage", place, *options, check=False)
    return json.loads(printed)["edits"] if printed else []


# Scripted histories.


class Score:
    def __init__(self):
        self.right, self.wrong, self.missed = 0, 0, 0

    def row(self, name):
        told, true = self.right + self.wrong, self.right + self.missed
        share = lambda part, all: f"{100 * part / all:6.1f} %" if all else "       -"  # noqa: E731
        return f"{name:<12} {true:>7} {told:>7} {share(self.right, told):>10} {share(self.right, true):>10}"


def place(row):
    return row.commit, row.path, row.symbol


def scripted(options):
    import duckdb

    from scripted import History, Row

    scores = collections.defaultdict(Score)
    examples = collections.defaultdict(list)
    seeds = SEEDS[options.seeds]
    for seed in seeds:
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            history = History(seed, directory / "repo", options.commits)
            store = directory / "store"
            run(options.precedent, "index", "--repo", directory / "repo", "--store", store, "--json")
            found = duckdb.sql(
                f"""SELECT lower(hex(id)), change, path, symbol, coalesce(before_path, ''), coalesce(before_symbol, '')
                FROM '{store}/edits/*.parquet' AS edits JOIN '{store}/commits/*.parquet' AS commits
                ON edits.commit = commits.number WHERE kind IN ('function', 'test')"""
            ).fetchall()
            found = {Row(*row) for row in found}
            reach = history.copies_out_of_reach
            for change in CHANGES:
                score = scores[change]
                told = {row for row in found if row.change == change}
                true = {row for row in history.truth if row.change == change}
                if change in ("copied", "added"):
                    # A copy of what stands in a file that the commit leaves alone is an addition to whoever reads
                    # only what the commit changed.
                    far = {row for row in true if place(row) in reach}
                    true -= far
                    told -= {row for row in told if place(row) in reach}
                    # What came back beside a copy of it is both.
                    both = {row for row in found if row.change == "copied"}
                    both = {place(row) for row in both if place(row) in history.returns}
                    true = {row for row in true if place(row) not in both}
                    told = {row for row in told if place(row) not in both}
                    scores["copied, far"].missed += len(far)
                score.right += len(told & true)
                score.wrong += len(told - true)
                score.missed += len(true - told)
                examples[change] += [("wrong", seed, row) for row in told - true]
                examples[change] += [("missed", seed, row) for row in true - told]
            steps = {}
            alive = [(path, f.name) for path, functions in history.world.items() for f in functions]
            asked = [(place, ()) for place in alive]
            events = [*history.returns, *history.reverts]
            asked += [((path, symbol), ("--as-of", commit)) for commit, path, symbol in events]
            for (path, symbol), more in asked:
                for edit in lineage(options.precedent, directory / "repo", store, f"{path}#{symbol}", *more):
                    if edit["via"] is None:
                        steps[edit["commit"], edit["path"], edit["symbol"]] = edit
            for name, truth in [("returns", history.returns), ("reverts", history.reverts)]:
                told = {node for node, edit in steps.items() if edit[name]}
                for node in told | set(truth):
                    said = steps.get(node, {}).get(name) or []
                    said = [said] if isinstance(said, str) else said
                    right = node in truth and truth[node] in said
                    scores[name].right += right
                    scores[name].wrong += node in told and not right
                    scores[name].missed += node in truth and not right
                    if not right:
                        kind = "wrong" if node in told else "missed"
                        examples[name].append((kind, seed, (node, said, truth.get(node))))
    print(f"{len(seeds)} histories ({options.seeds}, seeds {seeds[0]} to {seeds[-1]}), {options.commits} commits each")
    print(f"{'change':<12} {'true':>7} {'told':>7} {'precision':>10} {'recall':>10}")
    for name in [*CHANGES, "copied, far", "returns", "reverts"]:
        print(scores[name].row(name))
    for name, found in examples.items():
        for example in found[: options.wrong]:
            print(f"  {name}: {example[0]}, seed {example[1]}: {example[2]}")


# Real repositories.


class Git:
    def __init__(self, repo):
        self.repo = repo
        self.head = self("rev-parse", "HEAD").strip()
        self.parents = {}
        for line in self("rev-list", "--parents", "HEAD").splitlines():
            commit, *parents = line.split()
            self.parents[commit] = parents

    def __call__(self, *arguments):
        return run("git", "-C", self.repo, *arguments)

    def blame(self, path, start, end):
        """The lines of each commit, `{commit: [(path then, line)]}`, with text that moved or was copied followed."""
        out = self("blame", "-w", "-C", "-C", "-C", "--line-porcelain", f"-L{start},{end}", "HEAD", "--", path)
        lines, commit, file = collections.defaultdict(list), None, None
        for line in out.split("\n"):
            if re.match(r"[0-9a-f]{40,64} \d+ \d+", line):
                commit = line.split()[0]
            elif line.startswith("filename "):
                file = line.removeprefix("filename ")
            elif line.startswith("\t"):
                lines[commit].append((file, line[1:].strip()))
        return lines

    def log(self, path, start, end):
        """The commits that `git log -L` follows the lines through."""
        out = run("git", "-C", self.repo, "log", "--format=%H", "-s", f"-L{start},{end}:{path}", "HEAD", check=False)
        return None if out is None else out.split()

    def files(self, commit):
        """The files that a commit changes, before and after."""
        return set(self("show", "--format=", "--name-only", "--no-renames", "-m", commit).splitlines())

    def changes(self, commit, *options):
        """The hunks of a commit as `git show` prints them."""
        return self("show", "--format=", "-U0", "--no-renames", *options, commit)


def is_punctuation(text):
    return not re.search(r"\w", text)


def explain_blame(git, chain, lines):
    """Why a commit that blame names is not in the chain."""
    (commit, found) = lines
    if all(is_punctuation(text) for _, text in found):
        return "only brackets and blank lines, which blame finds anywhere"
    words = sum(len(re.findall(r"\w+", text)) for _, text in found)
    oldest = chain[-1]
    birth = oldest["change"]
    paths = {edit["path"] for edit in chain}
    at = order[git.repo]
    if len(git.parents[commit]) > 1:
        return "a merge"
    if at[commit] < at[oldest["commit"]]:
        kind = {"copied": "older than a copy", "split": "older than a split"}.get(birth)
        if kind:
            return f"{kind} that the chain begins with"
        if elsewhere := {path for path, _ in found if path not in paths}:
            if elsewhere & git.files(oldest["commit"]):
                return "lines that the first commit took from another file that it changed, followed by -C"
            return "lines that the first commit took from a file that it left alone, followed by -C"
        return "lines that the first commit took from another place in the file, followed by -C"
    if any(path not in paths for path, _ in found):
        return "lines copied in from another file by a later edit, followed by -C"
    if len(found) <= 2 and words <= 8:
        return "one or two short lines that stood elsewhere in the file before, followed by -C"
    return "lines from elsewhere in the file, followed by -C"


order = {}


def real(options):
    git = Git(options.repo)
    order[git.repo] = {commit: -at for at, commit in enumerate(git("rev-list", "--topo-order", "HEAD").split())}
    store = options.store or tempfile.mkdtemp()
    run(options.precedent, "index", "--repo", options.repo, "--store", store, "--json")
    functions = sample(options, git, store)
    blamed, followed = collections.Counter(), collections.Counter()
    why = {"blame": collections.defaultdict(list), "log -L only": collections.defaultdict(list),
           "ours only": collections.defaultdict(list)}  # fmt: skip
    whole = collections.Counter()
    for path, symbol, start, end in functions:
        chain = lineage(options.precedent, options.repo, store, f"{path}:{(start + end) // 2}")
        if not chain:
            print(f"no chain: {path}:{start}-{end}")
            continue
        commits = {edit["commit"] for edit in chain}
        name = f"{path}#{symbol}"
        lines = git.blame(path, start, end)
        for commit, found in lines.items():
            blamed["lines"] += len(found)
            blamed["commits"] += 1
            if commit in commits:
                blamed["lines in the chain"] += len(found)
                blamed["commits in the chain"] += 1
            else:
                why["blame"][explain_blame(git, chain, (commit, found))].append((name, commit[:10], found[0][1][:60]))
        whole["blame"] += all(commit in commits for commit in lines)
        log = git.log(path, start, end)
        if log is None:
            continue
        followed["both"] += len(commits & set(log))
        for commit in set(log) - commits:
            why["log -L only"][explain_log(git, chain, commit)].append((name, commit[:10], ""))
            followed["log -L only"] += 1
        for commit in commits - set(log):
            why["ours only"][explain_ours(git, chain, log, commit)].append((name, commit[:10], ""))
            followed["ours only"] += 1
        whole["log -L"] += commits == set(log)
    count = len(functions)
    percent = lambda part, all: f"{part:,} of {all:,} ({100 * part / max(1, all):.1f} %)"  # noqa: E731
    print(f"{options.repo} at {git.head[:10]}: {count} functions, seed {options.seed}")
    print(f"blame: commits in our chain: {percent(blamed['commits in the chain'], blamed['commits'])}")
    print(f"blame: lines whose commit is in our chain: {percent(blamed['lines in the chain'], blamed['lines'])}")
    print(f"blame: functions with every commit in our chain: {percent(whole['blame'], count)}")
    print(f"log -L: commits in both: {followed['both']:,}; log -L only: {followed['log -L only']:,}; "
          f"ours only: {followed['ours only']:,}; functions with equal sets: {percent(whole['log -L'], count)}")  # fmt: skip
    for title, reasons in why.items():
        for reason, found in sorted(reasons.items(), key=lambda item: -len(item[1])):
            print(f"{title}: {reason}: {len(found)}")
            for example in found[: options.examples]:
                print(f"    {' | '.join(example)}")


def explain_log(git, chain, commit):
    """Why a commit that `git log -L` names is not in the chain."""
    at = order[git.repo]
    oldest = chain[-1]["commit"]
    if len(git.parents[commit]) > 1:
        return "a merge that changes nothing against one of its parents"
    if at[commit] < at[oldest]:
        return "older than our first commit: log -L goes on with what stood at those lines"
    if not git.changes(commit, "-w", "--ignore-blank-lines").strip():
        return "whitespace only"
    return "lines beside the function: log -L's range drifts over its neighbours"


def explain_ours(git, chain, log, commit):
    """Why a commit of the chain is not among those of `git log -L`."""
    edit = next(edit for edit in chain if edit["commit"] == commit)
    at = order[git.repo]
    if edit["via"]:
        return f"another node's edit, followed because of a {edit['via']}"
    if len(git.parents[commit]) > 1:
        return "a merge that differs from every parent"
    if edit["change"] == "moved" or log and at[commit] < at[log[-1]]:
        return "a move between files, and what is before it: log -L stops there"
    if edit["change"] == "removed":
        return "a removal, before it came back"
    return f"{edit['change']}, of which log -L does not speak"


def sample(options, git, store):
    """Functions at HEAD, as the store has them: path, symbol, lines."""
    import duckdb

    paths = {}
    for line in git("ls-tree", "-r", "HEAD").splitlines():
        meta, path = line.split("\t", 1)
        paths.setdefault(meta.split()[2], []).append(path)
    rows = duckdb.sql(
        f"""SELECT DISTINCT lower(hex(blob)), symbol, start_line, start_line + lines - 1 FROM '{store}/spans/*.parquet' AS spans
        JOIN '{store}/chunks/*.parquet' AS chunks ON spans.chunk = chunks.number
        WHERE kind = 'function' AND lang = 'rust' AND lines >= 3"""
    ).fetchall()
    found = sorted((path, s, a, b) for blob, s, a, b in rows for path in paths.get(blob, []))
    names = collections.Counter((path, symbol) for path, symbol, _, _ in found)
    found = [row for row in found if names[row[0], row[1]] == 1]
    return random.Random(options.seed).sample(found, min(options.sample, len(found)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("scripted")
    one.set_defaults(work=scripted)
    one.add_argument("precedent")
    one.add_argument("--seeds", choices=list(SEEDS), default="test")
    one.add_argument("--commits", type=int, default=120)
    one.add_argument("--wrong", type=int, default=0, help="examples of each disagreement")
    two = commands.add_parser("real")
    two.set_defaults(work=real)
    two.add_argument("precedent")
    two.add_argument("repo")
    two.add_argument("--store")
    two.add_argument("--sample", type=int, default=150)
    two.add_argument("--seed", type=int, default=1)
    two.add_argument("--examples", type=int, default=3)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
