"""Tests beside what they test, and sentences of a manual beside what they name, as `extract.py` writes records.

    CLONES=… PACKAGES=… python pairs.py data.toml RECORDS

Of kind "test", `doc` is the name or the description of a test, and the rest is the function that it calls and that is
most its own. Of kind "readme", `doc` is a sentence of a file in Markdown or reStructuredText that names one definition of
the same project in code, without that name, and the rest is the definition. Only the present state of a project is read.
"""

import collections
import dataclasses
import json
import os
import re
import sys
from multiprocessing import Pool

import sources
from dataset import SENTENCE_END
from extract import SKIPPED, is_prose, read_file, wanted
from words import words

TEXTS = (".md", ".rst")
NOT_A_MANUAL = re.compile(r"(?i)(^|/)(change|history|news|release|licen[sc]e|code_of_conduct|contributors|authors|security)[^/]*$")
TEST_PATH = re.compile(
    r"(^|/)(tests?|specs?|__tests__)/|(^|/)test_[^/]*\.py$|[._-](test|spec|tests)\.\w+$|\w(Test|Tests|Spec)\.(java|kt|php|swift|cs|scala)$"
)
TEST_NAME = re.compile(r"^(test|should|it)(?=[_A-Z])|^Test(?=[_A-Z])")
TEST_MARK = re.compile(r"#\[(\w+::)*(test|rstest|test_case)\b|@(\w+\.)*(Test|ParameterizedTest)\b|@test\b")
# A test that is a call with a description: `it("…", () => …)`, `it "…" do`, `test('…', function …)`.
DESCRIBED = re.compile(r"(?m)^[ \t]*(?:it|test|specify|should|Deno\.test)(?:\.\w+)?\s*\(?\s*([\"'`])([^\n]{8,160}?)\1")
CALL = re.compile(r"([A-Za-z_]\w*)\s*(?:::<[^()\n]{1,60}>|<[^()\n]{1,60}>)?\(")
CODE = re.compile(r"(?::[\w:+-]+:)?(?<!`)(``?)~?([A-Za-z_][\w.:#]*)(\([^`\n]{0,60}\))?\1(?!`)")
FENCED = re.compile(r"(?ms)^[ \t]*(```|~~~).*?^[ \t]*\1[^\n]*$")
LINES_OF_TEST = 60
# How often one definition may be the answer, how many tests may call what one of them is about, and in how many places a
# name may be defined.
MOST_OF_ONE, FEW_CALLERS, MOST_CALLERS, MOST_DEFINITIONS = 4, 2, 12, 3


def scope_of(origin, path):
    """What names are unique in: the project, which of a bundle of crates is its directory."""
    return path.split("/")[0] if origin.kind == "directories" else ""


def stem_of(path):
    stem = re.sub(r"\.\w+$", "", path.rsplit("/", 1)[-1])
    return re.sub(r"(?i)^test_?|[._-]?(tests?|spec)$", "", stem).lower()


def is_test(record, lines):
    """Whether a function is a test; its mark may stand on lines of its own."""
    at = record["line"] - 2
    above = []
    while at >= 0 and lines[at].strip().startswith(("#[", "@")) and len(above) < 5:
        above.append(lines[at])
        at -= 1
    return bool(
        TEST_MARK.search("\n".join([*above, record["text"][:200]]))
        or (TEST_NAME.match(record["name"]) and TEST_PATH.search(record["path"]))
    )


def tests_in(path, data, records):
    """Description and body of each test of a file."""
    text = data.decode("utf8", "replace")
    lines = text.split("\n")
    for record in records:
        if record["kind"] == "function" and is_test(record, lines):
            yield " ".join(words(TEST_NAME.sub("", record["name"]))), record["text"], record["line"]
    if not TEST_PATH.search(path):
        return
    found = list(DESCRIBED.finditer(text))
    for match, following in zip(found, [*found[1:], None]):
        body = text[match.end() : following.start() if following else len(text)]
        description = re.sub(r"^should\s+", "", match.group(2).strip())
        yield description, "\n".join(body.split("\n")[:LINES_OF_TEST]), text.count("\n", 0, match.start()) + 1


def choose(description, path, called, definitions, callers):
    """The function that a test is most about: in the file of the same name, named alike, called by few others."""
    said, best = set(words(description)), (0.0, None)
    for name in called:
        for record in definitions:
            if record["name"] != name:
                continue
            own = set(words(name))
            if not own or len(said - own) < 2:
                continue
            beside = record["path"] == path or stem_of(record["path"]) == stem_of(path)
            shared = len(own & said) / len(own)
            own_test = shared >= 0.5 or beside and (shared > 0 or callers[name] <= FEW_CALLERS)
            if not own_test or callers[name] > MOST_CALLERS and shared < 1:
                continue
            score = beside + shared + 1 / (1 + callers[name])
            if score > best[0]:
                best = (score, record)
    return best


