"""Action units and expression: ``python -m facewitness.evals.action_units --data PATH --out FILE``.

Renders of people left out, the test half of the people of LFW, and all of FRLL. No shipped parameter is fitted on the
two sets of photos; docs/models/action_units.md says which choices were made with their figures in view.
Intervals are 95 % percentiles of a bootstrap over people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..finetune import action_units as recipe
from ..finetune.labelled_faces import Faces, development, press, renders, studio
from ..tools import action_units, expression

Array = NDArray[Any]
Statistic = Callable[[Array], float]
"""Row numbers of the photos drawn, to a figure."""

RESAMPLES = 500
FLOORS = {
    "renders": {
        "one blendshape": {"raw": 0.844, "minus_own_neutral": 0.881},
        "ridge on 52 blendshapes": {"raw": 0.926, "minus_own_neutral": 0.971},
    },
    "frll": {"AU12 one blendshape": 0.945, "AU12 ridge": 0.934, "AU6 one blendshape": 0.747, "AU6 ridge": 0.759},
    "frll_direction": {"AU12": [0.96, 1.0], "AU6": [0.71, 0.82]},
}
"""Measured for this project beforehand with the same networks on another runtime; other draws of the folds."""


PRESS_LABELS = {
    12: "happiness",
    6: "happiness",
    26: "surprise",
    1: "surprise",
    2: "surprise",
    5: "surprise",
    4: "anger",
}
"""Which label of LFW each unit belongs to."""


def interval(people: Array, statistic: Statistic) -> dict[str, Any]:
    """A figure with its interval, people drawn with replacement."""
    rows = [np.flatnonzero(people == name) for name in np.unique(people)]
    random = np.random.default_rng(0)
    drawn = [
        statistic(np.concatenate([rows[k] for k in random.integers(0, len(rows), len(rows))])) for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    value = statistic(np.arange(len(people)))
    return {"value": round(value, 3), "low": round(float(low), 3), "high": round(float(high), 3), "people": len(rows)}


def auc(positive: Array, score: Array) -> float:
    """Area under the ROC curve by ranks; NaN if a resample holds one class only."""
    from scipy.stats import rankdata

    count = int(positive.sum())
    if not 0 < count < len(positive):
        return float("nan")
    ranks = rankdata(score)[positive].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (len(positive) - count)))


def minus_own_neutral(predicted: Array, faces: Faces) -> Array:
    """Predictions less those of the same person's neutral photo."""
    changed = predicted.copy()
    for name in np.unique(faces.people):
        own = faces.people == name
        changed[own] -= predicted[own & (faces.expressions == "neutral")].mean(0)
    return changed


def _unit_table(faces: Faces, predicted: Array) -> dict[str, Any]:
    shown = faces.units > 0
    units = range(shown.shape[1])
    mean = interval(
        faces.people, lambda rows: float(np.nanmean([auc(shown[rows, k], predicted[rows, k]) for k in units]))
    )
    return {
        "mean": mean,
        "units": {f"AU{n}": round(auc(shown[:, k], predicted[:, k]), 3) for k, n in enumerate(action_units.NAMES)},
    }


def _smile_as_cheek(faces: Faces, predicted: Array) -> float:
    """Share of pairs in which AU6 reads higher on a cheek raiser alone than on a smile alone; 0.5 is no difference."""
    order = list(action_units.NAMES)
    alone = (faces.units > 0).sum(1) == 1
    six, twelve = (alone & (faces.units[:, order.index(n)] > 0) for n in (6, 12))
    used = six | twelve
    return round(auc(six[used], predicted[used, order.index(6)]), 3)


def left_out(faces: Faces) -> dict[str, Any]:
    """ict_synthetic_au, people left out, by map."""
    one = action_units.features(faces.blendshapes, 1.0) @ np.array([recipe.named(n) for n in action_units.NAMES]).T
    whole, whole_settings = recipe.nested(faces, local=False)
    own, own_settings = recipe.nested(faces, local=True)
    maps = {"one blendshape": one, "ridge, whole face": whole, "ridge, own part of the face": own}
    return {
        "split": f"{recipe.FOLDS} folds over people; settings chosen inside the training people",
        "photos": len(faces.people),
        "settings": {"whole face": whole_settings, "own part of the face": own_settings},
        "maps": {
            name: {
                "raw": _unit_table(faces, predicted),
                "minus_own_neutral": _unit_table(faces, minus_own_neutral(predicted, faces)),
                "AU6_cheek_raiser_alone_against_smile_alone": _smile_as_cheek(faces, predicted),
            }
            for name, predicted in maps.items()
        },
        "validated_on_renders_only": {
            f"AU{n}": {
                "auc": interval(faces.people, partial(_column_auc, faces, own, list(action_units.NAMES).index(n))),
                "fitted_and_called_present": _called_present(faces, n),
            }
            for n in _renders_only()
        },
    }


def _renders_only() -> list[int]:
    return [n for n in action_units.parameters().units if n not in action_units.MEASURED]


def _column_auc(faces: Faces, predicted: Array, column: int, rows: Array) -> float:
    return auc(faces.units[rows, column] > 0, predicted[rows, column])


def _called_present(faces: Faces, number: int) -> dict[str, float]:
    """Share above the threshold by intensity, on the renders that the shipped map was fitted to."""
    level = faces.units[:, list(action_units.NAMES).index(number)]
    above = _present(faces, number)
    return {f"{value:g}": round(float(above[level == value].mean()), 3) for value in (0.0, 0.5, 1.0)}


