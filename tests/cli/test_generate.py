"""`gallop generate` and `gallop score` as scripts see them: outputs, errors, exit codes."""

import json
import shutil
import struct
import subprocess

import numpy
import pytest
from safetensors.numpy import load_file

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
def item(reference):
    """A prompt whose greedy answer PyTorch computed; with reasoning."""
    return next(item for item in reference["greedy"]["items"]
                if item["enable_thinking"] and item["tools"] is None and item["correct"])


@pytest.fixture
def messages(item, tmp_path):
    path = tmp_path / "messages.json"
    path.write_text(json.dumps({"messages": item["messages"],
                                "chat_template_kwargs": {"enable_thinking": True}}))
    return path


def test_json_object_of_one_request(generate, messages, item, reference, decode):
    done = generate("--messages", messages, "--temperature", 0, "--json")
    answer = json.loads(done.stdout)
    assert set(answer) == {"prompt_tokens", "tokens", "text", "finish_reason", "seed", "steps",
                           "accepted_per_step", "accepted_length_mean", "timings"}
    assert set(answer["timings"]) == {"load_ms", "prefill_ms", "decode_ms", "tokens_per_second"}
    assert answer["finish_reason"] == "stop"
    assert answer["prompt_tokens"] == item["prompt_ids"]
    assert answer["tokens"] == item["greedy_ids"]
    assert answer["tokens"][-1] in reference["greedy"]["stop_ids"]
    assert answer["text"] == decode(item["greedy_ids"])
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
               "--max-tokens", 8]
    answers = [json.loads(generate(*options, "--seed", seed).stdout) for seed in (7, 8, 9)]
    again = json.loads(generate(*options, "--seed", 7, "--spec-tokens", 3).stdout)
    assert again["tokens"] == answers[0]["tokens"]
    assert len({tuple(answer["tokens"]) for answer in answers}) == 3
    random = json.loads(generate(*options).stdout)
    repeated = json.loads(generate(*options, "--seed", random["seed"]).stdout)
    assert repeated["tokens"] == random["tokens"]


@pytest.mark.parametrize("spec", ["off", "4", "15"])
def test_stop_string_cuts_text_tokens_and_counts(generate, messages, spec):
    whole = json.loads(generate("--messages", messages, "--temperature", 0, "--json").stdout)
    middle = len(whole["text"]) // 2
    stop = whole["text"][middle : middle + 4]
    answer = json.loads(generate("--messages", messages, "--temperature", 0, "--json", "--stop",
                                 json.dumps([stop]), "--spec-tokens", spec).stdout)
    assert answer["text"] == whole["text"][: whole["text"].index(stop)]
    assert answer["finish_reason"] == "stop"
    assert answer["tokens"] == whole["tokens"][: len(answer["tokens"])]
    assert len(answer["tokens"]) < len(whole["tokens"])
    assert 1 + sum(answer["accepted_per_step"]) == len(answer["tokens"])


def test_no_stop_string_ends_the_first_min_tokens(generate, messages):
    whole = json.loads(generate("--messages", messages, "--temperature", 0, "--json").stdout)
    options = ["--messages", messages, "--temperature", 0, "--json", "--max-tokens", 6, "--stop",
               json.dumps([whole["text"][:2]])]
    assert json.loads(generate(*options).stdout)["text"] == ""
    answer = json.loads(generate(*options, "--min-tokens", 6).stdout)
    assert answer["tokens"] == whole["tokens"][:6] and answer["finish_reason"] == "length"
    assert answer["text"] and whole["text"].startswith(answer["text"])


