#!/usr/bin/env python3
"""Do we read what KerasHub writes, and does KerasHub load what we write, with the same logits?

  keras_files.py EXECUTABLE DEMO TEXT

EXECUTABLE is deepseek-optimize, DEMO a model in Hugging Face's layout, TEXT what is scored. Random presets of KerasHub (PyTorch backend), saved as
preset, .keras and legacy .h5; then the demo in KerasHub's layout, in bfloat16 and with int8 layers. Exit status 1 when logits differ by more than
1e-3. Keras rounds inputs to 127 codes on either side, we to 127.5 as compressed-tensors has it: logits of int8 layers may differ by about what their
rounding itself does, and no more.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import keras  # noqa: E402
import numpy  # noqa: E402
import sentencepiece  # noqa: E402
import torch  # noqa: E402
from keras_hub.models import CausalLM, LlamaBackbone, LlamaCausalLM, MistralBackbone, MistralCausalLM  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

EXECUTABLE, DEMO, TEXT = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
FAILED = []


def run(*command):
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(str(part) for part in command)}\nfailed: {result.stderr.strip()}")
  return result.stdout


def ours(model, folder):
  """Tokens and logits of the first window by us."""
  file = folder / "logits.safetensors"
  run(EXECUTABLE, "eval", "--model", model, "--eval", TEXT, "--sequence-length", 64, "--save-logits", file)
  found = load_file(file)
  return found["tokens"].long()[None].numpy(), found["logits"].numpy()


def theirs(backbone, ids):
  with torch.no_grad():
    states = backbone({"token_ids": ids, "padding_mask": numpy.ones_like(ids)})
    return backbone.token_embedding(states, reverse=True)[0].float().numpy()


def report(name, difference, limit):
  print(f"{name:42} largest difference {difference:.1e}", flush=True)
  if not difference <= limit:
    FAILED.append(name)


def report_rounding(name, found, expected, exact):
  """Layers of 8 bits: two roundings are as far apart as either is from the truth."""
  apart, error = (float(numpy.sqrt(numpy.mean((found - other) ** 2))) for other in (expected, exact))
  print(f"{name:42} apart {apart:.1e}, rounding itself {error:.1e}", flush=True)
  if not apart <= 1.5 * error:
    FAILED.append(name)


def randomize(backbone):
  generator = numpy.random.default_rng(1)
  for weight in backbone.weights:
    values = generator.standard_normal(weight.shape) * 0.15
    weight.assign(values + 1 if weight.path.endswith("scale") else values)
  return backbone


def read(folder):
  sizes = dict(vocabulary_size=1000, num_layers=3, num_query_heads=4, num_key_value_heads=2, hidden_dim=64, intermediate_dim=96)
  models = {
    "llama": lambda: LlamaBackbone(**sizes),
    "llama 3": lambda: LlamaBackbone(
      **sizes, rope_frequency_adjustment_factor=8.0, rope_low_freq_factor=1.0, rope_high_freq_factor=4.0,
      rope_pretraining_sequence_length=16),
    "mistral": lambda: MistralBackbone(**sizes, sliding_window=16, rope_scaling_factor=2.0),
  }
  sentencepiece.SentencePieceTrainer.train(
    input=TEXT, model_prefix=str(folder / "text"), model_type="bpe", vocab_size=1000, byte_fallback=True,
    normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
  lines = [line for line in Path(TEXT).read_text().split("\n") if line]
  pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "text.model"))
  for name, make in models.items():
    backbone = randomize(make())
    preset = folder / "preset"
    shutil.rmtree(preset, ignore_errors=True)
    backbone.save_to_preset(str(preset))
    assets = preset / "assets" / "tokenizer"
    assets.mkdir(parents=True)
    shutil.copy(folder / "text.model", assets / "vocabulary.spm")
    printed = subprocess.run(
      [EXECUTABLE, "tokenize", "--model", preset, "--no-special-tokens"], input="\n".join(lines), capture_output=True, text=True, check=True)
    tokens = [[int(word) for word in line.split()] for line in printed.stdout.split("\n")[: len(lines)]]
    if tokens != [pieces.encode(line) for line in lines]:
      FAILED.append("tokens of SentencePiece")
    ids, logits = ours(preset, folder)
    report(f"{name}: preset", numpy.abs(logits - theirs(backbone, ids)).max(), 1e-3)
    # An archive and a legacy file, in a folder of their own with the tokenizer beside them.
    beside = folder / "beside"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(preset / "assets", beside / "assets")
    task = LlamaCausalLM if isinstance(backbone, LlamaBackbone) else MistralCausalLM
    task(backbone).save(str(beside / "model.keras"))
    report(f"{name}: .keras", numpy.abs(ours(beside / "model.keras", folder)[1] - logits).max(), 0)
    backbone.save(str(beside / "legacy.h5"))
    report(f"{name}: legacy .h5", numpy.abs(ours(beside / "legacy.h5", folder)[1] - logits).max(), 0)
    # Back to KerasHub, as they are and with layers of 8 bits.
    for kind, command in {
      "converted": ["convert", "--format", "keras"],
      "int8": ["quant", "--bits", "8", "--format", "hdf5", "--no-eval"],
    }.items():
      output = folder / "out"
      shutil.rmtree(output, ignore_errors=True)
      run(EXECUTABLE, *command, "--model", preset, "--output", output, "--quiet")
      loaded = CausalLM.from_preset(str(output)).backbone
      mode = loaded.get_layer("transformer_layer_0")._feedforward_gate_dense.quantization_mode
      if mode != (None if kind == "converted" else "int8"):
        FAILED.append(f"{name}: {kind} is of mode {mode}")
      back = ours(output, folder)[1]
      if kind == "converted":
        report(f"{name}: converted, by KerasHub", numpy.abs(theirs(loaded, ids) - back).max(), 1e-3)
      else:
        report_rounding(f"{name}: int8, by KerasHub", back, theirs(loaded, ids), logits)
    # What KerasHub quantized itself, embedding and head too.
    backbone.quantize("int8")
    shutil.rmtree(preset)
    backbone.save_to_preset(str(preset))
    shutil.copytree(beside / "assets", preset / "assets")
    report_rounding(f"{name}: quantized by KerasHub", ours(preset, folder)[1], theirs(backbone, ids), logits)


def write(folder):
  """The demo for KerasHub: its own logits are those of the source."""
  ids, logits = ours(DEMO, folder)
  run(EXECUTABLE, "convert", "--format", "keras", "--model", DEMO, "--output", folder / "demo", "--quiet")
  backbone = CausalLM.from_preset(str(folder / "demo"), dtype="float32").backbone
  report("demo in KerasHub's layout", numpy.abs(theirs(backbone, ids) - logits).max(), 1e-3)
  run(EXECUTABLE, "quant", "--bits", 8, "--format", "keras", "--model", DEMO, "--output", folder / "demo-int8", "--no-eval", "--quiet")
  backbone = CausalLM.from_preset(str(folder / "demo-int8")).backbone
  policy = json.loads((folder / "demo-int8" / "config.json").read_text())["config"]["dtype"]["class_name"]
  report_rounding(f"demo int8 ({policy})", ours(folder / "demo-int8", folder)[1], theirs(backbone, ids), logits)


def main():
  keras.config.set_dtype_policy("float32")
  with tempfile.TemporaryDirectory() as folder:
    read(Path(folder))
    write(Path(folder))
  for name in FAILED:
    print(f"wrong: {name}")
  return 1 if FAILED else 0


if __name__ == "__main__":
  sys.exit(main())
