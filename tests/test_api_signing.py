"""Signed records: what verifies, and that nothing altered does."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import facewitness
from facewitness.errors import InvalidOption, SignatureInvalid
from facewitness.ui.api.database import Database
from facewitness.ui.api.masterkey import open_vault
from facewitness.ui.api.settings import Settings
from facewitness.ui.api.signing import Signer, canonical, public_keys, verify
from facewitness.ui.cli import app

MUTATIONS = 1000


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return Database(Settings(folder=tmp_path_factory.mktemp("home") / "api"))


@pytest.fixture(scope="module")
def signed(database: Database, astronaut: Path) -> bytes:
    record = facewitness.examine(astronaut, model="none").model_dump(mode="json", by_alias=True)
    signature = Signer(database, open_vault(database)).sign(record).model_dump()
    return canonical({"schema": "facewitness.signed/1", "record": record, "signature": signature})


@pytest.fixture(scope="module")
def trusted(database: Database, signed: bytes) -> dict[str, bytes]:
    return public_keys(database)


def test_a_signed_record_verifies_however_it_is_indented(signed: bytes, trusted: dict[str, bytes]) -> None:
    assert verify(signed, trusted).record["schema"] == "facewitness.verdict/1"
    document = json.loads(signed)
    verify(json.dumps(document, indent=4).encode(), trusted)
    verify(json.dumps(dict(reversed(document.items())), ensure_ascii=True).encode(), trusted)


def mutated(text: bytes, chance: random.Random) -> bytes:
    """One byte or a few changed, dropped, doubled or swapped, or a value replaced."""
    at = chance.randrange(len(text))
    match chance.randrange(6):
        case 0:
            return text[:at] + bytes([text[at] ^ 1 << chance.randrange(8)]) + text[at + 1 :]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + text[at : at + 1] + text[at:]
        case 3:
            other = chance.randrange(len(text))
            changed = bytearray(text)
            changed[at], changed[other] = changed[other], changed[at]
            return bytes(changed)
        case 4:
            return text[:at] + bytes([chance.randrange(48, 58)]) + text[at + 1 :]
    return json.dumps(replaced(json.loads(text), chance)).encode()


def replaced(document: Any, chance: random.Random) -> Any:
    """With one value somewhere replaced, removed or added."""
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.9:
            place = place[key]
            continue
        value = place[key]
        others = [None, True, 0, "", f"{value}x", [], 0.123]
        if chance.random() < 0.2:
            del place[key]
        else:
            place[key] = chance.choice([other for other in others if (type(other), other) != (type(value), value)])
        return document


def test_every_mutation_is_detected(signed: bytes, trusted: dict[str, bytes]) -> None:
    chance, detected, undetected = random.Random(7), 0, []
    while detected < MUTATIONS and not undetected:
        changed = mutated(signed, chance)
        try:
            verify(changed, trusted)
        except SignatureInvalid:
            detected += 1
        else:
            if canonical(json.loads(changed)) != signed:  # else another spelling of the same record
                undetected.append(changed)
    assert undetected == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"schema": NaN}',
        b'{"record": {}, "record": {}}',
        b'{"schema": "facewitness.signed/1", "record": {"a": 1e999}, "signature": {}}',
    ],
)
def test_what_is_no_signed_record_is_refused(text: bytes, trusted: dict[str, bytes]) -> None:
    with pytest.raises(SignatureInvalid):
        verify(text, trusted)


def test_a_key_that_occurs_twice_is_refused(signed: bytes, trusted: dict[str, bytes]) -> None:
    doubled = signed.replace(b'"label":', b'"label":"authentic","label":', 1)
    assert json.loads(doubled) == json.loads(signed)
    with pytest.raises(SignatureInvalid):
        verify(doubled, trusted)


def test_another_spelling_of_the_signature_is_refused(signed: bytes, trusted: dict[str, bytes]) -> None:
    document = json.loads(signed)
    document["signature"]["value"] = document["signature"]["value"].upper()
    with pytest.raises(SignatureInvalid):
        verify(json.dumps(document).encode(), trusted)


def test_the_key_outlives_the_process_and_is_sealed(database: Database, signed: bytes) -> None:
    again = Database(database.settings)
    signer = Signer(again, open_vault(again))
    assert signer.key_id == json.loads(signed)["signature"]["key_id"]
    secret = signer._held[0].private_bytes_raw()
    assert not any(secret in file.read_bytes() for file in database.settings.folder.iterdir())
    again.close()


def test_the_command_verifies(
    database: Database, signed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(database.settings.folder.parent))
    file = tmp_path / "record.json"
    file.write_bytes(signed)
    run = CliRunner().invoke(app, ["verify", str(file)])
    assert run.exit_code == 0
    assert run.stdout.startswith("Valid: signed at 20")
    public = next(iter(public_keys(database).values())).hex()
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "elsewhere"))
    assert isinstance(CliRunner().invoke(app, ["verify", str(file)]).exception, SignatureInvalid)
    assert CliRunner().invoke(app, ["verify", str(file), "--public-key", public]).exit_code == 0
    wrong = CliRunner().invoke(app, ["verify", str(file), "--public-key", "ab"])
    assert isinstance(wrong.exception, InvalidOption)


def test_an_altered_record_is_one_line_and_exit_code_2(database: Database, signed: bytes, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(signed.replace(b'"abstained":true', b'"abstained":false'))
    assert file.read_bytes() != signed
    public = next(iter(public_keys(database).values())).hex()
    command = [sys.executable, "-m", "facewitness", "verify", str(file), "--public-key", public]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 2
    assert run.stderr == "facewitness: signature.invalid: The record or its signature was altered.\n"
