"""Makes the HDF5 fixtures beside this script. Needs h5py and numpy; what they were made with stands in versions.txt.

Elements follow one formula that the tests know too: element i is (37 i mod 256) - 128, divided by 16 for floats.
Every type holds it exactly.
"""
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5f, h5p, h5s, h5t, h5z

HERE = Path(__file__).parent


def codes(count):
    return (np.arange(count, dtype=np.int64) * 37) % 256 - 128


def values(shape, dtype="<f4"):
    dtype = np.dtype(dtype)
    base = codes(int(np.prod(shape)))
    if dtype.kind == "f":
        base = base / 16
    elif dtype.kind == "u":
        base = base + 128
    return base.astype(dtype).reshape(shape)


def bfloat16_bits(shape):
    return (values(shape).view(np.uint32) >> 16).astype("<u2")


def create(name, **options):
    return h5py.File(HERE / name, "w", **options)


def low_level(file, name, stored_type, shape, raw, creation=None):
    dataset = h5d.create(file.id, name.encode(), stored_type, h5s.create_simple(shape), creation)
    if raw is not None:
        dataset.write(h5s.ALL, h5s.ALL, raw, mtype=stored_type)
    return h5py.Dataset(dataset)


def float_type(size, exponent, fraction, bias):
    kind = h5t.IEEE_F32LE.copy()
    bits = size * 8
    kind.set_fields(bits - 1, fraction, exponent, 0, fraction)
    kind.set_precision(bits)
    kind.set_size(size)
    kind.set_ebias(bias)
    return kind


def plain():
    with create("nested.h5") as file:
        file["model/layers/0/mlp/up_proj/weight"] = values((4, 6))
        file["model/layers/10/mlp/up_proj/weight"] = values((4, 6), "<f2")
        file["model/norm/weight"] = values((6,), "<f8")
        file.attrs["config.json"] = '{"model_type": "llama", "hidden_size": 6}'
        file.attrs["tokenizer.json"] = "{" + " " * 3000 + "}"
        file.attrs["layers"] = np.int64(11)
        file.attrs["largest"] = np.uint64(2**64 - 1)
        file.attrs["epsilon"] = 1e-6
        file.attrs["tied"] = np.bool_(True)
        file.attrs["backend"] = np.bytes_("numpy")
        file.attrs["layer_names"] = np.array([b"embed", b"norm"])
        file.attrs["shape"] = np.array([4, 6], dtype=">i4")
        file.attrs["größe"] = "Maß"
        file.attrs["reference"] = file.ref
        file.attrs["nothing"] = h5py.Empty("f4")
    with create("dotted.h5") as file:
        file["model.embed_tokens.weight"] = values((3, 5))
        file["model/layers.0.weight"] = values((2, 2))
        file["lm_head.weight"] = values((7,))
        file["scalar"] = np.float32(2.5)
        file["empty"] = np.zeros((0, 4), "<f4")
        file["tied"] = file["lm_head.weight"]
    with create("chunked.h5") as file:
        data = values((37, 29))
        file.create_dataset("gzip", data=data, chunks=(8, 16), compression="gzip")
        file.create_dataset("gzip_shuffle", data=data, chunks=(8, 16), compression="gzip", shuffle=True)
        file.create_dataset("fletcher32", data=data, chunks=(8, 16), fletcher32=True)
        file.create_dataset("all", data=data, chunks=(37, 29), compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("szip", data=data, chunks=(8, 16), compression="szip")
        file.create_dataset("big_endian", data=data.astype(">f4"), chunks=(8, 16), compression="gzip", shuffle=True)
        file.create_dataset("zeros", data=np.zeros((1 << 16,), "<f4"), chunks=(1 << 16,), compression="gzip")
    with create("latest.h5", libver=("v110", "v110")) as file:
        data = values((12, 10), "<f2")
        file.create_dataset("contiguous", data=data)
        file.create_dataset("single", data=data, chunks=(12, 10), compression="gzip")
        file.create_dataset("implicit", data=data, chunks=(5, 5))
        file.create_dataset("fixed", data=data, chunks=(5, 5), compression="gzip")
        file.create_dataset("extensible", data=data, chunks=(5, 5), maxshape=(None, 10), compression="gzip")
        file.create_dataset("tree", data=data, chunks=(5, 5), maxshape=(None, None), compression="gzip")
        for index in range(40):
            file[f"dense/{index}"] = values((2,), "<f2")
    with create("userblock.h5", userblock_size=1024) as file:
        file["weight"] = values((3, 4))
        file.create_dataset("chunked", data=values((3, 4)), chunks=(2, 2), compression="gzip")


def types():
    with create("types.h5") as file:
        shape = (4, 8)
        for dtype in ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]:
            file[f"little/{dtype}"] = values(shape, "<" + dtype)
            file[f"big/{dtype}"] = values(shape, ">" + dtype)
        file["bool"] = codes(32).reshape(shape) % 3 == 0
        file["signalling"] = np.frombuffer(bytes.fromhex("7f800001ffc12345000000017f7fffff"), ">f4")
        bits = bfloat16_bits(shape)
        low_level(file, "bf16_float", float_type(2, 8, 7, 127), shape, bits)
        swapped = float_type(2, 8, 7, 127)
        swapped.set_order(h5t.ORDER_BE)
        low_level(file, "bf16_float_big", swapped, shape, bits.byteswap())
        opaque = h5t.create(h5t.OPAQUE, 2)
        low_level(file, "bf16_opaque", opaque, shape, bits.view("V2")).attrs["dtype"] = "bfloat16"
        file["bf16_tagged"] = bits
        file["bf16_tagged"].attrs["dtype"] = np.bytes_("bfloat16")
        file["bf16_untagged"] = bits
        file["f8_tagged"] = values(shape, "u1")
        file["f8_tagged"].attrs["dtype"] = "float8_e4m3fn"
        file["i8_tagged"] = values(shape, "i1")
        file["i8_tagged"].attrs["dtype"] = "int8"
        creation = h5p.create(h5p.DATASET_CREATE)
        creation.set_layout(h5d.COMPACT)
        low_level(file, "compact", h5t.IEEE_F32LE, shape, values(shape), creation)


