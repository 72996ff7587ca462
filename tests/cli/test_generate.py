"""`gallop generate` and `gallop score` as scripts see them: outputs, errors, exit codes."""

import json
import subprocess

import numpy
import pytest
from safetensors.numpy import load_file

PROMPT = "There are 6 boxes with 9 eggs each. How many eggs are there?"


def run(gallop, *arguments, code=0, stdin=None):
    done = subprocess.run([str(gallop), *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, input=stdin)
    assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr[-2000:])
    return done


@pytest.fixture
def generate(gallop, foal):
    def call(*arguments, code=0, drafter=True):
        extra = ["--drafter", foal / "drafter"] if drafter else []
        return run(gallop, "generate", "--model", foal / "target", *extra, *arguments, code=code)
    return call


@pytest.fixture
def messages(tmp_path):
    path = tmp_path / "messages.json"
    path.write_text(json.dumps([{"role": "user", "content": PROMPT}]))
    return path


def test_json_object_of_one_request(generate, messages):
    done = generate("--messages", messages, "--temperature", 0, "--json")
    answer = json.loads(done.stdout)
    assert set(answer) == {"prompt_tokens", "tokens", "text", "finish_reason", "seed", "steps",
                           "accepted_per_step", "accepted_length_mean", "timings"}
    assert set(answer["timings"]) == {"load_ms", "prefill_ms", "decode_ms", "tokens_per_second"}
    assert answer["finish_reason"] == "stop"
    assert answer["tokens"][-1] == 4048 and "<|im_end|>" not in answer["text"]
    assert "54 eggs" in answer["text"] and "</think>" in answer["text"]
    assert answer["accepted_length_mean"] == pytest.approx(
        (len(answer["tokens"]) - 1) / answer["steps"])


def test_plain_text_and_speculation_off(generate, messages):
    fast = generate("--messages", messages, "--temperature", 0).stdout
    slow = generate("--messages", messages, "--temperature", 0, drafter=False).stdout
    off = json.loads(generate("--messages", messages, "--temperature", 0, "--spec-tokens", "off",
                              "--json").stdout)
    assert fast == slow == off["text"] + "\n"
    assert set(off["accepted_per_step"]) == {1}


def test_seeds(generate):
    options = ["--prompt", "a", "--temperature", 2, "--top-k", 0, "--top-p", 1, "--json",
               "--max-tokens", 24]
    answers = [json.loads(generate(*options, "--seed", seed).stdout) for seed in (7, 8, 9)]
    again = json.loads(generate(*options, "--seed", 7, "--spec-tokens", 3).stdout)
    assert again["tokens"] == answers[0]["tokens"]
    assert len({tuple(answer["tokens"]) for answer in answers}) == 3
    random = json.loads(generate(*options).stdout)
    repeated = json.loads(generate(*options, "--seed", random["seed"]).stdout)
    assert repeated["tokens"] == random["tokens"]


@pytest.mark.parametrize("spec", ["off", "4", "15"])
def test_stop_string_cuts_text_tokens_and_counts(generate, messages, spec):
    answer = json.loads(generate("--messages", messages, "--temperature", 0, "--json", "--stop",
                                 '["9 eggs"]', "--spec-tokens", spec).stdout)
    whole = json.loads(generate("--messages", messages, "--temperature", 0, "--json").stdout)
    assert whole["text"].startswith(answer["text"]) or "9 eggs" not in whole["text"]
    assert "9 eggs" not in answer["text"]
    assert answer["tokens"] == whole["tokens"][: len(answer["tokens"])]
    assert 1 + sum(answer["accepted_per_step"]) == len(answer["tokens"])


