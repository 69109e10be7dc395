#!/usr/bin/env bash
# Hold reviews against llama.cpp's own server, which pip builds for that: it takes minutes. Needs Python 3 with venv and a C++ compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build
python3 -m venv target/llama
target/llama/bin/pip install --quiet --requirement benches/voice/requirements.txt
target/llama/bin/python benches/voice/llama_server.py target/debug/precedent target/llama/work
