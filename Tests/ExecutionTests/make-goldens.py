#!/usr/bin/env python3
"""Makes the truth of the forward pass, Fixtures/, with PyTorch and transformers on the CPU in f32.

  make-goldens.py [--demo DIR] [--wiki DIR --wiki-text FILE] [--output DIR]

  Fixtures/<case>/   config.json, model.safetensors (a tiny random model, see golden_models.py) and golden.safetensors:
                     input_ids I64 [2, T], positions I64 [P], logits F32 [2, P, V] (the logits at those positions of each row).
                     config.legacy.json, where there is one, is the same model as transformers 4 spelled it.
  Fixtures/demo.safetensors         of the model that ships (--demo: the folder of its model/ and evaluation.txt):
                     input_ids I64 [2, 64], positions, logits F32 [2, P, V], nll F32 [2, 63];
                     greedy.<i>.prompt I64 [n], greedy.<i>.output I64 [32] (new tokens only), greedy.<i>.margin F32 [32].
  Fixtures/wiki-llama.safetensors   of a larger model that is not committed (--wiki):
                     input_ids I64 [1, 256], positions, logits F32 [1, P, V], nll F32 [1, 255].
  Fixtures/goldens.json             versions; for every case what its feature is worth in logits ("sensitivity") and how far
                     the f32 values are from a float64 run ("rounding"); perplexities of both trained models over their texts.

Negative log-likelihoods are in nats: entry i of a window scores token i + 1 given tokens 0...i. Run it again after changing a
case; with the versions in goldens.json the tiny models come out byte for byte the same.
"""

import argparse
import copy
import hashlib
import json
import math
import platform
import shutil
from pathlib import Path

import numpy
import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

import golden_models
from golden_models import CASES, POSITIONS, TOKENS, VOCABULARY

CLEAR_MARGIN = 0.05  # logits; prompts whose every choice leads by this much, so that bf16 rounding cannot flip one


def write_json(path, value):
  path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@torch.no_grad()
def logits_of(model, ids):
  return model(ids, use_cache=False).logits


def sha256(data):
  return hashlib.sha256(data).hexdigest()


# The tiny models


def altered(case, directory, changes):
  """The model of `directory` with another configuration: what a reader that misses a feature would compute."""
  config = AutoConfig.from_pretrained(directory)
  values = {**config.to_dict(), **changes}
  values = {key: value for key, value in values.items() if not (key == "layer_types" and value is None)}
  return golden_models.load(directory, config=type(case.config)(**values))


def make_case(case, seed, root):
  directory = root / case.name
  shutil.rmtree(directory, ignore_errors=True)
  directory.mkdir(parents=True)
  model = AutoModelForCausalLM.from_config(copy.deepcopy(case.config), dtype=torch.float32)
  golden_models.randomize(model, seed, case.dtype)
  model.to(case.dtype).save_pretrained(directory)
  (directory / "generation_config.json").unlink(missing_ok=True)

  generator = torch.Generator().manual_seed(1000 + seed)
  ids = torch.randint(0, VOCABULARY, (2, TOKENS), generator=generator)
  logits = logits_of(golden_models.load(directory), ids)

  if case.legacy:
    new = json.loads((directory / "config.json").read_text())
    old = golden_models.legacy_config(new, case)
    write_json(directory / "config.json", old)
    if not torch.equal(logits, logits_of(golden_models.load(directory), ids)):
      raise SystemExit(f"{case.name}: the old spelling of the configuration is another model")
    if case.legacy == "beside":
      write_json(directory / "config.legacy.json", old)
      write_json(directory / "config.json", new)

  rounding = (logits_of(golden_models.load(directory).double(), ids) - logits).abs().max().item()
  sensitivity = {}
  for feature, changes in case.without.items():
    sensitivity[feature] = (logits_of(altered(case, directory, changes), ids) - logits)[:, POSITIONS].abs().max().item()
    if sensitivity[feature] < 1000 * rounding:
      raise SystemExit(f"{case.name}: without its {feature} the logits move by only {sensitivity[feature]:.2g}")

  save_file({
    "input_ids": ids, "positions": torch.tensor(POSITIONS), "logits": logits[:, POSITIONS].contiguous(),
  }, directory / "golden.safetensors")
  return {
    "storage": str(case.dtype).removeprefix("torch."), "largestLogit": round(logits.abs().max().item(), 4),
    "rounding": float(f"{rounding:.3g}"), "sensitivity": {key: round(value, 4) for key, value in sensitivity.items()},
  }


# The trained models


def token_stream(directory, text):
  """The whole text tokenized once, special tokens as the post-processor says. Newlines stay as they are in the file."""
  content = Path(text).read_bytes().decode("utf-8")
  return Tokenizer.from_file(str(Path(directory) / "tokenizer.json")).encode(content).ids


def negative_log_likelihoods(logits, ids):
  log_probabilities = torch.log_softmax(logits[:, :-1].double(), dim=-1)
  return -log_probabilities.gather(2, ids[:, 1:, None])[..., 0]


