"""llama.cpp by its Python package, with a float32 cache and without flash attention, so that nothing but its products rounds activations."""

from pathlib import Path

import llama_cpp
import numpy

THREADS = 2


def versions():
  return {"llama-cpp-python": llama_cpp.__version__}


def load(model, **settings):
  return llama_cpp.Llama(
    str(Path(model) / "model.gguf"), n_threads=THREADS, n_threads_batch=THREADS, verbose=False, flash_attn=False, type_k=llama_cpp.GGML_TYPE_F32,
    type_v=llama_cpp.GGML_TYPE_F32, **settings)


def logits(model, windows):
  width = max(map(len, windows))
  net = load(model, n_ctx=width, n_batch=width, n_ubatch=width, logits_all=True)
  for window in windows:
    net.reset()
    net.eval(window)
    yield numpy.array(net.scores[: len(window)])
  net.close()


def embeddings(model, lines):
  net = load(model, n_ctx=256, n_batch=256, n_ubatch=256, embedding=True, pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN)
  found = [net.embed(line, normalize=False) for line in lines]
  net.close()
  return found


def tokens(model, text):
  net = load(model, vocab_only=True)
  found = net.tokenize(text.encode(), add_bos=True, special=False)
  net.close()
  return found
