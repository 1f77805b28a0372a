"""Writes ColumnPackedFixtures/golden.safetensors: what gptqmodel and compressed-tensors make of random codes.

For each module its codes `.q` (int8, signed), scales `.s` and zero points `.z` (signed as the codes) as inputs, or the weight `.w`, and the tensors
that the peer packs them into; `.values` is what it reads back, where it does. Versions are in the metadata.

Run: python make-column-packed-fixtures.py   (needs torch, safetensors, gptqmodel 7.7.0, compressed-tensors 0.20.0)
"""
import os
import pathlib

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import compressed_tensors
import gptqmodel
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam
from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
from gptqmodel.nn_modules.qlinear.torch import TorchLinear
from safetensors.torch import save_file

torch.manual_seed(5)
tensors = {}
OUTPUTS, INPUTS = 32, 64


def codes(name, bits, group, symmetric):
    """Codes, scales and zero points, unsigned, and the weight that they stand for."""
    groups = INPUTS // group
    q = torch.randint(0, 1 << bits, (OUTPUTS, INPUTS))
    z = torch.full((OUTPUTS, groups), 1 << (bits - 1)) if symmetric else torch.randint(0, 1 << bits, (OUTPUTS, groups))
    s = (torch.rand(OUTPUTS, groups) * 0.02 + 0.01).half()
    middle = 1 << (bits - 1)
    tensors[f"{name}.q"], tensors[f"{name}.s"] = (q - middle).to(torch.int8), s
    if not symmetric:
        tensors[f"{name}.z"] = (z - middle).to(torch.int8)
    spread = lambda of: of.repeat_interleave(group, dim=1)
    linear = torch.nn.Linear(INPUTS, OUTPUTS, bias=False)
    linear.weight.data = (q - spread(z)).float() * spread(s).float()
    return linear, s.float(), z.float()


def gptq(name, bits, group, symmetric):
    linear, scales, zeros = codes(name, bits, group, symmetric)
    layer = TorchLinear(
        bits=bits, group_size=group, sym=symmetric, desc_act=False, in_features=INPUTS, out_features=OUTPUTS, bias=False,
        register_buffers=True)
    layer.pack_original(linear, scales, zeros, torch.arange(INPUTS, dtype=torch.int32) // group)
    for part in ("qweight", "qzeros", "scales", "g_idx"):
        tensors[f"{name}.{part}"] = getattr(layer, part).contiguous()
    tensors[f"{name}.g_idx"] = tensors[f"{name}.g_idx"].to(torch.int32)


def awq(name, group):
    linear, scales, zeros = codes(name, 4, group, False)
    layer = AwqTorchLinear(
        bits=4, group_size=group, sym=False, desc_act=False, in_features=INPUTS, out_features=OUTPUTS, bias=False, register_buffers=True)
    layer.pack(linear, scales, zeros)
    for part in ("qweight", "qzeros", "scales"):
        tensors[f"{name}.{part}"] = getattr(layer, part).contiguous()


def floats(name, layout, arguments, rows=OUTPUTS, inputs=INPUTS, dtype=torch.float32):
    weight = (torch.randn(rows, inputs) * 0.07).to(dtype)
    scheme = QuantizationScheme(targets=["Linear"], weights=arguments, format=layout)
    state = {"weight": weight}
    if arguments.strategy == "channel":
        low, high = weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
    elif arguments.strategy == "tensor":
        low, high = weight.amin().reshape(1), weight.amax().reshape(1)
    elif arguments.strategy == "block":
        blocks = [[weight[r:r + 128, c:c + 128] for c in range(0, inputs, 128)] for r in range(0, rows, 128)]
        low = torch.stack([torch.stack([b.amin() for b in row]) for row in blocks])
        high = torch.stack([torch.stack([b.amax() for b in row]) for row in blocks])
    else:
        parts = weight.reshape(rows, -1, arguments.group_size)
        low, high = parts.amin(-1), parts.amax(-1)
    if arguments.strategy == "tensor_group":
        state["weight_global_scale"] = generate_gparam(weight.amin(), weight.amax()).reshape(1)
    scale, _ = calculate_qparams(low, high, arguments, global_scale=state.get("weight_global_scale"))
    state["weight_scale"] = scale
    packed = BaseCompressor.get_value_from_registry(layout).compress(state, scheme)
    tensors[f"{name}.w"] = weight
    for part, value in packed.items():
        tensors[f"{name}.{part}"] = value.contiguous()


for bits in (2, 3, 4, 8):
    gptq(f"gptq{bits}", bits, 32, True)
    gptq(f"gptq{bits}a", bits, 32, False)
gptq("gptq4channel", 4, INPUTS, True)
awq("awq32", 32)
awq("awq64", 64)
float8 = dict(num_bits=8, type="float", symmetric=True)
floats("fp8", "float-quantized", QuantizationArgs(**float8, strategy="channel"), 5, 37)
floats("fp8tensor", "float-quantized", QuantizationArgs(**float8, strategy="tensor"), 6, 20)
floats("fp8block", "float-quantized", QuantizationArgs(**float8, strategy="block", block_structure=[128, 128]), 130, 140)
floats("nvfp4", "nvfp4-pack-quantized", QuantizationArgs(
    num_bits=4, type="float", symmetric=True, strategy="tensor_group", group_size=16, scale_dtype=torch.float8_e4m3fn))
floats("mxfp4", "mxfp4-pack-quantized", QuantizationArgs(
    num_bits=4, type="float", symmetric=True, strategy="group", group_size=32, scale_dtype=torch.uint8))

save_file(tensors, pathlib.Path(__file__).parent / "ColumnPackedFixtures" / "golden.safetensors", metadata={
    "gptqmodel": gptqmodel.__version__, "compressed-tensors": compressed_tensors.__version__, "torch": torch.__version__.split("+")[0]})
