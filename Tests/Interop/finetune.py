#!/usr/bin/env python3
"""Trains adapters with deepseek-finetune in every form, and compares what the product computes with them with PEFT and mlx-lm (adapters.py).

  finetune.py EXECUTABLE MODEL TEXT [--steps 12] [--tokens 48]

EXECUTABLE is deepseek-optimize. Exit status 1 when a logit differs by more than the tolerance of adapters.py, relative to the largest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

from safetensors.numpy import load_file  # noqa: E402

FORMS = {
  "lora": [],
  "lora-all": ["--target", "all", "--rank", "8"],
  "rslora": ["--rslora", "--alpha", "12"],
  "dora": ["--dora", "--target", "all", "--rank", "4"],
  "pattern": ["--target", "re:model[.]layers[.]1[.].*_proj", "--target", "layers.0.mlp.down_proj", "--lora-plus", "8"],
}


def run(*command):
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(str(part) for part in command)}\nfailed: {result.stderr.strip()}")


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable")
  parser.add_argument("model")
  parser.add_argument("text")
  parser.add_argument("--steps", type=int, default=12)
  parser.add_argument("--tokens", type=int, default=48)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    expected = {"adapters": []}
    for name, flags in FORMS.items():
      for layout in ["peft", "mlx"]:
        run(
          arguments.executable, "finetune", "--model", arguments.model, "--data", arguments.text, "--output", folder / f"{name}-{layout}",
          "--format", layout, "--steps", arguments.steps, "--learning-rate", "3e-3", "--batch-size", "4", "--sequence-length", "128",
          "--held-out", "0", "--quiet", *flags)
      logits = folder / f"{name}.safetensors"
      run(
        arguments.executable, "eval", "--model", arguments.model, "--adapter", folder / f"{name}-peft", "--eval", arguments.text,
        "--sequence-length", arguments.tokens, "--save-logits", logits)
      found = load_file(logits)
      expected["tokens"] = found["tokens"].tolist()
      expected["adapters"].append(
        {"name": name, "peft": f"{name}-peft", "mlx": f"{name}-mlx", "logits": found["logits"].astype(float).tolist()})
    description = folder / "expected.json"
    description.write_text(json.dumps(expected))
    checker = Path(__file__).resolve().parent / "adapters.py"
    sys.exit(subprocess.run([sys.executable, checker, arguments.model, description]).returncode)


if __name__ == "__main__":
  main()
