"""What the reference converter makes of models, for GGUFArchitecture*Tests: ArchitectureFixtures/<case>.json.

Usage: make-gguf-architecture-fixtures.py LLAMA_CPP, the source tree of llama.cpp (made with the one inside llama-cpp-python 0.3.36;
transformers 5.23.0, torch 2.15.0, safetensors 0.8.0). The tokenizer is left out: it is no part of the mapping.

Small cases hold tensors too. Element j of a source tensor is `base + j`, so a tensor of the result shows where each element came from; what is
kept of it is its shape, its type in an F16 file, and the sum of (place + 1) times element, modulo 2^64. Large cases are metadata alone.
"""

import json
import pathlib
import sys
import tempfile
import zlib

import numpy as np
import torch
from safetensors.torch import load_file, save_file

tree = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(tree), str(tree / "gguf-py")]
import gguf  # noqa: E402
from conversion import ModelType, get_model_architecture, get_model_class  # noqa: E402
from conversion.base import ModelBase, TextModel  # noqa: E402
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM  # noqa: E402

OUTPUT = pathlib.Path(__file__).parent / "ArchitectureFixtures"

rope = dict(rope_theta=10000.0, rope_type="default")
sizes = dict(
  vocab_size=96, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
  hidden_act="silu", max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1,
  rope_parameters=rope)
latent = dict(
  {k: v for k, v in sizes.items() if k != "head_dim"}, num_key_value_heads=4, q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=6,
  qk_rope_head_dim=4, v_head_dim=5, n_routed_experts=8, n_shared_experts=2, num_experts_per_tok=3, moe_intermediate_size=8,
  first_k_dense_replace=1, routed_scaling_factor=1.5)
yarn = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)
experts = dict(num_experts_per_tok=2)
encoder = dict(
  vocab_size=60, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=32,
  type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-6)

SMALL = {
  "llama": ("LlamaForCausalLM", "llama", dict(sizes, head_dim=12)),
  "llama-biases": ("LlamaForCausalLM", "llama", dict(sizes, attention_bias=True, mlp_bias=True)),
  "llama-llama3": ("LlamaForCausalLM", "llama", dict(
    sizes, head_dim=16, tie_word_embeddings=True, rope_parameters=dict(
      rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16))),
  "llama-linear": ("LlamaForCausalLM", "llama", dict(sizes, rope_parameters=dict(rope, rope_type="linear", factor=4.0))),
  "llama-yarn": ("LlamaForCausalLM", "llama", dict(sizes, rope_parameters=yarn)),
  "mistral": ("MistralForCausalLM", "mistral", dict(sizes, sliding_window=None)),
  "mixtral": ("MixtralForCausalLM", "mixtral", dict(sizes, sliding_window=None, num_local_experts=4, **experts)),
  "qwen2": ("Qwen2ForCausalLM", "qwen2", dict({k: v for k, v in sizes.items() if k != "head_dim"}, rope_parameters=yarn)),
  "qwen3": ("Qwen3ForCausalLM", "qwen3", dict(sizes, head_dim=16, tie_word_embeddings=True)),
  "qwen3-moe": ("Qwen3MoeForCausalLM", "qwen3_moe", dict(
    sizes, head_dim=16, num_experts=6, moe_intermediate_size=8, norm_topk_prob=True, **experts)),
  "deepseek-v2-lite": ("DeepseekV2ForCausalLM", "deepseek_v2", dict(
    latent, q_lora_rank=None, topk_method="greedy", norm_topk_prob=False, n_group=None, topk_group=None)),
  "deepseek-v2-groups": ("DeepseekV2ForCausalLM", "deepseek_v2", dict(
    latent, topk_method="group_limited_greedy", norm_topk_prob=False, n_group=4, topk_group=2,
    rope_parameters=dict(yarn, beta_fast=32, beta_slow=1, mscale=0.707, mscale_all_dim=0.707))),
  "deepseek-v3": ("DeepseekV3ForCausalLM", "deepseek_v3", dict(
    latent, n_group=4, topk_group=2, norm_topk_prob=True,
    rope_parameters=dict(yarn, beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0))),
  "bert": ("BertModel", "bert", encoder),
}

