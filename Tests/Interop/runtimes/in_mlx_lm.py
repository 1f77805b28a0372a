"""mlx-lm on the CPU in float32."""

from importlib import metadata
from pathlib import Path

import mlx.core as mx
import numpy
from mlx_lm.utils import load_model

mx.set_default_device(mx.cpu)


def versions():
  return {name: metadata.version(name) for name in ("mlx", "mlx-lm")}


def logits(model, windows):
  net, _ = load_model(Path(model))
  net.set_dtype(mx.float32)
  for window in windows:
    yield numpy.array(net(mx.array(window)[None])[0].astype(mx.float32))


def tokens(model, text):
  from mlx_lm.tokenizer_utils import load

  return load(Path(model)).encode(text)