def patched(name, changes, length=None):
    path = HERE / name
    data = path.read_bytes()
    for before, after in changes:
        assert data.count(before) == 1, (name, before, data.count(before))
        data = data.replace(before, after)
    path.write_bytes(data[:length])


def hostile():
    with create("victim.h5") as file:
        file["secret"] = values((4,))
    with create("hostile-external-link.h5") as file:
        file["stolen"] = h5py.ExternalLink("victim.h5", "/secret")
    with create("hostile-soft-link.h5") as file:
        file["weight"] = values((4,))
        file["other"] = h5py.SoftLink("/weight")
    with create("hostile-soft-link-loop.h5") as file:
        file["first"] = h5py.SoftLink("/second")
        file["second"] = h5py.SoftLink("/first")
    with create("hostile-hard-link-cycle.h5") as file:
        group = file.create_group("model")
        group["again"] = file["/"]
    with create("hostile-group-alias.h5") as file:
        file["model/weight"] = values((4,))
        file["same"] = file["model"]
    with create("hostile-external-storage.h5") as file:
        file.create_dataset("stolen", shape=(4,), dtype="<f4", external=[("victim.h5", 2048, 16)])
    with create("hostile-virtual.h5", libver=("v110", "v110")) as file:
        layout = h5py.VirtualLayout((4,), "<f4")
        layout[:] = h5py.VirtualSource("victim.h5", "secret", (4,))
        file.create_virtual_dataset("stolen", layout)
    with create("hostile-unwritten.h5") as file:
        file.create_dataset("bomb", shape=(1 << 40,), dtype="<f4")
    with create("hostile-unwritten-chunks.h5") as file:
        file.create_dataset("bomb", shape=(1 << 40,), dtype="<f4", chunks=(1 << 20,), compression="gzip")
    with create("hostile-ratio.h5") as file:
        bomb = file.create_dataset("bomb", shape=(1 << 30,), dtype="<f4", chunks=(1 << 16,), compression="gzip")
        bomb[:4] = 1
    with create("hostile-large-chunk.h5") as file:
        bomb = file.create_dataset("bomb", shape=(16,), maxshape=(None,), dtype="<f4", chunks=(1 << 22,), compression="gzip")
        creation = bomb.id
        creation.write_direct_chunk((0,), b"\x78\x9c\x03\x00\x00\x00\x00\x01")
    with create("hostile-overflow.h5") as file:
        file.create_dataset("bomb", shape=(1 << 31, 1 << 31, 1 << 31), dtype="<f4", chunks=(1, 1, 1024))
    with create("hostile-lzf.h5") as file:
        file.create_dataset("weight", data=values((64,)), chunks=(64,), compression="lzf")
    with create("hostile-scaleoffset.h5") as file:
        file.create_dataset("weight", data=values((64,), "<i4"), chunks=(64,), scaleoffset=0)
    with create("hostile-plugin.h5") as file:
        creation = h5p.create(h5p.DATASET_CREATE)
        creation.set_chunk((64,))
        creation.set_filter(32015, h5z.FLAG_OPTIONAL, (3,))
        low_level(file, "weight", h5t.IEEE_F32LE, (64,), values((64,)), creation)
    with create("hostile-twice-deflated.h5") as file:
        creation = h5p.create(h5p.DATASET_CREATE)
        creation.set_chunk((64,))
        creation.set_deflate(9)
        creation.set_filter(h5z.FILTER_DEFLATE, h5z.FLAG_MANDATORY, (9,))
        low_level(file, "weight", h5t.IEEE_F32LE, (64,), values((64,)), creation)
    with create("hostile-deep.h5", libver=("v110", "v110")) as file:
        file["/".join(["g"] * 70) + "/weight"] = values((4,))
    with create("hostile-same-name.h5") as file:
        file["model/weight"] = values((4,))
        file["model.weight"] = values((4,))
    with create("hostile-slash.h5") as file:
        file["model/weight"] = values((4,))
        file["modelQnorm"] = values((4,))
    patched("hostile-slash.h5", [(b"modelQnorm", b"model/norm")])
    with create("hostile-dot.h5") as file:
        file["Q"] = values((4,))
    patched("hostile-dot.h5", [(b"Q\0\0\0", b".\0\0\0")])
    with create("hostile-nul.h5") as file:
        file["weight"] = values((4,))
        file["weightQtail"] = values((4,))
    patched("hostile-nul.h5", [(b"weightQtail", b"weight\0tail")])
    with create("hostile-not-utf8.h5") as file:
        file["weightQ"] = values((4,))
    patched("hostile-not-utf8.h5", [(b"weightQ", b"weight\xff")])
    with create("hostile-aliases.h5") as file:
        for index in range(20):
            file[f"weight{index}"] = file["weight0"] if index else values((4,))
    with create("hostile-overlap.h5") as file:
        first = file.create_dataset("first", data=values((2048,)))
        second = file.create_dataset("second", data=values((2048,)))
        offsets = first.id.get_offset(), second.id.get_offset()
    path = HERE / "hostile-overlap.h5"
    data = path.read_bytes()
    size = struct.pack("<Q", 8192)
    pair = [struct.pack("<Q", offset) + size for offset in offsets]
    assert data.count(pair[0]) == 1 and data.count(pair[1]) == 1 and data[40:48] == struct.pack("<Q", len(data))
    data = data.replace(pair[1], pair[0])[: offsets[1]]
    path.write_bytes(data[:40] + struct.pack("<Q", len(data)) + data[48:])
    with create("hostile-outside.h5") as file:
        offset = file.create_dataset("weight", data=values((16,))).id.get_offset()
    patched("hostile-outside.h5", [(struct.pack("<QQ", offset, 64), struct.pack("<QQ", offset + 48, 64))])


