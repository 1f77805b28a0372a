#!/usr/bin/env python3
"""Makes the truth of the backward pass, Fixtures/gradients.safetensors, with PyTorch and transformers on the CPU in float64.

  make-gradient-goldens.py [--output DIR]

For some of the models that make-goldens.py made, over the windows of their golden.safetensors:
  <case>/<parameter>    F32, the gradient of the mean cross-entropy (next token, both windows) with respect to every parameter
  <case>/loss           F64 [1]
Versions are in the file's metadata. Run it again after make-goldens.py.
"""

import argparse
import platform
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

import golden_models

# Grouped heads of an odd width; biases; head norms; a sliding window; a table that is also the head;
# experts behind softmax and sigmoid routers, with groups and without.
CASES = ["llama-gqa", "qwen2", "qwen3", "mistral-window", "llama-tied", "llama-rope-yarn",
         "deepseek-v2-groups", "deepseek-v3", "qwen3-moe"]


def stored(name, gradient):
  """The gradients by the names that checkpoints have: transformers keeps the experts of a layer in one tensor."""
  if name.endswith(".mlp.experts.gate_up_proj"):
    prefix = name.removesuffix(".gate_up_proj")
    for expert, both in enumerate(gradient):
      gate, up = both.chunk(2)
      yield f"{prefix}.{expert}.gate_proj.weight", gate
      yield f"{prefix}.{expert}.up_proj.weight", up
  elif name.endswith(".mlp.experts.down_proj"):
    for expert, down in enumerate(gradient):
      yield f"{name.removesuffix('.down_proj')}.{expert}.down_proj.weight", down
  else:
    yield name, gradient


def gradients(directory):
  model = golden_models.load(directory).double()
  ids = load_file(directory / "golden.safetensors")["input_ids"]
  logits = model(ids, use_cache=False).logits
  loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
  loss.backward()
  values = {
    key: value.float().contiguous()
    for name, parameter in model.named_parameters() for key, value in stored(name, parameter.grad)}
  return {**values, "loss": loss.detach().reshape(1)}


def main():
  here = Path(__file__).resolve().parent
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--output", type=Path, default=here / "Fixtures")
  arguments = parser.parse_args()
  transformers.utils.logging.disable_progress_bar()
  torch.set_num_threads(1)  # one order of summation
  tensors = {}
  for case in CASES:
    tensors |= {f"{case}/{name}": value for name, value in gradients(arguments.output / case).items()}
  versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
  save_file(tensors, arguments.output / "gradients.safetensors", metadata=versions)


if __name__ == "__main__":
  main()
