"""A verdict to take away: the signed record, the page, and a PDF."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...agent.examine import Examination
from ..api.signing import Signature, canonical
from .session import Case

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """A file."""

    name: str
    media_type: str
    data: bytes


def make(kind: str, case: Case, sign: Callable[[Json], Signature]) -> Report | None:
    """The report on the face on screen; None for an unknown kind, or before there is a record.

    Args:
        kind: ``json``, ``html`` or ``pdf``.
        case: What is on screen.
        sign: Signs a record, as the HTTP API does.
    """
    if case.record is None or case.found is None:
        return None
    examination = Examination((case.record,), case.photo, case.found.pictures)
    name, plain = case.record.id, case.record.model_dump(mode="json", by_alias=True)
    if kind == "json":
        return Report(f"{name}.json", "application/json", signed(plain, sign))
    if kind == "html":
        from ..page import render

        return Report(f"{name}.html", "text/html", render(examination).encode())
    if kind == "pdf":
        from .pdf import document

        digest = hashlib.sha256(canonical(plain)).hexdigest()
        return Report(f"{name}.pdf", "application/pdf", document(examination, digest, sign(plain)))
    return None


def signed(record: Json, sign: Callable[[Json], Signature]) -> bytes:
    """A record and its signature, as ``facewitness verify`` reads them."""
    document = {"schema": "facewitness.signed/1", "record": record, "signature": sign(record).model_dump()}
    return canonical(document)
