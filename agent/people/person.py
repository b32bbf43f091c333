"""What an enrolled person is made of, and which names are accepted."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidOption
from ...tools.evidence import ModelCard
from .adapter import Adapter

FEATURE_LENGTH = 128
MAX_NAME_LENGTH = 100
_JOINERS = "\u200c\u200d"  # part of the spelling in Persian and several Indic scripts


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What is kept of one photo.

    Attributes:
        feature: (128,) float32 SFace feature, not normalised: its norm falls with quality.
        photo_sha256: Hex digest of the photo's bytes.
        model: The weights that made the feature; features of different weights cannot be compared.
        photo: The photo's bytes, only where the caller asked to keep them.

    Raises:
        InvalidOption: The feature is not 128 finite numbers, or the digest not that of the photo.
    """

    feature: NDArray[np.float32]
    photo_sha256: str
    model: ModelCard
    photo: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.feature.shape != (FEATURE_LENGTH,) or not np.isfinite(self.feature).all() or not self.feature.any():
            raise InvalidOption(f"A template needs a feature of {FEATURE_LENGTH} finite numbers that are not all 0.")
        if len(self.photo_sha256) != 64 or set(self.photo_sha256) - set("0123456789abcdef"):
            raise InvalidOption("A template needs the sha256 of its photo.")
        if self.photo is not None and hashlib.sha256(self.photo).hexdigest() != self.photo_sha256:
            raise InvalidOption("The sha256 of a template is not that of its photo.")


@dataclass(frozen=True, slots=True)
class Person:
    """An enrolled person.

    Attributes:
        name: As given.
        templates: How many there are.
        created_at: Time of the first enrolment in UTC.
        adapter: What the model that looks has learned of the person, if it has.
    """

    name: str
    templates: int
    created_at: datetime
    adapter: Adapter | None = field(default=None, repr=False, compare=False)


def clean_name(name: str) -> str:
    """NFC, trimmed, single spaces inside.

    Raises:
        InvalidOption: Empty, longer than 100 characters, or with characters that do not print.
    """
    text = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        raise InvalidOption(f"A name has 1 to {MAX_NAME_LENGTH} characters, this one {len(text)}.")
    if found := hidden(text):
        raise InvalidOption(f"A name has no control characters, this one U+{ord(found[0]):04X}.")
    return " ".join(text.split())


def hidden(text: str) -> list[str]:
    """Characters that do not print, and so could hide or turn the rest; joiners, which spell, are none."""
    return [c for c in text if c not in _JOINERS and unicodedata.category(c).startswith(("C", "Zl", "Zp"))]


def name_key(name: str) -> str:
    """Fold a clean name to the form under which it is looked up: upper and lower case are the same."""
    return unicodedata.normalize("NFC", name.casefold())
