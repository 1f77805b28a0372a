"""What a low-rank correction of quantized layers (EoRA, Liu et al. 2024) could take of their errors, against what it weighs.

low_rank.py MODEL QUANTIZED TEXT [--windows N] [--context N]

QUANTIZED is a checkpoint of ours of MODEL. For every quantized layer the singular values of (W - Q) H^(1/2), H = E[x x^T] of its inputs over
the first windows of TEXT, say how much of the layer's output error the best correction of a rank removes: no correction of that rank does more.
It weighs 16 bits for each of rank * (inputs + outputs) numbers. Means over layers, by number of weights.
"""
import argparse
import sys
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import torch
from transformers import AutoModelForCausalLM

from packed import Checkpoint
from scoring import cut, token_stream

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("quantized")
parser.add_argument("text")
parser.add_argument("--windows", type=int, default=64)
parser.add_argument("--context", type=int, default=256)
arguments = parser.parse_args()

model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
checkpoint = Checkpoint(arguments.quantized)
modules = {name: module for name, module in model.named_modules() if name in checkpoint.modules}
squares = {}


def observe(name):
  def hook(module, inputs):
    x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
    squares[name] = squares.get(name, 0) + x.T @ x

  return hook


for name, module in modules.items():
  module.register_forward_pre_hook(observe(name))
with torch.no_grad():
  for window in cut(token_stream(arguments.model, arguments.text), arguments.context, arguments.windows * arguments.context):
    model(torch.as_tensor(window).reshape(1, -1))

ranks = [1, 2, 4, 8, 16, 32]
removed, bits, total = {rank: 0.0 for rank in ranks}, {rank: 0.0 for rank in ranks}, 0
for name, module in modules.items():
  error = module.weight.detach().double() - torch.from_numpy(checkpoint.decode(name)).double()
  values, vectors = torch.linalg.eigh(squares[name])
  root = vectors * values.clamp(min=0).sqrt()
  energy = torch.linalg.svdvals(error @ root) ** 2
  outputs, inputs = error.shape
  total += error.numel()
  for rank in ranks:
    removed[rank] += error.numel() * float(energy[:rank].sum() / energy.sum())
    bits[rank] += 16 * rank * (inputs + outputs)
print("| rank | more bits per weight | of the layers' error removed, at most |\n| ---: | ---: | ---: |")
for rank in ranks:
  print(f"| {rank} | {bits[rank] / total:.3f} | {100 * removed[rank] / total:.1f} % |")
