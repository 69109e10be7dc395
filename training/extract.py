"""Functions and types of sources, with their documentation apart from their code: one JSON object a line.

    CLONES=… PACKAGES=… python extract.py data.toml RECORDS [ROLE…]

A record has: origin, path, lang, kind ("function" or "type"), name, container, line, doc, text.
`doc` is the cleaned documentation, paragraphs parted by a newline, or empty; `text` is without it.
"""

import bisect
import json
import os
import re
import sys
from multiprocessing import Pool

import tree_sitter
import tree_sitter_c
import tree_sitter_c_sharp
import tree_sitter_cpp
import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_kotlin
import tree_sitter_lua
import tree_sitter_php
import tree_sitter_python
import tree_sitter_ruby
import tree_sitter_rust
import tree_sitter_scala
import tree_sitter_swift
import tree_sitter_typescript

import sources

SLASH_DOCS = ("///", "/**")
BLOCK_DOCS = ("/**",)

# JavaScript's functions that are values count where they have a name.
JAVASCRIPT_FUNCTIONS = """
(function_declaration) @function (generator_function_declaration) @function (method_definition) @function
(variable_declarator value: [(arrow_function) (function_expression)]) @function
(assignment_expression right: [(arrow_function) (function_expression)]) @function
(pair value: [(arrow_function) (function_expression)]) @function
(class_declaration) @type
"""
TYPESCRIPT = JAVASCRIPT_FUNCTIONS + """
(function_signature) @function (method_signature) @function (abstract_method_signature) @function
(abstract_class_declaration) @type (interface_declaration) @type (type_alias_declaration) @type
"""

# Per language: the grammar, what to find, which types contain, how documentation starts.
LANGUAGES = {
    "rust": (
        tree_sitter_rust.language,
        "(function_item) @function (function_signature_item) @function (struct_item) @type (enum_item) @type"
        " (trait_item) @type (type_item) @type (macro_definition) @type (macro_invocation (token_tree) @macro)",
        {"impl_item", "trait_item"},
        SLASH_DOCS,
    ),
    "python": (
        tree_sitter_python.language,
        "(function_definition) @function (class_definition) @type",
        {"class_definition"},
        (),
    ),
    "go": (
        tree_sitter_go.language,
        "(function_declaration) @function (method_declaration) @function (type_spec) @type",
        set(),
        ("//", "/*"),
    ),
    "javascript": (tree_sitter_javascript.language, JAVASCRIPT_FUNCTIONS, {"class_declaration"}, BLOCK_DOCS),
    "typescript": (
        tree_sitter_typescript.language_typescript,
        TYPESCRIPT,
        {"class_declaration", "abstract_class_declaration", "interface_declaration"},
        BLOCK_DOCS,
    ),
    "java": (
        tree_sitter_java.language,
        "(method_declaration) @function (constructor_declaration) @function (class_declaration) @type"
        " (interface_declaration) @type (enum_declaration) @type",
        {"class_declaration", "interface_declaration", "enum_declaration"},
        BLOCK_DOCS,
    ),
    "c": (
        tree_sitter_c.language,
        "(function_definition) @function (struct_specifier body: (_)) @type",
        set(),
        ("/*", "//"),
    ),
    "cpp": (
        tree_sitter_cpp.language,
        "(function_definition) @function (class_specifier body: (_)) @type (struct_specifier body: (_)) @type",
        {"class_specifier", "struct_specifier"},
        ("/*", "//"),
    ),
    "csharp": (
        tree_sitter_c_sharp.language,
        "(method_declaration) @function (constructor_declaration) @function (local_function_statement) @function"
        " (class_declaration) @type (struct_declaration) @type (interface_declaration) @type",
        {"class_declaration", "struct_declaration", "interface_declaration", "record_declaration"},
        ("///",),
    ),
    "ruby": (
        tree_sitter_ruby.language,
        "(method) @function (singleton_method) @function (class) @type (module) @type",
        {"class", "module"},
        ("#",),
    ),
    "php": (
        tree_sitter_php.language_php,
        "(function_definition) @function (method_declaration) @function (class_declaration) @type"
        " (interface_declaration) @type (trait_declaration) @type",
        {"class_declaration", "interface_declaration", "trait_declaration"},
        BLOCK_DOCS,
    ),
    "kotlin": (
        tree_sitter_kotlin.language,
        "(function_declaration) @function (class_declaration) @type (object_declaration) @type",
        {"class_declaration", "object_declaration"},
        BLOCK_DOCS,
    ),
    "swift": (
        tree_sitter_swift.language,
        "(function_declaration) @function (protocol_function_declaration) @function (init_declaration) @function"
        " (class_declaration) @type (protocol_declaration) @type",
        {"class_declaration", "protocol_declaration"},
        SLASH_DOCS,
    ),
    "scala": (
        tree_sitter_scala.language,
        "(function_definition) @function (function_declaration) @function (class_definition) @type"
        " (object_definition) @type (trait_definition) @type",
        {"class_definition", "object_definition", "trait_definition"},
        BLOCK_DOCS,
    ),
    "lua": (tree_sitter_lua.language, "(function_declaration) @function", set(), ("--",)),
}

