"""Fit the comparison with reference photos, part by part; writes ``tools/reference_comparison.json``.

Run: ``python -m facewitness.finetune.reference_comparison --data PATH --faces FOLDER``

``FOLDER``, outside the repository, keeps what was measured on the faces: half an hour on one core for the first run,
two minutes for another. The spaces and the logistic regressions are fitted on people of the split ``fit``; scale and
limits are set on people of the split ``calibration``; those of the split ``test`` are not looked at. Afterwards, put
the printed size and sha256 into ``tools/weights.toml``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ..tools.face import Floats
from ..tools.face_parts import PARTS
from ..tools.part_similarity import CUES, Reading, Signature, Spaces, alike, of_face, of_part, packed, signature
from ..tools.sface import STEPS
from . import part_spaces
from .part_faces import Faces, cached
from .part_pairs import GENUINE, OTHER, Pairs, pairs

VERSION = "1"
TARGET = Path(__file__).parents[1] / "tools" / "reference_comparison.json"
LEAST_AUC = 0.8
"""Of telling the part exchanged alone from the person's own, on calibration people; below, the part is not reported."""
FALSE_ALARMS = 0.002
"""Share of genuine photos of each source in which a part may differ; five parts make at most 1 % of photos."""
MISSED = 0.05
"""Share of exchanged parts that may agree."""
USUAL = 0.05
"""Share of genuine photos of each source below what is usual."""
_PENALTY = 0.1
_MORPHS_BELOW = 0.01  # share of morphs below the least cosine

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Share = tuple[Bools, float]
"""Comparisons, and their share of the weight."""


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with lfw_pairs_aligned and frll_london")
    parser.add_argument("--faces", type=Path, required=True, help="folder for measurements, outside the repository")
    options = parser.parse_args()
    faces = cached(options.data, options.faces, ("fit", "calibration"))
    fitted = fit(faces, pairs(options.data, faces))
    text = json.dumps(fitted) + "\n"
    TARGET.write_text(text, encoding="utf-8")
    print(f"size = {len(text)}\nsha256 = {hashlib.sha256(text.encode()).hexdigest()!r}")
    print(json.dumps({name: fitted[name] for name in ("parts", "not read", "least_cosine")}, indent=1))


def fit(faces: Faces, found: Pairs) -> dict[str, Any]:
    """Parameters as the file holds them; of the splits ``fit`` and ``calibration``."""
    upright, spaces = part_spaces.fit(faces, found)
    upright, spaces = (
        _as_stored(upright),
        {
            part: {cue: type(space)(_as_stored(space.map), _as_stored(space.mean)) for cue, space in of.items()}
            for part, of in spaces.items()
        },
    )
    tables, cosines = compared(faces, found, upright, spaces)
    parts, unread = {}, {}
    for part in PARTS:
        held, area = _part(tables, found, part)
        if area >= LEAST_AUC:
            parts[part] = held
        else:
            unread[part] = round(area, 3)
    inputs, forged = of_face(tables, cosines), is_forged(found)
    morphs = family(found) == "morph"
    return {
        "version": VERSION,
        "mean_shape": packed(upright),
        "layers": {layer: packed(spaces["nose"][layer].map) for layer in STEPS},
        "spaces": {part: {cue: _space(spaces, part, cue) for cue in CUES} for part in PARTS},
        "parts": parts,
        "not read": unread,
        "whole": _stored(_reading(inputs, found, by_method(found, forged), _own(found))),
        "morph": _stored(_reading(inputs, found, by_method(found, morphs), _own(found))),
        "least_cosine": round(float(np.quantile(cosines[morphs & (found.split == "calibration")], _MORPHS_BELOW)), 2),
    }


def compared(faces: Faces, found: Pairs, upright: Floats, spaces: Spaces) -> tuple[Array, Array]:
    """(n, 6, 6) tables of ``part_similarity.alike`` and (n,) cosines of the SFace features."""
    signed: dict[int, Signature] = {
        int(number): signature(part_spaces.described(faces, number), upright, spaces)
        for number in np.unique([found.question, found.reference])
    }
    sides = [(signed[a], signed[b]) for a, b in zip(found.question.tolist(), found.reference.tolist(), strict=True)]
    return np.array([alike(a, b) for a, b in sides]), np.array([float(a.feature @ b.feature) for a, b in sides])


def family(found: Pairs) -> NDArray[Any]:
    """(n,) ``genuine``, ``someone else``, or the method's family."""
    return np.array([kind.partition(".")[0] for kind in found.kind])


def is_forged(found: Pairs) -> Bools:
    """Whether it is a forgery of the person whom it claims to show; a morph claims to show each of its people."""
    families = family(found)
    return np.isin(families, ("swap", "region", "morph")) & ((found.role == 0) | (families == "morph"))


