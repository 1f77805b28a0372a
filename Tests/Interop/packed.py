"""Compressed-tensors weights decoded by numpy alone, to know what a loader should have loaded."""

import json
import re
from pathlib import Path

import numpy
from safetensors import safe_open


class Checkpoint:
  """The tensors of a directory's model*.safetensors and the quantization of each of its modules."""

  def __init__(self, directory):
    self.directory = Path(directory)
    self.config = json.loads((self.directory / "config.json").read_text())
    self.quantization = self.config.get("quantization_config")
    if not self.quantization:
      raise ValueError(f"{directory}/config.json has no quantization_config: not a quantized checkpoint")
    self.groups = list(self.quantization["config_groups"].values())
    self.files = [safe_open(path, framework="pt") for path in sorted(self.directory.glob("model*.safetensors"))]
    self.where = {name: file for file in self.files for name in file.keys()}

  def array(self, name):
    """Floating point as f32 (exact), integers as they are; None when absent."""
    if name not in self.where:
      return None
    tensor = self.where[name].get_tensor(name)
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()

  def scale_type(self, module):
    name = f"{module}.weight_scale"
    return self.where[name].get_tensor(name).dtype

  @property
  def modules(self):
    return sorted(name.removesuffix(".weight_scale") for name in self.where if name.endswith(".weight_scale"))

  @property
  def symmetric(self):
    return all(group["weights"]["symmetric"] for group in self.groups)

  @property
  def activations(self):
    return any(group.get("input_activations") for group in self.groups)

  def scheme(self, module):
    """The group whose targets name the module; a group that targets the class Linear takes the rest."""
    for group in self.groups:
      for target in group["targets"]:
        if re.match(target[3:], module) if target.startswith("re:") else target == module:
          return group
    for group in self.groups:
      if "Linear" in group["targets"]:
        return group
    raise ValueError(f"{self.directory}: no config group targets {module}")

  def summary(self):
    """Such as "W4 asymmetric g128 pack-quantized"."""
    parts = []
    for group in self.groups:
      weights = group["weights"]
      activations = f"A{group['input_activations']['num_bits']}" if group.get("input_activations") else ""
      extent = f"g{weights['group_size']}" if weights["strategy"] == "group" else weights["strategy"]
      sign = "symmetric" if weights["symmetric"] else "asymmetric"
      parts.append(f"W{weights['num_bits']}{activations} {sign} {extent} {group.get('format', self.quantization['format'])}")
    return " + ".join(parts)

  def decode(self, module):
    """The dequantized weight, f32 [N, K]: (q - zero point) * scale."""
    bits = self.scheme(module)["weights"]["num_bits"]
    scale = self.array(f"{module}.weight_scale")
    zero_point = self.array(f"{module}.weight_zero_point")
    codes = self.array(f"{module}.weight")
    if codes is None:
      rows, columns = (int(extent) for extent in self.array(f"{module}.weight_shape"))
      codes = unpack(self.array(f"{module}.weight_packed"), columns, bits)
      if zero_point is not None:
        zero_point = unpack(numpy.ascontiguousarray(zero_point.T), rows, bits).T  # packed down the rows
    groups = scale.shape[1]
    codes = codes.astype(numpy.float32).reshape(codes.shape[0], groups, -1)
    if zero_point is not None:
      codes = codes - zero_point.astype(numpy.float32)[..., None]
    return (codes * scale[..., None]).reshape(codes.shape[0], -1)


def unpack(words, count, bits):
  """Signed codes from rows of 32-bit words: code i owns bits [i*bits, (i+1)*bits) of its row's little-endian bit stream."""
  stream = numpy.unpackbits(words.view(numpy.uint8), axis=1, bitorder="little")[:, :count * bits]
  digits = stream.reshape(len(words), count, bits).astype(numpy.int32)
  return digits @ (1 << numpy.arange(bits, dtype=numpy.int32)) - (1 << (bits - 1))