def refused_types():
    with create("refused-string.h5") as file:
        file["names"] = np.array([b"one", b"two"])
    with create("refused-variable.h5") as file:
        file.create_dataset("names", data=["one", "two"], dtype=h5py.string_dtype())
    with create("refused-sequence.h5") as file:
        file.create_dataset("ragged", shape=(2,), dtype=h5py.vlen_dtype("<f4"))[0] = [1, 2]
    with create("refused-reference.h5") as file:
        file.create_dataset("pointers", data=[file.ref], dtype=h5py.ref_dtype)
    with create("refused-compound.h5") as file:
        file["complex"] = np.zeros(4, "<c8")
    with create("refused-committed.h5") as file:
        file["type"] = np.dtype("<f4")
        file.create_dataset("weight", data=values((4,)), dtype=file["type"])
        del file["type"]
    with create("refused-committed-object.h5") as file:
        file["type"] = np.dtype("<f4")
    with create("refused-opaque.h5") as file:
        low_level(file, "weight", h5t.create(h5t.OPAQUE, 2), (4,), bfloat16_bits((4,)).view("V2"))
    with create("refused-enumeration.h5") as file:
        file.create_dataset("colour", data=[0, 1], dtype=h5py.enum_dtype({"RED": 0, "BLUE": 1}, "i1"))
    with create("refused-float24.h5") as file:
        low_level(file, "weight", float_type(3, 7, 16, 63), (4,), None)
    with create("refused-precision.h5") as file:
        kind = h5t.STD_I32LE.copy()
        kind.set_precision(20)
        low_level(file, "weight", kind, (4,), values((4,), "<i4"))
    with create("refused-null.h5") as file:
        file["weight"] = h5py.Empty("<f4")


def overwritten(name, position, replacement):
    path = HERE / name
    data = bytearray(path.read_bytes())
    data[position : position + len(replacement)] = replacement
    path.write_bytes(data)


def position(name, pattern):
    data = (HERE / name).read_bytes()
    assert data.count(pattern) == 1, (name, pattern, data.count(pattern))
    return data.index(pattern)


def sealed(name, inside):
    """Renews the checksum of the version 2 object header around a position."""
    path = HERE / name
    data = bytearray(path.read_bytes())
    start = data.rindex(b"OHDR", 0, inside)
    flags = data[start + 5]
    size_at = start + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    end = size_at + width + int.from_bytes(data[size_at : size_at + width], "little")
    data[end : end + 4] = struct.pack("<I", lookup3(bytes(data[start:end])))
    path.write_bytes(data)