EXTENSIONS = {
    ".rs": "rust", ".py": "python", ".go": "go", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".jsx": "javascript", ".ts": "typescript", ".mts": "typescript", ".java": "java", ".c": "c", ".h": "c",
    ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp", ".cs": "csharp", ".rb": "ruby",
    ".php": "php", ".kt": "kotlin", ".kts": "kotlin", ".swift": "swift", ".scala": "scala", ".lua": "lua",
}  # fmt: skip

LONGEST_FILE = 400_000
LONGEST_TEXT = 6_000
LONGEST_DOC = 1_200
SHORTEST_ITEM = 24
MAX_MACROS = 4

_parsers = {}


def parser_of(lang):
    """The parser and the query of a language, made once a process."""
    if lang not in _parsers:
        grammar, query, containers, markers = LANGUAGES[lang]
        language = tree_sitter.Language(grammar())
        _parsers[lang] = (tree_sitter.Parser(language), tree_sitter.Query(language, query), containers, markers)
    return _parsers[lang]


def string(node, source):
    return source[node.start_byte : node.end_byte].decode("utf8", "replace")


def name_of(node, source):
    """The name and the owner that it brings along, as `A` of `A::f` outside `A`."""
    for field in ("name", "left", "key"):
        found = node.child_by_field_name(field)
        if found is not None:
            return own_name(string(found, source))
    found = node.child_by_field_name("declarator")
    for _ in range(6):
        inner = found and found.child_by_field_name("declarator")
        if inner is None:
            break
        found = inner
    if found is not None:
        return own_name(string(found, source).split("(")[0])
    if node.type == "init_declaration":
        return "init", ""
    return "", ""


def own_name(qualified):
    parts = [part for part in re.split(r"[.:]+", qualified.strip()[-120:]) if part]
    if not parts or re.search(r"\s", parts[-1]):
        return "", ""
    return parts[-1].strip("'\"*&#["), parts[-2] if len(parts) > 1 else ""


def container_of(node, source, containers):
    """The nearest type that it stands in, `Trait for Type` for an implementation of one."""
    receiver = node.child_by_field_name("receiver")
    if receiver is not None and node.type == "method_declaration":
        return re.sub(r"[()*]|\[.*", "", string(receiver, source)).strip().split(" ")[-1]
    parent = node.parent
    while parent is not None:
        if parent.type in containers:
            if parent.type == "impl_item":
                trait, of = parent.child_by_field_name("trait"), parent.child_by_field_name("type")
                parts = [string(part, source) for part in (trait, of) if part is not None]
                return re.sub(r"<.*", "", " for ".join(parts))[:80]
            found = parent.child_by_field_name("name")
            return string(found, source)[:80] if found is not None else ""
        parent = parent.parent
    return ""


ATTRIBUTE = re.compile(r"#!?\[.*\]$|@[\w.]+(\(.*\))?$|\[.*\]$")


def comment_above(lines, row, markers):
    """The documentation that ends just above line `row`, with its markers; attributes may stand between."""
    at = row - 1
    while at >= 0 and (line := lines[at].strip()) and ATTRIBUTE.match(line) and not line.startswith(markers):
        at -= 1
    if at < 0 or not markers:
        return ""
    block_markers = tuple(marker for marker in markers if marker.startswith("/*"))
    line_markers = tuple(marker for marker in markers if not marker.startswith("/*"))
    last = at
    if block_markers and lines[at].strip().endswith("*/"):
        while at >= 0 and last - at < 200:
            line = lines[at].strip()
            if line.startswith("/*"):
                return "\n".join(lines[at : last + 1]) if line.startswith(block_markers) else ""
            if "/*" in line:
                return ""
            at -= 1
        return ""
    while line_markers and at >= 0 and lines[at].strip().startswith(line_markers):
        at -= 1
    return "\n".join(lines[at + 1 : last + 1])


