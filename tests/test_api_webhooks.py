"""Webhooks: signed messages to a real receiver on this machine, and nowhere that the operator did not name."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import func, select, update
from standardwebhooks import Webhook, WebhookVerificationError
from typer.testing import CliRunner

from facewitness.errors import InvalidOption, NotFound
from facewitness.ui.api import database as clock
from facewitness.ui.api import deliveries as deliveries_module
from facewitness.ui.api import webhooks
from facewitness.ui.api.access import ApiKeys
from facewitness.ui.api.batch import Batches, Entry
from facewitness.ui.api.database import Database
from facewitness.ui.api.deliveries import MAX_ATTEMPTS, Deliveries, Message
from facewitness.ui.api.jobs import Jobs
from facewitness.ui.api.leases import Claim, Leases
from facewitness.ui.api.masterkey import open_vault
from facewitness.ui.api.settings import DAY
from facewitness.ui.api.submission import Options, Submission
from facewitness.ui.api.tables import ApiKey, Delivery
from facewitness.ui.cli import app

from .api_server import SECONDS, Running, running, wait
from .webhook_receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as received:
        yield received


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    monkeypatch.setattr(deliveries_module, "FIRST", 0.0)


# --- with a server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "api", private_webhooks=True) as server:
        yield server


def test_the_end_of_a_verdict_is_announced_and_signed(
    server: Running, receiver: Receiver, astronaut: Path, at_once: None
) -> None:
    receiver.answers = [500, 302, 204]
    key_id, secret = server.service.keys.create(["verdicts"], 1, webhook=receiver.url)
    other = server.service.keys.create(["verdicts"], 1)[1]
    with server.client(other) as client:  # of another owner: announced to nobody
        wait(client, client.post("/v1/verdicts", files={"photo": astronaut.read_bytes()}).headers["Location"])
    with server.client(secret) as client:
        path = client.post("/v1/verdicts", files={"photo": astronaut.read_bytes()}).headers["Location"]
        finished = wait(client, path)["finished_at"]
        seen = receiver.messages(3)
        batch = client.post("/v1/batches", files=[("photos", b"text")]).json()["id"]
        failed, ended = (json.loads(body) for _, _, body in receiver.messages(5)[3:])
        finished_batch = client.get(f"/v1/batches/{batch}").json()["finished_at"]
    assert [path for path, _, _ in seen[:3]] == ["/hook?a=1"] * 3  # the redirect was not followed
    assert len({headers["webhook-id"] for _, headers, _ in seen[:3]}) == 1  # one message, three attempts
    webhook = Webhook(server.service.keys.webhook_secret(key_id))
    for _, headers, body in seen:
        webhook.verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            webhook.verify(body.replace(b".done", b"_done").replace(b".failed", b"_failed"), headers)
    told = json.loads(seen[0][2])
    job = path.rpartition("/")[2]
    assert told == {
        "type": "verdict.done",
        "timestamp": finished,
        "data": {"id": job, "status": "done", "batch": None, "path": path},
    }
    assert (failed["type"], failed["data"]["batch"]) == ("verdict.failed", batch)
    assert ended == {
        "type": "batch.done",
        "timestamp": finished_batch,
        "data": {"id": batch, "status": "done", "path": f"/v1/batches/{batch}"},
    }
    end = time.monotonic() + SECONDS
    while _waiting(server.service.database):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert len(receiver.seen) == 5
    metrics = server.service.metrics.text().decode()
    assert 'facewitness_webhooks_total{result="taken"} 3.0' in metrics
    assert 'facewitness_webhooks_total{result="retried"} 2.0' in metrics


def test_a_receiver_that_hangs_delays_its_own_owner_alone(
    server: Running, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "SECONDS", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # which takes connections, and never answers
        address = f"http://127.0.0.1:{hanging.getsockname()[1]}/"
        secret = server.service.keys.create(["verdicts"], 1, webhook=address)[1]
        other = server.service.keys.create(["verdicts"], 1, webhook=receiver.url)[1]
        with server.client(secret) as client:
            client.post("/v1/batches", files=[("photos", b"text")] * 6).raise_for_status()
        hanging.settimeout(SECONDS)
        connection, _ = hanging.accept()
        began = time.monotonic()
        with server.client(other) as client:
            client.post("/v1/batches", files=[("photos", b"text")] * 2).raise_for_status()
        receiver.messages(3)
        assert time.monotonic() - began < 20
        hanging.settimeout(0.5)
        with pytest.raises(TimeoutError):  # one message of an owner at a time
            hanging.accept()
        connection.close()


def _waiting(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(Delivery)).one()


def test_without_the_setting_nothing_is_sent_to_this_machine(tmp_path: Path, receiver: Receiver, at_once: None) -> None:
    with running(tmp_path / "api") as server:
        secret = server.service.keys.create(["verdicts"], 1, webhook=receiver.url)[1]
        with server.client(secret) as client:
            client.post("/v1/batches", files=[("photos", b"text")])
        end = time.monotonic() + SECONDS
        while _waiting(server.service.database):  # until it is given up
            assert time.monotonic() < end
            time.sleep(0.05)
        assert 'result="given up"} 2.0' in server.service.metrics.text().decode()
    assert receiver.seen == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254",
        "100.64.0.1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "224.0.0.1", "ff02::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not webhooks._public(address)
    assert webhooks._public("93.184.216.34") and webhooks._public("2606:2800:220:1::1")


def test_a_name_that_turns_to_a_private_address_is_not_connected_to(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every address of the name counts, not only the first."""
    found = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(webhooks.Unreachable):
        asyncio.run(webhooks._address("mixed.example", 443, private=False))
    found.pop()
    assert asyncio.run(webhooks._address("mixed.example", 443, private=False)) == "93.184.216.34"


