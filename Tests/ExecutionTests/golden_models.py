"""The tiny random models of Fixtures/: one row per thing a forward pass can get wrong.

Sizes are the smallest at which that thing still moves the logits far above rounding: attention scores have a standard
deviation of about 1, so positions, masks and scalings matter, and the rope fixtures reach positions well past their
original context.
"""

from dataclasses import dataclass, field

import torch
from transformers import (
  AutoModelForCausalLM, DeepseekV2Config, DeepseekV3Config, LlamaConfig, MinistralConfig, MistralConfig, MixtralConfig, Qwen2Config, Qwen3Config,
  Qwen3MoeConfig)

TOKENS = 48
VOCABULARY = 96
# Dense at the start, then thinning out; 15/16 straddle the mistral window and the original contexts.
POSITIONS = [0, 1, 2, 15, 16, 24, 33, 47]


@dataclass
class Case:
  """A model to write, and `without`: configuration edits that must each move the logits (the fixture's sensitivity)."""

  name: str
  config: object
  without: dict = field(default_factory=dict)
  dtype: torch.dtype = torch.float32
  legacy: str = ""  # "": new spelling only, "beside": config.legacy.json too, "only": config.json itself is old style
  legacy_type_key: str = "rope_type"
  legacy_extra: dict = field(default_factory=dict)


def rope(kind="default", theta=10000.0, **extra):
  return {"rope_type": kind, "rope_theta": theta, **extra}


def sizes(**changes):
  common = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, max_position_embeddings=64, tie_word_embeddings=True, rms_norm_eps=1e-5,
    bos_token_id=0, eos_token_id=1, rope_parameters=rope())
  return {**common, **changes}


def scaled(**changes):
  """A rope fixture: few hidden units in the MLP, everything else in attention."""
  return sizes(intermediate_size=8, max_position_embeddings=96, **changes)


def latent(**changes):
  """Latent attention and experts, at the smallest sizes that every part of them still matters at."""
  common = dict(
    num_attention_heads=2, num_key_value_heads=2, q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=6, qk_rope_head_dim=4,
    v_head_dim=5, n_routed_experts=8, n_shared_experts=2, num_experts_per_tok=3, moe_intermediate_size=8,
    first_k_dense_replace=1, routed_scaling_factor=1.5, tie_word_embeddings=False)
  sized = sizes(**{**common, **changes})
  del sized["head_dim"]
  return sized


DEFAULT_ROPE = {"rope_parameters": rope()}
# A low base spreads the 8 frequencies of a head over YaRN's ramp; at 10000 only the first would lie outside it.
YARN = dict(theta=50.0, factor=4.0, original_max_position_embeddings=24)
BETAS = dict(beta_fast=2.0, beta_slow=0.5)
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)