def perplexity(model, stream, context, windows):
  total = 0.0
  for window in range(windows):
    ids = torch.tensor([stream[window * context:(window + 1) * context]])
    total += negative_log_likelihoods(logits_of(model, ids), ids).sum().item()
  predictions = windows * (context - 1)
  return {"context": context, "windows": windows, "tokens": predictions, "perplexity": math.exp(total / predictions)}


def greedy(model, prompt, count):
  """`count` new tokens by transformers' own generation, and the lead of each over the runner-up in logits."""
  output = model.generate(
    prompt, attention_mask=torch.ones_like(prompt), do_sample=False, num_beams=1, min_new_tokens=count, max_new_tokens=count,
    output_logits=True, return_dict_in_generate=True)
  top = torch.stack([step[0].topk(2).values for step in output.logits])
  tokens = output.sequences[0, prompt.shape[1]:]
  if any(step[0].argmax().item() != token for step, token in zip(output.logits, tokens)):
    raise SystemExit("greedy generation left the likeliest token: choose other prompts")
  return tokens.contiguous(), (top[:, 0] - top[:, 1]).contiguous()


def identity(directory, text, stream):
  """What was scored: hashes of the weights, of the text and of its ids as little-endian 32-bit integers."""
  return {
    "modelSHA256": sha256((Path(directory) / "model.safetensors").read_bytes()), "textSHA256": sha256(Path(text).read_bytes()),
    "streamTokens": len(stream), "streamSHA256": sha256(numpy.array(stream, dtype="<i4").tobytes()),
  }


def make_demo(folder, root):
  directory, text = folder / "model", folder / "evaluation.txt"
  model = golden_models.load(directory)
  stream = token_stream(directory, text)
  start = stream[0]
  ids = torch.tensor([stream[:64], stream[6000:6064]])
  positions = [0, 1, 31, 63]
  logits = logits_of(model, ids)
  tensors = {
    "input_ids": ids, "positions": torch.tensor(positions), "logits": logits[:, positions].contiguous(),
    "nll": negative_log_likelihoods(logits, ids).float(),
  }
  margins = []
  for begin in range(100, len(stream), 250):
    prompt = torch.tensor([[start] + stream[begin:begin + 6 + 5 * len(margins)]])
    output, margin = greedy(model, prompt, 32)
    if margin.min() < CLEAR_MARGIN:
      continue
    name = f"greedy.{len(margins)}"
    tensors |= {f"{name}.prompt": prompt[0], f"{name}.output": output, f"{name}.margin": margin}
    margins.append(round(margin.min().item(), 5))
    if len(margins) == 3:
      break
  save_file(tensors, root / "demo.safetensors")
  return {
    **identity(directory, text, stream), "smallestGreedyMargins": margins,
    "scores": [perplexity(model, stream, context, len(stream) // context) for context in (256, 512)],
  }


def make_wiki(directory, text, root):
  model = golden_models.load(directory)
  stream = token_stream(directory, text)
  ids = torch.tensor([stream[:256]])
  positions = [0, 1, 7, 63, 127, 128, 200, 255]
  logits = logits_of(model, ids)
  save_file({
    "input_ids": ids, "positions": torch.tensor(positions), "logits": logits[:, positions].contiguous(),
    "nll": negative_log_likelihoods(logits, ids).float(),
  }, root / "wiki-llama.safetensors")
  return {
    **identity(directory, text, stream),
    "scores": [perplexity(model, stream, context, windows) for context, windows in ((256, 50), (512, 50), (256, 200))],
  }


def main():
  here = Path(__file__).resolve().parent
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--demo", type=Path, default=here.parents[1] / "Sources/Recipes/Demo")
  parser.add_argument("--wiki", help="directory of wiki-llama; without it what is recorded of it stays")
  parser.add_argument("--wiki-text", help="UTF-8 text that wiki-llama is scored on")
  parser.add_argument("--output", type=Path, default=here / "Fixtures")
  arguments = parser.parse_args()
  if arguments.wiki and not arguments.wiki_text:
    parser.error("--wiki needs --wiki-text")

  transformers.utils.logging.disable_progress_bar()
  torch.set_num_threads(1)  # one order of summation
  root = arguments.output
  root.mkdir(parents=True, exist_ok=True)
  manifest = root / "goldens.json"
  record = json.loads(manifest.read_text()) if manifest.exists() else {}
  record["versions"] = {
    "python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
    "tokenizers": tokenizers.__version__, "safetensors": safetensors.__version__, "numpy": numpy.__version__,
  }
  record["models"] = {case.name: make_case(case, seed, root) for seed, case in enumerate(CASES, start=1)}
  record["demo"] = make_demo(arguments.demo, root)
  if arguments.wiki:
    record["wiki-llama"] = make_wiki(arguments.wiki, arguments.wiki_text, root)
  write_json(manifest, record)


if __name__ == "__main__":
  main()
