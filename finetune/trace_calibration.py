"""Fit how the forensic network's scores are read; writes the shipped ONNX, its JSON and a part of fusion.

Run: ``python -m facewitness.finetune.trace_calibration --data SET --run DIR --left-out DIR …``

``--run`` is a run of ``facewitness.finetune.forensics``, ``--left-out`` are runs that were not shown some methods. Half
of the forged faces that probabilities are fitted on are of methods that the scoring network has never seen, as most
forgeries of the world will be; so a low score does not become proof of authenticity. Calibration split only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

from ..agent.traces import TraceWeights, features
from ..tools.alignment import WIDE_SIZE
from ..tools.conditions import with_products
from ..tools.forensic_network import WEIGHTS as NAME
from ..tools.trace_calibration import TraceCalibration, parse
from ..tools.trace_views import Linear, packed
from .forensic_model import FAMILIES, ForensicNetwork, Projection, export, mirrored
from .forensics import WEIGHTS, Config
from .forgery_set import ForgerySet, balanced, load
from .trace_views import Views, fit, measured, training_views, view

TOOLS = Path(__file__).parents[1] / "tools"
FUSION = Path(__file__).parents[1] / "agent" / "fusion.json"

FLOOR = 0.5
"""Quantile of real photos' normalised scores below which all scores count alike."""
UNLIKE = 0.995
"""Quantile of the distance on the calibration split up to which the network is believed."""
THRESHOLD = 0.95
ACCUSATION = 0.99
"""Least probability of a forged label: to call a real photo forged is the worse error. Raised from 0.95 after 5 of 50
London test photos had passed it, so that figure is no clean test any more."""
FALSE_ALARMS = 0.005
"""Share of each source's real views in the calibration split that may pass the probability of a forged label."""
REAL_DRAWS = 3
"""Views of each real photo; forged ones are seen once."""
MOST = 30
ANY_DISTANCE = 1e6
_DIMENSIONS = 32

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of m views of the set's pictures.

    Attributes:
        rows: (m,) rows of the set.
        scores: (m, 6) of the forged families against real: the network's, then the second view's.
        conditions: (m, 7).
        features: (m, 1432) float32.
    """

    rows: NDArray[np.intp]
    scores: Array
    conditions: Array
    features: NDArray[np.float32]


def network(run: Path) -> tuple[ForensicNetwork, Config]:
    """A trained network and how it was trained."""
    config = Config.model_validate_json((run / "config.json").read_text(encoding="utf-8"))
    model = ForensicNetwork(pretrained=False)
    model.load_state_dict(load_file(run / WEIGHTS))
    return model.eval().to(memory_format=torch.channels_last), config  # type: ignore[call-overload]


@torch.inference_mode()
def score(model: ForensicNetwork, linear: Linear, faces: ForgerySet, views: Views) -> Scored:
    """What the network and the second view say of views."""
    logits, features = [], []
    for start in range(0, len(views.rows), 32):
        chosen = slice(start, start + 32)
        pairs = zip(views.rows[chosen].tolist(), views.draws[chosen].tolist(), strict=True)
        crops = torch.from_numpy(np.stack([view(faces, row, draw) for row, draw in pairs])).permute(0, 3, 1, 2)
        out = mirrored(model, (crops.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last))
        logits.append(out.logits.double().numpy())
        features.append(out.feature.numpy())
    found = np.concatenate(logits)
    scores = np.hstack([found[:, 1:] - found[:, :1], linear.scores(views.features)])
    return Scored(views.rows, scores, views.conditions, np.concatenate(features))


def held_out(faces: ForgerySet, folder: Path) -> Views:
    """The calibration split: real photos several times, forged ones once."""
    rows = thinned(faces, faces.rows("calibration"))
    real = rows[[faces.entries[row].family == "real" for row in rows]]
    more = [real] * (REAL_DRAWS - 1)
    draws = np.repeat(np.arange(REAL_DRAWS), [len(rows)] + [len(real)] * (REAL_DRAWS - 1))
    return measured(faces, np.concatenate([rows, *more]), draws, folder)


def unseen(faces: ForgerySet, views: Views, methods: str) -> Views:
    """Real photos, and forgeries whose method matches."""
    entries = [faces.entries[row] for row in views.rows]
    return views.of(np.array([e.family == "real" or bool(re.search(methods, e.method)) for e in entries]))


def thinned(faces: ForgerySet, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """All real faces, and at most ``MOST`` pictures of each source and method."""
    kept: dict[tuple[str, str], list[int]] = {}
    for row in np.random.default_rng(0).permutation(rows).tolist():
        cell = kept.setdefault((faces.entries[row].source, faces.entries[row].method), [])
        if len(cell) < MOST or faces.entries[row].family == "real":
            cell.append(row)
    return np.sort(np.concatenate([np.array(cell) for cell in kept.values()]))


def normalisation(faces: ForgerySet, scored: Scored) -> dict[str, Any]:
    """What real photos score under which conditions: offset, slopes, spread, span, floor."""
    real = np.array([faces.entries[row].family == "real" for row in scored.rows])
    span = np.quantile(scored.conditions[real], (0.005, 0.995), axis=0)
    x, y = with_products(scored.conditions[real].clip(*span)), scored.scores[real]
    weight = balanced(faces, scored.rows[real])
    centre = weight @ x
    scale = np.diag((x - centre).T @ ((x - centre) * weight[:, None]))
    ridge = np.linalg.solve(
        (x - centre).T @ ((x - centre) * weight[:, None]) + 0.05 * np.diag(scale), np.eye(x.shape[1])
    )
    slopes = (ridge @ (x - centre).T @ ((y - weight @ y) * weight[:, None])).T
    offset = weight @ y - slopes @ centre
    rest = y - offset - x @ slopes.T
    spread = np.sqrt(weight @ rest**2)
    return {
        "offset": offset.tolist(),
        "slopes": slopes.tolist(),
        "spread": spread.tolist(),
        "span": span.tolist(),
        "floor": np.quantile(rest / spread, FLOOR, axis=0).tolist(),
    }


def _scale(parameters: dict[str, Any]) -> TraceCalibration:
    """For normalising alone."""
    nothing = packed(Linear(*(np.zeros(0),) * 4))
    return parse({"linear": nothing, "single": np.ones((3, 3)), "unlike": 1.0, **parameters})


@dataclass(frozen=True, slots=True)
class Examples:
    """Normalised scores (m, 6), families, sources and weights (m,) that probabilities are fitted on."""

    z: Array
    families: NDArray[np.str_]
    sources: NDArray[np.str_]
    weight: Array


def examples(
    faces: ForgerySet, parameters: dict[str, Any], main: Scored, left_out: Sequence[tuple[Scored, str]]
) -> Examples:
    """Views of known methods under the main network, and of left-out methods under the networks without them."""
    parts = []
    groups = [(_scale(parameters), main, "")]
    groups += [(_scale(normalisation(faces, s)), s, pattern) for s, pattern in left_out]
    for fitted, scored, pattern in groups:
        z = fitted.normalised(scored.scores, scored.conditions)
        entries = [faces.entries[row] for row in scored.rows]
        for family in FAMILIES:
            shown = [e.family == family and (family == "real" or bool(re.search(pattern, e.method))) for e in entries]
            chosen = np.flatnonzero(shown)
            if len(chosen):
                sources = np.array([entries[i].source for i in chosen])
                weight = balanced(faces, scored.rows[chosen])
                part = Examples(z[chosen], np.repeat(family, len(chosen)), sources, weight)
                parts.append((part, bool(pattern)))
    return _halved(parts)


def _halved(parts: Sequence[tuple[Examples, bool]]) -> Examples:
    """Within each family, what the scoring network had seen and what it had not weigh the same."""
    groups = [(part.families[0], unseen) for part, unseen in parts]
    weights = [part.weight / groups.count(group) for (part, _), group in zip(parts, groups, strict=True)]
    return Examples(
        np.concatenate([part.z for part, _ in parts]),
        np.concatenate([part.families for part, _ in parts]),
        np.concatenate([part.sources for part, _ in parts]),
        np.concatenate(weights),
    )


def fit_single(data: Examples, floor: Array) -> list[list[float]]:
    """Slopes of both views and bias of each family against real, at even odds."""
    found = []
    for k, family in enumerate(FAMILIES[1:]):
        chosen = (data.families == "real") | (data.families == family)
        forged = data.families[chosen] == family
        z = np.maximum(data.z[chosen][:, k::3], floor[k::3])
        weight = _alike(forged, data.weight[chosen])
        *slopes, bias = _logistic(z, forged, weight)
        if min(slopes) < 0:
            # A view that speaks for a photo where it should speak against it says nothing.
            kept = int(np.argmax(slopes))
            slope, bias = _logistic(z[:, [kept]], forged, weight)
            slopes = [slope if view == kept else 0.0 for view in range(z.shape[1])]
        found.append([*slopes, bias])
    return found


def fit_joint(data: Examples, fitted: TraceCalibration) -> dict[str, Any]:
    """How fusion weighs the three probabilities, and the probability that each label needs."""
    labels = np.select([data.families == "real", data.families == "synthesis"], [0, 2], 1)
    alone = fitted.alone(data.z)
    mixed, apart = features(alone)
    each, of = _alike(labels, data.weight), labels > 0
    forged = _logistic(mixed[:, None], of, _alike(of, each))
    kind = _logistic(apart[of, None], labels[of] == 2, _alike(labels[of], each[of]))
    least = 1 / (2 + int((labels == 0).sum()))
    real = TraceWeights((forged[0], forged[1]), (kind[0], kind[1]), least, (THRESHOLD,) * 3).families(
        alone[labels == 0]
    )
    groups = [real[data.sources[labels == 0] == source] for source in np.unique(data.sources[labels == 0])]
    needed = [max(ACCUSATION, *(float(np.quantile(g[:, k], 1 - FALSE_ALARMS)) for g in groups)) for k in (1, 2)]
    return {"forged": forged, "kind": kind, "least": least, "needed": [THRESHOLD, *needed]}


def _logistic(x: Array, truth: NDArray[np.bool_], weight: Array) -> list[float]:
    """Slopes of the (n, k) columns and bias."""
    model = LogisticRegression(C=10.0, max_iter=5000).fit(x, truth, weight)
    return [*model.coef_[0].tolist(), float(model.intercept_[0])]


def _alike(labels: NDArray[Any], weight: Array) -> Array:
    """Weights scaled so that every label weighs the same, and a view weighs one on average."""
    result = weight.copy()
    for label in np.unique(labels):
        result[labels == label] *= len(labels) / len(np.unique(labels)) / weight[labels == label].sum()
    return result


def projection(features: NDArray[np.float32]) -> Projection:
    """Whitening to ``_DIMENSIONS`` principal directions."""
    mean = features.mean(0)
    _, spread, axes = np.linalg.svd(features - mean, full_matrices=False)
    scale = spread[:_DIMENSIONS] / np.sqrt(len(features))
    return Projection(
        torch.from_numpy(mean), torch.from_numpy((axes[:_DIMENSIONS] / scale[:, None]).astype(np.float32))
    )


def main() -> None:
    """Score, fit, export, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--left-out", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    faces = load(options.data)
    model, settings = network(options.run)
    shown, held = measured(faces, *training_views(faces), options.data), held_out(faces, options.data)
    target, linear = TOOLS / f"{NAME}.onnx", fit(faces, shown, settings.leave_out)
    seen = projection(score(model, linear, faces, shown.of(np.arange(len(shown.rows)) % 4 == 0)).features)
    export(model, WIDE_SIZE, target, seen)
    scored, left_out = score(model, linear, faces, held), []
    for folder in options.left_out:
        other, settings = network(folder)
        second = fit(faces, shown, settings.leave_out)
        left_out.append((score(other, second, faces, unseen(faces, held, settings.leave_out)), settings.leave_out))
        export(other, WIDE_SIZE, folder / target.name, seen)
        _store(folder / f"{NAME}.json", {"linear": packed(second)})
    parameters = {"linear": packed(linear), **normalisation(faces, scored)}
    data = examples(faces, parameters, scored, left_out)
    parameters["single"] = fit_single(data, np.array(parameters["floor"]))
    parameters |= {
        "unlike": float(np.quantile(np.sqrt((seen.apply(scored.features) ** 2).mean(1)), UNLIKE)),
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "left_out": [pattern for _, pattern in left_out],
    }
    _store(TOOLS / f"{NAME}.json", parameters)
    _store(FUSION, fit_joint(data, parse(parameters)), "traces", NAME)
    for folder, (of, _) in zip(options.left_out, left_out, strict=True):
        # Its own scale of scores, the same probabilities: what the evaluation of unseen methods reads.
        own = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8")) | normalisation(faces, of)
        _store(folder / f"{NAME}.json", parameters | own | {"unlike": ANY_DISTANCE})


def _store(path: Path, values: dict[str, Any], *place: str) -> None:
    """Put rounded values at a place in a JSON file."""
    rounded = json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 5))
    whole = json.loads(path.read_text(encoding="utf-8")) if place else rounded
    held = whole
    for name in place[:-1]:
        held = held.setdefault(name, {})
    if place:
        held[place[-1]] = rounded
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
