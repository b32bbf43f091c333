"""The model that looks, asked once: its answers are kept in a file, so that a second run only counts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..agent.sight import Look
from ..finetune.data.sample import Sample
from ..tools.image import RGBImage
from .sight_samples import Pictures, faces

LONGEST = 128
"""Tokens of an answer about a picture alone."""


class Model(Protocol):
    """What ``agent.sight_model.EmbeddedSight`` does."""

    def probabilities(self, look: Look, faces: Sequence[RGBImage]) -> dict[str, float]:
        """Of each answer."""

    def write(
        self,
        look: Look,
        faces: Sequence[RGBImage],
        max_tokens: int = LONGEST,
        stream: Callable[[str], None] | None = None,
    ) -> str:
        """The whole answer."""


class Kept:
    """Values by key, in a file of JSON lines that only grows.

    Args:
        file: Where; None keeps them in memory.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file and file.is_file() else []
        self._values: dict[str, Any] = {row["key"]: row["value"] for row in map(json.loads, lines)}

    def value(self, key: str, make: Callable[[], Any]) -> Any:
        """What is kept; made, and kept, if it is not there."""
        if key not in self._values:
            self._values[key] = make()
            if self._file:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps({"key": key, "value": self._values[key]}) + "\n")
        return self._values[key]


class Asked:
    """A model, and what it has answered.

    Args:
        model: Is asked what is not kept.
        kept: Answers of the same weights.

    Attributes:
        model: The same.
        questions: How many different ones there were, by kind.
    """

    def __init__(self, model: Model, kept: Kept) -> None:
        self.model = model
        self._kept = kept
        self._seen: set[str] = set()
        self.questions: Counter[str] = Counter()

    def probabilities(self, look: Look, faces: Sequence[RGBImage]) -> NDArray[np.float64]:
        """(answers,) in the order of the question."""
        key = self._key("probabilities", look, faces)
        found = self._kept.value(key, lambda: self.model.probabilities(look, faces))
        return np.array([found[answer] for answer in look.answers])

    def write(self, look: Look, faces: Sequence[RGBImage], longest: int = LONGEST) -> str:
        """The whole answer."""
        key = self._key(f"words, at most {longest}", look, faces)
        return str(self._kept.value(key, lambda: self.model.write(look, faces, longest)))

    def _key(self, kind: str, look: Look, faces: Sequence[RGBImage]) -> str:
        found = hashlib.sha256(json.dumps([kind, look.prompt, look.opening, look.answers]).encode())
        for face in faces:
            found.update(hashlib.sha256(face.tobytes()).digest())
        if (key := found.hexdigest()) not in self._seen:
            self._seen.add(key)
            self.questions[kind] += 1
        return key


def table(
    asked: Asked, samples: Sequence[Sample], ask: Callable[[Sample], Look], pictures: Pictures = faces
) -> NDArray[np.float64]:
    """(n, answers) probabilities."""
    return np.stack([asked.probabilities(ask(sample), pictures(sample)) for sample in samples])
