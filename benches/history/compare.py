"""Times Git, a full re-parse and the windowed one on one repository, side by side, and prints the ratios.

    compare.py PRECEDENT REPO [--rounds N] [--skip-full]

In each round, in turn: `git log --raw -c`, the same list from PRECEDENT (`index --list-changes`), an index with every
version parsed whole (`--reparse full`), an index in windows (`--reparse window`), a run with nothing new, and a run with
one new commit. Whole processes are timed from outside. The lists of changed files must be equal, and so must the shards
of the two indexes, byte by byte; where they are not, the script ends with 1.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time


def timed(command, **options):
    """Runs a command; gives seconds, peak anonymous memory in MB (Linux only), and what it printed."""
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, **options)
        peak = 0
        while process.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                peak = max([peak] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")])
            except (OSError, IndexError):
                pass
            # Short runs are watched closely, long ones from time to time.
            time.sleep(0.002 if time.perf_counter() - started < 1 else 0.05)
        seconds = time.perf_counter() - started
        if process.returncode != 0:
            raise SystemExit(f"{command} ended with {process.returncode}")
        out.seek(0)
        return seconds, peak / 1000, out.read().decode(errors="surrogateescape")


def changes_of_git(raw):
    """The (commit, path) pairs of `git log --raw` without `-z`."""
    pairs, commit = set(), None
    # Not `splitlines`, which breaks lines at letters that a path may hold, such as U+2028.
    for line in raw.split("\n"):
        if line.startswith(":"):
            pairs.add((commit, line.split("\t", 1)[1]))
        elif line:
            commit = line
    return pairs


def shards(store):
    return sorted(str(path.relative_to(store)) for path in store.glob("*/*.parquet"))


def spread(values):
    return f"{min(values):8.3f} {statistics.median(values):8.3f} {max(values):8.3f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("precedent", type=pathlib.Path)
    parser.add_argument("repo", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-full", action="store_true", help="leave out the full re-parse, which takes longest")
    options = parser.parse_args()
    precedent, repo = str(options.precedent.resolve()), str(options.repo.resolve())
    git = ["git", "-c", "core.quotePath=false", "-C", repo, "log", "--raw", "-c", "--root", "--no-renames",
           "--no-abbrev", "--format=%H", "HEAD"]
    seconds = {}
    memory = []
    different = False

    def record(name, command):
        taken, peak, text = timed(command)
        seconds.setdefault(name, []).append(taken)
        return peak, text

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for round_number in range(options.rounds):
            _, raw = record("git log --raw -c", git)
            _, listed = record("changes", [precedent, "index", repo, "--list-changes"])
            if round_number == 0:
                ours = {tuple(line.split("\t", 1)) for line in listed.split("\n") if line}
                theirs = changes_of_git(raw)
                different |= ours != theirs
                print(f"changed files: {len(theirs)} by Git, {len(ours)} here, {len(ours ^ theirs)} differ")
            for how in ["window"] if options.skip_full else ["full", "window"]:
                store = scratch / how
                shutil.rmtree(store, ignore_errors=True)
                peak, text = record(how, [precedent, "index", repo, "--no-replay", "--store", str(store), "--reparse", how, "--json"])
            memory.append(peak)
            report = json.loads(text)
            record("nothing new", [precedent, "index", repo, "--no-replay", "--store", str(store), "--json"])
            one = scratch / "one"
            if not one.exists():
                timed([precedent, "index", repo, "--no-replay", "--store", str(one), "--tip", "HEAD~1", "--json"])
            again = scratch / "again"
            shutil.rmtree(again, ignore_errors=True)
            shutil.copytree(one, again)
            record("new commits on top of HEAD~1", [precedent, "index", repo, "--no-replay", "--store", str(again), "--json"])
            if not options.skip_full:
                same = shards(scratch / "full") == shards(scratch / "window")
                different |= not same
                print(f"round {round_number + 1}: the two stores are {'equal' if same else 'DIFFERENT'}")

    print(f"\n{'seconds':32} {'min':>8} {'median':>8} {'max':>8}")
    for name, values in seconds.items():
        print(f"{name:32} {spread(values)}")
    print(f"\n{'ratios, round by round':32} {'min':>8} {'median':>8} {'max':>8}")
    ratios = {"changes / git log": ("changes", "git log --raw -c"), "full / window": ("full", "window")}
    for name, (one, other) in ratios.items():
        if one in seconds and other in seconds:
            print(f"{name:32} {spread([a / b for a, b in zip(seconds[one], seconds[other])])}")
    print(f"\npeak anonymous memory, window:  {max(memory):.0f} MB")
    print("where the time went: " + ", ".join(f"{name} {value:.2f}" for name, value in report["seconds"].items()))
    print("how versions were read, by language:")
    for language, counts in report["readings"].items():
        after = counts["windows"] + counts["doubtful"]
        rate = 100 * counts["doubtful"] / after if after else 0.0
        print(f"  {language:12} {counts['whole']:7} whole {counts['windows']:7} in windows "
              f"{counts['doubtful']:6} whole in doubt ({rate:.1f} % of those with a version before)")
    print(f"processors: {os.cpu_count()}")
    if different:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
