"""Can a one-class model on bona fide photos tell recaptured ones (print, replay)? Simulated recaptures only.

Run: ``python -m facewitness.evals.presentation_attack --data PATH --out evals/results/presentation_attack.json``

There are no photos of real attacks. The model knows bona fide photos alone: spectrum, colour and tone of the face crop,
distance by a shrunk covariance (Ledoit and Wolf 2004). It is tested on people it was not fitted on, and on a source of
photos that it was not fitted on. Genuine and recaptured photos are compressed alike.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from ..finetune.comparisons import LFW_SPLITS, lfw_pairs, volunteers
from ..tools import detection, image
from ..tools.alignment import TEMPLATE, align_wide
from ..tools.face import Floats
from ..tools.image import RGBImage
from . import metrics

Array = NDArray[Any]

QUALITY = (60, 96)
"""JPEG after everything, drawn alike for genuine and recaptured photos."""
LFW_PHOTOS = 300
BANDS = 10


class Shot(NamedTuple):
    """A photo (RGB), its five points, its source and person, and whether its person is for testing."""

    rgb: RGBImage
    points: Floats
    source: str
    person: str
    test: bool


def shots(data: Path) -> Iterator[Shot]:
    """Bona fide photos of three sources."""
    for person in volunteers(data):
        for view in (person.neutral, person.smiling):
            yield Shot(view.photo.rgb, view.face.points, "FRLL", person.name, person.split != "fit")
    with (data / "stylegan2_vs_ffhq" / "labels.csv").open(encoding="utf-8") as file:
        real = [row["image"] for row in csv.DictReader(file) if row["authenticity"] == "real"]
    for number, name in enumerate(real):
        rgb = image.load(data / "stylegan2_vs_ffhq" / name).rgb
        if faces := detection.detect(rgb):
            yield Shot(rgb, faces[0].points, "FFHQ", name, number % 2 == 1)
    folds = {pair["a"]: int(pair["fold"]) for pair in lfw_pairs(data)}
    for name in sorted(folds)[:: max(1, len(folds) // LFW_PHOTOS)]:
        rgb = image.load(data / "lfw_pairs_aligned" / "images" / name).rgb
        yield Shot(rgb, TEMPLATE.astype(np.float32), "LFW", name.split("/")[0], LFW_SPLITS[folds[name]] != "fit")


def replay(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Shown on a screen of red, green and blue stripes and photographed: moiré, gamma, glare, colour cast."""
    linear = (rgb.astype(np.float32) / 255) ** np.float32(2.2)
    stripes = np.zeros((3, 3, 3), np.float32)
    stripes[:, [0, 1, 2], [0, 1, 2]] = 3
    stripes[2] *= rng.uniform(0.3, 0.9)
    height, width = rgb.shape[:2]
    lit: NDArray[Any] = np.repeat(np.repeat(linear, 3, 0), 3, 1) * np.tile(stripes, (height, width, 1))
    lit = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.8, 2.0))
    turn = cv2.getRotationMatrix2D((width * 1.5, height * 1.5), rng.uniform(-2, 2), 1.0)
    seen: NDArray[Any] = cv2.warpAffine(lit, turn, (3 * width, 3 * height), borderMode=cv2.BORDER_REFLECT)
    seen = cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR)
    seen = seen * rng.uniform(0.8, 1.2, 3) * rng.uniform(0.8, 1.1) + rng.uniform(0, 0.05)
    return _camera(seen, rng)


