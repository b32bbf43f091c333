"""One rate for all processes that share a database, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from facewitness.ui.api import database as clock
from facewitness.ui.api import rates as rates_module
from facewitness.ui.api.database import Database
from facewitness.ui.api.rates import Rates
from facewitness.ui.api.settings import Settings
from facewitness.ui.api.tables import Rate

from .api_server import running

LIMIT = 5


@pytest.fixture
def settings(url: str | None, tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path / "api", database=url)


@pytest.fixture
def two(settings: Settings) -> Iterator[tuple[Rates, Rates]]:
    """As two processes have them: with connections of their own."""
    databases = Database(settings), Database(settings)
    yield Rates(databases[0], LIMIT), Rates(databases[1], LIMIT)
    for database in databases:
        database.close()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the start, which a test sets; the clock stands still between."""
    passed, start = [0.0], clock.now()
    monkeypatch.setattr(rates_module, "now", lambda: start + passed[0])
    return passed


def test_two_processes_count_together(two: tuple[Rates, Rates]) -> None:
    left = []
    for number in range(LIMIT):
        allowed, standing = two[number % 2].hit("key")
        assert allowed and standing.limit == LIMIT and 30 <= standing.reset <= 60
        left.append(standing.remaining)
    assert left == [4, 3, 2, 1, 0]
    for rates in two:
        allowed, standing = rates.hit("key")
        assert (allowed, standing.remaining) == (False, 0)
        assert standing.headers()["RateLimit"] == f'"work";r=0;t={standing.reset}'
    assert two[0].hit("another")[0]


def test_requests_at_the_same_time_are_all_counted(two: tuple[Rates, Rates]) -> None:
    for key in ("one", "two", "three"):  # the first request of a key makes its row
        with ThreadPoolExecutor(8) as clients:
            found = list(clients.map(lambda number, key=key: two[number % 2].hit(key), range(16)))
        assert sorted(standing.remaining for allowed, standing in found if allowed) == [0, 1, 2, 3, 4]


def test_the_window_moves(two: tuple[Rates, Rates], later: list[float]) -> None:
    rates = two[0]
    for seconds in (0, 20, 20, 40, 40):
        later[0] = seconds
        assert rates.hit("key")[0]
    later[0] = 59
    assert rates.hit("key") == (False, rates_module.Standing(LIMIT, 0, 1))
    later[0] = 61
    assert rates.hit("key") == (True, rates_module.Standing(LIMIT, 0, 19))  # in the place of the first
    assert rates.hit("key") == (False, rates_module.Standing(LIMIT, 0, 19))
    later[0] = 200
    assert rates.hit("key") == (True, rates_module.Standing(LIMIT, LIMIT - 1, 60))


def test_what_is_refused_writes_nothing(two: tuple[Rates, Rates], settings: Settings, later: list[float]) -> None:
    for _ in range(LIMIT):
        two[0].hit("key")
    database = Database(settings)
    before = _times(database)
    later[0] = 5
    for _ in range(20):
        assert not two[1].hit("key")[0]
    assert _times(database) == before and len(before) == 8 * LIMIT
    database.close()


def _times(database: Database) -> bytes:
    with database.reading() as session:
        return session.scalars(select(Rate.times)).one()


def test_over_http_the_headers_tell_what_is_left_at_all_servers(tmp_path: Path) -> None:
    with running(tmp_path / "api", rate=3) as one, running(tmp_path / "api", rate=3) as other:
        secret = one.service.keys.create(["verdicts"], 1)[1]
        with one.client(secret) as here, other.client(secret) as there:
            answers = [client.post("/v1/verdicts", json={}) for client in (here, there, here, there)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    told = [answer.headers["RateLimit"] for answer in answers]
    assert [text.partition(";t=")[0] for text in told] == [f'"work";r={left}' for left in (2, 1, 0, 0)]
    assert answers[3].headers["Retry-After"] == told[3].partition(";t=")[2]
