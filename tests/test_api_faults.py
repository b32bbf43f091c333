"""No accepted examination is lost or ended twice, whatever happens to processes, database and disk.

``FACEWITNESS_TEST_KILLS`` says at how many moments processes are killed, ``FACEWITNESS_TEST_SEED`` repeats them.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, func, select
from standardwebhooks import Webhook

from facewitness.tools import registry
from facewitness.tools.registry import FaceTool
from facewitness.ui.api import work
from facewitness.ui.api.access import ApiKeys
from facewitness.ui.api.database import Database
from facewitness.ui.api.jobs import Jobs
from facewitness.ui.api.masterkey import open_vault
from facewitness.ui.api.settings import Settings
from facewitness.ui.api.submission import Options, Submission
from facewitness.ui.api.tables import Delivery, Job, Spool

from .api_server import SECONDS, running, wait
from .postgres_server import AS_NOBODY, fresh_database, postgres, postgres_on_a_disk, restart
from .webhook_receiver import Receiver, receiving

KILLS = int(os.environ.get("FACEWITNESS_TEST_KILLS", "2"))
SEED = os.environ.get("FACEWITNESS_TEST_SEED")
PROCESSES, SINGLES, BATCHES = 2, 3, 2
"""Of the two photos of a batch one cannot be used."""

pytestmark = pytest.mark.timeout(300 + 150 * KILLS)  # on a busy machine a process takes a minute to start


class Process:
    """``facewitness api``, to be killed.

    Args:
        home: Its ``FACEWITNESS_HOME``, and where its log is.
        options: More of the command line.
        secret: API key of its client.
        disk: Mebibytes of a disk of its own, for the database and the master key.
        script: Python that begins it, instead of the command.
    """

    def __init__(
        self,
        home: Path,
        *options: str,
        secret: str | None = None,
        disk: int | None = None,
        script: str | None = None,
    ) -> None:
        self.home, self.log = home, home.with_name(f"log-{time.monotonic_ns()}")
        program = ["-m", "facewitness"] if script is None else ["-c", script]
        command = [sys.executable, *program, "api", "--port", "0", "--model", "none", *options]
        if disk is not None:
            mount = f'mount -t tmpfs -o size={disk}m none "{home}/api" && exec "$0" "$@"'
            command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, *command]
        with self.log.open("wb") as log:
            environment = {**os.environ, "FACEWITNESS_HOME": str(home)}
            self._process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        end = time.monotonic() + SECONDS
        while "listening on " not in self.log.read_text():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        url = self.log.read_text().split("listening on ")[1].split()[0]
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.client = httpx.Client(base_url=url, timeout=SECONDS, trust_env=False, headers=headers)

    def file(self, name: str) -> Path:
        """Beside its database, as the process sees it."""
        return Path(f"/proc/{self._process.pid}/root{self.home}/api") / name

    def ended(self, seconds: float) -> int:
        """The status with which it ends by itself."""
        return self._process.wait(seconds)

    def end(self, how: signal.Signals) -> int:
        self.client.close()
        self._process.send_signal(how)
        return self._process.wait(60)


@pytest.fixture
def begin() -> Iterator[Callable[..., Process]]:
    """Starts processes, of which none outlives the test."""
    begun: list[Process] = []

    def one(*given: Any, **more: Any) -> Process:
        begun.append(Process(*given, **more))
        return begun[-1]

    yield one
    for process in begun:
        process.end(signal.SIGKILL)


# --- processes that are killed


@dataclass
class Load:
    """What a client wants done, and sends again until it is accepted.

    Attributes:
        accepted: Path by idempotency key; the first answer counts for good.
        ended: Of verdicts, what was told when they had ended, by path.
    """

    photo: bytes
    accepted: dict[str, str] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)

    def send(self, client: httpx.Client, key: str) -> None:
        headers, form = {"Idempotency-Key": key}, {"question": key}
        if key.startswith("batch"):
            files: Any = [("photos", self.photo), ("photos", b"no photo")]
            answer = client.post("/v1/batches", files=files, data=form, headers=headers)
        else:
            answer = client.post("/v1/verdicts", files={"photo": self.photo}, data=form, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        path = answer.headers["Location"]
        assert self.accepted.setdefault(key, path) == path

    def try_to_send(self, client: httpx.Client, key: str) -> None:
        """To a process that may be killed meanwhile."""
        with suppress(httpx.TransportError, RuntimeError):  # RuntimeError: the test has closed the client
            self.send(client, key)

    def check(self, client: httpx.Client, key: str) -> None:
        """Wait for the end, and see that it is right and that it never changes."""
        for path in self._verdicts(client, key):
            found = wait(client, path)
            assert self.ended.setdefault(path, found) == found
            if found["status"] == "done":
                assert found["record"]["question"] == key
            else:
                assert (key[:5], found["problem"]["code"]) == ("batch", "input.not_an_image")

    def _verdicts(self, client: httpx.Client, key: str) -> list[str]:
        path = self.accepted[key]
        if not key.startswith("batch"):
            return [path]
        end = time.monotonic() + SECONDS
        while (batch := client.get(path).json())["status"] != "done":
            assert time.monotonic() < end
            time.sleep(0.1)
        assert (batch["counts"]["done"], batch["counts"]["failed"]) == (1, 1)
        lines = client.get(f"{path}/results").text.splitlines()
        return [json.loads(line)["verdict"]["links"]["self"] for line in lines]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as received:
        yield received


def test_kill_9_loses_nothing_and_ends_and_announces_nothing_twice(
    tmp_path: Path, astronaut: Path, url: str | None, receiver: Receiver, begin: Callable[..., Process]
) -> None:
    """Two processes, each with API, worker and sender, on one database; one or both are killed under load."""
    chance, load = random.Random(SEED), Load(astronaut.read_bytes())
    settings = Settings(folder=tmp_path / "home" / "api", database=url)
    secret, webhook = _key(settings, receiver.url)
    options = ["--lease", "3", "--rate", "100000", "--private-webhooks", *(["--database", url] if url else [])]

    processes = [begin(tmp_path / "home", *options, secret=secret) for _ in range(PROCESSES)]
    logs = [process.log for process in processes]
    for number in range(KILLS):
        keys = [f"single-{number}-{i}" for i in range(SINGLES)] + [f"batch-{number}-{i}" for i in range(BATCHES)]
        victims = chance.sample(range(PROCESSES), chance.randint(1, PROCESSES))
        with ThreadPoolExecutor(len(keys)) as clients:
            for key in keys:
                clients.submit(load.try_to_send, chance.choice(processes).client, key)
            time.sleep(chance.uniform(0, 3))
            for victim in victims:
                assert processes[victim].end(signal.SIGKILL) == -signal.SIGKILL
        for victim in victims:
            processes[victim] = begin(tmp_path / "home", *options, secret=secret)
            logs.append(processes[victim].log)
        for key in keys:
            load.send(chance.choice(processes).client, key)
        for key in keys:
            load.check(chance.choice(processes).client, key)
    for key in load.accepted:
        load.check(processes[0].client, key)
    _announced_once(settings, receiver, webhook, {*load.ended}, _batches(load))
    assert {process.end(signal.SIGTERM) for process in processes} <= {0, -signal.SIGTERM}
    assert len(load.ended) == KILLS * (SINGLES + 2 * BATCHES)
    _nothing_left(settings, len(load.ended), load.photo, b"".join(log.read_bytes() for log in logs))


def _key(settings: Settings, webhook: str) -> tuple[str, Webhook]:
    database = Database(settings)
    keys = ApiKeys(database, open_vault(database))
    key_id, secret = keys.create(["verdicts"], 1, webhook=webhook)
    checker = Webhook(keys.webhook_secret(key_id))
    database.close()
    return secret, checker


def _batches(load: Load) -> set[str]:
    return {path for key, path in load.accepted.items() if key.startswith("batch")}


def _announced_once(
    settings: Settings, receiver: Receiver, webhook: Webhook, verdicts: set[str], batches: set[str]
) -> None:
    """A message may come twice, but under one id: what it tells is told once."""
    database = Database(settings)
    end = time.monotonic() + SECONDS
    while _count(database, Delivery):  # one whose sender was killed is due again after a minute
        assert time.monotonic() < end
        time.sleep(0.2)
    database.close()
    told = set()
    for _, headers, body in receiver.seen:
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)  # too long ago for ``verify``
        assert headers["webhook-signature"] == webhook.sign(headers["webhook-id"], at, body.decode())
        told.add((headers["webhook-id"], json.loads(body)["data"]["path"]))
    assert Counter(path for _, path in told) == dict.fromkeys(verdicts | batches, 1)


def _count(database: Database, table: type[Any]) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def _nothing_left(settings: Settings, jobs: int, photo: bytes, log: bytes) -> None:
    database = Database(settings)
    assert (_count(database, Job), _count(database, Spool)) == (jobs, 0)
    database.close()
    files = [file.read_bytes() for file in settings.folder.rglob("*") if file.is_file()] + [log]
    middle = len(photo) // 2
    for canary in (photo[middle : middle + 24], b"single-0-0"):
        assert not any(canary in file for file in files)
    assert b"Traceback" not in log


# --- a database that goes away


def test_postgres_restarted_in_the_middle(tmp_path: Path, astronaut: Path, begin: Callable[..., Process]) -> None:
    with postgres() as own:
        process = begin(tmp_path / "home", "--database", fresh_database(own), "--lease", "3")
        load = Load(astronaut.read_bytes())
        keys = [f"single-{i}" for i in range(6)]
        for key in keys[:4]:
            load.send(process.client, key)
        answers: list[httpx.Response] = []
        stop = threading.Event()
        asking = threading.Thread(target=_ask, args=(process.client, load.accepted[keys[3]], answers, stop))
        asking.start()
        for _ in range(2):
            time.sleep(0.5)
            restart(own)
        stop.set()
        asking.join()
        for key in keys:
            load.send(process.client, key)
            load.check(process.client, key)
        _only_right_answers_or_clear_errors(answers, "service.database")
        assert process.end(signal.SIGTERM) in (0, -signal.SIGTERM)
        log = process.log.read_text()
        assert "Traceback" not in log and "request failed" not in log


def _ask(client: httpx.Client, path: str, answers: list[httpx.Response], stop: threading.Event) -> None:
    while not stop.is_set():
        answers.append(client.get(path))
        time.sleep(0.02)


def _only_right_answers_or_clear_errors(answers: list[httpx.Response], code: str) -> None:
    assert answers
    for answer in answers:
        if answer.status_code != 200:
            assert (answer.status_code, answer.json()["code"]) == (503, code)
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Retry-After"]


# --- a disk that is full


def can_mount(*then: str) -> bool:
    """Whether a process may have a file system of its own here, and then run this command."""
    if shutil.which("unshare") is None:
        return False
    mount = 'mount -t tmpfs none /mnt && exec "$0" "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, *then, "true"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no file system can be mounted here")
def test_a_full_disk_loses_nothing_and_is_said_clearly(
    tmp_path: Path, astronaut: Path, begin: Callable[..., Process]
) -> None:
    home = tmp_path / "home"
    (home / "api").mkdir(parents=True)
    process = begin(home, "--lease", "1", disk=4)
    load = Load(astronaut.read_bytes())
    keys = [f"single-{i}" for i in range(8)]
    load.send(process.client, keys[0])
    load.check(process.client, keys[0])
    for key in keys[1:7]:
        load.send(process.client, key)
    fill(process.file("filler"))
    refused = process.client.post("/v1/verdicts", files={"photo": load.photo})
    assert (refused.status_code, refused.json()["code"]) == (503, "service.disk_full")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "/" not in refused.json()["detail"]
    time.sleep(5)  # several leases
    statuses = [process.client.get(load.accepted[key]).json()["status"] for key in keys[:7]]
    assert set(statuses) <= {"done", "running", "queued"}
    assert statuses.count("done") < len(statuses), "the disk was full too late to show anything"
    load.check(process.client, keys[0])  # what was there can still be read
    assert process.client.get("/healthz").status_code == 200
    process.file("filler").unlink()
    for key in keys:
        load.send(process.client, key)
        load.check(process.client, key)
    assert "facewitness_retries_total 0.0" in process.client.get("/metrics").text  # what was ready is not done again
    assert process.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    log = process.log.read_text()
    assert "Traceback" not in log and "request failed" not in log and str(home) not in log


@pytest.mark.skipif(not can_mount(*AS_NOBODY), reason="no file system can be mounted here")
@pytest.mark.parametrize("code", ["service.disk_full", "service.database"])
def test_a_full_disk_under_postgres_loses_nothing_and_is_said_clearly(
    tmp_path: Path, astronaut: Path, begin: Callable[..., Process], code: str
) -> None:
    """Without room for tables statements fail; without room for its write-ahead log PostgreSQL goes down."""
    with postgres_on_a_disk(120) as own:
        settings = Settings(folder=tmp_path / "home" / "api", database=fresh_database(own.address))
        process = begin(tmp_path / "home", "--database", str(settings.database), "--lease", "1")
        load = Load(astronaut.read_bytes())
        keys = [f"single-{i}" for i in range(8)]
        load.send(process.client, keys[0])
        load.check(process.client, keys[0])
        for key in keys[1:7]:
            load.send(process.client, key)
        fill(own.disk / "filler")
        if code == "service.database":
            own.fill_write_ahead_log()
        answers: list[httpx.Response] = []
        stop = threading.Event()
        asking = threading.Thread(target=_ask, args=(process.client, load.accepted[keys[6]], answers, stop))
        asking.start()
        answers += [process.client.post("/v1/verdicts", files={"photo": load.photo}) for _ in range(3)]
        time.sleep(5)  # several leases
        assert process.client.get("/healthz").status_code == 200
        stop.set()
        asking.join()
        _only_right_answers_or_clear_errors(answers, code)
        assert sum(answer.status_code == 503 for answer in answers) >= 3
        assert all(answer.json()["status"] != "done" for answer in answers if answer.status_code == 200), (
            "full too late"
        )
        (own.disk / "filler").unlink()
        end = time.monotonic() + SECONDS
        while process.client.get("/readyz").status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.2)
        for key in keys:
            load.send(process.client, key)
            load.check(process.client, key)
        for key in keys:
            load.check(process.client, key)
        database = Database(settings)
        assert (_count(database, Job), _count(database, Spool)) == (len(keys), 0)
        if code == "service.disk_full":  # what is ready is not done again; a commit that PostgreSQL lost may be
            assert _attempts(database) == [1] * len(keys)
        database.close()
        assert process.end(signal.SIGTERM) in (0, -signal.SIGTERM)
        log = process.log.read_text()
        assert "Traceback" not in log and "request failed" not in log


def fill(file: Path) -> None:
    """Until not one byte more has room."""
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue


# --- a tool that hangs


def test_a_tool_that_hangs_is_evidence_that_says_so(
    tmp_path: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its verdict comes, and the worker goes on to the next; nothing is tried again."""
    from facewitness.agent import nodes, plan

    over = threading.Event()

    def hang(*_: object) -> Any:
        over.wait(SECONDS)

    tools = {**registry.tools(), "quality": FaceTool("quality", "Quality", hang)}
    with running(tmp_path / "api", lease=2) as server, server.client() as client:
        for module in (nodes, plan):
            monkeypatch.setattr(module, "tools", lambda: tools)
        files = {"photo": astronaut.read_bytes()}
        found = [wait(client, client.post("/v1/verdicts", files=files).headers["Location"]) for _ in range(2)]
        metrics = server.service.metrics.text().decode()
        over.set()
    for verdict in found:
        (item,) = [item for item in verdict["record"]["evidence"] if item["tool"] == "quality"]
        assert (item["status"], "gave no answer" in item["finding"]) == ("failed", True)
    assert "facewitness_retries_total 0.0" in metrics