def docstring_of(node):
    """The string that opens the body of a Python definition."""
    body = node.child_by_field_name("body")
    first = body.named_children[0] if body is not None and body.named_child_count else None
    if first is not None and first.type == "expression_statement" and first.named_child_count == 1:
        first = first.named_children[0]
    return first if first is not None and first.type == "string" else None


SECTION = re.compile(
    r"^(@\w+|:\w+[^:]*:|(Parameters|Args|Arguments|Returns?|Raises|Yields|Examples?|Notes?|See Also|References|Usage|"
    r"Options|Panics|Errors|Safety|Attributes):?$|={3,}|-{3,}|~{3,}|>>>|\.\. |\\\w+|[-*] `?\w+`?:)"
)


def clean(raw):
    """Prose of a documentation comment: markers, code, links and lists of parameters left out."""
    paragraphs, paragraph, in_code, in_section = [], [], False, False
    for line in raw.split("\n"):
        line = re.sub(r"^\s*(///?!?|//|/\*\*?!?|\*/|\*(?!\*)|#+|---?)", "", line)
        line = re.sub(r"\*+/\s*$", "", line).strip()
        if line.startswith(("```", "~~~")):
            in_code = not in_code
            continue
        brief = re.match(r"^(?:[@\\](?:brief|description|desc|summary)|<summary>)\s*(.*)", line)
        if brief:
            line, in_section = brief.group(1), False
        if not line or line.startswith("#"):
            if paragraph:
                paragraphs.append(" ".join(paragraph))
            paragraph, in_section = [], False
            continue
        if SECTION.match(line):
            in_section = True
        if not in_code and not in_section:
            paragraph.append(line)
    if paragraph:
        paragraphs.append(" ".join(paragraph))
    cleaned = []
    for text in paragraphs:
        text = re.sub(r"\{@\w+\s+([^}]*)\}", r"\1", text)
        text = re.sub(r"<[^>]{1,60}>", " ", text)
        text = re.sub(r"!?\[([^\]]+)\](\([^)]*\)|\[[^\]]*\])?", r"\1", text)
        text = re.sub(r":[\w:]+:`~?([^`]*)`", r"\1", text)
        text = re.sub(r"`+|\*\*|https?://\S+", "", text)
        text = re.sub(r"\s+", " ", text).strip()
        if text:
            cleaned.append(text)
    return "\n".join(cleaned)[:LONGEST_DOC]


NOT_PROSE = re.compile(
    r"(?i)(todo|fixme|xxx|see |deprecated|\(?non-javadoc|copyright|eslint|nolint|noqa|inheritdoc|\{?@|auto-?generated|"
    r"generated by|go:|export |safety|license|nodoc|:nodoc|rubocop:|frozen_string|pragma|=begin|!/)"
)


def is_prose(doc):
    """Whether the first paragraph says something in English."""
    first = doc.split("\n")[0]
    if len(first) < 15 or NOT_PROSE.match(first) or len(re.findall(r"[A-Za-z]{2,}", first)) < 3:
        return False
    return sum(ord(char) < 128 for char in first) >= 0.95 * len(first)


NESTED_DOCS = {
    "rust": re.compile(r"(?m)^\s*///.*\n"),
    "csharp": re.compile(r"(?m)^\s*///.*\n"),
    "swift": re.compile(r"(?m)^\s*///.*\n"),
}
NESTED_BLOCKS = re.compile(r"(?s)/\*\*.*?\*/")


