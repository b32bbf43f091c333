"""What an adapter learned from one photo adds: people left out of training, with the photo and with the adapter.

Run: ``python -m facewitness.evals.person_adapter --data PATH --out evals/results/person_adapter.json``

Each person's neutral photo of the London set is what the model knows of the person; their smiling photo, forgeries
of it and look-alikes' smiling photos are asked about, by the probability of *the person*. Forgeries take a second face
and so are of other kinds than those that adapters are taught on. Other people to learn from are of the set's first
half.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..agent.looking import crop
from ..agent.sight import REFERENCE
from ..finetune import person, person_pictures
from ..finetune.comparisons import Volunteer, forgeries, frll, only_likeness, volunteers
from ..finetune.forge import chains
from ..finetune.person import Examiner, learn
from ..finetune.person_pictures import FORGERY, OTHER, OTHERS, PERSON, Picture
from ..tools.evidence import Evidence
from ..tools.face import FaceView
from ..tools.image import RGBImage
from . import metrics
from .sight_figures import drop, each

PEOPLE = 8
FORMS: Mapping[str, Callable[[RGBImage], RGBImage]] = {
    "as it is": lambda rgb: rgb,
    "JPEG 60": lambda rgb: chains.jpeg(rgb, 60),
}
"""Each picture, whatever it shows, is asked about in these."""
_AT = REFERENCE.answers.index(PERSON)


class Answer(NamedTuple):
    """Probabilities of *the person* for one picture, with the reference photo and with the adapter."""

    claimed: str
    label: str
    photo: float
    adapter: float


def main() -> None:
    """Learn, ask, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with frll_london")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--people", type=int, default=PEOPLE, help="how many; each takes minutes")
    parser.add_argument("--steps", type=int, default=person.STEPS)
    parser.add_argument("--model", type=Path, help="folder of sight.safetensors and sight.json, else the registered")
    options = parser.parse_args()
    examiner = person.opened(options.model)
    everybody = volunteers(options.data)
    start = time.perf_counter()
    answers, losses = asked(examiner, everybody, options.people, options.steps)
    result = {
        "model": {"sha256": examiner.sha256},
        "people": options.people,
        "steps": options.steps,
        "seconds a person": round((time.perf_counter() - start) / options.people),
        "loss of what was learned from": losses,
        **figures(answers),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def asked(
    examiner: Examiner, everybody: Sequence[Volunteer], people: int, steps: int
) -> tuple[list[Answer], list[dict[str, float]]]:
    """Answers about the first so many people of the test split, and the losses of their trainings.

    Args:
        examiner: The frozen model.
        everybody: All splits.
        people: How many are taught.
        steps: Of each training.
    """
    pictures = questions([one for one in everybody if one.split == "test"], people)
    strangers = [person_pictures.cut(one.neutral) for one in everybody if one.split == "fit"][:OTHERS]
    answers, losses = [], []
    for one in everybody:
        if one.name not in pictures:
            continue
        lesson = person_pictures.lesson([person_pictures.cut(one.neutral)], strangers, 0)
        learned = learn(examiner, lesson, steps, say=lambda text: print(text, file=sys.stderr))
        losses.append({"before": round(learned.before[0], 3), "after": round(learned.after[0], 3)})
        read = examiner.read([picture.rgb for picture in pictures[one.name]])
        known = examiner.tokens([crop(one.neutral)])[0], torch.from_numpy(learned.tokens)
        photo, adapter = (examiner.probabilities(read, reference)[:, _AT].tolist() for reference in known)
        labels = [picture.label for picture in pictures[one.name]]
        answers += [Answer(one.name, *row) for row in zip(labels, photo, adapter, strict=True)]
    return answers, losses


def questions(people: Sequence[Volunteer], count: int) -> dict[str, list[Picture]]:
    """What is asked about each of the first ``count`` people: the person, forgeries, and look-alikes."""
    crops: list[RGBImage] = []

    def keep(face: FaceView, *references: FaceView) -> tuple[Evidence, ...]:
        crops.append(crop(face))
        return only_likeness(face, *references)

    compared = list(chain(frll(list(people), keep), forgeries(list(people), keep, partners=1)))
    found: dict[str, list[Picture]] = {one.name: [] for one in people[:count]}
    for comparison, rgb in zip(compared, crops, strict=True):
        if comparison.claimed in found:
            found[comparison.claimed] += [Picture(form(rgb), comparison.label) for form in FORMS.values()]
    return found


def figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """AUC of the person against forgeries and against others, with intervals over people."""
    labels = np.array([answer.label for answer in answers])
    scores = {name: np.array([getattr(answer, name) for answer in answers]) for name in ("photo", "adapter")}
    weight = metrics.resamples([answer.claimed for answer in answers])
    result: dict[str, Any] = {"pictures": {label: int((labels == label).sum()) for label in (PERSON, FORGERY, OTHER)}}
    for label in (FORGERY, OTHER):
        taken = (labels == PERSON) | (labels == label)
        areas = {
            name: metrics.auc(labels[taken] == PERSON, score[taken], weight[:, taken]) for name, score in scores.items()
        }
        result[f"auc of the person against {label}"] = {
            **each(areas),
            "adapter less photo": drop(areas["adapter"], areas["photo"]),
        }
    return result


if __name__ == "__main__":
    main()
