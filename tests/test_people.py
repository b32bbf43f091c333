"""The store of enrolled people: what it keeps, what it hides, what it forgets."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from PIL import Image
from typer.testing import CliRunner, Result

from facewitness.agent.people import keys
from facewitness.agent.people.person import Template, clean_name
from facewitness.agent.people.store import FILE, MAX_TEMPLATES, PeopleStore
from facewitness.errors import (
    InvalidOption,
    InvalidReference,
    NotAssessable,
    StoreCorrupt,
    StoreError,
    StoreKeyUnavailable,
    UnknownPerson,
    UnreadableFile,
)
from facewitness.tools import weights
from facewitness.tools.detection import detect
from facewitness.tools.evidence import ModelCard
from facewitness.tools.identity import similarity
from facewitness.ui.cli import app

SFACE = ModelCard("sface", "2021dec", "ab" * 32, "Apache-2.0", True)


def template(seed: int, *, photo_bytes: int = 0, model: ModelCard = SFACE) -> Template:
    generator = np.random.default_rng(seed)
    feature = generator.normal(size=128).astype(np.float32) * 3
    photo = generator.bytes(photo_bytes) if photo_bytes else None
    sha256 = hashlib.sha256(photo if photo is not None else str(seed).encode()).hexdigest()
    return Template(feature, sha256, model, photo)


@pytest.fixture
def store(tmp_path: Path) -> PeopleStore:
    return PeopleStore(tmp_path / "home")


def raw(store: PeopleStore, sql: str, *values: object) -> list[tuple[object, ...]]:
    with sqlite3.connect(store.folder / FILE) as db:
        rows = db.execute(sql, values).fetchall()
    db.close()
    return rows


def hits(folder: Path, canaries: list[bytes]) -> list[str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return [f"{c[:12]!r} in {f.name}" for f in files for c in canaries if c in f.read_bytes()]


# --- what it keeps


def test_templates_come_back_as_they_were(store: PeopleStore) -> None:
    before = datetime.now(UTC)
    given = [template(1), template(2, photo_bytes=5000)]
    person = store.enroll("  Ada   Lovelace ", given, keep_photos=True)
    assert (person.name, person.templates) == ("Ada Lovelace", 2)
    assert before <= person.created_at <= datetime.now(UTC)
    assert person.created_at.utcoffset() == timedelta(0)
    found = PeopleStore(store.folder).templates("ADA LOVELACE")
    for kept, wanted in zip(found, given, strict=True):
        assert kept.feature.dtype == np.float32
        assert np.array_equal(kept.feature, wanted.feature)
        assert (kept.photo_sha256, kept.model, kept.photo) == (wanted.photo_sha256, wanted.model, wanted.photo)


def test_photos_are_dropped_unless_asked_for(store: PeopleStore) -> None:
    store.enroll("Ada", [template(1, photo_bytes=100)])
    assert store.templates("Ada")[0].photo is None


def test_more_photos_of_the_same_person(store: PeopleStore) -> None:
    first = store.enroll("Ada", [template(1), template(1)])
    second = store.enroll("ada", [template(1), template(2)])
    assert (first.templates, second.templates) == (1, 2)
    assert second.created_at == first.created_at
    assert second.name == "Ada"


def test_a_photo_is_enrolled_again_when_the_weights_change(store: PeopleStore) -> None:
    newer = ModelCard("sface", "2027", "cd" * 32, "Apache-2.0", True)
    store.enroll("Ada", [template(1)])
    assert store.enroll("Ada", [template(1, model=newer)]).templates == 1
    assert store.templates("Ada")[0].model == newer


def test_too_many_photos_change_nothing(store: PeopleStore) -> None:
    store.enroll("Ada", [template(n) for n in range(MAX_TEMPLATES - 1)])
    with pytest.raises(InvalidOption, match="20"):
        store.enroll("Ada", [template(100), template(101)])
    assert store.people()[0].templates == MAX_TEMPLATES - 1
    with pytest.raises(InvalidOption):
        store.enroll("Bob", [template(n) for n in range(MAX_TEMPLATES + 1)])
    assert [person.name for person in store.people()] == ["Ada"]


def test_people_are_listed_by_name(store: PeopleStore) -> None:
    assert store.people() == []
    assert not store.folder.exists()
    for number, name in enumerate(["Zoë", "ada", "Bob"]):
        store.enroll(name, [template(number)])
    assert [person.name for person in store.people()] == ["ada", "Bob", "Zoë"]


def test_names_match_whatever_their_unicode_form(store: PeopleStore) -> None:
    store.enroll("Zoe\u0308 Straße", [template(1)])
    assert len(store.templates("ZO\u00cb STRASSE")) == 1


@pytest.mark.parametrize(
    "name", ["", " \n ", "a" * 101, "Ada\x1b[2J", "Ada\nBob", "Ada\u202ebob", "Ada\udc80", "A\x00"]
)
def test_names_that_are_refused(store: PeopleStore, name: str) -> None:
    for call in (lambda: store.enroll(name, [template(1)]), lambda: store.templates(name), lambda: store.forget(name)):
        with pytest.raises(InvalidOption):
            call()


def test_joiners_belong_to_names() -> None:
    name = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("feature", "sha256", "photo"),
    [
        (np.ones(127, np.float32), "a" * 64, None),
        (np.full(128, np.nan, np.float32), "a" * 64, None),
        (np.zeros(128, np.float32), "a" * 64, None),
        (np.ones(128, np.float32), "A" * 64, None),
        (np.ones(128, np.float32), "a" * 64, b"another photo"),
    ],
)
def test_templates_that_are_refused(feature: np.ndarray, sha256: str, photo: bytes | None) -> None:
    with pytest.raises(InvalidOption):
        Template(feature, sha256, SFACE, photo)


def test_unknown_people(store: PeopleStore) -> None:
    for call in (store.templates, store.forget):
        with pytest.raises(UnknownPerson):
            call("Ada")
    assert not store.folder.exists()
    store.enroll("Bob", [template(1)])
    for call in (store.templates, store.forget):
        with pytest.raises(UnknownPerson, match="Ada"):
            call("Ada")
    with pytest.raises(InvalidOption):
        store.enroll("Ada", [])


# --- what it hides, and what it forgets


def test_nothing_readable_before_and_nothing_at_all_after_forgetting(store: PeopleStore) -> None:
    name, wanted = "Canary Käthe", template(7, photo_bytes=50_000)
    clear = [name.encode(), name.encode("utf-16-le"), name.encode("utf-16-be"), name.casefold().encode()]
    clear += [wanted.feature.tobytes(), wanted.feature.tobytes()[:16], bytes.fromhex(wanted.photo_sha256)]
    assert wanted.photo is not None
    clear += [wanted.photo_sha256.encode(), wanted.photo[:64], wanted.photo[20_000:20_064]]
    store.enroll("Bob", [template(n) for n in range(5)])
    with sqlite3.connect(store.folder / FILE) as other:  # another process that keeps the write-ahead log alive
        other.execute("SELECT count(*) FROM people").fetchall()
        store.enroll(name, [wanted, template(8)], keep_photos=True)
        assert hits(store.folder, clear) == []
        person = other.execute("SELECT * FROM people ORDER BY rowid DESC").fetchone()
        rows = other.execute("SELECT * FROM templates WHERE person = ?", (person[0],)).fetchall()
        values = [value for row in (person, *rows) for value in row if isinstance(value, (str, bytes))]
        sealed = [v.encode() if isinstance(v, str) else v[:32] for v in values if not str(v).startswith("{")]
        for canary in sealed:
            assert hits(store.folder, [canary]), "the search must be able to find what is there"
        store.forget(name)
        assert hits(store.folder, clear + sealed) == []
    other.close()
    assert hits(store.folder, clear + sealed) == []
    assert [person.name for person in store.people()] == ["Bob"]
    assert len(store.templates("Bob")) == 5


def test_an_interrupted_removal_is_finished_by_the_next(store: PeopleStore) -> None:
    store.enroll("Ada", [template(1, photo_bytes=20_000)], keep_photos=True)
    (photo,) = raw(store, "SELECT photo FROM templates")[0]
    assert isinstance(photo, bytes)
    with sqlite3.connect(store.folder / FILE) as db:  # leaves free pages, as a process that died before compacting
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("DELETE FROM templates")
        db.execute("DELETE FROM people")
    db.close()
    assert hits(store.folder, [photo[5000:5064]])
    with pytest.raises(UnknownPerson):
        store.forget("Ada")
    assert hits(store.folder, [photo[5000:5064]]) == []


def test_a_log_that_stays_busy_is_said(store: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facewitness.agent.people.schema.BUSY_SECONDS", 0.2)
    store.enroll("Ada", [template(1)])
    reader = sqlite3.connect(store.folder / FILE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM people").fetchall()
    with pytest.raises(StoreError, match="once more"):
        store.forget("Ada")
    reader.close()
    with pytest.raises(UnknownPerson):
        store.forget("Ada")


# --- damage


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("store", "id"),
        ("store", "key_source"),
        ("store", "key_id"),
        ("store", "checksum"),
        ("people", "id"),
        ("people", "name_index"),
        ("people", "name"),
        ("people", "data_key"),
        ("people", "created_at"),
        ("templates", "id"),
        ("templates", "photo_index"),
        ("templates", "model"),
        ("templates", "template"),
        ("templates", "photo"),
    ],
)
def test_one_flipped_bit_is_found(store: PeopleStore, table: str, column: str) -> None:
    store.enroll("Ada", [template(1, photo_bytes=300)], keep_photos=True)
    ((value,),) = raw(store, f"SELECT {column} FROM {table}")
    generator = np.random.default_rng(0)
    for _ in range(8):
        blob = bytearray(value.encode() if isinstance(value, str) else value)  # type: ignore[call-overload]
        blob[generator.integers(len(blob))] ^= 1 << int(generator.integers(8))
        cast = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
        raw(store, f"UPDATE {table} SET {column} = {cast}", bytes(blob))
        with pytest.raises(StoreCorrupt) as caught:
            store.templates("Ada")
        assert caught.value.code == "store.corrupt"
        raw(store, f"UPDATE {table} SET {column} = ?", value)
        assert len(store.templates("Ada")) == 1


def test_a_template_moved_to_another_person_is_found(store: PeopleStore) -> None:
    store.enroll("Ada", [template(1)])
    store.enroll("Bob", [template(2)])
    rows = raw(store, "SELECT people.id FROM people ORDER BY rowid")
    raw(store, "UPDATE templates SET person = ? WHERE person = ?", rows[0][0], rows[1][0])
    with pytest.raises(StoreCorrupt):
        store.templates("Ada")


def test_a_file_that_is_no_database(store: PeopleStore) -> None:
    store.folder.mkdir()
    (store.folder / FILE).write_bytes(b"not a database" * 500)
    with pytest.raises(StoreCorrupt):
        store.people()


def test_a_lost_head_row_makes_no_new_key(store: PeopleStore) -> None:
    store.enroll("Ada", [template(1)])
    raw(store, "DELETE FROM store")
    for call in (store.people, lambda: store.enroll("Bob", [template(2)])):
        with pytest.raises(StoreCorrupt):
            call()


def test_a_newer_schema_is_left_alone(store: PeopleStore) -> None:
    store.enroll("Ada", [template(1)])
    raw(store, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="99"):
        store.people()
    assert raw(store, "PRAGMA user_version") == [(99,)]


def test_an_older_schema_is_brought_up(store: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewitness.agent.people import schema

    store.enroll("Ada", [template(1)])
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE added (x)",)))
    assert store.people()[0].name == "Ada"
    assert raw(store, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
    assert raw(store, "SELECT * FROM added") == []


# --- the key


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX systems")
def test_files_are_private_and_an_open_key_is_refused(store: PeopleStore) -> None:
    store.enroll("Ada", [template(1)])
    key = store.folder / keys.KEY_FILE
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in store.folder.iterdir()} == {0o600}
    key.chmod(0o640)
    with pytest.raises(StoreKeyUnavailable, match=r"chmod 600 .*people\.key"):
        store.people()
    key.chmod(0o600)
    assert store.people()[0].name == "Ada"


def test_a_missing_wrong_or_damaged_key(store: PeopleStore, tmp_path: Path) -> None:
    store.enroll("Ada", [template(1)])
    other = PeopleStore(tmp_path / "other")
    other.enroll("Bob", [template(2)])
    key = store.folder / keys.KEY_FILE
    right = key.read_text()
    for text in ((other.folder / keys.KEY_FILE).read_text(), right[:-5], "", None):
        key.unlink() if text is None else key.write_text(text)
        for call in (store.people, lambda: store.templates("Ada"), lambda: store.enroll("Eve", [template(3)])):
            with pytest.raises(StoreKeyUnavailable):
                call()
        assert key.exists() == (text is not None), "no key may appear by itself"


class Ring(KeyringBackend):
    """Stands for a keyring of the operating system, which a test machine does not have."""

    priority = 5  # type: ignore[assignment]
    locked = False

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked
        self.kept[service, username] = password


def test_the_key_goes_to_the_keyring_of_the_system(store: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    monkeypatch.setattr(Ring, "__module__", "keyring.backends.SecretService")
    monkeypatch.setattr(keys, "get_keyring", lambda: ring)
    store.enroll("Ada", [template(1)])
    assert len(ring.kept) == 1
    assert not (store.folder / keys.KEY_FILE).exists()
    assert store.people()[0].name == "Ada"
    ring.locked = True
    with pytest.raises(StoreKeyUnavailable, match="unlock"):
        store.people()
    ring.locked = False
    ring.kept.clear()
    with pytest.raises(StoreKeyUnavailable):
        store.enroll("Bob", [template(2)])
    assert not ring.kept


@pytest.mark.parametrize("locked", [True, False])
def test_other_keyrings_are_not_trusted(store: PeopleStore, monkeypatch: pytest.MonkeyPatch, locked: bool) -> None:
    ring = Ring()
    ring.locked = locked
    monkeypatch.setattr(Ring, "__module__", "keyring.backends.macOS" if locked else "keyrings.alt.file")
    monkeypatch.setattr(keys, "get_keyring", lambda: ring)
    store.enroll("Ada", [template(1)])
    assert not ring.kept
    assert (store.folder / keys.KEY_FILE).exists()


# --- several at once


def test_threads_share_a_store(store: PeopleStore) -> None:
    def work(number: int) -> int:
        store.enroll(f"Person {number % 3}", [template(number)])
        return len(store.people())

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(work, range(12)))
    assert [person.templates for person in store.people()] == [4, 4, 4]


WORKER = """
import sys, hashlib, numpy as np
from pathlib import Path
from facewitness.agent.people.store import PeopleStore
from facewitness.agent.people.person import Template
from facewitness.tools.evidence import ModelCard
card = ModelCard("sface", "1", "ab" * 32, "Apache-2.0", True)
store, me = PeopleStore(Path(sys.argv[1])), sys.argv[2]
for n in range(5):
    feature = np.random.default_rng(n).normal(size=128).astype(np.float32)
    store.enroll("Shared", [Template(feature, hashlib.sha256(f"{me} {n}".encode()).hexdigest(), card)])
    store.enroll(f"Own {me}", [Template(feature, "0" * 64, card)])
    store.forget(f"Own {me}")
