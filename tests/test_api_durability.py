"""The queue and its tables: an accepted examination is neither lost nor ended twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from facewitness.errors import (
    DatabaseUnusable,
    IdempotencyKeyReused,
    MalformedRequest,
    NotFound,
    ServiceBusy,
    StoreKeyUnavailable,
    TooManyRequests,
)
from facewitness.ui.api import database as clock
from facewitness.ui.api import jobs as jobs_module
from facewitness.ui.api import leases as leases_module
from facewitness.ui.api.batch import Batches, Entry
from facewitness.ui.api.database import FILE, Database
from facewitness.ui.api.jobs import Jobs
from facewitness.ui.api.leases import MAX_ATTEMPTS, Leases
from facewitness.ui.api.masterkey import open_vault
from facewitness.ui.api.settings import DAY, Settings
from facewitness.ui.api.submission import Options, Submission
from facewitness.ui.api.tables import ApiKey, Base, Batch, Delivery, Job, Spool

# --- the queue by itself


@pytest.fixture
def database(tmp_path: Path, url: str | None) -> Iterator[Database]:
    opened = Database(Settings(folder=tmp_path / "api", database=url, lease=10))
    yield opened
    opened.close()


@pytest.fixture
def queue(database: Database) -> tuple[Jobs, Leases]:
    vault = open_vault(database)
    return Jobs(database, vault), Leases(database, vault)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed for the queue; a test raises them."""
    passed = [0.0]
    for module in (jobs_module, leases_module):
        monkeypatch.setattr(module, "now", lambda: clock.now() + passed[0])
    return passed


SUBMISSION = Submission(b"a photo's bytes", (b"one", b"two"), Options("A question?", "Ada Canary"))


def test_what_is_claimed_is_what_was_handed_in(queue: tuple[Jobs, Leases]) -> None:
    jobs, leases = queue
    first, _ = jobs.submit("me", SUBMISSION)
    second, _ = jobs.submit("me", SUBMISSION)
    one, two = leases.claim(), leases.claim()
    assert one is not None and two is not None
    assert (one.job, two.job) == (first, second)
    assert one.submission == SUBMISSION
    assert leases.claim() is None
    assert "Canary" not in repr(one)


def test_a_lease_that_ran_out_is_taken_and_the_earlier_worker_can_write_nothing(
    queue: tuple[Jobs, Leases], later: list[float]
) -> None:
    jobs, leases = queue
    job, _ = jobs.submit("me", SUBMISSION)
    slow = leases.claim()
    assert slow is not None
    later[0] = 9
    assert leases.beat(slow, [{"event": "stage", "data": {"by": "slow"}}])
    later[0] = 18
    assert leases.claim() is None
    later[0] = 20
    quick = leases.claim()
    assert quick is not None and (quick.job, quick.attempt) == (job, 2)
    assert not leases.beat(slow, [{"event": "stage", "data": {"by": "slow"}}])
    assert not leases.finish(slow, {"record": "slow"})
    assert leases.finish(quick, {"record": "quick"})
    assert not leases.finish(quick, {"record": "again"})
    assert not leases.finish(slow, {"record": "slow"})
    assert jobs.get("me", job).end == {"record": "quick"}
    assert len(jobs.events("me", job, 0)[1]) == 1


def test_workers_never_share_an_examination(queue: tuple[Jobs, Leases]) -> None:
    jobs, leases = queue
    submitted = [jobs.submit("me", SUBMISSION)[0] for _ in range(10)]
    with ThreadPoolExecutor(4) as workers:
        claims = list(workers.map(lambda _: leases.claim(), range(80)))
    assert sorted(claim.job for claim in claims if claim is not None) == sorted(submitted)


