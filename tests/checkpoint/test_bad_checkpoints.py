"""Broken copies of a small checkpoint, through the program: each ends with exit code 1 and a
message that names the culprit, never with a signal, and prints nothing on stdout."""

import json
import pathlib
import shutil
import struct
import subprocess

import pytest

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
K_PROJ = "model.layers.1.self_attn.k_proj.weight"
LAST_NORM = "model.norm.weight"
TIMEOUT_S = 60


def read_tensors(path):
    """The header as a dict and the data section as bytes."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_tensors(path, header, data):
    """A file with that header as it stands, right or wrong."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def pack(tensors):
    """Header and data of {name: (dtype, shape, bytes)}, one behind the other."""
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        end = len(data) + len(raw)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), end]}
        data += raw
    return header, data


def unpack(path):
    """The inverse of pack."""
    header, data = read_tensors(path)
    header.pop("__metadata__", None)
    return {
        name: (info["dtype"], info["shape"], data[slice(*info["data_offsets"])])
        for name, info in header.items()
    }


def change_tensors(directory, change):
    """Rewrites the file after `change` has edited {name: (dtype, shape, bytes)}."""
    tensors = unpack(directory / SINGLE)
    change(tensors)
    write_tensors(directory / SINGLE, *pack(tensors))


def change_header(directory, change):
    """Rewrites the file after `change` has edited the header; the data stays."""
    header, data = read_tensors(directory / SINGLE)
    change(header)
    write_tensors(directory / SINGLE, header, data)


def change_config(directory, **values):
    """Sets keys of config.json."""
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def shard(directory):
    """Splits the file in two and gives the index, not yet written."""
    tensors = unpack(directory / SINGLE)
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        write_tensors(directory / file, *pack({name: tensors[name] for name in part}))
        weight_map.update(dict.fromkeys(part, file))
    (directory / SINGLE).unlink()
    return {"metadata": {"total_size": 0}, "weight_map": weight_map}


def change_index(directory, change):
    """Shards the checkpoint; `change` edits the weight map before it is written."""
    index = shard(directory)
    change(index["weight_map"])
    (directory / INDEX).write_text(json.dumps(index))


# --- the ways to break one; each takes the directory


def truncate_data(directory):
    path = directory / SINGLE
    path.write_bytes(path.read_bytes()[:-100])


def truncate_header(directory):
    path = directory / SINGLE
    path.write_bytes(path.read_bytes()[:200])


def truncate_length(directory):
    (directory / SINGLE).write_bytes(b"1234")


def huge_header(directory):
    path = directory / SINGLE
    path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])


def overlap(directory):
    def change(header):
        tensors = [info for name, info in header.items() if name != "__metadata__"]
        last = max(tensors, key=lambda info: info["data_offsets"])
        begin, end = last["data_offsets"]
        last["data_offsets"] = [0, end - begin]

    change_header(directory, change)


def wrong_shape(directory):
    def change(tensors):
        dtype, shape, raw = tensors[K_PROJ]
        tensors[K_PROJ] = (dtype, shape[::-1], raw)

    change_tensors(directory, change)


def wrong_dtype(directory):
    def change(tensors):
        _, shape, raw = tensors[K_PROJ]
        tensors[K_PROJ] = ("I32", shape, raw + raw)

    change_tensors(directory, change)


def unknown_dtype(directory):
    change_header(directory, lambda header: header[K_PROJ].update(dtype="F17"))


def missing_tensor(directory):
    change_tensors(directory, lambda tensors: tensors.pop(K_PROJ))


def extra_tensor(directory):
    change_tensors(directory, lambda tensors: tensors.update({"model.odd": ("U8", [2], b"ab")}))


def scale_of_floats(directory):
    scale = K_PROJ + "_scale"
    change_tensors(directory, lambda tensors: tensors.update({scale: ("F32", [1], bytes(4))}))


ONE = struct.pack("<f", 1)


