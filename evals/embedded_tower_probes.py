"""What a linear model reads from a picture's pixels, or from the tower's frozen tokens: floors, and what is in them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

THUMBNAIL = 16
"""Side in pixels of the picture that the pixel floor sees."""
_PENALTIES = tuple(10.0**k for k in range(0, 6))


def thumbnails(crops: NDArray[np.uint8]) -> Array:
    """(n, 768) float64 in 0..1 from (n, side, side, 3) crops."""
    small = [cv2.resize(crop, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA) for crop in crops]
    return np.stack(small).reshape(len(crops), -1) / 255.0


def values(fit: Array, targets: Array, test: Array) -> Array:
    """(m, k) that ridge regression on (n, d) features and (n, k) targets says of (m, d).

    The penalty is chosen by leaving one out.
    """
    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    return np.asarray(model.fit(fit, targets).predict(test)).reshape(len(test), -1)


def scores(fit: Array, truth: Bools, test: Array) -> Array:
    """(m,) log odds that logistic regression on (n, d) features and (n,) truths says of (m, d); classes weigh alike."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500))
    return np.asarray(model.fit(fit, truth).decision_function(test))
