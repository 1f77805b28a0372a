"""KerasHub over PyTorch, in float32."""

from importlib import metadata

import keras
import numpy
import torch
from keras_hub.models import CausalLM


def versions():
  return {name: metadata.version(name) for name in ("keras", "keras-hub")}


@torch.no_grad()
def logits(model, windows):
  keras.config.set_dtype_policy("float32")
  net = CausalLM.from_preset(model)
  backbone = net.backbone
  for window in windows:
    ids = numpy.array(window)[None]
    states = backbone({"token_ids": ids, "padding_mask": numpy.ones_like(ids)})
    yield backbone.token_embedding(states, reverse=True)[0].float().numpy()
