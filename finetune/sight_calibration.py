"""Fit how the vision-language model's looks are read and weighed; writes parts of ``tools/sight.json`` and fusion.

Run: ``python -m facewitness.finetune.sight_calibration --data PATH --forgeries SET --looks FILE``

FILE is an ``.npz``; where it is not there yet the model looks first, some 1,500 times. What a look states is calibrated
by a line on the logit (Platt 1999). Fusion adds it to what the other tools say, whose own reading stays as it was
fitted: one slope for the look at the face, two for the look at both, none of them negative. They are kept only where
people left out are surely told better with them than without. Calibration split only. The model was shown the methods
of these forgeries, so what is fitted holds for those, and flatters it on others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from ..agent import fusion
from ..agent.fusion import Calibration
from ..agent.lookers import Embedded
from ..agent.sight import Line
from ..agent.sight_weights import SETTINGS
from ..agent.traces import LookWeights, Traced, TraceWeights, logit
from ..agent.verdict import REFERENCE_LABELS, SINGLE_LABELS
from ..errors import InvalidOption
from ..tools import weights
from ..tools.forensic_network import WEIGHTS as DETECTORS
from . import sight_looks
from .fusion import TARGET, UNIFORM, alike
from .sight_looks import Looks, Sample
from .trace_calibration import FALSE_ALARMS, THRESHOLD
from .training import command

FOLDS, ROUNDS = 5, 2000
STEEPEST = 3.0
_LABELS: Mapping[str, str] = {"real": SINGLE_LABELS[0], "synthesis": SINGLE_LABELS[2]}  # what is left is manipulated

Array = NDArray[np.float64]
Losses = Callable[[Array], Array]
"""Slopes to (n,) negative logarithms of the probability of the truth."""


def main() -> None:
    """Look, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with lfw_pairs_aligned and frll_london")
    parser.add_argument("--forgeries", type=Path, required=True, help="what finetune.forgery_set wrote")
    parser.add_argument("--looks", type=Path, required=True, help="what was seen; made if it is not there")
    options = parser.parse_args()
    command(lambda: run(options.data, options.forgeries, options.looks))


def run(data: Path, forgeries: Path, file: Path) -> None:
    """Fit to the looks in ``file``, and write.

    Raises:
        InvalidOption: They are of other weights than those in use.
        ModelError, WeightsError: The model cannot look.
    """
    looker = Embedded()
    if not file.exists():
        sight_looks.save(sight_looks.measured(data, forgeries, looker), file)
    looks = sight_looks.load(file)
    if looks.sha256 != looker.card().sha256:
        raise InvalidOption("These looks are of other weights than those in use; name another file.")
    lines, weighed = fit(looks, fusion.calibration())
    calibration = {name: {"slope": line.slope, "intercept": line.intercept} for name, line in lines.items()}
    _store(Path(weights.__file__).with_name(SETTINGS), "calibration", calibration)
    _store(TARGET, "sight", weighed)
    print(json.dumps({"calibration": calibration, "sight": weighed}, indent=1))


def _store(file: Path, name: str, values: Mapping[str, Any]) -> None:
    held = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**held, name: values}, indent=1) + "\n", encoding="utf-8")


