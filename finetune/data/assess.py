"""Model feature assessment (X²-DFD 2024): which cues of a forgery can this model see?

Run: ``python -m facewitness.finetune.data.assess --data PATH --model URL#NAME?vision --out cues.json [--limit N]``

The model is asked every cue's question about photos and forgeries of the fit split. A cue is strong if a "yes"
separates forged from authentic beyond chance; the engine ``features`` then tells the strong cues and leaves the others
to tools.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ...agent import chat_models
from ...agent.explain import data_uri
from ...errors import FacewitnessError, InvalidOption, ModelUnavailable
from . import cues, forgery, making
from .catalogue import Shot, shots
from .sight import Made

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_RESAMPLES = 2000
_ANSWER = " Answer with one word: yes or no."


@dataclass(frozen=True, slots=True)
class Rank:
    """How well a cue separates, from the model's own answers.

    Attributes:
        cue: Name in ``cues.CUES``.
        auc: Probability that a forged picture gets the greater answer; a "yes" counts 1, a "no" 0, else 0.5.
        low, high: 95 % interval, by bootstrap over pictures.
        unclear: Answers that are neither.
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


def ask(model: BaseChatModel, made: Made, cue: str) -> float:
    """1.0 for yes, 0.0 for no, 0.5 for anything else.

    Raises:
        ModelUnavailable: No answer.
    """
    from langchain_core.messages import HumanMessage

    question = {"type": "text", "text": cues.CUES[cue].question + _ANSWER}
    picture = {"type": "image_url", "image_url": {"url": data_uri(made.rgb)}}
    try:
        said = str(model.invoke([HumanMessage([question, picture])]).text).strip().lower()
    except Exception as error:  # each client has its own tree of errors
        raise ModelUnavailable(f"The language model gave no answer ({type(error).__name__}).") from error
    return 1.0 if said.startswith("yes") else 0.0 if said.startswith("no") else 0.5


def ranked(answers: Mapping[str, Sequence[float]], is_forged: Sequence[bool], seed: int = 0) -> list[Rank]:
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
        values = np.array(said)
        low, high = np.percentile([_auc(values[f], values[r]) for f, r in draws], (2.5, 97.5))
        found.append(Rank(cue, _auc(values[forged], values[real]), float(low), float(high), int((values == 0.5).sum())))
    return sorted(found, key=lambda rank: -rank.auc)


def _auc(
    forged: np.ndarray[tuple[int], np.dtype[np.float64]], real: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    """For answers 0, 0.5 and 1: ties count half."""
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


def assess(model: BaseChatModel, asked: Sequence[Made]) -> list[Rank]:
    """Ask every cue of every picture, and rank.

    Raises:
        InvalidOption: The model reads no images, or only one kind of picture is there.
        ModelUnavailable: It does not answer.
    """
    if not chat_models.sees_images(model):
        raise InvalidOption('Only a model that sees can be assessed: name a server with "?vision".')
    truth = [made.label != "authentic" for made in asked]
    if len(set(truth)) < 2:
        raise InvalidOption("Authentic and forged pictures are both needed.")
    return ranked({name: [ask(model, made, name) for made in asked] for name in cues.CUES}, truth)


def main() -> None:
    """Assess a model and store what it sees."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.data.assess")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, help="URL#NAME?vision")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=120, help="pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        model = chat_models.open_model(options.model)
        if model is None:
            raise InvalidOption("There is no model to assess.")
        ranks = assess(model, list(pictures(shots(options.data), options.limit, options.seed)))
    except FacewitnessError as error:
        sys.exit(f"{error.code}: {error}")
    found = {"strong": [r.cue for r in ranks if r.strong], "ranks": [asdict(r) for r in ranks], "model": options.model}
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"strong: {', '.join(found['strong']) or 'none'}")


if __name__ == "__main__":
    main()
