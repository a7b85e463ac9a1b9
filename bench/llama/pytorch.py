"""How many tokens a second PyTorch scores with the weights of a Llama GGUF model dequantised to f32.

    python bench/llama/pytorch.py MODEL.gguf TEXT [INPUTS [WINDOWS]]

The same windows as `gguf_throughput`, one at a time (the fastest on two cores of the sizes tried), with loss and entropy of every token.
"""

import pathlib
import sys
import time

import gguf
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

ROUNDS = 3
NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}


def theirs(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{kind}"


def unpermuted(weights, heads):
    """llama.cpp's rotary halves lie interleaved."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def load(reader):
    entry = lambda key: reader.fields[f"llama.{key}"].contents()
    heads, kv_heads = entry("attention.head_count"), entry("attention.head_count_kv")
    config = LlamaConfig(
        vocab_size=entry("vocab_size"), hidden_size=entry("embedding_length"), intermediate_size=entry("feed_forward_length"),
        num_hidden_layers=entry("block_count"), num_attention_heads=heads, num_key_value_heads=kv_heads,
        rms_norm_eps=entry("attention.layer_norm_rms_epsilon"), rope_theta=entry("rope.freq_base"),
        max_position_embeddings=entry("context_length"), tie_word_embeddings=True,
    )
    config.rope_parameters = {"rope_type": "default", "rope_theta": entry("rope.freq_base")}
    model = LlamaForCausalLM(config).float().eval()
    state = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            values = unpermuted(values, heads if ".attn_q." in tensor.name else kv_heads)
        state[theirs(tensor.name)] = torch.tensor(values)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    return model


def encode(reader, text):
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer.encode(text).ids


@torch.inference_mode()
def main():
    model, text, *numbers = sys.argv[1:]
    inputs = int(numbers[0]) if numbers else 384
    count = int(numbers[1]) if len(numbers) > 1 else 8
    reader = gguf.GGUFReader(model)
    ids = encode(reader, pathlib.Path(text).read_text())
    model = load(reader)
    windows = [torch.tensor([ids[start:start + inputs + 1]]) for start in range(0, inputs * count, inputs)]
    for _ in range(ROUNDS):
        started, losses = time.perf_counter(), []
        for window in windows:
            logits = model(window[:, :-1]).logits[0]
            log_p = torch.log_softmax(logits, -1)
            losses.append(-log_p.gather(1, window[0, 1:, None]).double().mean())
            (log_p.exp() * log_p).sum(-1)
        seconds = time.perf_counter() - started
        print(f"{inputs * count / seconds:8.1f} tokens/s, mean loss {sum(losses) / count:.5f}")


main()
