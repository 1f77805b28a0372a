#!/usr/bin/env python3
"""Prunes a small random model of every family in every way, distils and masks one, loads each result in transformers, and compares logits.

  pruning.py EXECUTABLE DEMO TEXT

EXECUTABLE is deepseek-optimize, DEMO a model whose tokenizer the models get. Exit status 1 when a logit differs by more than 1e-4 of the largest,
a weight was taken that was not announced, or transformers reports weights that are missing or unused.
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
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config  # noqa: E402

SIZES = dict(
  hidden_size=96, intermediate_size=176, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=256,
  torch_dtype="float32")
FAMILIES = {
  "llama": lambda v: LlamaConfig(vocab_size=v, tie_word_embeddings=False, **SIZES),
  "llama-biases-tied": lambda v: LlamaConfig(vocab_size=v, tie_word_embeddings=True, attention_bias=True, mlp_bias=True, **SIZES),
  "mistral": lambda v: MistralConfig(vocab_size=v, sliding_window=16, **SIZES),
  "qwen2": lambda v: Qwen2Config(
    vocab_size=v, tie_word_embeddings=True, use_sliding_window=True, sliding_window=16, max_window_layers=1, **SIZES),
  "qwen3": lambda v: Qwen3Config(vocab_size=v, head_dim=24, **SIZES),
}
WAYS = [
  [kind, str(ratio)] + more
  for kind in ["--mlp", "--heads", "--hidden", "--ratio"]
  for ratio in [0.1, 0.25, 0.5]
  for more in ([], ["--calibration", "TEXT", "--calibration-samples", "8"])
] + [
  ["--layers", str(count)] + more + ["--calibration", "TEXT", "--calibration-samples", "8"]
  for count in [1, 2]
  for more in ([], ["--ratio", "0.25"])
]


def run(*command):
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(str(part) for part in command)}\nfailed: {result.stderr.strip()}")
  return result.stdout


def check(executable, source, text, way, folder):
  flags = [text if flag == "TEXT" else flag for flag in way]
  output, logits = folder / "out", folder / "logits.safetensors"
  shutil.rmtree(output, ignore_errors=True)
  common = [executable, "prune", "--model", source, "--output", output, "--multiple", 8, "--sequence-length", 32, "--no-eval"] + flags
  dry = subprocess.run([str(part) for part in common + ["--dry-run"]], capture_output=True, text=True)
  if dry.returncode == 64 and "would remove nothing" in dry.stderr:
    return None
  announced = int(dry.stdout.split("parameters: ")[1].split()[0])
  run(*common, "--quiet")
  difference, parameters, clean = compare(executable, output, text, logits)
  return difference, parameters == announced and clean


RECIPE = """version: 1
calibration: {text: TEXT, samples: 16, sequence-length: 32}
passes:
- prune: {mlp: 0.25, multiple: 8}
- distill: {feature-steps: 2, logit-steps: 4, policy-steps: 2, robustness-steps: 2, batch-windows: 4, sequence-length: 32}
- sparsify: {method: sparsegpt, pattern: "2:4"}
"""


def check_recipe(executable, source, text, folder):
  """Prunes, distils and masks."""
  recipe, output = folder / "recipe.yaml", folder / "out"
  recipe.write_text(RECIPE.replace("TEXT", str(Path(text).resolve())))
  run(executable, "run", recipe, "--model", source, "--output", output, "--overwrite", "--quiet", "--no-eval")
  difference, _, clean = compare(executable, output, text, folder / "logits.safetensors")
  return difference, clean


def compare(executable, output, text, logits):
  """The largest difference from transformers' logits, its parameters, and whether it finds each weight once."""
  run(executable, "eval", "--model", output, "--eval", text, "--sequence-length", 32, "--save-logits", logits)
  found = load_file(logits)
  model, loading = AutoModelForCausalLM.from_pretrained(output, dtype=torch.float32, output_loading_info=True)
  with torch.no_grad():
    expected = model(found["tokens"].long()[None]).logits[0]
  difference = float((expected - found["logits"]).abs().max() / expected.abs().max())
  parameters = sum(parameter.numel() for parameter in model.parameters())
  clean = not loading["missing_keys"] and not loading["unexpected_keys"] and not loading["mismatched_keys"]
  return difference, parameters, clean


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
        # Biases and gains as trained models have them, so that a wrong one shows.
        if parameter.dim() == 1:
          torch.nn.init.uniform_(parameter, 0.5, 1.5) if "norm" in name else torch.nn.init.normal_(parameter, std=0.1)
      model.save_pretrained(source)
      for file in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(arguments.demo / file, source)
      results = [check(arguments.executable, source, arguments.text, way, folder) for way in WAYS]
      results.append(check_recipe(arguments.executable, source, arguments.text, folder))
      done = [result for result in results if result]
      worst = max(difference for difference, _ in done)
      wrong = sum(difference > 1e-4 or not fits for difference, fits in done)
      failed += wrong
      print(f"{family:18} {len(done)} of {len(WAYS) + 1} ways (the others remove nothing), largest difference {worst:.1e}, {wrong} wrong", flush=True)
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
