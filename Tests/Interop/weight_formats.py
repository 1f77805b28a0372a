#!/usr/bin/env python3
"""Does transformers compute with our GPTQ, AWQ and float checkpoints what we do?

  weight_formats.py EXECUTABLE MODEL TEXT [--only PART...] [--tokens N]

EXECUTABLE is deepseek-optimize, MODEL a checkpoint of it (or demo), TEXT what perplexity is measured on. Every form is written, loaded by
transformers (through gptqmodel where it is GPTQ or AWQ) and scored on the windows of the report. Exit status 1 when perplexities differ by more than
0.3 %, or by more than 1 % where activations are quantized as well. Needs gptqmodel 7.7.0, optimum 2.3.0 and compressed-tensors 0.20.0; its plain
kernels are asked for, which need no compiler. transformers keeps routed experts as one tensor, which GPTQ and AWQ have no form of: they stay dense
there, and of mixtures NVFP4 and scales per block, which it does not load, are left out. So is FP8_BLOCK, whose activations have groups of 128 inputs.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AwqConfig, CompressedTensorsConfig, GPTQConfig  # noqa: E402

import scoring  # noqa: E402

EXPERTS = ["--ignore", r"re:.*\.experts\.[0-9]+\..*"]
# Name, flags, type that transformers loads as, whether it decodes the weights first.
FORMS = [
  ("gptq W4 g32", ["--format", "gptq", "--bits", "4", "--group-size", "32"], "float32", False),
  ("gptq W4 g32 asymmetric", ["--format", "gptq", "--bits", "4", "--group-size", "32", "--method", "asymmetric"], "float32", False),
  ("gptq W3 g32", ["--format", "gptq", "--bits", "3", "--group-size", "32"], "float32", False),
  ("gptq W2 g32 asymmetric", ["--format", "gptq", "--bits", "2", "--group-size", "32", "--method", "asymmetric"], "float32", False),
  ("gptq W8 channel", ["--format", "gptq", "--bits", "8"], "float32", False),
  ("gptq W4 g32, some dense",
   ["--format", "gptq", "--bits", "4", "--group-size", "32", "--ignore", r"re:.*layers\.1\.mlp\..*(gate|up|down)_proj", "--ignore", "re:.*o_proj"],
   "float32", False),
  ("awq W4 g32", ["--format", "awq", "--group-size", "32"], "float32", False),
  ("awq W4 g64 asymmetric", ["--format", "awq", "--group-size", "64", "--method", "asymmetric"], "float32", False),
  ("awq W4 g32, some dense",
   ["--format", "awq", "--group-size", "32", "--ignore", r"re:.*layers\.1\.mlp\..*(gate|up|down)_proj", "--ignore", "re:.*o_proj"],
   "float32", False),
  ("fp8", ["--type", "fp8"], "float32", False),
  ("fp8-tensor", ["--type", "fp8-tensor"], "float32", False),
  ("fp8-block", ["--type", "fp8-block"], "float32", False),
  ("FP8_DYNAMIC", ["--scheme", "FP8_DYNAMIC"], "float32", False),
  ("FP8_BLOCK", ["--scheme", "FP8_BLOCK"], "float32", False),
  ("NVFP4A16", ["--scheme", "NVFP4A16"], "float32", True),
  ("NVFP4A16 bfloat16", ["--scheme", "NVFP4A16"], "bfloat16", False),
  ("MXFP4A16", ["--scheme", "MXFP4A16"], "float32", True),
  ("MXFP4A16 bfloat16", ["--scheme", "MXFP4A16"], "bfloat16", False),
]


def load(directory, data_type, decodes):
  settings = json.loads((directory / "config.json").read_text())["quantization_config"]
  options = {}
  if settings["quant_method"] == "gptq":
    options["quantization_config"] = GPTQConfig(bits=settings["bits"], backend="torch")
  elif settings["quant_method"] == "awq":
    options["quantization_config"] = AwqConfig(bits=4, backend="torch_awq")
  elif decodes:
    options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
  return AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, data_type), **options)


def perplexity(model, windows):
  loss = 0.0
  for window in windows:
    loss -= scoring.log_probabilities(model, window).gather(1, window[0, 1:, None]).sum().item()
  return math.exp(loss / sum(window.shape[1] - 1 for window in windows))


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("executable")
  parser.add_argument("model")
  parser.add_argument("text")
  parser.add_argument("--only", nargs="*", default=[])
  parser.add_argument("--tokens", default="2048")
  arguments = parser.parse_args()
  inspection = subprocess.run([arguments.executable, "inspect", "--model", arguments.model], capture_output=True, text=True).stdout
  has_experts = ".experts." in inspection or "expert" in inspection
  failed = []
  with tempfile.TemporaryDirectory() as folder:
    for name, flags, data_type, decodes in FORMS:
      if arguments.only and not any(part in name for part in arguments.only):
        continue
      if has_experts and ("block" in name.lower() or name.startswith("NVFP4")):
        continue
      output = Path(folder) / name.replace(" ", "-").replace(",", "")
      command = [
        arguments.executable, "quant", "--model", arguments.model, "--output", str(output), "--eval", arguments.text, "--eval-tokens",
        arguments.tokens, "--quiet", *flags]
      if has_experts and "--format" in flags:
        command += EXPERTS
      result = subprocess.run(command, capture_output=True, text=True)
      if result.returncode != 0:
        print(f"{name:26} was not written: {result.stderr.strip()}", flush=True)
        failed.append(name)
        continue
      accuracy = json.loads((output / "report.json").read_text())["accuracy"]
      stream = scoring.token_stream(output, arguments.text)
      windows = scoring.cut(stream, accuracy["context"])[:accuracy["tokens"] // (accuracy["context"] - 1)]
      try:
        theirs = perplexity(load(output, data_type, decodes), windows)
      except Exception as error:  # whatever a loader throws is a finding
        print(f"{name:26} is not loaded: {str(error).splitlines()[0][:160]}", flush=True)
        failed.append(name)
        continue
      ours = accuracy["compressed"]["perplexity"]
      difference = theirs / ours - 1
      limit = 0.01 if "FP8_" in name or data_type == "bfloat16" else 0.003
      print(f"{name:26} ours {ours:.4f} transformers {theirs:.4f} {difference * 100:+.4f} %", flush=True)
      if not abs(difference) <= limit:
        failed.append(name)
  if failed:
    sys.exit(f"differ: {', '.join(failed)}")


main()