"""


def test_processes_share_a_store(store: PeopleStore) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(store.folder), str(n)]) for n in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert [(person.name, person.templates) for person in store.people()] == [("Shared", 15)]


# --- the commands


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PeopleStore:
    """Lets the commands use a store of their own, with the weights that are already fetched."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "weights").symlink_to(weights.store())
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "home"))
    return PeopleStore()


def run(*arguments: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answer)


def save(path: Path, *parts: np.ndarray) -> Path:
    Image.fromarray(np.hstack(parts)).save(path, quality=95)
    return path


def test_enroll_list_and_forget(home: PeopleStore, astronaut: Path, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(astronaut))
    mirrored = save(tmp_path / "mirrored.jpg", pixels[:, ::-1])
    said = run("enroll", "Eileen Collins", astronaut, mirrored)
    assert (said.exit_code, said.output) == (0, "Eileen Collins is enrolled with 2 photos.\n")
    assert run("enroll", "eileen collins", astronaut).output == "Eileen Collins is enrolled with 2 photos.\n"
    first, second = home.templates("Eileen Collins")
    assert first.photo_sha256 == hashlib.sha256(astronaut.read_bytes()).hexdigest()
    assert first.photo is None
    assert first.model == weights.card("sface")
    assert similarity(first.feature, second.feature) > 0.8
    rows = json.loads(run("people", "--json").stdout)
    assert [(row["name"], row["photos"]) for row in rows] == [("Eileen Collins", 2)]
    assert datetime.fromisoformat(rows[0]["created_at"]).utcoffset() == timedelta(0)
    assert run("forget", "Eileen Collins", answer="n\n").exit_code == 1
    assert run("people").output.startswith("Eileen Collins, 2 photos, since 20")
    assert run("forget", "Eileen Collins", "--yes").exit_code == 0
    assert run("people").output == "Nobody is enrolled.\n"
    assert isinstance(run("forget", "Eileen Collins", "--yes").exception, UnknownPerson)


