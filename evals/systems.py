"""The systems that are compared: the whole agent, and what each of its parts would say alone.

``agent``: the examination as users get it. ``tools``: the same without any language model. ``vlm``: a vision-language
model alone, which sees what the agent shows it. ``blind``: the same shown grey pictures. ``told``: the same beside the
forensic tools' findings; ``turned``: with the strongest probability among them turned round. ``similarity``: the cosine
of the faces alone. ``constant``: always the most frequent answer of the set, which sees nothing.
"""

from __future__ import annotations

import hashlib
import platform
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..agent import chat_models, fusion
from ..errors import FacewitnessError, InvalidOption, ModelUnavailable
from ..tools import weights
from .answers import Answer, unscored
from .benchmarks import Item
from .pictures import Material

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SYSTEMS = ("agent", "tools", "vlm", "blind", "told", "turned", "similarity", "constant")
CALIBRATED = ("agent", "tools", "vlm", "blind", "told", "turned")
"""Those whose score is a probability."""
EVEN = 0.5
PACKAGES = ("facewitness", "inspect-ai", "numpy", "scipy", "scikit-learn", "fairlearn", "opencv-python-headless")
_CODE = ("tools", "agent", "evals")


@dataclass(frozen=True, slots=True)
class System:
    """One system.

    Attributes:
        name: One of ``SYSTEMS``.
        model: What it was told of a language model; ``none`` without one.
        frequent: Most frequent truth by kind of question, for the constant guesser.
        switches: The benchmark's, of which the scorer of multiple choice is one.
    """

    name: str
    model: str
    frequent: Mapping[str, str]
    switches: Mapping[str, str]

    @property
    def identity(self) -> dict[str, Any]:
        """What its answers depend on, beside the question: two systems that are the same share their answers."""
        name = "tools" if self.name == "agent" and self.model == "none" else self.name
        if name == "constant":
            return {"system": name, "frequent": dict(self.frequent)}
        model = "none" if name in ("tools", "similarity") else self.model
        return {"system": name, "model": model, "scorer": self.switches.get("scorer", ""), **fingerprint()}

    def answer(self, item: Item, files: Material) -> Answer:
        """Its answer, with time and memory; a sample that it refuses is unscored.

        Raises:
            ModelUnavailable: A server did not answer, so that asking again may help.
        """
        started = time.perf_counter()
        try:
            found = _SYSTEMS[self.name](self, item, files)
        except ModelUnavailable:
            raise
        except FacewitnessError as error:
            found = unscored(error.code, str(error))
        spent = (time.perf_counter() - started) * 1000
        return replace(found, ms=round(spent, 1), memory=memory())


def memory() -> float:
    """Greatest resident size of this process so far, MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


@cache
def fingerprint() -> dict[str, str]:
    """Hashes of what takes part: answers of other weights, or of other code, are other answers."""
    held = {entry.name: entry.sha256 for entry in weights.entries()}
    return {"code": _code(), "fusion": fusion.card().sha256 or "", **held}


def versions() -> dict[str, str]:
    """Of Python and of the packages that figures come from."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def _code() -> str:
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for file in sorted(path for folder in _CODE for path in (root / folder).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def opened(model: str) -> BaseChatModel:
    """The chat model of a specification, opened once.

    Raises:
        InvalidOption: The specification cannot be used, or names none.
    """
    found = chat_models.open_model(model)
    if found is None:
        raise InvalidOption("A vision-language model is needed: --model URL#name?vision, or embedded.")
    return found


def _constant(system: System, item: Item, files: Material) -> Answer:
    del files
    if item.kind == "text":
        return unscored("system.no_words", "A constant guess answers no question in words.")
    if item.kind == "units":  # guessing absence would give F1 0, so the floor is to guess that all are present
        return Answer("present", units=dict.fromkeys(item.units, EVEN), present=dict.fromkeys(item.units, 1))
    label = system.frequent[item.kind]
    if item.kind not in ("forgery", "reference"):
        return Answer(label)
    return Answer(label, score=float(replace(item, truth=label).positive))


def _similarity(system: System, item: Item, files: Material) -> Answer:
    from .judges import similarity

    del system
    return similarity(item, files)


def _tools(system: System, item: Item, files: Material) -> Answer:
    from .judges import examined

    del system
    return examined(item, files, "none")


def _agent(system: System, item: Item, files: Material) -> Answer:
    from .judges import examined

    return examined(item, files, system.model if system.model == "none" else opened(system.model))


def _vlm(system: System, item: Item, files: Material) -> Answer:
    from .asked import looked

    return looked(item, files, opened(system.model), published=system.switches.get("scorer") == "published")


def _blind(system: System, item: Item, files: Material) -> Answer:
    from .asked import looked

    return looked(item, files, opened(system.model), system.switches.get("scorer") == "published", blind=True)


def _told(system: System, item: Item, files: Material) -> Answer:
    from .told import told

    return told(item, files, opened(system.model))


def _turned(system: System, item: Item, files: Material) -> Answer:
    from .told import told

    return told(item, files, opened(system.model), turned=True)


_SYSTEMS: Mapping[str, Callable[[System, Item, Material], Answer]] = {
    "agent": _agent,
    "tools": _tools,
    "vlm": _vlm,
    "blind": _blind,
    "told": _told,
    "turned": _turned,
    "similarity": _similarity,
    "constant": _constant,
}
