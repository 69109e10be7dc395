#!/usr/bin/env bash
# Holds the SARIF that the tests leave in the target directory against the schema of SARIF 2.1.0, as a kept package brings it.
# Run the tests before it. Needs cargo, python3 and check-jsonschema, whose path is the one argument.
set -euo pipefail
cd "$(dirname "$0")/.."
check=${1:?the path of check-jsonschema}

manifest=$(cargo metadata --locked --format-version 1 | python3 -c '
import json, sys
packages = json.load(sys.stdin)["packages"]
print(next(package["manifest_path"] for package in packages if package["name"] == "serde-sarif"))
')
schema="$(dirname "$manifest")/src/schema.json"
logs=("${CARGO_TARGET_DIR:-target}"/tmp/sarif/*.sarif)
# A pattern of the schema reads as a regular expression of Python and not of JavaScript.
"$check" --regex-variant python --schemafile "$schema" "${logs[@]}"

# A check that cannot fail is none.
spoilt=$(mktemp)
trap 'rm -f "$spoilt"' EXIT
sed 's/"level"/"severity"/' "${logs[0]}" > "$spoilt"
if "$check" --regex-variant python --schemafile "$schema" "$spoilt" > /dev/null; then
    echo "a log with a made-up property was not refused" >&2
    exit 1
fi
