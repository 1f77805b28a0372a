"""Writes MLXFixtures: what MLX itself makes of random weights.

golden.safetensors  layers of every mode and width that MLX has, as `mx.quantize` packs them, and `.expected`, what `mx.dequantize` makes of them
                    in float32
golden.json         their settings, and versions

Run: python make-mlx-fixtures.py   (needs mlx[cpu])
"""
import json
import pathlib

import mlx.core as mx
import numpy as np

mx.set_default_device(mx.cpu)
random = np.random.default_rng(7)
here = pathlib.Path(__file__).parent / "MLXFixtures"
here.mkdir(exist_ok=True)
tensors, layers = {}, []


def layer(name, bits, group, mode, kind, outputs=3, inputs=256):
    weight = mx.array((random.standard_normal((outputs, inputs)) * 0.07).astype(np.float32)).astype(kind)
    codes, scales, *biases = mx.quantize(weight, group_size=group, bits=bits, mode=mode)
    wide = [part if part.dtype == mx.uint8 else part.astype(mx.float32) for part in (scales, *biases)]
    values = mx.dequantize(codes, *wide, group_size=group, bits=bits, mode=mode, dtype=mx.float32)
    tensors.update({f"{name}.weight": codes, f"{name}.scales": scales, f"{name}.expected": values})
    if biases:
        tensors[f"{name}.biases"] = biases[0]
    layers.append({"name": name, "bits": bits, "group_size": group, "mode": mode})


for bits in (2, 3, 4, 5, 6, 8):
    layer(f"b{bits}", bits, 64, "affine", mx.bfloat16)
layer("g32", 4, 32, "affine", mx.float32)
layer("g128", 3, 128, "affine", mx.float16)
layer("mx", 4, 32, "mxfp4", mx.bfloat16)
layer("nv", 4, 16, "nvfp4", mx.bfloat16)
mx.save_safetensors(str(here / "golden.safetensors"), tensors, metadata={"format": "mlx"})
(here / "golden.json").write_text(
    json.dumps({"versions": {"mlx": mx.__version__}, "layers": layers}, indent=1) + "\n")
