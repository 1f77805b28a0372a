"""Writes CompressedTensorsFixtures: what compressed-tensors itself makes of random weights, and how it and Python match names.

golden.safetensors  for each module: codes `.q` (int8), scales `.s`, zero points `.z` as inputs, and the tensors of the compressor
golden.json         schemes of these modules, cases of target matching, cases of regular expressions, versions

Run: python make-compressed-tensors-fixtures.py   (needs torch, safetensors and compressed-tensors)
"""
import json
import pathlib
import random
import re
from collections import OrderedDict

import compressed_tensors
import safetensors
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams
from compressed_tensors.utils.match import is_match, match_targets
from safetensors.torch import save_file

torch.manual_seed(11)
random.seed(11)
tensors, modules = {}, []


def module(name, bits, group, symmetric, activations, outputs, inputs, dtype, layout, static=False):
    weight = (torch.randn(outputs, inputs) * 0.07).to(dtype)
    arguments = QuantizationArgs(
        num_bits=bits, type="int", symmetric=symmetric, strategy="group" if group else "channel", group_size=group or None)
    tokens = QuantizationArgs(num_bits=8, type="int", strategy="token", dynamic=True) if activations else None
    if static:
        tokens = QuantizationArgs(num_bits=8, type="int", strategy="tensor", dynamic=False)
    scheme = QuantizationScheme(targets=["Linear"], weights=arguments, input_activations=tokens, format=layout)
    parts = weight.reshape(outputs, -1, group or inputs)
    scale, zero = calculate_qparams(parts.amin(-1), parts.amax(-1), arguments)
    scale = scale.to(dtype)
    codes = quantize(x=weight, scale=scale, zero_point=zero, args=arguments, dtype=torch.int8)
    state = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}
    if static:
        state["input_scale"], _ = calculate_qparams(torch.tensor([-1.7]), torch.tensor([2.3]), tokens)
        state["input_scale"] = state["input_scale"].to(dtype)
    packed = BaseCompressor.get_value_from_registry(layout).compress(state, scheme)
    tensors[f"{name}.q"], tensors[f"{name}.s"] = codes, scale
    if not symmetric:
        tensors[f"{name}.z"] = zero.to(torch.int8)
    for part, value in packed.items():
        tensors[f"{name}.{part}"] = value
    modules.append({
        "name": name, "bits": bits, "group": group, "symmetric": symmetric, "int8": activations, "static": static, "format": layout,
        "parts": sorted(packed)})


pack, bytes_ = "pack-quantized", "int-quantized"
module("w4g128", 4, 128, True, False, 9, 256, torch.bfloat16, pack)
module("w4g128a", 4, 128, False, False, 9, 256, torch.bfloat16, pack)
module("w8channel", 8, 0, True, False, 5, 37, torch.float32, pack)
module("w8channela", 8, 0, False, False, 6, 37, torch.float16, pack)
module("w3g32", 3, 32, True, False, 7, 96, torch.float32, pack)
for bits in (2, 3, 5, 6, 7):
    module(f"w{bits}channela", bits, 0, False, False, 11, 45, torch.float32, pack)
module("w8a8", 8, 0, True, True, 5, 37, torch.bfloat16, bytes_)
module("w8a8a", 8, 0, False, True, 5, 36, torch.float32, bytes_)
module("w4a8", 4, 32, True, True, 4, 64, torch.float32, pack)
module("w4a8bytes", 4, 32, True, True, 4, 64, torch.float32, bytes_)
module("naive", 8, 0, True, False, 4, 33, torch.float32, "naive-quantized")
module("w8a8static", 8, 0, True, True, 5, 37, torch.bfloat16, bytes_, static=True)
module("w4a8static", 4, 32, True, True, 4, 64, torch.float32, pack, static=True)

names = [
    f"model.layers.{layer}.{part}" for layer in (0, 1, 10)
    for part in ("self_attn.q_proj", "mlp.up_proj", "mlp.experts.1.up_proj", "mlp.gate")
] + ["lm_head", "model.embed_tokens"]
pool = ["Linear", "Embedding", "Module", "lm_head", "re:.*self_attn.*", "re:.*q_proj$", "re:model\\.layers\\.(1|2)\\.", "re:.*experts",
        "re:^(?!.*experts).*mlp", "Other"] + random.sample(names, 6)
linear, embedding = torch.nn.Linear(1, 1), torch.nn.Embedding(1, 1)
matching = []
for _ in range(40):
    groups = {f"g{index}": random.sample(pool, random.randint(1, 4)) for index in range(random.randint(1, 4))}
    ignore = random.sample(pool[3:], random.randint(0, 3))
    owners = OrderedDict((target, group) for group, targets in groups.items() for target in targets)
    expected = {}
    for name in names:
        layer = embedding if "embed" in name else linear
        if is_match(name, layer, list(owners)) and not (ignore and is_match(name, layer, ignore)):
            expected[name] = owners[match_targets(name, layer, owners)[0]]
    matching.append({"groups": groups, "ignore": ignore, "expected": expected})

subjects = names[:4] + ["lm_head", "", "a\nb", "aab", "ab_1", "é.x", "layers", "b{2}"]
expressions = [
    ".*", "lm_head", "a{2}b", "a{,2}b$", "a{1,}?b", "(?:a|b)+$", "(a|)b", "[^m].*", "[a-c_\\d]+$", "\\w+\\Z", "model\\.layers\\.[0-9]+\\.mlp",
    "(?!.*experts).*mlp", "(?=model).*gate$", ".*\\bmlp\\b", "b{2}", "b\\{2}", "b{x", "(?P<name>a)+b", "a.b", "[]a]+", "[\\w.]+$", "^$", "\\S+\\.x",
    "(a*)*b$", "x|lm", "[^\\W\\d]+_", "(?:(?:a?){3}){3}b",
]
patterns = [{"expression": text, "matches": [subject for subject in subjects if re.match(text, subject)]} for text in expressions]

folder = pathlib.Path(__file__).parent / "CompressedTensorsFixtures"
folder.mkdir(exist_ok=True)
made_by = (f"torch {torch.__version__.split('+')[0]}, safetensors {safetensors.__version__}, "
           f"compressed-tensors {compressed_tensors.__version__}")
save_file({name: value.clone().contiguous() for name, value in tensors.items()}, folder / "golden.safetensors", metadata={"made_by": made_by})
document = {"made_by": made_by, "modules": modules, "names": names, "matching": matching, "subjects": subjects, "patterns": patterns}
(folder / "golden.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
print(made_by)
