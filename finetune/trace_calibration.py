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
from ..tools.forensic_network import WEIGHTS as NAME
from ..tools.trace_calibration import TraceCalibration, parse
from .calibration_views import Views, held_out, measured, shown, view
from .forensic_model import FAMILIES, ForensicNetwork, Projection, export, mirrored
from .forensics import WEIGHTS, Config
from .forgery_set import ForgerySet, balanced, load

TOOLS = Path(__file__).parents[1] / "tools"
FUSION = Path(__file__).parents[1] / "agent" / "fusion.json"

RIDGE = 1.0
"""Of the conditions, in units of their variance: half a slope where conditions do not go together. Products of the
conditions and a weaker ridge did no better on people left out."""
FLOOR = 0.5
"""Quantile of real photos' normalised scores below which all scores count alike."""
UNLIKE = 0.995
"""Quantile of the distance on the calibration split up to which the network is believed."""
THRESHOLD = 0.95
"""Least probability of a label."""
FALSE_ALARMS = 0.005
"""Share of each source's real views in the calibration split that may pass the probability of a forged label."""
ANY_DISTANCE = 1e6
_DIMENSIONS = 32

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of m views of the set's pictures.

    Attributes:
        rows: (m,) rows of the set.
        scores: (m, 3) of the forged families against real.
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
def score(model: ForensicNetwork, faces: ForgerySet, views: Views) -> Scored:
    """What the network says of views."""
    logits, features, under = [], [], []
    for start in range(0, len(views.rows), 32):
        chosen = slice(start, start + 32)
        pairs = zip(views.rows[chosen].tolist(), views.draws[chosen].tolist(), strict=True)
        crops = np.stack([view(faces, row, draw) for row, draw in pairs])
        under.append(measured(crops))
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
        out = mirrored(model, pixels.contiguous(memory_format=torch.channels_last))
        logits.append(out.logits.double().numpy())
        features.append(out.feature.numpy())
    found = np.concatenate(logits)
    return Scored(views.rows, found[:, 1:] - found[:, :1], np.concatenate(under), np.concatenate(features))


def unseen(faces: ForgerySet, views: Views, methods: str) -> Views:
    """Real photos, and forgeries whose method matches."""
    entries = [faces.entries[row] for row in views.rows]
    return views.of(np.array([e.family == "real" or bool(re.search(methods, e.method)) for e in entries]))


def normalisation(faces: ForgerySet, scored: Scored) -> dict[str, Any]:
    """What real photos score under which conditions: offset, slopes, spread, span, floor."""
    real = np.array([faces.entries[row].family == "real" for row in scored.rows])
    span = np.quantile(scored.conditions[real], (0.005, 0.995), axis=0)
    x, y = scored.conditions[real].clip(*span), scored.scores[real]
    weight = balanced(faces, scored.rows[real])
    centre = weight @ x
    scale = np.diag((x - centre).T @ ((x - centre) * weight[:, None]))
    ridge = np.linalg.solve(
        (x - centre).T @ ((x - centre) * weight[:, None]) + RIDGE * np.diag(scale), np.eye(x.shape[1])
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
    return parse({"single": np.ones((3, 2)), "unlike": 1.0, **parameters})


@dataclass(frozen=True, slots=True)
class Examples:
    """Normalised scores (m, 3), families, sources and weights (m,) that probabilities are fitted on."""

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
    """Slope and bias of each family against real, at even odds."""
    found = []
    for k, family in enumerate(FAMILIES[1:]):
        chosen = (data.families == "real") | (data.families == family)
        forged = data.families[chosen] == family
        z = np.maximum(data.z[chosen, k], floor[k])[:, None]
        found.append(_logistic(z, forged, _alike(forged, data.weight[chosen])))
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
    needed = [max(THRESHOLD, *(float(np.quantile(g[:, k], 1 - FALSE_ALARMS)) for g in groups)) for k in (1, 2)]
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
    model, _ = network(options.run)
    held, target = held_out(faces), TOOLS / f"{NAME}.onnx"
    seen = projection(score(model, faces, shown(faces)).features)
    export(model, WIDE_SIZE, target, seen)
    scored, left_out = score(model, faces, held), []
    for folder in options.left_out:
        other, settings = network(folder)
        left_out.append((score(other, faces, unseen(faces, held, settings.leave_out)), settings.leave_out))
        export(other, WIDE_SIZE, folder / target.name, seen)
    parameters = normalisation(faces, scored)
    data = examples(faces, parameters, scored, left_out)
    parameters |= {
        "single": fit_single(data, np.array(parameters["floor"])),
        "unlike": float(np.quantile(np.sqrt((seen.apply(scored.features) ** 2).mean(1)), UNLIKE)),
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "left_out": [pattern for _, pattern in left_out],
    }
    _store(TOOLS / f"{NAME}.json", parameters)
    _store(FUSION, fit_joint(data, parse(parameters)), "traces", NAME)
    for folder, (of, _) in zip(options.left_out, left_out, strict=True):
        # Its own scale of scores, the same probabilities: what the evaluation of unseen methods reads.
        _store(folder / f"{NAME}.json", parameters | normalisation(faces, of) | {"unlike": ANY_DISTANCE})


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