# As the published models have them, in the words of their day.
LARGE = {
  "llama-3.2-1b": dict(
    architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=False, bos_token_id=128000, eos_token_id=128001, head_dim=64,
    hidden_act="silu", hidden_size=2048, intermediate_size=8192, max_position_embeddings=131072, mlp_bias=False, num_attention_heads=32,
    num_hidden_layers=16, num_key_value_heads=8, rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=True, vocab_size=128256,
    torch_dtype="bfloat16", rope_scaling=dict(
      factor=32.0, high_freq_factor=4.0, low_freq_factor=1.0, original_max_position_embeddings=8192, rope_type="llama3")),
  "mixtral-8x7b": dict(
    architectures=["MixtralForCausalLM"], model_type="mixtral", bos_token_id=1, eos_token_id=2, hidden_act="silu", hidden_size=4096,
    intermediate_size=14336, max_position_embeddings=32768, num_attention_heads=32, num_experts_per_tok=2, num_hidden_layers=32,
    num_key_value_heads=8, num_local_experts=8, rms_norm_eps=1e-5, rope_theta=1e6, sliding_window=None, tie_word_embeddings=False,
    torch_dtype="bfloat16", vocab_size=32000),
  "qwen2.5-7b": dict(
    architectures=["Qwen2ForCausalLM"], model_type="qwen2", bos_token_id=151643, eos_token_id=151645, hidden_act="silu", hidden_size=3584,
    intermediate_size=18944, max_position_embeddings=32768, max_window_layers=28, num_attention_heads=28, num_hidden_layers=28,
    num_key_value_heads=4, rms_norm_eps=1e-6, rope_theta=1000000.0, sliding_window=131072, tie_word_embeddings=False,
    torch_dtype="bfloat16", use_sliding_window=False, vocab_size=152064),
  "qwen3-30b-a3b": dict(
    architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", attention_bias=False, bos_token_id=151643, decoder_sparse_step=1,
    eos_token_id=151645, head_dim=128, hidden_act="silu", hidden_size=2048, intermediate_size=6144, max_position_embeddings=40960,
    max_window_layers=48, mlp_only_layers=[], moe_intermediate_size=768, norm_topk_prob=True, num_attention_heads=32, num_experts=128,
    num_experts_per_tok=8, num_hidden_layers=48, num_key_value_heads=4, rms_norm_eps=1e-6, rope_scaling=None, rope_theta=1000000.0,
    sliding_window=None, tie_word_embeddings=False, torch_dtype="bfloat16", use_sliding_window=False, vocab_size=151936),
  "deepseek-v2-lite": dict(
    architectures=["DeepseekV2ForCausalLM"], model_type="deepseek_v2", attention_bias=False, bos_token_id=100000, eos_token_id=100001,
    first_k_dense_replace=1, hidden_act="silu", hidden_size=2048, intermediate_size=10944, kv_lora_rank=512, max_position_embeddings=163840,
    moe_intermediate_size=1408, moe_layer_freq=1, n_group=1, n_routed_experts=64, n_shared_experts=2, norm_topk_prob=False,
    num_attention_heads=16, num_experts_per_tok=6, num_hidden_layers=27, num_key_value_heads=16, q_lora_rank=None, qk_nope_head_dim=128,
    qk_rope_head_dim=64, rms_norm_eps=1e-6, rope_theta=10000, routed_scaling_factor=1.0, scoring_func="softmax", tie_word_embeddings=False,
    topk_group=1, topk_method="greedy", torch_dtype="bfloat16", v_head_dim=128, vocab_size=102400, rope_scaling=dict(
      beta_fast=32, beta_slow=1, factor=40, mscale=0.707, mscale_all_dim=0.707, original_max_position_embeddings=4096, type="yarn")),
  "deepseek-v3": dict(
    architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", attention_bias=False, bos_token_id=0, eos_token_id=1,
    first_k_dense_replace=3, hidden_act="silu", hidden_size=7168, intermediate_size=18432, kv_lora_rank=512, max_position_embeddings=163840,
    moe_intermediate_size=2048, moe_layer_freq=1, n_group=8, n_routed_experts=256, n_shared_experts=1, norm_topk_prob=True,
    num_attention_heads=128, num_experts_per_tok=8, num_hidden_layers=61, num_key_value_heads=128, num_nextn_predict_layers=1,
    q_lora_rank=1536, qk_nope_head_dim=128, qk_rope_head_dim=64, rms_norm_eps=1e-6, rope_theta=10000, routed_scaling_factor=2.5,
    scoring_func="sigmoid", tie_word_embeddings=False, topk_group=4, topk_method="noaux_tc", torch_dtype="bfloat16", v_head_dim=128,
    vocab_size=129280, rope_scaling=dict(
      beta_fast=32, beta_slow=1, factor=40, mscale=1.0, mscale_all_dim=1.0, original_max_position_embeddings=4096, type="yarn")),
  "bge-small-en": dict(
    architectures=["BertModel"], model_type="bert", attention_probs_dropout_prob=0.1, hidden_act="gelu", hidden_dropout_prob=0.1,
    hidden_size=384, intermediate_size=1536, layer_norm_eps=1e-12, max_position_embeddings=512, num_attention_heads=12,
    num_hidden_layers=12, pad_token_id=0, position_embedding_type="absolute", type_vocab_size=2, torch_dtype="float32", vocab_size=30522),
}


