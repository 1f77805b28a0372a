"""Adapters of ours in the libraries that they are for: PEFT and mlx-lm must compute the logits that we compute.

adapters.py MODEL EXPECTED [--tolerance T] [--reference]

MODEL     the base model's directory; PEFT computes in float64, mlx-lm in float32.
EXPECTED  a JSON file: {"tokens": [id, ...], "adapters": [{"name": ..., "peft": DIRECTORY, "mlx": DIRECTORY, "logits": [[...], ...]}, ...]}.
          Directories are relative to the file; "peft" and "mlx" may each be missing. "logits" are ours for the adapted model: one row a
          token, over the whole vocabulary. Without "logits" the two libraries are compared with each other.
--reference  an entry's first directory is the truth, its "logits" are not looked at.

For each entry the largest difference, divided by the largest logit, must be at most T, and the adapter must change the base model's logits
by more than that: an adapter that loads without any effect is an error. Exit status 1 when anything disagrees.
"""
import argparse
import json
import sys
import warnings
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import numpy as np

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("expected", type=Path)
parser.add_argument("--tolerance", type=float, default=5e-5)
parser.add_argument("--reference", action="store_true")
arguments = parser.parse_args()


def importable(name):
  try:
    __import__(name)
    return True
  except ImportError:
    return False


def peft_logits(directory, tokens):
  """Logits with the adapter, None for the base model. Whatever PEFT merely warns of fails here."""
  import torch
  from peft import PeftModel
  from transformers import AutoModelForCausalLM
  from transformers.utils import logging

  logging.disable_progress_bar()
  model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float64).eval()
  if directory:
    with warnings.catch_warnings():
      warnings.simplefilter("error", UserWarning)
      warnings.simplefilter("ignore", FutureWarning)
      model = PeftModel.from_pretrained(model, directory).eval().double()
  with torch.no_grad():
    return model(torch.tensor([tokens])).logits[0].numpy()


def mlx_logits(directory, tokens):
  import mlx.core as mx
  import mlx_lm
  from mlx_lm.tuner.utils import load_adapters

  mx.set_default_device(mx.cpu)
  model, _ = mlx_lm.load(arguments.model)
  model.set_dtype(mx.float32)
  if directory:
    # What `mlx_lm.load(model, adapter_path=directory)` does, after the weights were widened.
    model = load_adapters(model, str(directory))
  model.eval()
  return np.array(model(mx.array([tokens]))[0].astype(mx.float32)).astype(np.float64)


libraries = {"peft": (peft_logits, "peft"), "mlx": (mlx_logits, "mlx_lm")}
document = json.loads(arguments.expected.read_text())
tokens = document["tokens"]
bases, failures, compared = {}, 0, 0
print(f"{'adapter':<24} {'library':<8} {'effect':>10} {'difference':>12}")
for entry in document["adapters"]:
  truth = None if arguments.reference or "logits" not in entry else np.array(entry["logits"], dtype=np.float64)
  for key, (logits, module) in libraries.items():
    if key not in entry:
      continue
    if not importable(module):
      print(f"{entry['name']:<24} {key:<8} {module} is not installed: not compared")
      continue
    if key not in bases:
      bases[key] = logits(None, tokens)
    try:
      found = logits(arguments.expected.parent / entry[key], tokens)
    except Exception as error:
      print(f"{entry['name']:<24} {key:<8} does not load: {error}")
      failures += 1
      continue
    top = np.abs(found).max()
    effect = np.abs(found - bases[key]).max() / top
    if truth is None:
      truth = found
      difference = None
    else:
      difference = np.abs(found - truth).max() / top if truth.shape == found.shape else np.inf
      compared += 1
    good = np.isfinite(found).all() and effect > arguments.tolerance and (difference is None or difference <= arguments.tolerance)
    text = "truth" if difference is None else f"{difference:.2e}"
    print(f"{entry['name']:<24} {key:<8} {effect:>10.2e} {text:>12}{'' if good else '  DISAGREES'}")
    failures += not good
if not compared:
  print("nothing was compared")
sys.exit(failures > 0 or compared == 0)
