#!/usr/bin/env python3
"""Does transformers see in our quantized checkpoints what our own report says?

  checkpoints.py [--context C] [--tokens N] MODEL TEXT OUTPUT...

MODEL is the source checkpoint, TEXT the file that OUTPUT/report.json was measured on (--eval), OUTPUT a directory that
deepseek-quant wrote in compressed-tensors. Each is loaded on the CPU in f32, scored by the project's rule (scoring.py)
over as many windows as its report says, and held to:

  the loader         no missing, unexpected or mismatched names and no warning about weights it had to invent
  every weight       equal to what packed.py decodes from the file, so nothing is random and nothing decoded wrongly
  perplexity         of the source and of the compressed model, within --tolerance of the report
  mean KL            within --kl-tolerance of the report, or 2e-6 nats

Weight-only checkpoints must agree to rounding. With int8 activations both sides quantize each token's inputs on the fly by the same rule
(absmax / 127.5, clamped to [-128, 127]), but differences in the last bit of an input move codes, and those move the layers that follow:
perplexity agrees to some hundredths of a per cent; --activation-tolerance and --activation-kl-tolerance hold instead.

Asymmetric checkpoints are loaded with dequantize=True (the lazy path of transformers 5.23 expects unpacked zero points), all
others as they come. That path multiplies in the type of the scales, so bf16 scales round every weight to bf16: such a
checkpoint is checked as it is, then scored from a copy whose scales are widened to f32.
--context and --tokens (of text) ask that the report was measured over just that much.
Exit status 1 when anything disagrees.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library
os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}  # read while the libraries are imported

import torch
import transformers
from transformers import CompressedTensorsConfig

from packed import Checkpoint
from runtimes import in_transformers
from scoring import cut, score, token_stream

KL_FLOOR = 2e-6


class Disagreement(Exception):
  """What transformers and the report do not agree on, for the table."""


def load(directory, **arguments):
  """The model in f32; a name that the loader could not place is a disagreement."""
  try:
    return in_transformers.load(directory, **arguments)
  except ValueError as error:
    raise Disagreement(str(error)) from error


def load_dequantized(directory):
  return load(directory, quantization_config=CompressedTensorsConfig(dequantize=True))


def load_compressed(checkpoint):
  """The model, and how to know that it holds the file's values: a check to call after its first forward pass."""
  if checkpoint.symmetric:
    model = load(checkpoint.directory)
    return model, lambda: check_weights(model, checkpoint)
  if len(checkpoint.groups) > 1 or checkpoint.activations:
    raise Disagreement("transformers loads neither mixed nor activation-quantized asymmetric checkpoints")
  check_weights(load_dequantized(checkpoint.directory), checkpoint, rounded=True)
  with tempfile.TemporaryDirectory() as copy:
    in_transformers.widen_scales(checkpoint.directory, copy)
    model = load_dequantized(copy)
  return model, lambda: check_weights(model, checkpoint)


def check_weights(model, checkpoint, rounded=False):
  """Every quantized module must hold the values its file decodes to (rounded to the type of its scales)."""
  if not checkpoint.modules:
    raise Disagreement("no module of the checkpoint is quantized")
  modules = dict(model.named_modules())
  for name in checkpoint.modules:
    weight = getattr(modules[name], "weight", None) if name in modules else None
    if weight is None:
      raise Disagreement(f"{name} was not decompressed")
    expected = torch.from_numpy(checkpoint.decode(name))
    if rounded:
      expected = expected.to(checkpoint.scale_type(name)).float()
    found = weight.detach().float()
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-6, atol=1e-9):
      raise Disagreement(f"{name}.weight differs from the file")


def field(report, *path):
  value = report
  for key in path:
    if not isinstance(value, dict) or value.get(key) is None:
      raise Disagreement(f"report.json has no {'.'.join(path)}")
    value = value[key]
  return value