def test_a_name_that_is_looked_up_slowly_takes_no_longer_than_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "SECONDS", 0.5)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(6))
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(webhooks.post(Message("msg_1", "https://slow.example/", bytes(32), 1, {}), private=False))
    assert time.monotonic() - began < 5


def certified(folder: Path, name: str) -> Path:
    """Key and certificate of a name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = folder / f"{name}.pem"
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(("name", "taken"), [("receiver.test", True), ("other.test", False)])
def test_over_tls_the_name_is_checked_though_the_address_is_dialled(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, name: str, taken: bool
) -> None:
    file = certified(tmp_path, name)
    monkeypatch.setattr(certifi, "where", lambda: str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: look_up("127.0.0.1", *rest, **more))
    with ThreadingHTTPServer(("127.0.0.1", 0), receiver.handler) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}).start()
        url = f"https://receiver.test:{http.server_port}/hook"
        message = Message("msg_1", url, bytes(32), 1, {"type": "a", "timestamp": 1.0})
        try:
            asyncio.run(webhooks.post(message, private=True))
        except httpx.ConnectError:
            assert not taken
        http.shutdown()
    assert len(receiver.seen) == taken
    if taken:
        assert receiver.seen[0][1]["Host"] == f"receiver.test:{http.server_port}"


# --- the queue of messages, on both databases


@pytest.fixture
def finished(database: Database) -> tuple[ApiKeys, str, str, Deliveries]:
    """Keys, the id of one with a webhook, a verdict of its owner that has ended, and the messages."""
    vault = open_vault(database)
    keys, jobs, leases = ApiKeys(database, vault), Jobs(database, vault), Leases(database, vault)
    key_id, _ = keys.create(["verdicts"], 1, "newsroom", "https://receiver.example/hook")
    keys.create(["verdicts"], 1, "newsroom")
    keys.create(["verdicts"], 1, "others", "https://others.example/hook")
    job, _ = jobs.submit("newsroom", Submission(b"photo", (), Options()))
    claim = leases.claim()
    assert claim is not None
    assert _waiting(database) == 0
    assert leases.finish(claim, {"record": 1})
    assert not leases.finish(claim, {"record": 1})
    assert _waiting(database) == 1
    return keys, key_id, job, Deliveries(database, vault)


def test_a_message_is_one_senders_until_its_time_is_over(
    database: Database, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, job, deliveries = finished
    message = deliveries.claim()
    assert (message.url, message.body["data"]["id"], message.attempt) == ("https://receiver.example/hook", job, 1)
    assert "receiver" not in repr(message)
    assert deliveries.claim() is None
    monkeypatch.setattr(deliveries_module, "now", lambda: clock.now() + deliveries_module.LEASE + 1)
    again = deliveries.claim()  # the first sender was killed
    assert (again.id, again.attempt) == (message.id, 2)
    deliveries.end(again)
    assert _waiting(database) == 0


def test_retries_come_later_each_time_and_end(
    database: Database, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries, passed, pauses = finished[3], [0.0], []
    monkeypatch.setattr(deliveries_module, "now", lambda: clock.now() + passed[0])
    for attempt in range(1, MAX_ATTEMPTS + 1):
        message = deliveries.claim()
        assert message.attempt == attempt
        kept = deliveries.later(message)
        assert kept == (attempt < MAX_ATTEMPTS)
        if kept:
            with database.reading() as session:
                pauses.append(session.scalars(select(Delivery.due_at)).one() - clock.now() - passed[0])
            assert deliveries.claim() is None
            passed[0] += pauses[-1] + 1
    assert all(0.45 * 5 * 2**n < pause < 1.55 * 5 * 2**n for n, pause in enumerate(pauses))
    assert len({round(pause / 2**n, 3) for n, pause in enumerate(pauses)}) > 1  # by chance
    assert _waiting(database) == 0


@pytest.mark.parametrize("how", ["revoked", "expired", "deleted"])
def test_what_a_key_or_a_verdict_that_is_gone_would_tell_is_dropped(
    database: Database, finished: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, key_id, job, deliveries = finished
    if how == "revoked":
        keys.revoke(key_id)
    elif how == "deleted":
        Jobs(database, open_vault(database)).delete("newsroom", job)
    else:
        monkeypatch.setattr(deliveries_module, "now", lambda: clock.now() + 2 * DAY)
    assert deliveries.claim() is None
    assert _waiting(database) == 0


def test_a_secret_is_sealed(database: Database, finished: Any) -> None:
    keys, key_id, _, deliveries = finished
    message = deliveries.claim()
    assert Webhook(keys.webhook_secret(key_id))._whsecret == message.secret
    assert len(message.secret) == 32
    files = [file.read_bytes() for file in database.settings.folder.iterdir()]
    assert not any(message.secret in file for file in files)
    with database.writing() as session:
        session.execute(update(Delivery).values(due_at=0.0))
    assert deliveries.claim().secret == message.secret


def test_a_message_whose_secret_cannot_be_opened_is_dropped_and_the_next_goes_on(
    database: Database, finished: Any
) -> None:
    keys, key_id, _, deliveries = finished
    keys.create(["verdicts"], 1, "newsroom", "https://second.example/hook")
    vault = open_vault(database)
    jobs, leases = Jobs(database, vault), Leases(database, vault)
    jobs.submit("newsroom", Submission(b"photo", (), Options()))
    claim = leases.claim()
    assert claim is not None and leases.finish(claim, {"record": 2})
    with database.writing() as session:
        session.execute(update(ApiKey).where(ApiKey.id == key_id).values(sealed=b"damaged"))
    found = [deliveries.claim() for _ in range(4)]
    assert [message.url for message in found if message is not None] == ["https://second.example/hook"]
    assert _waiting(database) == 1


# --- the end of a batch


@dataclass
class Desk:
    """What a client, the workers and the sender do, on one database."""

    jobs: Jobs
    leases: Leases
    batches: Batches
    deliveries: Deliveries

    def finish(self) -> str:
        """Of the next examination; its id."""
        claim = self.leases.claim()
        assert claim is not None and self.leases.finish(claim, {"record": 1})
        return claim.job

    def told(self) -> list[tuple[str, str]]:
        """Type and id of every message that is due, which are taken."""
        found = []
        while (message := self.deliveries.claim()) is not None:
            found.append((message.body["type"], message.body["data"]["id"]))
            self.deliveries.end(message)
        return found


@pytest.fixture
def desk(database: Database) -> Desk:
    vault = open_vault(database)
    ApiKeys(database, vault).create(["verdicts"], 1, "newsroom", "https://receiver.example/hook")
    return Desk(Jobs(database, vault), Leases(database, vault), Batches(database, vault), Deliveries(database, vault))


def entries(count: int, unusable: int = 0) -> list[Entry]:
    submission, problem = Submission(b"photo", (), Options()), {"code": "input.not_an_image"}
    return [Entry(str(number), submission, problem if number < unusable else None) for number in range(count)]


def test_a_batch_is_announced_when_the_last_of_it_has_ended(desk: Desk) -> None:
    batch = desk.batches.submit("newsroom", entries(3, unusable=1))
    assert [kind for kind, _ in desk.told()] == ["verdict.failed"]
    assert desk.told() == [] and desk.batches.get("newsroom", batch).finished_at is None
    first = desk.finish()
    assert desk.told() == [("verdict.done", first)]
    last = desk.finish()
    assert desk.told() == [("verdict.done", last), ("batch.done", batch)]
    assert desk.batches.get("newsroom", batch).finished_at is not None


def test_a_batch_of_unusable_photos_is_announced_at_once(desk: Desk) -> None:
    batch = desk.batches.submit("newsroom", entries(2, unusable=2), "key")
    assert [kind for kind, _ in desk.told()] == ["verdict.failed", "verdict.failed", "batch.done"]
    assert desk.batches.submit("newsroom", entries(2, unusable=2), "key") == batch
    assert desk.told() == []


def test_deleting_the_last_that_waits_ends_the_batch(desk: Desk) -> None:
    batch = desk.batches.submit("newsroom", entries(2))
    done = desk.finish()
    waiting = next(job for _, (job, _) in desk.batches.get("newsroom", batch).photos if job != done)
    desk.jobs.delete("newsroom", waiting)
    assert desk.told() == [("verdict.done", done), ("batch.done", batch)]
    desk.jobs.delete("newsroom", done)
    assert desk.told() == []


def test_a_batch_that_is_deleted_is_not_announced(desk: Desk) -> None:
    batch = desk.batches.submit("newsroom", entries(1))
    desk.finish()
    desk.batches.delete("newsroom", batch, "me")
    assert desk.told() == []
    emptied = desk.batches.submit("newsroom", entries(1))
    ((_, (job, _)),) = desk.batches.get("newsroom", emptied).photos
    desk.jobs.delete("newsroom", job)
    assert desk.told() == []


def test_workers_that_end_at_the_same_time_announce_the_batch_once(desk: Desk) -> None:
    for _ in range(10):
        batch = desk.batches.submit("newsroom", entries(4))
        claims = [claim for _ in range(4) if (claim := desk.leases.claim()) is not None]
        together = threading.Barrier(4)

        def end(claim: Claim, together: threading.Barrier = together) -> bool:
            together.wait()
            return desk.leases.finish(claim, {"record": 1})

        with ThreadPoolExecutor(4) as workers:
            assert all(workers.map(end, claims))
        told = desk.told()
        assert [kind for kind, _ in told].count("verdict.done") == 4
        assert [message for message in told if message[0] == "batch.done"] == [("batch.done", batch)]


def test_a_batch_deleted_while_it_ends_waits_for_no_one(desk: Desk) -> None:
    for _ in range(10):
        batch = desk.batches.submit("newsroom", entries(2))
        claims = [claim for _ in range(2) if (claim := desk.leases.claim()) is not None]
        with ThreadPoolExecutor(3) as pool:
            ends = [pool.submit(desk.leases.finish, claim, {"record": 1}) for claim in claims]
            deleted = pool.submit(desk.batches.delete, "newsroom", batch, "me")
            deleted.result()
            for end in ends:
                end.result()
        desk.told()
        with pytest.raises(NotFound):
            desk.batches.get("newsroom", batch)


# --- what can be registered


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///path",
        "http://example.org/", "http://10.0.0.1/", "https://user:secret@example.org/", "https://example.org/#a",
        "https://example.org:99999/", "https://example.org\\@evil.example/", "https://a b/", "https://a/" + "x" * 500,
        "javascript:alert(1)", "https://example.org/\n",
    ],
)  # fmt: skip
def test_what_is_no_webhook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    run = CliRunner().invoke(app, ["keys", "create", "--webhook", url])
    assert isinstance(run.exception, InvalidOption)


def test_the_command_shows_key_and_secret_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    run = CliRunner().invoke(app, ["keys", "create", "--webhook", "https://example.org/verdicts"])
    key, secret = run.stdout.split()
    assert key.startswith("fwk_") and secret.startswith("whsec_")
    listed = CliRunner().invoke(app, ["keys", "list"]).stdout + CliRunner().invoke(app, ["audit", "list"]).stdout
    assert key not in listed and secret not in listed
