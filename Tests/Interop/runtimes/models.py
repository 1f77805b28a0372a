"""Small models of every family, for the matrix: models.py DIRECTORY DEMO TEXT [FAMILY ...]

Each lands in DIRECTORY/FAMILY in bfloat16 with a tokenizer of the kind that its family has. Llama is DEMO itself. The others are trained here, a
minute or less, on the very windows of TEXT that the matrix scores: text that is known by heart leans on every weight, so a perplexity notices what
is wrong with any. What a model notices is measured: DIRECTORY/FAMILY.json tells, of each kind of matrix, by how much the perplexity rises when the
rows of one layer's are rolled by one (of an encoder, by how much the cosine of its embeddings falls).

Widths are chosen so that rows divide into superblocks of 256 in some families, into blocks of 32 alone in others.
"""

import argparse
import json
import math
import os
import re
import shutil
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}  # read while the libraries are imported
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from cells import CONTEXT, TOKENS

VOCABULARY = 768
ENOUGH, STEPS = 1.6, 240  # nats a token, at which training ends, and when it ends anyway
QWEN = (
  r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = {"qwen": ["<|endoftext|>"], "llama-2": ["<unk>", "<s>", "</s>"], "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]}

WIDE = dict(hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=64)
NARROW = dict(hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
LATENT = dict(
  num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=32,
  n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1, first_k_dense_replace=1, n_group=4, topk_group=2)
FAMILIES = {
  "qwen2": ("qwen", lambda **common: transformers.Qwen2Config(**WIDE, tie_word_embeddings=True, **common)),
  "qwen3": ("qwen", lambda **common: transformers.Qwen3Config(**NARROW, head_dim=64, **common)),
  "mistral": ("llama-2", lambda **common: transformers.MistralConfig(**WIDE, sliding_window=None, **common)),
  "mixtral": (
    "llama-2", lambda **common: transformers.MixtralConfig(**NARROW, num_local_experts=4, num_experts_per_tok=2, sliding_window=None, **common)),
  "qwen3-moe": (
    "qwen", lambda **common: transformers.Qwen3MoeConfig(
      **WIDE, moe_intermediate_size=256, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True, **common)),
  "deepseek-v2": (
    "demo", lambda **common: transformers.DeepseekV2Config(
      hidden_size=128, intermediate_size=256, moe_intermediate_size=64, q_lora_rank=64, topk_method="group_limited_greedy",
      routed_scaling_factor=1.0, **LATENT, **common)),
  "deepseek-v3": (
    "demo", lambda **common: transformers.DeepseekV3Config(
      hidden_size=256, intermediate_size=512, moe_intermediate_size=256, q_lora_rank=256, routed_scaling_factor=1.5, norm_topk_prob=True,
      **LATENT, **common)),
  "bert": (
    "bert", lambda **common: transformers.BertConfig(hidden_size=256, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512, **common)),
}


def byte_pairs(text):
  """Of Qwen's kind: bytes as letters, cut by its expression, text composed first."""
  tokenizer = Tokenizer(models.BPE())
  tokenizer.normalizer = normalizers.NFC()
  tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Split(Regex(QWEN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
  tokenizer.decoder = decoders.ByteLevel()
  trainer = trainers.BpeTrainer(
    vocab_size=VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=SPECIAL["qwen"], show_progress=False)
  tokenizer.train_from_iterator([text], trainer)
  return tokenizer


def sentence_pieces(text):
  """Of Llama 2's kind: words begin with a low bar, what no piece covers is spelled in bytes."""
  words = [re.sub(" ", "▁", line) for line in ("▁" + text).split("\n")]
  learner = Tokenizer(models.BPE())
  learner.pre_tokenizer = pre_tokenizers.Split(Regex("▁[^▁]*"), "isolated")
  learner.train_from_iterator(words, trainers.BpeTrainer(vocab_size=VOCABULARY - 259, show_progress=False))
  learned = json.loads(learner.to_str())["model"]
  pieces = sorted(learned["vocab"], key=learned["vocab"].get)
  vocabulary = {piece: index for index, piece in enumerate(SPECIAL["llama-2"] + [f"<0x{byte:02X}>" for byte in range(256)] + pieces)}
  merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in learned["merges"]]
  tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
  tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
  tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
  tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL["llama-2"]])
  tokenizer.post_processor = processors.TemplateProcessing(
    single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocabulary["<s>"])])
  return tokenizer


def word_pieces(text):
  tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
  tokenizer.normalizer = normalizers.BertNormalizer()
  tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  tokenizer.decoder = decoders.WordPiece()
  tokenizer.train_from_iterator(
    text.split("\n"), trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL["bert"], show_progress=False))
  tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
  return tokenizer


def write_tokenizer(kind, demo, text, output):
  """The tokenizer, and the settings of it that stand in config.json."""
  if kind == "demo":
    for file in ("tokenizer.json", "tokenizer_config.json"):
      shutil.copy(demo / file, output)
    config = json.loads((demo / "config.json").read_text())
    return Tokenizer.from_file(str(output / "tokenizer.json")), {key: config[key] for key in ("bos_token_id", "eos_token_id")}
  tokenizer = {"qwen": byte_pairs, "llama-2": sentence_pieces, "bert": word_pieces}[kind](text)
  tokenizer.save(str(output / "tokenizer.json"))
  settings = {
    "qwen": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "add_bos_token": False},
    "llama-2": {
      "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True},
    "bert": {
      "tokenizer_class": "BertTokenizer", "do_lower_case": True, "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]",
      "sep_token": "[SEP]"},
  }[kind]
  (output / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
  return tokenizer, {"qwen": {"bos_token_id": None, "eos_token_id": 0}, "llama-2": {"bos_token_id": 1, "eos_token_id": 2}, "bert": {"pad_token_id": 0}}[kind]


def windows(tokenizer, text):
  ids = tokenizer.encode(text).ids[:TOKENS]
  return torch.tensor([ids[start : start + CONTEXT] for start in range(0, len(ids) - CONTEXT + 1, CONTEXT)])


def loss_of(model, batch):
  logits = model(batch, use_cache=False).logits
  return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())


