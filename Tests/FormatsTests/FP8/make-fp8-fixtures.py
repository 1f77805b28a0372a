"""Writes FP8Fixtures/golden.safetensors: weights in blocks of E4M3, and what transformers makes of them.

aligned.weight, aligned.weight_scale_inv    every code but the two NaNs, blocks of 16 by 16
aligned.expected                            BF16, by transformers' own dequantization
ragged.weight, ragged.weight_scale_inv      blocks that the edges cut, which transformers refuses
ragged.expected                             BF16, each block by itself with torch
norm.weight                                 BF16, not quantized

Run: python make-fp8-fixtures.py   (needs torch, safetensors and transformers)
"""
import pathlib

import safetensors
import torch
import transformers
from safetensors.torch import save_file
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

BLOCK = 16
generator = torch.Generator().manual_seed(5)


def codes(rows, columns):
    bits = torch.randint(0, 256, (rows, columns), generator=generator, dtype=torch.int32)
    bits.view(-1)[:256] = torch.arange(256)
    bits[(bits & 0x7F) == 0x7F] = 0x01
    return bits.to(torch.uint8).view(torch.float8_e4m3fn)


def scales(rows, columns):
    shape = (-(-rows // BLOCK), -(-columns // BLOCK))
    return torch.rand(shape, generator=generator) * 0.01 + 1e-4


def block_by_block(weight, scale):
    values = weight.float()
    for row in range(scale.shape[0]):
        for column in range(scale.shape[1]):
            values[row * BLOCK:(row + 1) * BLOCK, column * BLOCK:(column + 1) * BLOCK] *= scale[row, column]
    return values.bfloat16()


aligned, aligned_scales = codes(32, 48), scales(32, 48)
ragged, ragged_scales = codes(20, 37), scales(20, 37)
expected = Fp8Dequantize(None)._dequantize_one(aligned, aligned_scales, torch.bfloat16)
assert torch.equal(expected, block_by_block(aligned, aligned_scales))
save_file({
    "aligned.weight": aligned, "aligned.weight_scale_inv": aligned_scales, "aligned.expected": expected.contiguous(),
    "ragged.weight": ragged, "ragged.weight_scale_inv": ragged_scales, "ragged.expected": block_by_block(ragged, ragged_scales),
    "norm.weight": torch.randn(8, generator=generator).bfloat16(),
}, pathlib.Path(__file__).parent / "FP8Fixtures" / "golden.safetensors", metadata={
    "torch": torch.__version__, "transformers": transformers.__version__, "safetensors": safetensors.__version__})
