#!/bin/sh
# Measure embedding on an NVIDIA GPU: benches/gpu/run.sh STORE WORK. See docs/gpu.md.
# Needs a Rust toolchain, Python 3 with venv, the driver, CUDA 13 and cuDNN 9.
set -eu
store=$1
work=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work"
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --requirement "$root/benches/embed/requirements.txt"
(cd "$root" && cargo build --release && cargo build --release --package precedent-model --example embed)
PRECEDENT_DATA="$work/data" "$root/target/release/precedent" runtime install --cuda
exec "$work/venv/bin/python" "$root/benches/gpu/measure.py" \
    --embed "$root/target/release/examples/embed" \
    --runtime "$work/data/runtime/onnxruntime-gpu-1.31.1" --store "$store" --work "$work"
