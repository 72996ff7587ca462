"""Packed checkpoints made from float ones with numpy alone, each beside its dequantised twin.

The number formats are written out from their definitions here, apart from the program's own code:
E2M1 and E4M3 by sign, exponent and mantissa. A twin holds the values that the packed bytes stand
for, as F32, with the scales of inputs multiplied into its columns.
"""

import json
import math
import pathlib
import shutil
import struct

import numpy as np

SINGLE = "model.safetensors"
BLOCK = 16
TILE = 128


def e2m1_values():
    """The sixteen values of E2M1: sign, two bits of exponent (bias 1), one of mantissa; -0 is 0."""
    values = []
    for code in range(16):
        exponent, mantissa = code >> 1 & 3, code & 1
        size = mantissa / 2 if exponent == 0 else (1 + mantissa / 2) * 2.0 ** (exponent - 1)
        values.append(-size if code & 8 and size else size)
    return np.array(values, np.float32)


def e4m3_values():
    """The values of all bytes of E4M3 (bias 7, no infinity); the two NaN bytes stand for 0."""
    values = []
    for byte in range(256):
        exponent, mantissa = byte >> 3 & 15, byte & 7
        size = mantissa * 2.0**-9 if exponent == 0 else (8 + mantissa) * 2.0 ** (exponent - 10)
        values.append(-size if byte & 0x80 else size)
    values[0x7F] = values[0xFF] = 0.0
    return np.array(values, np.float32)


E2M1 = e2m1_values()
E4M3 = e4m3_values()


def nearest(values, table):
    """The index of the table's ascending entry that is nearest to each value."""
    middles = (table[1:].astype(np.float64) + table[:-1]) / 2
    return np.searchsorted(middles, values.astype(np.float64)).astype(np.uint8)


def to_e4m3(values):
    """Bytes of the nearest finite E4M3 values."""
    bytes_ = nearest(np.abs(values), E4M3[:0x7F])
    return bytes_ | np.where(np.signbit(values), 0x80, 0).astype(np.uint8)


# --- files


def read_tensors(path):
    """{name: (dtype, shape, bytes)}"""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    data = raw[8 + length :]
    return {name: (info["dtype"], info["shape"], data[slice(*info["data_offsets"])])
            for name, info in header.items()}


