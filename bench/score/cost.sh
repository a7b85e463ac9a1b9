#!/usr/bin/env bash
# Scoring speed against the length of windows, and on each instruction set; deltaloss alone, models of bench/score/run.sh. Prints a line of JSON a measurement.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo build --release --quiet --workspace --example score_throughput
models="${MODELS:-target/score-models}" tokens="${TOKENS:-8192}"
for round in $(seq "${ROUNDS:-5}"); do
    for model in ${NAMES:-yolo1 dense1_2x bundled-sparse}; do
        for context in 16 20 32 64 128 256; do
            target/release/examples/score_throughput "$models/$model" $((tokens / context)) "$context" 2 | tail -1
        done
        for isa in avx2 portable; do
            target/release/examples/score_throughput "$models/$model" $((tokens / 1024)) 256 2 "$isa" | tail -1
        done
    done
done
