"""The audit log: a chain in which nothing can be changed unnoticed, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError
from typer.testing import CliRunner

from facewitness.agent.people.sealing import Vault
from facewitness.errors import AuditBroken
from facewitness.ui.api.access import ApiKeys
from facewitness.ui.api.audit import Audit
from facewitness.ui.api.batch import Batches, Entry
from facewitness.ui.api.database import Database
from facewitness.ui.api.jobs import Jobs
from facewitness.ui.api.masterkey import open_vault
from facewitness.ui.api.settings import Settings
from facewitness.ui.api.signing import Signer, canonical, public_keys, rotate, verify
from facewitness.ui.api.submission import Options, Submission
from facewitness.ui.cli import app

SUBMISSION = Submission(b"a photo's bytes", (), Options())


@pytest.fixture
def vault(database: Database) -> Vault:
    return open_vault(database)


@pytest.fixture
def audit(database: Database, vault: Vault) -> Audit:
    return Audit(database, vault)


def run(database: Database, statement: str) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def disarm(database: Database) -> None:
    """What an intruder with all rights in the database does first."""
    if database.engine.dialect.name == "sqlite":
        run(database, "DROP TRIGGER audit_refuses_update")
        run(database, "DROP TRIGGER audit_refuses_delete")
    else:
        run(database, "DROP TRIGGER audit_refuses ON audit")


def test_keys_and_deletions_are_in_the_log(database: Database, vault: Vault, audit: Audit) -> None:
    keys, jobs, batches = ApiKeys(database, vault), Jobs(database, vault), Batches(database, vault)
    key_id, _ = keys.create(["verdicts"], 1)
    keys.revoke(key_id)
    job, _ = jobs.submit("me", SUBMISSION)
    jobs.delete("me", job, key_id)
    batch = batches.submit("me", [Entry("a canary", SUBMISSION)])
    batches.delete("me", batch, key_id)
    new = rotate(database, vault)
    found = [(entry.actor, entry.action, entry.subject) for entry in audit.entries()]
    assert found == [
        ("operator", "key.create", key_id),
        ("operator", "key.revoke", key_id),
        (key_id, "verdict.delete", job),
        (key_id, "batch.delete", batch),
        ("operator", "key.rotate_signing", new),
    ]
    assert audit.verify()[0] == 5
    assert "canary" not in repr([entry.detail for entry in audit.entries()])


def test_the_log_only_grows(database: Database, audit: Audit) -> None:
    audit.write("me", "a.b", "c")
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(DatabaseError, match="only grows"):
            run(database, statement)
    assert audit.verify()[0] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'x' WHERE number = 2",
        "UPDATE audit SET at = at + 1 WHERE number = 2",
        "UPDATE audit SET detail = '{\"n\": 9}' WHERE number = 2",
        "DELETE FROM audit WHERE number = 2",
        "DELETE FROM audit WHERE number = 1",
        "UPDATE audit SET number = 9 WHERE number = 3",
        "UPDATE audit SET digest = previous WHERE number = 3",
        "INSERT INTO audit SELECT 4, at, actor, action, subject, detail, previous, digest FROM audit WHERE number = 3",
    ],
)
def test_what_an_intruder_does_is_noticed(database: Database, audit: Audit, statement: str) -> None:
    for number in range(3):
        audit.write("me", "a.b", "c", n=number)
    audit.verify()
    disarm(database)
    run(database, statement)
    with pytest.raises(AuditBroken):
        audit.verify()


def test_a_chain_made_anew_without_the_master_key_is_noticed(database: Database, audit: Audit) -> None:
    audit.write("me", "a.b", "c")
    disarm(database)
    run(database, "DELETE FROM audit")
    Audit(database, Vault(bytes(32), "another")).write("me", "nothing.happened", "c")
    with pytest.raises(AuditBroken):
        audit.verify()


def test_rows_cut_off_the_end_are_noticed_by_what_was_written_down(database: Database, audit: Audit) -> None:
    for number in range(3):
        audit.write("me", "a.b", "c", n=number)
    written = audit.verify()
    audit.check(*written)
    disarm(database)
    run(database, "DELETE FROM audit WHERE number = 3")
    audit.verify()  # nothing is wrong with what is left
    with pytest.raises(AuditBroken):
        audit.check(*written)


def test_writers_at_the_same_time_make_one_chain(audit: Audit) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: audit.write("me", "a.b", "c", n=number), range(24)))
    assert audit.verify()[0] == 24


def test_records_of_an_earlier_signing_key_still_verify(database: Database, vault: Vault) -> None:
    signer = Signer(database, vault)
    before = signer.sign({"a": 1})
    new = rotate(database, vault)
    after = signer.sign({"a": 1})  # the same process goes on with the new key
    assert (before.key_id != after.key_id) and after.key_id == new == Signer(database, vault).key_id
    for signature in (before, after):
        document = {"schema": "facewitness.signed/1", "record": {"a": 1}, "signature": signature.model_dump()}
        assert verify(canonical(document), public_keys(database)).signature.key_id == signature.key_id


def test_what_does_not_print_is_marked_on_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    database = Database(Settings())
    Audit(database, open_vault(database)).write("me", "a.b", "c", purpose="\x9b2J\u2028\u202e \u00e4 \u6f22")
    database.close()
    listed = CliRunner().invoke(app, ["audit", "list"]).stdout
    assert '"\ufffd2J\ufffd\ufffd \u00e4 \u6f22"' in listed and len(listed.splitlines()) == 1


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    runner = CliRunner()
    secret = runner.invoke(app, ["keys", "create", "--owner", "newsroom"]).stdout.strip()
    assert secret.startswith("fwk_")
    rotated = runner.invoke(app, ["keys", "rotate-signing"])
    assert rotated.exit_code == 0
    listed = runner.invoke(app, ["audit", "list"]).stdout.splitlines()
    assert ["key.create" in listed[0], "key.rotate_signing" in listed[1]] == [True, True]
    assert secret not in "".join(listed)
    told = runner.invoke(app, ["audit", "verify"])
    assert told.exit_code == 0
    assert told.stdout.startswith("2 rows")
    head = told.stdout.split()[-1]
    assert runner.invoke(app, ["audit", "verify", "--expect", head]).exit_code == 0
    wrong = runner.invoke(app, ["audit", "verify", "--expect", "2:" + "0" * 64])
    assert isinstance(wrong.exception, AuditBroken)
