"""What `make-model --format nvfp4` writes, in ModelOpt's layout, scores as its dequantised twin:
the packed bytes are read by numpy alone (packed.py)."""

import json
import shutil
import subprocess

import numpy as np
import pytest

import packed

# As tests/formats/test_packed_checkpoints.py derives it: one rounding more for each linear of the
# depth, because the global scale multiplies the sum on one side and each weight on the other.
RELATIVE = 1e-4
SEED = 23
LINEARS = {"q_proj", "k_proj", "v_proj", "o_proj", "in_proj_qkv", "in_proj_z", "out_proj",
           "gate_proj", "up_proj", "down_proj"}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def unpack(tensors, name):
    """The F32 values of ModelOpt's NVFP4 weight `name`."""
    _, (n, half), raw = tensors[name]
    packed_codes = np.frombuffer(raw, np.uint8).reshape(n, half)
    codes = np.stack([packed_codes & 15, packed_codes >> 4], axis=2).reshape(n, 2 * half)
    scales = np.frombuffer(tensors[name + "_scale"][2], np.uint8).reshape(n, -1)
    unit = np.repeat(packed.E4M3[scales], packed.BLOCK, axis=1)
    return packed.E2M1[codes] * unit * packed.floats(tensors[name + "_scale_2"])


def write_twin(source, twin):
    """The same checkpoint with F32 in the place of packed weights, whose names it returns."""
    shutil.copytree(source, twin, ignore=shutil.ignore_patterns("*.safetensors", "hf_quant*"))
    config = json.loads((twin / "config.json").read_text())
    del config["quantization_config"]
    (twin / "config.json").write_text(json.dumps(config))
    tensors = packed.read_tensors(source / packed.SINGLE)
    names = [name for name, (dtype, _, _) in tensors.items() if dtype == "U8"]
    beside = tuple(name.removesuffix("weight") for name in names)
    wide = {name: tensor for name, tensor in tensors.items() if not name.startswith(beside)}
    wide.update({name: packed.f32(unpack(tensors, name)) for name in names})
    packed.write_tensors(twin / packed.SINGLE, wide)
    return names


@pytest.fixture(scope="module")
def made(gallop, tmp_path_factory):
    """target and drafter of make-model, each beside its twin."""
    root = tmp_path_factory.mktemp("made")
    run(gallop, "make-model", root / "target", "--shape", "qwen3.5-tiny", "--drafter",
        root / "drafter", "--format", "nvfp4", "--seed", SEED)
    names = write_twin(root / "target", root / "target-twin")
    assert {name.split(".")[-2] for name in names} == LINEARS
    assert write_twin(root / "drafter", root / "drafter-twin")
    return root


def test_a_made_model_scores_as_its_twin(gallop, made, tmp_path):
    ids = np.random.default_rng(SEED).integers(0, 256, (2, 60)).tolist()
    (tmp_path / "ids.json").write_text(json.dumps(ids))
    results = []
    for twin in ("", "-twin"):
        out = tmp_path / f"out{twin}.safetensors"
        run(gallop, "score", "--model", made / f"target{twin}", "--drafter",
            made / f"drafter{twin}", "--tokens-file", tmp_path / "ids.json", "--out", out,
            "--layers", "0,3")
        results.append({name: packed.floats(tensor)
                        for name, tensor in packed.read_tensors(out).items()})
    got, expected = results
    assert got.keys() == expected.keys() and len(got) == 2 * (3 + 2)
    for name, values in expected.items():
        assert np.isfinite(values).all() and values.std() > 0, name
        error = np.linalg.norm(got[name] - values) / np.linalg.norm(values)
        assert error <= RELATIVE, (name, float(error), RELATIVE, SEED)
