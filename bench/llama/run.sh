#!/usr/bin/env bash
# Tokens a second of deltaloss and of PyTorch f32 on the same GGUF file and windows, by turns:
#   PYTHON=/path/to/python-with-torch [ROUNDS=2] bench/llama/run.sh MODEL.gguf TEXT
set -euo pipefail
model=$1 text=$2
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
throughput=${THROUGHPUT:-target/release/examples/gguf_throughput}
[[ -x $throughput ]] || cargo build --release --workspace --features deltaloss/llama --example gguf_throughput
echo "commit $(git rev-parse --short HEAD), $(nproc) cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), load $(cut -d' ' -f1 /proc/loadavg)"
for round in $(seq "${ROUNDS:-2}"); do
    for form in f32 stored; do
        echo "round $round: deltaloss, weights $form"
        "$throughput" "$model" "$text" "$form" 384 "${WINDOWS:-4}"
    done
    if [[ -n ${PYTHON:-} ]]; then
        echo "round $round: PyTorch f32"
        "$PYTHON" bench/llama/pytorch.py "$model" "$text" 384 "${WINDOWS:-4}" 2>/dev/null
    fi
done
echo "load at the end $(cut -d' ' -f1 /proc/loadavg)"
