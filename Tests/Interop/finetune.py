#!/usr/bin/env python3
"""Trains adapters with deepseek-finetune in every form, and compares what the product computes with them with PEFT and mlx-lm (adapters.py).

  finetune.py EXECUTABLE MODEL TEXT [--steps 12] [--tokens 48]

EXECUTABLE is deepseek-optimize. Exit status 1 when a logit differs by more than the tolerance of adapters.py, relative to the largest,
or when what `merge` writes is not what PEFT merges, or `unmerge` does not give the model back.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from safetensors.numpy import load_file as load_arrays  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

FORMS = {
  "lora": [],
  "lora-all": ["--target", "all", "--rank", "8"],
  "rslora": ["--rslora", "--alpha", "12"],
  "dora": ["--dora", "--target", "all", "--rank", "4"],
  "pissa": ["--start", "pissa", "--target", "all", "--rank", "8", "--alpha", "8"],
  "pissa-dora": ["--start", "pissa", "--dora", "--rslora", "--rank", "4"],
  "pattern": ["--target", "re:model[.]layers[.]1[.].*_proj", "--target", "layers.0.mlp.down_proj", "--lora-plus", "8"],
}


def run(*command):
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(str(part) for part in command)}\nfailed: {result.stderr.strip()}")


def check_merging(executable, model, folder, names):
  """What `merge` writes against what PEFT merges in float32, and what `unmerge` gives back against the model."""
  failed = 0
  source = load_file(Path(model) / "model.safetensors")
  for name in names:
    run(
      executable, "finetune", "merge", "--model", model, "--adapter", folder / f"{name}-peft", "--output", folder / f"{name}-merged", "--no-eval",
      "--quiet")
    run(executable, "finetune", "unmerge", "--model", folder / f"{name}-merged", "--output", folder / f"{name}-back", "--no-eval", "--quiet")
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(base, folder / f"{name}-peft").merge_and_unload().state_dict()
    ours, back = load_file(folder / f"{name}-merged/model.safetensors"), load_file(folder / f"{name}-back/model.safetensors")
    equal = count = changed = apart = 0
    for key, value in ours.items():
      failed += not torch.equal(back[key].view(torch.int16), source[key].view(torch.int16))
      expected = theirs[key].to(value.dtype).view(torch.int16).int()
      steps = (value.view(torch.int16).int() - expected).abs()
      # PEFT adds in float32, we in double: ties are rounded the other way, and what all but cancels differs in its own last bits.
      distance, size = (value.float() - theirs[key].float()).abs(), theirs[key].abs().max()
      equal, count, apart = equal + int((steps == 0).sum()), count + steps.numel(), apart + int(((steps > 1) & (distance > 1e-6 * size)).sum())
      changed += int((value.view(torch.int16) != source[key].view(torch.int16)).sum())
    failed += apart > 0 or equal < 0.999 * count or changed == 0
    print(f"merged {name}: {changed} weights changed, {count - equal} of {count} rounded otherwise than PEFT's, {apart} apart by more")
  return failed


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
      found = load_arrays(logits)
      expected["tokens"] = found["tokens"].tolist()
      expected["adapters"].append(
        {"name": name, "peft": f"{name}-peft", "mlx": f"{name}-mlx", "logits": found["logits"].astype(float).tolist()})
    description = folder / "expected.json"
    description.write_text(json.dumps(expected))
    checker = Path(__file__).resolve().parent / "adapters.py"
    status = subprocess.run([sys.executable, checker, arguments.model, description]).returncode
    failed = check_merging(arguments.executable, arguments.model, folder, ["lora-all", "dora", "pissa"])
    sys.exit(1 if status or failed else 0)


if __name__ == "__main__":
  main()
