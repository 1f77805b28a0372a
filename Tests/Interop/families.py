#!/usr/bin/env python3
"""Mixtures of experts and encoders against transformers: logits, perplexity, states, and what loads of what we write.

  families.py EXECUTABLE DEMO TEXT

EXECUTABLE is deepseek-optimize, DEMO a model whose tokenizer the models get. Random models: DeepSeek-V2 (softmax routing), DeepSeek-V3 (sigmoid
routing, groups, correction), Qwen3-MoE, Mixtral; BERT, whose tokenizer is trained here. Of each mixture: perplexity by the same windows, logits of
the first; quantized to 8 and 4 bits, with experts and whole layers taken out, each loaded by transformers and compared again. Exit status 1 when
a perplexity differs by more than 0.05 %, a logit by more than 1e-3 of the largest, or an embedding by more than 1e-4.
"""

import argparse
import json
import logging
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402
from transformers import AutoModel, AutoModelForCausalLM  # noqa: E402

CONTEXT = 64
LATENT = dict(
  hidden_size=64, intermediate_size=96, moe_intermediate_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
  q_lora_rank=32, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, n_routed_experts=8, num_experts_per_tok=2,
  n_shared_experts=1, first_k_dense_replace=1, max_position_embeddings=256)
MIXED = dict(
  hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, num_experts_per_tok=2,
  max_position_embeddings=256)
FAMILIES = {
  "deepseek-v2": lambda v: transformers.DeepseekV2Config(
    vocab_size=v, topk_method="group_limited_greedy", n_group=4, topk_group=2, routed_scaling_factor=1.0, **LATENT),
  "deepseek-v3": lambda v: transformers.DeepseekV3Config(
    vocab_size=v, n_group=2, topk_group=1, routed_scaling_factor=2.5, norm_topk_prob=True, **LATENT),
  "qwen3-moe": lambda v: transformers.Qwen3MoeConfig(vocab_size=v, num_experts=8, moe_intermediate_size=32, head_dim=16, **MIXED),
  "mixtral": lambda v: transformers.MixtralConfig(vocab_size=v, num_local_experts=8, **MIXED),
}
WAYS = {
  "as it is": None,
  "8 bits": ["quant", "--bits", 8, "--no-eval"],
  "4 bits by role": ["quant", "--bits", 4, "--group-size", 16, "--mixed-precision", "roles", "--no-eval"],
  "4 of 8 experts": ["prune", "--experts", 0.5, "--no-eval"],
  "2 of 3 layers": ["prune", "--layers", 2, "--calibration", "TEXT", "--calibration-samples", 8, "--sequence-length", 32, "--no-eval"],
}
FAILED = []


def run(*command):
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(str(part) for part in command)}\nfailed: {result.stderr.strip()}")
  return result.stdout


def check(name, condition, text):
  print(f"{name:34} {text}", flush=True)
  if not condition:
    FAILED.append(name)


def perplexity(model, tokens):
  """By the windows that the product contract scores: whole ones, each alone."""
  total, count = 0.0, 0
  with torch.no_grad():
    for start in range(0, len(tokens) - CONTEXT + 1, CONTEXT):
      window = torch.tensor(tokens[start : start + CONTEXT])[None]
      loss = torch.nn.functional.cross_entropy(model(window).logits[0, :-1], window[0, 1:], reduction="sum")
      total, count = total + loss.item(), count + CONTEXT - 1
  return math.exp(total / count), count


