"""How well parts of a face are compared with a reference photo, and how well morphs show against one.

Run: ``python -m facewitness.evals.reference_comparison --data PATH --faces FOLDER --out FILE``

People of the test split only, through the shipped parameters; ``FOLDER`` as of
``facewitness.finetune.reference_comparison``. Intervals are over people, whose photo is the reference.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agent import fusion
from ..agent.verdict import INCONCLUSIVE
from ..finetune.part_faces import STRAINS, cached
from ..finetune.part_pairs import GENUINE, OTHER, Pairs, pairs
from ..finetune.reference_comparison import compared, family, is_forged
from ..tools import weights
from ..tools.face_parts import PARTS
from ..tools.part_similarity import WEIGHTS, fitted, of_face, of_part
from . import metrics

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

CONDITIONS = {"plain": "", **{strain: strain for strain in STRAINS}}
ROUNDS = 300
_METRICS = {"AUC": metrics.auc, "EER": metrics.eer, "TPR at 1 % FPR": metrics.tpr_at_fpr}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with lfw_pairs_aligned and frll_london")
    parser.add_argument("--faces", type=Path, required=True, help="folder with the measurements of the faces")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    faces = cached(options.data, options.faces, ("test",))
    found = pairs(options.data, faces)
    tables, cosines = compared(faces, found, fitted().shape, fitted().spaces)
    result = evaluate(found, tables, cosines)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["called different"], indent=1))


def evaluate(found: Pairs, tables: Array, cosines: Array) -> dict[str, Any]:
    """All figures; ``tables`` and ``cosines`` as from ``finetune.reference_comparison.compared``."""
    model = fitted()
    unlike = {name: _sigmoid(part.reading.logit(of_part(tables, name))) for name, part in model.parts.items()}
    inputs = of_face(tables, cosines)
    whole, morph = (_sigmoid(reading.logit(inputs)) for reading in (model.whole, model.morph))
    families, forged = family(found), is_forged(found)
    index = list(PARTS).index
    return {
        "weights": {"version": weights.card(WEIGHTS).version, "sha256": weights.card(WEIGHTS).sha256},
        "comparisons": {str(name): int((families == name).sum()) for name in np.unique(families)},
        "parts": {
            name: {
                kind: _under_all(found, chosen & (found.truth[:, index(name)] == 0), score, cosines)
                for kind, chosen in _kinds(found).items()
                if (chosen & (found.truth[:, index(name)] == 0)).any()
            }
            for name, score in unlike.items()
        },
        "called different": _called(found, unlike),
        "every part": _by_kind(found, forged, whole, cosines),
        "morph against the reference": _by_kind(found, families == "morph", morph, cosines),
        "verdict from cosine and parts": _verdicts(found, whole, cosines),
    }


def _by_kind(found: Pairs, chosen: Bools, score: Array, cosines: Array) -> dict[str, Any]:
    """All of them under all conditions, and each method plain."""
    kinds = np.unique(found.kind[chosen])
    plain = {str(kind): _plain(found, chosen & (found.kind == kind), score, cosines) for kind in kinds}
    return {"all": _under_all(found, chosen, score, cosines), **plain}


def _plain(found: Pairs, chosen: Bools, score: Array, cosines: Array) -> dict[str, Any]:
    plain = found.chain == ""
    return _figures(found, chosen & plain, plain & _own(found, "frll"), score, cosines)


def _verdicts(found: Pairs, whole: Array, cosines: Array) -> dict[str, Any]:
    """Plain photos by the label that reaches the threshold: from the cosine alone, and with the parts.

    The detectors of traces take no part here.
    """
    fused, kinds = fusion.calibration(), np.char.add(np.char.add(found.source.astype(str), " "), found.kind.astype(str))
    plain = (found.chain == "") & (is_forged(found) | np.isin(found.kind, (GENUINE, OTHER)))
    table: dict[str, Any] = {}
    for kind in np.unique(kinds[plain]):
        rows = np.flatnonzero(plain & (kinds == kind))
        for name, parts in (("cosine", [None] * len(rows)), ("cosine and parts", (1 - whole[rows]).tolist())):
            answers = [
                _label(fused.probabilities(c, 1.0, p)) for c, p in zip(cosines[rows].tolist(), parts, strict=True)
            ]
            table.setdefault(str(kind), {})[name] = dict(Counter(answers))
    return table


def _label(probabilities: Mapping[str, float]) -> str:
    top = max(probabilities, key=probabilities.__getitem__)
    return top if probabilities[top] >= fusion.calibration().threshold else INCONCLUSIVE


def _own(found: Pairs, source: str) -> Bools:
    return (found.kind == GENUINE) & (found.source == source)


def _kinds(found: Pairs) -> dict[str, Bools]:
    families = family(found)
    return {
        "exchanged region": families == "region",
        "whole-face swap": families == "swap",
        "someone else, London": (found.kind == OTHER) & (found.source == "frll"),
        "someone else, LFW": (found.kind == OTHER) & (found.source == "lfw"),
    }


def _under_all(found: Pairs, positive: Bools, score: Array, cosines: Array) -> dict[str, Any]:
    """Against genuine photos of the same source under the same condition; plain London forgeries against LFW too."""
    source = "lfw" if (found.source[positive] == "lfw").all() else "frll"
    result = {}
    for name, chain in CONDITIONS.items():
        under = found.chain == chain
        genuine = under & _own(found, source)
        if (positive & under).any() and genuine.any():
            result[name] = _figures(found, positive & under, genuine, score, cosines)
    if source == "frll" and (positive & (found.chain == "")).any():
        plain = positive & (found.chain == "")
        result["plain, against LFW photos"] = _figures(found, plain, _own(found, "lfw"), score, cosines)
    return result


def _figures(found: Pairs, positive: Bools, genuine: Bools, score: Array, cosines: Array) -> dict[str, Any]:
    rows = np.flatnonzero(positive | genuine)
    truth, people = positive[rows], found.people[rows]
    weight = metrics.resamples(people, ROUNDS)
    figures = {name: metrics.figure(of(truth, score[rows], weight)) for name, of in _METRICS.items()}
    figures["ECE"] = metrics.figure(metrics.ece(truth, score[rows], metrics.balanced(truth, weight)))
    figures["AUC of the SFace cosine"] = metrics.figure(metrics.auc(truth, -cosines[rows], weight))
    figures["AUC less that of the cosine"] = metrics.difference(metrics.auc, truth, score[rows], -cosines[rows], people)
    counts = {"forged": int(positive.sum()), "genuine": int(genuine.sum())}
    return {**counts, **{name: figure.rounded() for name, figure in figures.items()}}


def _called(found: Pairs, unlike: Mapping[str, Array]) -> dict[str, Any]:
    """How often a part is called different at the shipped limits: on genuine photos, and where it is exchanged."""
    model = fitted()
    differ = {name: 1 - score < model.parts[name].differs for name, score in unlike.items()}
    agree = {name: 1 - score >= model.parts[name].agrees for name, score in unlike.items()}
    groups = {"LFW": _own(found, "lfw")} | {
        f"London, {name}": _own(found, "frll") & (found.chain == chain) for name, chain in CONDITIONS.items()
    }
    rates: dict[str, Any] = {
        f"genuine, {group}": {
            "photos": int(chosen.sum()),
            "any part": _share(np.any([of[chosen] for of in differ.values()], axis=0), found.people[chosen]),
            **{name: _share(of[chosen], found.people[chosen]) for name, of in differ.items()},
            "agrees": {name: round(float(of[chosen].mean()), 3) for name, of in agree.items()},
        }
        for group, chosen in groups.items()
    }
    for kind, chosen in _kinds(found).items():
        for name in differ:
            rows = chosen & (found.truth[:, list(PARTS).index(name)] == 0) & (found.chain == "")
            if rows.any():
                caught = _share(differ[name][rows], found.people[rows])
                missed = round(float(agree[name][rows].mean()), 3)
                rates.setdefault(kind, {})[name] = {"photos": int(rows.sum()), "differs": caught, "agrees": missed}
    return rates


def _share(hits: Bools, people: NDArray[Any]) -> dict[str, Any]:
    return metrics.share(hits, people).rounded(4)


def _sigmoid(logit: Array) -> Array:
    found: Array = 0.5 * (1 + np.tanh(logit / 2))
    return found


if __name__ == "__main__":
    main()