def test_batch_keeps_order_and_reports_bad_lines(generate, tmp_path):
    batch = tmp_path / "batch.jsonl"
    lines = [{"prompt": "one", "max_tokens": 3}, {"prompt": "two", "max_tokens": 0},
             {"tokens": [1, 2, 3], "max_tokens": 2, "spec_tokens": 99}, {"tokens": [99999]},
             {"messages": [{"role": "user", "content": "x"}, {"role": "nobody", "content": "x"}]},
             {"prompt": "x", "tokens": [1]},
             {"prompt": "x", "temprature": 1}, {"tokens": [5], "max_tokens": 2, "seed": 1}]
    batch.write_text("\n".join(json.dumps(line) for line in lines) + "\nnot json\n")
    done = generate("--batch", batch, "--temperature", 0, code=1)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 9
    assert len(answers[0]["tokens"]) <= 3 and len(answers[7]["tokens"]) <= 2
    culprits = {1: "max_tokens", 2: "spec_tokens", 3: "prompt", 4: "Unexpected message role",
                5: "exactly one", 6: "temprature", 8: "JSON"}
    for index, word in culprits.items():
        assert word in answers[index]["error"], answers[index]


@pytest.mark.parametrize("arguments", [
    [], ["--prompt", "a", "--tokens", "1"], ["--prompt", "a", "--spec-tokens", "16"],
    ["--prompt", "a", "--spec-tokens", "many"], ["--prompt", "a", "--threads", "0"],
    ["--prompt", "a", "--no-such-flag"], ["--prompt", "a", "--stop", "not json"]])
def test_wrong_usage_is_exit_2(generate, arguments):
    assert generate(*arguments, code=2).stdout == ""


def test_wrong_values_are_exit_1(generate, gallop, foal):
    assert "temperature" in generate("--prompt", "a", "--temperature", 3, code=1).stderr
    assert "top_p" in generate("--prompt", "a", "--top-p", 0, code=1).stderr
    missing = run(gallop, "generate", "--model", "/no/such", "--prompt", "a", code=1)
    assert "/no/such" in missing.stderr
    swapped = run(gallop, "generate", "--model", foal / "drafter", "--prompt", "a", code=1)
    assert swapped.stderr.strip()


def test_directory_without_tokenizer_runs_by_ids(gallop, root):
    model = root / "tests" / "golden" / "text-odd" / "model"
    answer = json.loads(run(gallop, "generate", "--model", model, "--tokens", "181,187,55",
                            "--max-tokens", 4, "--json").stdout)
    assert answer["text"] == "" and len(answer["tokens"]) == 4
    refused = run(gallop, "generate", "--model", model, "--prompt", "text", code=1)
    assert "tokenizer" in refused.stderr


def test_score_names_shapes_and_bits(gallop, root, foal, tmp_path):
    lists = [[5, 6, 7], [9]]
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps(lists))
    outputs = []
    for chunk, threads in ((512, 1), (1, 2)):
        out = tmp_path / f"scores-{chunk}.safetensors"
        run(gallop, "score", "--model", foal / "target", "--drafter", foal / "drafter",
            "--tokens-file", tokens, "--out", out, "--layers", "0,7", "--chunk", chunk,
            "--threads", threads)
        outputs.append(load_file(out))
    shapes = {name: value.shape for name, value in outputs[0].items()}
    assert shapes == {"logits.0": (3, 4096), "hidden.0.0": (3, 256), "hidden.7.0": (3, 256),
                      "draft.hidden.0": (16, 256), "draft.logits.0": (15, 4096),
                      "logits.1": (1, 4096), "hidden.0.1": (1, 256), "hidden.7.1": (1, 256)}
    for name, value in outputs[0].items():
        assert value.dtype == numpy.float32
        assert (value.view(numpy.uint32) == outputs[1][name].view(numpy.uint32)).all(), name


@pytest.mark.parametrize("content, word", [("{}", "list"), ("[[]]", "list 0"), ("[[-1]]", "ids"),
                                           ("[[4096]]", "4096"), ("[[1.5]]", "1.5"),
                                           ("nonsense", "JSON")])
def test_score_refuses_bad_token_files(gallop, foal, tmp_path, content, word):
    tokens = tmp_path / "tokens.json"
    tokens.write_text(content)
    done = run(gallop, "score", "--model", foal / "target", "--tokens-file", tokens, "--out",
               tmp_path / "out.safetensors", code=1)
    assert word in done.stderr and not (tmp_path / "out.safetensors").exists()


def test_version_and_help(gallop):
    assert run(gallop, "--version").stdout.startswith("gallop ")
    for command in ("serve", "generate", "score", "tokenize", "render"):
        assert "--model" in run(gallop, command, "--help").stdout
    run(gallop, code=2)
    run(gallop, "no-such-command", code=2)
