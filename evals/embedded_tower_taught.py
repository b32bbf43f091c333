"""What the tools taught the tower, and attributes, on photos of unseen people."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..finetune.vlm_tower.network import Teaching
from ..finetune.vlm_tower.photos import LABELS, Photos
from ..finetune.vlm_tower.train import Config
from ..finetune.vlm_tower.validation import mesh_error
from ..tools import action_units
from ..tools.landmarks import BLENDSHAPES
from . import embedded_tower_probes as probes
from . import metrics
from .embedded_tower_views import Array, Figures, Views, views
from .embedded_tower_views import ways as ways_of

Words = NDArray[np.str_]
FIT_PHOTOS, TEST_PHOTOS = 1200, 600
SMILE = tuple(BLENDSHAPES.index(f"mouthSmile{side}") for side in ("Left", "Right"))
LIVE = 0.02
"""Least spread of a blendshape whose correlation means anything."""
_WOMAN, _AGE = LABELS.index("gender"), LABELS.index("age")


def taught(model: Teaching, config: Config, people: Photos) -> Figures:
    """What the tools taught, and attributes."""
    rng = np.random.default_rng(0)
    fit = people.of(_drawn(people, "fit", FIT_PHOTOS, rng))
    test = people.of(_drawn(people, "test", TEST_PHOTOS, rng))
    seen = {"fit": views(model, config, fit.rgb), "test": views(model, config, test.rgb)}
    return {
        "photos": {"fit, for the probes": len(fit), "test": len(test), "test people": len(np.unique(test.person))},
        "mesh, per cent of the distance of the outer eye corners": _mesh(seen, fit, test),
        "yaw, mean error in degrees": _yaw(seen, fit, test),
        "blendshapes, mean correlation": _blendshapes(seen, fit, test),
        "smile or neutral, London set, auc": _smile(seen, fit, test),
        "action units of renders, mean auc": _units(seen, fit, test),
        "same person, equal error rate": {source: _identity(seen, test, source) for source in ("frll", "lfw")},
        "attributes, London set": _attributes(seen, fit, test),
    }


def _drawn(people: Photos, split: str, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """All of the London set and renders, and so many of the others, drawn by person so that pairs stay together."""
    mine = people.split == split
    small = mine & np.isin(people.source, ("frll", "ict"))
    others = mine & ~small
    order = rng.permutation(np.unique(people.person[others]))
    rank = {person: place for place, person in enumerate(order.tolist())}
    rows = sorted(np.flatnonzero(others).tolist(), key=lambda row: rank[str(people.person[row])])
    return np.sort(np.concatenate([np.flatnonzero(small), rows[: max(0, count - int(small.sum()))]])).astype(np.intp)


def _mesh(seen: Mapping[str, Views], fit: Photos, test: Photos) -> Figures:
    flat = fit.mesh.reshape(len(fit), -1).astype(np.float64)
    ways = ways_of(seen, lambda a, b: probes.values(a, flat, b), seen["test"].said["mesh"])
    ways["constant"] = np.repeat(flat.mean(0)[None], len(test), 0)
    weight = metrics.resamples(test.person)
    return {
        name: metrics.figure(
            metrics.mean(mesh_error(said.reshape(-1, 478, 2).astype(np.float32), test.mesh), weight)
        ).rounded(2)
        for name, said in ways.items()
    }


def _yaw(seen: Mapping[str, Views], fit: Photos, test: Photos) -> Figures:
    truth = fit.pose[:, :1].astype(np.float64)
    ways = ways_of(seen, lambda a, b: probes.values(a, truth, b)[:, 0], seen["test"].said["pose"][:, 0])
    ways["constant"] = np.full(len(test), float(np.median(truth)))
    weight = metrics.resamples(test.person)
    return {
        name: metrics.figure(metrics.mean(np.abs(said - test.pose[:, 0]), weight)).rounded(2)
        for name, said in ways.items()
    }


def _blendshapes(seen: Mapping[str, Views], fit: Photos, test: Photos) -> Figures:
    live = np.flatnonzero(test.blendshapes.std(0) > LIVE)
    truth = np.sqrt(fit.blendshapes[:, live].astype(np.float64))
    ways = ways_of(seen, lambda a, b: probes.values(a, truth, b), np.sqrt(seen["test"].said["blendshapes"][:, live]))
    weight = metrics.resamples(test.person)
    targets = np.sqrt(test.blendshapes[:, live].astype(np.float64))
    found = {
        name: metrics.figure(np.mean([_correlation(said[:, k], targets[:, k], weight) for k in range(len(live))], 0))
        for name, said in ways.items()
    }
    return {"blendshapes": len(live), **{name: of.rounded() for name, of in found.items()}}


def _correlation(a: Array, b: Array, weight: Array) -> Array:
    """(rounds,) Pearson correlation under (rounds, n) weights."""
    products = {"a": a, "b": b, "ab": a * b, "aa": a * a, "bb": b * b}
    mean = {name: metrics.mean(of, weight) for name, of in products.items()}
    covariance = mean["ab"] - mean["a"] * mean["b"]
    return np.asarray(
        covariance / np.sqrt((mean["aa"] - mean["a"] ** 2).clip(1e-12) * (mean["bb"] - mean["b"] ** 2).clip(1e-12))
    )


def _smile(seen: Mapping[str, Views], fit: Photos, test: Photos) -> Figures:
    chosen = test.source == "frll"
    truth = test.labels[:, 0] == 1
    known_fit = np.isin(fit.labels[:, 0], (0, 1))
    smiles = fit.labels[known_fit, 0] == 1

    def probe(a: Array, b: Array) -> Array:
        return probes.scores(a[known_fit], smiles, b)

    ways = ways_of(seen, probe, seen["test"].said["blendshapes"][:, SMILE].mean(1))
    ways["teacher's blendshapes"] = test.blendshapes[:, SMILE].mean(1).astype(np.float64)
    return _areas(truth[chosen], {name: said[chosen] for name, said in ways.items()}, test.person[chosen])


def _areas(truth: NDArray[np.bool_], ways: Mapping[str, Array], people: Words) -> Figures:
    return {name: metrics.interval(metrics.auc, truth, said, people).rounded() for name, said in ways.items()}


def _units(seen: Mapping[str, Views], fit: Photos, test: Photos) -> Figures:
    """Over the units that some renders show and others do not; the tool that taught measures fewer."""
    chosen, known_fit = test.source == "ict", ~np.isnan(fit.units[:, 0])
    if not chosen.any():
        return {}
    truth, weight = test.units[chosen] >= 0.5, metrics.resamples(test.person[chosen])
    columns = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]

    def probe(a: Array, b: Array) -> Array:
        return probes.values(a[known_fit], fit.units[known_fit].astype(np.float64), b)

    ways = ways_of(seen, probe, seen["test"].said["units"])
    found = {
        name: metrics.figure(np.mean([metrics.auc(truth[:, k], said[chosen][:, k], weight) for k in columns], 0))
        for name, said in ways.items()
    }
    numbers = list(action_units.NAMES)
    tool = action_units.scores(test.blendshapes[chosen].astype(np.float64))
    shared = [k for k in columns if numbers[k] in tool]
    few = {
        "head": np.mean([metrics.auc(truth[:, k], ways["head"][chosen][:, k], weight) for k in shared], 0),
        "the tool": np.mean([metrics.auc(truth[:, k], tool[numbers[k]], weight) for k in shared], 0),
    }
    return {
        f"{len(columns)} units": {name: of.rounded() for name, of in found.items()},
        f"{len(shared)} units that the tool measures": {name: metrics.figure(of).rounded() for name, of in few.items()},
    }


def _identity(seen: Mapping[str, Views], test: Photos, source: str) -> Figures:
    """All pairs of a source's test photos."""
    rows = np.flatnonzero(test.source == source)
    pairs = np.array(list(combinations(range(len(rows)), 2)))
    people = test.person[rows]
    same = people[pairs[:, 0]] == people[pairs[:, 1]]
    keep = same | (np.random.default_rng(0).random(len(same)) < 5000 / len(same))
    pairs, same = pairs[keep], same[keep]
    drawn = metrics.resamples(people, 300)
    weight = np.where(same, drawn[:, pairs[:, 0]], drawn[:, pairs[:, 0]] * drawn[:, pairs[:, 1]])
    features = {
        "head": seen["test"].said["identity"][rows],
        "mean token": _centred(seen["test"].tokens, seen["fit"].tokens)[rows],
        "thumbnail": _centred(seen["test"].thumbnails, seen["fit"].thumbnails)[rows],
        "teacher, SFace": test.identity[rows].astype(np.float64),
    }
    result: Figures = {"pairs of one person": int(same.sum()), "other pairs": int((~same).sum())}
    for name, feature in features.items():
        unit = feature / np.linalg.norm(feature, axis=1, keepdims=True)
        cosine = (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(1)
        result[name] = metrics.figure(metrics.eer(same, cosine, weight)).rounded()
    return result


def _centred(test: Array, fit: Array) -> Array:
    """Each column less its mean, over its spread, in the training data."""
    return np.asarray((test - fit.mean(0)) / (fit.std(0) + 1e-9))


def _attributes(seen: Mapping[str, Views], fit: Photos, test: Photos) -> Figures:
    """By probes alone: there are few people to teach a head with."""
    chosen, known_fit = test.source == "frll", ~np.isnan(fit.labels[:, _AGE])
    chosen &= ~np.isnan(test.labels[:, _AGE]) & ~np.isnan(test.labels[:, _WOMAN])
    known_fit &= ~np.isnan(fit.labels[:, _WOMAN])
    women, ages = fit.labels[known_fit, _WOMAN] == 1, fit.labels[known_fit, _AGE : _AGE + 1].astype(np.float64)
    gender = ways_of(seen, lambda a, b: probes.scores(a[known_fit], women, b[chosen]))
    age = ways_of(seen, lambda a, b: probes.values(a[known_fit], ages, b[chosen])[:, 0])
    age["constant"] = np.full(int(chosen.sum()), float(np.median(ages)))
    weight = metrics.resamples(test.person[chosen])
    return {
        "gender, auc": _areas(test.labels[chosen, _WOMAN] == 1, gender, test.person[chosen]),
        "age, mean error in years": {
            name: metrics.figure(metrics.mean(np.abs(said - test.labels[chosen, _AGE]), weight)).rounded(1)
            for name, said in age.items()
        },
    }
