"""Searching among very many enrolled people, through the encrypted store.

Features are drawn at random: people in all directions, a photo of a person at a cosine of about 0.74 to the enrolled
one, which is the mean of SFace's genuine pairs. What is right is settled by comparing with everybody in single
precision, the plain way that the search is timed beside.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ...agent.people import PeopleStore, Template, rows
from ...agent.people.gallery import Gallery
from ...agent.people.schema import connect, transaction
from ...agent.people.store import FILE
from ...tools import weights
from ...tools.face import Floats
from .machine import cores, resident
from .rounds import in_turns, spread, times_faster

QUERIES = 200
ROUNDS = 5
_NOISE = 0.9
"""Beside a feature of normal numbers: cosine 1 / sqrt(1 + 0.9²) = 0.74."""
OURS, PLAIN = "facewitness", "numpy, single precision"


def measure(sizes: Sequence[int]) -> dict[str, Any]:
    """By number of templates, in one store that grows."""
    chance = np.random.default_rng(0)
    features = chance.standard_normal((max(sizes), 128), np.float32)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        store, kept = PeopleStore(Path(folder)), 0
        for size in sorted(sizes):
            started = time.perf_counter()
            fill(store, features[kept:size], kept)
            seconds, kept = time.perf_counter() - started, size
            found[str(size)] = {"fill_seconds": round(seconds, 1), **_one(store, features[:size], chance)}
    return {"queries": QUERIES, "sizes": found}


def fill(store: PeopleStore, features: Floats, first: int) -> None:
    """Enrol a person for each feature, in one transaction, named after their number."""
    card = weights.card("sface")
    made = (
        (f"P{number}", Template(feature, hashlib.sha256(feature.tobytes()).hexdigest(), card))
        for number, feature in enumerate(features, first)
    )
    if not first:
        name, template = next(made)
        store.enroll(name, [template])  # makes the store and its key
    with store.view() as view:
        assert view is not None
        _, vault = view
    with connect(store.folder / FILE) as db, transaction(db):
        for name, template in made:
            rows.insert_template(db, vault, rows.insert_person(db, vault, name), template, keep_photo=False)


def _one(store: PeopleStore, features: Floats, chance: np.random.Generator) -> dict[str, Any]:
    chosen = chance.integers(len(features), size=QUERIES)
    asked = features[chosen] + _NOISE * chance.standard_normal((QUERIES, 128), np.float32)
    before = resident(os.getpid())
    gallery = Gallery(store, weights.card("sface"))
    started = time.perf_counter()
    gallery.search(asked[0])
    loaded = {"load_seconds": round(time.perf_counter() - started, 1)}
    loaded["memory_mb"] = round(resident(os.getpid()) - before, 1)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    with threadpool_limits(cores(), user_api="blas"):
        return loaded | _timed(gallery, units, asked) | _recall(gallery, units, asked) | _changed(store, gallery, asked)


def _timed(gallery: Gallery, units: Floats, asked: Floats) -> dict[str, Any]:
    def each(search: Any) -> Any:
        def way(number: int) -> float:
            times = []
            for query in asked[number % ROUNDS :: ROUNDS]:
                started = time.perf_counter()
                search(query)
                times.append(time.perf_counter() - started)
            return float(np.median(times))

        return way

    taken = in_turns({OURS: each(gallery.search), PLAIN: each(lambda query: np.argmax(units @ query))}, ROUNDS)
    return {
        "milliseconds": {name: spread([1000 * one for one in seconds]) for name, seconds in taken.items()},
        "queries_per_second": round(1 / float(np.median(taken[OURS])), 1),
        "times_faster": times_faster(taken[PLAIN], taken[OURS]),
    }


def _recall(gallery: Gallery, units: Floats, asked: Floats) -> dict[str, Any]:
    """How often the first is the nearest of all."""
    right = [
        gallery.search(query, most=1, at_least=-1)[0].name == f"P{int(np.argmax(units @ query))}" for query in asked
    ]
    return {"top_1_recall": sum(right) / len(right)}


def _changed(store: PeopleStore, gallery: Gallery, asked: Floats) -> dict[str, Any]:
    """Milliseconds of enrolling and forgetting one person, and of the search that takes it in."""
    one = Template(asked[0], hashlib.sha256(b"new").hexdigest(), weights.card("sface"))
    found = {}
    for name, change in (("enroll", lambda: store.enroll("New", [one])), ("forget", lambda: store.forget("New"))):
        started = time.perf_counter()
        change()
        done = time.perf_counter()
        first = gallery.search(asked[0])[0].name
        assert (first == "New") == (name == "enroll")
        found[f"{name}_ms"] = round(1000 * (done - started), 1)
        found[f"search_after_{name}_ms"] = round(1000 * (time.perf_counter() - done), 1)
    return found