def _own(found: Pairs) -> list[Share]:
    genuine = found.kind == GENUINE
    return [(genuine & (found.source == name), 0.5) for name in ("lfw", "frll")]


def by_method(found: Pairs, chosen: Bools) -> list[Share]:
    """Families weigh the same, and their methods, so that no blending counts for more than an exchanged region."""
    families = family(found)
    names = np.unique(families[chosen])
    return [
        (chosen & (found.kind == kind), 1 / len(names) / len(np.unique(found.kind[chosen & (families == name)])))
        for name in names
        for kind in np.unique(found.kind[chosen & (families == name)])
    ]


def _part(tables: Array, found: Pairs, part: str) -> tuple[dict[str, Any], float]:
    """One part's reading and limits, and the AUC of the part exchanged alone."""
    families, known = family(found), found.truth[:, list(PARTS).index(part)]
    theirs = {name: (families == name) & (known == 0) for name in ("region", "swap", OTHER)}
    differ: list[Share] = [
        (theirs["region"], 0.5 if theirs["region"].any() else 0.0),
        (theirs["swap"], 0.25 if theirs["region"].any() else 0.75),
        *((theirs[OTHER] & (found.source == name), 0.125) for name in ("lfw", "frll")),
    ]
    kept: list[Share] = [
        *((chosen, 0.8 * share) for chosen, share in _own(found)),
        ((found.kind != GENUINE) & (known == 1), 0.2),
    ]
    inputs = of_part(tables, part)
    reading = _reading(inputs, found, differ, kept)
    likeness, held = 1 / (1 + np.exp(reading.logit(inputs))), found.split == "calibration"
    alone = held & (theirs["region"] if theirs["region"].any() else theirs["swap"])
    own = [held & chosen for chosen, _ in _own(found)]
    area = roc_auc_score(np.r_[np.ones(own[1].sum()), np.zeros(alone.sum())], np.r_[likeness[own[1]], likeness[alone]])
    differs = min(float(np.quantile(likeness[of], FALSE_ALARMS, method="lower")) for of in own)
    agrees = max(float(np.quantile(likeness[alone], 1 - MISSED)), 0.5)
    usual = min(float(np.quantile(likeness[of], USUAL)) for of in own)
    limits = {"differs": differs, "agrees": agrees, "usual": usual}
    return {**_stored(reading), **{name: round(value, 4) for name, value in limits.items()}}, float(area)


def _reading(inputs: Array, found: Pairs, differ: Sequence[Share], kept: Sequence[Share]) -> Reading:
    """Fit on the split ``fit``; slope and bias on the split ``calibration`` (Platt 1999); both sides weigh the same."""
    fit_rows, weight, unlike = _weighted(found, differ, kept, "fit")
    scale = inputs[fit_rows].std(0)
    first = LogisticRegression(C=_PENALTY, max_iter=5000)
    first.fit(inputs[fit_rows] / scale, unlike, weight)
    raw = Reading(first.coef_[0] / scale, float(first.intercept_[0]))
    rows, weight, unlike = _weighted(found, differ, kept, "calibration")
    second = LogisticRegression(C=1e4, max_iter=5000).fit(raw.logit(inputs[rows])[:, None], unlike, weight)
    slope, bias = float(second.coef_[0, 0]), float(second.intercept_[0])
    return Reading(raw.weights * slope, raw.bias * slope + bias)


def _weighted(
    found: Pairs, differ: Sequence[Share], kept: Sequence[Share], split: str
) -> tuple[NDArray[np.intp], Array, Bools]:
    """Comparisons of a split, their weights with a mean of 1, and which of them are not the person's."""
    weight, unlike = np.zeros(len(found)), np.zeros(len(found), bool)
    for shares, label in ((differ, True), (kept, False)):
        for chosen, share in shares:
            rows = chosen & (found.split == split)
            if share and rows.any():
                weight[rows] += share / rows.sum()
                unlike[rows] = label
    used = np.flatnonzero(weight)
    return used, weight[used] * len(used) / weight[used].sum(), unlike[used]


def _as_stored(values: Floats) -> Floats:
    return values.astype("<f2").astype(np.float32)


def _space(spaces: Spaces, part: str, cue: str) -> Mapping[str, Any]:
    space = spaces[part][cue]
    mean = {"mean": packed(space.mean)}
    return mean if cue in STEPS else {"map": packed(space.map), **mean}


def _stored(reading: Reading) -> dict[str, Any]:
    return {"weights": [round(float(value), 4) for value in reading.weights], "bias": round(reading.bias, 4)}


if __name__ == "__main__":
    main()
