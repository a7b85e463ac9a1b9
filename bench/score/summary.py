"""Medians of bench/score/run.sh: a Markdown table to standard output, and a plot.

    python summary.py RAW.jsonl PLOT.svg
"""

import json
import statistics
import sys
from collections import defaultdict

NAMES = {
    "yolo1": "csp_yolo1's shape",
    "sweep1_4x": "csp_sweep1_4x's shape",
    "dense1_2x": "dense1_2x's shape",
    "dense1_1x": "dense1_1x's shape",
    "bundled-sparse": "bundled sparse",
    "bundled-dense": "bundled dense",
}

raw, plot = sys.argv[1:]
speeds = defaultdict(list)
for line in open(raw):
    row = json.loads(line)
    speeds[row["model"], row["engine"].split()[0]].append(row["tokens_per_second"])
medians = {key: statistics.median(values) for key, values in speeds.items()}
models = [model for model in NAMES if (model, "deltaloss") in medians]

print("| model | PyTorch, tokens/s | deltaloss, tokens/s | ratio |\n|---|---|---|---|")
for model in models:
    ours, theirs = medians[model, "deltaloss"], medians[model, "pytorch"]
    print(f"| {NAMES[model]} | {theirs:,.0f} | {ours:,.0f} | {ours / theirs:.1f} |")

# Bars of the ratio: one row a model, labels in the text's colour on either theme.
width, left, row, scale = 640, 190, 30, max(medians[m, "deltaloss"] / medians[m, "pytorch"] for m in models)
height = row * len(models) + 40
parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    'font-family="sans-serif" font-size="13">',
    "<title>Scoring speed over the published PyTorch implementation</title>",
    f'<rect width="{width}" height="{height}" fill="#fff"/>',
    '<text x="10" y="20" font-weight="bold" fill="#222">Tokens a second, times PyTorch (two cores)</text>',
]
for i, model in enumerate(models):
    ratio = medians[model, "deltaloss"] / medians[model, "pytorch"]
    y, bar = 34 + i * row, ratio / scale * (width - left - 70)
    parts += [
        f'<text x="{left - 10}" y="{y + 15}" text-anchor="end" fill="#222">{NAMES[model]}</text>',
        f'<rect x="{left}" y="{y}" width="{bar:.1f}" height="20" fill="#2b6cb0"/>',
        f'<text x="{left + bar + 8:.1f}" y="{y + 15}" fill="#222">{ratio:.1f} x</text>',
    ]
with open(plot, "w") as out:
    out.write("\n".join(parts + ["</svg>"]) + "\n")
