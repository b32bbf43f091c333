"""Calibrate a detector: from its raw score to a probability, on photos whose truth is known.

Run: ``python -m facewitness.finetune.calibrate --detector NAME --real DIR --fake DIR [--out FILE]``

``NAME`` is a plug-in of ``plugins.toml`` or of an installed package. The photos must be unlike neither what it was
trained on nor what it will be asked about, and apart from both: nothing of them may have been trained on, and nothing
is learnt from the figures printed here about how good it is. Without ``--out`` the file goes where examinations look
for it, and counts for exactly this version and these weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ..errors import FacewitnessError, InputError, InvalidOption
from ..tools.calibration import Calibration, path_for, save
from ..tools.detection import detect
from ..tools.detectors import Detector, aligned
from ..tools.evidence import ModelCard
from ..tools.image import load
from ..tools.plugins import find

Method = Literal["platt", "temperature", "isotonic"]
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
LEAST = 10
"""Faces of each kind, below which nothing is fitted."""

Array = NDArray[np.float64]


def fit(
    card: ModelCard, logits: Array, forged: NDArray[np.bool_], method: Method = "platt", data: str = ""
) -> Calibration:
    """Fit a calibration at even odds: authentic and forged faces weigh the same however many there are.

    Args:
        card: Of the detector that gave the scores.
        logits: (n,) raw scores; greater is more forged.
        forged: (n,) the truth.
        method: ``platt`` (Platt 1999, with his smoothed targets), ``temperature``, or ``isotonic``, which needs some
            hundred faces of each kind.
        data: What the faces were, for a reader.

    Raises:
        InvalidOption: Too few faces of a kind, or scores that do not rise with forgery.
    """
    real, fake = int((~forged).sum()), int(forged.sum())
    if min(real, fake) < LEAST:
        raise InvalidOption(f"There are {real} authentic and {fake} forged faces; at least {LEAST} of each are needed.")
    slope, bias = _logistic(logits, forged, method != "temperature")
    if slope <= 0:
        raise InvalidOption("The detector scores forged faces no higher than authentic ones; it cannot be calibrated.")
    knots = _isotonic(logits, forged) if method == "isotonic" else ()
    least = 1 / (min(real, fake) + 2)
    return Calibration(
        card.name, card.version, card.sha256, slope, bias, knots, least, prior=0.5, real=real, forged=fake, data=data
    )


def _logistic(logits: Array, forged: NDArray[np.bool_], with_bias: bool) -> tuple[float, float]:
    """Slope and bias; each face enters as a little of the other kind too, so that no slope becomes infinite."""
    real, fake = (~forged).sum(), forged.sum()
    smoothed = np.where(forged, (fake + 1) / (fake + 2), 1 / (real + 2))
    each = np.where(forged, 1 / fake, 1 / real) * len(forged) / 2
    model = LogisticRegression(C=np.inf, fit_intercept=with_bias)
    model.fit(
        np.concatenate([logits, logits])[:, None],
        np.repeat([True, False], len(forged)),
        np.concatenate([smoothed * each, (1 - smoothed) * each]),
    )
    return float(model.coef_[0, 0]), float(model.intercept_[0]) if with_bias else 0.0


def _isotonic(logits: Array, forged: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    each = np.where(forged, 1 / forged.sum(), 1 / (~forged).sum())
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(logits, forged, each)
    knots = zip(model.X_thresholds_, model.y_thresholds_, strict=True)
    return tuple((float(x), float(y)) for x, y in knots)


def scores(detector: Detector, folder: Path) -> tuple[Array, int]:
    """Raw scores of the largest face of each photo in a folder and those below it, and how many had none.

    Raises:
        InvalidOption: There are no photos.
    """
    found, skipped = [], 0
    for path in _photos(folder):
        try:
            photo = load(path)
        except InputError:
            skipped += 1
            continue
        faces = detect(photo.rgb)
        if not faces:
            skipped += 1
            continue
        crop = aligned(photo.rgb, faces[0].points, detector.size, detector.margin)
        found.append(float(detector.score(crop[None]).logits[0]))
    return np.array(found), skipped


def _photos(folder: Path) -> Iterator[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InvalidOption(f"There are no photos in {folder.name}.")
    yield from paths


def calibrate(name: str, real: Path, fake: Path, method: Method) -> Calibration:
    """Score two folders with a plug-in, say what was found, and fit.

    Raises:
        InvalidOption: The plug-in is no detector, or there is too little to fit on.
    """
    detector = find(name).get()
    if not isinstance(detector, Detector):
        raise InvalidOption(f"The plug-in {name} is no detector.")
    parts = [scores(detector, folder) for folder in (real, fake)]
    logits = np.concatenate([found for found, _ in parts])
    forged = np.repeat([False, True], [len(found) for found, _ in parts])
    sizes = f"{len(parts[0][0])} authentic and {len(parts[1][0])} forged faces"
    print(f"{sizes}; {parts[0][1] + parts[1][1]} photos without a face left out", file=sys.stderr)
    fitted = fit(detector.card, logits, forged, method, f"{real.name} and {fake.name}")
    print(f"AUC {roc_auc_score(forged, logits):.3f} on these faces, which says little of others", file=sys.stderr)
    return fitted


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit a detector's probabilities on photos whose truth is known.")
    parser.add_argument("--detector", required=True, help="name of the plug-in")
    parser.add_argument("--real", type=Path, required=True, help="folder of authentic photos")
    parser.add_argument("--fake", type=Path, required=True, help="folder of forged photos")
    parser.add_argument("--method", choices=get_args(Method), default="platt")
    parser.add_argument("--out", type=Path, help="file to write; where examinations look for it if not given")
    options = parser.parse_args()
    try:
        fitted = calibrate(options.detector, options.real, options.fake, options.method)
    except FacewitnessError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    card = ModelCard(fitted.detector, fitted.version, fitted.sha256, "", None)
    out: Path = options.out or path_for(card)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(fitted, out)
    print(out)


if __name__ == "__main__":
    main()
