"""Content Credentials (C2PA 2.x) of a file, read offline with c2pa-python.

The library fetches manifests that a file only links to unless it is told not to; here it may contact no host at all.
It brings no trust list: without one a signature can be intact, but its signer stays unknown.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import c2pa

from .declared_source import SOURCE_TYPES

State = Literal["Trusted", "Valid", "Invalid", "linked", "unreadable"]

OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    # A second lock: unknown or renamed settings are ignored silently.
    "core": {"allowed_network_hosts": []},
}


@dataclass(frozen=True, slots=True)
class ContentCredentials:
    """What the active manifest says.

    Texts are what the file says: never print them as they are.

    Attributes:
        state: ``Trusted`` (intact, signer on the trust list), ``Valid`` (intact, signer unknown), ``Invalid``,
            ``linked`` (only on a server, not fetched) or ``unreadable``.
        generator: Program that made the claim.
        signer: Organisation in the signing certificate.
        source_types: Declared IPTC digital source types, of this manifest and of those it builds on.
        failures: Codes of failed checks (C2PA specification, 15.2).
    """

    state: State
    generator: str | None = None
    signer: str | None = None
    source_types: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def read(data: bytes, image_format: str, trust_anchors: str | None = None) -> ContentCredentials | None:
    """Read and validate the manifest of a file without any network access.

    Args:
        data: Bytes of the file.
        image_format: ``JPEG``, ``PNG`` or ``WEBP``.
        trust_anchors: PEM certificates of trusted roots.

    Returns:
        None when the file has no manifest.
    """
    settings = OFFLINE | ({"trust": {"trust_anchors": trust_anchors}} if trust_anchors else {})
    try:
        with c2pa.Context.from_dict(settings) as context:
            reader = c2pa.Reader.try_create(f"image/{image_format.lower()}", BytesIO(data), context=context)
            if reader is None:
                return None
            with reader:
                return _summary(json.loads(reader.json()))
    except c2pa.C2paError as error:
        return ContentCredentials("linked" if str(error).startswith("Remote") else "unreadable")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):  # well signed, yet of no expected shape
        return ContentCredentials("unreadable")


def _summary(store: dict[str, Any]) -> ContentCredentials:
    active = store["manifests"][store["active_manifest"]]
    state = store.get("validation_state")
    generator = (active.get("claim_generator_info") or [{}])[0]
    name = generator.get("name") or active.get("claim_generator")
    failures = {item["code"] for item in store.get("validation_status") or []}
    return ContentCredentials(
        state=state if state in ("Trusted", "Valid", "Invalid") else "unreadable",
        generator=f"{name} {generator.get('version') or ''}".strip() if name else None,
        signer=(active.get("signature_info") or {}).get("issuer"),
        source_types=tuple(sorted(_source_types(store))),
        failures=tuple(sorted(code for code in failures if re.fullmatch(r"[A-Za-z0-9.]{1,64}", code))),
    )


def _source_types(store: dict[str, Any]) -> set[str]:
    """Last part of each declared ``digitalSourceType``, if it is a term of the vocabulary."""
    declared = (
        str(action.get("digitalSourceType", "")).rpartition("/")[2]
        for manifest in store["manifests"].values()
        for assertion in manifest.get("assertions") or []
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion["data"].get("actions") or []
    )
    return {term for term in declared if term in SOURCE_TYPES}
