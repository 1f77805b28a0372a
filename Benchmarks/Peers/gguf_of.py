"""The weights of a random Llama checkpoint as a GGUF file (bfloat16) that llama.cpp loads without a tokenizer."""
import json
import mmap
import struct
import sys

import gguf
import numpy as np

source, target = sys.argv[1:3]
config = json.load(open(f"{source}/config.json"))
f = open(f"{source}/model.safetensors", "rb")
data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
header.pop("__metadata__", None)
w = gguf.GGUFWriter(target, "llama")
w.add_block_count(config["num_hidden_layers"]); w.add_context_length(config["max_position_embeddings"])
w.add_embedding_length(config["hidden_size"]); w.add_feed_forward_length(config["intermediate_size"])
w.add_head_count(config["num_attention_heads"]); w.add_head_count_kv(config["num_key_value_heads"])
w.add_layer_norm_rms_eps(config["rms_norm_eps"]); w.add_rope_freq_base(config["rope_theta"])
w.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
w.add_vocab_size(config["vocab_size"]); w.add_tokenizer_model("no_vocab"); w.add_file_type(32)
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
for name, e in header.items():
    a, b = e["data_offsets"]
    raw = np.frombuffer(data, dtype=np.uint16, count=(b - a) // 2, offset=8 + size + a).reshape(e["shape"])
    new = names.get_name(name, try_suffixes=(".weight",))
    if len(e["shape"]) == 1:
        w.add_tensor(new, (raw.astype(np.uint32) << 16).view(np.float32))
    else:
        w.add_tensor(new, raw.view(np.uint8).reshape(e["shape"][0], -1), raw_dtype=gguf.GGMLQuantizationType.BF16)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
