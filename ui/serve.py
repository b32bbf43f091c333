"""The commands around the HTTP API: ``api``, ``chat``, ``keys``, ``audit`` and ``verify``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..agent.people.sealing import Vault
    from .api.access import ApiKeys
    from .api.audit import Audit
    from .api.database import Database as Opened

keys = typer.Typer(help="API keys.", no_args_is_help=True)
audit = typer.Typer(help="The log of keys, people and deletions.", no_args_is_help=True)

DATABASE_HELP = "SQLAlchemy URL of the database; a SQLite file in FACEWITNESS_HOME by default."
Database = Annotated[str | None, typer.Option(envvar="FACEWITNESS_API_DATABASE", help=DATABASE_HELP)]
Host = Annotated[str, typer.Option(help="Address to listen on; beyond this machine it takes API keys.")]
Model = Annotated[str, typer.Option(envvar="FACEWITNESS_MODEL", help="Who writes the reasoning, as for examine.")]
CommercialOnly = Annotated[
    bool, typer.Option("--commercial-only", envvar="FACEWITNESS_COMMERCIAL_ONLY", help="As for examine.")
]


def api(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    database: Database = None,
    model: Model = "embedded",
    commercial_only: CommercialOnly = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Examinations at a time.")] = 1,
    rate: Annotated[int, typer.Option(min=1, help="Requests a minute and API key that start work.")] = 60,
    unfinished: Annotated[int, typer.Option(min=1, help="Examinations of one API key that may wait or run.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Photos of one API key's batches that may wait or run.")] = 50,
    queue: Annotated[int, typer.Option(min=1, help="Examinations of all that may wait or run.")] = 100,
    lease: Annotated[
        float, typer.Option(min=1, help="Seconds until an examination that a killed process left is begun again.")
    ] = 30,
    keep_days: Annotated[int, typer.Option(min=1, help="Days after which a finished verdict is deleted.")] = 30,
    private_webhooks: Annotated[
        bool, typer.Option("--private-webhooks", help="Send webhooks to this machine and private networks, too.")
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option(
            envvar="FACEWITNESS_CERTIFICATE", help="PEM chain that signs Content Credentials (C2PA) in overlays."
        ),
    ] = None,
    certificate_key: Annotated[
        Path | None, typer.Option(envvar="FACEWITNESS_CERTIFICATE_KEY", help="PEM file of its private key.")
    ] = None,
    traces: Annotated[
        bool, typer.Option("--traces", help="Export OpenTelemetry traces, without payload, by OTLP over HTTP.")
    ] = False,
    with_chat: Annotated[bool, typer.Option("--chat", help="Serve the chat, too, under /chat.")] = False,
) -> None:
    """Serve the HTTP API."""
    from ..agent.chat_models import open_model

    with _installed():
        from .api.server import serve
        from .api.settings import DAY, Settings
    if with_chat:
        _need_chat()
    open_model(model)  # a specification that cannot be used is refused now, not by the first examination
    settings = Settings(
        database=database,
        model=model,
        commercial_only=commercial_only,
        workers=workers,
        rate=rate,
        unfinished=unfinished,
        batch=batch,
        queue=queue,
        lease=lease,
        retention=keep_days * DAY,
        private_webhooks=private_webhooks,
        certificate=certificate,
        certificate_key=certificate_key,
        traces=traces,
        chat=with_chat,
    )
    serve(settings, host, port)


def chat(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    database: Database = None,
    model: Model = "embedded",
    commercial_only: CommercialOnly = False,
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of a run of `facewitness eval` to look through in the chat.")
    ] = None,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
) -> None:
    """Open the chat: drop a photo, see the evidence, ask why."""
    from ..agent.chat_models import open_model

    with _installed("ui"):
        from .api.server import serve
        from .api.settings import Settings
    _need_chat()
    open_model(model)
    if evaluation is not None:
        from .chat.evaluation import Evaluation

        _ = Evaluation(evaluation).run  # refused now, not by the first visitor
    settings = Settings(
        database=database, model=model, commercial_only=commercial_only, chat=True, evaluation=evaluation
    )
    serve(settings, host, port, page="/chat/", browse=browse)


def _need_chat() -> None:
    """Refuse at once where the chat's packages are missing; loading them takes seconds."""
    from importlib.util import find_spec

    from ..errors import InvalidOption

    for package in ("gradio", "fpdf"):
        if find_spec(package) is None:
            raise InvalidOption(f"The chat needs {package}: install facewitness[ui].")


@contextmanager
def _installed(extra: str = "api") -> Iterator[None]:
    """Say what to install where a package of the API or the chat is missing."""
    from ..errors import InvalidOption

    try:
        yield
    except ImportError as error:
        raise InvalidOption(f"This needs {error.name}: install facewitness[{extra}].") from None


def _open(database: str | None) -> tuple[Opened, Vault]:
    with _installed():
        from .api.database import Database as Opened
        from .api.masterkey import open_vault
        from .api.settings import Settings

    opened = Opened(Settings(database=database))
    return opened, open_vault(opened)


