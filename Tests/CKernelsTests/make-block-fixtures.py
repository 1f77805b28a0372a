"""Writes BlockFixtures/blocks.txt: blocks of GGUF's types, and the weights that gguf-py finds in them.

A line per type: its name, its number, the bytes of the blocks and the float32 weights, both in hexadecimal as they lie in memory.
The bytes are random, with float16 numbers that are finite, some of them zero, negative or below the normal range.

Run: python make-block-fixtures.py   (needs gguf and numpy)
"""
import pathlib

import gguf
import numpy as np

# Where each type has float16 numbers; MXFP4 has an exponent instead.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
    "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "MXFP4": [],
}
rng = np.random.default_rng(7)
lines = []
for name, offsets in HALVES.items():
    kind = gguf.GGMLQuantizationType[name]
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    count = 6 if weights == 32 else 2
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for offset in offsets:
        halves = rng.standard_normal(count).astype(np.float16)
        halves[0] = np.float16(-1.5 * 2.0**-20)
        if count > 2:
            halves[1] = 0
        blocks[:, offset:offset + 2] = halves.view(np.uint8).reshape(count, 2)
    if name == "MXFP4":
        blocks[:, 0] = [0, 1, 2, 127, 140, 254]
    with np.errstate(over="ignore"):
        values = gguf.quants.dequantize(blocks, kind).astype(np.float32)
    lines.append(f"{name} {int(kind)} {blocks.tobytes().hex()} {values.tobytes().hex()}\n")
(pathlib.Path(__file__).parent / "BlockFixtures" / "blocks.txt").write_text("".join(lines))