def pack_nvfp4(directory, **changed):
    """K_PROJ [16, 48] as NVFP4 of zeros; `changed` replaces or, with None, drops tensors."""
    parts = {"": ("U8", [16, 24], bytes(16 * 24)), "_scale": ("F8_E4M3", [16, 3], bytes(48)),
             "_scale_2": ("F32", [], ONE), **changed}

    def change(tensors):
        tensors.update({K_PROJ + ending: part for ending, part in parts.items() if part})

    change_tensors(directory, change)


def nvfp4_without_block_scales(directory):
    pack_nvfp4(directory, _scale=None)


def nvfp4_without_global(directory):
    pack_nvfp4(directory, _scale_2=None)


def nvfp4_transposed_scales(directory):
    pack_nvfp4(directory, _scale=("F8_E4M3", [3, 16], bytes(48)))


def nvfp4_scales_of_mxfp4(directory):
    pack_nvfp4(directory, _scale=("F8_E8M0", [16, 3], bytes(48)))


def nvfp4_global_nan(directory):
    pack_nvfp4(directory, _scale_2=("F32", [], struct.pack("<f", float("nan"))))


def nvfp4_short_codes(directory):
    pack_nvfp4(directory, **{"": ("U8", [16, 48], bytes(16 * 48))})


def nvfp4_with_branches(directory):
    name = K_PROJ.removesuffix("weight") + "svdquant_lora_a"
    change_tensors(directory, lambda tensors: tensors.update({name: ("F32", [1], ONE)}))


def fp8_odd_scales(directory):
    def change(tensors):
        tensors[K_PROJ] = ("F8_E4M3", [16, 48], bytes(16 * 48))
        tensors[K_PROJ + "_scale"] = ("F32", [4], ONE * 4)

    change_tensors(directory, change)


def integer_pack(directory):
    def change(tensors):
        del tensors[K_PROJ]
        tensors[K_PROJ + "_packed"] = ("I32", [16, 6], bytes(16 * 24))
        tensors[K_PROJ + "_shape"] = ("I32", [2], bytes(8))

    change_tensors(directory, change)


def config_gptq(directory):
    change_config(directory, quantization_config={"quant_method": "gptq", "bits": 4})


def file_of_another_algorithm(directory):
    text = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4_SVD"}}
    (directory / "hf_quant_config.json").write_text(json.dumps(text))


def file_is_no_object(directory):
    (directory / "hf_quant_config.json").write_text("[1]")


def index_outside(directory):
    change_index(directory, lambda names: names.update({K_PROJ: "../../outside.safetensors"}))


def index_absolute(directory):
    change_index(directory, lambda names: names.update({K_PROJ: "/etc/passwd"}))


def index_misses_shard(directory):
    change_index(directory, lambda names: names.update({K_PROJ: "model-00009.safetensors"}))


def index_misses_tensor(directory):
    change_index(directory, lambda names: names.pop(K_PROJ))


def index_lists_too_much(directory):
    file = "model-00001-of-00002.safetensors"
    change_index(directory, lambda names: names.update({"model.odd": file}))


def index_is_no_json(directory):
    shard(directory)
    (directory / INDEX).write_text("{")


def config_hidden(directory):
    change_config(directory, hidden_size=47)


def config_layers(directory):
    change_config(directory, num_hidden_layers=4, layer_types=["linear_attention"] * 4)


def config_heads(directory):
    change_config(directory, num_attention_heads=7, num_key_value_heads=2)


def config_type(directory):
    change_config(directory, model_type="qwen3_5_moe")


def config_huge(directory):
    change_config(directory, vocab_size=1 << 60)


def config_tiny_eps(directory):
    change_config(directory, rms_norm_eps=1e-60)


def config_tiny_theta(directory):
    change_config(directory, rope_parameters=None, rope_scaling=None, rope_theta=1e-300)


def config_deep(directory):
    (directory / "config.json").write_text("[" * 1_000_000)


def no_config(directory):
    (directory / "config.json").unlink()


def no_weights(directory):
    (directory / SINGLE).unlink()


def no_directory(directory):
    shutil.rmtree(directory)


def weights_are_a_directory(directory):
    (directory / SINGLE).unlink()
    (directory / SINGLE).mkdir()


