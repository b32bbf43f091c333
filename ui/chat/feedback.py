"""What visitors say of a verdict, kept by consent: a line each in ``feedback.jsonl``, and no photo."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_dir

from ...agent.record import Record

REASONS = ("wrong_verdict", "wrong_face", "bad_explanation", "privacy")
LONGEST = 500
_lock = threading.Lock()


def path() -> Path:
    """In ``FACEWITNESS_HOME`` or the user's data folder."""
    return Path(os.environ.get("FACEWITNESS_HOME") or user_data_dir("facewitness", False)) / "feedback.jsonl"


def keep(record: Record, reasons: Collection[str], comment: str) -> str:
    """Keep a line, readable by its owner alone; its id."""
    line = {
        "id": secrets.token_hex(8),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reasons": [reason for reason in REASONS if reason in reasons],
        "comment": "".join(c for c in comment if c.isprintable())[:LONGEST],
        "record": record.id,
        "label": record.verdict.label,
        "written_by": record.explanation.model or record.explanation.written_by,
        "software": record.software,
    }
    with _lock:
        path().parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return str(line["id"])


def forget(ids: Collection[str]) -> None:
    """Delete lines."""
    with _lock:
        if not ids or not path().exists():
            return
        lines = path().read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["id"] not in ids]
        draft = path().with_suffix(".draft")
        draft.touch(0o600)
        draft.write_text("".join(kept), "utf-8")
        os.replace(draft, path())
