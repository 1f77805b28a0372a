"""Writes the seeds of the fuzzer that no fixture of the tests serves as: small files of every form that a reader knows.

Run: python3 Fuzz/make-seeds.py   (needs nothing beside Python)
Those of keras are made from a model with random weights: KERAS_EXECUTABLE names the deepseek-optimize that converts it; without it they stay.
"""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent / "Seeds"


def write(target, name, content):
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# safetensors

WIDTHS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F16": 16, "BF16": 16, "I16": 16, "U16": 16, "F32": 32,
    "I32": 32, "U32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}


def safetensors(tensors, metadata=None):
    """Tensors: name, type, shape, and bytes, which are counted up from the name where they are None."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, kind, shape, content in tensors:
        count = 1
        for size in shape:
            count *= size
        length = count * WIDTHS[kind] // 8
        if content is None:
            content = bytes((len(name) * 7 + 3 * index) % 120 for index in range(length))
        assert len(content) == length, name
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + length]}
        data += content
    text = compact(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def halves(count, value=0x3000):
    return struct.pack("<H", value) * count


def integers(values, kind="<q"):
    return b"".join(struct.pack(kind, value) for value in values)


write("safetensors", "empty.safetensors", safetensors([]))
write("safetensors", "metadata.safetensors", safetensors([("w", "F32", [2], None)], {"format": "pt", "é": "\u2028 \u0000"}))
write("safetensors", "types.safetensors", safetensors([(kind.lower(), kind, [2, 3] if kind != "F4" else [2, 2], None) for kind in WIDTHS]))
write("safetensors", "shapes.safetensors", safetensors([("a", "F32", [], None), ("b", "F16", [0, 4], None), ("c", "I8", [1, 1, 1, 3], None)]))
write("safetensors", "fp8-blocks.safetensors", safetensors([
    ("m.weight", "F8_E4M3", [3, 4], None), ("m.weight_scale_inv", "F32", [1, 1], integers([1.5], "<f")), ("n.weight", "BF16", [2], None)]))
write("safetensors", "gptq.safetensors", safetensors([
    ("m.qweight", "I32", [4, 8], None), ("m.qzeros", "I32", [1, 1], None), ("m.scales", "F16", [1, 8], halves(8)),
    ("m.g_idx", "I32", [32], integers([0] * 32, "<i")), ("n.weight", "F16", [2], None)]))
write("safetensors", "awq.safetensors", safetensors([
    ("m.qweight", "I32", [32, 1], None), ("m.qzeros", "I32", [1, 1], None), ("m.scales", "F16", [1, 8], halves(8))]))
write("safetensors", "packed.safetensors", safetensors([
    ("m.weight_packed", "I32", [2, 4], None), ("m.weight_scale", "F16", [2, 1], halves(2)), ("m.weight_shape", "I64", [2], integers([2, 32]))]))
write("safetensors", "packed-asymmetric.safetensors", safetensors([
    ("m.weight_packed", "I32", [8, 4], None), ("m.weight_scale", "F16", [8, 1], halves(8)),
    ("m.weight_shape", "I64", [2], integers([8, 32])), ("m.weight_zero_point", "I32", [1, 1], None)]))
write("safetensors", "int8.safetensors", safetensors([
    ("m.weight", "I8", [2, 32], None), ("m.weight_scale", "F16", [2, 1], halves(2)), ("m.input_scale", "F32", [1], integers([0.5], "<f"))]))
write("safetensors", "float8.safetensors", safetensors([
    ("m.weight", "F8_E4M3", [2, 32], None), ("m.weight_scale", "F32", [2, 1], integers([1, 2], "<f"))]))
write("safetensors", "nvfp4.safetensors", safetensors([
    ("m.weight_packed", "U8", [2, 16], None), ("m.weight_scale", "F8_E4M3", [2, 2], None),
    ("m.weight_global_scale", "F32", [1], integers([2], "<f"))]))
write("safetensors", "mlx.safetensors", safetensors([
    ("m.weight", "U32", [2, 4], None), ("m.scales", "F16", [2, 1], halves(2)), ("m.biases", "F16", [2, 1], halves(2))], {"format": "mlx"}))

# An index, over the shards that the target lays beside it.

SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
write("index", "whole.json", json.dumps(
    {"metadata": {"total_size": 24}, "weight_map": {"a": SHARDS[0], "b": SHARDS[0], "c": SHARDS[1]}}, indent=2))
write("index", "other-order.json", compact({"weight_map": {"c": SHARDS[1], "b": SHARDS[0], "a": SHARDS[0]}}))
write("index", "swapped.json", compact({"weight_map": {"a": SHARDS[1], "b": SHARDS[0], "c": SHARDS[0]}}))
write("index", "missing.json", compact({"weight_map": {"a": SHARDS[0]}}))
write("index", "outside.json", compact({"weight_map": {"a": "../" + SHARDS[0], "b": "/etc/hostname", "c": "."}}))

# GGUF

KINDS = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "string": 8, "array": 9, "u64": 10, "i64": 11, "f64": 12}
FORMATS = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "bool": "?", "u64": "Q", "i64": "q", "f64": "d"}
# Number, elements of a block, bytes of a block.
BLOCKS = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34),
    "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210),
    "IQ4_NL": (20, 32, 18), "I8": (24, 1, 1), "I32": (26, 1, 4), "F64": (28, 1, 8), "BF16": (30, 1, 2), "MXFP4": (39, 32, 17),
}


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def value(kind, content):
    if kind == "string":
        return string(content)
    if kind == "array":
        inner, elements = content
        return struct.pack("<IQ", KINDS[inner], len(elements)) + b"".join(value(inner, element) for element in elements)
    return struct.pack("<" + FORMATS[kind], content)


def gguf(metadata, tensors, version=3):
    """Tensors: name, type, shape with the outermost axis first."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, kind, content in metadata:
        head += string(key) + struct.pack("<I", KINDS[kind]) + value(kind, content)
    data = b""
    for name, kind, shape in tensors:
        number, elements, width = BLOCKS[kind]
        rows = 1
        for size in shape[:-1]:
            rows *= size
        assert shape[-1] % elements == 0, name
        head += string(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", size) for size in reversed(shape))
        head += struct.pack("<IQ", number, len(data))
        data += (b"\x00\x2c" * (rows * shape[-1] // elements * width))[: rows * shape[-1] // elements * width]
        data += bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + data


WORDS = ["<unk>", "<s>", "</s>", "▁a", "b", "▁ab", "<0x41>", "c"]
PIECES = [
    ("tokenizer.ggml.model", "string", "llama"), ("tokenizer.ggml.tokens", "array", ("string", WORDS)),
    ("tokenizer.ggml.scores", "array", ("f32", [0, 0, 0, -1, -2, -3, -4, -5])),
    ("tokenizer.ggml.token_type", "array", ("i32", [2, 3, 3, 1, 1, 1, 6, 1])), ("tokenizer.ggml.bos_token_id", "u32", 1),
    ("tokenizer.ggml.add_bos_token", "bool", True),
]
PAIRS = [
    ("tokenizer.ggml.model", "string", "gpt2"), ("tokenizer.ggml.pre", "string", "qwen2"),
    ("tokenizer.ggml.tokens", "array", ("string", ["a", "b", "ab", "Ġ", "Ġa", "c", "d", "<|end|>"])),
    ("tokenizer.ggml.token_type", "array", ("i32", [1, 1, 1, 1, 1, 1, 1, 3])),
    ("tokenizer.ggml.merges", "array", ("string", ["a b", "Ġ a"])), ("tokenizer.chat_template", "string", "{{ messages }}"),
]
WORDPIECES = [
    ("tokenizer.ggml.model", "string", "bert"),
    ("tokenizer.ggml.tokens", "array", ("string", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁a", "b", "▁ab", "[MASK]"])),
    ("tokenizer.ggml.token_type", "array", ("i32", [3, 3, 3, 3, 1, 1, 1, 3])), ("tokenizer.ggml.unknown_token_id", "u32", 1),
    ("tokenizer.ggml.seperator_token_id", "u32", 3), ("tokenizer.ggml.padding_token_id", "u32", 0), ("tokenizer.ggml.cls_token_id", "u32", 2),
]


def decoder(name, width, hidden, heads, pairs, head=2, more=()):
    return [
        ("general.architecture", "string", name), ("general.name", "string", "seed"), (f"{name}.block_count", "u32", 1),
        (f"{name}.context_length", "u32", 64), (f"{name}.embedding_length", "u32", width), (f"{name}.feed_forward_length", "u32", hidden),
        (f"{name}.attention.head_count", "u32", heads), (f"{name}.attention.head_count_kv", "u32", pairs),
        (f"{name}.attention.key_length", "u32", head), (f"{name}.attention.value_length", "u32", head),
        (f"{name}.rope.dimension_count", "u32", head), (f"{name}.attention.layer_norm_rms_epsilon", "f32", 1e-5), *more,
    ]


def layer(width, hidden, heads, pairs, kind, head=2, mlp=True):
    tensors = [
        ("token_embd.weight", kind, [8, width]), ("output_norm.weight", "F32", [width]), ("blk.0.attn_norm.weight", "F32", [width]),
        ("blk.0.attn_q.weight", kind, [heads * head, width]), ("blk.0.attn_k.weight", kind, [pairs * head, width]),
        ("blk.0.attn_v.weight", "F16", [pairs * head, width]), ("blk.0.attn_output.weight", "F32", [width, heads * head]),
        ("blk.0.ffn_norm.weight", "F32", [width]),
    ]
    if mlp:
        tensors += [
            ("blk.0.ffn_gate.weight", kind, [hidden, width]), ("blk.0.ffn_up.weight", "BF16", [hidden, width]),
            ("blk.0.ffn_down.weight", "F32", [width, hidden])]
    return tensors


for kind in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "MXFP4"]:
    write("gguf", f"llama-{kind.lower()}.gguf", gguf(decoder("llama", 32, 2, 2, 1) + PIECES, layer(32, 2, 2, 1, kind)))
for kind in ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]:
    write("gguf", f"llama-{kind.lower()}.gguf", gguf(decoder("llama", 256, 1, 1, 1), layer(256, 1, 1, 1, kind)))
write("gguf", "llama-scaled.gguf", gguf(
    decoder("llama", 32, 2, 2, 1, more=[
        ("llama.rope.freq_base", "f32", 5e5), ("llama.rope.scaling.type", "string", "yarn"), ("llama.rope.scaling.factor", "f32", 4.0),
        ("llama.rope.scaling.original_context_length", "u32", 16)]) + PIECES, layer(32, 2, 2, 1, "F32")))
write("gguf", "llama-divisors.gguf", gguf(
    decoder("llama", 32, 2, 2, 1), layer(32, 2, 2, 1, "F16") + [("rope_freqs.weight", "F32", [1])], version=2))
write("gguf", "mixtral.gguf", gguf(
    decoder("llama", 32, 32, 2, 1, more=[("llama.expert_count", "u32", 2), ("llama.expert_used_count", "u32", 1)]),
    layer(32, 32, 2, 1, "F16", mlp=False) + [
        ("blk.0.ffn_gate_inp.weight", "F32", [2, 32]), ("blk.0.ffn_gate_exps.weight", "Q4_0", [2, 32, 32]),
        ("blk.0.ffn_up_exps.weight", "Q8_0", [2, 32, 32]), ("blk.0.ffn_down_exps.weight", "Q4_0", [2, 32, 32])]))
write("gguf", "qwen2.gguf", gguf(
    decoder("qwen2", 32, 2, 2, 1, head=16) + PAIRS,
    layer(32, 2, 2, 1, "Q8_0", head=16)
    + [(f"blk.0.attn_{letter}.bias", "F32", [16 * count]) for letter, count in [("q", 2), ("k", 1), ("v", 1)]]))
write("gguf", "qwen3.gguf", gguf(
    decoder("qwen3", 32, 2, 2, 1) + PAIRS,
    layer(32, 2, 2, 1, "Q8_0") + [("blk.0.attn_q_norm.weight", "F32", [2]), ("blk.0.attn_k_norm.weight", "F32", [2])]))
write("gguf", "deepseek2.gguf", gguf(
    [pair for pair in decoder("deepseek2", 32, 2, 2, 1, head=4) if not pair[0].endswith("dimension_count")] + [
        ("deepseek2.rope.dimension_count", "u32", 2),
        ("deepseek2.attention.kv_lora_rank", "u32", 32), ("deepseek2.attention.key_length_mla", "u32", 4),
        ("deepseek2.attention.value_length_mla", "u32", 2), ("deepseek2.leading_dense_block_count", "u32", 1)],
    [
        ("token_embd.weight", "F16", [8, 32]), ("output_norm.weight", "F32", [32]), ("output.weight", "Q8_0", [8, 32]),
        ("blk.0.attn_norm.weight", "F32", [32]), ("blk.0.attn_q.weight", "F16", [8, 32]), ("blk.0.attn_kv_a_mqa.weight", "F16", [34, 32]),
        ("blk.0.attn_kv_a_norm.weight", "F32", [32]), ("blk.0.attn_k_b.weight", "F16", [2, 32, 2]),
        ("blk.0.attn_v_b.weight", "Q8_0", [2, 2, 32]), ("blk.0.attn_output.weight", "F32", [32, 4]), ("blk.0.ffn_norm.weight", "F32", [32]),
        ("blk.0.ffn_gate.weight", "F16", [2, 32]), ("blk.0.ffn_up.weight", "F16", [2, 32]), ("blk.0.ffn_down.weight", "F32", [32, 2])]))
write("gguf", "bert.gguf", gguf(
    [
        ("general.architecture", "string", "bert"), ("bert.block_count", "u32", 1), ("bert.context_length", "u32", 4),
        ("bert.embedding_length", "u32", 32), ("bert.feed_forward_length", "u32", 2), ("bert.attention.head_count", "u32", 2),
        ("bert.attention.layer_norm_epsilon", "f32", 1e-12), ("bert.attention.causal", "bool", False), ("bert.pooling_type", "u32", 1),
        *WORDPIECES],
    [
        ("token_embd.weight", "F16", [8, 32]), ("position_embd.weight", "F32", [4, 32]), ("token_types.weight", "F32", [2, 32])]
    + [(f"{name}.{part}", "F32", [32]) for name in ["token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"] for part in ["weight", "bias"]]
    + [(f"blk.0.attn_{part}.weight", "Q8_0", [32, 32]) for part in ["q", "k", "v", "output"]]
    + [(f"blk.0.attn_{part}.bias", "F32", [32]) for part in ["q", "k", "v", "output"]]
    + [("blk.0.ffn_up.weight", "F16", [2, 32]), ("blk.0.ffn_up.bias", "F32", [2]), ("blk.0.ffn_down.weight", "F16", [32, 2]),
       ("blk.0.ffn_down.bias", "F32", [32])]))
write("gguf", "values.gguf", gguf(
    [(f"a.{kind}", kind, 1) for kind in FORMATS] + [
        ("a.nested", "array", ("array", [("u8", [1]), ("string", ["x"])])), ("a.empty", "array", ("f32", [])),
        ("general.alignment", "u32", 64), ("split.count", "u16", 1)], []))

# Settings of quantization, over the modules of the tests' fixtures.


def group(bits, size, symmetric, kind="int", **more):
    return {
        "num_bits": bits, "type": kind, "symmetric": symmetric, "strategy": "group" if size else "channel", "group_size": size or None,
        "dynamic": False, **more}


def compressed(name, form, weights, inputs=None, ignore=()):
    write("quantization", f"{name}.json", json.dumps({"quantization_config": {
        "quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": list(ignore),
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": inputs}}}}, indent=1))


PER_TOKEN = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
compressed("packed", "pack-quantized", group(4, 128, True), ignore=["re:^(?!w4g128$).*"])
compressed("packed-asymmetric", "pack-quantized", group(4, 128, False), ignore=["lm_head", "re:w[235678].*"])
compressed("packed-channel", "pack-quantized", group(8, 0, True), ignore=["re:.*a$", "w4g128", "w3g32"])
compressed("integers", "int-quantized", group(8, 0, False), PER_TOKEN)
compressed("naive", "naive-quantized", group(8, 0, True))
write("quantization", "preset.json", compact({"compression_config": {
    "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
    "config_groups": {"W4A16": ["re:w4.*", "Linear"], "W8A8": ["re:naive$"]}, "kv_cache_scheme": None}}))
write("quantization", "gptq.json", compact({"quantization_config": {
    "quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": False, "checkpoint_format": "gptq_v2",
    "dynamic": {"-:awq.*": {}, "+:gptq8.*": {"bits": 8}, "gptq4channel": {"group_size": -1}, r"gptq[23]a?$": {"bits": 2, "sym": False}}}}))
write("quantization", "awq.json", compact({"quantization_config": {
    "quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}}))
write("quantization", "fp8.json", compact({"dtype": "bfloat16", "quantization_config": {
    "quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [16, 16], "activation_scheme": "dynamic"}}))
layers = {f"b{bits}": {"group_size": 64, "bits": bits} for bits in [2, 3, 5, 6, 8]}
layers |= {
    "g32": {"group_size": 32, "bits": 4}, "g128": {"group_size": 128, "bits": 3}, "mx": {"group_size": 32, "bits": 4, "mode": "mxfp4"},
    "nv": {"group_size": 16, "bits": 4, "mode": "nvfp4"}, "head": False}
write("quantization", "mlx.json", compact({"quantization": {"group_size": 64, "bits": 4, "mode": "affine"} | layers}))
write("quantization", "dense.json", compact({"quantization_config": None, "dtype": "float32"}))

# Training data

write("chat", "messages.jsonl", "\n".join(compact(line) for line in [
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Two"}]}, {"role": "assistant", "content": "parts"}]},
    {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}, {"role": "tool", "content": "1"}]}]))
write("chat", "turns.jsonl", compact({"conversations": [
    {"from": "system", "value": "s"}, {"from": "human", "value": "q \u0000 é"}, {"from": "gpt", "value": "a"}]}) + "\n\n \r\n")
write("chat", "completions.jsonl", "\n".join(compact(line) for line in [
    {"prompt": "1 + 1 =", "completion": " 2"}, {"prompt": "x", "response": "y"}, {"instruction": "Add", "input": "1, 2", "output": "3"}]))
write("chat", "texts.jsonl", compact({"text": "once upon a time " * 20, "source": 1}) + "\n" + compact({"text": ""}))
write("chat", "tokens.jsonl", compact({"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}) + "\n" + compact({"input_ids": [4, 5]}))

# Chat templates

TEMPLATES = {
    "plain": "{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' }}{{ message.content|trim }}{{ eos_token }}{% endfor %}",
    "branches": "{%- if messages[0].role == 'system' -%}{% set first = messages[0].content %}{% set rest = messages[1:] %}"
    "{%- elif not messages -%}{{ raise_exception('none') }}{%- else -%}{% set rest = messages %}{%- endif -%}"
    "{% for m in rest if m.content is string %}{{ loop.index0 }}/{{ loop.length }}{{ loop.last }} {{ m.content | upper }}{% endfor %}",
    "namespace": "{% set ns = namespace(n=0, l=[]) %}{% for m in messages %}{% set ns.n = ns.n + loop.index * 2 % 7 %}{% if loop.first %}"
    "{% continue %}{% endif %}{% if ns.n > 9 %}{% break %}{% endif %}{% endfor %}{{ ns.n }}",
    "macros": "{% macro show(x, y=1, *args) %}<{{ x }}{{ y }}>{% endmacro %}{{ show(2) }}{{ show(x='é', y=[1,2]) }}"
    "{% generation %}{{ show(messages|length) }}{% endgeneration %}{% filter upper %}a{% endfilter %}{% with q = 3 %}{{ q }}{% endwith %}",
    "tools": "{% for tool in tools %}{{ tool | tojson(indent=2) }}{% endfor %}{{ messages[2].tool_calls[0].arguments.items() | list }}"
    "{{ 'a,b'.split(',')[-1] }}{{ '%s' % 3 }}{{ strftime_now('%d %b %Y') }}{{ numbers|sort|join('-') }}{{ numbers|map('string')|list }}",
    "operators": "{{ 7 // 2 }}{{ 2 ** 10 }}{{ -7 % 3 }}{{ 1 if x is defined else 'no' }}{{ 'a' ~ 1 ~ none }}{{ 3 in numbers }}"
    "{{ 'abcdef'[1:5:2] }}{{ 'ab' * 3 }}{{ [1] + [2] }}{{ {'a': 1}['a'] }}{{ range(3)|list }}{{ (1, 2)|last }}{{ 1.5|round|int }}"
    "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ 'x'.startswith('x') and not false or true }}{# note #}",
}
for name, text in TEMPLATES.items():
    write("template", f"{name}.jinja", text)

# Recipes beyond those of the catalogue

write("recipe", "json.yaml", compact({"version": 1, "format": "gguf", "seed": "18446744073709551615", "passes": ["round-to-nearest"]}))
write("recipe", "flow.yaml", "passes:\n- round-to-nearest: {bits: 4, group-size: 32, ignore: ['re:.*down', lm_head]}\n")
write("recipe", "styles.yaml", "# note\n---\nformat: \"gguf\"\npasses:\n  - 'round-to-nearest':\n      bits: 0x4\n      method: >-\n        symmetric\n...\n")
write("recipe", "alias.yaml", "a: &a [x]\npasses: [*a]\n")

# A report that has every part that a reader knows is in no fixture: one with the parts that every run has.

ACCURACY = {
    "text": "demo", "tokens": 4, "context": 8, "reference": {"perplexity": 9.5, "standardError": 0.5},
    "compressed": {"perplexity": 10.5, "standardError": 0.5}, "perplexityRatio": 1.1, "perplexityRatioInterval": [1.0, 1.2],
    "klDivergence": {"mean": 0.1, "standardError": 0.01, "median": 0.05, "p95": 0.3, "p99": 0.5, "p999": 0.6, "max": 0.7},
    "topTokenAgreement": 0.9, "flips": {"gained": 1, "lost": 2}}
write("report", "whole.json", compact({
    "schema": 1, "tool": {"name": "deepseek-optimize", "version": "0.1.0"},
    "model": {"name": "m", "family": "llama", "parameters": 1000}, "recipe": [{"pass": "round-to-nearest", "bits": 8}],
    "inputs": {"modelSHA256": "00", "evalSHA256": "11"},
    "size": {"sourceBytes": 2000, "outputBytes": 1000, "ratio": 2.0, "bitsPerWeight": 8.1}, "accuracy": ACCURACY,
    "layers": [
        {"name": f"model.layers.{index}.mlp.up_proj.weight", "bits": 8, "groupSize": 32, "format": "W8A16", "weightSQNRdB": 40.5,
         "outputSQNRdB": 39.0, "clippedFraction": 0.0} for index in range(3)],
    "speed": {"prefillTokensPerSecond": {"reference": 10.0, "compressed": 20.0}, "decodeTokensPerSecond": {"reference": 1.0, "compressed": 2.0}},
    "resources": {"wallSeconds": 1.5, "peakMemoryBytes": 100, "bytesRead": 10, "bytesWritten": 10, "threads": 2},
    "gates": [{"name": "max-kl", "limit": 0.5, "value": 0.1, "passed": True}], "warnings": ["<b>"]}))
write("report", "least.json", compact({"schema": 1, "tool": {"name": "t", "version": "1"}, "model": {"name": "m"}, "recipe": []}))

# Keras: a preset of a tiny model, as an archive with its members stored.


def keras(executable):
    sizes = {"vocab_size": 8, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
             "num_key_value_heads": 1, "head_dim": 2, "max_position_embeddings": 16, "model_type": "llama", "rms_norm_eps": 1e-5}
    shapes = {"model.embed_tokens": [8, 4], "lm_head": [8, 4], "model.norm": [4]}
    for name, shape in {"self_attn.q_proj": [4, 4], "self_attn.k_proj": [2, 4], "self_attn.v_proj": [2, 4], "self_attn.o_proj": [4, 4],
                        "mlp.gate_proj": [4, 4], "mlp.up_proj": [4, 4], "mlp.down_proj": [4, 4], "input_layernorm": [4],
                        "post_attention_layernorm": [4]}.items():
        shapes[f"model.layers.0.{name}"] = shape
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "m").mkdir()
        (place / "m/config.json").write_text(json.dumps(sizes))
        (place / "m/model.safetensors").write_bytes(safetensors([(f"{name}.weight", "BF16", shape, None) for name, shape in shapes.items()]))
        subprocess.run([executable, "convert", "--model", "m", "--output", "k", "--format", "keras"], cwd=place, check=True)
        archive = place / "model.keras"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as members:
            for name in ["config.json", "model.weights.h5", "metadata.json"]:
                if (place / "k" / name).exists():
                    members.writestr(zipfile.ZipInfo(name), (place / "k" / name).read_bytes())
        write("keras", "preset.keras", archive.read_bytes())


if "KERAS_EXECUTABLE" in os.environ:
    keras(os.path.abspath(os.environ["KERAS_EXECUTABLE"]))
