"""Parts of a system's result: curves, tables by method and group, explanations, classes, action units, costs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from . import figures, metrics
from .metrics import Array, Bools
from .runner import Row, right

POINTS = 100
"""At most, of a curve in a report."""
PEOPLE = 40
"""At most, in a heat map; with more, methods are shown over all people."""
LEAST = 5
"""Samples of a group below which no rate is given."""
ALL = "all"
Found = dict[str, Any]


def curves(truth: Bools, score: Array, clusters: Any, limit: float, calibrated: bool) -> Found:
    """ROC, risk over coverage, and reliability, as lists of points.

    A point of reliability: mean probability, share of positives, samples, and the share's Wilson interval.
    """
    once = np.ones((1, len(truth)))
    roc = metrics.roc(truth, score, once)
    certainty = np.abs(score - limit)
    order = np.argsort(-certainty, kind="stable")
    wrong = ((score >= limit) != truth)[order]
    # Among samples that are equally certain none is preferred: only the ends of such runs are points.
    ends = np.flatnonzero(np.diff(certainty[order], append=np.nan))
    kept = ends + 1.0
    risk = np.column_stack([kept / len(truth), np.cumsum(wrong)[ends] / kept])
    found: Found = {
        "roc": _thinned(np.column_stack([roc.false[0], roc.true[0]])),
        "risk and coverage": _thinned(risk),
    }
    if calibrated:
        bins = np.minimum((score * metrics.BINS).astype(int), metrics.BINS - 1)
        found["reliability"] = [_bin(truth[bins == b], score[bins == b], clusters[bins == b]) for b in np.unique(bins)]
    return found


def _bin(truth: Bools, score: Array, clusters: Any) -> list[float]:
    share = metrics.share(truth, clusters)
    ends = [round(end, 4) for end in (share.low, share.high) if end is not None]
    return [round(float(score.mean()), 4), round(share.value, 4), len(truth), *ends]


def _thinned(points: Array) -> list[list[float]]:
    chosen = np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int))
    return [[round(float(x), 5), round(float(y), 5)] for x, y in points[chosen]]


def methods(rows: Sequence[Row], limit: float) -> Found:
    """By method and person: AUC against the person's own other class, and the share that is called right.

    What has a method is one class (forged, or not the person); what has none, or is the person, is the other.
    """
    positive = {row.item.positive for row in rows if row.item.method and not _plain(row)}
    people = sorted({row.item.person for row in rows if row.item.person})
    columns = [ALL, *(people if len(people) <= PEOPLE else [])]
    names = sorted({row.item.method for row in rows if row.item.method and not _plain(row)})
    if not names or len(positive) != 1:
        return {}
    cells = {name: {column: _cell(rows, name, column, limit) for column in columns} for name in names}
    return {"rows": names, "columns": columns, "cells": cells}


def _plain(row: Row) -> bool:
    """Whether it is of the class that methods are told from: authentic, or the person."""
    return row.item.positive if row.item.kind == "reference" else not row.item.positive


def _cell(rows: Sequence[Row], method: str, person: str, limit: float) -> Found | None:
    mine = [row for row in rows if person in (ALL, row.item.person)]
    of = [row for row in mine if row.item.method == method and not _plain(row)]
    plain = [row for row in mine if _plain(row)]
    if not of:
        return None
    hits = np.mean([(float(row.answer.score or 0) >= limit) == row.item.positive for row in of])
    found: Found = {"samples": len(of), "others": len(plain), "called right": round(float(hits), 4), "auc": None}
    if plain:
        both = [*of, *plain]
        truth = np.array([row.item.positive for row in both])
        score = np.array([row.answer.score for row in both], np.float64)
        found["auc"] = round(float(metrics.auc(truth, score, np.ones((1, len(both))))[0]), 4)
    return found


def groups(rows: Sequence[Row], limit: float, rounds: int) -> Found:
    """Rates by each grouping, from fairlearn, with Wilson intervals whose sample size is the number of clusters.

    The greatest difference has an interval by the bootstrap; chance alone keeps it from 0, the more so in small groups.
    """
    two_way = [row for row in rows if row.item.kind in ("forgery", "reference") and row.answer.score is not None]
    names = sorted({name for row in two_way for name in row.item.groups})
    return {name: _grouped([row for row in two_way if name in row.item.groups], name, limit, rounds) for name in names}


def _grouped(rows: Sequence[Row], name: str, limit: float, rounds: int) -> Found:
    from fairlearn.metrics import MetricFrame

    truth = np.array([row.item.positive for row in rows])
    called = np.array([float(row.answer.score or 0) >= limit for row in rows])
    rates = {
        "false positives": (~truth, called != truth),
        "misses": (truth, called != truth),
        "abstained": (np.ones(len(rows), bool), np.array([row.answer.abstained for row in rows])),
    }
    value = np.array([row.item.groups[name] for row in rows])
    clusters = np.array([row.item.cluster for row in rows])
    found: Found = {}
    for rate, (among, hits) in rates.items():
        if not among.any():
            continue
        frame = MetricFrame(metrics=_mean, y_true=hits[among], y_pred=hits[among], sensitive_features=value[among])
        found[rate] = {
            "by group": {
                str(group): _rate(hits[among & (value == group)], clusters[among & (value == group)])
                for group in frame.by_group.index
            },
            "greatest difference": metrics.Figure(
                float(frame.difference()), *_difference(hits[among], value[among], clusters[among], rounds)
            ).rounded(4),
        }
    return found


def _difference(hits: Bools, value: Any, clusters: Any, rounds: int) -> tuple[float | None, float | None]:
    shares = [figures.share(hits, value == group) for group in np.unique(value)]

    def widest(weight: Array) -> Array:
        each = np.stack([share(weight) for share in shares])
        return np.asarray(np.nanmax(each, axis=0) - np.nanmin(each, axis=0))

    found = figures.bootstrap({"": widest}, clusters, rounds)[""]
    return found.low, found.high


def _mean(y_true: Any, y_pred: Any) -> float:
    """What fairlearn compares: the share of hits."""
    del y_pred
    return float(np.mean(np.asarray(y_true, np.float64)))


def _rate(hits: Bools, clusters: Any) -> Found:
    if len(hits) < LEAST:
        return {"value": None, "95% interval": None, "samples": len(hits)}
    return {**metrics.share(hits, clusters).rounded(4), "samples": len(hits)}


def explanations(rows: Sequence[Row], root: Path, rounds: int) -> Found:
    """Whether explanations are grounded, state the verdict that was given, and point where the face was altered."""
    wanted: dict[str, figures.Weighted] = {}
    found: Found = {}
    clusters = [row.item.cluster for row in rows]
    written, refused, dropped = (
        np.array([getattr(row.answer, name) for row in rows], np.float64) for name in ("written", "refused", "dropped")
    )
    if written.any():
        wanted["sentences grounded at once"] = _ratio(written - refused, written)
        wanted["sentences dropped"] = _ratio(dropped, written)
    if any(row.answer.supported is not None for row in rows):
        shares = [row.answer.supported for row in rows]
        wanted["sentences supported as shown"] = figures.share(
            [share or 0.0 for share in shares], [share is not None for share in shares]
        )
    stated = [row.answer.agrees is not None for row in rows]
    if any(stated):
        agrees = np.array([row.answer.agrees is True for row in rows])
        wanted["explanations that state the verdict given"] = figures.share(agrees, stated)
        wanted["explanations that contradict it"] = figures.share(~agrees, stated)
    if pointed := [one for row in rows if (one := _pointed(row, root)) is not None]:
        found |= _pointing(pointed, rounds)
    return (
        found | {name: value.rounded(4) for name, value in figures.bootstrap(wanted, clusters, rounds).items()}
        if wanted
        else found
    )


def _ratio(part: Array, whole: Array) -> figures.Weighted:
    return lambda weight: (weight @ part) / np.maximum(weight @ whole, 1e-12)


class _Pointed(NamedTuple):
    """A sample with a mask and a point: whether that, and the middle of the face, is inside, and the mask's share."""

    cluster: str
    hit: bool
    middle: bool
    area: float