def without_tokenizer(kind):
  """The converter without its look at tokenizer files; BERT's count of token types stays, which comes from config.json."""

  def vocabulary(self):
    if self.gguf_writer.arch == "bert":
      self.gguf_writer.add_token_type_count(self.hparams.get("type_vocab_size", 1))

  return type(kind.__name__, (kind,), dict(model_arch=kind.model_arch, set_vocab=vocabulary))


def converter(directory, file_type):
  hparams = ModelBase.load_hparams(directory, False)
  kind = without_tokenizer(get_model_class(get_model_architecture(hparams, ModelType.TEXT)))
  return kind(directory, file_type, directory / "model.gguf", eager=True, model_name="a model")


def key_values(model):
  rows = []
  for key, entry in model.gguf_writer.kv_data[0].items():
    value = entry.value
    rows.append([key, entry.type.name.lower(), float(np.float32(value)) if entry.type.name == "FLOAT32" else value])
  return rows


def weights(directory, name, architecture):
  """Writes the model's checkpoint with elements that tell their places."""
  kind = AutoModel if architecture.endswith("Model") else AutoModelForCausalLM
  kind.from_config(AutoConfig.from_pretrained(directory)).save_pretrained(directory)
  tensors = load_file(directory / "model.safetensors")
  if name == "deepseek-v3":  # a layer that predicts one token more, which must not reach the file
    for key in [k for k in tensors if k.startswith("model.layers.1.")]:
      tensors[key.replace("layers.1.", "layers.2.")] = tensors[key]
    tensors["model.layers.2.eh_proj.weight"] = torch.zeros(32, 64)
  sources = []
  for key in sorted(tensors):
    base = zlib.crc32(key.encode()) % 3000 * 4096
    tensors[key] = (base + torch.arange(tensors[key].numel(), dtype=torch.float32)).reshape(tensors[key].shape)
    sources.append(dict(name=key, shape=list(tensors[key].shape), base=base))
  save_file({k: v.contiguous() for k, v in tensors.items()}, directory / "model.safetensors", metadata={"format": "pt"})
  return sources


def fixture(name, configuration, architecture=None):
  with tempfile.TemporaryDirectory() as scratch:
    directory = pathlib.Path(scratch)
    (directory / "config.json").write_text(json.dumps(configuration))
    result = dict(configuration=configuration)
    if architecture:
      result["parameters"] = weights(directory, name, architecture)
      result["configuration"] = json.loads((directory / "config.json").read_text())
    model = converter(directory, gguf.LlamaFileType.ALL_F32)
    if architecture:
      model.prepare_tensors()
      half = converter(directory, gguf.LlamaFileType.MOSTLY_F16)
      half.prepare_tensors()
      tensors = []
      for key, info in model.gguf_writer.tensors[0].items():
        row = dict(name=key, shape=list(info.shape), type=half.gguf_writer.tensors[0][key].dtype.name)
        if key == "rope_freqs.weight":
          row["values"] = [float(v) for v in info.tensor.reshape(-1)]
        else:
          elements = info.tensor.reshape(-1).astype(np.uint64)
          row["sum"] = str(int(np.sum(elements * np.arange(1, len(elements) + 1, dtype=np.uint64), dtype=np.uint64)))
        tensors.append(row)
      result["tensors"] = sorted(tensors, key=lambda row: row["name"])
    model.metadata_override = None
    model.prepare_metadata(vocab_only=False)
    result["metadata"] = key_values(model)
    lines = ",\n".join(
      f" {json.dumps(key)}: " + (
        "[\n" + ",\n".join("  " + json.dumps(row) for row in value) + "\n ]" if isinstance(value, list) else json.dumps(value))
      for key, value in result.items())
    (OUTPUT / f"{name}.json").write_text("{\n" + lines + "\n}\n")
    print(name, len(result["metadata"]), len(result.get("tensors", [])))


torch.manual_seed(1)
OUTPUT.mkdir(exist_ok=True)
for name, (architecture, model_type, settings) in SMALL.items():
  fixture(name, dict(architectures=[architecture], model_type=model_type, **settings), architecture)
for name, settings in LARGE.items():
  fixture("published-" + name, settings)