# What breaks it, and what the message must hold.
TARGETS = [
    (truncate_data, [SINGLE, "tensor '"]),
    (truncate_header, [SINGLE, "truncated"]),
    (truncate_length, [SINGLE, "4 bytes"]),
    (huge_header, [SINGLE, "limit"]),
    (overlap, [SINGLE, "tensor '"]),
    (wrong_shape, [SINGLE, K_PROJ, "[48, 16]", "[16, 48]"]),
    (wrong_dtype, [SINGLE, K_PROJ, "I32"]),
    (unknown_dtype, [SINGLE, K_PROJ, "F17"]),
    (missing_tensor, [K_PROJ, "missing"]),
    (extra_tensor, [SINGLE, "model.odd"]),
    (scale_of_floats, [SINGLE, K_PROJ + "_scale", "packed", "BF16"]),
    (nvfp4_without_block_scales, [K_PROJ + "_scale", "[16, 3]", "missing"]),
    (nvfp4_without_global, [K_PROJ + "_scale_2", "missing"]),
    (nvfp4_transposed_scales, [SINGLE, K_PROJ + "_scale", "[3, 16]", "[16, 3]"]),
    (nvfp4_scales_of_mxfp4, [SINGLE, K_PROJ + "_scale", "F8_E8M0", "F8_E4M3"]),
    (nvfp4_global_nan, [SINGLE, K_PROJ + "_scale_2", "nan", "above 0"]),
    (nvfp4_short_codes, [SINGLE, K_PROJ, "[16, 48]", "[16, 24]"]),
    (nvfp4_with_branches, [SINGLE, "k_proj.svdquant_lora_a", "NVFP4_SVD"]),
    (fp8_odd_scales, [SINGLE, K_PROJ + "_scale", "[4]", "[16, 1]", "[1, 1]"]),
    (integer_pack, [SINGLE, K_PROJ + "_shape", "integer"]),
    (config_gptq, ["config.json", "quant_method is \"gptq\""]),
    (file_of_another_algorithm, ["hf_quant_config.json", "quant_algo", "NVFP4_SVD"]),
    (file_is_no_object, ["hf_quant_config.json", "object"]),
    (index_outside, [INDEX, K_PROJ, "../../outside.safetensors"]),
    (index_absolute, [INDEX, K_PROJ, "/etc/passwd"]),
    (index_misses_shard, [INDEX, "model-00009.safetensors"]),
    (index_misses_tensor, [INDEX, K_PROJ]),
    (index_lists_too_much, [INDEX, "model.odd"]),
    (index_is_no_json, [INDEX, "JSON"]),
    (config_hidden, ["model.embed_tokens.weight", "[640, 48]", "[640, 47]"]),
    (config_layers, ["model.layers."]),
    (config_heads, ["config.json", "num_attention_heads is 7"]),
    (config_type, ["config.json", "qwen3_5_moe"]),
    (config_huge, ["config.json", "vocab_size"]),
    (config_tiny_eps, ["config.json", "rms_norm_eps is 1e-60"]),
    (config_tiny_theta, ["config.json", "rope_theta is 1e-300"]),
    (config_deep, ["config.json"]),
    (no_config, ["config.json"]),
    (no_weights, [SINGLE]),
    (no_directory, ["broken"]),
    (weights_are_a_directory, [SINGLE]),
]


def drafter_block(directory):
    change_config(directory, block_size=65)


def drafter_mask(directory):
    change_config(directory, dflash_config={"mask_token_id": 640, "target_layer_ids": [1, 3]})


def drafter_layer_id(directory):
    change_config(directory, dflash_config={"mask_token_id": 5, "target_layer_ids": [1, 5]})


def drafter_foreign_key(directory):
    change_config(directory, conv_kernel_size=2)


def drafter_yarn(directory):
    change_config(directory, rope_scaling={"rope_type": "yarn", "factor": 4})


def drafter_tiny_eps(directory):
    change_config(directory, rms_norm_eps=1e-60)


def drafter_missing(directory):
    change_tensors(directory, lambda tensors: tensors.pop("fc.weight"))


def drafter_features(directory):
    change_config(directory, dflash_config={"mask_token_id": 5, "target_layer_ids": [1]})


