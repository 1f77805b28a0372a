"""Writes SafeTensorsFixtures/reference.safetensors: every type that torch has, laid out by the reference writer.

Run: python make-safetensors-fixtures.py   (needs torch and safetensors)
"""
import pathlib

import safetensors
import torch
from safetensors.torch import save_file

TYPES = [
    torch.bool, torch.uint8, torch.int8, torch.float8_e5m2, torch.float8_e4m3fn, torch.float8_e8m0fnu, torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz, torch.int16, torch.uint16, torch.float16, torch.bfloat16, torch.int32, torch.uint32, torch.float32,
    torch.complex64, torch.float64, torch.int64, torch.uint64,
]
generator = torch.Generator().manual_seed(7)
tensors = {"scalar": torch.tensor(3.0), "none": torch.zeros(0, 5), "é": torch.ones(2), "e\u0301": torch.zeros(3)}
for index, dtype in enumerate(TYPES):
    for name, rows in ((f"b.{index}.weight", 3), (f"a.{index}.weight", 1)):
        width = torch.empty(0, dtype=dtype).element_size()
        raw = torch.randint(0, 256, (rows * 2 * width,), dtype=torch.uint8, generator=generator)
        tensors[name] = (raw % 2).bool().reshape(rows, 2) if dtype == torch.bool else raw.view(dtype).reshape(rows, 2)
tensors["f4"] = torch.arange(6, dtype=torch.uint8).reshape(3, 2).view(torch.float4_e2m1fn_x2)
folder = pathlib.Path(__file__).parent / "SafeTensorsFixtures"
folder.mkdir(exist_ok=True)
made_by = f"torch {torch.__version__.split('+')[0]}, safetensors {safetensors.__version__}"
save_file(tensors, folder / "reference.safetensors", metadata={"made_by": made_by})
print(made_by)
