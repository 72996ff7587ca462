"""At the system's limits the program ends with a message, never by a signal. Not run under
sanitizers, whose shadow memory needs more address space than the limits leave."""

import json
import subprocess


def limited(gallop, kilobytes, *arguments):
    """Runs the program with so much address space."""
    command = ["sh", "-c", 'ulimit -v "$0"; exec "$@"', kilobytes, gallop, *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=120)


def test_out_of_memory_is_exit_1(gallop, foal, tmp_path):
    lists = tmp_path / "lists.json"
    lists.write_text(json.dumps([[5] * 30000]))  # logits of 490 MB
    done = limited(gallop, 450_000, "score", "--model", foal / "target", "--tokens-file", lists,
                   "--out", tmp_path / "out.safetensors", "--threads", 1)
    assert done.returncode == 1 and done.stderr.startswith("gallop: "), done
    assert list(tmp_path.iterdir()) == [lists], "no partial file stays"


def test_threads_that_cannot_be_started_are_named(gallop, foal):
    done = limited(gallop, 2_000_000, "generate", "--model", foal / "target", "--threads", 4096,
                   "--tokens", "1,2,3", "--max-tokens", 5)
    assert done.returncode in (0, 1), done  # what is left may be too little for the rest
    assert "of 4096 threads could be started" in done.stderr
