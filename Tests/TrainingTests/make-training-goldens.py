#!/usr/bin/env python3
"""Makes TrainingFixtures/optimizer.json with PyTorch on the CPU: what AdamW, clipping and schedules do.

  make-training-goldens.py

  adamw       values before, gradients of every step, values after every step, for two settings
  clip        gradients and what clip_grad_norm_ leaves of them
  schedules   learning rates of every step
"""

import json
import platform
from pathlib import Path

import torch


def adamw(seed, **settings):
  generator = torch.Generator().manual_seed(seed)
  values = torch.nn.Parameter(torch.randn(90, generator=generator))
  optimizer = torch.optim.AdamW([values], foreach=False, fused=False, **settings)
  case = {"settings": settings, "before": values.tolist(), "gradients": [], "after": []}
  for step in range(6):
    values.grad = torch.randn(90, generator=generator) * 10.0 ** -step
    case["gradients"].append(values.grad.tolist())
    optimizer.step()
    case["after"].append(values.tolist())
  return case


def clip(seed, limit):
  generator = torch.Generator().manual_seed(seed)
  parts = [torch.nn.Parameter(torch.zeros(5)), torch.nn.Parameter(torch.zeros(3, 2))]
  for part in parts:
    part.grad = torch.randn(part.shape, generator=generator)
  before = [part.grad.flatten().tolist() for part in parts]
  norm = torch.nn.utils.clip_grad_norm_(parts, limit)
  return {"limit": limit, "before": before, "norm": norm.item(), "after": [part.grad.flatten().tolist() for part in parts]}


def rates(make, steps):
  optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
  schedule = make(optimizer)
  result = []
  for _ in range(steps):
    result.append(optimizer.param_groups[0]["lr"])
    optimizer.step()
    schedule.step()
  return result


def main():
  schedules = torch.optim.lr_scheduler
  warm = lambda o: schedules.LinearLR(o, start_factor=1 / 8, end_factor=1, total_iters=7)
  behind = lambda o, s: schedules.SequentialLR(o, [warm(o), s], milestones=[8])
  golden = {
    "versions": {"python": platform.python_version(), "torch": torch.__version__},
    "adamw": [
      adamw(1, lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01),
      adamw(2, lr=0.003, betas=(0.85, 0.95), eps=1e-6, weight_decay=0.0),
    ],
    "clip": [clip(3, 1.0), clip(4, 100.0)],
    "schedules": {
      "cosine": rates(lambda o: schedules.CosineAnnealingLR(o, T_max=40), 40),
      "cosine with a floor": rates(lambda o: schedules.CosineAnnealingLR(o, T_max=40, eta_min=0.03), 40),
      "warm restarts": rates(lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=10), 30),
      "growing restarts": rates(lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=2), 70),
      "linear": rates(lambda o: schedules.LinearLR(o, start_factor=1, end_factor=1e-12, total_iters=40), 40),
      "warm-up, cosine": rates(lambda o: behind(o, schedules.CosineAnnealingLR(o, T_max=40)), 48),
    },
  }
  target = Path(__file__).resolve().parent / "TrainingFixtures" / "optimizer.json"
  text = json.dumps(golden, separators=(",", ":"))
  target.write_text(text + "\n")


if __name__ == "__main__":
  main()
