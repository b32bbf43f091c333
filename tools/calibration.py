"""From a detector's raw score to a calibrated probability, by parameters kept in a JSON file."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InvalidOption
from . import weights
from .evidence import ModelCard


@dataclass(frozen=True, slots=True)
class Calibration:
    """Maps logits of one exact detector to the probability that the face is forged.

    Without knots it is Platt scaling, ``sigmoid(slope * logit + bias)`` (Platt 1999); a bias of 0 is temperature
    scaling with temperature ``1 / slope`` (Guo et al. 2017). With knots it is isotonic: linear between them, level
    beyond the first and the last (Zadrozny and Elkan 2002).

    Attributes:
        detector: Name on the detector's card.
        version: Version on the card.
        sha256: Digest on the card; None for a detector without weights.
        slope: Greater than 0.
        bias: Added after the slope.
        knots: (logit, probability) pairs, both rising; empty for Platt or temperature scaling.
        least: Probabilities are kept within ``least`` and ``1 - least``: few photos cannot show more.
        prior: Share of forged faces at which the probability is right.
        real: Authentic faces it was fitted on.
        forged: Forged faces it was fitted on.
        data: What those were, for a reader.
    """

    detector: str
    version: str
    sha256: str | None
    slope: float
    bias: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    least: float = 0.0
    prior: float = 0.5
    real: int = 0
    forged: int = 0
    data: str = ""

    def fits(self, card: ModelCard) -> bool:
        """Whether it was fitted for exactly this card: name, version and digest."""
        return (self.detector, self.version, self.sha256) == (card.name, card.version, card.sha256)

    def probabilities(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of the shape of ``logits`` (any; greater means more forged), within 0..1."""
        raw = np.asarray(logits, np.float64)
        if self.knots:
            x, y = np.array(self.knots).T
            found = np.interp(raw, x, y)
        else:
            # Written with tanh: no overflow at large scores.
            found = 0.5 * (1 + np.tanh((self.slope * raw + self.bias) / 2))
        return np.asarray(np.clip(found, self.least, 1 - self.least))

    def probability(self, logit: float) -> float:
        """Probability that the face with this score is forged."""
        return float(self.probabilities(logit))

    def to_json(self) -> str:
        """The file's text, one field a line."""
        return _Stored(**asdict(self)).model_dump_json(indent=1) + "\n"


Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Stored(BaseModel):
    """The file's schema; ``Calibration`` says what the fields mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str
    version: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    slope: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    bias: Finite = 0.0
    knots: tuple[tuple[Finite, Share], ...] = ()
    least: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    prior: Annotated[float, Field(gt=0, lt=1)] = 0.5
    real: Annotated[int, Field(ge=0)] = 0
    forged: Annotated[int, Field(ge=0)] = 0
    data: str = ""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        logits, probabilities = [x for x, _ in self.knots], [y for _, y in self.knots]
        if len(set(logits)) < len(logits) or logits != sorted(logits) or probabilities != sorted(probabilities):
            raise ValueError("the knots do not rise")
        return self


def parse(text: str | bytes) -> Calibration:
    """Read a calibration from JSON.

    Raises:
        InvalidOption: The text is not one that ``Calibration.to_json`` writes.
    """
    try:
        stored = _Stored.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise InvalidOption(f"The calibration is not valid: {place}: {problem['msg']}.") from None
    return Calibration(**stored.model_dump())


def load(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        InvalidOption: It cannot be read or is not a calibration.
    """
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise InvalidOption(f"The calibration {path.name} cannot be read ({error.strerror}).") from None


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration file that ``load`` reads; the same parameters give the same bytes."""
    path.write_text(calibration.to_json(), "utf-8")


def path_for(card: ModelCard) -> Path:
    """Where the user's calibration of a model is looked for: a folder beside the store of weights."""
    return weights.store().parent / "calibrations" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', card.name)}.json"


def find(card: ModelCard) -> Calibration | None:
    """The user's calibration of exactly this card; one of another version or of other weights does not count.

    Raises:
        InvalidOption: The file is damaged.
    """
    path = path_for(card)
    found = load(path) if path.is_file() else None
    return found if found is not None and found.fits(card) else None


def logit(probability: float) -> float:
    """Inverse of the sigmoid, for detectors that hand out a probability; kept finite within 30 of 0."""
    p = min(max(probability, 1e-13), 1 - 1e-13)
    return math.log(p / (1 - p))