# --- pictures that take long, and what cannot be opened


def test_drawing_for_longer_than_a_lease_loses_nothing(
    tmp_path: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = work._pictures

    def slowly(*given: Any) -> dict[str, bytes]:
        time.sleep(4)
        return draw(*given)

    monkeypatch.setattr(work, "_pictures", slowly)
    with running(tmp_path / "api", lease=1, workers=2) as server, server.client() as client:
        files, form = {"photo": astronaut.read_bytes()}, {"keep_pictures": "600"}
        verdict = wait(client, client.post("/v1/verdicts", files=files, data=form).headers["Location"])
        assert (verdict["status"], _attempts(server.service.database)) == ("done", [1])
        assert verdict["links"]["report"]


def test_a_request_that_cannot_be_opened_fails_and_the_others_are_done(tmp_path: Path, astronaut: Path) -> None:
    settings = Settings(folder=tmp_path / "api")
    database = Database(settings)
    jobs = Jobs(database, open_vault(database))
    submission = Submission(astronaut.read_bytes(), (), Options())
    bad, good = (jobs.submit("local", submission)[0] for _ in range(2))
    with database.writing() as session:
        session.execute(delete(Spool).where(Spool.job == bad, Spool.part == "photo"))
    database.close()
    with running(tmp_path / "api") as server, server.client() as client:
        assert wait(client, f"/v1/verdicts/{good}")["status"] == "done"
        problem = client.get(f"/v1/verdicts/{bad}").json()["problem"]
        assert (problem["code"], "hand it in again" in problem["detail"]) == ("service.error", True)
        assert _count(server.service.database, Spool) == 0


HANGS = """
import ctypes
from facewitness.agent import nodes, plan
from facewitness.tools import registry
from facewitness.ui.api import watchdog
from facewitness.ui.cli import main

watchdog.LEAST = 5.0

def hang(*_):
    ctypes.PyDLL(None).sleep(3600)  # PyDLL does not let go of the interpreter's lock

tools = {**registry.tools(), "quality": registry.FaceTool("quality", "Quality", hang)}
nodes.tools = plan.tools = lambda: tools
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="hangs by glibc's sleep")
def test_a_process_that_hangs_with_the_interpreter_s_lock_ends_and_another_takes_over(
    tmp_path: Path, astronaut: Path, url: str | None, begin: Callable[..., Process]
) -> None:
    home = tmp_path / "home"
    options = ["--lease", "2", *(["--database", url] if url else [])]
    load = Load(astronaut.read_bytes())
    database = Database(Settings(folder=home / "api", database=url))
    hanging = begin(home, *options, script=HANGS)
    load.try_to_send(hanging.client, "single")  # the answer may hang, too
    end = time.monotonic() + SECONDS
    while _count(database, Job) == 0 or _attempts(database) == [0]:
        assert time.monotonic() < end
        time.sleep(0.1)
    other = begin(home, *options)
    load.send(other.client, "single")
    load.check(other.client, "single")
    assert hanging.ended(SECONDS) == 1
    assert "Timeout" in hanging.log.read_text() and "in hang" in hanging.log.read_text()
    time.sleep(3)  # a lease more
    load.check(other.client, "single")
    assert _attempts(database) == [2]
    assert "facewitness_retries_total 1.0" in other.client.get("/metrics").text
    assert other.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    database.close()


def _attempts(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(select(Job.attempts)))
