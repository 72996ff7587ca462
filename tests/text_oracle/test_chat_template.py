"""Differential test: `gallop render` against Jinja2 with transformers' settings.

Conversations are generated from a seed; every template renders all of them in both programs. Where
Jinja2 fails, gallop must fail, too; where it renders, the bytes must be equal.
"""

import json
import subprocess

import jinja2
import pytest
from render_cases import Maker, compare, environment, expected, model_directory
from template_cases import SNIPPETS

CONVERSATIONS = 100
FULL_CONVERSATIONS = 4000


@pytest.fixture(params=["foal", "qwen3_5_style", "qwen3_6_style", "qwen3_8_style", "torture"])
def template(request, foal):
    """A template's name and source."""
    path = foal / "target" / "chat_template.jinja" if request.param == "foal" else (
        request.path.parent / "templates" / f"{request.param}.jinja")
    return request.param, path.read_bytes().decode("utf-8")


def test_generated_conversations(template, request, gallop, full, tmp_path):
    count = request.config.getoption("--conversations") or (
        FULL_CONVERSATIONS if full else CONVERSATIONS)
    name, source = template
    maker = Maker(f"{name}-20261125")
    cases = [maker.conversation() for _ in range(count)]
    rendered = compare(gallop, tmp_path, source, cases)
    assert rendered >= count // 2, "most conversations must render"
    print(f"{name}: {rendered} of {count} render, all equal")


def test_long_conversations(template, gallop, tmp_path):
    """1 MB in 1,000 messages and 1 MB in one are far from the limits of time and memory."""
    name, source = template
    maker = Maker(f"{name}-long-20261125")
    texts = [" ".join(maker.text() or "x" for _ in range(60))[:1000] for _ in range(1000)]
    roles = ["user", "assistant"]
    many = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    one = [{"role": "user", "content": "\n".join(texts)}]
    cases = [{"messages": many, "tools": [maker.tool() for _ in range(100)]}, {"messages": one}]
    assert compare(gallop, tmp_path, source, cases) == 2


def test_snippets(gallop, tmp_path):
    """Small templates, each rendered (or refused) as Jinja2 does."""
    wrong = []
    case = {"messages": [{"role": "user", "content": "hi"}],
            "kwargs": {"s": "Hello Wörld", "l": [3, 1, 2], "d": {"b": 1, "a": None}, "f": 2.5,
                       "e": [], "t": True}}
    for number, source in enumerate(SNIPPETS):
        try:
            want = expected(environment().from_string(source), case)
        except (jinja2.exceptions.TemplateError, SyntaxError):
            want = None
        directory = tmp_path / str(number)
        directory.mkdir()
        model_directory(directory, source)
        (directory / "m.json").write_text(json.dumps(
            {"messages": case["messages"], "chat_template_kwargs": case["kwargs"]}))
        done = subprocess.run([gallop, "render", "--model", directory, "--messages",
                               directory / "m.json"], capture_output=True, timeout=60, check=False)
        found = done.stdout.decode("utf-8") if done.returncode == 0 else None
        if found != want:
            wrong.append((source, want, found, done.stderr.decode("utf-8")))
    assert not wrong, "\n".join(map(repr, wrong))
