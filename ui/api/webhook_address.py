"""Which addresses may be registered as webhooks; an operator does it, never a request."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...errors import InvalidOption

MAX_URL = 500
PREFIX = "whsec_"
"""Of the secret that a receiver checks signatures with."""


def check(url: str) -> None:
    """Refuse an address that no message would be sent to.

    Raises:
        InvalidOption: Not https (plain http only to this machine), or with a name and password or a fragment.
    """
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and len(url) <= MAX_URL and url.isprintable()
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.fragment or any(char in url for char in " \\"):
        raise InvalidOption("A webhook is an address like https://example.org/verdicts.")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")):
        raise InvalidOption("A webhook takes https; plain http goes to this machine only.")