def train(model, batch):
  """Until the text is known well, not by heart to the last: where nothing is left to lose, nothing is noticed either."""
  optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01)
  for step in range(STEPS):
    loss = loss_of(model, batch)
    if loss.item() < ENOUGH:
      break
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
      group["lr"] = 3e-3 * min(1, (step + 1) / 10)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
  return step, loss.item()


def rolled(model, measure):
  """What is measured when one matrix has its rows rolled by one: each kind in the last layer that has it."""
  kinds, found = {}, {}
  for name, parameter in model.named_parameters():
    if parameter.dim() > 1:
      kinds[re.sub(r"\.\d+\.", ".*.", name)] = parameter
  for kind, parameter in kinds.items():
    kept = parameter.clone()
    parameter.copy_(kept.roll(1, dims=-2))
    found[kind] = measure()
    parameter.copy_(kept)
  return found


@torch.no_grad()
def sensitivity(model, batch):
  """The perplexity, and by what share it rises."""
  before = loss_of(model, batch).item()
  return math.exp(before), rolled(model, lambda: math.exp(loss_of(model, batch).item() - before) - 1)


@torch.no_grad()
def sensitivity_of_states(model, tokenizer, text):
  """By how much the mean cosine of the first lines' embeddings falls; the pooler and the position that no line has take no part in them."""
  lines = [torch.tensor(tokenizer.encode(line).ids[:256])[None] for line in text.split("\n") if line.strip()][:8]

  def embeddings():
    return torch.stack([model(line).last_hidden_state[0].mean(0) for line in lines])

  before = embeddings()
  falls = rolled(model, lambda: 1 - torch.cosine_similarity(before, embeddings()).mean().item())
  return {kind: fall for kind, fall in falls.items() if not kind.startswith("pooler") and "token_type" not in kind}


def perturb(model):
  """Of an encoder, which predicts nothing: matrices large enough and norms uneven enough that each shows in the states."""
  with torch.no_grad():
    for parameter in model.parameters():
      if parameter.dim() > 1:
        parameter.mul_(3)
      else:
        parameter.add_(torch.randn_like(parameter) * 0.1)


def make(family, directory, demo, text):
  torch.manual_seed(0)
  output = directory / family
  shutil.rmtree(output, ignore_errors=True)
  output.mkdir(parents=True)
  if family == "llama":
    for file in demo.iterdir():
      shutil.copyfile(file, output / file.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(output, dtype=torch.float32).eval()
    perplexity, rises = sensitivity(model, windows(Tokenizer.from_file(str(output / "tokenizer.json")), text))
    return {"perplexity": perplexity, "rises": rises, "steps": None}
  kind, configure = FAMILIES[family]
  tokenizer, special = write_tokenizer(kind, demo, text, output)
  # Trained from larger initial weights, matrices of a few hundred columns use their range.
  config = configure(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=256, initializer_range=0.05, **special)
  if family == "bert":
    model = transformers.BertModel(config)
    perturb(model)
    model = model.bfloat16()
    model.save_pretrained(output)
    return {"perplexity": None, "rises": sensitivity_of_states(model.float().eval(), tokenizer, text), "steps": None}
  model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
  with torch.no_grad():
    for name, parameter in model.named_parameters():
      # Attention and routers that choose from the start: what is learned in a few steps leans on them, and where two experts are all but equal, the
      # last bit of an input would choose.
      if re.search(r"\.((q|k|q_b|kv_b)_proj|gate)\.weight", name):
        parameter.mul_(2.5)
    for name, buffer in model.named_buffers():
      if name.endswith("e_score_correction_bias"):
        buffer.uniform_(-0.05, 0.05)
  batch = windows(tokenizer, text)
  steps, _ = train(model.train(), batch)
  # What is saved, rounded, is what is looked at.
  model = model.bfloat16()
  model.save_pretrained(output)
  perplexity, rises = sensitivity(model.float().eval(), batch)
  return {"perplexity": perplexity, "rises": rises, "steps": steps}


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("directory", type=Path)
  parser.add_argument("demo", type=Path)
  parser.add_argument("text", type=Path)
  parser.add_argument("families", nargs="*", default=["llama", *FAMILIES])
  arguments = parser.parse_args()
  transformers.utils.logging.set_verbosity_error()
  text = arguments.text.read_bytes().decode("utf-8")
  for family in arguments.families:
    found = make(family, arguments.directory, arguments.demo, text)
    (arguments.directory / f"{family}.json").write_text(json.dumps(found, indent=2) + "\n")
    least = min(found["rises"].items(), key=lambda item: item[1], default=("", math.nan))
    print(f"{family}: perplexity {found['perplexity']}, {found['steps']} steps, least noticed {least[0]} {least[1]:+.1%}", file=sys.stderr, flush=True)


if __name__ == "__main__":
  main()