CASES = [
  # 4 heads of 12 over a width of 32: head_dim is not hidden/heads, and no multiple of a vector register either.
  Case("llama-gqa", LlamaConfig(**sizes(
    num_attention_heads=4, num_key_value_heads=2, head_dim=12, intermediate_size=20, tie_word_embeddings=False))),
  Case("llama-tied", LlamaConfig(**sizes(rope_parameters=rope(theta=500.0))), {"theta": {"rope_parameters": rope()}}),
  Case("llama-biases", LlamaConfig(**sizes(
    attention_bias=True, mlp_bias=True, rms_norm_eps=1e-2)), {"epsilon": {"rms_norm_eps": 1e-5}}),
  Case("llama-bf16", LlamaConfig(**sizes(tie_word_embeddings=False)), dtype=torch.bfloat16, legacy="only"),
  Case("llama-rope-linear-f16", LlamaConfig(**scaled(rope_parameters=rope("linear", factor=4.0))),
       {"scaling": DEFAULT_ROPE}, torch.float16, legacy="beside", legacy_type_key="type"),
  Case("llama-rope-llama3", LlamaConfig(**scaled(rope_parameters=rope("llama3", theta=500.0, **LLAMA3))),
       {"scaling": {"rope_parameters": rope(theta=500.0)},
        "blending": {"rope_parameters": rope("linear", theta=500.0, factor=8.0)}}, legacy="beside"),
  Case("llama-rope-yarn", LlamaConfig(**scaled(rope_parameters=rope("yarn", **YARN))),
       {"scaling": {"rope_parameters": rope(theta=50.0)},
        "ramp": {"rope_parameters": rope("linear", theta=50.0, factor=4.0)},
        "attention factor": {"rope_parameters": rope("yarn", attention_factor=1.0, **YARN)}},
       legacy="beside", legacy_type_key="type"),
  Case("llama-rope-yarn-factor", LlamaConfig(**scaled(rope_parameters=rope("yarn", attention_factor=0.8, **BETAS, **YARN))),
       {"attention factor": {"rope_parameters": rope("yarn", **BETAS, **YARN)},
        "betas": {"rope_parameters": rope("yarn", attention_factor=0.8, **YARN)}}, legacy="only"),
  Case("llama-rope-yarn-mscale", LlamaConfig(**scaled(
    rope_parameters=rope("yarn", mscale=0.5, mscale_all_dim=2.0, truncate=False, **BETAS, **YARN))),
       {"mscale": {"rope_parameters": rope("yarn", truncate=False, **BETAS, **YARN)},
        "truncation": {"rope_parameters": rope("yarn", mscale=0.5, mscale_all_dim=2.0, **BETAS, **YARN)}}),
  Case("mistral-window", MistralConfig(**sizes(sliding_window=16)),
       {"window": {"sliding_window": None}, "window by one": {"sliding_window": 17}}, legacy="beside"),
  # The old file names a window and switches it off, as published ones do: a reader that obeys `sliding_window` alone fails.
  Case("qwen2", Qwen2Config(**sizes(tie_word_embeddings=False)),
       {"window off": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0, "layer_types": None}},
       legacy="beside", legacy_extra={"use_sliding_window": False, "sliding_window": 8}),
  Case("qwen2-tied", Qwen2Config(**sizes())),
  Case("qwen2-window-bf16", Qwen2Config(**sizes(use_sliding_window=True, sliding_window=16, max_window_layers=1)),
       {"window": {"use_sliding_window": False, "sliding_window": None, "layer_types": None},
        "full first layer": {"max_window_layers": 0, "layer_types": None}}, torch.bfloat16),
  Case("qwen3", Qwen3Config(**sizes(num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-6,
                                    rope_parameters=rope(theta=1000000.0))),
       {"theta": {"rope_parameters": rope()}}, legacy="beside"),
  # As V2-Lite: queries without a latent, no groups, a softmax whose weights do not add up to one.
  Case("deepseek-v2-lite", DeepseekV2Config(**latent(q_lora_rank=None, topk_method="greedy")),
       {"scale": {"routed_scaling_factor": 1.0}}),
  Case("deepseek-v2-groups", DeepseekV2Config(**latent(
    topk_method="group_limited_greedy", n_group=4, topk_group=2,
    rope_parameters=rope("yarn", mscale=0.7, mscale_all_dim=1.4, **BETAS, **YARN))),
       {"groups": {"topk_method": "greedy"},
        "mscale": {"rope_parameters": rope("yarn", **BETAS, **YARN)}}),
  Case("deepseek-v3", DeepseekV3Config(**latent(
    n_group=4, topk_group=2, n_shared_experts=1,
    rope_parameters=rope("yarn", mscale=1.0, mscale_all_dim=1.0, **BETAS, **YARN))),
       {"groups": {"topk_group": 4}, "normalization": {"norm_topk_prob": False},
        "interleaving": {"rope_interleave": False},
        "mscale": {"rope_parameters": rope("yarn", mscale=1.0, mscale_all_dim=0.0, **BETAS, **YARN)}}),
  Case("deepseek-v3-bf16", DeepseekV3Config(**latent(
    n_group=1, topk_group=1, norm_topk_prob=False, rope_interleave=False, attention_bias=True, first_k_dense_replace=0)),
       {}, torch.bfloat16),
  Case("qwen3-moe", Qwen3MoeConfig(**sizes(
    num_hidden_layers=3, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=8, mlp_only_layers=[1],
    norm_topk_prob=True)), {"normalization": {"norm_topk_prob": False}}),
  Case("mixtral", MixtralConfig(**sizes(num_local_experts=4, num_experts_per_tok=2, intermediate_size=12, sliding_window=16)),
       {"window": {"sliding_window": None}, "one expert": {"num_experts_per_tok": 1}}),
  # As `replace --attention sliding-window --layers 0` writes a Llama, and `--activation relu2`.
  Case("ministral-layers", MinistralConfig(**sizes(sliding_window=12, layer_types=["sliding_attention", "full_attention"])),
       {"window": {"layer_types": ["full_attention"] * 2}, "full second layer": {"layer_types": ["sliding_attention"] * 2}}),
  Case("llama-relu2", LlamaConfig(**sizes(hidden_act="relu2")), {"square": {"hidden_act": "relu"}}),
]


def randomize(model, seed, dtype):
  """Random weights, gains around one and non-zero biases, rounded to what `dtype` can hold."""
  generator = torch.Generator().manual_seed(seed)
  with torch.no_grad():
    for name, parameter in sorted(model.named_parameters()):
      values = torch.randn(parameter.shape, generator=generator) * (0.6 if "embed_tokens" in name else 0.2)
      if "norm" in name:
        values += 1
      parameter.copy_(values.to(dtype).float())
    for name, buffer in sorted(model.named_buffers()):
      if "correction_bias" in name:
        buffer.copy_((torch.randn(buffer.shape, generator=generator) * 0.2).to(dtype).float())


def legacy_config(config, case):
  """The same configuration as transformers 4 spelled it: `rope_theta`, `rope_scaling`, `torch_dtype`."""
  old = {key: value for key, value in config.items() if key not in ("layer_types", "transformers_version")}
  if old["head_dim"] == old["hidden_size"] // old["num_attention_heads"]:
    del old["head_dim"]  # most old files leave it to the reader
  parameters = dict(old.pop("rope_parameters"))
  old["rope_theta"] = parameters.pop("rope_theta")
  kind = parameters.pop("rope_type")
  old["rope_scaling"] = None if kind == "default" else {case.legacy_type_key: kind, **parameters}
  old["torch_dtype"] = old.pop("dtype")
  old["transformers_version"] = "4.44.0"
  return {**old, **case.legacy_extra}


def load(directory, **changes):
  """The checkpoint on disk, in f32, with the plainest attention; refuses any name that did not match."""
  model, info = AutoModelForCausalLM.from_pretrained(
    directory, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", output_loading_info=True, **changes)
  for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
    if info[kind]:
      raise SystemExit(f"{directory}: {kind}: {sorted(info[kind])[:3]}")
  return model.eval()
