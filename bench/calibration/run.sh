#!/bin/sh
# One and the same model at two temperatures, compared as scored and calibrated. Writes to a folder of its own and prints
# what README.md quotes. Run from the repository's root; SAMPLE is how many files of the standard library to score.
set -eu
sample=${SAMPLE:-30}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cargo build --release -p deltaloss --bins --examples
bin=target/release
for model in dense dense-small; do
    for factor in 0.8 0.95 1; do
        base=$out/$model-$factor
        "$bin/examples/sharpen" "builtin:$model" "$factor" "$base-b"
        "$bin/examples/sharpen" "$base-b" 1.2 "$base-a"
        for role in a b; do
            "$bin/deltaloss" score --quiet --model "$base-$role" --tokenizer builtin:pycode_2k \
                --corpus builtin:python-stdlib --sample "$sample" --out "$base-run-$role"
        done
        "$bin/deltaloss" compare --quiet --a "$base-run-a" --b "$base-run-b" --out "$base-compared" >/dev/null
        python3 bench/calibration/show.py "$model" "$factor" "$base-compared/results.json"
    done
done
