"""Serves one runtime to the matrix: worker.py RUNTIME, a request a line of JSON on standard input, an answer a line on standard output.

A runtime is a module here, `in_RUNTIME.py`, with

  versions()                        the libraries and what they say they are
  logits(model, windows)            yields [tokens, vocabulary] of each window of token ids, each run alone
  embeddings(model, lines)          of an encoder: one vector a line, the mean of its tokens' states (where the runtime has encoders)
  tokens(model, text)               by the runtime's own tokenizer, special tokens as it adds them (where it has one)

where `model` names a directory, or is {"base": directory, "adapter": directory}. What fails is answered as an error; what kills the process is seen
by who started it.
"""

import importlib
import json
import math
import os
import sys
import traceback

os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "KERAS_BACKEND": "torch", "TOKENIZERS_PARALLELISM": "false"}
import numpy
from safetensors.numpy import load_file


def log_softmax(logits):
  shifted = logits.astype(numpy.float64) - logits.max(-1, keepdims=True)
  return shifted - numpy.log(numpy.exp(shifted).sum(-1, keepdims=True))


def score(runtime, request):
  """Perplexity by the project's rule, and how far the logits of the first window are from ours."""
  ours = load_file(request["logits"])["logits"]
  loss, count, first = 0.0, 0, None
  for window, logits in zip(request["windows"], runtime.logits(request["model"], request["windows"])):
    logits = numpy.asarray(logits, dtype=numpy.float32)[:, : ours.shape[1]]
    first = logits if first is None else first
    found = log_softmax(logits[:-1])
    loss -= found[numpy.arange(len(window) - 1), window[1:]].sum()
    count += len(window) - 1
  mine, theirs = log_softmax(ours), log_softmax(first)
  return {
    "perplexity": math.exp(loss / count), "tokens": count,
    "logits": float(numpy.abs(ours - first).max() / numpy.abs(ours).max()),
    "divergence": float((numpy.exp(mine) * (mine - theirs)).sum(-1).mean())}


def embed(runtime, request):
  ours = load_file(request["embeddings"])["embeddings"]
  theirs = numpy.asarray(runtime.embeddings(request["model"], request["lines"]), dtype=numpy.float64)
  cosines = (ours * theirs).sum(-1) / numpy.linalg.norm(ours, axis=-1) / numpy.linalg.norm(theirs, axis=-1)
  return {"cosine": float(cosines.min()), "lines": len(cosines)}


def answer(runtime, request):
  match request["task"]:
    case "versions":
      return runtime.versions()
    case "score":
      return score(runtime, request)
    case "embed":
      return embed(runtime, request)
    case "tokens":
      return {"tokens": [int(token) for token in runtime.tokens(request["model"], request["text"])]} if hasattr(runtime, "tokens") else {}


def main():
  # What libraries print goes to the log; the answers' stream is kept for answers.
  answers = os.fdopen(os.dup(1), "w")
  os.dup2(2, 1)
  runtime = importlib.import_module(f"in_{sys.argv[1]}")
  for line in sys.stdin:
    request = json.loads(line)
    try:
      result = answer(runtime, request)
    except BaseException as problem:  # a loader may fail in any way; every way is the cell's verdict
      traceback.print_exc()
      text = " ".join(str(problem).split()) or "no message"
      result = {"error": f"{type(problem).__name__}: {text[:300]}"}
      if isinstance(problem, KeyboardInterrupt):
        raise
    answers.write(json.dumps(result) + "\n")
    answers.flush()


if __name__ == "__main__":
  main()
