#!/usr/bin/env bash
# Time and memory of `deltaloss compare` on made-up runs of several sizes, into OUT (default: a temporary folder).
# Needs GNU time and some 2 GB of disk.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out="${OUT:-$(mktemp -d)}"
cargo build --release -p deltaloss
cargo build --release -p deltaloss-records --example synthetic_runs
echo "commit $(git rev-parse --short HEAD), $(nproc) cores, $(uptime)"
# name documents tokens-a-document
while read -r name documents tokens; do
    rm -rf "$out/${name:?}"
    target/release/examples/synthetic_runs "$out/$name" "$documents" "$tokens" a b
    for round in $(seq "${ROUNDS:-2}"); do
        /usr/bin/time -f "$name $documents x $tokens: %U s user, %S s system, %e s elapsed, %M kB" \
            target/release/deltaloss compare --a "$out/$name/a" --b "$out/$name/b" --out "$out/$name/out" \
            --overwrite --quiet >/dev/null
    done
done <<'SIZES'
tiny 33334 30
short 2000 1000
long 2000 10000
many 20000 1000
SIZES
