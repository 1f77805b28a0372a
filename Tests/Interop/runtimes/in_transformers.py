"""transformers on the CPU in float32: safetensors, compressed-tensors, GPTQ, AWQ, and HDF5 as h5py reads it."""

import json
import logging
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, AwqConfig, CompressedTensorsConfig, GPTQConfig

sys.path.append(str(Path(__file__).resolve().parent.parent))  # last: its tokenizers.py must not stand in for the library
from hdf5 import hdf5_tensors  # noqa: E402

torch.set_num_threads(2)


def versions():
  names = ["transformers", "torch", "compressed-tensors", "safetensors", "h5py", "gptqmodel", "optimum"]
  return {name: metadata.version(name) for name in names if any(True for _ in metadata.distributions(name=name))}


class Complaints(logging.Handler):
  """What the loader says of weights that it made up or left."""

  def __init__(self):
    super().__init__(logging.WARNING)
    self.lines = []

  def emit(self, record):
    self.lines.append(" ".join(record.getMessage().split()))


def load(directory, kind=AutoModelForCausalLM, **arguments):
  complaints, logger = Complaints(), logging.getLogger("transformers")
  logger.addHandler(complaints)
  try:
    model, found = kind.from_pretrained(directory, dtype=torch.float32, output_loading_info=True, **arguments)
  finally:
    logger.removeHandler(complaints)
  for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
    if found[what]:
      raise ValueError(f"{what.replace('_', ' ')}: {sorted(map(str, found[what]))[0]} and {len(found[what]) - 1} more")
  for line in complaints.lines:
    if any(phrase in line for phrase in ("newly initialized", "MISSING", "UNEXPECTED", "not used when", "MISMATCH")):
      raise ValueError(f"the loader warns: {line[:200]}")
  return model.eval()


def from_hdf5(directory, target):
  """The same checkpoint in safetensors, its elements as h5py finds them."""
  header, data = {"__metadata__": {"format": "pt"}}, bytearray()
  for name, (kind, shape, elements) in hdf5_tensors(directory).items():
    header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(elements)]}
    data += elements
  text = json.dumps(header).encode()
  (Path(target) / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
  for path in Path(directory).glob("*.json"):
    shutil.copy(path, target)


def widen_scales(directory, target):
  """A copy whose scales are float32, the same values: some products of transformers are rounded to the type of the scales."""
  for path in Path(directory).iterdir():
    if path.suffix == ".json":
      shutil.copy(path, target)
    elif path.suffix == ".safetensors":
      tensors = load_file(path)
      save_file(
        {name: value.float() if name.endswith(".weight_scale") else value for name, value in tensors.items()}, Path(target) / path.name,
        {"format": "pt"})


def has_experts(config):
  return any(config.get(key) for key in ("n_routed_experts", "num_local_experts", "num_experts"))


def opened(directory, kind=AutoModelForCausalLM):
  """As transformers loads it, GPTQ and AWQ by gptqmodel's plain kernels, which need no compiler.

  Of compressed-tensors, 5.23 does not take all as it is. Asymmetric codes it loads dequantized alone (sizes do not match otherwise), in products of the
  type of the scales; four-bit floats in float32 too; and the weights of experts stay of the type of the scales, whatever is asked for.
  """
  with tempfile.TemporaryDirectory() as copy, tempfile.TemporaryDirectory() as wide:
    if any(Path(directory).glob("*.h5")):
      from_hdf5(directory, copy)
      directory = copy
    config = json.loads((Path(directory) / "config.json").read_text())
    quantization = config.get("quantization_config") or {}
    match quantization.get("quant_method"):
      case "gptq":
        return load(directory, kind, quantization_config=GPTQConfig(bits=quantization["bits"], backend="torch"))
      case "awq":
        return load(directory, kind, quantization_config=AwqConfig(bits=quantization["bits"], backend="torch_awq"))
      case "compressed-tensors":
        weights = [group["weights"] for group in quantization["config_groups"].values()]
      case _:
        return load(directory, kind)
    asymmetric = any(not scheme.get("symmetric", True) for scheme in weights)
    four_bit_floats = any(scheme.get("type") == "float" and scheme["num_bits"] == 4 for scheme in weights)
    if asymmetric or has_experts(config) and not four_bit_floats:
      widen_scales(directory, wide)
      directory = wide
    dequantized = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if asymmetric or four_bit_floats else {}
    return load(directory, kind, **dequantized)


@torch.no_grad()
def logits(model, windows):
  net = opened(model)
  for window in windows:
    yield net(torch.tensor(window)[None], use_cache=False).logits[0].float().numpy()


@torch.no_grad()
def embeddings(model, lines):
  net, tokenizer = opened(model, AutoModel), AutoTokenizer.from_pretrained(model)
  limit = net.config.max_position_embeddings
  return [net(**tokenizer(line, return_tensors="pt", truncation=True, max_length=limit)).last_hidden_state[0].mean(0).numpy() for line in lines]


def tokens(model, text):
  return AutoTokenizer.from_pretrained(model)(text)["input_ids"]