def _pointed(row: Row, root: Path) -> _Pointed | None:
    """None without either, or where the mask is all of the picture or nothing."""
    if not row.item.mask or row.answer.point is None or not (root / row.item.mask).is_file():
        return None
    with Image.open(root / row.item.mask) as mask, Image.open(root / row.item.images[0]) as picture:
        altered, size = np.asarray(mask.convert("L")) > 127, picture.size
    if altered.all() or not altered.any():
        return None
    x, y, width, height = row.answer.face or (0, 0, *size)
    hit, middle = (_inside(altered, size, at) for at in (row.answer.point, (x + width / 2, y + height / 2)))
    return _Pointed(row.item.cluster, hit, middle, float(altered.mean()))


def _pointing(pointed: Sequence[_Pointed], rounds: int) -> Found:
    """The pointing game (Zhang et al. 2016), beside a guess at the middle of the face, and the mask's own area."""
    wanted = {
        "pointing game": figures.share([one.hit for one in pointed]),
        "pointing game, middle of the face": figures.share([one.middle for one in pointed]),
        "altered share of the picture": figures.share([one.area for one in pointed]),
    }
    clusters = [one.cluster for one in pointed]
    return {name: value.rounded(4) for name, value in figures.bootstrap(wanted, clusters, rounds).items()}


