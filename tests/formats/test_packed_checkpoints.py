"""Checkpoints in every packed format, made from foal by a numpy writer, score as their dequantised
twins: target and drafter, every layer's hidden states, all logits."""

import json
import subprocess

import numpy as np
import pytest

import packed

SEED = 20

# Packed and dequantised weights are the same numbers, rounded in another order: the scale of a
# tensor multiplies the sum on one side and each weight on the other. That is one rounding more for
# each linear of the depth, so the bound of tests/parity_test.cc, which is derived for any order of
# the same additions, holds here.
RELATIVE = 1e-4


@pytest.fixture(scope="module")
def make(foal, tmp_path_factory):
    """make(scheme, exact): the four directories of foal in that format and of its twin."""
    made = {}

    def get(scheme, exact):
        if (scheme, exact) not in made:
            directory = tmp_path_factory.mktemp(scheme)
            for part in ("target", "drafter"):
                packed.pack(foal / part, directory / part, directory / f"{part}-twin", scheme,
                            seed=SEED, exact=exact)
            made[scheme, exact] = directory
        return made[scheme, exact]

    return get


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def scores(gallop, directory, twin, lists, tmp_path, *more):
    """{name: array} of one score run, and its stderr."""
    ids, out = tmp_path / "ids.json", tmp_path / f"scores{twin}.safetensors"
    ids.write_text(json.dumps(lists))
    done = run([gallop, "score", "--model", directory / f"target{twin}", "--drafter",
                directory / f"drafter{twin}", "--tokens-file", ids, "--out", out, "--layers",
                "0,3,7", *more])
    return {name: packed.floats(tensor) for name, tensor in packed.read_tensors(out).items()}, done


def prompts(reference):
    """One of a few tokens and one of a hundred."""
    items = reference["greedy"]["items"]
    long = max(items, key=lambda item: len(item["prompt_ids"]))["prompt_ids"]
    return [items[0]["prompt_ids"][:3], (long * 100)[:100]]


@pytest.mark.parametrize("scheme", [*packed.SCHEMES, "mixed"])
def test_exact_scales_give_equal_bits(gallop, make, reference, tmp_path, scheme):
    """Where every scaling is by a power of two, nothing is rounded in another order."""
    directory = make(scheme, True)
    got, done = scores(gallop, directory, "", prompts(reference), tmp_path)
    expected, _ = scores(gallop, directory, "-twin", prompts(reference), tmp_path)
    assert got.keys() == expected.keys() and len(got) == 2 * (4 + 2)
    for name, values in expected.items():
        assert np.isfinite(values).all()
        worst = np.abs(got[name] - values).max()
        assert np.array_equal(got[name], values), f"{name}: differs by {worst}, seed {SEED}"
    assert "NaN" not in done.stderr


@pytest.mark.parametrize("scheme", [*packed.SCHEMES, "mixed"])
def test_scales_of_exporters_stay_within_the_bound(gallop, make, reference, tmp_path, scheme):
    directory = make(scheme, False)
    got, _ = scores(gallop, directory, "", prompts(reference), tmp_path)
    expected, _ = scores(gallop, directory, "-twin", prompts(reference), tmp_path)
    errors = {name: float(np.linalg.norm(got[name] - values) / np.linalg.norm(values))
              for name, values in expected.items()}
    name, worst = max(errors.items(), key=lambda item: item[1])
    print(f"{scheme}: worst relative error {worst:.2e} of {name} (bound {RELATIVE})")
    assert worst <= RELATIVE, (name, worst, SEED)


def test_packing_is_close_to_the_source(gallop, foal, make, reference, tmp_path):
    """The twins are quantised weights, not others: eight bits move the logits by a few percent."""
    directory = make("fp8-channel", True)
    got, _ = scores(gallop, directory, "", prompts(reference), tmp_path)
    source, _ = scores(gallop, foal, "", prompts(reference), tmp_path)
    error = np.linalg.norm(got["logits.1"] - source["logits.1"])
    assert 0 < error < 0.2 * np.linalg.norm(source["logits.1"])


FORMATS = {
    "modelopt-nvfp4": "NVFP4 (ModelOpt)", "modelopt-awq": "NVFP4 (ModelOpt)",
    "compressed-tensors": "NVFP4 (compressed-tensors)", "fp8-tensor": "FP8 (one scale)",
    "fp8-channel": "FP8 (a scale for each row)", "fp8-tiles": "FP8 (128x128 scales)",
}


