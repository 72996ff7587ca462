"""The templates of other families, rendered as Jinja2 does. Full tier only: they are fetched."""

import peer_templates
import pytest
from render_cases import Maker, StrictMaker, compare

# Qwen3, Qwen3.5, Llama 3, Mistral, Gemma and the Hermes form of tool calls, in full.
NAMED = ["Qwen-Qwen3-0.6B", "Qwen3.5-4B", "Qwen3-Coder", "meta-llama-Llama-3.1-8B-Instruct",
         "meta-llama-Llama-3.2-3B-Instruct", "meta-llama-Llama-3.3-70B-Instruct",
         "mistralai-Mistral-Nemo-Instruct-2407", "Mistral-Small-3.2-24B-Instruct-2506",
         "mistralai-Ministral-3-14B-Reasoning-2512", "google-gemma-2-2b-it",
         "google-gemma-4-31B-it", "NousResearch-Hermes-3-Llama-3.1-8B-tool_use"]
CONVERSATIONS = 2000
CONVERSATIONS_OF_OTHERS = 100
MOST_MADE = 20  # conversations per rendered one, before a template counts as refusing too many


@pytest.fixture(scope="module")
def sources(root):
    return peer_templates.read(root)


def compare_half_strict(gallop, directory, name, source, count, wanted=0):
    """Half of the conversations keep to the rules that such templates enforce. Renders `count` at a
    time until `wanted` have been rendered, not refused, by both."""
    makers = (Maker(f"{name}-20261125"), StrictMaker(f"{name}-strict-20261125"))
    rendered = made = 0
    while made == 0 or (rendered < wanted and made < MOST_MADE * wanted):
        cases = [makers[i % 2].conversation() for i in range(count)]
        rendered += compare(gallop, directory, source, cases)
        made += count
    print(f"{name}: {rendered} of {made} render, all equal")
    return rendered


@pytest.mark.parametrize("name", NAMED)
def test_named(name, sources, gallop, request, tmp_path):
    wanted = request.config.getoption("--conversations") or CONVERSATIONS
    assert compare_half_strict(gallop, tmp_path, name, sources[name], wanted, wanted) >= wanted


def test_all_others(sources, gallop, tmp_path):
    rendered = 0
    for name, source in sorted(sources.items()):
        if name in NAMED:
            continue
        directory = tmp_path / name
        directory.mkdir()
        rendered += compare_half_strict(gallop, directory, name, source, CONVERSATIONS_OF_OTHERS)
    assert rendered >= 1000