def fit(looks: Looks, fitted: Calibration) -> tuple[dict[str, Line], dict[str, Any]]:
    """The lines of ``sight.json``, and what ``fusion.json`` holds of looks."""
    views, pairs = _usable(looks.views), looks.comparisons
    forged = line(views.forged, labels(views) != SINGLE_LABELS[0], weights_of(views), views.source)
    met = pairs.of(~np.isnan(pairs.same))
    same = line(met.same, met.label == REFERENCE_LABELS[0], weights_of(met), met.source)
    views = replace(views, forged=read(views.forged, forged))
    pairs = replace(pairs, forged=read(pairs.forged, forged), same=read(pairs.same, same))
    by = fitted.traces[DETECTORS]
    (slope,), alone = kept(lambda s: view_losses(views, s, by), 1, weights_of(views), views.person)
    weighed = LookWeights(looks.sha256, float(slope), (THRESHOLD,) * 3, (0.0, 0.0))
    weighed = replace(weighed, needed=needed(views, weighed, by))
    balance = alike(kinds(pairs))
    before = without_both(pairs, replace(fitted, look=weighed))
    unlike, both = kept(lambda s: pair_losses(pairs, s, before), 2, balance, pairs.person)
    return {"forged": forged, "same": same}, {
        "sha256": looks.sha256,
        "forged": round(float(slope), 4),
        "needed": [round(value, 5) for value in weighed.needed],
        "unlike": [round(float(value), 4) for value in unlike],
        "calibration_split": {
            "face": {**alone, "AUC": _areas(views, weighed, by)},
            "face and reference": both,
        },
    }


def line(stated: Array, truth: NDArray[np.bool_], weight: Array, source: NDArray[np.str_]) -> Line:
    """Platt's calibration, to four decimals.

    A look that tells nothing, or the reverse, becomes even odds; so does one that only tells one source from another.
    """
    mixed = [rows for one in np.unique(source) if len(np.unique(truth[rows := source == one])) > 1]
    if mixed and np.mean([roc_auc_score(truth[rows], stated[rows]) for rows in mixed]) <= 0.5:
        return Line(0.0, 0.0)
    model = LogisticRegression(C=1e4, max_iter=5000).fit(logit(stated)[:, None], truth, weight * len(weight))
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Line(round(slope, 4), round(intercept, 4)) if slope > 0 else Line(0.0, 0.0)


def read(stated: Array, line: Line) -> Array:
    """Calibrated; nan stays."""
    return np.array([value if np.isnan(value) else line(value) for value in stated])


def kept(losses: Losses, slopes: int, weight: Array, people: NDArray[np.str_]) -> tuple[Array, dict[str, Any]]:
    """Slopes with the least loss; zeros unless people left out are surely told better with such slopes than without.

    Returns:
        The slopes, and how it stood.
    """

    def best(rows: NDArray[np.intp]) -> Array:
        def loss(at: Array) -> float:
            return float(weight[rows] @ losses(at)[rows] / weight[rows].sum())

        starts = [np.full(slopes, start) for start in (0.1, 1.0)]  # the loss has kinks
        found = [minimize(loss, start, method="L-BFGS-B", bounds=[(0, STEEPEST)] * slopes) for start in starts]
        result: Array = min(found, key=lambda one: float(one.fun)).x
        return result

    nothing, left_out = np.zeros(slopes), np.zeros(len(weight))
    for rest, fold in GroupKFold(FOLDS).split(weight, groups=people):
        left_out[fold] = losses(best(rest))[fold]
    before = losses(nothing)
    least = _least(weight * (before - left_out), people)
    stood = {
        "pictures": len(weight),
        "loss without looks": round(float(weight @ before), 4),
        "loss with looks": round(float(weight @ left_out), 4),
        "gain, 95 % sure": round(least, 4),
    }
    return best(np.arange(len(weight))) if least > 0 else nothing, stood


def _least(gain: Array, people: NDArray[np.str_]) -> float:
    """What 95 of 100 draws of as many people gain at least."""
    _, who = np.unique(people, return_inverse=True)
    each = np.bincount(who, gain)
    drawn = np.random.default_rng(0).multinomial(len(each), np.full(len(each), 1 / len(each)), ROUNDS)
    return float(np.quantile(drawn @ each, 0.05))


def view_losses(views: Sample, slopes: Array, by: TraceWeights) -> Array:
    """Of forged against authentic at even odds, by the detectors and the look at the face."""
    ratio = _odds(views, LookWeights("", float(slopes[0]), UNIFORM, (0.0, 0.0)), by)
    forged = labels(views) != SINGLE_LABELS[0]
    return np.log1p(np.where(forged, 1 / ratio, ratio))