@pytest.mark.parametrize("content", ["[]", "{}", '{"messages": 5}', '[{"role": "nobody"}]', "x"])
def test_bad_messages_name_their_file(generate, tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert str(path) in generate("--messages", path, code=1).stderr


def test_batch_keeps_order_and_reports_bad_lines(generate, tmp_path):
    batch = tmp_path / "batch.jsonl"
    lines = [{"prompt": "one", "max_tokens": 3}, {"prompt": "two", "max_tokens": 0},
             {"tokens": [1, 2, 3], "max_tokens": 2, "spec_tokens": 99}, {"tokens": [99999]},
             {"messages": [{"role": "user", "content": "x"}, {"role": "nobody", "content": "x"}]},
             {"prompt": "x", "tokens": [1]},
             {"prompt": "x", "temprature": 1}, {"tokens": [5], "max_tokens": 2, "seed": 1}]
    batch.write_text("\n".join(json.dumps(line) for line in lines) + "\nnot json\n\n")
    done = generate("--batch", batch, "--temperature", 0, code=1)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 10
    assert len(answers[0]["tokens"]) <= 3 and len(answers[7]["tokens"]) <= 2
    culprits = {1: "max_tokens", 2: "spec_tokens", 3: "prompt", 4: "Unexpected message role",
                5: "exactly one", 6: "temprature", 8: "JSON", 9: "JSON"}
    for index, word in culprits.items():
        assert word in answers[index]["error"], answers[index]
    assert "8 of 10 lines failed: 2, 3, 4, 5, 6, 7, 9, 10" in done.stderr


def test_batch_longer_than_the_engines_queue(generate, tmp_path):
    batch = tmp_path / "batch.jsonl"
    batch.write_text('{"tokens": [5], "max_tokens": 1}\n' * 1200)
    done = generate("--batch", batch, "--temperature", 0, "--max-num-seqs", 64)
    answers = [json.loads(line)["tokens"] for line in done.stdout.splitlines()]
    assert len(answers) == 1200 and answers == answers[:1] * 1200


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_output_that_is_lost_is_exit_1(gallop, foal, extra):
    command = [gallop, "generate", "--model", foal / "target", "--prompt", "a", "--max-tokens", "2"]
    with open("/dev/full", "w") as full_device:
        done = subprocess.run([*command, *extra], stdout=full_device, stderr=subprocess.PIPE,
                              text=True, timeout=60)
    assert done.returncode == 1 and "stdout" in done.stderr


def test_a_reader_that_goes_away_is_exit_1(gallop, foal):
    process = subprocess.Popen([gallop, "tokenize", "--model", foal / "target"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    process.communicate('"hello"\n' * 100_000, timeout=60)
    assert process.returncode == 1


@pytest.mark.parametrize("arguments", [
    [], ["--prompt", "a", "--tokens", "1"], ["--prompt", "a", "--spec-tokens", "16"],
    ["--prompt", "a", "--spec-tokens", "many"], ["--prompt", "a", "--spec-tokens", ""],
    ["--prompt", "a", "--threads", "0"], ["--prompt", "a", "--max-model-len", "1"],
    ["--prompt", "a", "--no-such-flag"], ["--prompt", "a", "--stop", "not json"],
    ["--tokens", ""], ["--tokens", "1,,2"], ["--tokens", "1,x"], ["--tokens", "-1"],
    ["--prompt", b"a\xff"]])
def test_wrong_usage_is_exit_2(gallop, foal, arguments):
    command = [gallop, "generate", "--model", foal / "target", "--drafter", foal / "drafter"]
    done = subprocess.run([*command, *arguments], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, b""), done.stderr


@pytest.mark.parametrize("flag, value", [
    ("--temperature", "3"), ("--temperature", "nan"), ("--temperature", ""), ("--top-p", "0"),
    ("--top-k", "-2"), ("--min-p", "1.5"), ("--max-tokens", "0"), ("--max-tokens", "1.5"),
    ("--max-tokens", "99999999999999999999"), ("--seed", "18446744073709551616"), ("--seed", ""),
    ("--repetition-penalty", "0"), ("--presence-penalty", "3"), ("--logit-bias", "[]"),
    ("--stop", '[""]'), ("--stop-token-ids", "[-1]")])
def test_a_value_out_of_its_range_is_exit_2(generate, flag, value):
    done = generate("--prompt", "a", f"{flag}={value}", code=2)
    assert flag[2:].replace("-", "_") in done.stderr.replace("-", "_")


def test_any_chunk_is_taken(generate):
    answers = [generate("--prompt", "a", "--temperature", 0, "--max-tokens", 3, "--chunk", chunk)
               for chunk in (1, 1048576)]
    assert answers[0].stdout == answers[1].stdout


def test_context_is_the_models(generate, foal):
    context = json.loads((foal / "target" / "config.json").read_text())["max_position_embeddings"]
    done = generate("--tokens", 1, "--max-tokens", 2**31 - 1, code=1)
    assert f"maximum context length is {context} tokens" in done.stderr


def test_bias_beyond_the_bound_counts_as_the_bound(generate):
    options = ["--prompt", "a", "--temperature", 0, "--max-tokens", 2, "--json", "--logit-bias"]
    answers = [json.loads(generate(*options, json.dumps(bias)).stdout)["tokens"]
               for bias in ({"300": 150, "301": 120}, {"300": 100, "301": 100})]
    assert answers[0] == answers[1]


def test_input_that_cannot_be_read_is_exit_1(gallop, foal):
    with open("/dev/null") as null:
        command = ["sh", "-c", '"$0" tokenize --model "$1" <&-', gallop, foal / "target"]
        done = subprocess.run(command, stdin=null, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "stdin" in done.stderr


def test_render_kwargs_are_usage(gallop, foal):
    for kwargs in ("[", "[]"):
        done = run(gallop, "render", "--model", foal / "target", "--messages", "x",
                   f"--kwargs={kwargs}", code=2)
        assert "--kwargs" in done.stderr


def test_bias_of_a_row_that_is_never_chosen(generate, foal):
    vocab = json.loads((foal / "target" / "config.json").read_text())["vocab_size"]
    bias = json.dumps({vocab - 1: 5})
    assert "logit_bias" in generate("--prompt", "a", "--logit-bias", bias, code=1).stderr


def test_logits_that_are_nan_are_exit_1(gallop, foal, tmp_path):
    for path in (foal / "target").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "model.safetensors"
    raw = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", raw[:8])
    begin, end = json.loads(raw[8 : 8 + length])["model.norm.weight"]["data_offsets"]
    raw[8 + length + begin : 8 + length + end] = b"\xff" * (end - begin)
    path.write_bytes(raw)
    command = ["generate", "--model", tmp_path, "--tokens", "1,2,3", "--max-tokens", 4]
    done = run(gallop, *command, code=1)
    assert "the model's logits are NaN at position 3" in done.stderr and done.stdout == ""
    (tmp_path / "batch.jsonl").write_text('{"tokens": [1]}\n')
    done = run(gallop, "generate", "--model", tmp_path, "--batch", tmp_path / "batch.jsonl", code=1)
    assert "NaN" in json.loads(done.stdout)["error"]


def test_a_drafter_that_is_none_is_named(generate, foal):
    done = generate("--tokens", 1, "--drafter", foal / "target", "--spec-tokens", 3, code=1,
                    drafter=False)
    assert f"{foal / 'target' / 'config.json'}: architectures" in done.stderr


def test_drafts_without_a_drafter(generate):
    done = generate("--prompt", "a", "--spec-tokens", 4, code=2, drafter=False)
    assert "--drafter" in done.stderr


def test_directories_that_are_no_models(gallop, foal):
    missing = run(gallop, "generate", "--model", "/no/such", "--prompt", "a", code=1)
    assert "/no/such" in missing.stderr
    swapped = run(gallop, "generate", "--model", foal / "drafter", "--prompt", "a", code=1)
    assert swapped.stderr.strip()


def test_names_that_cannot_be_looked_at(gallop, foal, tmp_path):
    long = run(gallop, "generate", "--model", "a" * 5000, "--tokens", "1", code=1)
    assert "File name too long" in long.stderr
    copy = tmp_path / "target"
    shutil.copytree(foal / "target", copy)
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.json").symlink_to(copy / "tokenizer.json")
    loop = run(gallop, "generate", "--model", copy, "--tokens", "1", code=1)
    assert "tokenizer.json" in loop.stderr


def test_integers_do_not_wrap(generate, tmp_path):
    for flag in ("--top-k", "--max-tokens"):
        assert generate("--prompt", "a", flag, 2**64 - 1, code=2).stderr
    batch = tmp_path / "batch.jsonl"
    batch.write_text("".join(json.dumps({"tokens": [1], key: 2**64 - 1}) + "\n"
                             for key in ("top_k", "max_tokens", "min_tokens")))
    answers = generate("--batch", batch, code=1).stdout.splitlines()
    assert all("32-bit integer" in json.loads(answer)["error"] for answer in answers)


def test_directory_without_tokenizer_runs_by_ids(gallop, root):
    model = root / "tests" / "golden" / "text-odd" / "model"
    answer = json.loads(run(gallop, "generate", "--model", model, "--tokens", "181,187,55",
                            "--max-tokens", 4, "--temperature", 0, "--json").stdout)
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
            "--tokens-file", tokens, "--out", out, "--layers", "0,2", "--chunk", chunk,
            "--threads", threads)
        outputs.append(load_file(out))
    config = json.loads((foal / "target" / "config.json").read_text())
    vocab, hidden = config["vocab_size"], config["hidden_size"]
    block = json.loads((foal / "drafter" / "config.json").read_text())["block_size"]
    shapes = {name: value.shape for name, value in outputs[0].items()}
    assert shapes == {"logits.0": (3, vocab), "hidden.0.0": (3, hidden), "hidden.2.0": (3, hidden),
                      "draft.hidden.0": (block, hidden), "draft.logits.0": (block - 1, vocab),
                      "logits.1": (1, vocab), "hidden.0.1": (1, hidden), "hidden.2.1": (1, hidden)}
    for name, value in outputs[0].items():
        assert value.dtype == numpy.float32
        assert (value.view(numpy.uint32) == outputs[1][name].view(numpy.uint32)).all(), name


@pytest.mark.parametrize("layers", ["", "0,,2", "x", "1,1", "-1"])
def test_score_reads_layers_strictly(gallop, foal, tmp_path, layers):
    done = run(gallop, "score", "--model", foal / "target", "--tokens-file", tmp_path, "--out",
               tmp_path / "out.safetensors", f"--layers={layers}", code=2)
    assert "--layers" in done.stderr


@pytest.mark.parametrize("content, word", [("{}", "list"), ("[[]]", "list 0"), ("[[-1]]", "ids"),
                                           ("[[16777215]]", "16777215"), ("[[1.5]]", "1.5"),
                                           ("nonsense", "JSON")])
def test_score_refuses_bad_token_files(gallop, foal, tmp_path, content, word):
    tokens = tmp_path / "tokens.json"
    tokens.write_text(content)
    done = run(gallop, "score", "--model", foal / "target", "--tokens-file", tokens, "--out",
               tmp_path / "out.safetensors", code=1)
    assert word in done.stderr and not (tmp_path / "out.safetensors").exists()


def test_score_refuses_an_out_that_would_be_lost(gallop, foal, tmp_path):
    tokens = tmp_path / "tokens.json"
    tokens.write_text("[[1]]")
    (tmp_path / "link.json").symlink_to(tokens)
    command = ["score", "--model", foal / "target", "--tokens-file", tokens, "--out"]
    for out in (tokens, tmp_path / "link.json", ""):
        assert "--out" in run(gallop, *command, out, code=2).stderr
    assert tokens.read_text() == "[[1]]"
    out = tmp_path / "none" / "out.safetensors"
    assert f"{out}: cannot create" in run(gallop, *command, out, code=1).stderr


def test_help_that_is_lost_is_exit_1(gallop):
    for flag in ("--help", "--version"):
        done = subprocess.run(["sh", "-c", '"$0" "$1" >&-', gallop, flag], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 1 and "stdout" in done.stderr


def test_version_and_help(gallop):
    assert run(gallop, "--version").stdout.startswith("gallop ")
    for command in ("serve", "generate", "score", "tokenize", "render"):
        assert "--model" in run(gallop, command, "--help").stdout
    run(gallop, code=2)
    assert "no-such-command" in run(gallop, "no-such-command", code=2).stderr
