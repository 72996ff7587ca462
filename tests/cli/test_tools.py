"""`gallop make-model`, `inspect`, `doctor` and `bench` as scripts see them."""

import csv
import datetime
import hashlib
import json
import math
import os
import re
import socket
import subprocess
import xml.etree.ElementTree

import numpy
import pytest
from safetensors.numpy import load_file

COLUMNS = ["date", "commit", "chip", "measure", "config", "value", "unit", "floor", "ratio"]


@pytest.fixture
def run(gallop):
    """Runs the program; the environment has what is given on top."""
    def call(*arguments, code=0, **environment):
        done = subprocess.run([str(gallop), *map(str, arguments)], capture_output=True, text=True,
                              timeout=300, env={**os.environ, **environment})
        assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr[-2000:])
        return done
    return call


@pytest.fixture(scope="module")
def tiny(gallop, tmp_path_factory):
    """A random target and its drafter, made once."""
    root = tmp_path_factory.mktemp("tiny")
    subprocess.run([str(gallop), "make-model", root / "target", "--shape", "qwen3.5-tiny",
                    "--drafter", root / "drafter", "--seed", "1"], check=True, timeout=300)
    return root


def digest(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.iterdir())}


# --- make-model


@pytest.mark.parametrize("made", ["tiny", "packed"])
def test_a_made_model_answers_and_its_drafter_drafts(run, request, made):
    root = request.getfixturevalue(made)
    command = ["generate", "--model", root / "target", "--tokens", "1,2,3", "--max-tokens", 20,
               "--temperature", 0, "--ignore-eos", "--json"]
    answer = json.loads(run(*command, "--drafter", root / "drafter").stdout)
    plain = json.loads(run(*command).stdout)
    assert answer["tokens"] == plain["tokens"] and len(plain["tokens"]) == 20


def test_logits_of_a_made_model_are_of_the_order_of_one(run, tiny, tmp_path):
    (tmp_path / "ids.json").write_text(json.dumps([list(range(100))]))
    run("score", "--model", tiny / "target", "--tokens-file", tmp_path / "ids.json",
        "--out", tmp_path / "out.safetensors")
    logits = load_file(tmp_path / "out.safetensors")["logits.0"]
    assert numpy.isfinite(logits).all()
    assert 0.3 < logits.std() < 3