def lookup3(data):
    """Bob Jenkins' hash of that name, which HDF5 uses for its metadata."""
    mask = 0xFFFFFFFF

    def rotated(value, bits):
        return ((value << bits) | (value >> (32 - bits))) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    blocks = [data[i : i + 12] for i in range(0, len(data), 12)]
    for block in blocks[:-1]:
        x, y, z = struct.unpack("<III", block)
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        for first, bits in zip(range(6), (4, 6, 8, 16, 19, 4)):
            if first % 3 == 0:
                a = ((a - c) & mask) ^ rotated(c, bits)
                c = (c + b) & mask
            elif first % 3 == 1:
                b = ((b - a) & mask) ^ rotated(a, bits)
                a = (a + c) & mask
            else:
                c = ((c - b) & mask) ^ rotated(b, bits)
                b = (b + a) & mask
    if not blocks:
        return c
    x, y, z = struct.unpack("<III", blocks[-1].ljust(12, b"\0"))
    a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
    c = ((c ^ b) - rotated(b, 14)) & mask
    a = ((a ^ c) - rotated(c, 11)) & mask
    b = ((b ^ a) - rotated(a, 25)) & mask
    c = ((c ^ b) - rotated(b, 16)) & mask
    a = ((a ^ c) - rotated(c, 4)) & mask
    b = ((b ^ a) - rotated(a, 14)) & mask
    return ((c ^ b) - rotated(b, 24)) & mask


def crashers():
    """Damage that HDF5 1.10 divides by zero on, writes out of bounds for, or never comes back from."""
    with create("damaged-chunk-extent.h5") as file:
        file.create_dataset("weight", data=values((64,)), chunks=(64,), compression="gzip")
    overwritten("damaged-chunk-extent.h5", position("damaged-chunk-extent.h5", struct.pack("<III", 64, 4, 0)), bytes(4))
    with create("damaged-rank.h5") as file:
        file.create_dataset("weight", data=values((5, 3)), chunks=(2, 3))
    space = struct.pack("<BBBBIQQ", 1, 2, 1, 0, 0, 5, 3)
    overwritten("damaged-rank.h5", position("damaged-rank.h5", space) + 1, b"\x01")
    with create("damaged-chunk-count.h5") as file:
        file.create_dataset("bomb", shape=(1 << 20,), dtype="u1", chunks=(1,))
    with create("damaged-names.h5") as file:
        file["weight"] = values((4,))
    heap = position("damaged-names.h5", b"HEAP")
    overwritten("damaged-names.h5", heap + 16, struct.pack("<Q", 80))
    for name, shift, replacement in [
        ("damaged-string-size.h5", -8, struct.pack("<Q", 1 << 40)),
        ("damaged-string-length.h5", -8, struct.pack("<Q", 9)),
        ("damaged-free-space.h5", 24, bytes(8)),
    ]:
        with create(name) as file:
            file.attrs["config.json"] = '{"text": "here"}'
        overwritten(name, position(name, b'{"text": "here"}') + shift, replacement)
    with create("damaged-link.h5", libver=("v110", "v110")) as file:
        file["weight"] = h5py.SoftLink("/elsewhere")
    link = position("damaged-link.h5", b"weight")
    overwritten("damaged-link.h5", link + len("weight"), bytes(2))
    sealed("damaged-link.h5", link)
    with create("damaged-attribute.h5") as file:
        file.attrs["config.json"] = "{}"
    overwritten("damaged-attribute.h5", position("damaged-attribute.h5", b"config.json\0") - 6, b"\xff\xff")


def damaged():
    with create("damaged-truncated.h5") as file:
        file["weight"] = values((64,))
    patched("damaged-truncated.h5", [], length=-64)
    with create("damaged-chunk.h5") as file:
        file.create_dataset("good", data=values((4,)))
        bad = file.create_dataset("bad", shape=(64,), dtype="<f4", chunks=(64,), compression="gzip")
        bad.id.write_direct_chunk((0,), b"not a deflate stream")
        sums = file.create_dataset("sum", data=values((64,)), chunks=(64,), fletcher32=True)
        offset = sums.id.get_chunk_info(0).byte_offset
    path = HERE / "damaged-chunk.h5"
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    crashers()
    (HERE / "damaged-text.h5").write_bytes(b"this is no HDF5 file, whatever its name says\n")


if __name__ == "__main__":
    for path in HERE.glob("*.h5"):
        path.unlink()
    plain()
    types()
    hostile()
    refused_types()
    damaged()
    versions = f"python {sys.version.split()[0]}\nh5py {h5py.__version__}\nHDF5 {h5py.version.hdf5_version}\nnumpy {np.__version__}\n"
    (HERE / "versions.txt").write_text(versions)