def printed(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Printed as dots in three turned grids on grained paper and photographed."""
    height, width = rgb.shape[:2]
    ink = 1 - cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    y, x = np.mgrid[: 2 * height, : 2 * width].astype(np.float32)
    pitch = rng.uniform(2.5, 5.0)
    for channel, angle in enumerate(np.radians([15, 75, 45])):
        u, v = (x * np.cos(angle) + y * np.sin(angle)), (y * np.cos(angle) - x * np.sin(angle))
        grid = 0.5 + 0.25 * (np.cos(2 * np.pi * u / pitch) + np.cos(2 * np.pi * v / pitch))
        ink[..., channel] = 1 / (1 + np.exp(-(ink[..., channel] - grid) * 10))
    grain = cv2.GaussianBlur(rng.normal(0, 1, ink.shape[:2]).astype(np.float32), (0, 0), 1.5)
    paper = rng.uniform((0.85, 0.82, 0.75), (0.98, 0.96, 0.92)) * (1 + 0.06 * grain[..., None])
    seen: NDArray[Any] = paper * (1 - rng.uniform(0.8, 0.93) * ink)
    seen = cv2.resize(cv2.GaussianBlur(seen, (0, 0), rng.uniform(1.0, 2.2)), (width, height))
    return _camera(seen.clip(0, 1) ** 2.2, rng)


def _camera(linear: NDArray[Any], rng: np.random.Generator) -> RGBImage:
    noisy = linear + rng.normal(0, rng.uniform(0.001, 0.006), linear.shape)
    return np.rint(255 * noisy.clip(0, 1) ** (1 / rng.uniform(2.0, 2.4))).astype(np.uint8)


ATTACKS: Mapping[str, Callable[[RGBImage, np.random.Generator], RGBImage]] = {"replay": replay, "print": printed}


def features(crop: RGBImage) -> Array:
    """What differs between a scene and a picture of a picture: spectrum, peaks in it, tone, colour.

    Args:
        crop: (160, 160, 3) uint8 RGB.
    """
    ycc = cv2.cvtColor(crop, cv2.COLOR_RGB2YCrCb).astype(np.float64)
    window = np.outer(*(np.hanning(crop.shape[0]),) * 2)
    spectra = [np.abs(np.fft.fftshift(np.fft.fft2((plane - plane.mean()) * window))) ** 2 for plane in ycc.T]
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftshift(np.fft.fftfreq(crop.shape[0])),) * 2))
    edges = np.linspace(0.05, 0.5, BANDS + 1)
    found = []
    for power in spectra:
        rings = [power[(frequency >= low) & (frequency < high)] for low, high in pairwise(edges)]
        found += [np.log(ring.mean() + 1) for ring in rings]
        found += [np.log((ring.max() + 1) / (np.median(ring) + 1)) for ring in rings[4:]]
    tone = np.percentile(ycc[..., 0], (1, 10, 50, 90, 99))
    return np.array([*found, *tone, *ycc[..., 1:].mean((0, 1)), *ycc[..., 1:].std((0, 1))])


def measure(data: Path) -> tuple[Array, Array, list[dict[str, Any]]]:
    """Features of every photo, genuine and recaptured, and what each row is."""
    rows, seen = [], []
    for number, shot in enumerate(shots(data)):
        rng = np.random.default_rng(number)
        quality = int(rng.integers(*QUALITY))
        versions = {"genuine": shot.rgb} | {name: attack(shot.rgb, rng) for name, attack in ATTACKS.items()}
        for kind, rgb in versions.items():
            _, coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
            stored = cv2.imdecode(coded, cv2.IMREAD_COLOR)
            assert stored is not None
            seen.append(features(align_wide(stored.astype(np.uint8, copy=False), shot.points)))
            rows.append({"kind": kind, "source": shot.source, "person": shot.person, "test": shot.test})
    return np.array(seen), np.array([row["test"] for row in rows]), rows


def distances(known: Array, asked: Array) -> Array:
    """Squared Mahalanobis distance from the bona fide photos ``known``."""
    middle, spread = known.mean(0), known.std(0) + 1e-9
    model = LedoitWolf().fit((known - middle) / spread)
    return np.asarray(model.mahalanobis((asked - middle) / spread))


def evaluate(data: Path) -> dict[str, Any]:
    """AUC of genuine against recaptured photos by source, attack and what the model was fitted on."""
    seen, test, rows = measure(data)
    kind, source, person = (np.array([row[key] for row in rows]) for key in ("kind", "source", "person"))
    result: dict[str, Any] = {"photos": int((kind == "genuine").sum()), "features": seen.shape[1]}
    for fitted in ("all sources", "other sources"):
        for name in np.unique(source):
            known = (kind == "genuine") & ~test & ((source != name) | (fitted == "all sources"))
            score = distances(seen[known], seen)
            for attack in ATTACKS:
                asked = np.flatnonzero(test & (source == name) & np.isin(kind, ["genuine", attack]))
                label = kind[asked] == attack
                result[f"{name}, {attack}, fitted on {fitted}"] = metrics.interval(
                    metrics.auc, label, score[asked], person[asked]
                ).rounded()
    genuine = (kind == "genuine") & test
    score = distances(seen[(kind == "genuine") & ~test], seen)
    result["median distance of genuine test photos"] = {
        str(name): round(float(np.median(score[genuine & (source == name)])), 1) for name in np.unique(source)
    }
    return result


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with frll_london, lfw_pairs_aligned, FFHQ")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    result = evaluate(options.data)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
