"""Perplexity and KL divergence by the project's rule, with transformers on the CPU in f32.

The text is tokenized once, with special tokens where the tokenizer's post-processor puts them; the stream is cut into
consecutive windows of `context` tokens and a shorter last one is dropped; each window runs alone and its context - 1
next-token predictions are scored. Everything is in nats.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer


@dataclass
class Score:
  tokens: int
  perplexity: float
  reference_perplexity: float
  mean_kl: float  # of the reference's distributions to the model's


def token_stream(model_directory, text_file):
  tokenizer = Tokenizer.from_file(str(Path(model_directory) / "tokenizer.json"))
  return tokenizer.encode(Path(text_file).read_bytes().decode("utf-8")).ids


def cut(stream, context, tokens=None):
  """The windows within the first `tokens` ids of the stream (all of it when None), as [1, context] tensors."""
  end = len(stream) if tokens is None else min(tokens, len(stream))
  return [torch.tensor([stream[start:start + context]]) for start in range(0, end - context + 1, context)]


@torch.no_grad()
def log_probabilities(model, window):
  """[context - 1, vocabulary], f64: the distributions that predict tokens 1... of the window."""
  return torch.log_softmax(model(window, use_cache=False).logits[0, :-1].double(), dim=-1)


def score(model, windows, reference):
  """Both models over the windows, one window in memory at a time."""
  loss = reference_loss = divergence = 0.0
  for window in windows:
    targets = window[0, 1:, None]
    predicted, expected = log_probabilities(model, window), log_probabilities(reference, window)
    loss -= predicted.gather(1, targets).sum().item()
    reference_loss -= expected.gather(1, targets).sum().item()
    divergence += (expected.exp() * (expected - predicted)).sum().item()
  tokens = sum(window.shape[1] - 1 for window in windows)
  return Score(tokens, math.exp(loss / tokens), math.exp(reference_loss / tokens), divergence / tokens)
