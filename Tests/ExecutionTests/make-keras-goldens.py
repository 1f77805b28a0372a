#!/usr/bin/env python3
"""Makes the truth of Keras's files, KerasFixtures/: tiny random models of KerasHub, saved in every way that it saves them.

  llama/          a preset, heads that share keys, Llama 3's scaling of positions
  llama-int8/     the same, quantized by Keras: embedding and head, too
  mistral-bf16/   a preset in bfloat16, a window
  tied-int8/      a preset in bfloat16 whose head is the embedding, quantized by Keras
  task.keras      llama in a task, as an archive
  legacy.h5       llama as a legacy file
  golden.safetensors   input_ids I64 [T]; `<name>` F32 [T, V]: the logits of each by KerasHub on PyTorch in float32

Run with keras 3.15.1, keras-hub 0.32.0, h5py 3.16.0 and torch 2.15: make-keras-goldens.py
"""

import os

os.environ["KERAS_BACKEND"] = "torch"
import json
import shutil
from pathlib import Path

import keras
import numpy
import torch
from keras_hub.models import LlamaBackbone, LlamaCausalLM, MistralBackbone
from safetensors.torch import save_file

ROOT = Path(__file__).parent / "KerasFixtures"
SIZES = dict(
  vocabulary_size=48, num_layers=2, num_query_heads=4, num_key_value_heads=2, hidden_dim=32, intermediate_dim=40, rope_max_wavelength=10000)
IDS = numpy.random.default_rng(5).integers(0, 48, (1, 29))


def randomized(model):
  """Weights large enough for every part to count."""
  generator = numpy.random.default_rng(3)
  for weight in model.weights:
    values = generator.standard_normal(weight.shape) * 0.25
    weight.assign(values + 1 if weight.path.endswith("scale") else values)
  return model


def logits(model):
  mask = numpy.ones_like(IDS)
  with torch.no_grad():
    states = model({"token_ids": IDS, "padding_mask": mask})
    return model.token_embedding(states, reverse=True)[0].float().contiguous()


def saved(model, name):
  model.save_to_preset(str(ROOT / name))
  (ROOT / name / "metadata.json").unlink()
  return model


def main():
  shutil.rmtree(ROOT, ignore_errors=True)
  ROOT.mkdir()
  golden = {"input_ids": torch.tensor(IDS[0])}
  llama = randomized(
    LlamaBackbone(
      **SIZES, layer_norm_epsilon=1e-5, rope_frequency_adjustment_factor=8.0, rope_low_freq_factor=1.0, rope_high_freq_factor=4.0,
      rope_pretraining_sequence_length=16))
  golden["llama"] = logits(saved(llama, "llama"))
  LlamaCausalLM(llama).save(str(ROOT / "task.keras"))
  llama.save(str(ROOT / "legacy.h5"))
  llama.quantize("int8")
  golden["llama-int8"] = logits(saved(llama, "llama-int8"))

  keras.config.set_dtype_policy("bfloat16")
  mistral = saved(randomized(MistralBackbone(**SIZES, sliding_window=7)), "mistral-bf16")
  tied = randomized(LlamaBackbone(**SIZES, tie_word_embeddings=True))
  tied.quantize("int8")
  saved(tied, "tied-int8")
  # Computed in float32 from what was saved, as everything here is.
  keras.config.set_dtype_policy("float32")
  golden["mistral-bf16"] = logits(MistralBackbone.from_preset(str(ROOT / "mistral-bf16"), dtype="float32"))
  settings = json.loads((ROOT / "tied-int8" / "config.json").read_text())["config"]
  policies = settings["dtype"]
  policies["config"]["default_policy"] = "float32"
  for policy in policies["config"]["policy_map"].values():
    policy["config"]["source_name"] = "float32"
  # KerasHub's own settings do not say that the head is the embedding.
  wide = LlamaBackbone(**SIZES, tie_word_embeddings=True, dtype=keras.dtype_policies.get(policies))
  wide.load_weights(str(ROOT / "tied-int8" / "model.weights.h5"))
  golden["tied-int8"] = logits(wide)
  save_file(golden, ROOT / "golden.safetensors")


if __name__ == "__main__":
  main()
