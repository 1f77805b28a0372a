#!/usr/bin/env python3
"""Peak memory of training adapters beside a quantized model (QLoRA), against the quantized weights and the activations.

  finetune_memory.py EXECUTABLE MODEL TEXT [--sequence 512] [--limit 1.3]

EXECUTABLE is deepseek-optimize, MODEL a Llama large enough to show (random_llama.py makes one). Weights are the bytes of the checkpoint that quant
writes; activations are, in float32, what enters every layer, every value between the operations of one layer, and two tiles of logits. Exit status 1
when the zero start is above the limit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def run(*command):
  return json.loads(subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable")
  parser.add_argument("model", type=Path)
  parser.add_argument("text")
  parser.add_argument("--sequence", type=int, default=512)
  parser.add_argument("--limit", type=float, default=1.3)
  arguments = parser.parse_args()
  config = json.loads((arguments.model / "config.json").read_text())
  hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
  keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
  # norm, q, turned q, attention, output, sum, norm, down, sum; k, turned k, v; gate, up, product.
  layer = 9 * hidden + 3 * keys + 3 * inner
  activations = 4 * (arguments.sequence * (layers * hidden + layer) + 2 * min(256, arguments.sequence) * config["vocab_size"])
  with tempfile.TemporaryDirectory() as folder:
    quantized = run(
      arguments.executable, "quant", "--model", arguments.model, "--bits", 4, "--group-size", 64, "--algorithm", "mse", "--no-eval",
      "--output", Path(folder) / "q", "--quiet", "--json")
    weights = quantized["size"]["outputBytes"]
    failed = False
    for start in ["zero", "pissa", "loftq"]:
      report = run(
        arguments.executable, "finetune", "--model", arguments.model, "--data", arguments.text, "--bits", 4, "--group-size", 64, "--start", start,
        "--steps", 3, "--batch-size", 1, "--sequence-length", arguments.sequence, "--held-out", 0, "--output", Path(folder) / start, "--quiet",
        "--json")
      peak = report["resources"]["peakMemoryBytes"]
      ratio = peak / (weights + activations)
      # A start of its own needs several copies of one layer while it is found, and writes the base.
      failed = failed or start == "zero" and ratio > arguments.limit
      print(
        f"start {start}: weights {weights / 1e6:.0f} MB, activations {activations / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB: {ratio:.2f} times",
        flush=True)
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
