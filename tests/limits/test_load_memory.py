"""Start-up maps the weights: private memory after loading stays far below the file's size."""

import json
import pathlib
import shutil
import subprocess

import pytest

# With foal's vocabulary: some 100 MB of matrices, most of them of the MLPs.
SHAPE = {"hidden_size": 1024, "num_hidden_layers": 2,
         "layer_types": ["linear_attention", "full_attention"]}
INTERMEDIATE = {"bf16": 6144, "nvfp4": 22528}


def run(*command):
    subprocess.run([str(part) for part in command], check=True, timeout=300)


@pytest.fixture(scope="module", params=sorted(INTERMEDIATE))
def model(request, gallop, foal, tmp_path_factory):
    """A random model with foal's tokenizer."""
    root = tmp_path_factory.mktemp("big")
    run(gallop, "make-model", root / "tiny", "--shape", "qwen3.5-tiny", "--seed", 1)
    config = json.loads((root / "tiny" / "config.json").read_text())
    foals = json.loads((foal / "target" / "config.json").read_text())
    shape = {**config, **SHAPE, "vocab_size": foals["vocab_size"],
             "intermediate_size": INTERMEDIATE[request.param]}
    (root / "shape.json").write_text(json.dumps(shape))
    run(gallop, "make-model", root / "model", "--shape", root / "shape.json", "--format",
        request.param, "--seed", 1)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(foal / "target" / name, root / "model" / name)
    return root / "model"


def private_kb(pid):
    """Memory that is no page of a file."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])


def test_weights_are_mapped_not_copied(gallop, model):
    size_kb = (model / "model.safetensors").stat().st_size // 1024
    assert size_kb > 80_000
    # A short context: caches are small beside the file.
    process = subprocess.Popen(
        [str(gallop), "serve", "--model", str(model), "--port", "0", "--max-num-seqs", "1",
         "--max-model-len", "64", "--threads", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        private = private_kb(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)
    print(f"the file has {size_kb} kB, private memory {private} kB")
    # A copy of the weights, or of the half of them, would be over it.
    assert private < size_kb / 4, (private, size_kb)
