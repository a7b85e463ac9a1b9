"""A bundled model with its weights unpacked, for bench/score/run.sh: `python bundled.py FROM TO`. Needs `zstandard`."""

import shutil
import sys
from pathlib import Path

import zstandard

source, target = map(Path, sys.argv[1:])
target.mkdir(parents=True)
shutil.copy(source / "beeg_config.json", target)
with open(source / "model.safetensors.zst", "rb") as packed, open(target / "model.safetensors", "wb") as plain:
    zstandard.ZstdDecompressor().copy_stream(packed, plain)
