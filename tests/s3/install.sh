#!/usr/bin/env bash
# Installs a server that speaks S3's protocol, conditional writes included, into target/s3. Needs Python 3 with venv.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 -m venv target/s3
target/s3/bin/pip install --quiet --requirement tests/s3/requirements.txt