def test_the_same_request_at_the_same_time_is_one_examination(queue: tuple[Jobs, Leases]) -> None:
    jobs, _ = queue
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: jobs.submit("me", SUBMISSION, "key"), range(8)))
    assert len({job for job, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1


def test_a_job_that_kills_its_worker_is_given_up(queue: tuple[Jobs, Leases], later: list[float]) -> None:
    jobs, leases = queue
    jobs.submit("me", SUBMISSION)
    attempts = []
    for _ in range(MAX_ATTEMPTS + 1):
        claim = leases.claim()
        assert claim is not None
        attempts.append(claim.attempt)
        later[0] += 11
    assert attempts[-1] > MAX_ATTEMPTS  # which the worker ends as service.job_lost


def test_a_deleted_job_gets_no_end(queue: tuple[Jobs, Leases]) -> None:
    jobs, leases = queue
    job, _ = jobs.submit("me", SUBMISSION)
    claim = leases.claim()
    assert claim is not None
    jobs.delete("me", job)
    assert not leases.beat(claim, [{"event": "stage", "data": {}}])
    assert not leases.finish(claim, {"record": "late"})
    with pytest.raises(NotFound):
        jobs.get("me", job)


def test_what_is_too_old_is_swept(queue: tuple[Jobs, Leases], later: list[float]) -> None:
    jobs, leases = queue
    submission = replace(SUBMISSION, options=Options(keep_pictures=60))
    job, _ = jobs.submit("me", submission)
    claim = leases.claim()
    assert claim is not None
    leases.finish(claim, {"record": 1}, pictures={"report.html": b"page"})
    waiting, _ = jobs.submit("me", submission)
    assert jobs.sweep() == 0
    assert jobs.picture("me", job, "report.html") == b"page"
    later[0] = 61
    assert jobs.get("me", job).pictures == ()
    assert jobs.sweep() == 1
    assert jobs.get("me", job).end == {"record": 1}
    later[0] = 31 * DAY
    assert jobs.sweep() == 1
    with pytest.raises(NotFound):
        jobs.get("me", job)
    assert jobs.status("me", waiting) == "queued"


def test_nothing_of_a_request_lies_in_the_clear(queue: tuple[Jobs, Leases], database: Database) -> None:
    jobs, leases = queue
    jobs.submit("me", SUBMISSION, "idempotency canary")
    claim = leases.claim()
    assert claim is not None
    leases.beat(claim, [{"event": "evidence", "data": {"finding": "finding canary"}}])
    leases.finish(claim, {"record": "record canary"})
    with database.reading() as session:
        tables = [session.execute(select(*table.columns)).all() for table in Base.metadata.sorted_tables]
    text = b"".join(file.read_bytes() for file in database.settings.folder.iterdir()) + repr(tables).encode()
    for canary in (b"a photo's bytes", b"A question?", b"Ada Canary", b"canary"):
        assert canary not in text


def test_a_sealed_part_moved_to_another_job_is_noticed(queue: tuple[Jobs, Leases], database: Database) -> None:
    jobs, leases = queue
    first, _ = jobs.submit("me", SUBMISSION)
    second, _ = jobs.submit("me", SUBMISSION)
    with database.writing() as session:
        one, two = (session.get(Job, job) for job in (first, second))
        assert one is not None and two is not None
        one.wrapped_key = two.wrapped_key
    claim = leases.claim()
    assert claim is not None and (claim.job, claim.damaged, claim.submission.photo) == (first, True, b"")


def _flip_a_bit(session: Session, job: str) -> None:
    photo = session.get(Spool, {"job": job, "part": "photo"})
    assert photo is not None
    photo.sealed = bytes([photo.sealed[0] ^ 1]) + photo.sealed[1:]


def _lose_a_part(session: Session, job: str) -> None:
    session.execute(delete(Spool).where(Spool.job == job, Spool.part == "options"))


def _damage_the_key(session: Session, job: str) -> None:
    session.execute(update(Job).where(Job.id == job).values(wrapped_key=b"x" * 60))


@pytest.mark.parametrize("damage", [_flip_a_bit, _lose_a_part, _damage_the_key])
def test_a_request_that_cannot_be_opened_ends_and_the_next_ones_go_on(
    queue: tuple[Jobs, Leases], database: Database, damage: Callable[[Session, str], None]
) -> None:
    jobs, leases = queue
    bad, _ = jobs.submit("me", SUBMISSION, "key")
    interrupted = leases.claim()
    assert interrupted is not None
    assert leases.beat(interrupted, [{"event": "stage", "data": {}}])
    leases.give_back(interrupted)
    good, _ = jobs.submit("another", SUBMISSION)
    with database.writing() as session:
        damage(session, bad)
    claim = leases.claim()
    assert claim is not None and (claim.job, claim.attempt, claim.damaged) == (bad, 2, True)
    following = leases.claim()
    assert following is not None and (following.job, following.submission) == (good, SUBMISSION)
    assert leases.finish(claim, {"problem": {"status": 500}}, failed=True, events=[{"event": "sentence"}])
    assert (jobs.get("me", bad).end, len(jobs.events("me", bad, 0)[1])) == ({"problem": {"status": 500}}, 1)
    with database.reading() as session:
        assert session.scalars(select(Spool.part).where(Spool.job == bad)).all() == []


def test_options_of_another_release_are_no_request(queue: tuple[Jobs, Leases], monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, leases = queue
    with monkeypatch.context() as newer:
        newer.setattr(Submission, "parts", lambda _: {"photo": b"a photo", "options": b'{"unheard_of": 1}'})
        jobs.submit("me", SUBMISSION)
    claim = leases.claim()
    assert claim is not None and claim.damaged


def test_a_fault_of_the_service_frees_the_idempotency_key(queue: tuple[Jobs, Leases]) -> None:
    jobs, leases = queue
    for status, freed in ((422, False), (500, True), (503, True)):
        job, _ = jobs.submit("me", SUBMISSION, f"key {status}")
        claim = leases.claim()
        assert claim is not None
        assert leases.finish(claim, {"problem": {"status": status}}, failed=True)
        again, new = jobs.submit("me", SUBMISSION, f"key {status}")
        assert (again != job, new) == (freed, freed)
        assert jobs.get("me", job).status == "failed"
        if freed:
            jobs.delete("me", again)


# --- several photos at once


@pytest.fixture
def batches(database: Database) -> Batches:
    return Batches(database, open_vault(database))


BATCH = [
    Entry("one canary", SUBMISSION),
    Entry("two", SUBMISSION, {"code": "input.not_an_image"}),
    Entry("three", SUBMISSION),
]


def test_a_batch_keeps_its_order_and_comes_after_single_photos(queue: tuple[Jobs, Leases], batches: Batches) -> None:
    jobs, leases = queue
    batch = batches.submit("me", BATCH)
    single, _ = jobs.submit("me", SUBMISSION)
    claims = [claim for _ in range(4) if (claim := leases.claim()) is not None]
    for claim in claims:
        assert claim.submission == SUBMISSION
        assert leases.finish(claim, {"record": claim.job})
    view = batches.get("me", batch)
    assert [name for name, _ in view.photos] == ["one canary", "two", "three"]
    (one, _), (two, status), (three, _) = (job for _, job in view.photos if job is not None)
    assert [claim.job for claim in claims] == [single, one, three]
    assert (status, jobs.get("me", two).end) == ("failed", {"problem": {"code": "input.not_an_image"}})
    with pytest.raises(NotFound):
        batches.get("another", batch)


def test_the_same_batch_at_the_same_time_is_one(batches: Batches, queue: tuple[Jobs, Leases]) -> None:
    with ThreadPoolExecutor(4) as clients:
        found = list(clients.map(lambda _: batches.submit("me", BATCH, "key"), range(8)))
    assert len(set(found)) == 1
    assert queue[0].counts() == {"queued": 2, "running": 0}
    with pytest.raises(IdempotencyKeyReused):
        batches.submit("me", BATCH[:1], "key")
    assert batches.submit("another", BATCH, "key") != found[0]


def test_a_batch_goes_as_a_whole_or_with_the_last_of_its_verdicts(
    batches: Batches, queue: tuple[Jobs, Leases], database: Database, later: list[float]
) -> None:
    jobs, _ = queue
    batches.delete("me", batches.submit("me", BATCH), "me")
    bad = batches.submit("me", BATCH[1:2])
    assert _counts(database, Batch, Job, Spool) == [1, 1, 0]
    later[0] = 31 * DAY
    jobs.sweep()
    assert _counts(database, Batch, Job, Spool) == [0, 0, 0]
    with pytest.raises(NotFound):
        batches.get("me", bad)


def test_a_batch_has_room_or_is_refused_whole(tmp_path: Path, url: str | None) -> None:
    opened = Database(Settings(folder=tmp_path / "api", database=url, batch=3, queue=4))
    batches, jobs = Batches(opened, open_vault(opened)), Jobs(opened, open_vault(opened))
    batches.submit("me", BATCH)
    with pytest.raises(TooManyRequests):
        batches.submit("me", BATCH)
    batches.submit("another", BATCH)
    with pytest.raises(ServiceBusy):
        jobs.submit("a third", SUBMISSION)
    assert _counts(opened, Batch, Job, Spool) == [2, 6, 16]
    opened.close()


def _counts(database: Database, *tables: type[Base]) -> list[int]:
    with database.reading() as session:
        return [session.scalars(select(func.count()).select_from(table)).one() for table in tables]


def test_pages_hold_every_verdict_once_whatever_comes_in_meanwhile(queue: tuple[Jobs, Leases]) -> None:
    jobs, leases = queue
    submitted = [jobs.submit("me", SUBMISSION)[0] for _ in range(5)]
    jobs.submit("another", SUBMISSION)
    found, cursor = [], None
    while True:
        page = jobs.page("me", 2, cursor=cursor)
        found += [view.id for view in page.views]
        jobs.submit("me", SUBMISSION)
        if (cursor := page.cursor) is None:
            break
    assert found == submitted[::-1]
    claim = leases.claim()
    assert claim is not None
    assert [view.id for view in jobs.page("me", 9, "running").views] == [claim.job]
    for wrong in ("x", "W10", "WzEuNSwgMl0", cursor or "bnVsbA"):
        with pytest.raises(MalformedRequest):
            jobs.page("me", 2, cursor=wrong)


# --- the database


def test_the_migrations_make_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        if connection.dialect.name == "sqlite":  # of a key added with its column SQLAlchemy does not read ON DELETE
            found = [change for change in found if change[0] not in ("add_fk", "remove_fk")]
            keys = connection.exec_driver_sql("PRAGMA foreign_key_list(jobs)").all()
            assert [(key.table, key.on_delete) for key in keys] == [("batches", "CASCADE")]
        assert found == []


def test_a_database_of_the_first_schema_is_brought_up(tmp_path: Path, url: str | None) -> None:
    settings = Settings(folder=tmp_path / "api", database=url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "NEWEST", "0001")
        old = Database(settings)
    with old.writing() as session:
        run = session.connection().exec_driver_sql
        run("INSERT INTO head VALUES ('h', 'file', 'x')")
        run("INSERT INTO api_keys VALUES ('k', 'd', 'verdicts people', 1.5, NULL, NULL)")
        run("INSERT INTO jobs VALUES ('vd_1', 'k', 'queued', 1.5, NULL, 0, NULL, NULL, 'w', NULL, 'f', NULL)")
        run("INSERT INTO spool VALUES ('vd_1', 'photo', 'sealed')")
    old.close()
    new = Database(settings)
    with new.reading() as session:
        key, job = session.get(ApiKey, "k"), session.get(Job, "vd_1")
        assert key is not None and job is not None
        assert (key.owner, key.webhook, job.batch, job.place) == ("k", None, None, None)
        assert key.scopes == "verdicts identity"
        assert session.scalars(select(func.count()).select_from(Spool)).one() == 1
    new.close()


def test_batches_of_the_second_schema_get_the_time_of_their_end_and_messages_stay(
    tmp_path: Path, url: str | None
) -> None:
    settings = Settings(folder=tmp_path / "api", database=url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "NEWEST", "0002")
        old = Database(settings)
    with old.writing() as session:
        run = session.connection().exec_driver_sql
        run("INSERT INTO api_keys VALUES ('k', 'd', 'verdicts', 1.5, NULL, NULL, 'k', NULL, NULL, NULL)")
        for batch in ("ended", "going", "empty"):
            run(f"INSERT INTO batches VALUES ('{batch}', 'k', 1.5, 'w', '{batch}', 'f', 's')")
        for job, status, at, batch in (
            ("a", "done", "2.5", "ended"),
            ("b", "failed", "3.5", "ended"),
            ("c", "done", "4.5", "going"),
            ("d", "running", "NULL", "going"),
        ):
            run(
                f"INSERT INTO jobs VALUES ('{job}', 'k', '{status}', 1.5, {at}, 0, NULL, NULL, 'w', NULL, 'f', NULL, "
                f"'{batch}', 1)"
            )
        run("INSERT INTO deliveries VALUES ('m', 'k', 'a', 1.5, 1.5, 0)")
    old.close()
    new = Database(settings)
    with new.writing() as session:
        ends = {batch.id: batch.finished_at for batch in session.scalars(select(Batch))}
        assert ends == {"ended": 3.5, "going": None, "empty": None}
        message = session.scalars(select(Delivery)).one()
        assert (message.id, message.job, message.batch) == ("m", "a", None)
        session.delete(session.get(Job, "a"))
        session.flush()
        session.expire_all()
        assert session.scalars(select(Delivery)).all() == []
    new.close()


def test_a_newer_or_damaged_database_is_refused(database: Database) -> None:
    with database.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseUnusable):
        Database(database.settings)
    with pytest.raises(DatabaseUnusable):
        Database(Settings(database="nothing://x"))
    folder = database.settings.folder.with_name("damaged")
    folder.mkdir()
    (folder / FILE).write_bytes(b"not a database" * 1000)
    with pytest.raises(DatabaseUnusable):
        Database(Settings(folder=folder))


def test_without_its_key_the_database_is_refused(database: Database) -> None:
    open_vault(database)
    assert oct(database.settings.folder.stat().st_mode)[-3:] == "700"
    (database.settings.folder / "people.key").write_text("ab" * 32)
    with pytest.raises(StoreKeyUnavailable):
        open_vault(database)
