#!/usr/bin/env bash
# Scoring speed side by side with the published PyTorch implementation: the same models, windows and threads, taking turns. Prints a line of
# JSON a measurement.
#
# CIRCUIT_SPARSITY names a checkout of openai/circuit_sparsity, PYTHON an interpreter with torch, blobfile, tiktoken, zstandard and safetensors; without either
# deltaloss is measured alone, on the models of MODELS that are there already. WINDOWS and ROUNDS say how much.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo build --release --quiet --workspace --example score_throughput
models="${MODELS:-target/score-models}" python="${PYTHON:-python3}" here=bench/score
beside=0
if [[ -n ${CIRCUIT_SPARSITY:-} ]] && "$python" -c 'import torch, blobfile, tiktoken, zstandard' 2>/dev/null; then
    beside=1
    [[ -e $models/yolo1 ]] || "$python" "$here/models.py" "$models" >&2
    for name in sparse dense; do
        [[ -e $models/bundled-$name ]] || "$python" "$here/bundled.py" "assets/models/$name" "$models/bundled-$name"
    done
fi
for round in $(seq "${ROUNDS:-3}"); do
    for model in "$models"/*/; do
        # One call is not counted: it warms caches and threads.
        target/release/examples/score_throughput "$model" "${WINDOWS:-32}" 256 2 | tail -1
        if ((beside)); then
            PYTHONPATH=$CIRCUIT_SPARSITY "$python" -W ignore "$here/pytorch.py" "$model" 8 256 2 | tail -1
        fi
    done
done
