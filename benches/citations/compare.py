"""Holds every citation of many reviews against Git.

    compare.py PRECEDENT CLONE STORE [--last N] [--every N]

Reviews the first-parent steps of HEAD, of the last N every so many, and reads each cited commit, path and line with
`git cat-file`, which knows nothing of the program. A citation is right if the commit is one, the file was in it, all of its lines
are there, and the first of them, without the space around it, begins with what is quoted. Anchors of findings are held against
the lines that `git diff` shows. One line of figures is printed; what is wrong is listed, and ends the run with 1.
"""

import argparse
import json
import re
import subprocess
import sys


class Objects:
    """What `git cat-file --batch` reads."""

    def __init__(self, clone):
        command = ["git", "-C", clone, "cat-file", "--batch"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.known = {}

    def read(self, name):
        """Kind and bytes of an object; `None` where there is none."""
        if name not in self.known:
            self.process.stdin.write(name.encode() + b"\n")
            self.process.stdin.flush()
            head = self.process.stdout.readline().split()
            if len(head) != 3:
                self.known[name] = None
            else:
                content = self.process.stdout.read(int(head[2]) + 1)[:-1]
                self.known[name] = (head[1], content)
        return self.known[name]


def is_right(objects, citation):
    commit = objects.read(citation["commit"])
    file = objects.read(f"{citation['commit']}:{citation['path']}")
    if commit is None or commit[0] != b"commit" or file is None or file[0] != b"blob":
        return False
    lines = file[1].split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    first, last = citation["lines"]
    if not 1 <= first <= last <= len(lines):
        return False
    if b"\0" in lines[first - 1]:
        return citation["quote"] == ""
    line = lines[first - 1].decode(errors="replace").strip()
    return line.startswith(citation["quote"]) and (line == citation["quote"] or len(citation["quote"]) >= 200)


def shown_lines(clone, base, head):
    """What `git diff` shows: (path, side, line)."""
    command = ["git", "-C", clone, "-c", "core.quotePath=false", "diff", "--no-color", "--no-ext-diff", "-M", base, head]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode(errors="replace")
    shown, old, new, left, right = set(), None, None, 0, 0
    for line in text.split("\n"):
        if line.startswith("diff --git"):
            left = right = 0
        elif left <= 0 and right <= 0 and line.startswith("--- "):
            old = line[6:].rstrip("\t")
        elif left <= 0 and right <= 0 and line.startswith("+++ "):
            new = line[6:].rstrip("\t") if line != "+++ /dev/null" else old
        elif found := re.match(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line) if left <= 0 and right <= 0 else None:
            at_old, left = int(found[1]), int(found[2] or 1)
            at_new, right = int(found[3]), int(found[4] or 1)
        elif left > 0 or right > 0:
            if not line.startswith("+") and not line.startswith("\\"):
                shown.add((new, "LEFT", at_old))
                at_old, left = at_old + 1, left - 1
            if not line.startswith("-") and not line.startswith("\\"):
                shown.add((new, "RIGHT", at_new))
                at_new, right = at_new + 1, right - 1
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("clone")
    parser.add_argument("store")
    parser.add_argument("--last", type=int, default=1000)
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    git = ["git", "-C", options.clone, "rev-list", "--first-parent", "--min-parents=1", f"--max-count={options.last}", "HEAD"]
    steps = subprocess.run(git, stdout=subprocess.PIPE, check=True, text=True).stdout.split()[:: options.every]
    objects = Objects(options.clone)
    cited, facts, findings, wrong = 0, 0, 0, []
    for step in steps:
        command = [options.program, "--repo", options.clone, "--store", options.store, "review", f"{step}~1..{step}", "--json"]
        review = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        said = review["briefing"] + review["findings"]
        facts, findings = facts + len(review["briefing"]), findings + len(review["findings"])
        for one in said:
            if not one["citations"]:
                wrong.append((step, "nothing is cited", one))
            for citation in one["citations"]:
                cited += 1
                if not is_right(objects, citation):
                    wrong.append((step, "a citation", citation))
        shown = shown_lines(options.clone, review["base"], review["head"]) if review["findings"] else set()
        for finding in review["findings"]:
            if (finding["path"], finding["side"], finding["line"]) not in shown:
                wrong.append((step, "an anchor", finding))
    for one in wrong[:20]:
        print(json.dumps(one))
    print(f"{len(steps)} reviews, {facts} facts, {findings} findings, {cited} citations: {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