def _inside(altered: Bools, size: tuple[int, int], point: tuple[float, float]) -> bool:
    height, width = altered.shape
    column, row = int(point[0] * width / size[0]), int(point[1] * height / size[1])
    return 0 <= row < height and 0 <= column < width and bool(altered[row, column])


def classes(kind: str, rows: Sequence[Row], found: Found, rounds: int) -> Found:
    """Accuracy of classes or of multiple choice, and by task."""
    given = np.array([not row.answer.abstained for row in rows])
    hits = np.array([bool(right(row.item, row.answer)) for row in rows])
    truths = np.array([row.item.truth for row in rows])
    wanted = {
        "answered": figures.share(given),
        "accuracy as answered": figures.share(hits, given),
        "accuracy, abstentions wrong": figures.share(hits),
    }
    if kind == "class":
        wanted["accuracy, classes weighing alike"] = figures.macro(hits, truths)
        names = np.unique(truths)
        said = np.array([row.answer.label for row in rows])
        wanted["macro f1"] = figures.mean_of([figures.f1(truths == name, said == name) for name in names])
        found["confusion"] = {
            str(truth): dict(Counter(said[truths == truth].tolist()).most_common()) for truth in names
        }
    tasks = sorted({row.item.method for row in rows if row.item.method})
    for task in tasks if len(tasks) > 1 else ():
        wanted[f"accuracy, {task}"] = figures.share(hits, [row.item.method == task for row in rows])
    return _shown(wanted, rows, rounds)


def units(rows: Sequence[Row], rounds: int) -> Found:
    """F1 and AUC of each action unit that was measured, and their means; the others are named."""
    labelled = sorted({unit for row in rows for unit in row.item.units}, key=int)
    wanted, f1s, missing = {}, [], []
    for unit in labelled:
        mine = np.array([unit in row.answer.present and unit in row.item.units for row in rows])
        truth = np.array([row.item.units.get(unit, 0) == 1 for row in rows])
        if not (mine & truth).any():
            missing.append(f"AU{unit}")
            continue
        said = np.array([row.answer.present.get(unit, 0) == 1 for row in rows])
        score = np.array([row.answer.units.get(unit, 0.0) for row in rows])
        f1s.append(figures.f1(truth & mine, said & mine))
        wanted[f"f1, AU{unit}"] = f1s[-1]
        if (mine & ~truth).any():
            wanted[f"auc, AU{unit}"] = _auc_among(truth, score, mine)
    if f1s:
        wanted[f"f1, mean of {len(f1s)} units"] = figures.mean_of(f1s)
    return {**_shown(wanted, rows, rounds), **({"not measured, or never present": missing} if missing else {})}


def _auc_among(truth: Bools, score: Array, among: Bools) -> figures.Weighted:
    return lambda weight: metrics.auc(truth, score, weight * among)


def words(rows: Sequence[Row], rounds: int) -> Found:
    """Words of an answer against the best fitting of several right ones."""
    values = [max(word_f1(row.answer.text, target) for target in row.item.targets or ("",)) for row in rows]
    return _shown({"word f1 of answers": figures.share(values)}, rows, rounds)


def word_f1(said: str, target: str) -> float:
    """F1 of the words that two texts share, articles and punctuation left out (Rajpurkar et al. 2016)."""
    first, second = (
        Counter(re.sub(r"\b(?:a|an|the)\b", " ", text.lower()).translate(_PLAIN).split()) for text in (said, target)
    )
    common = sum((first & second).values())
    return 2 * common / (first.total() + second.total()) if common else 0.0


_PLAIN = str.maketrans(dict.fromkeys("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", " "))


def costs(rows: Sequence[Row]) -> Found:
    """Time, tokens and memory."""
    if not rows:
        return {}
    ms = np.array([row.answer.ms for row in rows])
    tokens = sum(row.answer.tokens for row in rows)
    return {
        "milliseconds, median": round(float(np.median(ms)), 1),
        "milliseconds, 90 %": round(float(np.quantile(ms, 0.9)), 1),
        "seconds, all": round(float(ms.sum() / 1000), 1),
        "tokens": tokens,
        "tokens of a sample": round(tokens / len(rows), 1),
        "memory of the process, MiB": max(row.answer.memory for row in rows) or None,
    }


def _shown(wanted: dict[str, figures.Weighted], rows: Sequence[Row], rounds: int) -> Found:
    found = figures.bootstrap(wanted, [row.item.cluster for row in rows], rounds)
    return {name: value.rounded(4) for name, value in found.items()}