def test_photos_are_kept_on_request(home: PeopleStore, astronaut: Path) -> None:
    assert run("enroll", "Eileen", astronaut, "--keep-photos").exit_code == 0
    assert home.templates("Eileen")[0].photo == astronaut.read_bytes()
    assert hits(home.folder, [astronaut.read_bytes()[1000:1064]]) == []


def test_a_photo_that_cannot_be_used_enrolls_nobody(home: PeopleStore, astronaut: Path, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(astronaut))
    refused: list[tuple[Path, type[Exception], str]] = [
        (save(tmp_path / "wall.jpg", np.full((300, 300, 3), 120, np.uint8)), NotAssessable, "face.none"),
        (save(tmp_path / "two.jpg", pixels, pixels), InvalidReference, "input.invalid_reference"),
        (save(tmp_path / "far.jpg", pixels[::8, ::8]), NotAssessable, "face.too_small"),
        (tmp_path / "missing.jpg", UnreadableFile, "input.unreadable"),
    ]
    for path, kind, code in refused:
        error = run("enroll", "Eileen", astronaut, path).exception
        assert isinstance(error, kind)
        assert (error.code, str(error).split(": ")[0]) == (code, path.name)
    assert home.people() == []


def test_a_small_face_in_the_background_does_no_harm(home: PeopleStore, astronaut: Path, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(astronaut))
    small = np.asarray(Image.open(astronaut).resize((180, 180)))
    crowd = save(tmp_path / "crowd.jpg", pixels, np.pad(small, ((0, 332), (0, 0), (0, 0))))
    assert len(detect(np.asarray(Image.open(crowd)))) == 2
    assert run("enroll", "Eileen", astronaut, crowd).exit_code == 0
    assert similarity(*(template.feature for template in home.templates("Eileen"))) > 0.9


@pytest.mark.data
def test_photos_of_two_people_are_pointed_out(home: PeopleStore, data: Path) -> None:
    neutral, smiling = (next((data / "frll_london" / folder).glob("003_*.jpg")) for folder in ("neutral", "smiling"))
    same = run("enroll", "Same", neutral, smiling)
    assert (same.exit_code, same.stderr) == (0, "")
    other = next((data / "frll_london" / "neutral").glob("008_*.jpg"))
    mixed = run("enroll", "Mixed", neutral, other)
    assert mixed.exit_code == 0
    assert "may show different people" in mixed.stderr
