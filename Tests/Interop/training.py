#!/usr/bin/env python3
"""Trains a model in PyTorch and with deepseek-finetune, on the same tokens in the same order, and compares.

  training.py EXECUTABLE MODEL TEXT [--steps 300] [--batch 16] [--context 256] [--scratch] [--speed-only]

EXECUTABLE is deepseek-finetune. The text is tokenized once; both sides get windows of --context tokens, --batch a step, in the order of the
text, AdamW (1e-3 with --scratch, 2e-5 without, weight decay 0.01 on matrices, clipping at 1, cosine after a 5 % warm-up). With --scratch both start
from the same random weights. Prints the losses and their relative difference, smoothed over 10 steps; exit status 1 above 1 %.
With --speed-only: tokens per second of full training and of LoRA (rank 16 on q, k, v), float32 and bfloat16, one after the other, twice;
exit status 1 where the slower of ours is behind the faster of PyTorch's.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(sys.path.pop(0))  # our tokenizers.py, beside this file, must not stand in for the library

import torch  # noqa: E402
import transformers  # noqa: E402


def windows(model, text, context, count):
  tokenizer = transformers.AutoTokenizer.from_pretrained(model)
  ids = tokenizer(Path(text).read_text(encoding="utf-8")[: context * count * 12])["input_ids"]
  result = [ids[start:start + context] for start in range(0, len(ids) - context + 1, context)]
  if len(result) < count:
    sys.exit(f"{text} has {len(result)} windows, {count} are needed")
  return result[:count]


def groups(model):
  matrices = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
  vectors = [p for p in model.parameters() if p.requires_grad and p.dim() == 1]
  return [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]


def rate(step, steps, peak, warmup, floor=0.1):
  if step < warmup:
    return peak * (step + 1) / warmup
  progress = (step - warmup) / max(1, steps - warmup)
  return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def train(model, batches, peak, bfloat16=False):
  """Losses before each step, and the seconds of each."""
  optimizer = torch.optim.AdamW(groups(model), betas=(0.9, 0.999), eps=1e-8)
  trained = [p for p in model.parameters() if p.requires_grad]
  warmup = round(0.05 * len(batches))
  losses, seconds = [], []
  for step, batch in enumerate(batches):
    for group in optimizer.param_groups:
      group["lr"] = rate(step, len(batches), peak, warmup)
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
      loss = model(input_ids=batch, labels=batch, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
    seconds.append(time.perf_counter() - start)
  return losses, seconds


def load(directory):
  return transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).train()


def adapted(model):
  import peft
  return peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "k_proj", "v_proj"]))


def ours(executable, model, data, output, arguments, flags):
  run = subprocess.run(
    [executable, "--model", model, "--data", data, "--output", output, "--overwrite", "--held-out", "0", "--no-shuffle", "--quiet", "--json",
     "--sequence-length", str(arguments.context), "--batch-size", str(arguments.batch), "--steps", str(arguments.steps), *flags],
    capture_output=True, text=True)
  if run.returncode != 0:
    sys.exit(f"deepseek-finetune failed: {run.stderr.strip()}")
  return json.loads(run.stdout)["training"]


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("executable")
  parser.add_argument("model")
  parser.add_argument("text")
  parser.add_argument("--steps", type=int, default=300)
  parser.add_argument("--batch", type=int, default=16)
  parser.add_argument("--context", type=int, default=256)
  parser.add_argument("--threads", type=int, default=torch.get_num_threads())
  parser.add_argument("--scratch", action="store_true")
  parser.add_argument("--speed-only", action="store_true")
  arguments = parser.parse_args()
  torch.set_num_threads(arguments.threads)
  torch.manual_seed(0)
  rows = windows(arguments.model, arguments.text, arguments.context, arguments.steps * arguments.batch)
  batches = torch.tensor(rows).reshape(arguments.steps, arguments.batch, arguments.context)
  with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    data = folder / "tokens.jsonl"
    data.write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in rows))
    sys.exit(speed(arguments, folder, data, batches) if arguments.speed_only else curve(arguments, folder, data, batches))


def curve(arguments, folder, data, batches):
  start, peak = Path(arguments.model), 2e-5
  if arguments.scratch:
    start, peak = folder / "start", 1e-3
    config = transformers.AutoConfig.from_pretrained(arguments.model)
    transformers.AutoModelForCausalLM.from_config(config).to(torch.float32).save_pretrained(start)
    transformers.AutoTokenizer.from_pretrained(arguments.model).save_pretrained(start)
  expected, _ = train(load(start), batches, peak)
  found = ours(
    arguments.executable, str(start), str(data), str(folder / "out"), arguments, ["--method", "full", "--learning-rate", str(peak)])
  found = [point["loss"] for point in found["losses"]]
  assert len(found) == len(expected)
  print("step     PyTorch        ours   difference, mean of 10 steps")
  worst = 0.0
  for begin in range(0, len(expected) - 9, 10):
    theirs, mine = sum(expected[begin:begin + 10]) / 10, sum(found[begin:begin + 10]) / 10
    difference = mine / theirs - 1
    worst = max(worst, abs(difference))
    print(f"{begin:4}  {theirs:10.5f}  {mine:10.5f}   {100 * difference:+.4f} %")
  single = max(abs(b / a - 1) for a, b in zip(expected, found))
  print(f"largest difference {100 * worst:.4f} %, of a single step {100 * single:.4f} %")
  return 0 if worst <= 0.01 else 1


def speed(arguments, folder, data, batches):
  failed = 0
  tokens = arguments.batch * arguments.context
  print("training           PyTorch, tokens/s        ours, tokens/s      ratio")
  for method in ["full", "lora"]:
    for precision in ["float32", "bfloat16"]:
      theirs, mine = [], []
      for _ in range(2):
        model = load(arguments.model)
        if method == "lora":
          model = adapted(model)
        _, seconds = train(model, batches, 2e-5, precision == "bfloat16")
        # The first steps warm up.
        theirs.append(tokens * (len(seconds) - 2) / sum(seconds[2:]))
        report = ours(
          arguments.executable, arguments.model, str(data), str(folder / "out"), arguments,
          ["--method", method, "--precision", precision, "--keep-activations", "--threads", str(arguments.threads)])
        mine.append(report["tokensPerSecond"])
      ratio = min(mine) / max(theirs)
      failed += ratio < 1
      show = lambda values: " ".join(f"{value:9.0f}" for value in values)
      print(f"{method} {precision:9} {show(theirs)}   {show(mine)}   {ratio:6.2f}", flush=True)
  return 1 if failed else 0


if __name__ == "__main__":
  main()
