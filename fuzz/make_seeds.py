#!/usr/bin/env python3
"""Makes the seeds that are tedious to write by hand: small Parquet files, safetensors headers, tokenizers. Needs pyarrow.

    python3 fuzz/make_seeds.py

Every seed is a file that the program accepts, or nearly so: from there a fuzzer reaches what it would not find from nothing.
"""

import json
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SEEDS = Path(__file__).parent / "seeds"
FORMS = {
    "plain": {"compression": "none", "use_dictionary": False},
    "dictionary": {"compression": "none", "use_dictionary": True, "data_page_version": "2.0"},
    "snappy": {"compression": "snappy"},
}


def write(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def parquet(target, name, table, **options):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    # The schema of Arrow in the footer is some hundred bytes of nothing.
    pq.write_table(table, folder / name, store_schema=False, **options)


def token_tables():
    """Nine tokens, a byte each: the run that the target `token_table` has."""
    u32 = lambda values: pa.array(values, pa.uint32())
    f32 = lambda value: pa.array([value] * 9, pa.float32())
    at = list(range(1, 10))
    columns = {
        "document": u32([0] * 9),
        "position": u32(at),
        "token": u32(at),
        "byte_start": u32(at),
        "byte_end": u32([i + 1 for i in at]),
        "loss": f32(1),
        "entropy": f32(1),
        "rank": u32([0] * 9),
        "top_token": u32([0] * 9),
        "top_probability": f32(0.5),
    }
    fields = [pa.field(name, column.type, nullable=False) for name, column in columns.items()]
    table = pa.table(columns, schema=pa.schema(fields))
    for name, options in FORMS.items():
        parquet("token_table", name, table, write_statistics=False, **options)
    deltas = {name: "DELTA_BINARY_PACKED" for name in ("document", "position", "byte_start", "byte_end")}
    splits = {"loss": "BYTE_STREAM_SPLIT", "entropy": "BYTE_STREAM_SPLIT"}
    compact = table.drop_columns(["rank", "top_token", "top_probability"])
    options = {"use_dictionary": False, "column_encoding": {**deltas, **splits, "token": "PLAIN"}}
    parquet("token_table", "compact", compact, compression="none", write_statistics=False, **options)
    # Rows: which, which column, which value.
    for column in range(12):
        write("token_table", f"row-{column}", bytes([3, column]) + struct.pack("<I", 7))
    write("token_table", "not-a-number", bytes([3, 5]) + struct.pack("<f", float("nan")))


def corpora():
    rows = pa.table({"text": ["x = 1\n", "", "é\n"], "name": ["a", "b", None]})
    for name, options in FORMS.items():
        parquet("parquet", name, rows, **options)
    apps = pa.table({"problem_id": [1, 2], "solutions": ['["a", "b"]', ""]})
    parquet("parquet", "apps", apps, compression="zstd")
    nested = pa.table({"text": ["x"], "list": [[1, 2]], "map": pa.array([{"a": 1}])})
    parquet("parquet", "nested", nested, row_group_size=1)


def checkpoints():
    def header(tensors, data):
        return json.dumps(tensors).encode() + b"\xff" + data

    tensor = lambda kind, shape, start, end: {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    kinds = [("F32", 4), ("F16", 2), ("BF16", 2), ("F64", 8), ("I64", 8), ("U8", 1), ("BOOL", 1), ("F8_E4M3", 1)]
    tensors, end = {"__metadata__": {"format": "pt"}}, 0
    for kind, size in kinds:
        tensors[kind] = tensor(kind, [2], end, end + 2 * size)
        end += 2 * size
    several = header(tensors, bytes(end))
    write("checkpoint", "several", several)
    write("checkpoint", "compressed", b"Z" + several)
    write("checkpoint", "scalar-and-empty", header({"s": tensor("F32", [], 0, 4), "e": tensor("F32", [0, 3], 4, 4)}, bytes(4)))


def tokenizers():
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<unk>",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": True,
        "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "<0x0A>": 4, "▁": 5},
        "merges": ["a b"],
    }
    added = {"id": 6, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    split = {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel"},
        "model": model,
    }
    write("tokenizer", "split", json.dumps(whole, ensure_ascii=False))
    sentences = {**whole, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}}
    write("tokenizer", "metaspace", json.dumps({**sentences, "normalizer": None}, ensure_ascii=False))
    write("tokenizer", "words", json.dumps({**whole, "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "x": 1}, "unk_token": "[UNK]"}}))
    write("tokenizer", "pieces", json.dumps({**whole, "normalizer": None, "pre_tokenizer": None, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]], "byte_fallback": False}}))


if __name__ == "__main__":
    token_tables()
    corpora()
    checkpoints()
    tokenizers()
