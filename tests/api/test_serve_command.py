"""The command around the server: its one line on stdout, its exit codes, its end."""

import signal
import subprocess
import time

import openai
from serving import running_server

STORY = [{"role": "user", "content": "Tell me a short story about a fox."}]


def run(gallop, *arguments, **options):
    return subprocess.run([gallop, "serve", *arguments], capture_output=True, text=True,
                          timeout=120, **options)


def stream_without_end(url):
    client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    stream = client.chat.completions.create(model="foal", messages=STORY, stream=True,
                                            max_tokens=30000, extra_body={"ignore_eos": True})
    next(iter(stream))
    return stream


def test_wrong_usage(gallop, foal):
    target = foal / "target"
    assert run(gallop).returncode == 2
    assert run(gallop, target, "--no-such-flag").returncode == 2
    assert run(gallop, target, "--port", "70000").returncode == 2
    assert run(gallop, target, "--speculative-config", "{").returncode == 2
    assert run(gallop, target, "--threads", "0").returncode == 2
    assert run(gallop, target, "--api-key=", "--port", "0").returncode == 2
    assert run(gallop, target, "--served-model-name=", "--port", "0").returncode == 2
    assert run(gallop, "--help").returncode == 0


def test_failures_name_their_cause(gallop, foal):
    missing = run(gallop, foal / "nothing")
    assert missing.returncode == 1
    assert "nothing" in missing.stderr
    wrapped = run(gallop, foal / "target", "--speculative-config",
                  '{"num_speculative_tokens": 18446744073709551615}')
    assert wrapped.returncode == 2 and "num_speculative_tokens must be" in wrapped.stderr
    method = run(gallop, foal / "target", "--speculative-config", '{"method": "mtp"}')
    assert method.returncode == 1
    assert "mtp" in method.stderr


def test_a_taken_port(gallop, foal):
    with running_server(gallop, foal) as (url, _):
        port = url.rsplit(":", 1)[1]
        second = run(gallop, "--model", foal / "target", "--port", port)
        assert second.returncode == 1
        assert second.stdout == ""
        assert port in second.stderr


def answer_with(gallop, foal, *flags):
    with running_server(gallop, foal, *flags) as (url, _):
        client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
        reply = client.chat.completions.create(model="foal", messages=STORY, temperature=0.8,
                                               seed=3, max_tokens=48,
                                               extra_body={"return_token_ids": True})
        return reply.choices[0].token_ids


def test_speculation_changes_nothing(gallop, foal):
    plain = answer_with(gallop, foal, "--speculative-config", '{"num_speculative_tokens": 0}')
    assert len(plain) > 8
    for config in ('{"method": "dflash", "num_speculative_tokens": 4}',
                   '{"num_speculative_tokens": 99}'):
        assert answer_with(gallop, foal, "--speculative-config", config) == plain


def test_the_key_from_the_environment(gallop, foal, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "from the environment")
    with running_server(gallop, foal) as (url, _):
        right = openai.OpenAI(base_url=url + "/v1", api_key="from the environment")
        assert right.models.list().data
        try:
            openai.OpenAI(base_url=url + "/v1", api_key="none").models.list()
            raise AssertionError("a wrong key was accepted")
        except openai.AuthenticationError:
            pass


def test_sigterm_ends_running_streams_with_an_error(gallop, foal):
    with running_server(gallop, foal) as (url, process):
        stream = stream_without_end(url)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            for _ in stream:
                pass
            raise AssertionError("the stream ended as if it were complete")
        except openai.APIError as error:
            assert "shutting down" in str(error)
        stream.close()
        assert process.wait(timeout=20) == 0
        assert time.monotonic() - began < 10
        process.poll = lambda: None  # it has ended, as it should


def test_a_second_signal_ends_at_once(gallop, foal):
    process = subprocess.Popen(
        [gallop, "serve", foal / "target", "--served-model-name", "foal", "--port", "0",
         "--shutdown-timeout", "600"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    url = process.stdout.readline().split()[-1]
    stream = stream_without_end(url)
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 1
    stream.close()
