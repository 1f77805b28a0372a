#!/usr/bin/env python3
"""Models with replaced modules, read by transformers: their logits against ours, on text longer than the windows.

  replacement.py EXECUTABLE DEMO TEXT

EXECUTABLE is deepseek-optimize, DEMO the folder of the model that ships (its tokenizer is used), TEXT any UTF-8 text of more than a few
kilobytes. Every family gets small random weights; each way of replacing is written by the executable, loaded by transformers as its config.json
says, and must give the same logits to 1e-4 of the largest. What no config.json can say must still load, with a warning from the executable.
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import torch  # noqa: E402
from transformers import (  # noqa: E402
  AutoModelForCausalLM, DeepseekV3Config, LlamaConfig, MistralConfig, MixtralConfig, Qwen2Config, Qwen3Config, Qwen3MoeConfig)

from pruning import compare  # noqa: E402

SIZES = dict(
  hidden_size=96, intermediate_size=176, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=256,
  torch_dtype="float32")
EXPERTS = {**SIZES, "intermediate_size": 64}
FAMILIES = {
  "llama": lambda v: LlamaConfig(vocab_size=v, tie_word_embeddings=False, **SIZES),
  "llama-biases": lambda v: LlamaConfig(vocab_size=v, attention_bias=True, mlp_bias=True, **SIZES),
  "mistral": lambda v: MistralConfig(vocab_size=v, sliding_window=24, **SIZES),
  "qwen2": lambda v: Qwen2Config(vocab_size=v, **SIZES),
  "qwen3": lambda v: Qwen3Config(vocab_size=v, head_dim=24, **SIZES),
  "qwen3-moe": lambda v: Qwen3MoeConfig(
    vocab_size=v, head_dim=24, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=32, norm_topk_prob=True, **SIZES),
  "mixtral": lambda v: MixtralConfig(vocab_size=v, num_local_experts=8, num_experts_per_tok=2, **EXPERTS),
  "deepseek-v3": lambda v: DeepseekV3Config(
    vocab_size=v, q_lora_rank=24, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8, n_routed_experts=8, n_group=2,
    topk_group=2, num_experts_per_tok=2, moe_intermediate_size=32, first_k_dense_replace=1,
    **{**SIZES, "num_key_value_heads": 8}),
}
WINDOW = ["--attention", "sliding-window", "--window", "12"]
CALIBRATED = ["--calibration", "TEXT", "--calibration-samples", "8"]
WAYS = [
  WINDOW, WINDOW + ["--layers", "0-1,3"], ["--attention", "global"], WINDOW + ["--activation", "gelu-tanh"], ["--activation", "relu"],
  ["--activation", "relu2"], ["--activation", "gelu"], ["--merge-experts", "4"], ["--merge-experts", "4"] + CALIBRATED,
]
UNSAID = "no key that other programs read"


def check(executable, source, text, way, folder):
  """The largest relative difference of logits and whether the weights fit; None for what does not apply or cannot be said."""
  flags = [text if flag == "TEXT" else flag for flag in way]
  output = folder / "out"
  shutil.rmtree(output, ignore_errors=True)
  common = [executable, "replace", "--model", source, "--output", output, "--sequence-length", 64, "--no-eval", "--quiet"] + flags
  result = subprocess.run([str(part) for part in common], capture_output=True, text=True)
  if result.returncode == 64:
    return "refused"
  if result.returncode != 0:
    sys.exit(f"{common}\nfailed: {result.stderr.strip()}")
  warnings = json.loads((output / "report.json").read_text())["warnings"]
  if any(UNSAID in warning for warning in warnings):
    AutoModelForCausalLM.from_pretrained(output)
    return "unsaid"
  difference, _, clean = compare(executable, output, text, folder / "logits.safetensors")
  return difference, clean


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable")
  parser.add_argument("demo", type=Path)
  parser.add_argument("text")
  arguments = parser.parse_args()
  logging.disable(logging.WARNING)
  vocabulary = json.loads((arguments.demo / "config.json").read_text())["vocab_size"]
  failed = 0
  with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    for family, configuration in FAMILIES.items():
      torch.manual_seed(0)
      source = folder / family
      model = AutoModelForCausalLM.from_config(configuration(vocabulary))
      for name, parameter in model.named_parameters():
        # Biases and gains as trained models have them, so that a wrong one shows; larger matrices make attention choose.
        if parameter.dim() == 1:
          torch.nn.init.uniform_(parameter, 0.5, 1.5) if "norm" in name else torch.nn.init.normal_(parameter, std=0.1)
        else:
          torch.nn.init.normal_(parameter, std=0.1)
      model.save_pretrained(source)
      for file in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(arguments.demo / file, source)
      results = [check(arguments.executable, source, arguments.text, way, folder) for way in WAYS]
      done = [result for result in results if isinstance(result, tuple)]
      worst = max(difference for difference, _ in done)
      wrong = sum(difference > 1e-4 or not fits for difference, fits in done)
      failed += wrong
      print(
        f"{family:14} {len(done)} of {len(WAYS)} ways, {results.count('refused')} refused, {results.count('unsaid')} beyond config.json; "
        f"largest difference {worst:.1e}, {wrong} wrong", flush=True)
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