def _present(faces: Faces, number: int) -> Array:
    limit = action_units.parameters().units[number].present_above
    return np.asarray(action_units.scores(faces.blendshapes)[number] > limit)


def _set_off(faces: Faces) -> dict[str, Any]:
    """Share of photos of each label that set off the units validated on renders only."""
    return {
        f"AU{n}": {
            str(word): interval(faces.people[used], partial(_share, _present(faces.of(used), n)))
            for word in np.unique(faces.expressions)
            for used in [faces.expressions == word]
        }
        for n in _renders_only()
    }


def _against_neutral(faces: Faces, word: str, score: Array, limit: float | None = None) -> dict[str, Any]:
    """AUC, share in the right direction from the person's own neutral photos, and share called present."""
    used = np.isin(faces.expressions, [word, "neutral"])
    people, shown, values = faces.people[used], faces.expressions[used] == word, score[used]
    both = [name for name in np.unique(people) if len(np.unique(shown[people == name])) == 2]
    risen = np.array(
        [values[(people == name) & shown].mean() > values[(people == name) & ~shown].mean() for name in both]
    )
    figures: dict[str, Any] = {
        "shown": int(shown.sum()),
        "neutral": int((~shown).sum()),
        "auc": interval(people, lambda rows: auc(shown[rows], values[rows])),
        "above_own_neutral": interval(np.array(both), partial(_share, risen)),
    }
    if limit is not None:
        figures["present"] = {
            word: round(float((values[shown] > limit).mean()), 3),
            "neutral": round(float((values[~shown] > limit).mean()), 3),
        }
    return figures


def _share(hits: Array, rows: Array) -> float:
    return float(hits[rows].mean())


def _expressions(faces: Faces) -> dict[str, Any]:
    """How often each label was given each name, and the share of right names."""
    scores = action_units.scores(faces.blendshapes)
    named = np.array(
        [expression.classify({n: float(values[k]) for n, values in scores.items()}) for k in range(len(faces.people))]
    )
    labels = np.where(faces.expressions == "smiling", "happiness", faces.expressions)
    given = {
        str(word): {str(label): int(((named == word) & (labels == label)).sum()) for label in np.unique(labels)}
        for word in ("happiness", "neutral", "unknown")
    }
    right = {}
    for word in ("happiness", "neutral"):
        hits = labels[named == word] == word
        right[word] = interval(faces.people[named == word], partial(_share, hits))
    return {"named": given, "right": right, "unknown": round(float((named == "unknown").mean()), 3)}


def photos(faces: Faces, pairs: dict[int, str], trained: Faces) -> dict[str, Any]:
    """Real people: the shipped units, the expression, and the two ridge maps beside them."""
    scores = action_units.scores(faces.blendshapes)
    limits = {number: unit.present_above for number, unit in action_units.parameters().units.items()}
    shipped = {
        f"AU{n} {word}": _against_neutral(faces, word, scores[n], limits[n]) for n, word in pairs.items() if n in scores
    }
    beside: dict[str, Any] = {}
    for name, local in (("ridge, whole face", False), ("ridge, own part of the face", True)):
        setting = recipe.select(trained, local)
        predicted = recipe.apply(faces, setting, recipe.fit(trained, setting, local))
        beside[name] = {
            f"AU{n} {word}": _against_neutral(faces, word, predicted[:, list(action_units.NAMES).index(n)])
            for n, word in pairs.items()
        }
    return {
        "photos": len(faces.people),
        "missed": faces.missed,
        "shipped": shipped,
        "for_comparison": beside,
        "present_of_validated_on_renders_only": _set_off(faces),
        "expression": _expressions(faces),
    }


def evaluate(data: Path) -> dict[str, Any]:
    """All figures."""
    rendered, photographed = renders(data), press(data)
    return {
        "floors": FLOORS,
        "renders": {"data": "ict_synthetic_au"} | left_out(rendered),
        "frll": {"data": "frll_london, all; not fitted on, but seen"}
        | photos(studio(data), {12: "smiling", 6: "smiling"}, rendered),
        "lfw": {"data": "lfw_pairs_aligned, test half of the people; not fitted on, but seen"}
        | photos(photographed.of(~development(photographed.people)), PRESS_LABELS, rendered),
    }


def _print(report: dict[str, Any]) -> None:
    for name, table in report["renders"]["maps"].items():
        raw, own = table["raw"]["mean"], table["minus_own_neutral"]["mean"]
        print(
            f"renders, {name:28s} mean AUC {raw['value']:.3f} [{raw['low']:.3f}, {raw['high']:.3f}]  "
            f"minus own neutral {own['value']:.3f} [{own['low']:.3f}, {own['high']:.3f}]"
        )
    for place in ("frll", "lfw"):
        part = report[place]
        for source, units in (("shipped", part["shipped"]), *part["for_comparison"].items()):
            for unit, row in units.items():
                area, own = row["auc"], row["above_own_neutral"]
                print(
                    f"{place}, {source:28s} {unit:16s} "
                    f"AUC {area['value']:.3f} [{area['low']:.3f}, {area['high']:.3f}]  "
                    f"above own neutral {own['value']:.3f} of {own['people']}"
                )
        print(f"{place}, expression: {part['expression']}")
        for unit, row in part["present_of_validated_on_renders_only"].items():
            shares = ", ".join(f"{word} {share['value']:.3f}" for word, share in row.items())
            print(f"{place}, validated on renders only, {unit} called present: {shares}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    report = evaluate(chosen.data)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _print(report)


if __name__ == "__main__":
    main()
