"""Models of the published shapes with random weights, in the released layout, for bench/score/run.sh.

    python models.py FOLDER [NAME ...]

The released weights cannot be had everywhere; speed depends on shape and on which weights are zero, not on what was
learned. As in the published recipe each matrix keeps its largest entries, with at least four a neuron in attention and MLP. Needs `torch`.
"""

import json
import math
import sys
from pathlib import Path

import torch

PLACES = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_v,attn_k,attn_q"
# Name: layers, width, heads, vocabulary, share of weights kept, bigram table.
SHAPES = {
    "yolo1": (12, 1024, 128, 2048, 0.01, True),
    # 3.7 M nonzero of 109 M.
    "sweep1_4x": (8, 1024, 64, 2048, 0.034, True),
    "dense1_2x": (4, 512, 32, 2048, None, True),
    "dense1_1x": (4, 256, 16, 2048, None, True),
}


def matrix(rows, columns, kept, neurons=None):
    """Normal weights that keep a row's variance; `neurons` is the axis along which at least four entries stay."""
    weight = torch.randn(rows, columns)
    if kept is None:
        return weight / math.sqrt(columns)
    magnitude = weight.abs()
    if neurons is not None:
        alive = magnitude.topk(4, dim=neurons).indices
        magnitude = magnitude.scatter(neurons, alive, 10.0)
    k = int(kept * weight.numel())
    mask = torch.zeros(weight.numel())
    mask[magnitude.flatten().topk(k).indices] = 1.0
    return weight * mask.view_as(weight) / math.sqrt(kept * columns * 8)


def state(shape, context):
    layers, d, heads, vocabulary, kept, bigram = shape
    tensors = {
        "transformer.wte.weight": matrix(vocabulary, d, kept) * 4,
        "transformer.wpe.weight": torch.zeros(context, d),
        "transformer.ln_f.weight": torch.ones(d),
        "lm_head.weight": matrix(vocabulary, d, kept),
        "final_logits_bias": torch.zeros(vocabulary),
    }
    if bigram:
        tensors["bigram_table"] = torch.rand(vocabulary, vocabulary) * 0.02
    for i in range(layers):
        at = f"transformer.h.{i}"
        for half in (1, 2):
            tensors[f"{at}.ln_{half}.weight"] = torch.ones(d)
        for name, rows, columns, axis in [
            ("attn.c_attn", 3 * d, d, 1),
            ("attn.c_proj", d, d, 0),
            ("mlp.c_fc", 4 * d, d, 1),
            ("mlp.c_proj", d, 4 * d, 0),
        ]:
            tensors[f"{at}.{name}.weight"] = matrix(rows, columns, kept, axis)
            bias = torch.randn(rows) * 0.1
            tensors[f"{at}.{name}.bias"] = bias if kept is None else bias * (torch.rand(rows) < kept)
    return tensors


def config(shape, context):
    layers, d, heads, vocabulary, kept, bigram = shape
    fields = dict(
        block_size=context, vocab_size=vocabulary, n_layer=layers, n_head=heads, d_model=d, bias=True,
        rms_norm=True, activation_type="gelu", tied_unembed=False, enable_bigram_table=bigram,
        learnable_bigram_table=bigram, flash=True, dropout=0.0,
    )
    if kept is not None:
        fields |= dict(afrac=0.25, afrac_loctypes=PLACES)
    return fields


def write(folder, shape, context=256, seed=1):
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = state(shape, context)
    torch.save(tensors, folder / "final_model.pt")
    (folder / "beeg_config.json").write_text(json.dumps(config(shape, context), indent=2) + "\n")
    nonzero = sum(int((t != 0).sum()) for t in tensors.values())
    print(f"{folder.name}: {sum(t.numel() for t in tensors.values()):,} parameters, {nonzero:,} not zero")


if __name__ == "__main__":
    for name in sys.argv[2:] or SHAPES:
        write(Path(sys.argv[1]) / name, SHAPES[name])
