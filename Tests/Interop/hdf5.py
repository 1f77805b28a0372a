#!/usr/bin/env python3
"""Does h5py read in our HDF5 checkpoint what safetensors reads in its twin?

  hdf5.py HDF5 TWIN...

HDF5 is an .h5 file or a directory that holds some, TWIN a .safetensors file or a directory of them with the same tensors. Of
several twins the one with the same names is taken (the quantized or the dequantized output of the same command). A tensor's
name is its path, joined by dots; shape, element type and every byte must match. Exit status 1 when anything differs.
"""

import argparse
import json
import sys
from pathlib import Path

import h5py
import numpy
from h5py import h5s, h5t

FLOATS = {(2, 15): "F16", (2, 127): "BF16", (4, 127): "F32", (8, 1023): "F64"}  # (bytes, exponent bias)
TAGS = {  # the attribute `dtype`, where plain bits stand for a type without a name in HDF5
  "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
}


def files_under(path, *suffixes):
  path = Path(path)
  found = [path] if path.is_file() else sorted(file for file in path.glob("*") if file.suffix in suffixes)
  if not found:
    raise SystemExit(f"{path}: no {' or '.join(suffixes)} file there")
  return found


def element_type(dataset):
  """The safetensors name of a dataset's element type, from the file's own description of it."""
  kind = dataset.id.get_type()
  if isinstance(kind, h5t.TypeFloatID):
    return FLOATS.get((kind.get_size(), kind.get_ebias()), f"float of {kind.get_size()} bytes, bias {kind.get_ebias()}")
  tag = dataset.attrs.get("dtype", "")
  tag = tag.decode() if isinstance(tag, bytes) else str(tag)
  if tag in TAGS:
    return TAGS[tag]
  if isinstance(kind, h5t.TypeEnumID):
    return "BOOL"
  if isinstance(kind, h5t.TypeIntegerID):
    return f"{'I' if kind.get_sign() == h5t.SGN_2 else 'U'}{8 * kind.get_size()}"
  return f"{type(kind).__name__} {tag}"


def hdf5_tensors(path):
  """{name: (type, shape, little-endian bytes)}; the elements are taken as they lie, with no conversion on the way."""
  tensors = {}

  def visit(name, item):
    if not isinstance(item, h5py.Dataset):
      return
    kind = item.id.get_type()
    elements = numpy.empty(item.shape, dtype=f"V{kind.get_size()}")
    item.id.read(h5s.ALL, h5s.ALL, elements, mtype=kind)
    if hasattr(kind, "get_order") and kind.get_size() > 1 and kind.get_order() != h5t.ORDER_LE:
      elements = elements.view(numpy.uint8).reshape(-1, kind.get_size())[:, ::-1]
    name = name.replace("/", ".")
    if name in tensors:
      raise SystemExit(f"{path}: {name} is there twice")
    tensors[name] = (element_type(item), tuple(item.shape), elements.tobytes())

  for file in files_under(path, ".h5", ".hdf5"):
    with h5py.File(file, "r") as opened:
      opened.visititems(visit)
  return tensors


def safetensors_tensors(path):
  """The same of safetensors files, straight from their headers."""
  tensors = {}
  for file in files_under(path, ".safetensors"):
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:start]).items():
      if name != "__metadata__":
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["dtype"], tuple(entry["shape"]), data[start + begin:start + end])
  return tensors


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("hdf5")
  parser.add_argument("twins", nargs="+", metavar="TWIN")
  arguments = parser.parse_args()

  ours = hdf5_tensors(arguments.hdf5)
  twins = [(twin, safetensors_tensors(twin)) for twin in arguments.twins]
  name, theirs = min(twins, key=lambda twin: len(ours.keys() ^ twin[1].keys()))
  problems = [f"only in HDF5: {tensor}" for tensor in sorted(ours.keys() - theirs.keys())]
  problems += [f"only in safetensors: {tensor}" for tensor in sorted(theirs.keys() - ours.keys())]
  for tensor in sorted(ours.keys() & theirs.keys()):
    for what, left, right in zip(("type", "shape", "values"), ours[tensor], theirs[tensor]):
      if left != right:
        detail = "" if what == "values" else f": {left} in HDF5, {right} in safetensors"
        problems.append(f"{tensor}: other {what}{detail}")
        break
  for problem in problems[:20]:
    print(problem)
  verdict = f"{len(problems)} differences" if problems else "no difference"
  print(f"{arguments.hdf5} against {name}: {len(ours)} tensors in h5py {h5py.__version__}, {verdict}")
  return 1 if problems or not ours else 0


if __name__ == "__main__":
  sys.exit(main())
