"""Histories that a script writes, so that the truth about every function is known.

A world is some files of functions in Rust and Python, with names and bodies drawn from a list of words. A commit does
one to three things to it: it edits, renames, moves, splits, joins, copies, removes, adds or brings back functions, or it
is a `git revert` of an earlier commit. What was done is noted as the rows that the table `edits` should have.
"""

import copy
import dataclasses
import os
import pathlib
import random
import subprocess

WORDS = """account amount anchor array banner batch bound branch bridge broker bucket buffer bundle cache caller canvas
carrier cell chain channel check circle client clock cluster column command config context counter cursor cycle deadline
delta depth digest domain draft driver edge element engine entry epoch error event factor field filter flag flow folder
format frame gate graph group guard handle header height hint holder index input item joint journal kernel key label
layer layout ledger level limit line link list loader lock logger mark marker mask matrix member memory merge message
meter method mirror mode module moment name nest node number object offset option order origin output owner packet page
panel parser part patch path pattern payload phase pipe place plan player point policy pool port prefix price probe
process profile proxy queue quota range rate reader record region report request result retry ring role root route rule
sample scale schema scope score screen section seed segment sender sequence server session shape signal size slice slot
socket source span stack stage state status step store stream string suffix table target task ticket timer token topic
total trace track tree trigger tuple unit update user value vector version view volume wall warning watcher weight window
worker writer zone""".split()

RUST = [
    ["let {a} = {b}.{c}({d});"],
    ["let mut {a} = {b}::{c}({d}, {n});"],
    ["if {a} > {n} {{", "    {b}.{c}({d});", "}}"],
    ["for {a} in {b}.{c}() {{", "    {d}.push({a});", "}}"],
    ["{a}.{b}({c}, {n});"],
    ["{a} += {b}.{c} * {n};"],
    ["if let Some({a}) = {b}.get({c}) {{", "    return {a}.{d}();", "}}"],
    ["// The {a} {b} of a {c}, then its {d}."],
    ["assert!({a}.{b}() <= {c}, \"{d}\");"],
]
PYTHON = [
    ["{a} = {b}.{c}({d})"],
    ["{a} = {c}({d}, {n})"],
    ["if {a} > {n}:", "    {b}.{c}({d})"],
    ["for {a} in {b}.{c}():", "    {d}.append({a})"],
    ["{a}.{b}({c}, {n})"],
    ["{a} += {b}.{c} * {n}"],
    ["if {a} in {b}:", "    return {a}.{d}()"],
    ["# The {a} {b} of a {c}, then its {d}."],
    ["assert {a}.{b}() <= {c}, \"{d}\""],
]
SHAPES = {"rs": RUST, "py": PYTHON}
NOTES = ["", "", "Gives the {a} of a {b}, or its {c}.", "Takes a {a} and a {b}; the {c} must not be empty."]


@dataclasses.dataclass
class Function:
    """A function as it stands; `uid` is who it is."""

    uid: int
    name: str
    parameters: list
    note: str
    body: list


@dataclasses.dataclass(frozen=True)
class Row:
    """A row that the table of edits should have."""

    commit: str
    change: str
    path: str
    symbol: str
    before_path: str = ""
    before_symbol: str = ""


@dataclasses.dataclass
class Done:
    """What one commit did: rows without their commit, and what was there before."""

    commit: str
    rows: list
    before: dict
    files: set


def text(function, language):
    lines = []
    inner = [line for statement in function.body for line in statement]
    if language == "rs":
        lines += [f"/// {function.note}"] if function.note else []
        parameters = ", ".join(f"{name}: &mut {name.title()}" for name in function.parameters)
        lines += [f"pub fn {function.name}({parameters}) -> u32 {{", *("    " + line for line in inner), "    0", "}"]
    else:
        lines += [f"def {function.name}({', '.join(function.parameters)}):"]
        lines += [f"    \"\"\"{function.note}\"\"\""] if function.note else []
        lines += [*("    " + line for line in inner), "    return 0"]
    return "\n".join(lines) + "\n"


