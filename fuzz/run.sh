#!/usr/bin/env bash
# Runs every target, or those that are named, one after another for so many seconds each; with --keep, then makes the committed
# corpora anew: of as few inputs as reach all that was reached, up to a hundred or 100 kB.
#
#     fuzz/run.sh [--keep] SECONDS [TARGET...]
#
# Needs `cargo install cargo-fuzz` and a C++ compiler; the toolchain may be a stable one. What is new goes to target/fuzz-corpus/, what
# went wrong to target/fuzz-found/, what was said to target/fuzz-logs/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

keep=
if [[ ${1:-} == --keep ]]; then
    keep=1
    shift
fi
seconds=${1:?how many seconds a target?}
shift
if (($#)); then targets=("$@"); else mapfile -t targets < <(cd fuzz/fuzz_targets && ls | grep -v common | sed 's/\.rs$//'); fi

built=$PWD/target/fuzz
# No sanitizer: our readers are safe Rust (libzstd below them is trusted), so what is left to find are panics, overflows, hangs and memory.
cargo fuzz build --sanitizer none --target-dir "$built" >&2
bin=$(dirname "$(ls "$built"/*/release/experiment)")

# Only what nobody else wants of the processor.
{ echo 19 >/proc/self/autogroup; } 2>/dev/null || true
# By the clock on the wall, on which others' work goes first: so a timeout means a hang.
limits=(-rss_limit_mb=1024 -timeout=300 -max_len=4096)
failed=0
for target in "${targets[@]}"; do
    new=target/fuzz-corpus/$target
    found=target/fuzz-found/$target
    log=target/fuzz-logs/$target
    known=()
    for folder in "fuzz/corpus/$target" "fuzz/seeds/$target"; do
        [[ ! -d $folder ]] || known+=("$folder")
    done
    mkdir -p "$new" "$found" target/fuzz-logs
    if ((seconds)); then
        TIMEFORMAT="$target: %R s, of which %U s on the processor"
        time "$bin/$target" "${limits[@]}" -max_total_time="$seconds" -artifact_prefix="$found/" \
            "$new" "${known[@]}" >"$log" 2>&1 || failed=1
        grep -E '^#[0-9]+.*cov:|^SUMMARY' "$log" | tail -1
    fi
    [[ -n $keep ]] || continue
    smallest=$(mktemp -d)
    "$bin/$target" "${limits[@]}" -set_cover_merge=1 "$smallest" "$new" "${known[@]}" >>"$log" 2>&1 || failed=1
    rm -rf "fuzz/corpus/$target"
    mkdir -p "fuzz/corpus/$target"
    # About a hundred, of every size: each n-th by size.
    mapfile -t inputs < <(cd "$smallest" && ls -S)
    bytes=$(du -sb "$smallest" | cut -f1)
    every=$(((${#inputs[@]} > bytes / 1000 ? ${#inputs[@]} : bytes / 1000) / 100 + 1))
    for ((at = every / 2; at < ${#inputs[@]}; at += every)); do
        cp "$smallest/${inputs[at]}" "fuzz/corpus/$target/"
    done
    rm -rf "$smallest"
done
exit $failed
