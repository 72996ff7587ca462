"""The tokenizer is at least as fast as the PyPI package `tokenizers`, on one thread, in one run."""

import json
import random
import subprocess
import time

import pytest
import text_cases
from tokenizers import Tokenizer


def speeds(gallop, directory, strings):
    """Bytes per second of both on one thread, the best of three runs in turn. gallop's time is that
    of its whole run: start, loading, JSON of the strings and of the ids; the package's is that of
    its encode_batch_fast alone."""
    lines = "".join(json.dumps(string, ensure_ascii=False) + "\n" for string in strings).encode()
    tokenizer, own, package = Tokenizer.from_file(str(directory / "tokenizer.json")), [], []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([gallop, "tokenize", "--model", directory], input=lines,
                       stdout=subprocess.DEVNULL, check=True)
        own.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        tokenizer.encode_batch_fast(strings)
        package.append(time.perf_counter() - begin)
    size = sum(len(string.encode()) for string in strings)
    return size / min(own), size / min(package)


@pytest.mark.parametrize("kind", ["strings", "files"])
def test_speed(kind, gallop, root, foal, full, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    count = 200_000 if full else 20_000
    strings = text_cases.tracked_texts(root) * (4 if full else 1)
    if kind == "strings":
        rng, corpus = random.Random(1), (foal / "target" / "samples.txt").read_text()
        strings = [text_cases.make_string(rng, ["<think>"], corpus) for _ in range(count)]
    own, package = speeds(gallop, foal / "target", strings)
    print(f"{kind}: gallop tokenize {own / 1e6:.1f} MB/s, tokenizers {package / 1e6:.1f} MB/s, "
          f"ratio {own / package:.2f}")
    assert own >= package