@pytest.mark.parametrize("scheme", packed.SCHEMES)
def test_inspect_names_the_format_of_each_kind_of_linear(gallop, foal, make, scheme):
    directory = make(scheme, True) / "target"
    summary = json.loads(run([gallop, "inspect", directory, "--json"]).stdout)
    groups = {group["kind"]: group for group in summary["groups"]}
    assert len(groups) == len(summary["groups"]) - 1, "one format each, but two of vectors"
    tensors = packed.read_tensors(foal / "target" / packed.SINGLE)
    stored = packed.read_tensors(directory / packed.SINGLE)
    for name, tensor in tensors.items():
        if not packed.is_linear(name, tensor):
            continue
        group = groups[name.split(".")[-2]]
        assert group["format"] == FORMATS[scheme]
        ours = [other for other in tensors if name.split(".")[-2:] == other.split(".")[-2:]]
        assert group["count"] == len(ours)
        assert group["layers"] == sorted({int(other.split(".")[2]) for other in ours
                                          if other.startswith("model.layers.")})
        assert group["pre_quant_scales"] == (len(ours) if scheme == "modelopt-awq" else 0)
        beside = tuple(other.removesuffix("weight") for other in ours)
        assert group["bytes"] == sum(len(raw) for other, (_, _, raw) in stored.items()
                                     if other.startswith(beside))
    assert sum(group["bytes"] for group in summary["groups"]) == summary["bytes"]
    text = run([gallop, "inspect", directory]).stdout
    assert FORMATS[scheme] in text and " 0-7" in text


def test_inspect_counts_a_linear_under_two_names_once(gallop, foal, tmp_path):
    packed.pack(foal / "target", tmp_path / "target", tmp_path / "twin", "modelopt-nvfp4",
                seed=SEED)
    path = tmp_path / "target" / packed.SINGLE
    tensors = packed.read_tensors(path)
    name = "model.layers.2.mlp.down_proj.weight"
    tensors[f"{name}_packed"] = tensors[name]
    tensors[f"{name}_global_scale"] = tensors[f"{name}_scale_2"]
    packed.write_tensors(path, tensors)
    summary = json.loads(run([gallop, "inspect", tmp_path / "target", "--json"]).stdout)
    groups = {(group["kind"], group["format"]): group for group in summary["groups"]}
    linear = groups["down_proj", "NVFP4 (compressed-tensors)"]
    rows, columns = tensors[name][1]
    assert (linear["count"], linear["parameters"]) == (1, rows * 2 * columns)
    assert groups["down_proj", "U8"]["bytes"] == rows * columns
    assert sum(group["bytes"] for group in summary["groups"]) == summary["bytes"]


def test_blocks_without_a_scale_are_zero(gallop, foal, tmp_path, reference):
    """NaN scale bytes, as faulty exports hold them: counted once, and the block is zero."""
    name = "model.layers.2.mlp.down_proj"
    packed.pack(foal / "target", tmp_path / "target", tmp_path / "target-twin", "modelopt-nvfp4",
                seed=SEED)
    path = tmp_path / "target" / packed.SINGLE
    tensors = packed.read_tensors(path)
    dtype, shape, raw = tensors[f"{name}.weight_scale"]
    scales = np.frombuffer(raw, np.uint8).reshape(shape).copy()
    scales[5, 7], scales[9, 0], scales[-1, -1] = 0x7F, 0xFF, 0x7F
    tensors[f"{name}.weight_scale"] = (dtype, shape, scales.tobytes())
    packed.write_tensors(path, tensors)
    twin = tmp_path / "target-twin" / packed.SINGLE
    tensors = packed.read_tensors(twin)
    values = packed.floats(tensors[f"{name}.weight"]).copy()
    for row, block in ((5, 7), (9, 0), (-1, shape[1] - 1)):
        values[row, 16 * block : 16 * block + 16] = 0
    tensors[f"{name}.weight"] = packed.f32(values)
    packed.write_tensors(twin, tensors)
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps([reference["greedy"]["items"][1]["prompt_ids"]]))
    results = []
    for directory in ("target", "target-twin"):
        out = tmp_path / f"{directory}.safetensors"
        done = run([gallop, "score", "--model", tmp_path / directory, "--tokens-file", ids, "--out",
                    out])
        results.append(packed.read_tensors(out)["logits.0"])
        lines = [line for line in done.stderr.splitlines() if "NaN" in line]
        assert len(lines) == (directory == "target"), done.stderr
        assert not lines or "3 NVFP4 blocks" in lines[0]
    assert results[0] == results[1]