class History:
    """Writes one history, and keeps the truth."""

    def __init__(self, seed, directory, commits):
        self.random = random.Random(seed)
        self.directory = pathlib.Path(directory)
        self.world = {f"src/part{at}.{'rs' if at % 2 else 'py'}": [] for at in range(6)}
        self.uids = 0
        self.clock = 1_700_000_000
        self.done = []
        self.truth = []
        # (commit, path, symbol) -> the commit that had removed it; -> the commits that were reverted.
        self.returns = {}
        self.reverts = {}
        self.gone = {}
        self.removed_in = {}
        self.copies_out_of_reach = set()
        self.git("init", "--quiet", "--initial-branch=main", ".")
        for path in self.world:
            self.world[path] = [self.new(path) for _ in range(8)]
        self.commit("begin", [("added", path, f.name, "", "") for path in self.world for f in self.world[path]], {})
        while len(self.done) < commits:
            self.step()

    def git(self, *arguments):
        self.directory.mkdir(parents=True, exist_ok=True)
        date = f"@{self.clock} +0000"
        environment = {
            "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_COMMITTER_DATE": date,
        }  # fmt: skip
        command = ["git", "-C", str(self.directory), *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    # What functions are made of.

    def word(self):
        return self.random.choice(WORDS)

    def fill(self, shape):
        values = {key: self.word() for key in "abcd"} | {"n": self.random.choice([0, 1, 2, 3, 8, 10, 16, 64, 100])}
        return [line.format(**values) for line in shape]

    def statement(self, language):
        return self.fill(self.random.choice(SHAPES[language]))

    def name(self):
        taken = {f.name for functions in self.world.values() for f in functions}
        taken |= {f.name for _, f in self.gone.values()}
        while True:
            name = "_".join(self.random.sample(WORDS, 2))
            if name not in taken:
                return name

    def new(self, path, body=None):
        language = path.rsplit(".")[-1]
        self.uids += 1
        size = self.random.choice([2, 3, 5, 6, 8, 10, 12, 16, 24])
        body = [self.statement(language) for _ in range(size)] if body is None else body
        note = self.fill([self.random.choice(NOTES)])[0]
        return Function(self.uids, self.name(), self.random.sample(WORDS, self.random.randint(0, 3)), note, body)

    def edit(self, function, language, most):
        """Changes up to a share of the statements, as people do: other words, other statements, more, fewer."""
        count = max(1, round(self.random.uniform(0, most) * len(function.body)))
        was = copy.deepcopy(function.body)
        for _ in range(count):
            at = self.random.randrange(len(function.body))
            way = self.random.random()
            if way < 0.4:
                statement = function.body[at]
                words = [word for line in statement for word in line.replace("(", " ").split() if word in WORDS]
                old, new = self.random.choice(words or ["0"]), self.word()
                function.body[at] = [line.replace(old, new) for line in statement]
                if function.body[at] == statement:
                    function.body[at] = self.statement(language)
            elif way < 0.6:
                function.body[at] = self.statement(language)
            elif way < 0.85 or len(function.body) < 3:
                function.body.insert(at, self.statement(language))
            else:
                del function.body[at]
        if function.body == was:
            function.body.append(self.statement(language))

    # What commits do.

    def pick(self, least=1):
        places = [(p, f) for p, fs in self.world.items() for f in fs if f.uid not in self.busy and len(f.body) >= least]
        if not places:
            raise LookupError
        path, function = self.random.choice(places)
        self.busy.add(function.uid)
        return path, function

    def other(self, path):
        return self.random.choice([p for p in self.world if p != path and p[-2:] == path[-2:]])

    def put(self, path, function):
        self.world[path].insert(self.random.randint(0, len(self.world[path])), function)

    def op_edit(self):
        path, function = self.pick()
        self.edit(function, path[-2:], 0.4)
        return [("modified", path, function.name, "", "")]

    def op_rename(self):
        path, function = self.pick()
        old, function.name = function.name, self.name()
        if self.random.random() < 0.7:
            self.edit(function, path[-2:], 0.3)
        return [("renamed", path, function.name, "", old)]

    def op_move(self):
        path, function = self.pick()
        to, old = self.other(path), function.name
        self.world[path].remove(function)
        if self.random.random() < 0.7:
            self.edit(function, path[-2:], 0.3)
        if self.random.random() < 0.2:
            function.name = self.name()
        self.put(to, function)
        return [("moved", to, function.name, path, old if old != function.name else "")]

    def op_split(self):
        path, function = self.pick(8)
        count = round(len(function.body) * self.random.uniform(0.3, 0.6))
        at = self.random.randint(0, len(function.body) - count)
        part = self.new(path, copy.deepcopy(function.body[at : at + count]))
        self.busy.add(part.uid)
        call = [f"{part.name}({', '.join(part.parameters)}){';' if path.endswith('rs') else ''}"]
        function.body[at : at + count] = [call] if self.random.random() < 0.9 else []
        if self.random.random() < 0.4:
            self.edit(part, path[-2:], 0.2)
        to = self.other(path) if self.random.random() < 0.25 else path
        self.put(to, part)
        return [
            ("modified", path, function.name, "", ""),
            ("split", to, part.name, path if to != path else "", function.name),
        ]

    def op_join(self):
        path, function = self.pick()
        others = [f for f in self.world[path] if f.uid not in self.busy and 4 <= len(f.body) <= 2 * len(function.body)]
        if not others:
            raise LookupError
        part = self.random.choice(others)
        self.busy.add(part.uid)
        call = next((at for at, s in enumerate(function.body) if part.name + "(" in s[0]), None)
        at = self.random.randint(0, len(function.body)) if call is None else call
        function.body[at : at + (call is not None)] = copy.deepcopy(part.body)
        if self.random.random() < 0.4:
            self.edit(function, path[-2:], 0.1)
        self.world[path].remove(part)
        self.gone[part.uid] = (path, copy.deepcopy(part))
        return [
            ("modified", path, function.name, "", ""),
            ("removed", path, part.name, "", ""),
            ("joined", path, function.name, "", part.name),
        ]

    def op_copy(self):
        path, function = self.pick(4)
        twin = self.new(path, copy.deepcopy(function.body))
        twin.note, twin.parameters = function.note, list(function.parameters)
        self.busy.add(twin.uid)
        if self.random.random() < 0.6:
            self.edit(twin, path[-2:], 0.15)
        to = self.other(path) if self.random.random() < 0.3 else path
        self.put(to, twin)
        return [("copied", to, twin.name, path if to != path else "", function.name)]

    def op_remove(self):
        path, function = self.pick()
        self.world[path].remove(function)
        self.gone[function.uid] = (path, copy.deepcopy(function))
        return [("removed", path, function.name, "", "")]

    def op_add(self):
        path = self.random.choice(list(self.world))
        function = self.new(path)
        self.busy.add(function.uid)
        self.put(path, function)
        return [("added", path, function.name, "", "")]

    def op_return(self):
        waiting = [uid for uid in self.gone if uid in self.removed_in and uid not in self.busy]
        if not waiting:
            raise LookupError
        uid = self.random.choice(waiting)
        path, function = self.gone.pop(uid)
        self.busy.add(uid)
        way = self.random.random()
        if way < 0.3:
            self.edit(function, path[-2:], 0.3)
        elif way < 0.5 and len(function.body) > 3:
            path = self.other(path)
        self.put(path, function)
        return [("added", path, function.name, "", "")]

    OPERATIONS = ["edit"] * 5 + ["rename"] * 2 + ["move"] * 2 + ["split"] * 2 + ["join"] * 2 + ["copy"] * 2 + [
        "remove", "remove", "add", "add", "return", "return",
    ]  # fmt: skip

    def step(self):
        if self.random.random() < 0.12 and self.revert():
            return
        self.busy = set()
        before = copy.deepcopy(self.world)
        state = copy.deepcopy((self.gone, self.removed_in))
        rows = []
        names = []
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            name = self.random.choice(self.OPERATIONS)
            try:
                rows += getattr(self, "op_" + name)()
                names.append(name)
            except LookupError:
                continue
        if not rows or any(not functions for functions in self.world.values()):
            self.world, (self.gone, self.removed_in) = before, state
            return
        self.commit(", ".join(names), rows, before)

    def write(self):
        for path, functions in self.world.items():
            file = self.directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(text(function, path[-2:]) for function in functions))

    def commit(self, message, rows, before):
        self.clock += 3600
        self.write()
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.note(self.git("rev-parse", "HEAD"), rows, before)

    def note(self, commit, rows, before):
        """Writes down what a commit did."""
        files = {path for path in self.world if before.get(path) != self.world[path]}
        self.done.append(Done(commit, rows, before, files))
        names = {uid: name for name, uid in self.names(self.world).items()}
        names_before = {uid: name for name, uid in self.names(before).items()}
        by_name = {name: uid for uid, name in names.items()}
        for change, path, symbol, before_path, before_symbol in rows:
            self.truth.append(Row(commit, change, path, symbol, before_path, before_symbol))
            if change == "copied" and (before_path or path) not in files:
                self.copies_out_of_reach.add((commit, path, symbol))
            if change in ("added", "split") and (uid := by_name.get((path, symbol))) in self.removed_in:
                self.returns[commit, path, symbol] = self.removed_in.pop(uid)
        for uid in names_before:
            if uid not in names:
                self.removed_in[uid] = commit

    @staticmethod
    def names(world):
        return {(path, function.name): function.uid for path, functions in world.items() for function in functions}

    def revert(self):
        """Takes back one of the last commits, if nothing has touched its files since."""
        touched = set()
        candidates = []
        for done in reversed(self.done[-6:]):
            if done.before and not done.files & touched:
                candidates.append(done)
            touched |= done.files
        if not candidates:
            return False
        undone = self.random.choice(candidates)
        before = copy.deepcopy(self.world)
        for path in undone.files:
            self.world[path] = copy.deepcopy(undone.before[path])
        uids = [f.uid for functions in self.world.values() for f in functions]
        if len(set(uids)) < len(uids):
            # What it removed is back elsewhere.
            self.world = before
            return False
        self.clock += 3600
        self.git("revert", "--no-edit", undone.commit)
        for path, functions in self.world.items():
            expected = "\n".join(text(function, path[-2:]) for function in functions)
            assert (self.directory / path).read_text() == expected, "git revert gave another text than the script"
        rows = [row for done in undone.rows for row in self.inverse(done, undone)]
        commit = self.git("rev-parse", "HEAD")
        for change, path, symbol, *_ in rows:
            self.reverts[commit, path, symbol] = undone.commit
        present = {f.uid for functions in self.world.values() for f in functions}
        for path, functions in before.items():
            for function in functions:
                if function.uid not in present:
                    self.gone[function.uid] = (path, copy.deepcopy(function))
        for uid in [uid for uid in self.gone if uid in present]:
            del self.gone[uid]
        self.note(commit, rows, before)
        return True

    @staticmethod
    def inverse(row, undone):
        change, path, symbol, before_path, before_symbol = row
        old_path, old_symbol = before_path or path, before_symbol or symbol
        match change:
            case "modified":
                return [row]
            case "renamed" | "moved":
                back = path if old_path != path else "", symbol if old_symbol != symbol else ""
                return [(change, old_path, old_symbol, *back)]
            case "split":
                joined = ("joined", old_path, old_symbol, path if path != old_path else "", symbol)
                return [("removed", path, symbol, "", ""), joined]
            case "joined":
                return [("split", path, before_symbol, "", symbol)]
            case "removed":
                was_joined = any(other[0] == "joined" and other[4] == symbol for other in undone.rows)
                return [] if was_joined else [("added", path, symbol, "", "")]
            case "added" | "copied":
                return [("removed", path, symbol, "", "")]
        raise ValueError(change)
