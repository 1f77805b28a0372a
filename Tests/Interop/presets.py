#!/usr/bin/env python3
"""Measures the named recipes of deepseek-finetune on the demo model, and writes the figures where the recipes are.

  presets.py EXECUTABLE [--steps 60]

EXECUTABLE is deepseek-optimize, built from this tree; build it again afterwards, so that it knows the figures. Needs nothing beyond Python.
"""

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[2] / "Sources/Recipes"


def measure(executable, name, steps, folder):
  command = [
    executable, "finetune", "--recipe", name, "--model", "demo", "--data", RECIPES / "Demo/calibration.txt", "--eval",
    RECIPES / "Demo/evaluation.txt", "--steps", steps, "--sequence-length", 256, "--output", folder / name, "--quiet", "--json"]
  report = json.loads(subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout)
  training, settings = report["training"], report["recipe"][-1]
  losses = {evaluation["step"]: evaluation["loss"] for evaluation in training["evaluations"]}
  return {
    "learningRate": settings["learningRate"],
    "steps": training["steps"],
    "trainableParameters": training["trainableParameters"],
    "perplexityBefore": round(math.exp(losses[0]), 3),
    "perplexityAfter": round(math.exp(losses[training["bestStep"]]), 3),
    "tokensPerSecond": round(training["tokensPerSecond"]),
    "peakMemoryBytes": report["resources"]["peakMemoryBytes"],
  }


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable")
  parser.add_argument("--steps", type=int, default=60)
  arguments = parser.parse_args()
  file = RECIPES / "Presets/finetuning.json"
  document = json.loads(file.read_text())
  with tempfile.TemporaryDirectory() as folder:
    for preset in document["presets"]:
      preset["measured"] = measure(arguments.executable, preset["name"], arguments.steps, Path(folder))
      print(preset["name"], preset["measured"])
  file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
  main()
