"""A Llama of random weights, for time and memory: random_llama.py OUTPUT [--tokenizer DIR] [--hidden 2048 --layers 8 ...].

The defaults make 0.49 G parameters (984 MB in bfloat16): hidden 2048, intermediate 5632, 8 layers, 16 heads, 4 key/value heads, vocabulary
32000, untied head, normal weights with a standard deviation of 0.02. Needs torch and safetensors. The tokenizer files are copied from a
directory (the demo model's, as a rule): any tokenizer with a smaller vocabulary will do.
"""
import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("output", type=pathlib.Path)
parser.add_argument("--tokenizer", type=pathlib.Path)
for name, value in dict(hidden=2048, intermediate=5632, layers=8, heads=16, kv_heads=4, vocabulary=32000, seed=0).items():
    parser.add_argument(f"--{name}", type=int, default=value)
arguments = parser.parse_args()
hidden, head = arguments.hidden, arguments.hidden // arguments.heads
generator = torch.Generator().manual_seed(arguments.seed)


def normal(*shape):
    return torch.empty(*shape).normal_(std=0.02, generator=generator).bfloat16()


tensors = {"model.embed_tokens.weight": normal(arguments.vocabulary, hidden)}
for index in range(arguments.layers):
    layer = f"model.layers.{index}."
    for name, rows, columns in [
        ("self_attn.q_proj", hidden, hidden),
        ("self_attn.k_proj", arguments.kv_heads * head, hidden),
        ("self_attn.v_proj", arguments.kv_heads * head, hidden),
        ("self_attn.o_proj", hidden, hidden),
        ("mlp.gate_proj", arguments.intermediate, hidden),
        ("mlp.up_proj", arguments.intermediate, hidden),
        ("mlp.down_proj", hidden, arguments.intermediate),
    ]:
        tensors[f"{layer}{name}.weight"] = normal(rows, columns)
    for name in ["input_layernorm", "post_attention_layernorm"]:
        tensors[f"{layer}{name}.weight"] = torch.ones(hidden, dtype=torch.bfloat16)
tensors["model.norm.weight"] = torch.ones(hidden, dtype=torch.bfloat16)
tensors["lm_head.weight"] = normal(arguments.vocabulary, hidden)

arguments.output.mkdir(parents=True, exist_ok=True)
save_file(tensors, arguments.output / "model.safetensors", metadata={"format": "pt"})
configuration = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=hidden, intermediate_size=arguments.intermediate,
    num_hidden_layers=arguments.layers, num_attention_heads=arguments.heads, num_key_value_heads=arguments.kv_heads, head_dim=head,
    vocab_size=arguments.vocabulary, max_position_embeddings=2048, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
    attention_bias=False, mlp_bias=False, tie_word_embeddings=False, torch_dtype="bfloat16", bos_token_id=0, eos_token_id=1)
(arguments.output / "config.json").write_text(json.dumps(configuration, indent=2))
if arguments.tokenizer:
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        if (arguments.tokenizer / name).exists():
            shutil.copy(arguments.tokenizer / name, arguments.output / name)