DRAFTERS = [
    (drafter_block, ["config.json", "block_size"]),
    (drafter_mask, ["config.json", "mask_token_id"]),
    (drafter_layer_id, ["config.json", "target_layer_ids"]),
    (drafter_foreign_key, ["config.json", "conv_kernel_size"]),
    (drafter_yarn, ["config.json", "rope_scaling"]),
    (drafter_tiny_eps, ["config.json", "rms_norm_eps is 1e-60"]),
    (drafter_missing, ["fc.weight", "missing"]),
    (drafter_features, ["fc.weight", "[48, 96]", "[48, 48]"]),
    (truncate_data, [SINGLE, "tensor '"]),
    (config_gptq, ["config.json", "quant_method is \"gptq\""]),
    (file_of_another_algorithm, ["hf_quant_config.json", "quant_algo", "NVFP4_SVD"]),
]


def name_of(value):
    """Readable test ids."""
    return value.__name__ if callable(value) else ""


@pytest.fixture
def golden(root):
    """Directory of the small case: model/ and drafter/."""
    return root / "tests" / "golden" / "text-odd"


def run(gallop, *arguments):
    """The finished process; a signal would show as a negative exit code."""
    command = [str(gallop), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def generate(gallop, model, *more):
    return run(gallop, "generate", "--model", model, "--tokens", "3,4,5", "--max-tokens", "4",
               "--temperature", "0", "--ignore-eos", "--json", *more)


def score(gallop, model, tmp_path, *more):
    ids = tmp_path / "ids.json"
    ids.write_text("[[3, 4, 5]]")
    out = tmp_path / "out.safetensors"
    finished = run(gallop, "score", "--model", model, "--tokens-file", ids, "--out", out, *more)
    assert out.exists() == (finished.returncode == 0), "a failed run leaves no result"
    return finished


def expect_named(finished, parts):
    assert finished.returncode == 1, finished
    assert finished.stdout == ""
    for part in parts:
        assert part in finished.stderr, finished.stderr
    assert len(finished.stderr) < 2000, "a message, not a dump"


@pytest.mark.parametrize("breakage,parts", TARGETS, ids=name_of)
def test_bad_target(gallop, golden, tmp_path, breakage, parts):
    broken = tmp_path / "broken"
    shutil.copytree(golden / "model", broken)
    breakage(broken)
    expect_named(generate(gallop, broken), parts)
    expect_named(score(gallop, broken, tmp_path), parts)


@pytest.mark.parametrize("breakage,parts", DRAFTERS, ids=name_of)
def test_bad_drafter(gallop, golden, tmp_path, breakage, parts):
    broken = tmp_path / "broken"
    shutil.copytree(golden / "drafter", broken)
    breakage(broken)
    expect_named(generate(gallop, golden / "model", "--drafter", broken), parts)
    expect_named(score(gallop, golden / "model", tmp_path, "--drafter", broken), parts)


def test_score_with_a_layer_named_twice(gallop, golden, tmp_path):
    finished = score(gallop, golden / "model", tmp_path, "--layers", "0,0")
    assert finished.returncode == 2 and "--layers: a layer is named twice" in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ids.json"], "no partial file stays"


def test_whole_and_sharded_checkpoints_agree(gallop, golden, tmp_path):
    """The copies that the tests above break do work when nothing is broken."""
    whole = generate(gallop, golden / "model")
    assert whole.returncode == 0, whole.stderr
    copy = tmp_path / "sharded"
    shutil.copytree(golden / "model", copy)
    change_index(copy, lambda names: None)
    # As in a hub cache: the shards are links that lead out of the directory.
    for path in sorted(copy.glob("*.safetensors")):
        blob = tmp_path / pathlib.Path(path.name + ".blob")
        path.rename(blob)
        path.symlink_to(blob)
    sharded = generate(gallop, copy)
    assert sharded.returncode == 0, sharded.stderr
    assert json.loads(sharded.stdout)["tokens"] == json.loads(whole.stdout)["tokens"]
    assert score(gallop, copy, tmp_path).returncode == 0
