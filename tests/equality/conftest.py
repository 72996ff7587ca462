"""What the equality tests share: the directories of the model that ships."""

import pytest


@pytest.fixture(scope="session")
def foal_directories(foal):
    return {"target": foal / "target", "drafter": foal / "drafter"}