def test_pairs(tests, definitions):
    """The best tests of each function."""
    by_name = collections.defaultdict(list)
    for record in definitions:
        if record["kind"] == "function" and len(record["text"]) >= 60:
            by_name[record["name"]].append(record)
    called = [sorted({name for name in CALL.findall(body) if 0 < len(by_name[name]) <= MOST_DEFINITIONS}) for _, _, body in tests]
    callers = collections.Counter(name for names in called for name in names)
    chosen = collections.defaultdict(list)
    for (description, path, _), names in zip(tests, called):
        score, record = choose(description, path, names, [record for name in names for record in by_name[name]], callers)
        if record is not None and len(words(description)) >= 3:
            chosen[record["path"], record["line"]].append((score, description, record))
    for found in chosen.values():
        found.sort(key=lambda pair: -pair[0])
        for _, description, record in found[:MOST_OF_ONE]:
            yield description, record


def sentences_of(text):
    """Sentences of a manual, with their marks of code."""
    text = FENCED.sub("\n", text)
    text = re.sub(r"<!--.*?-->|<[^>\n]{1,80}>", " ", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]\n]+)\](\([^)\n]*\)|\[[^\]\n]*\])", r"\1", text)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*([-*+]|\d+\.)\s)", text):
        if paragraph is None or paragraph.startswith(("    ", "\t", "|", "..")):
            continue
        line = re.sub(r"\s+", " ", re.sub(r"^\s*([-*+>#]+|\d+\.)\s+", "", paragraph)).strip()
        yield from (sentence for sentence in SENTENCE_END.split(line) if sentence)


def readme_pairs(texts, definitions):
    """Sentences that name one definition which is the only one of that name."""
    by_name = collections.defaultdict(list)
    for record in definitions:
        by_name[record["name"]].append(record)
    uses = collections.Counter()
    for text in texts:
        for sentence in sentences_of(text):
            named = {}
            for match in CODE.finditer(sentence):
                name = re.split(r"[.:#]+", match.group(2).strip(".:#"))[-1]
                telling = len(words(name)) > 1 or match.group(3) or name != match.group(2)
                if telling and len(by_name.get(name, ())) == 1:
                    named[name] = match.group(0)
            if not 1 <= len(named) <= 2:
                continue
            for name, span in named.items():
                prose = re.sub(r":[\w:+-]+:(?=`)|[`*]+~?", "", sentence.replace(span, " "))
                prose = re.sub(r"\s+", " ", re.sub(r"https?://\S+", "", prose)).strip(" :-–—,.")
                if len(words(prose)) >= 5 and len(prose) <= 400 and is_prose(prose) and uses[name] < MOST_OF_ONE:
                    uses[name] += 1
                    yield prose, by_name[name][0]


@dataclasses.dataclass
class Project:
    """What one scope has: tests with their bodies, texts, and definitions that are no tests."""

    tests: list = dataclasses.field(default_factory=list)
    texts: list = dataclasses.field(default_factory=list)
    definitions: list = dataclasses.field(default_factory=list)


def is_read(path):
    if path.endswith(TEXTS):
        return not NOT_A_MANUAL.search(path) and not SKIPPED.search(path)
    return wanted(path)


def read(origin):
    projects = collections.defaultdict(Project)
    present = dataclasses.replace(origin, places=origin.places[:1] if origin.kind == "git" else origin.places)
    for path, data in sources.files(present, is_read):
        project = projects[scope_of(origin, path)]
        if path.endswith(TEXTS):
            project.texts.append(data.decode("utf8", "replace"))
            continue
        records = read_file(path, data)
        tests = list(tests_in(path, data, records))
        project.tests.extend((description, path, body) for description, body, _ in tests)
        lines = {line for _, _, line in tests}
        if not TEST_PATH.search(path):
            project.definitions.extend(record for record in records if record["line"] not in lines)
    return projects.values()


def extract(job):
    origin, output = job
    counts = collections.Counter()
    with open(output + ".part", "w") as out:
        for project in read(origin):
            for kind, pairs in (
                ("test", test_pairs(project.tests, project.definitions)),
                ("readme", readme_pairs(project.texts, project.definitions)),
            ):
                for doc, record in pairs:
                    out.write(json.dumps({"origin": origin.name, **record, "kind": kind, "doc": doc}) + "\n")
                    counts[kind] += 1
    os.rename(output + ".part", output)
    return origin.name, counts


def main():
    data_list, output = sys.argv[1:3]
    jobs = []
    for origin in sources.load(data_list):
        target = os.path.join(output, "pairs-" + origin.name.replace("/", "+") + ".jsonl")
        if origin.role == "train" and not os.path.exists(target):
            jobs.append((origin, target))
    with Pool(int(os.environ.get("JOBS", "2"))) as pool:
        for name, counts in pool.imap_unordered(extract, jobs):
            print(f"{name}: {counts['test']} tests, {counts['readme']} sentences of manuals", flush=True)


if __name__ == "__main__":
    main()
