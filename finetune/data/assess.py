"""Model feature assessment (X²-DFD 2024): which cues of a forgery can this model see?

Run: ``python -m facewitness.finetune.data.assess --data PATH --out cues.json [--model URL#NAME?vision] [--limit N]``

The model, the embedded one if none is named, is asked every cue's question about photos and forgeries of the fit split.
A cue is strong if its probability of "yes" separates forged from authentic beyond chance; the engine ``features`` then
tells the strong cues and leaves the others to tools.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from ...agent import chat_models, lookers
from ...agent.sight import Look, Looker
from ...errors import FacewitnessError, InvalidOption, ModelAnswerInvalid
from . import cues, forgery, making
from .catalogue import Shot, shots
from .sight import Made

_RESAMPLES = 2000
_YES, _NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class Rank:
    """How well a cue separates, from the model's own answers.

    Attributes:
        cue: Name in ``cues.CUES``.
        auc: Probability that a forged picture's "yes" is more probable than an authentic one's; ties count half.
        low, high: 95 % interval, by bootstrap over pictures.
        unclear: Answers that are neither yes nor no; they count as 0.5.
    """

    cue: str
    auc: float
    low: float
    high: float
    unclear: int

    @property
    def strong(self) -> bool:
        """Whether it separates beyond chance."""
        return self.low > 0.5


def ask(looker: Looker, made: Made, cue: str) -> float | None:
    """Probability of "yes" against "no"; None where the model answers with neither.

    Raises:
        ModelUnavailable: No answer, or a server that gives no probabilities.
    """
    look = Look(cues.CUES[cue].question, ("face",), "The answer is", (_YES, _NO))
    try:
        return looker.probabilities(look, [made.rgb])[_YES]
    except ModelAnswerInvalid:
        return None


def ranked(answers: Mapping[str, Sequence[float | None]], is_forged: Sequence[bool], seed: int = 0) -> list[Rank]:
    """Cues from the best to the worst.

    Args:
        answers: By cue, one number a picture.
        is_forged: The truth of each picture.
        seed: Of the bootstrap.
    """
    truth = np.array(is_forged)
    rng = np.random.default_rng(seed)
    forged, real = np.flatnonzero(truth), np.flatnonzero(~truth)
    draws = [(rng.choice(forged, len(forged)), rng.choice(real, len(real))) for _ in range(_RESAMPLES)]
    found = []
    for cue, said in answers.items():
        values = np.array([0.5 if p is None else p for p in said])
        low, high = np.percentile([_auc(values[f], values[r]) for f, r in draws], (2.5, 97.5))
        found.append(Rank(cue, _auc(values[forged], values[real]), float(low), float(high), said.count(None)))
    return sorted(found, key=lambda rank: -rank.auc)


def _auc(
    forged: np.ndarray[tuple[int], np.dtype[np.float64]], real: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    difference = np.sign(forged[:, None] - real[None])
    return float((difference.mean() + 1) / 2)


def pictures(photos: Sequence[Shot], limit: int, seed: int) -> Iterator[Made]:
    """Pictures of the fit split, as many authentic as forged ones; generated faces are a third of the forged."""
    pool = making.pool(photos)["fit"]
    labels = ("authentic", "manipulated", "authentic", "manipulated", "authentic", "synthetic")
    for number in range(limit):
        rng = np.random.default_rng((seed, 6, number))
        pair = forgery.pair(pool, labels[number % len(labels)], rng)
        if pair is not None:
            yield making.sent(pair[0], rng)


def assess(looker: Looker, asked: Sequence[Made]) -> list[Rank]:
    """Ask every cue of every picture, and rank.

    Raises:
        InvalidOption: Only one kind of picture is there.
        ModelUnavailable: The model does not answer.
    """
    truth = [made.label != "authentic" for made in asked]
    if len(set(truth)) < 2:
        raise InvalidOption("Authentic and forged pictures are both needed.")
    return ranked({name: [ask(looker, made, name) for made in asked] for name in cues.CUES}, truth)


def main() -> None:
    """Assess a model and store what it sees."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.data.assess")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="URL#NAME?vision; the embedded one if not given")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=120, help="pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        looker = lookers.opened(chat_models.open_model(options.model))
        if looker is None:
            raise InvalidOption('Only a model that sees can be assessed: name a server with "?vision".')
        ranks = assess(looker, list(pictures(shots(options.data), options.limit, options.seed)))
    except FacewitnessError as error:
        sys.exit(f"{error.code}: {error}")
    strong = [rank.cue for rank in ranks if rank.strong]
    found = {"strong": strong, "ranks": [asdict(rank) for rank in ranks], "model": looker.card().name}
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"strong: {', '.join(strong) or 'none'}")


if __name__ == "__main__":
    main()
