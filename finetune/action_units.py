"""Recipe of tools/action_units.json: ``python -m facewitness.finetune.action_units --data PATH``.

The map is fitted on renders with known intensities (ict_synthetic_au, MIT). What renders cannot tell, the intensity
of a neutral real face, comes from the development half of the people of LFW (lfw_pairs_aligned); the other half and
all of frll_london are left for evals/action_units.py. The units of ``action_units.MEASURED`` also respond on photos;
of the others those are added that pass ``_useful``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..tools import action_units
from .labelled_faces import Array, Faces, development, press, renders

OUT = Path(action_units.__file__).with_name("action_units.json")
POWERS = (1.0, 0.5)
"""The fourth root is not better by more than its error, and amplifies what is near 0."""
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FOLDS = 5
SHARE_BELOW = 95
"""Percent of faces without the unit that its threshold leaves out."""
PRECISION_MIN = 0.9
"""Share of right answers that an expression must reach on the development half to be named."""
RENDER_AUC_MIN = 0.95
"""AUC on people left out from which a unit may be shown that is validated on renders only."""
PRESENT_MAX = {"neutral": 0.1, "happiness": 0.25}
"""Share of the development photos of each label that may set off such a unit: what every smile sets off says no more
than AU12."""
NAMED = dict(
    zip(
        action_units.NAMES,
        """browInnerUp browOuterUp browDown eyeWide eyeSquint eyeSquint noseSneer mouthUpperUp mouthSmile mouthDimple
            mouthFrown mouthLowerDown mouthShrugLower mouthPucker mouthStretch mouthFunnel mouthPress jawOpen
            mouthRollLower eyeBlink""".split(),
        strict=True,
    )
)
"""The one blendshape that comes nearest to each unit."""
SHOWN_BY = {12: "happiness", 26: "surprise"}
"""Labels of real photos that a unit should tell from neutral; AU43 has none."""
UPPER = (1, 2, 4, 5, 6, 7, 43)
BOTH = (9,)
"""The nose wrinkler lies between: its own blendshape is dead, brows and upper lip show it."""


class Setting(NamedTuple):
    """Power of the blendshapes and strength of the ridge penalty."""

    power: float
    ridge: float


def folds(people: Array) -> list[Array]:
    """Masks of the photos of one fifth of the people each."""
    names = np.unique(people)
    return [np.isin(people, names[start::FOLDS]) for start in range(FOLDS)]


def columns(number: int, local: bool = True) -> Array:
    """Features that the map of a unit reads: those of its part of the face, or all."""
    upper = np.array([name.startswith(("brow", "eye", "cheek")) for name in action_units.FEATURES])
    if not local or number in BOTH:
        return np.ones_like(upper)
    return upper if number in UPPER else ~upper


def fit(faces: Faces, setting: Setting, local: bool = True) -> tuple[Array, Array]:
    """Ridge regression by unit.

    Returns:
        (31, 20) weights and (20,) biases.
    """
    seen = action_units.features(faces.blendshapes, setting.power)
    weights = np.zeros((seen.shape[1], faces.units.shape[1]))
    middle = seen.mean(0)
    for column, number in enumerate(action_units.NAMES):
        used = columns(number, local)
        x, y = (seen - middle)[:, used], faces.units[:, column] - faces.units[:, column].mean()
        weights[used, column] = np.linalg.solve(x.T @ x + setting.ridge * np.eye(x.shape[1]), x.T @ y)
    return weights, faces.units.mean(0) - middle @ weights


def apply(faces: Faces, setting: Setting, fitted: tuple[Array, Array]) -> Array:
    """(n, 20) predictions."""
    return np.asarray(action_units.features(faces.blendshapes, setting.power) @ fitted[0] + fitted[1])


def out_of_fold(faces: Faces, setting: Setting, local: bool = True) -> Array:
    """(n, 20) predictions for people that the map has not seen."""
    predicted = np.zeros_like(faces.units)
    for held in folds(faces.people):
        predicted[held] = apply(faces.of(held), setting, fit(faces.of(~held), setting, local))
    return predicted


def auc(positive: Array, score: Array) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, score))


def mean_auc(units: Array, predicted: Array) -> float:
    """Mean over the 20 units of present (any intensity) against absent."""
    return float(np.mean([auc(units[:, k] > 0, predicted[:, k]) for k in range(units.shape[1])]))


def select(faces: Faces, local: bool = True) -> Setting:
    """Cross-validate over people: the best power, with the strongest penalty within one standard error of the best.

    What is fitted less to renders should transfer better to photos (one-standard-error rule, Breiman et al. 1984).
    """
    table = {}
    for power in POWERS:
        for ridge in RIDGES:
            predicted = out_of_fold(faces, Setting(power, ridge), local)
            parts = [mean_auc(faces.units[held], predicted[held]) for held in folds(faces.people)]
            table[Setting(power, ridge)] = (np.mean(parts), np.std(parts, ddof=1) / np.sqrt(FOLDS))
    best = max(table, key=lambda setting: table[setting][0])
    enough = table[best][0] - table[best][1]
    return max(setting for setting, (value, _) in table.items() if setting.power == best.power and value >= enough)


def repeated(scores: Array, people: Array) -> Array:
    """Absolute differences between the first two photos of each person who has two."""
    pairs = [np.flatnonzero(people == name)[:2] for name in np.unique(people)]
    return np.array([abs(scores[a] - scores[b]) for a, b in (pair for pair in pairs if len(pair) == 2)])


def nested(faces: Faces, local: bool = True) -> tuple[Array, list[Setting]]:
    """Predictions for people left out, each fold with a setting chosen on its own training people."""
    predicted, settings = np.zeros_like(faces.units), []
    for held in folds(faces.people):
        training = faces.of(~held)
        settings.append(select(training, local))
        predicted[held] = apply(faces.of(held), settings[-1], fit(training, settings[-1], local))
    return predicted, settings


def named(number: int) -> Array:
    """(31,) weights of the one blendshape that comes nearest to a unit."""
    return np.array([float(name == NAMED[number]) for name in action_units.FEATURES])


def _better(number: int, ridge: Array, seen: Array, expressions: Array) -> Array:
    """Ridge or one blendshape, whichever tells the unit's expression from neutral on real development photos.

    Without such photos: one blendshape for AU43, and ridge for what is tested on renders, where it is the better one
    for every unit that reaches ``RENDER_AUC_MIN``.
    """
    if number not in action_units.MEASURED:
        return ridge
    if number not in SHOWN_BY:
        return named(number)
    used = np.isin(expressions, [SHOWN_BY[number], "neutral"])
    shown = expressions[used] == SHOWN_BY[number]
    return max((named(number), ridge), key=lambda weights: auc(shown, seen[used] @ weights))


def _unit(number: int, ridge: Array, power: float, faces: Faces, real: Faces) -> dict[str, Any]:
    """Choose and scale the map of one unit: 0 at the median neutral real face, 1 at the mean full unit of renders."""
    seen = action_units.features(real.blendshapes, power)
    weights = _better(number, ridge, seen, real.expressions)
    rendered = action_units.features(faces.blendshapes, power) @ weights
    level = faces.units[:, list(action_units.NAMES).index(number)]
    slope, start = np.polyfit(level, rendered, 1)
    neutral = real.expressions == "neutral"
    zero = float(np.median(seen[neutral] @ weights))
    at_rest = (seen[neutral] @ weights - zero) / slope
    absent = (rendered[level == 0] - start) / slope
    return {
        "weights": {n: round(float(w / slope), 5) for n, w in zip(action_units.FEATURES, weights, strict=True) if w},
        "bias": round(-zero / float(slope), 5),
        "present_above": round(max(float(np.percentile(part, SHARE_BELOW)) for part in (at_rest, absent)), 3),
        "changed_above": round(float(np.percentile(repeated(at_rest, real.people[neutral]), SHARE_BELOW)), 3),
    }


def _threshold(score: Array, right: Array) -> float:
    """Lowest score from which on ``PRECISION_MIN`` of the faces above it are right."""
    order = np.argsort(-score)
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(precision >= PRECISION_MIN)
    return float(score[order[reached[-1]]])


def _useful(unit: Any, real: Faces, power: float) -> bool:
    """Whether neutral and smiling development photos leave a unit alone that no photo was labelled for."""
    present = _score(unit, real, power) > unit["present_above"]
    return all(present[real.expressions == word].mean() <= most for word, most in PRESENT_MAX.items())


def _score(unit: Any, faces: Faces, power: float) -> Array:
    weights = np.array([unit["weights"].get(name, 0.0) for name in action_units.FEATURES])
    return np.asarray(action_units.features(faces.blendshapes, power) @ weights + unit["bias"])


def train(faces: Faces, real: Faces) -> dict[str, Any]:
    """All parameters; ``real`` is the development half."""
    setting = select(faces)
    ridge, _ = fit(faces, setting)
    left_out, _ = nested(faces)
    place = list(action_units.NAMES).index
    others = (number for number in action_units.NAMES if number not in action_units.MEASURED)
    units = {}
    for number in (*action_units.MEASURED, *others):
        column = place(number)
        unit = _unit(number, ridge[:, column], setting.power, faces, real)
        held_out = auc(faces.units[:, column] > 0, left_out[:, column])
        if number in action_units.MEASURED or (held_out >= RENDER_AUC_MIN and _useful(unit, real, setting.power)):
            units[str(number)] = unit
    read = {n: _score(units[n], real, setting.power) for n in ("12", "26")}
    smile, open_jaw = read["12"], read["26"] > units["26"]["present_above"]
    expression = {
        "happiness": round(_threshold(smile, real.expressions == "happiness"), 3),
        "neutral": round(-_threshold(-smile[~open_jaw], real.expressions[~open_jaw] == "neutral"), 3),
    }
    return {"power": setting.power, "units": units, "expression": expression}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with ict_synthetic_au and lfw_pairs_aligned")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    photos = press(chosen.data)
    parameters = train(renders(chosen.data), photos.of(development(photos.people)))
    chosen.out.write_text(json.dumps(parameters, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
