#!/usr/bin/env bash
# Makes the pictures in the README. docs/report.png: the top of a report with its answer on the left, two of its figures
# on the right, as Chromium draws them, in 256 colours. docs/viewer.png: the token viewer with a token pinned.
#
#     docs/screenshot.sh DEMO OWN [VIEW]
#
# DEMO is the folder that `deltaloss demo` writes. OWN is a comparison over this project's own Python files, since the demonstration's texts,
# which the viewer shows, are not ours to commit. VIEW is what stands behind # in the viewer's address
# (by default the first document with its 60th token). Needs the program in target/release (or where DELTALOSS says), Chromium (CHROMIUM names another browser
# of its kind) and Python 3 with Pillow.
set -euo pipefail

if [[ $# -lt 2 || ! -f $1/report.html || ! -f $2/report.html ]]; then
    echo "usage: docs/screenshot.sh DEMO OWN [VIEW], where DEMO/report.html and OWN/report.html are reports" >&2
    exit 2
fi
demo=$(realpath "$1")
own=$(realpath "$2")
docs=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
view=${3:-tokens?document=0&token=60}
scratch=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$scratch"' EXIT
width=1200
height=1118

cat >"$scratch/page.html" <<HTML
<!doctype html><meta charset="utf-8">
<style>
body{display:flex;margin:0;height:${height}px;overflow:hidden;background:#fff}
section{flex:none;width:632px}
iframe{width:726px;height:1286px;border:0;transform:scale(.86);transform-origin:0 0}
div{padding:24px 0 0}
img{display:block;width:556px;margin:0 0 22px}
</style>
<section><iframe src="file://$demo/report.html" scrolling="no"></iframe></section>
<div><img src="file://$demo/figures/categories.svg" alt=""><img src="file://$demo/figures/correlation.svg" alt=""></div>
HTML

# picture width height address
shoot() {
    # No sandbox, so that it also runs as root in a container; it opens nothing but these pages.
    "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --hide-scrollbars --user-data-dir="$scratch/profile" --virtual-time-budget=5000 \
        --window-size="$2,$3" --screenshot="$scratch/page.png" "$4" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; exit 1; }
    python3 - "$scratch/page.png" "$1" <<'PYTHON'
import sys
from PIL import Image

page, picture = sys.argv[1:]
image = Image.open(page).convert("RGB").quantize(256, dither=Image.Dither.NONE)
image.save(picture, optimize=True)
print(f"{picture}: {image.width} x {image.height}")
PYTHON
}

shoot "$docs/report.png" "$width" "$height" "file://$scratch/page.html"
"${DELTALOSS:-$docs/../target/release/deltaloss}" view "$own" >"$scratch/address" 2>"$scratch/said" &
server=$!
until [[ -s $scratch/address ]]; do kill -0 "$server" || { cat "$scratch/said" >&2; exit 1; }; sleep 0.1; done
shoot "$docs/viewer.png" 1280 800 "$(cat "$scratch/address")#$view"