class File:
    """A source file being read."""

    def __init__(self, data, path, lang, macros=True):
        self.data, self.path, self.lang, self.macros = data, path, lang, macros
        self.lines = data.decode("utf8", "replace").split("\n")
        self.records = []

    def read(self):
        parser = parser_of(self.lang)[0]
        parser.included_ranges = [tree_sitter.Range((0, 0), (0xFFFFFFFF, 0xFFFFFFFF), 0, 0xFFFFFFFF)]
        self.read_tree(parser.parse(self.data), 0, "")
        self.records.sort(key=lambda record: record["line"])
        return self.records

    def read_tree(self, tree, depth, around):
        parser, query, containers, markers = parser_of(self.lang)
        captures = tree_sitter.QueryCursor(query).captures(tree.root_node)
        for kind in ("function", "type"):
            for node in captures.get(kind, ()):
                self.read_item(node, kind, containers, markers, around)
        if not self.macros or depth >= MAX_MACROS:
            return
        # What a call of a macro holds, `cfg_rt! { … }`, is read as items where it has functions.
        functions = sorted((node.start_byte, node.end_byte) for node in captures.get("function", ()))
        starts = [start for start, _ in functions]
        for node in captures.get("macro", ()):
            at = bisect.bisect_right(starts, node.start_byte) - 1
            if at >= 0 and functions[at][1] >= node.end_byte:
                continue
            inside = self.data[node.start_byte : node.end_byte]
            if not inside.startswith(b"{") or b"fn " not in inside or node.has_error:
                continue
            start, end = node.start_byte + 1, node.end_byte - 1
            start_point = (node.start_point[0], node.start_point[1] + 1)
            end_point = (node.end_point[0], max(node.end_point[1] - 1, 0))
            parser.included_ranges = [tree_sitter.Range(start_point, end_point, start, end)]
            self.read_tree(parser.parse(self.data), depth + 1, around or container_of(node, self.data, containers))

    def read_item(self, node, kind, containers, markers, around):
        if node.end_byte - node.start_byte < SHORTEST_ITEM:
            return
        name, owner = name_of(node, self.data)
        if not name:
            return
        text = string(node, self.data)
        if self.lang == "python":
            quoted = docstring_of(node)
            raw = ""
            if quoted is not None:
                raw = re.sub(r"^[rRuUbB]*(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$", "", string(quoted, self.data).strip())
                before, after = self.data[node.start_byte : quoted.start_byte], self.data[quoted.end_byte : node.end_byte]
                text = (before + after).decode("utf8", "replace")
        else:
            raw = comment_above(self.lines, node.start_point[0], markers)
            if kind == "type":
                text = NESTED_DOCS.get(self.lang, NESTED_BLOCKS).sub("", text)
        doc = clean(raw) if raw else ""
        self.records.append(
            {
                "path": self.path,
                "lang": self.lang,
                "kind": kind,
                "name": name[:100],
                "container": container_of(node, self.data, containers) or owner or around,
                "line": node.start_point[0] + 1,
                "doc": doc if doc and is_prose(doc) else "",
                "text": text[:LONGEST_TEXT],
            }
        )


SKIPPED = re.compile(
    r"(^|/)(vendor|node_modules|third_party|thirdparty|deps|generated|dist|build|fixtures|testdata|test_data|snapshots|"
    r"external|extern|_vendor|_vendored|locale)/|\.min\.js$|\.pb\.go$|_pb2\.py$|_generated|\.d\.ts$"
)


def read_file(path, data, macros=True):
    """The records of one file; none where it is no source, or written by a program."""
    lang = EXTENSIONS.get(os.path.splitext(path)[1])
    if lang is None or not 60 <= len(data) <= LONGEST_FILE:
        return []
    if b"@generated" in data[:2000] or b"DO NOT EDIT" in data[:300]:
        return []
    return File(data, path, lang, macros).read()


def extract(job):
    """Writes the records of one origin; a record is kept once for its name, documentation and text."""
    origin, output, keep_all = job
    seen, count, documented = set(), 0, 0
    with open(output + ".part", "w") as out:
        for path, data in sources.files(origin, wanted):
            for record in read_file(path, data):
                if not keep_all:
                    if not record["doc"] and (record["kind"] == "type" or len(record["text"]) < 120):
                        continue
                    key = hash((record["name"], record["doc"] or re.sub(r"\W+", "", record["text"])))
                    if key in seen:
                        continue
                    seen.add(key)
                out.write(json.dumps({"origin": origin.name, **record}) + "\n")
                count += 1
                documented += bool(record["doc"])
    os.rename(output + ".part", output)
    return origin.name, count, documented


def wanted(path):
    return os.path.splitext(path)[1] in EXTENSIONS and not SKIPPED.search(path)


def main():
    data_list, output = sys.argv[1:3]
    roles = sys.argv[3:] or ["train", "development", "held-out"]
    os.makedirs(output, exist_ok=True)
    jobs = []
    for origin in sources.load(data_list):
        if origin.role not in roles:
            continue
        target = os.path.join(output, origin.name.replace("/", "+") + ".jsonl")
        if not os.path.exists(target):
            jobs.append((origin, target, origin.role != "train"))
    with Pool(int(os.environ.get("JOBS", "2"))) as pool:
        for name, count, documented in pool.imap_unordered(extract, jobs):
            print(f"{name}: {count} records, {documented} documented", flush=True)


if __name__ == "__main__":
    main()
