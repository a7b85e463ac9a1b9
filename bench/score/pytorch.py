"""The published PyTorch implementation on the windows of the example `score_throughput`, for bench/score/run.sh.

    PYTHONPATH=a checkout of openai/circuit_sparsity   python pytorch.py MODEL WINDOWS CONTEXT ROUNDS

Full-vocabulary loss and entropy of every position, as deltaloss computes them. Prints a line of JSON a round.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

import torch
from circuit_sparsity.inference.gpt import GPT, GPTConfig


def tokens(count, vocabulary):
    """The example's pseudo-random tokens (SplitMix64 of the index)."""
    mask, out = (1 << 64) - 1, []
    for i in range(count):
        z = ((i + 1) * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out.append((z ^ (z >> 31)) % vocabulary)
    return torch.tensor(out)


def load(folder):
    folder = Path(folder)
    names = {field.name for field in dataclasses.fields(GPTConfig)}
    fields = json.loads((folder / "beeg_config.json").read_text())
    model = GPT(GPTConfig(**{name: value for name, value in fields.items() if name in names}))
    weights = folder / "final_model.pt"
    if weights.exists():
        tensors = torch.load(weights, mmap=True)
    else:
        from safetensors.torch import load_file

        tensors = load_file(folder / "model.safetensors")
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and all(name.endswith("attn.bias") for name in missing), (missing, unexpected)
    return model.eval(), fields


def main(folder, windows, context, rounds):
    started = time.perf_counter()
    model, fields = load(folder)
    load_seconds = time.perf_counter() - started
    ids = tokens(windows * (context + 1), fields["vocab_size"]).view(windows, context + 1)
    for _ in range(rounds):
        started = time.perf_counter()
        losses, entropies = 0.0, 0.0
        with torch.inference_mode():
            # Small batches: the activations of eight windows stay in the caches better than those of all.
            for batch in ids.split(8):
                logits = model(batch[:, :-1])[0]
                log_p = torch.log_softmax(logits, dim=-1)
                losses += -log_p.gather(-1, batch[:, 1:, None]).double().sum().item()
                entropies += -(log_p.exp() * log_p).double().sum().item()
        seconds = time.perf_counter() - started
        count = windows * context
        print(json.dumps(dict(
            engine=f"pytorch {torch.__version__}", model=Path(folder).name, context=context, windows=windows,
            threads=torch.get_num_threads(), tokens_per_second=round(count / seconds, 1),
            mean_loss_nats=round(losses / count, 6), mean_entropy_nats=round(entropies / count, 6),
            load_seconds=round(load_seconds, 2),
        )), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