def windows_of(report, stream, arguments):
  """The windows the report was measured on, or why they cannot be known."""
  context, predictions = field(report, "accuracy", "context"), field(report, "accuracy", "tokens")
  if arguments.context not in (None, context):
    raise Disagreement(f"measured with a context of {context}, not {arguments.context}")
  windows = cut(stream, context, arguments.tokens)
  if arguments.tokens is None:
    windows = windows[:predictions // (context - 1)]
  if len(windows) * (context - 1) != predictions:
    raise Disagreement(f"scored {predictions} predictions; the text has {len(windows)} windows of {context}")
  digest = report.get("inputs", {}).get("evalSHA256")
  if digest and digest != arguments.text_digest:
    raise Disagreement("the report was measured on another text")
  return windows


def percent(ours, theirs):
  return 100 * (ours / theirs - 1)


def examine(output, reference, stream, arguments):
  """One row of the table: name, format, our perplexity, theirs, and the verdict ("" when all agree)."""
  row = {"name": Path(output).name, "format": "", "ours": None, "theirs": None, "ourKL": None, "theirKL": None, "verdict": ""}
  try:
    checkpoint = Checkpoint(output)
    row["format"] = checkpoint.summary()
    report = json.loads((checkpoint.directory / "report.json").read_text())
    windows = windows_of(report, stream, arguments)
    row["ours"] = field(report, "accuracy", "compressed", "perplexity")
    row["ourKL"] = field(report, "accuracy", "klDivergence", "mean")
    model, check = load_compressed(checkpoint)
    theirs = score(model, windows, reference)
    row["theirs"], row["theirKL"] = theirs.perplexity, theirs.mean_kl
    check()

    difference = percent(field(report, "accuracy", "reference", "perplexity"), theirs.reference_perplexity)
    if abs(difference) > arguments.tolerance:
      raise Disagreement(f"reference perplexity {difference:+.3f} % from {theirs.reference_perplexity:.4f}")
    tolerance = arguments.activation_tolerance if checkpoint.activations else arguments.tolerance
    if abs(percent(row["ours"], row["theirs"])) > tolerance:
      raise Disagreement(f"perplexity differs by more than {tolerance} %")
    tolerance = arguments.activation_kl_tolerance if checkpoint.activations else arguments.kl_tolerance
    if abs(row["ourKL"] - row["theirKL"]) > max(KL_FLOOR, row["theirKL"] * tolerance / 100):
      raise Disagreement(f"mean KL differs by more than {tolerance} %")
  except Exception as problem:  # a loader may fail in any way; every way is this row's verdict
    row["verdict"] = str(problem).strip().splitlines()[0][:160] if str(problem).strip() else type(problem).__name__
    if not isinstance(problem, Disagreement):
      row["verdict"] = f"{type(problem).__name__}: {row['verdict']}"
  return row


def table(rows):
  def number(value, form):
    return "-" if value is None else format(value, form)

  lines = [("name", "format", "perplexity", "transformers", "difference", "mean KL", "transformers", "verdict")]
  for row in rows:
    both = row["ours"] is not None and row["theirs"] is not None
    lines.append((
      row["name"], row["format"], number(row["ours"], ".4f"), number(row["theirs"], ".4f"),
      f"{percent(row['ours'], row['theirs']):+.4f} %" if both else "-",
      number(row["ourKL"], ".6f"), number(row["theirKL"], ".6f"), row["verdict"] or "agrees"))
  widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
  for line in lines:
    print("  ".join(cell.rjust(width) if 2 <= column < 7 else cell.ljust(width)
                    for column, (cell, width) in enumerate(zip(line, widths))).rstrip())


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("model")
  parser.add_argument("text")
  parser.add_argument("outputs", nargs="+", metavar="OUTPUT")
  parser.add_argument("--context", type=int)
  parser.add_argument("--tokens", type=int)
  parser.add_argument("--tolerance", type=float, default=0.1, metavar="PERCENT")
  parser.add_argument("--kl-tolerance", type=float, default=2, metavar="PERCENT")
  parser.add_argument("--activation-tolerance", type=float, default=0.1, metavar="PERCENT")
  parser.add_argument("--activation-kl-tolerance", type=float, default=10, metavar="PERCENT")
  arguments = parser.parse_args()

  warnings.filterwarnings("ignore", message="You passed `quantization_config`")  # meant, for dequantize
  arguments.text_digest = hashlib.sha256(Path(arguments.text).read_bytes()).hexdigest()
  stream = token_stream(arguments.model, arguments.text)
  reference = load(arguments.model)
  rows = []
  for output in arguments.outputs:
    print(f"{len(rows) + 1}/{len(arguments.outputs)} {output}", file=sys.stderr)
    rows.append(examine(output, reference, stream, arguments))
  table(rows)
  wrong = sum(bool(row["verdict"]) for row in rows)
  print(f"{len(rows) - wrong} of {len(rows)} checkpoints agree with transformers {transformers.__version__}")
  return 1 if wrong else 0


if __name__ == "__main__":
  sys.exit(main())
