"""Writes reference.gguf with gguf-py: metadata of every type, plain tensors and tensors of blocks.

    python make-gguf-fixtures.py

Made with gguf 0.19.0 and numpy 2.x. The bytes depend on nothing but this script.
"""

import pathlib

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter

here = pathlib.Path(__file__).parent
writer = GGUFWriter(here / "reference.gguf", "llama")
writer.add_name("reference")
writer.add_uint8("test.uint8", 200)
writer.add_int8("test.int8", -100)
writer.add_uint16("test.uint16", 60000)
writer.add_int16("test.int16", -30000)
writer.add_uint32("test.uint32", 4000000000)
writer.add_int32("test.int32", -2000000000)
writer.add_float32("test.float32", 0.1)
writer.add_uint64("test.uint64", 1 << 63)
writer.add_int64("test.int64", -(1 << 62))
writer.add_float64("test.float64", 0.1)
writer.add_bool("test.bool", True)
writer.add_string("test.string", "Größe ▁ 数\u0301")
writer.add_array("test.strings", ["a", "", "\u00e9", "e\u0301"])
writer.add_array("test.int32s", [3, -4, 5])
writer.add_array("test.float32s", [0.5, -1.25])
writer.add_array("test.bools", [True, False, True])
writer.add_key_value("test.uint8s", bytes(range(5)), GGUFValueType.ARRAY, GGUFValueType.UINT8)
writer.add_key_value("test.uint32s", [1, 2, 3], GGUFValueType.ARRAY, GGUFValueType.UINT32)

random = np.random.default_rng(11)


def blocks(rows, columns, type, block, width):
    shape = (*rows, columns // block * width)
    writer.add_tensor(f"blocks.{type.name.lower()}", random.integers(0, 256, shape, dtype=np.uint8), raw_dtype=type)


writer.add_tensor("plain.f32", np.arange(6, dtype=np.float32).reshape(2, 3))
writer.add_tensor("plain.f16", np.arange(7, dtype=np.float16))
writer.add_tensor("plain.i32", np.arange(4, dtype=np.int32).reshape(2, 1, 2))
writer.add_tensor("plain.bf16", np.arange(10, dtype=np.uint8), raw_dtype=GGMLQuantizationType.BF16)
blocks((3,), 64, GGMLQuantizationType.Q8_0, 32, 34)
blocks((4, 2), 256, GGMLQuantizationType.Q4_K, 256, 144)
blocks((2,), 32, GGMLQuantizationType.MXFP4, 32, 17)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
