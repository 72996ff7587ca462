"""What every Python test shares: where the program and the model are, and the two tiers.

`pytest` runs the sampled tier; `pytest --full` the full sizes (`make test-full`). A test reads the
tier from the fixture `full`. Nothing is skipped: a test whose program or browser is missing fails.
"""

import json
import pathlib

import pytest
import tokenizers

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="full sizes instead of seeded samples")
    parser.addoption("--gallop", default="build/release/gallop", help="the program under test")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A skipped test counts as failed: a green run must mean that everything ran."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, but nothing may be skipped: {report.longrepr}"


@pytest.fixture(scope="session")
def root():
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def full(request):
    """True: run the full size of what is promised; False: a seeded sample of it."""
    return request.config.getoption("--full")


@pytest.fixture(scope="session")
def gallop(request):
    """Path of the program under test; `make build` makes it."""
    path = ROOT / request.config.getoption("--gallop")
    assert path.is_file(), f"{path} does not exist: run `make build`"
    return path


@pytest.fixture(scope="session")
def foal():
    """Directory of the model that ships: target/, drafter/, reference/."""
    return ROOT / "models" / "foal"


@pytest.fixture(scope="session")
def reference(foal):
    """What PyTorch made of foal: the content of both reference files by name."""
    names = ("greedy", "greedy-hard")
    return {name: json.loads((foal / "reference" / f"{name}.json").read_text()) for name in names}


@pytest.fixture(scope="session")
def decode(foal):
    """The text of foal's token ids without special tokens, by Hugging Face's tokenizer."""
    tokenizer = tokenizers.Tokenizer.from_file(str(foal / "target" / "tokenizer.json"))
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
