#!/usr/bin/env python3
"""Writes tests/golden/packed/packed.safetensors: what packed numbers stand for, by numpy alone.

    .venv/bin/python tests/formats/golden.py

Every code under every scale byte of NVFP4, every byte of FP8, and rows encoded as ModelOpt 0.45
does. tests/packed_golden_test.cc compares the codec and the Linear op with it, bit for bit;
tests/formats/test_golden.py compares the file with this script.
"""

import pathlib

import numpy as np

import packed

PATH = pathlib.Path(__file__).resolve().parents[1] / "golden" / "packed" / "packed.safetensors"
GLOBALS = np.array([1, 0.0013, 3.1e-6, 2.5], np.float32)
SEED = 45


def every_code():
    """A row for each scale byte, in which each code stands once; its values for some globals."""
    codes = np.tile(np.arange(16, dtype=np.uint8), (256, 1))
    unscaled = packed.E2M1[codes] * packed.E4M3[:, None]
    scaled = np.stack([unscaled * scale for scale in GLOBALS])
    divided = np.stack([unscaled / scale for scale in GLOBALS])
    bytes_ = codes[:, 0::2] | codes[:, 1::2] << 4
    scales = np.arange(256, dtype=np.uint8)
    return {
        "nvfp4.codes": ("U8", (256, 8), bytes_.tobytes()),
        "nvfp4.scales": ("F8_E4M3", (256, 1), scales.tobytes()),
        "nvfp4.globals": packed.f32(GLOBALS),
        "nvfp4.scaled": packed.f32(scaled),
        "nvfp4.divided": packed.f32(divided),
        "fp8.bytes": ("F8_E4M3", (16, 16), scales.tobytes()),
        "fp8.values": packed.f32(packed.E4M3.reshape(16, 16)),
    }


def e4m3_even(values):
    """Nearest byte of positive values up to 448, ties to the even one: by the distance to both."""
    exact = packed.E4M3[:0x7F].astype(np.float64)
    wide = values.astype(np.float64)
    low = np.clip(np.searchsorted(exact, wide, side="right") - 1, 0, 0x7D)
    down, up = wide - exact[low], exact[low + 1] - wide
    return np.where((up < down) | ((up == down) & (low % 2 == 1)), low + 1, low).astype(np.uint8)


def e2m1_even(values):
    """Nearest code of any values, ties to the even one, beyond 6 the largest; no -0 from 0."""
    exact = packed.E2M1[:8].astype(np.float64)
    size = np.abs(values).astype(np.float64)
    low = np.clip(np.searchsorted(exact, size, side="right") - 1, 0, 6)
    down, up = size - exact[low], exact[low + 1] - size
    codes = np.where((up < down) | ((up == down) & (low % 2 == 1)), low + 1, low)
    return (codes | np.where(values < 0, 8, 0)).astype(np.uint8)


def encoded_rows():
    """Rows of several sizes, ties and zeros among them, and their encoding, all in F32."""
    random = np.random.default_rng(SEED)
    rows = random.standard_normal((8, 256)).astype(np.float32)
    rows[1] *= np.exp2(random.integers(-30, 1, 256)).astype(np.float32)
    rows[2, :64] = 0
    rows[3] = np.float32(0.25) * random.integers(-24, 25, 256).astype(np.float32)
    rows[4, ::16] *= 40
    rows[5] *= np.float32(1e-3)
    rows[6] = random.choice(np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6, -5], np.float32), 256)
    rows[6, ::16] = 6
    amax = np.abs(rows).max(axis=1)
    globals_ = (amax / np.float32(2688)).astype(np.float32)
    globals_[4] *= np.float32(0.5)  # clipped: scales beyond 448 saturate
    globals_[6] = np.float32(1)
    blocks = np.abs(rows).reshape(8, 16, 16).max(axis=2)
    scales = blocks / (np.float32(6) * globals_[:, None])
    scales = np.where(scales == 0, np.float32(1), np.clip(scales, np.float32(2.0**-9), 448))
    bytes_ = e4m3_even(scales.astype(np.float32))
    unit = packed.E4M3[bytes_] * globals_[:, None]
    codes = e2m1_even(rows / np.repeat(unit, 16, axis=1))
    return {
        "encode.values": packed.f32(rows),
        "encode.amax": packed.f32(amax),
        "encode.globals": packed.f32(globals_),
        "encode.scales": ("F8_E4M3", (8, 16), bytes_.tobytes()),
        "encode.codes": ("U8", (8, 128), (codes[:, 0::2] | codes[:, 1::2] << 4).tobytes()),
    }


def write(path):
    """Makes the file anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packed.write_tensors(path, {**every_code(), **encoded_rows()})


if __name__ == "__main__":
    write(PATH)
