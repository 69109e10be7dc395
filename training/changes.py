"""What commit messages say of code: one record for each of the largest hunks of small commits, as `extract.py` writes them.

    CLONES=… python changes.py data.toml RECORDS

`doc` is the subject, cleaned of its prefix and its number, and the first paragraph of the body; `text` is the hunk as it
is after the commit, and `name` the function that Git names above it.
"""

import json
import os
import re
import subprocess
import sys
from multiprocessing import Pool

import sources
from extract import EXTENSIONS, clean, is_prose, wanted

MOST_COMMITS = 3000
MOST_FILES = 6
MOST_HUNKS = 2
# Between records of the log; no message has them.
START, BODY = "\x1e", "\x1f"
DRIVERS = {
    "rust": "rs", "python": "py", "golang": "go", "java": "java", "ruby": "rb", "php": "php", "csharp": "cs", "cpp": "c",
}  # fmt: skip

ROUTINE = re.compile(
    r"(?i)(merge|bump|release|version|v?\d+\.\d+|prepare|changelog|revert|update (dependenc|changelog|version|readme|docs)|"
    r"typo|fix typo|clippy|cargo fmt|rustfmt|fmt|gofmt|lint|style|wip|chore\(deps|apply suggestions|address review|"
    r"\[?backport|cleanup|clean up$|nit)"
)
PREFIX = re.compile(r"^(\[[^\]]{1,40}\]\s*|[\w./,*{}\s-]{1,40}(\([^)]*\))?!?:\s+|[Ff]ix(es|ed)? #\d+\s*[-:.]?\s*)")
NUMBER = re.compile(r"\s*\(?(#|gh-|GH-)\d+\)?|\s*\[[A-Z]+-\d+\]|[A-Z]{2,}-\d+:?\s*")
NAME = re.compile(r"([A-Za-z_]\w*)\s*(?:<[^(]*>)?\(")
HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,\d+)? @@ ?(.*)$")


def sentence_of(message):
    """The subject without what is no English, and the first paragraph of the body; empty if it is routine."""
    subject, _, body = message.partition("\n")
    subject = NUMBER.sub("", subject).strip()
    if ROUTINE.match(subject):
        return ""
    subject = PREFIX.sub("", subject).strip()
    if ROUTINE.match(subject) or not is_prose(subject):
        return ""
    paragraph = clean(re.sub(r"(?m)^([\w-]+-by|Closes?|Fixes|Refs?|Co-authored|Change-Id).*$", "", body)).split("\n")[0]
    return subject + ("\n" + paragraph[:300] if is_prose(paragraph) else "")


def hunks(patch):
    """Path, line, heading and the text after the change, of each hunk."""
    path, line, heading, lines = None, 0, "", []
    for row in patch.split("\n"):
        if row.startswith("diff --git "):
            if path and lines:
                yield path, line, heading, lines
            path, lines = row.rsplit(" b/", 1)[-1], []
        elif found := HUNK.match(row):
            if path and lines:
                yield path, line, heading, lines
            line, heading, lines = int(found.group(1)), found.group(2), []
        elif line and row[:1] in (" ", "+") and not row.startswith("+++"):
            lines.append(row[1:])
    if path and lines:
        yield path, line, heading, lines


def extract(job):
    origin, output = job
    directory, commit = origin.places[0]
    attributes = output + ".attributes"
    with open(attributes, "w") as file:
        file.writelines(f"*.{extension} diff={driver}\n" for driver, extension in DRIVERS.items())
    command = ["git", "-C", directory, "-c", f"core.attributesFile={attributes}", "log", "--no-merges", "--no-renames"]
    command += ["--diff-filter=M", "-p", "-U8", f"-n{MOST_COMMITS}", f"--format={START}%B{BODY}", commit]
    count = 0
    with open(output + ".part", "w") as out:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as git:
            for entry in entries(git.stdout):
                message, _, patch = entry.decode("utf8", "replace").partition(BODY)
                doc = sentence_of(message.strip())
                if not doc or len(patch) > 60_000:
                    continue
                found = [hunk for hunk in hunks(patch) if wanted(hunk[0])]
                if not found or len({hunk[0] for hunk in found}) > MOST_FILES:
                    continue
                found.sort(key=lambda hunk: -len(hunk[3]))
                for path, line, heading, lines in found[:MOST_HUNKS]:
                    named = NAME.search(heading)
                    record = {
                        "origin": origin.name,
                        "path": path,
                        "lang": EXTENSIONS[os.path.splitext(path)[1]],
                        "kind": "change",
                        "name": named.group(1) if named else "",
                        "container": "",
                        "line": line,
                        "doc": doc,
                        "text": "\n".join(lines)[:4000],
                    }
                    out.write(json.dumps(record) + "\n")
                    count += 1
    os.remove(attributes)
    os.rename(output + ".part", output)
    return origin.name, count


def entries(stream):
    """The output of the log, cut at each commit."""
    rest = b""
    while block := stream.read(1 << 20):
        parts = (rest + block).split(START.encode())
        rest = parts.pop()
        yield from parts
    yield rest


def main():
    data_list, output = sys.argv[1:3]
    jobs = []
    for origin in sources.load(data_list):
        target = os.path.join(output, "changes-" + origin.name.replace("/", "+") + ".jsonl")
        if origin.kind == "git" and origin.role == "train" and not os.path.exists(target):
            jobs.append((origin, target))
    with Pool(int(os.environ.get("JOBS", "2"))) as pool:
        for name, count in pool.imap_unordered(extract, jobs):
            print(f"{name}: {count} changes", flush=True)


if __name__ == "__main__":
    main()
