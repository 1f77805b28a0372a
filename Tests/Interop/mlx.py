#!/usr/bin/env python3
"""Does mlx-lm load what we write in MLX's layout, and do we read what it writes, with the same logits and perplexity?

  mlx.py EXECUTABLE TEXT MODEL...

EXECUTABLE is deepseek-optimize, TEXT what is scored, each MODEL a directory. Of each: several widths and methods in MLX's layout, and what mlx-lm
itself makes of it at 4 bits; then random models of every family that both have, written by mlx-lm, with experts in one tensor. mlx-lm computes
on the CPU in float32. Exit status 1 when a perplexity differs by more than 0.05 %, or a logit by more than 1e-3 of the largest.
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library
sys.path = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]  # nor this file for mlx

import mlx.core as mx  # noqa: E402
import mlx.nn as nn  # noqa: E402
import numpy  # noqa: E402
from mlx.utils import tree_flatten  # noqa: E402
from mlx_lm.models import deepseek_v2, deepseek_v3, llama, mixtral, qwen2, qwen3, qwen3_moe  # noqa: E402
from mlx_lm.utils import load_model, quantize_model, save_config, save_model  # noqa: E402

EXECUTABLE, TEXT, MODELS = sys.argv[1], sys.argv[2], [Path(name) for name in sys.argv[3:]]
CONTEXT, TOKENS = 128, 4096
FAILED = []
WAYS = {
  "8 bits asymmetric": ["--bits", 8, "--method", "asymmetric"],
  "4 bits asymmetric": ["--bits", 4, "--method", "asymmetric"],
  "3 bits asymmetric": ["--bits", 3, "--method", "asymmetric"],
  "4 bits symmetric": ["--bits", 4, "--group-size", 32],
  "4 and 6 bits asymmetric, head 8": [
    "--bits", 4, "--method", "asymmetric", "--override", "re:.*down_proj=bits:6,group-size:32", "--override", "lm_head=bits:8"],
}


def run(*command):
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(str(part) for part in command)}\nfailed: {result.stderr.strip()}")
  return result.stdout


def in_float32(model):
  net, _ = load_model(model)
  net.set_dtype(mx.float32)
  return net


def perplexity(net, tokens):
  """By the windows that the product contract scores: whole ones, each alone."""
  total, count = 0.0, 0
  for start in range(0, len(tokens) - CONTEXT + 1, CONTEXT):
    window = mx.array(tokens[start : start + CONTEXT])
    total += nn.losses.cross_entropy(net(window[None])[0, :-1], window[1:], reduction="sum").item()
    count += CONTEXT - 1
  return math.exp(total / count), count


def compare(name, model, folder, beside=None):
  logits = folder / "logits.safetensors"
  flags = ["--model", model, "--eval", TEXT, "--sequence-length", CONTEXT]
  report = json.loads(run(EXECUTABLE, "eval", *flags, "--eval-tokens", TOKENS, "--json"))
  run(EXECUTABLE, "eval", *flags, "--save-logits", logits)
  found, net = mx.load(str(logits)), in_float32(model)
  expected = net(found["tokens"].astype(mx.int32)[None])[0]
  difference = (mx.abs(expected - found["logits"]).max() / mx.abs(expected).max()).item()
  ours = report["accuracy"].get("compressed") or report["accuracy"]["reference"]
  tokens = [int(word) for word in run(EXECUTABLE, "tokenize", "--model", model, "--file", TEXT, "--whole").split()]
  windows = -(-report["accuracy"]["tokens"] // (CONTEXT - 1))
  theirs, count = perplexity(net, tokens[: windows * CONTEXT])
  change = ours["perplexity"] / theirs - 1
  rise = f", {ours['perplexity'] / beside - 1:+.3%} beside the source" if beside else ""
  print(f"{name:48} logits {difference:.1e}, perplexity {ours['perplexity']:.4f} ({change:+.5%} of mlx-lm's){rise}", flush=True)
  if not (difference <= 1e-3 and abs(change) <= 5e-4 and count == report["accuracy"]["tokens"]):
    FAILED.append(name)
  return ours["perplexity"]


def quantize(model, output, *flags):
  shutil.rmtree(output, ignore_errors=True)
  run(EXECUTABLE, "quant", "--model", model, "--output", output, "--format", "mlx", "--no-eval", "--quiet", *flags)


def theirs_of(model, output, bits=4, choose=None):
  """What mlx-lm makes of a model."""
  shutil.rmtree(output, ignore_errors=True)
  net, config = load_model(model)
  net, config = quantize_model(net, config, 64, bits, quant_predicate=choose)
  save_model(output, net)
  save_config(config, output / "config.json")
  for name in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(model / name, output)


def check(model, folder):
  source = folder / "source"
  shutil.rmtree(source, ignore_errors=True)
  # mlx-lm reads the older names of settings, which a dense copy in its layout has.
  run(EXECUTABLE, "convert", "--model", model, "--format", "mlx", "--output", source, "--quiet")
  dense = compare(f"{model.name}: dense", source, folder)
  for way, flags in WAYS.items():
    quantize(model, folder / "out", *flags)
    compare(f"{model.name}: {way}", folder / "out", folder, dense)
  for bits in (8, 4, 3):
    theirs_of(source, folder / "out", bits, lambda path, layer: "layers" in path and "kv_b" not in path and "embed_q" not in path
              and "unembed_out" not in path and not path.endswith("mlp.gate"))
    compare(f"{model.name}: mlx-lm's own {bits} bits", folder / "out", folder, dense)
  theirs_of(source, folder / "out")
  compare(f"{model.name}: mlx-lm's own 4 bits, all layers", folder / "out", folder, dense)


COMMON = dict(
  hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
  rms_norm_eps=1e-6, rope_theta=20000.0, tie_word_embeddings=False, hidden_act="silu", attention_bias=False, mlp_bias=False)
EXPERTS = dict(COMMON, moe_intermediate_size=64, num_experts_per_tok=2, norm_topk_prob=True)
LATENT = dict(
  EXPERTS, num_key_value_heads=4, kv_lora_rank=64, q_lora_rank=64, qk_rope_head_dim=16, v_head_dim=64, qk_nope_head_dim=64, n_routed_experts=8,
  n_shared_experts=1, n_group=2, topk_group=1, routed_scaling_factor=2.5, first_k_dense_replace=1, moe_layer_freq=1)
YARN = {
  "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}
FAMILIES = {
  "llama": (llama, COMMON),
  "mistral": (llama, COMMON),
  "qwen2, tied": (qwen2, dict(COMMON, tie_word_embeddings=True)),
  "qwen3": (qwen3, dict(COMMON, head_dim=32)),
  "mixtral": (mixtral, dict(COMMON, num_local_experts=4, num_experts_per_tok=2)),
  "qwen3_moe": (qwen3_moe, dict(EXPERTS, head_dim=32, num_experts=4, decoder_sparse_step=1, mlp_only_layers=[])),
  "deepseek_v2": (deepseek_v2, dict(LATENT, topk_method="group_limited_greedy", scoring_func="softmax", norm_topk_prob=False, rope_scaling=YARN)),
  "deepseek_v3": (deepseek_v3, dict(LATENT, topk_method="noaux_tc", scoring_func="sigmoid", rope_scaling=YARN)),
}


def families(tokenizer, folder):
  random = numpy.random.default_rng(0)
  vocabulary = json.loads((tokenizer / "config.json").read_text())["vocab_size"]
  for name, (module, settings) in FAMILIES.items():
    config = dict(settings, vocab_size=vocabulary, model_type=name.split(",")[0], dtype="bfloat16")
    net = module.Model(module.ModelArgs.from_dict(config))
    weights = []
    for key, value in tree_flatten(net.parameters()):
      spread = 0.1 if value.ndim == 1 else 3 / math.sqrt(value.shape[-1])
      numbers = random.standard_normal(value.shape) * spread + (1 if key.endswith("norm.weight") else 0)
      weights.append((key, mx.array(numbers.astype(numpy.float32)).astype(mx.bfloat16)))
    net.load_weights(weights)
    source = folder / "family"
    shutil.rmtree(source, ignore_errors=True)
    save_model(source, net)
    save_config(config, source / "config.json")
    for file in ("tokenizer.json", "tokenizer_config.json"):
      shutil.copy(tokenizer / file, source)
    compare(f"{name}: dense", source, folder)
    quantize(source, folder / "out", "--bits", 4, "--method", "asymmetric")
    compare(f"{name}: 4 bits", folder / "out", folder)
    theirs_of(source, folder / "theirs")
    compare(f"{name}: mlx-lm's own 4 bits", folder / "theirs", folder)
    shutil.rmtree(folder / "out")
    run(EXECUTABLE, "convert", "--model", folder / "theirs", "--format", "mlx", "--output", folder / "out", "--quiet")
    compare(f"{name}: mlx-lm's own, written again", folder / "out", folder)


def main():
  mx.set_default_device(mx.cpu)
  with tempfile.TemporaryDirectory() as folder:
    for model in MODELS:
      check(model, Path(folder))
    families(MODELS[0], Path(folder))
  for name in FAILED:
    print(f"wrong: {name}")
  return 1 if FAILED else 0


if __name__ == "__main__":
  sys.exit(main())
