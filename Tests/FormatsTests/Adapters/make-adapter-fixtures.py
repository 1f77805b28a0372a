"""Writes AdapterFixtures: what PEFT and mlx-lm themselves make of random adapters of a tiny Llama.

DIRECTORY/       an adapter as the library saves it; those of mlx-lm begin with mlx-
golden.json      for each: modules with rank, scaling and, of gamma * B @ A, the sum and the sum weighted by
                 place; versions

Run: PYTHONHASHSEED=0 python make-adapter-fixtures.py   (needs torch, transformers, safetensors, peft, mlx and mlx-lm)
The seed is for PEFT, which writes its target_modules in the order of a Python set.
"""
import json
import pathlib
import shutil
import warnings

import mlx.core as mx
import mlx_lm
import peft
import safetensors
import torch
import transformers
from mlx.utils import tree_flatten
from mlx_lm.models import llama
from mlx_lm.tuner.lora import LoRAEmbedding
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import save_config
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import LlamaConfig, LlamaForCausalLM

warnings.filterwarnings("ignore")
here = pathlib.Path(__file__).parent / "AdapterFixtures"
here.mkdir(exist_ok=True)
golden = {"versions": {m.__name__: m.__version__ for m in (mlx_lm, peft, torch, transformers, safetensors)}, "adapters": {}}


def base():
  torch.manual_seed(3)
  return LlamaForCausalLM(LlamaConfig(
    hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, vocab_size=10,
    max_position_embeddings=16))


def figures(delta):
  delta = delta.double().flatten()
  return {"sum": float(delta.sum()), "weighted": float((delta * torch.arange(1, len(delta) + 1, dtype=torch.float64)).sum())}


def save(name, dtype=torch.float32, **settings):
  model = get_peft_model(base(), LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, base_model_name_or_path="tiny-llama", **settings))
  modules = []
  with torch.no_grad():
    for path, module in model.base_model.model.named_modules():
      if not isinstance(module, LoraLayer):
        continue
      embedding = "default" in module.lora_embedding_A
      a = module.lora_embedding_A["default"] if embedding else module.lora_A["default"].weight
      b = module.lora_embedding_B["default"] if embedding else module.lora_B["default"].weight
      for tensor in (a, b):
        tensor.data = (torch.randn_like(tensor) * 0.3).to(dtype)
      entry = {"name": path, "rank": module.r["default"], "scaling": module.scaling["default"], "embedding": embedding}
      if settings.get("use_dora"):
        magnitude = module.lora_magnitude_vector["default"].weight
        magnitude.data = (magnitude * (1 + 0.1 * torch.randn_like(magnitude))).to(dtype)
        entry["magnitude"] = float(magnitude.double().sum())
      entry |= figures(module.scaling["default"] * b.double() @ a.double())
      modules.append(entry)
  shutil.rmtree(here / name, ignore_errors=True)
  model.save_pretrained(here / name, save_embedding_layers=False)
  (here / name / "README.md").unlink(missing_ok=True)
  golden["adapters"][name] = {"modules": sorted(modules, key=lambda m: m["name"].encode())}


def save_mlx(name, layers, parameters, dora=False):
  """What mlx_lm.lora does before and after training, on the same tiny model."""
  mx.random.seed(5)
  model = llama.Model(llama.ModelArgs(
    model_type="llama", hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    vocab_size=10, rms_norm_eps=1e-6, tie_word_embeddings=False))
  model.freeze()
  linear_to_lora_layers(model, layers, parameters, use_dora=dora)
  tensors = {key: value + 0.3 * mx.random.normal(value.shape) for key, value in tree_flatten(model.trainable_parameters())}
  (here / name).mkdir(exist_ok=True)
  mx.save_safetensors(str(here / name / "adapters.safetensors"), tensors)
  save_config({"batch_size": 4, "fine_tune_type": "dora" if dora else "lora", "learning_rate": 1e-5, "model": "tiny-llama",
               "num_layers": layers, "lora_parameters": parameters, "lr_schedule": None}, here / name / "adapter_config.json")
  modules = []
  for path, module in model.named_modules():
    if not hasattr(module, "lora_a"):
      continue
    a, b = (torch.tensor(tensors[f"{path}.{part}"].tolist(), dtype=torch.float64) for part in ("lora_a", "lora_b"))
    entry = {"name": path, "rank": a.shape[1], "scaling": module.scale, "embedding": isinstance(module, LoRAEmbedding)}
    entry |= figures(module.scale * (a @ b).T)
    if dora:
      entry["magnitude"] = sum(tensors[f"{path}.m"].tolist())
    modules.append(entry)
  golden["adapters"][name] = {"modules": sorted(modules, key=lambda m: m["name"].encode())}


save("lora", r=3, lora_alpha=6, lora_dropout=0.05, target_modules=["q_proj", "v_proj"])
save("rslora", r=4, lora_alpha=10, use_rslora=True, target_modules=r".*\.(up|down)_proj", dtype=torch.bfloat16)
save("dora", r=2, lora_alpha=5, use_dora=True, target_modules=["k_proj", "o_proj"])
save("patterns", r=2, lora_alpha=4, target_modules="all-linear", exclude_modules=["gate_proj"],
     rank_pattern={"down_proj": 5, r"layers\.1\..*_proj": 3, "model.layers.0.self_attn.q_proj": 1}, alpha_pattern={r"[qk]_proj": 7})
save("layers", r=1, lora_alpha=1, target_modules=["o_proj", "self_attn.q_proj"], layers_to_transform=[1], layers_pattern="layers",
     dtype=torch.float16)
save("embedding", r=2, lora_alpha=3, target_modules=["embed_tokens", "lm_head"])
dropout = {"dropout": 0.0}
save_mlx("mlx-lora", 1, {"rank": 3, "scale": 20.0, "keys": ["self_attn.q_proj", "mlp.up_proj", "lm_head", "model.embed_tokens"]} | dropout)
save_mlx("mlx-all", 1, {"rank": 2, "scale": 0.7} | dropout)
save_mlx("mlx-dora", 2, {"rank": 2, "scale": 2.5, "keys": ["self_attn.v_proj"]} | dropout, dora=True)
(here / "golden.json").write_text(json.dumps(golden, indent=1))
