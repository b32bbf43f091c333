"""Which model speaks, on what terms, and what it cannot do: one line."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...agent import chat_models
from .text import words


def speaker(model: str) -> str:
    """The line for a specification as ``examine --model`` takes it."""
    t = words()["speaker"]
    opened = chat_models.open_model(model)
    if opened is None:
        return str(t["none"])
    card = chat_models.describe(opened)
    if chat_models.is_embedded(opened):
        return str(t["embedded"]).format(name=t["names"].get(card.name, card.name), licence=card.licence)
    sent = t["sent_photo"] if chat_models.sees_images(opened) else t["sent_evidence"]
    return str(t["server"]).format(name=card.name, host=urlsplit(model).hostname, sent=sent)
