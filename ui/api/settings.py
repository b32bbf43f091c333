"""What an operator decides."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_dir

DAY = 86_400


def home() -> Path:
    """Folder of the API's keys and of its SQLite file: ``api`` in ``FACEWITNESS_HOME`` or the user's data folder."""
    return Path(os.environ.get("FACEWITNESS_HOME") or user_data_dir("facewitness", False)) / "api"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process.

    Attributes:
        folder: Where the master key is, and the SQLite file if no other database is named.
        database: SQLAlchemy URL; None for the SQLite file.
        model: Who writes the reasoning, as for ``examine --model``; a client cannot choose.
        commercial_only: Take no weights whose terms do not allow commercial use.
        workers: Examinations at a time in this process.
        rate: Requests a minute of one API key that start work.
        unfinished: Examinations of one API key that may wait or run.
        batch: Photos of one API key's batches that may wait or run.
        queue: Examinations of all keys that may wait or run.
        lease: Seconds after which an examination that gives no sign of life is begun again.
        retention: Seconds after which a finished verdict is deleted.
        private_webhooks: Send webhooks to addresses that are not public, too: this machine, private networks.
        certificate: PEM file with the chain of a certificate for Content Credentials in overlays; None for none.
        certificate_key: PEM file of its private key.
        traces: Export OpenTelemetry traces; that takes the extra ``telemetry``.
        chat: Serve the chat, too; that takes Gradio.
        evaluation: Folder of a run of ``facewitness eval`` that visitors of the chat may look through.
    """

    folder: Path = field(default_factory=home)
    database: str | None = None
    model: str = "embedded"
    commercial_only: bool = False
    workers: int = 1
    rate: int = 60
    unfinished: int = 10
    batch: int = 50
    queue: int = 100
    lease: float = 30.0
    retention: float = 30 * DAY
    private_webhooks: bool = False
    certificate: Path | None = None
    certificate_key: Path | None = None
    traces: bool = False
    chat: bool = False
    evaluation: Path | None = None
