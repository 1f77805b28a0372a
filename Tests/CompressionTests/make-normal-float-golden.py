"""Writes NormalFloatFixtures/nf4.json: codes, scales and dequantized values by bitsandbytes' quantize_4bit and dequantize_4bit on the CPU.

Weights: normal ones, ones with outliers, and some of the demo model's trained ones; then blocks that try the rule: all zeros, ties between
all neighbouring levels, magnitudes below 1e-38, one element. Run: python make-normal-float-golden.py
"""

import base64, json, pathlib, platform
import bitsandbytes, numpy as np, torch
from bitsandbytes.functional import create_normal_map, dequantize_4bit, get_4bit_type, quantize_4bit
from safetensors import safe_open

HERE = pathlib.Path(__file__).parent
DEMO = HERE / "../../Sources/Recipes/Demo/model/model.safetensors"
torch.manual_seed(20261)


def b64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def edges():
    """Rows of one block each; the largest magnitude is 1 in the second, so that its bounds come out exactly."""
    levels = get_4bit_type("nf4", device="cpu")
    bounds = (levels[1:] + levels[:-1]) / 2
    rows = torch.zeros(6, 64)
    rows[1, :15], rows[1, 15:30] = bounds, torch.nextafter(bounds, torch.tensor(2.0))
    rows[1, 30:45], rows[1, 63] = torch.nextafter(bounds, torch.tensor(-2.0)), -1.0
    rows[2] = torch.randn(64) * 2.0**-126
    rows[3] = torch.randn(64) * 2.0**-145
    rows[4, 40] = -3.7
    rows[5] = torch.randn(64) * 1e38
    return rows


def trained(name, rows):
    with safe_open(DEMO, "pt") as file:
        return file.get_tensor(name)[:rows]


def case(name, weight, block):
    packed, state = quantize_4bit(weight.contiguous(), blocksize=block, quant_type="nf4")
    pairs = packed.reshape(-1).numpy()
    codes = np.stack([pairs >> 4, pairs & 15], axis=-1).reshape(-1)
    state.dtype = torch.float32  # dequantize in full: the checkpoint's type would round once more
    values = dequantize_4bit(packed, state)
    assert state.absmax.dtype == torch.float32 and values.dtype == torch.float32 and codes.size == weight.numel()
    return {
        "name": name, "type": {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}[weight.dtype],
        "rows": weight.shape[0], "columns": weight.shape[1], "groupSize": block, "weights": b64(weight.view(torch.uint8).numpy()),
        "codes": b64(codes.astype(np.uint8)), "scales": b64(state.absmax.numpy()), "values": b64(values.numpy()),
    }  # fmt: skip


outliers = torch.randn(6, 256) * 0.02
outliers[torch.rand(6, 256) < 0.01] *= 30
with safe_open(DEMO, "pt") as file:
    matrices = [n for n in file.keys() if n.endswith(("q_proj.weight", "down_proj.weight"))]
cases = [
    case("normal", torch.randn(10, 192), 64),
    case("normal, half precision", torch.randn(6, 128).half(), 64),
    case("outliers", outliers, 128),
    case("edges", edges(), 64),
    case("trained " + matrices[0], trained(matrices[0], 8), 64),
    case("trained " + matrices[-1], trained(matrices[-1], 8), 32),
]
made = f"bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__}, Python {platform.python_version()}, on a processor"
levels = get_4bit_type("nf4", device="cpu").numpy()
document = {"made": made, "levels": b64(levels), "cases": cases}
target = HERE / "NormalFloatFixtures" / "nf4.json"
target.write_text(json.dumps(document, indent=1) + "\n")
print(made, target.stat().st_size, "bytes;", ", ".join(c["name"] for c in cases))
try:
    # The map is computed, where scipy is there: the listed levels are its values, to their last digits.
    normal = create_normal_map().numpy()
    computed = np.concatenate([normal[:7], [0], normal[-8:]])
    print("largest difference of the levels from the computed map:", np.abs(computed - levels).max())
except ImportError:
    print("scipy is not installed: the levels were not computed")
