"""What a system says of a sample, and a store of such answers by the content of what was asked."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from sys import intern
from typing import Any

from ..agent.sqlite import write_ahead
from ..agent.verdict import INCONCLUSIVE
from ..errors import InvalidOption

Box = tuple[float, float, float, float]
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        label: A verdict, a letter, a class, or ``inconclusive``; empty where there is none.
        score: Of the positive class, the greater the surer; None where the system gives none.
        probabilities: By label, where the system gives them.
        unscored: Why the sample cannot be scored, as a stable code; empty if it can.
        note: Why a score rests on no reading of this sample, as a stable code; it then stands at even odds.
        why: Either as a sentence.
        text: Words of the system: an explanation, or an answer.
        units: Intensity by number of the action unit, of those that are measured.
        present: 1 or 0 by number of the action unit.
        written, refused, dropped: Sentences of a language model, those that the check refused, and those left out.
        supported: Share of the explanation's sentences that their evidence supports; None without sentences.
        agrees: Whether the verdict that the explanation states is the one that was given; None if it states none.
        point: Where a map of alterations is strongest, x and y in pixels of the upright photo.
        face: Box of the examined face.
        marks: Boxes of what decided, with names.
        stated: Probability of a forgery that the prompt stated most strongly, as the model read it.
        psnr: Of the picture against the unchanged one, dB, where it was changed and kept its size.
        tokens: Of language models, as far as they count them.
        ms: Wall time, milliseconds.
        memory: Greatest resident size of the process so far, MiB.
    """

    label: str = ""
    score: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    unscored: str = ""
    note: str = ""
    why: str = ""
    text: str = ""
    units: Mapping[str, float] = field(default_factory=dict)
    present: Mapping[str, int] = field(default_factory=dict)
    written: int = 0
    refused: int = 0
    dropped: int = 0
    supported: float | None = None
    agrees: bool | None = None
    point: tuple[float, float] | None = None
    face: Box | None = None
    marks: tuple[tuple[str, Box], ...] = ()
    stated: float | None = None
    psnr: float | None = None
    tokens: int = 0
    ms: float = 0.0
    memory: float = 0.0

    @property
    def abstained(self) -> bool:
        """Whether it says that it cannot say."""
        return self.label == INCONCLUSIVE

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Answer:
        """From :meth:`to_json`; words that many answers share are in memory once."""
        fields = dict(held)
        for name in ("point", "face"):
            fields[name] = None if fields[name] is None else tuple(fields[name])
        fields["marks"] = tuple((intern(name), tuple(box)) for name, box in fields["marks"])
        for name in ("label", "unscored", "note", "why", "text"):
            fields[name] = intern(fields[name])
        for name in ("probabilities", "units", "present"):
            fields[name] = {intern(of): value for of, value in fields[name].items()} or _NOTHING
        return cls(**fields)


def unscored(code: str, why: str) -> Answer:
    """An answer that says why there is none."""
    return Answer(unscored=code, why=why)


def key(**asked: Any) -> str:
    """Hash of everything that an answer depends on."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Store:
    """Answers by key in one SQLite file; each is on the disk before the next is asked for.

    Args:
        file: Created if missing.

    Raises:
        InvalidOption: The file cannot be used.
    """

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            write_ahead(self._database)
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        except (OSError, sqlite3.Error) as error:
            raise InvalidOption(f"Answers cannot be kept in {file.name}: {error}.") from error

    def get(self, name: str) -> Answer | None:
        """The answer of this key, if there is one."""
        with self._lock:
            row = self._database.execute("SELECT answer FROM answers WHERE key = ?", (name,)).fetchone()
        return None if row is None else Answer.from_json(json.loads(row[0]))

    def put(self, name: str, answer: Answer) -> None:
        """Keep it; memory is of the process that gave it and is not kept."""
        held = json.dumps(replace(answer, memory=0.0).to_json())
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (name, held))

    def __len__(self) -> int:
        """How many are kept."""
        with self._lock:
            return int(self._database.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Release the file."""
        self._database.close()