def without_both(pairs: Sample, fitted: Calibration) -> Array:
    """(n, 3) of the labels if they are equally likely beforehand, by all that is weighed but the look at both."""
    assert fitted.look is not None
    even, forged = replace(fitted, prior=UNIFORM), np.ones(len(pairs.label))
    known = pairs.traced
    forged[known] = _odds(pairs.of(known), fitted.look, fitted.traces[DETECTORS])
    rows = zip(pairs.similarity.tolist(), forged.tolist(), pairs.parts.tolist(), strict=True)
    found = [even.probabilities(s, ratio, None if np.isnan(parts) else parts) for s, ratio, parts in rows]
    return np.array([[said[label] for label in REFERENCE_LABELS] for said in found])


def pair_losses(pairs: Sample, slopes: Array, before: Array) -> Array:
    """Of the three labels, with the look at both."""
    weighed = LookWeights("", 0.0, UNIFORM, (float(slopes[0]), float(slopes[1])))
    gained = [weighed.gained(None if np.isnan(same) else same) for same in pairs.same.tolist()]
    odds = before * np.array([(1.0, *factors) for factors in gained])
    truth = [REFERENCE_LABELS.index(label) for label in pairs.label.tolist()]
    result: Array = np.log(odds.sum(1)) - np.log(odds[np.arange(len(truth)), truth])
    return result


def needed(views: Sample, weighed: LookWeights, by: TraceWeights) -> tuple[float, float, float]:
    """Probability that each label needs with the look, as ``trace_calibration`` finds it without."""
    real = views.of(np.flatnonzero(labels(views) == SINGLE_LABELS[0]))
    found = by.families(real.detectors, real.forged, weighed)
    groups = [found[real.source == source] for source in np.unique(real.source)]
    manipulated, synthetic = (
        max(THRESHOLD, *(float(np.quantile(group[:, k], 1 - FALSE_ALARMS)) for group in groups)) for k in (1, 2)
    )
    return THRESHOLD, manipulated, synthetic


def labels(sample: Sample) -> NDArray[np.str_]:
    """Labels of the verdict."""
    names = (*SINGLE_LABELS, *REFERENCE_LABELS)
    return np.array([name if name in names else _LABELS.get(name, SINGLE_LABELS[1]) for name in sample.label.tolist()])


def kinds(sample: Sample) -> list[tuple[str, str, str]]:
    """Label, source and method of each picture."""
    return list(zip(labels(sample).tolist(), sample.source.tolist(), sample.method.tolist(), strict=True))


def weights_of(sample: Sample) -> Array:
    """(n,) weights that sum to 1: the first label half, the two others the rest; within them sources, then methods."""
    weight = alike(kinds(sample))
    first = np.isin(labels(sample), (SINGLE_LABELS[0], REFERENCE_LABELS[0]))
    weight[first] /= 2 * weight[first].sum()
    weight[~first] /= 2 * weight[~first].sum()
    return weight


def _usable(views: Sample) -> Sample:
    return views.of(~np.isnan(views.forged) & views.traced)


def _odds(sample: Sample, weighed: LookWeights, by: TraceWeights) -> Array:
    """(n,) times that a forgery is likelier than an authentic face; a look that says nothing counts as even odds."""
    families = by.families(sample.detectors, np.nan_to_num(sample.forged, nan=0.5), weighed)
    return np.array([Traced((a, m, s)).forged for a, m, s in families.tolist()])


def _areas(views: Sample, weighed: LookWeights, by: TraceWeights) -> dict[str, float]:
    """On the pictures that it was fitted on, in the balance of the fit."""
    scores: Sequence[tuple[str, Array]] = (
        ("look", views.forged),
        ("detectors", _odds(views, replace(weighed, forged=0.0), by)),
        ("both", _odds(views, weighed, by)),
    )
    truth, weight = labels(views) != SINGLE_LABELS[0], weights_of(views)
    return {name: round(float(roc_auc_score(truth, score, sample_weight=weight)), 4) for name, score in scores}


if __name__ == "__main__":
    main()
