"""Writes MLXFixtures: tiny models as mlx-lm quantizes and saves them, and its logits.

mixture/  two layers of a Qwen3 mixture, quantized with settings of their own for some layers, `false` for others
latent/   a DeepSeek-V3 of two layers, whose projection out of the latents is in two halves

Each has `logits.safetensors`, tokens and what mlx-lm computes with them in float32, and the versions in its config.json.

Run: python make-mlx-goldens.py   (needs mlx[cpu] and mlx-lm)
"""
import pathlib
import shutil

import mlx.core as mx
import mlx_lm
import numpy as np
from mlx.nn import Linear as mx_linear
from mlx.utils import tree_flatten
from mlx_lm.models import deepseek_v3, qwen3_moe
from mlx_lm.utils import load_model, quantize_model, save_config, save_model

mx.set_default_device(mx.cpu)
random = np.random.default_rng(7)
here = pathlib.Path(__file__).parent / "MLXFixtures"
here.mkdir(exist_ok=True)


def model(name, module, config, choose):
    """Random weights, quantized and saved by mlx-lm itself, loaded again and run."""
    into = here / name
    shutil.rmtree(into, ignore_errors=True)
    net = module.Model(module.ModelArgs.from_dict(config))
    net.load_weights([(key, mx.array((random.standard_normal(value.shape) * (0.02 if value.ndim == 1 else 0.2) + (value.ndim == 1))
                                     .astype(np.float32)).astype(mx.bfloat16)) for key, value in tree_flatten(net.parameters())])
    net, config = quantize_model(net, config, 32, 4, quant_predicate=choose)
    save_model(into, net)
    for path, layer in net.named_modules():
        if isinstance(layer, mx_linear):
            config["quantization"][path] = False
    config["made_by"] = f"mlx {mx.__version__}, mlx-lm {mlx_lm.__version__}"
    save_config(config, into / "config.json")
    (into / "model.safetensors.index.json").unlink()
    net, _ = load_model(into)
    net.set_dtype(mx.float32)
    tokens = mx.array([[int(token) for token in random.integers(0, config["vocab_size"], 12)]])
    mx.save_safetensors(str(into / "logits.safetensors"), {"tokens": tokens, "logits": net(tokens)[0]})


common = dict(
    vocab_size=40, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
    max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=10000.0, tie_word_embeddings=False, hidden_act="silu", attention_bias=False,
    moe_intermediate_size=32, norm_topk_prob=True, num_experts_per_tok=2)
model(
    "mixture", qwen3_moe,
    dict(common, architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", head_dim=32, num_experts=4, decoder_sparse_step=1,
         mlp_only_layers=[]),
    lambda path, layer: {"group_size": 64, "bits": 8} if path.endswith("mlp.gate") else
    {"group_size": 32, "bits": 3} if path.endswith("layers.1.mlp.switch_mlp.down_proj") else not path.endswith("o_proj"))
model(
    "latent", deepseek_v3,
    dict(common, architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", kv_lora_rank=32, q_lora_rank=32, qk_rope_head_dim=16,
         v_head_dim=32, qk_nope_head_dim=32, n_routed_experts=4, n_shared_experts=1, n_group=2, topk_group=1, routed_scaling_factor=2.5,
         first_k_dense_replace=1, moe_layer_freq=1, scoring_func="sigmoid", topk_method="noaux_tc"),
    lambda path, layer: True)
