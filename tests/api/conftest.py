"""The server under test, its client and what PyTorch answered."""

import openai
import pytest
from serving import running_server


@pytest.fixture(scope="session")
def server_url(gallop, foal):
    """A server without an API key."""
    with running_server(gallop, foal) as (url, _):
        yield url


@pytest.fixture(scope="session")
def client(server_url):
    """The newest OpenAI client; it repeats nothing, so that every failure is seen."""
    return openai.OpenAI(base_url=server_url + "/v1", api_key="none", max_retries=0, timeout=120)


@pytest.fixture(scope="session")
def reference_items(reference):
    """The prompts and greedy answers that PyTorch made."""
    return reference["greedy"]["items"]
