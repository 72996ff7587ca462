"""What the equality tests share: the model that ships and what PyTorch made of it."""

import json

import pytest


@pytest.fixture(scope="session")
def foal_directories(foal):
    return {"target": foal / "target", "drafter": foal / "drafter"}


@pytest.fixture(scope="session")
def reference(foal):
    """The content of both reference files by name."""
    names = ("greedy", "greedy-hard")
    return {name: json.loads((foal / "reference" / f"{name}.json").read_text()) for name in names}