def compare(name, executable, model, text, folder):
  logits, report = folder / "logits.safetensors", json.loads(
    run(executable, "eval", "--model", model, "--eval", text, "--sequence-length", CONTEXT, "--eval-tokens", 1500, "--json"))
  run(executable, "eval", "--model", model, "--eval", text, "--sequence-length", CONTEXT, "--save-logits", logits)
  found = load_file(logits)
  reference, loading = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, output_loading_info=True)
  with torch.no_grad():
    expected = reference.eval()(found["tokens"].long()[None]).logits[0]
  difference = float((expected - found["logits"]).abs().max() / expected.abs().max())
  ours = report["accuracy"].get("compressed") or report["accuracy"]["reference"]
  tokens = [int(word) for word in run(executable, "tokenize", "--model", model, "--file", text, "--whole").split()]
  windows = -(-report["accuracy"]["tokens"] // (CONTEXT - 1))
  theirs, count = perplexity(reference, tokens[: windows * CONTEXT])
  change = ours["perplexity"] / theirs - 1
  fits = not loading["missing_keys"] and not loading["unexpected_keys"] and not loading["mismatched_keys"]
  check(
    name, difference <= 1e-3 and abs(change) <= 5e-4 and fits and count == report["accuracy"]["tokens"],
    f"logits {difference:.1e}, perplexity {ours['perplexity']:.3f} ({change:+.5%}), {count} predictions")


def mixtures(executable, demo, text, folder):
  vocabulary = json.loads((demo / "config.json").read_text())["vocab_size"]
  for family, configuration in FAMILIES.items():
    torch.manual_seed(0)
    source = folder / family
    model = AutoModelForCausalLM.from_config(configuration(vocabulary))
    with torch.no_grad():
      for name, parameter in model.named_parameters():
        # Weights large enough that routing decides something, gains as trained models have them.
        if parameter.dim() == 1:
          torch.nn.init.uniform_(parameter, 0.5, 1.5)
        else:
          parameter.mul_(3)
      for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
          buffer.uniform_(-0.1, 0.1)
    model.save_pretrained(source)
    for file in ["tokenizer.json", "tokenizer_config.json"]:
      shutil.copy(demo / file, source)
    for way, command in WAYS.items():
      output = folder / "out"
      shutil.rmtree(output, ignore_errors=True)
      if command:
        command = [text if flag == "TEXT" else flag for flag in command]
        run(executable, *command, "--model", source, "--output", output, "--quiet")
      compare(f"{family}: {way}", executable, output if command else source, text, folder)


def encoders(executable, text, folder):
  lines = [line.strip() for line in Path(text).read_text().split("\n") if line.strip()][:200]
  tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
  tokenizer.normalizer = normalizers.BertNormalizer()
  tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
  tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=800, special_tokens=special, show_progress=False))
  tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
  torch.manual_seed(0)
  model = transformers.BertModel(
    transformers.BertConfig(
      vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128,
      max_position_embeddings=96))
  with torch.no_grad():
    for name, parameter in model.named_parameters():
      parameter.mul_(3) if parameter.dim() > 1 else parameter.add_(torch.randn_like(parameter) * 0.1)
  source = folder / "bert"
  model.save_pretrained(source)
  tokenizer.save(str(source / "tokenizer.json"))
  sentences = folder / "lines.txt"
  sentences.write_text("\n".join(lines) + "\n")
  for way, output in (("as it is", source), ("8 bits", folder / "bert-int8")):
    if output != source:
      run(executable, "quant", "--bits", 8, "--model", source, "--output", output, "--eval", sentences, "--quiet")
      cosine = json.loads((output / "report.json").read_text())["embeddings"]["meanCosine"]
      check("bert: 8 bits", cosine >= 0.999, f"mean cosine {cosine:.6f}")
    saved = folder / "embeddings.safetensors"
    run(executable, "eval", "--model", output, "--eval", sentences, "--save-embeddings", saved)
    ours = load_file(saved)["embeddings"]
    reference = AutoModel.from_pretrained(output, dtype=torch.float32).eval()
    theirs = []
    with torch.no_grad():
      for line in lines[: len(ours)]:
        ids = tokenizer.encode(line).ids
        ids = ids if len(ids) <= 96 else ids[:95] + ids[-1:]
        theirs.append(reference(torch.tensor(ids)[None]).last_hidden_state[0].mean(0))
    difference = float((torch.stack(theirs) - ours).abs().max())
    check(f"bert: {way}", difference <= 1e-4, f"{len(ours)} embeddings, largest difference {difference:.1e}")


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable")
  parser.add_argument("demo", type=Path)
  parser.add_argument("text")
  arguments = parser.parse_args()
  logging.disable(logging.WARNING)
  with tempfile.TemporaryDirectory() as folder:
    mixtures(arguments.executable, arguments.demo, arguments.text, Path(folder))
    encoders(arguments.executable, arguments.text, Path(folder))
  for name in FAILED:
    print(f"wrong: {name}")
  return 1 if FAILED else 0


if __name__ == "__main__":
  sys.exit(main())