def _keys(database: str | None) -> ApiKeys:
    opened, vault = _open(database)
    from .api.access import ApiKeys

    return ApiKeys(opened, vault)


def _audit(database: str | None) -> Audit:
    opened, vault = _open(database)
    from .api.audit import Audit

    return Audit(opened, vault)


@keys.command()
def create(
    scope: Annotated[
        list[str] | None, typer.Option(help="verdicts, identity, people, search or metrics; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until it expires.")] = 90,
    owner: Annotated[
        str | None, typer.Option(help="Whose verdicts and people it works with, for several keys of one owner.")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(help="https address (http on this machine) to which the ends of the owner's verdicts are sent."),
    ] = None,
    database: Database = None,
) -> None:
    """Make a key. It is shown once; only its SHA-256 is kept. From then on the API takes a key for everything.

    With a webhook a second line is the secret that its receiver checks signatures with.
    """
    opened = _keys(database)
    key_id, secret = opened.create(scope or ["verdicts"], days, owner, webhook)
    typer.echo(f"id {key_id}, scopes {', '.join(scope or ['verdicts'])}, {days} days", err=True)
    typer.echo(secret)
    if webhook is not None:
        typer.echo(opened.webhook_secret(key_id))


@keys.command("list")
def list_keys(database: Database = None) -> None:
    """List the keys: id, whether they are valid, scopes, owner where it is another one, webhook."""
    from datetime import UTC, datetime

    from .api.access import state

    for row in _keys(database).list():
        until = "no end" if row.expires_at is None else f"until {datetime.fromtimestamp(row.expires_at, UTC):%Y-%m-%d}"
        owner = "" if row.owner == row.id else f"  owner {row.owner}"
        hook = "" if row.webhook is None else f"  webhook {row.webhook}"
        typer.echo(f"{row.id}  {state(row)}  {until}  {row.scopes}{owner}{hook}")


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="Id, as listed.")], database: Database = None) -> None:
    """End a key now."""
    _keys(database).revoke(key_id)
    typer.echo(f"{key_id} is revoked.")


@keys.command("rotate-signing")
def rotate_signing(database: Database = None) -> None:
    """Sign records with a new key from now on; those signed before still verify."""
    opened, vault = _open(database)
    from .api.signing import rotate

    typer.echo(f"Records are signed with the key {rotate(opened, vault)} from now on.")


@audit.command("list")
def list_audit(database: Database = None) -> None:
    """List who did what to what: number, time, actor, action, subject, detail."""
    from datetime import UTC, datetime

    rows = _audit(database).entries()
    from .api.printing import shown

    for row in rows:
        at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds")
        typer.echo(shown(f"{row.number}  {at}  {row.actor}  {row.action}  {row.subject}  {row.detail}"))


@audit.command("verify")
def verify_audit(
    expect: Annotated[
        str | None, typer.Option(help="NUMBER:DIGEST of a row that an earlier call printed; it must still be there.")
    ] = None,
    database: Database = None,
) -> None:
    """Check that no row was altered, inserted or removed; exit code 5 if one was. Write down what it prints."""
    from ..errors import InvalidOption

    log = _audit(database)
    number, digest = log.verify()
    if expect is not None:
        place, _, written = expect.partition(":")
        if not place.isdecimal() or len(written) != 64:
            raise InvalidOption("A row is written down as NUMBER:DIGEST.")
        log.check(int(place), written)
    typer.echo(f"{number} rows, unaltered; the last is {number}:{digest}")


def verify(
    record: Annotated[Path, typer.Argument(help="A signed record: record.json of the API.")],
    public_key: Annotated[
        list[str] | None, typer.Option(help="Ed25519 key to trust, 64 hex digits; this installation's by default.")
    ] = None,
    database: Database = None,
) -> None:
    """Check that a record is as it was signed; exit code 2 if not."""
    from ..errors import UnreadableFile

    with _installed():
        from .api.signing import verify as check
    try:
        text = record.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"The record cannot be read ({error.strerror}).") from None
    signed = check(text, _given(public_key) if public_key else _own(database))
    typer.echo(f"Valid: signed at {signed.signature.signed_at} with the key {signed.signature.key_id}.")


def _given(public_keys: list[str]) -> dict[str, bytes]:
    from ..errors import InvalidOption
    from .api.signing import key_id_of

    try:
        raw = [bytes.fromhex(text) for text in public_keys]
    except ValueError:
        raw = [b""]
    if any(len(key) != 32 for key in raw):
        raise InvalidOption("A public key has 64 hex digits.")
    return {key_id_of(key): key for key in raw}


def _own(database: str | None) -> dict[str, bytes]:
    from .api.database import Database as Opened
    from .api.settings import Settings
    from .api.signing import public_keys

    return public_keys(Opened(Settings(database=database)))
