#!/usr/bin/env bash
# Looks at the HTML report of a change in a headless Chromium: tests/page/run.sh REPO BASE..HEAD
# Needs Chromium (CHROMIUM names it), Node and npm. Pictures are left in target/page/pictures.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p target/page
npm install --silent --no-audit --no-fund --ignore-scripts --prefix target/page playwright-core@1.65.1 axe-core@4.14.1
"${PRECEDENT:-target/debug/precedent}" --repo "$1" --store target/page/store review "$2" --format html --out target/page/report.html
report=$PWD/target/page/report.html
check=$PWD/tests/page/check.mjs
cd target/page
node "$check" "$report" pictures
