#!/usr/bin/env python3
"""Makes the truth of encoders, EncoderFixtures/<case>/, with transformers on the CPU in f32: tiny random BERTs.

  config.json, model.safetensors and golden.safetensors: input_ids I64 [T] of two texts (`a`, `b`), states F32 [T, width] of each (the last
  hidden state), and the gradient of every parameter of the sum over both of the states times `slope` F32 [T, width].

`plain` is an encoder by itself; `masked-lm` the same in a masked language model, in bf16, with the old names of norms (gamma, beta).
"""

import argparse
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertModel

CONFIG = BertConfig(
  vocab_size=60, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=32,
  type_vocab_size=2, layer_norm_eps=1e-6)


def randomize(model, generator):
  with torch.no_grad():
    for name, parameter in sorted(model.named_parameters()):
      values = torch.randn(parameter.shape, generator=generator) * 0.3
      parameter.copy_(values + 1 if "LayerNorm.weight" in name else values)


def make(name, root, masked):
  generator = torch.Generator().manual_seed(7)
  folder = root / name
  folder.mkdir(parents=True, exist_ok=True)
  model = BertForMaskedLM(CONFIG) if masked else BertModel(CONFIG)
  randomize(model, generator)
  if masked:
    model = model.bfloat16()
  model.save_pretrained(folder)
  if masked:
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    weights = load_file(folder / "model.safetensors")
    for new, before in old.items():
      weights = {key.replace(new, before): value for key, value in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
  encoder = (model.bert if masked else model).float().eval().double()
  tensors = {}
  total = 0
  for text, length in (("a", 17), ("b", 5)):
    ids = torch.randint(0, CONFIG.vocab_size, (length,), generator=generator)
    states = encoder(ids[None]).last_hidden_state[0]
    slope = torch.randn(states.shape, generator=generator)
    total = total + (states * slope).sum()
    tensors |= {f"{text}.input_ids": ids, f"{text}.states": states.detach().float(), f"{text}.slope": slope}
  if not masked:
    total.backward()
    for key, parameter in encoder.named_parameters():
      if parameter.grad is not None:
        tensors[f"gradient/{key}"] = parameter.grad.float().contiguous()
  save_file(tensors, folder / "golden.safetensors", metadata={"torch": torch.__version__, "transformers": transformers.__version__})


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent / "EncoderFixtures")
  arguments = parser.parse_args()
  make("plain", arguments.output, masked=False)
  make("masked-lm", arguments.output, masked=True)


if __name__ == "__main__":
  main()
