"""Running many requests through `gallop generate --batch`."""

import json
import subprocess


def run_batch(gallop, directory, requests, tmp_path, *, seqs=8, chunk=512, threads=2):
    """The answers to `requests` (keys of a batch line), in order; any error fails the test."""
    batch = tmp_path / f"batch-{seqs}-{chunk}-{threads}.jsonl"
    batch.write_text("".join(json.dumps(request) + "\n" for request in requests))
    command = [gallop, "generate", "--model", directory["target"], "--batch", batch,
               "--max-num-seqs", str(seqs), "--chunk", str(chunk), "--threads", str(threads)]
    if directory.get("drafter"):
        command += ["--drafter", directory["drafter"]]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=3000)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[:2000]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests)
    return answers
