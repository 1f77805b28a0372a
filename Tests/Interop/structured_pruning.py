#!/usr/bin/env python3
"""Prunes a model by the L1 norm of weights, without repair, with torch-pruning and with ours, and compares perplexities as our evaluation has them.

  structured_pruning.py EXECUTABLE MODEL TEXT [--tokens N] [--context N]

EXECUTABLE is deepseek-optimize, MODEL a Llama with float weights. Exit status 1 where our perplexity is higher by more than 0.01 %: the same
channels give the same perplexity. Needs torch-pruning (1.6.1 was used) beside requirements.txt.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import torch  # noqa: E402
import torch_pruning  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402


def run(*command):
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(str(part) for part in command)}\nfailed: {result.stderr.strip()}")
  return result.stdout


class ResidualNorm(torch_pruning.pruner.BasePruningFunc):
  """RMSNorm of transformers: one gain a feature."""

  def prune_out_channels(self, layer, indices):
    kept = [i for i in range(layer.weight.numel()) if i not in set(indices)]
    layer.weight = torch.nn.Parameter(layer.weight.detach()[kept])
    return layer

  prune_in_channels = prune_out_channels

  def get_out_channels(self, layer):
    return layer.weight.numel()

  get_in_channels = get_out_channels


def pruned_by_torch(source, kind, ratio, folder):
  model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
  config = model.config
  importance = torch_pruning.importance.GroupMagnitudeImportance(p=1, group_reduction="mean", normalizer=None)
  heads = {}
  ratios, ignored = {}, [model.lm_head]
  for layer in model.model.layers:
    attention = layer.self_attn
    if kind == "mlp":
      ratios[layer.mlp.gate_proj] = ratios[layer.mlp.up_proj] = ratio
      ignored += [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj, layer.mlp.down_proj]
    else:
      ignored += [attention.q_proj, attention.k_proj, attention.v_proj, layer.mlp.gate_proj, layer.mlp.up_proj]
  norms = {type(model.model.norm): ResidualNorm()}
  pruner = torch_pruning.pruner.BasePruner(
    model, torch.arange(1, 9)[None], importance, pruning_ratio=ratio if kind == "hidden" else 0.0, pruning_ratio_dict=ratios,
    ignored_layers=ignored, num_heads=heads, customized_pruners=norms, round_to=16 if kind == "hidden" else None,
    root_module_types=[torch.nn.Linear, torch.nn.Embedding],
    forward_fn=lambda model, tokens: model(tokens, use_cache=False), output_transform=lambda out: out.logits.sum())
  pruner.step()
  config.intermediate_size = model.model.layers[0].mlp.gate_proj.out_features
  config.hidden_size = model.model.embed_tokens.weight.shape[1]
  config.head_dim = model.model.layers[0].self_attn.head_dim
  output = folder / "torch"
  shutil.rmtree(output, ignore_errors=True)
  model.to(torch.bfloat16).save_pretrained(output)
  for name in ["tokenizer.json", "tokenizer_config.json"]:
    shutil.copy(Path(source) / name, output / name)
  return output, config


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable")
  parser.add_argument("model")
  parser.add_argument("text")
  parser.add_argument("--tokens", type=int, default=20480)
  parser.add_argument("--context", type=int, default=256)
  options = parser.parse_args()
  measuring = ["--eval", options.text, "--eval-tokens", options.tokens, "--sequence-length", options.context]
  failed = False
  with tempfile.TemporaryDirectory() as place:
    folder = Path(place)
    for kind in ["mlp", "hidden"]:
      for ratio in [0.1, 0.2, 0.3, 0.5]:
        theirs, config = pruned_by_torch(options.model, kind, ratio, folder)
        flags = measuring + ["--reference", options.model, "--json", "--quiet"]
        their = json.loads(run(options.executable, "eval", "--model", theirs, *flags))
        size = config.intermediate_size if kind == "mlp" else config.hidden_size
        # The share that leaves as many as theirs, whichever way each rounds.
        source = json.loads((Path(options.model) / "config.json").read_text())
        whole = source["intermediate_size" if kind == "mlp" else "hidden_size"]
        out = run(
          options.executable, "prune", "--model", options.model, "--output", folder / "ours", f"--{kind}", 1 - size / whole,
          "--multiple", 1, "--overwrite", "--json", "--quiet", *measuring)
        our = json.loads(out)
        a, b = (report["accuracy"]["compressed"]["perplexity"] for report in (their, our))
        verdict = "" if b <= a * 1.0001 else "  WORSE"
        failed |= bool(verdict)
        print(f"{kind} {ratio}: {size} of {whole} stay; perplexity torch-pruning {a:.4f}, ours {b:.4f}{verdict}", flush=True)
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
