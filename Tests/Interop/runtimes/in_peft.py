"""Adapters by peft, beside a base that transformers loads."""

from importlib import metadata

import torch
from in_transformers import load
from peft import PeftModel


def versions():
  return {"peft": metadata.version("peft")}


@torch.no_grad()
def logits(model, windows):
  net = PeftModel.from_pretrained(load(model["base"]), model["adapter"]).eval()
  for window in windows:
    yield net(torch.tensor(window)[None], use_cache=False).logits[0].float().numpy()