def write_tensors(path, tensors):
    """The inverse; wide elements first, so that all of them are aligned."""
    widths = {"F32": 4, "BF16": 2, "F16": 2}
    order = sorted(tensors, key=lambda name: (-widths.get(tensors[name][0], 1), name))
    header, offset = {}, 0
    for name in order:
        dtype, shape, raw = tensors[name]
        header[name] = {"dtype": dtype, "shape": list(shape),
                        "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(tensors[name][2])


def floats(tensor):
    """A stored float tensor as F32 numpy."""
    dtype, shape, raw = tensor
    if dtype == "BF16":
        wide = np.frombuffer(raw, np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    return np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[dtype]).astype(
        np.float32).reshape(shape)


def f32(values):
    """An entry of F32 for write_tensors."""
    values = np.asarray(values, np.float32)
    return ("F32", values.shape, values.tobytes())


def bf16(values):
    """An entry of BF16; the values must fit exactly."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    assert not np.any(bits & 0xFFFF), "not exact in BF16"
    return ("BF16", np.shape(values), (bits >> 16).astype(np.uint16).tobytes())


# --- one linear: (tensors by ending, the values that they stand for)


def nvfp4_block_scales(weight, global_scale):
    """Bytes [n, k / 16]: the block's largest magnitude over 6, in units of the global scale."""
    n, k = weight.shape
    largest = np.abs(weight).reshape(n, k // BLOCK, BLOCK).max(axis=2)
    scales = nearest(largest / (6 * global_scale), E4M3[:0x7F])
    return np.where(largest == 0, 0x38, np.maximum(scales, 1)).astype(np.uint8)


def nvfp4_codes(weight, unit):
    """Codes of weight / unit, [n, k]."""
    codes = nearest(np.abs(weight) / unit, E2M1[:8])
    return codes | np.where(weight < 0, 8, 0).astype(np.uint8)


def nvfp4(weight, global_scale):
    """Packed bytes, block scales and values without the global scale."""
    scales = nvfp4_block_scales(weight, global_scale)
    unit = np.repeat(E4M3[scales], BLOCK, axis=1)
    codes = nvfp4_codes(weight, unit * np.float32(global_scale))
    packed = codes[:, 0::2] | codes[:, 1::2] << 4
    n, k = weight.shape
    return (("U8", (n, k // 2), packed.tobytes()), ("F8_E4M3", scales.shape, scales.tobytes()),
            E2M1[codes] * unit)


def global_of(weight, exact):
    """amax / (6 * 448), or the power of two above it, with which every scaling is exact."""
    scale = np.float32(max(np.abs(weight).max(), 2.0**-40) / 2688)
    return np.float32(2.0 ** math.ceil(math.log2(scale))) if exact else scale


def modelopt_nvfp4(weight, exact, _source):
    """As NVIDIA ModelOpt writes it."""
    scale = global_of(weight, exact)
    codes, scales, values = nvfp4(weight, scale)
    return {".weight": codes, ".weight_scale": scales, ".weight_scale_2": f32(scale),
            ".input_scale": f32(0.25)}, values * scale


def modelopt_awq(weight, exact, source):
    """The same with a scale for each input, which the weight was divided by."""
    k = weight.shape[1]
    pre = (np.exp2(source.integers(-2, 3, k)) if exact else
           np.round(source.uniform(0.5, 2, k) * 128) / 128).astype(np.float32)
    tensors, values = modelopt_nvfp4(weight / pre, exact, source)
    return {**tensors, ".pre_quant_scale": bf16(pre)}, values * pre


def compressed_tensors_nvfp4(weight, exact, _source):
    """As compressed-tensors writes it: the inverse of the global scale, of shape [1]."""
    inverse = np.float32(1) / global_of(weight, exact)
    codes, scales, values = nvfp4(weight, np.float32(1) / inverse)
    tensors = {".weight_packed": codes, ".weight_scale": scales,
               ".weight_global_scale": f32([inverse]), ".input_global_scale": f32([40])}
    return tensors, values / inverse


def fp8(weight, scales):
    """E4M3 bytes of weight / scales and their values."""
    bytes_ = to_e4m3(weight / scales)
    return ("F8_E4M3", weight.shape, bytes_.tobytes()), E4M3[bytes_] * scales.astype(np.float32)


def scale_of(largest, exact):
    """largest / 448, or the power of two above it."""
    scale = (np.maximum(largest, 2.0**-40) / 448).astype(np.float32)
    return np.exp2(np.ceil(np.log2(scale))).astype(np.float32) if exact else scale


def fp8_tensor(weight, exact, _source):
    """One scale for the tensor, as ModelOpt's FP8 has it."""
    scale = scale_of(np.abs(weight).max(), exact)
    data, values = fp8(weight, scale)
    return {".weight": data, ".weight_scale": f32(scale), ".input_scale": f32(0.5)}, values


def fp8_channel(weight, exact, _source):
    """A scale for each output, [n, 1], as compressed-tensors has it."""
    scales = scale_of(np.abs(weight).max(axis=1, keepdims=True), exact)
    data, values = fp8(weight, scales)
    return {".weight": data, ".weight_scale": f32(scales)}, values


def fp8_tiles(weight, _exact, _source):
    """A scale for each tile of 128 x 128, as Hugging Face's FP8 has it."""
    n, k = weight.shape
    scales = np.array([[scale_of(np.abs(weight[i : i + TILE, j : j + TILE]).max(), False)
                        for j in range(0, k, TILE)] for i in range(0, n, TILE)], np.float32)
    spread = np.repeat(np.repeat(scales, TILE, 0)[:n], TILE, 1)[:, :k]
    data, values = fp8(weight, spread)
    return {".weight": data, ".weight_scale_inv": f32(scales)}, values


MODELOPT = {"quant_method": "modelopt", "quant_algo": "NVFP4_AWQ", "ignore": ["lm_head"],
            "producer": {"name": "modelopt", "version": "0.45.0"}}
GROUP = {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "float", "group_size": 16}}
SCHEMES = {
    "modelopt-nvfp4": (modelopt_nvfp4, {**MODELOPT, "quant_algo": "NVFP4"}),
    "modelopt-awq": (modelopt_awq, MODELOPT),
    "compressed-tensors": (compressed_tensors_nvfp4,
                           {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized",
                            "config_groups": {"group_0": GROUP}}),
    "fp8-tensor": (fp8_tensor, {"quant_method": "modelopt", "quant_algo": "FP8"}),
    "fp8-channel": (fp8_channel, {"quant_method": "compressed-tensors",
                                  "format": "float-quantized"}),
    "fp8-tiles": (fp8_tiles, {"quant_method": "fp8", "weight_block_size": [128, 128],
                              "fmt": "e4m3", "activation_scheme": "dynamic"}),
}


def is_linear(name, tensor):
    """Whether a tensor is the weight of a linear: a matrix that is not the table of embeddings."""
    return name.endswith(".weight") and len(tensor[1]) == 2 and "embed_tokens" not in name


def pack(source, packed, twin, scheme, *, seed, exact=True):
    """Writes `source` twice: its linears packed, and the same values as F32.

    `scheme` is a key of SCHEMES, or "mixed": each linear in a format of its own, floats among
    them. With `exact` all scales but those of tiles are powers of two.
    """
    random = np.random.default_rng(seed)
    names = [*SCHEMES, None] if scheme == "mixed" else [scheme]
    for directory in (packed, twin):
        shutil.copytree(source, directory, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((packed / "config.json").read_text())
    if scheme != "mixed":  # tensors rule; a config need not say anything
        config["quantization_config"] = SCHEMES[scheme][1]
    (packed / "config.json").write_text(json.dumps(config))
    small, wide = {}, {}
    for name, tensor in sorted(read_tensors(source / SINGLE).items()):
        pick = names[random.integers(len(names))] if is_linear(name, tensor) else None
        if pick is None:
            small[name] = wide[name] = tensor
            continue
        parts, values = SCHEMES[pick][0](floats(tensor), exact, random)
        prefix = name.removesuffix(".weight")
        small.update({prefix + ending: part for ending, part in parts.items()})
        wide[name] = f32(values)
    write_tensors(packed / SINGLE, small)
    write_tensors(twin / SINGLE, wide)
    return pathlib.Path(packed)