def test_same_seed_same_files_other_seed_other_weights(run, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        done = run("make-model", tmp_path / name, "--shape", "qwen3.5-tiny", "--layers", 2,
                   "--seed", seed, "--json")
        answer = json.loads(done.stdout)
        assert answer["seed"] == seed and answer["shards"] == 1
        assert answer["bytes"] < (tmp_path / name / "model.safetensors").stat().st_size
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    most = run("make-model", tmp_path / "most", "--shape", "qwen3.5-tiny", "--layers", 1,
               "--seed", 2**64 - 1, "--json")
    assert json.loads(most.stdout)["seed"] == 2**64 - 1
    assert digest(tmp_path / "a")["config.json"] == digest(tmp_path / "c")["config.json"]
    assert (digest(tmp_path / "a")["model.safetensors"]
            != digest(tmp_path / "c")["model.safetensors"])
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["layer_types"] == ["linear_attention", "full_attention"]


def test_a_shape_from_a_file_that_nests_its_text_model(run, tmp_path):
    text = json.loads(run_config(run, tmp_path / "plain"))
    for key in ("architectures", "dtype"):
        text.pop(key)
    nested = {"architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5",
              "text_config": text, "quantization_config": {"quant_method": "other"}}
    (tmp_path / "shape.json").write_text(json.dumps(nested))
    run("make-model", tmp_path / "model", "--shape", tmp_path / "shape.json", "--seed", 0)
    names = read_tensors(tmp_path / "model" / "model.safetensors")
    assert any(name.startswith("model.language_model.layers.0.") for name in names)
    assert "quantization_config" not in json.loads(
        (tmp_path / "model" / "config.json").read_text())
    run("generate", "--model", tmp_path / "model", "--tokens", "1", "--max-tokens", 2)


def run_config(run, directory):
    run("make-model", directory, "--shape", "qwen3.5-tiny", "--seed", 0)
    return (directory / "config.json").read_text()


def read_tensors(path):
    """{name: (dtype, shape, bytes)}."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    return {name: (info["dtype"], info["shape"], raw[8 + length :][slice(*info["data_offsets"])])
            for name, info in header.items()}


def dequantise(tensors, name):
    """[n, k] of a packed weight, by the format's definition: E2M1 codes, the even k in the low
    half of a byte; an E4M3 scale for 16 of them; one F32 scale."""
    _, (rows, half), raw = tensors[name]
    packed = numpy.frombuffer(raw, numpy.uint8).reshape(rows, half)
    codes = numpy.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, 2 * half)
    e2m1 = numpy.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], numpy.float32)
    values = e2m1[codes & 7] * numpy.where(codes & 8, -1, 1)
    scale = numpy.frombuffer(tensors[name + "_scale"][2], numpy.uint8).astype(numpy.int32)
    exponent, mantissa = scale >> 3, scale & 7
    e4m3 = numpy.where(exponent == 0, mantissa * 2.0**-9,
                       (8 + mantissa) * 2.0 ** (exponent - 10.0))
    (global_scale,) = numpy.frombuffer(tensors[name + "_scale_2"][2], numpy.float32)
    blocks = values.reshape(rows, -1, 16) * e4m3.reshape(rows, -1, 1) * float(global_scale)
    return blocks.reshape(rows, 2 * half)


@pytest.fixture(scope="module")
def packed(gallop, tmp_path_factory):
    """The NVFP4 twin of `tiny`."""
    root = tmp_path_factory.mktemp("packed")
    subprocess.run([str(gallop), "make-model", root / "target", "--shape", "qwen3.5-tiny",
                    "--drafter", root / "drafter", "--format", "nvfp4", "--seed", "1"],
                   check=True, timeout=300)
    return root


def test_nvfp4_has_modelopt_names_and_the_twins_values(tiny, packed):
    plain = read_tensors(tiny / "target" / "model.safetensors")
    tensors = read_tensors(packed / "target" / "model.safetensors")
    quantised = [name for name in plain if name + "_scale" in tensors]
    kinds = {name.split(".")[-2] for name in quantised}
    assert kinds == {"q_proj", "k_proj", "v_proj", "o_proj", "in_proj_qkv", "in_proj_z",
                     "out_proj", "gate_proj", "up_proj", "down_proj"}
    for name in quantised:
        dtype, (n, k), raw = plain[name]
        assert tensors[name][:2] == ("U8", [n, k // 2])
        assert tensors[name + "_scale"][:2] == ("F8_E4M3", [n, k // 16])
        assert tensors[name + "_scale_2"][:2] == ("F32", [])
        assert tensors[name.replace(".weight", ".input_scale")][:2] == ("F32", [])
        exact = (numpy.frombuffer(raw, numpy.uint16).astype(numpy.uint32) << 16).view(
            numpy.float32).reshape(n, k)
        error = dequantise(tensors, name) - exact
        # The relative error of NVFP4 over normal values is about 0.095; half of it would mean that
        # something else than four bits was stored, twice that something wrong.
        assert 0.05 < numpy.linalg.norm(error) / numpy.linalg.norm(exact) < 0.19, name
    for name in set(plain) - set(quantised):
        assert tensors[name][:2] == plain[name][:2], name


def test_nvfp4_groups_that_share_an_input_share_a_global_scale(packed):
    tensors = read_tensors(packed / "target" / "model.safetensors")
    scale = lambda name: tensors[f"model.layers.{name}.weight_scale_2"][2]
    assert scale("3.self_attn.q_proj") == scale("3.self_attn.v_proj")
    assert scale("0.mlp.gate_proj") == scale("0.mlp.up_proj")
    assert scale("0.linear_attn.in_proj_qkv") == scale("0.linear_attn.in_proj_z")
    assert scale("0.mlp.gate_proj") != scale("1.mlp.gate_proj")


def test_nvfp4_configs(packed):
    config = json.loads((packed / "target" / "config.json").read_text())["quantization_config"]
    assert (config["quant_method"], config["quant_algo"]) == ("modelopt", "NVFP4")
    assert config["config_groups"]["group_0"]["weights"]["group_size"] == 16
    assert "lm_head" in config["ignore"]
    assert "model.layers.0.linear_attn.in_proj_a" in config["ignore"]
    other = json.loads((packed / "target" / "hf_quant_config.json").read_text())["quantization"]
    assert other["quant_algo"] == "NVFP4" and other["exclude_modules"] == config["ignore"]
    assert (packed / "drafter" / "hf_quant_config.json").is_file()


def test_a_drafter_inside_its_models_directory(run, tmp_path):
    run("make-model", tmp_path / "a", "--shape", "qwen3.5-tiny", "--seed", 1,
        "--drafter", tmp_path / "a" / "drafter")
    assert (tmp_path / "a" / "config.json").is_file()
    assert (tmp_path / "a" / "drafter" / "config.json").is_file()


def test_make_model_refuses(run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "llama.json").write_text('{"model_type": "llama"}')
    (tmp_path / "broken.json").write_text("{")
    tiny = ["--shape", "qwen3.5-tiny", "--seed", 1]
    for arguments, code, message in [
        ([tmp_path / "full", *tiny], 1, "full: expected a new or an empty directory"),
        ([tmp_path / "a", *tiny, "--drafter", tmp_path / "full"], 1, "full: expected a new"),
        ([tmp_path / "a", *tiny, "--drafter", tmp_path / "full/mine.txt/x"], 1, "mine.txt/x"),
        ([tmp_path / "a/b", *tiny, "--drafter", tmp_path / "a" / ("x" * 300)], 1, "too long"),
        ([tmp_path / "a", *tiny, "--drafter", ""], 2, "--drafter"),
        ([tmp_path / "a", *tiny, "--drafter", tmp_path / "a"], 2, "--drafter"),
        ([tmp_path / "a/b", *tiny, "--drafter", tmp_path / "x/../a"], 2, "--drafter"),
        ([tmp_path / "a", "--shape", "qwen9", "--seed", 1], 2, "--shape: there is no"),
        ([tmp_path / "a", "--shape", tmp_path, "--seed", 1], 2, "--shape"),
        ([tmp_path / "a", "--shape", tmp_path / "none.json", "--seed", 1], 1, "none.json"),
        ([tmp_path / "a", "--shape", tmp_path / "llama.json", "--seed", 1], 1, "model_type"),
        ([tmp_path / "a", "--shape", tmp_path / "broken.json", "--seed", 1], 1, "broken.json"),
        ([tmp_path / "a", *tiny, "--layers", 0], 2, "--layers"),
        ([tmp_path / "a", *tiny, "--layers", 1025], 2, "--layers"),
        ([tmp_path / "a", *tiny, "--layers", "two"], 2, "--layers"),
        ([tmp_path / "a", *tiny, "--format", "int3"], 2, "--format"),
        ([tmp_path / "a", "--shape", "qwen3.5-tiny"], 2, "--seed"),
        ([tmp_path / "a", "--shape", "qwen3.5-tiny", "--seed", -1], 2, "--seed"),
        ([tmp_path / "a", "--shape", "qwen3.5-tiny", "--seed", 2**64], 2, "--seed"),
        ([*tiny], 2, "directory"),
    ]:
        done = run("make-model", *arguments, code=code)
        assert message in done.stderr + done.stdout, (arguments, done.stderr)
        assert not (tmp_path / "a").exists(), arguments
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


# --- inspect


def test_inspect_foal(run, foal):
    summary = json.loads(run("inspect", foal / "target", "--json").stdout)
    tensors = read_tensors(foal / "target" / "model.safetensors")
    assert summary["role"] == "target" and summary["load_error"] is None
    assert summary["text_error"] is None and summary["tokenizer"]
    assert summary["tensors"] == len(tensors)
    assert summary["parameters"] == sum(
        int(numpy.prod(shape)) for _, shape, _ in tensors.values())
    groups = {(group["kind"], group["format"]): group for group in summary["groups"]}
    assert groups["q_proj", "BF16"]["count"] == 2
    assert groups["in_proj_qkv", "BF16"]["count"] == 6
    assert groups["down_proj", "BF16"]["parameters"] == 8 * 768 * 256
    assert sum(group["bytes"] for group in summary["groups"]) == summary["bytes"]
    text = run("inspect", foal / "target").stdout
    assert "8 layers" in text and "loads as a model" in text


def test_inspect_a_drafter(run, tiny):
    summary = json.loads(run("inspect", "--model", tiny / "drafter", "--json").stdout)
    assert summary["role"] == "drafter" and summary["load_error"] is None
    assert "DFlash" in summary["shape"]


def test_inspect_tells_formats_and_counts_nan_scales(run, packed, tmp_path):
    for path in (packed / "target").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    summary = json.loads(run("inspect", tmp_path, "--json").stdout)
    groups = {(group["kind"], group["format"]): group for group in summary["groups"]}
    down = groups["down_proj", "NVFP4 (ModelOpt)"]
    assert (down["count"], down["parameters"]) == (4, 4 * 128 * 384)
    assert (down["layers"], down["nan_scales"]) == ([0, 1, 2, 3], 0)
    assert down["bytes"] == 4 * (128 * 384 // 2 + 128 * 384 // 16 + 4 + 4)
    assert ("in_proj_a", "BF16") in groups and summary["nan_scales"] == 0
    assert summary["load_error"] is None
    tensors = tmp_path / "model.safetensors"
    raw = bytearray(tensors.read_bytes())
    length = int.from_bytes(raw[:8], "little")
    name = "model.layers.0.mlp.down_proj.weight_scale"
    begin = json.loads(raw[8 : 8 + length])[name]["data_offsets"][0]
    raw[8 + length + begin] = 0x7F
    raw[8 + length + begin + 5] = 0xFF
    tensors.write_bytes(raw)
    summary = json.loads(run("inspect", tmp_path, "--json").stdout)
    assert summary["nan_scales"] == 2 and summary["nan_tensors"] == [name]
    assert {group["kind"]: group["nan_scales"] for group in summary["groups"]
            if group["nan_scales"] > 0} == {"down_proj": 2}
    assert name in run("inspect", tmp_path).stdout


def test_inspect_says_why_a_checkpoint_cannot_be_loaded(run, tiny, tmp_path):
    for path in (tiny / "target").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["intermediate_size"] = 100
    (tmp_path / "config.json").write_text(json.dumps(config))
    summary = json.loads(run("inspect", tmp_path, "--json").stdout)
    assert "gate_proj" in summary["load_error"] and summary["tensors"] > 10
    assert "tokenizer.json" in summary["text_error"]
    assert "cannot be loaded" in run("inspect", tmp_path).stdout
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert "model_type" in json.loads(run("inspect", tmp_path, "--json").stdout)["load_error"]
    (tmp_path / "config.json").write_text("[]")
    assert "config.json" in run("inspect", tmp_path, code=1).stderr
    run("inspect", tmp_path / "nothing", code=1)
    assert "directory: is required" in run("inspect", code=2).stderr
    assert "--model" in run("inspect", tiny / "target", "--model", tmp_path, code=2).stderr


def test_inspect_finds_the_template_where_render_does(run, foal, tmp_path):
    for path in (foal / "target").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    template, config = tmp_path / "chat_template.jinja", tmp_path / "tokenizer_config.json"
    source, settings = template.read_text(), json.loads(config.read_text())
    template.unlink()
    for given, found in ((source, True), ("{% if", True), (None, False)):
        config.write_text(json.dumps({**settings, "chat_template": given}))
        summary = json.loads(run("inspect", tmp_path, "--json").stdout)
        assert summary["chat_template"] is found and summary["tokenizer"]
        assert (summary["text_error"] is None) == (given == source)


# --- doctor


def test_doctor(run, foal):
    machine = json.loads(run("doctor", "--model", foal / "target", "--drafter", foal / "drafter",
                             "--json").stdout)
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert machine["instruction_set"] in machine["instruction_sets"]
    assert machine["cuda"] is False
    assert machine["memory_available_bytes"] <= machine["memory_bytes"]
    for key in ("read_gb_per_s", "multiply_add_gflop_per_s"):
        assert 0.1 < machine[key]["one_thread"] < 1e5
    model = machine["model"]
    files = [foal / part / "model.safetensors" for part in ("target", "drafter")]
    assert 0 < sum(file.stat().st_size for file in files) - model["weight_bytes"] < 100_000
    # Two layers of the target with one head of 256, three of the drafter with two of 128; k and v.
    assert model["cache_bytes_per_token"] == 2 * 4 * (2 * 256 + 3 * 2 * 128)
    assert model["state_bytes_per_sequence"] > 6 * 6 * 128 * 128 * 4
    config, block = (json.loads((foal / part / "config.json").read_text())
                     for part in ("target", "drafter"))
    rows, drafts = 8 * block["block_size"], 8 * (block["block_size"] - 1)
    logits = 4 * config["vocab_size"] * (rows + drafts)
    activations = 4 * (512 + rows) * 3 * (config["intermediate_size"] + block["intermediate_size"])
    assert logits + activations < model["buffer_bytes"] < 4 * (logits + activations)
    assert 0 < model["context_tokens"] <= model["context_tokens_max"] == 32768
    text = run("doctor").stdout
    assert "no CUDA backend" in text and machine["instruction_set"] in text


def make_wide_model(run, target, weight_bytes):
    """Weights of about so many bytes, in a sparse file; returns how many they are."""
    # As many as it takes for MLPs half as wide as a config may say.
    layers = 4 + weight_bytes // (3 * 2 * 128 << 19)
    run("make-model", target, "--shape", "qwen3.5-tiny", "--layers", layers, "--seed", 1)
    config = json.loads((target / "config.json").read_text())
    wide = weight_bytes // (3 * 2 * layers * config["hidden_size"])
    (target / "config.json").write_text(json.dumps({**config, "intermediate_size": wide}))
    header, end = {}, 0
    for name, (dtype, shape, _) in read_tensors(target / "model.safetensors").items():
        shape = [wide if extent == config["intermediate_size"] else extent for extent in shape]
        begin, end = end, end + math.prod(shape) * {"BF16": 2, "F32": 4}[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (target / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return end


def test_doctor_counts_the_weights(run, tmp_path):
    """Weights of more than half of the memory leave less than the other half."""
    target = tmp_path / "target"
    available = json.loads(run("doctor", "--json").stdout)["memory_available_bytes"]
    end = make_wide_model(run, target, available * 7 // 10)
    model = json.loads(run("doctor", "--model", target, "--json").stdout)["model"]
    assert model["weight_bytes"] == end and model["weights_fit"]
    left = (model["memory_available_bytes"] - end - 8 * model["state_bytes_per_sequence"]
            - model["buffer_bytes"])
    assert model["cache_budget_bytes"] == max(0, left)
    assert model["cache_budget_bytes"] < 0.4 * available


def test_a_model_larger_than_the_memory_is_named(run, tmp_path):
    available = json.loads(run("doctor", "--json").stdout)["memory_available_bytes"]
    make_wide_model(run, tmp_path / "target", available * 5 // 4)
    done = run("generate", "--model", tmp_path / "target", "--tokens", "1", code=1)
    assert "this model needs more memory" in done.stderr and "weights of" in done.stderr
    assert "--max-model-len" not in done.stderr and done.stdout == ""


def test_doctor_refuses(run, foal, tmp_path):
    assert "nothing" in run("doctor", "--model", tmp_path / "nothing", code=1).stderr
    run("doctor", "--drafter", foal / "drafter", code=2)
    done = run("doctor", "--model", foal / "drafter", code=1)
    assert "config.json" in done.stderr and done.stdout == ""


def test_the_instruction_set_can_be_forced(run, foal):
    names = json.loads(run("doctor", "--json").stdout)["instruction_sets"]
    command = ["generate", "--model", foal / "target", "--tokens", "1,2,3", "--max-tokens", 4,
               "--temperature", 0, "--json"]
    for name in names:
        forced = json.loads(run("doctor", "--json", GALLOP_INSTRUCTION_SET=name).stdout)
        assert forced["instruction_set"] == name
        assert json.loads(run(*command, GALLOP_INSTRUCTION_SET=name).stdout)["tokens"]
    done = run(*command, code=1, GALLOP_INSTRUCTION_SET="MMX")
    assert "GALLOP_INSTRUCTION_SET" in done.stderr and names[0] in done.stderr


# --- bench


@pytest.fixture
def bench(run, tiny):
    def call(kind, *arguments, code=0):
        return run("bench", kind, "--model", tiny / "target", "--runs", 2, *arguments, code=code)
    return call


def test_bench_decode_json(bench, tiny):
    plain = json.loads(bench("decode", "--tokens", 9, "--context", 20, "--threads", 1,
                             "--json").stdout)
    assert (plain["steps"], plain["accepted_length_mean"], plain["spec_tokens"]) == (9, 1, 0)
    assert plain["ms"] == pytest.approx(9 * plain["step_ms"])
    assert plain["tokens_per_second"] == pytest.approx(9e3 / plain["ms"])
    assert plain["ratio"] == pytest.approx(plain["ms"] / plain["floor_ms"])
    drafted = json.loads(bench("decode", "--tokens", 9, "--context", 20, "--drafter",
                               tiny / "drafter", "--spec-tokens", 3, "--json").stdout)
    assert drafted["spec_tokens"] == 3 and drafted["steps"] <= 9
    assert drafted["flop_per_step"] > 3 * plain["flop_per_step"]
    off = json.loads(bench("decode", "--tokens", 2, "--drafter", tiny / "drafter", "--spec-tokens",
                           "off", "--json").stdout)
    assert off["spec_tokens"] == 0


def test_bench_counts_packed_weights_as_they_lie(run, bench, packed):
    result = json.loads(run("bench", "decode", "--model", packed / "target", "--tokens", 2,
                            "--runs", 1, "--json").stdout)
    plain = json.loads(bench("decode", "--tokens", 2, "--json").stdout)
    assert "weights=nvfp4" in result["shape"]
    assert result["flop_per_step"] == plain["flop_per_step"]
    # Each packed value takes 4.5 of its 16 bits.
    tensors = read_tensors(packed / "target" / "model.safetensors")
    values = sum(2 * len(raw) for dtype, _, raw in tensors.values() if dtype == "U8")
    saved = plain["bytes_per_step"] - result["bytes_per_step"]
    assert saved == pytest.approx(values * (16 - 4.5) / 8)


def test_bench_prefill_json(bench):
    result = json.loads(bench("prefill", "--tokens", 100, "--chunk", 30, "--json").stdout)
    assert result["steps"] == 4
    assert result["tokens_per_second"] == pytest.approx(1e5 / result["ms"])
    assert "tokens/s" in bench("prefill", "--tokens", 10).stdout


def test_bench_profile(bench):
    result = json.loads(bench("decode", "--tokens", 4, "--context", 8, "--profile",
                              "--json").stdout)
    profile = result["profile"]
    assert sum(line["share"] for line in profile) == pytest.approx(1)
    assert [line["ms"] for line in profile] == sorted((line["ms"] for line in profile),
                                                      reverse=True)
    # Two timed runs of four steps; three layers with a GDN state. The prompts do not count.
    calls = {line["op"]: line["calls"] for line in profile}
    assert calls["GdnUpdate"] == 2 * 4 * 3 and calls["PagedAttention"] == 2 * 4
    assert any(op.startswith("Linear ") for op in calls)
    assert "GdnUpdate" in bench("decode", "--tokens", 4, "--profile").stdout


def test_bench_csv_and_plot(run, bench, tiny, tmp_path):
    path = tmp_path / "results.csv"
    bench("decode", "--tokens", 4, "--context", 1024, "--csv", path)
    bench("decode", "--tokens", 4, "--context", 8, "--drafter", tiny / "drafter", "--csv", path)
    bench("prefill", "--tokens", 64, "--csv", path)
    bench("prefill", "--tokens", 64, "--chunk", 32, "--csv", path)
    bench("prefill", "--tokens", 64, "--drafter", tiny / "drafter", "--csv", path)
    run("bench", "prefill", "--model", tiny / "target", "--tokens", 64, "--csv", path,
        GALLOP_INSTRUCTION_SET="SCALAR")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert path.read_text().splitlines()[0].split(",") == COLUMNS
    assert [row["measure"] for row in rows] == ["plain_step", "decode", "spec_step", "decode",
                                                "prefill", "prefill", "prefill", "prefill"]
    assert len({(row["measure"], row["config"]) for row in rows}) == len(rows)
    for row in rows:
        datetime.date.fromisoformat(row["date"])
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["chip"])
        assert all(re.fullmatch(r"\w+=\S+", pair) for pair in row["config"].split(" "))
        value, floor = float(row["value"]), float(row["floor"])
        ratio = floor / value if row["unit"] == "tokens/s" else value / floor
        assert float(row["ratio"]) == pytest.approx(ratio, rel=1e-3)
    assert rows[0]["config"].startswith("batch=1 ctx=1k ")
    assert rows[2]["config"].startswith("block=16 drafter=bf16 batch=1 ctx=8 ")
    assert rows[4]["config"].startswith("tokens=64 ")
    picture = tmp_path / "out.svg"
    run("bench", "plot", path, picture)
    root = xml.etree.ElementTree.parse(picture).getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(row["config"] in texts for row in rows)


def test_bench_refuses(run, bench, tiny, tmp_path):
    for arguments, code, message in [
        (["decode", "--spec-tokens", 4], 2, "--spec-tokens"),
        (["decode", "--drafter", tiny / "drafter", "--spec-tokens", 16], 2, "--spec-tokens"),
        (["decode", "--spec-tokens", "many"], 2, "--spec-tokens"),
        (["decode", "--spec-tokens", -1], 2, "--spec-tokens"),
        (["decode", "--tokens", 0], 2, "--tokens"),
        (["decode", "--context", 5000], 1, "4096"),
        (["prefill", "--tokens", 5000], 1, "4096"),
        (["decode", "--drafter", tmp_path], 1, str(tmp_path)),
        (["decode", "--drafter", tiny / "target", "--spec-tokens", 3], 1, "target/config.json: "),
        (["decode", "--drafter", ""], 2, "--drafter"),
        (["decode", "--csv", ""], 2, "--csv"),
        (["prefill", "--csv", tmp_path / "no" / "x.csv", "--tokens", 4], 1, "x.csv"),
    ]:
        done = bench(*arguments, code=code)
        assert message in done.stderr, (arguments, done.stderr)
    run("bench", code=2)
    assert "nothing" in run("bench", "nothing", code=2).stderr
    run("bench", "decode", "--model", tmp_path, code=1)
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert "line 1" in run("bench", "plot", tmp_path / "bad.csv", tmp_path / "x.svg",
                           code=1).stderr
    (tmp_path / "empty.csv").write_text(",".join(COLUMNS) + "\n")
    assert "no row" in run("bench", "plot", tmp_path / "empty.csv", tmp_path / "x.svg",
                           code=1).stderr
    assert not (tmp_path / "x.svg").exists()
    # Said before anything is measured, or even loaded.
    absent = ["bench", "decode", "--model", tmp_path / "none", "--csv"]
    done = run(*absent, tmp_path / "bad.csv", code=1)
    assert "bad.csv: line 1" in done.stderr
    done = run(*absent, tmp_path / "no" / "x.csv", code=1)
    assert "x.csv: cannot be written" in done.stderr  # said before the model is looked for
    run(*absent, tmp_path / "new.csv", code=1)
    assert not (tmp_path / "new.csv").exists()
    assert "itself" in run("bench", "plot", tmp_path / "empty.csv", tmp_path / "empty.csv",
                           code=2).stderr


# --- files that commands write


@pytest.fixture
def writers(run, foal, tmp_path):
    """What each command needs to write one file, but for its path; calls it with one."""
    ids = tmp_path / "ids.json"
    ids.write_text("[[1, 2, 3]]")
    rows = tmp_path / "rows.csv"
    rows.write_text(",".join(COLUMNS) + "\n2026-11-25,c,h,prefill,a=1,1,ms,,\n")
    score = ["score", "--model", foal / "target", "--tokens-file", ids, "--out"]
    decode = ["bench", "decode", "--model", foal / "target", "--runs", 1, "--tokens", 1, "--csv"]
    return [lambda path, code=0, start=start: run(*start, path, code=code)
            for start in (score, ["bench", "plot", rows], decode)]


def test_what_is_no_file_is_never_replaced(writers, tmp_path):
    pipe, directory = tmp_path / "pipe", tmp_path / "directory"
    os.mkfifo(pipe)
    directory.mkdir()
    (tmp_path / "link").symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    before = sorted(tmp_path.iterdir())
    for write in writers:
        for path in (pipe, directory, tmp_path / "link", tmp_path / "socket"):
            assert str(path) in write(path, code=1).stderr
    assert pipe.is_fifo() and directory.is_dir() and (tmp_path / "socket").is_socket()
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_beyond_its_limit_is_exit_1_and_leaves_nothing(gallop, foal, tmp_path):
    ids = tmp_path / "ids.json"
    ids.write_text("[[1, 2, 3]]")
    target = foal / "target"
    for arguments, path in [
        (["score", "--model", target, "--tokens-file", ids, "--out"], "out.safetensors"),
        (["make-model", "--shape", "qwen3.5-tiny", "--seed", "1"], "p1/p2"),
        (["bench", "decode", "--model", target, "--runs", "1", "--tokens", "1", "--csv"], "x.csv"),
    ]:
        limited = ["sh", "-c", 'ulimit -f 0; exec "$0" "$@"', gallop, *arguments, tmp_path / path]
        done = subprocess.run(limited, capture_output=True, text=True, timeout=300)
        assert done.returncode == 1 and "cannot write: File too large" in done.stderr, done
        assert str(tmp_path / path) in done.stderr and "partial" not in done.stderr
        assert list(tmp_path.iterdir()) == [ids]


def test_links_are_written_through(writers, tmp_path):
    for number, write in enumerate(writers):
        link, target = tmp_path / f"link{number}", tmp_path / f"file{number}"
        link.symlink_to(target.name)
        write(link)
        assert link.is_symlink() and target.stat().st_size > 0
        write(link)
        assert link.is_symlink()


def test_input_that_is_a_pipe_is_refused_at_once(run, foal, tmp_path):
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    model = ["--model", foal / "target"]
    for arguments in (["render", *model, "--batch", pipe], ["render", *model, "--messages", pipe],
                      ["generate", *model, "--batch", pipe],
                      ["score", *model, "--tokens-file", pipe, "--out", tmp_path / "out"],
                      ["bench", "plot", pipe, tmp_path / "out"],
                      ["make-model", tmp_path / "made", "--shape", pipe, "--seed", 1]):
        assert "pipe" in run(*arguments, code=1).stderr, arguments
    assert list(tmp_path.iterdir()) == [pipe]
