"""Prints the values that the tests in `model/src/embed/table.rs` expect of a table: python check.py MODEL"""

import sys

from measure import Table

ISQRT = "fn isqrt(n: u64) -> u64 {\n    let mut x = n;\n    while x * x > n { x = (x + n / x) / 2; }\n    x\n}"
PARSE_HEADER = "fn parse_header(line: &str) -> Option<(&str, &str)> { line.split_once(':') }"


def record(text, name, path, container):
    return {"text": text, "name": name, "path": path, "container": container}


def main():
    table = Table.read(sys.argv[1])
    query = table.queries(["calculate square root"])[0]
    documents = table.documents([record(ISQRT, "isqrt", "numeric", "roots"), record(PARSE_HEADER, "parse_header", "http", "message")])
    for name, vector in (("query", query), ("isqrt", documents[0])):
        print(name, ", ".join(f"{value:.6f}" for value in vector[:4]))
    print("products", ", ".join(f"{value:.4f}" for value in documents @ query))


if __name__ == "__main__":
    main()
