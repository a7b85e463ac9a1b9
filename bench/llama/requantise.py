"""Writes a GGUF model again with its quantised matrices in another type: F32, BF16, F16, Q8_0 or Q4_0.

    python bench/llama/requantise.py MODEL.gguf TYPE OUT.gguf
"""

import sys

import gguf
import numpy as np


def main():
    source, kind, target = sys.argv[1:]
    kind = gguf.GGMLQuantizationType[kind]
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            element = field.types[1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
    for tensor in reader.tensors:
        plain = tensor.tensor_type == gguf.GGMLQuantizationType.F32
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if plain or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(tensor.name, values)
        else:
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
