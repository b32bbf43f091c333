"""Traces of resizing or turning: interpolated pixels are predictable from their neighbours at regular intervals.

Popescu and Farid (2005), with the fixed predictor of Kirchner (2008): the spectrum of the prediction error's map has
peaks where pixels were interpolated. Later JPEG compression adds noise that hides them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .face import Face, Floats
from .image import RGBImage

SIDE_MIN, SIDE_MAX = 96, 256
"""Pixels a side of the square that is examined."""

_PREDICTION_ERROR = np.array([[-0.25, 0.5, -0.25], [0.5, -1, 0.5], [-0.25, 0.5, -0.25]], np.float32)
_TOLERANCE = 8.0  # squared grey levels up to which a pixel counts as predicted; 1 finds less after JPEG of quality 98
_LOW = 8  # steps of frequency from zero that hold the picture itself
_GUARD = 2  # steps of frequency around multiples of 1/8, where JPEG blocks have peaks of their own
_AROUND_SIDE_MAX = 512
_CLEAR = 1.35  # times the face's ellipse that is left out of its surroundings
_AROUND = 21  # steps of frequency over which a peak is compared


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest peak of a spectrum.

    Attributes:
        contrast: Power over the mean power around it.
        row: Periods per pixel downwards, -0.5..0.5.
        column: Periods per pixel rightwards, 0..0.5.
        energy: Of the map that the spectrum is of; smooth pictures have little, and show no trace.
    """

    contrast: float
    row: float
    column: float
    energy: float


def highest(square: RGBImage) -> Peak:
    """The peak that stands out most.

    Args:
        square: (n, n, 3) uint8, RGB; n even and at least ``SIDE_MIN``.
    """
    wave = _wave(square)
    contrast, rows, columns = _spectrum(wave)
    place = np.unravel_index(int(contrast.argmax()), contrast.shape)
    return Peak(float(contrast[place]), float(rows[place[0], 0]), float(columns[0, place[1]]), _energy(wave))


def around(rgb: RGBImage, face: Face, peak: Peak) -> tuple[float, float]:
    """Contrast of a face's peak in what surrounds it, up to 512 pixels wide, and its energy relative to the face's.

    Args:
        rgb: (height, width, 3) uint8, RGB.
        face: Left out with a margin.
        peak: Of the face.

    Returns:
        Zeros if there is too little around the face.
    """
    x, y, width, height = face.box
    side = min(_AROUND_SIDE_MAX, *rgb.shape[:2]) // 2 * 2
    row, column = _corner(rgb, y + height / 2 - side / 2, x + width / 2 - side / 2, side)
    rows, columns = np.mgrid[row : row + side, column : column + side]
    distance = np.hypot((columns - x - width / 2) / (width / 2), (rows - y - height / 2) / (height / 2))
    outside = (distance >= _CLEAR).astype(np.float32)
    if outside.sum() < SIDE_MIN**2:
        return 0.0, 0.0
    wave = _wave(rgb[row : row + side, column : column + side]) * outside
    contrast, down, right = _spectrum(wave)
    # The face's spectrum is coarser: its peak lies within a step of it.
    step = 1.0 / min(face.size, SIDE_MAX)
    near = (np.abs(down - peak.row) <= step) & (np.abs(right - peak.column) <= step)
    return float(contrast[near].max(initial=0.0)), _energy(wave) / max(peak.energy, 1e-9)


def _wave(square: RGBImage) -> Floats:
    """(n, n): how far each pixel is predictable from its neighbours, less the mean around it, fading to the edges."""
    grey = cv2.transform(square.astype(np.float32), np.array([[0.299, 0.587, 0.114]], np.float32))
    error = cv2.filter2D(grey, cv2.CV_32F, _PREDICTION_ERROR, borderType=cv2.BORDER_REFLECT)
    predictable = np.exp(-error * error / _TOLERANCE)
    window = np.hanning(len(square)).astype(np.float32)
    return np.asarray((predictable - cv2.blur(predictable, (9, 9))) * window[:, None] * window)


def _energy(wave: Floats) -> float:
    return float((wave * wave).sum())


def _spectrum(wave: Floats) -> tuple[Floats, Floats, Floats]:
    """Power over its surroundings, (n, n / 2 + 1), zero where it says nothing; frequencies of rows and columns."""
    side = len(wave)
    power = np.fft.fftshift(np.abs(np.fft.rfft2(wave)) ** 2, 0).astype(np.float32)
    around = cv2.blur(power, (_AROUND, _AROUND), borderType=cv2.BORDER_REFLECT)
    rows = np.fft.fftshift(np.fft.fftfreq(side))[:, None].astype(np.float32)
    columns = np.fft.rfftfreq(side)[None].astype(np.float32)
    blocks = (_from_eighths(rows) * side <= _GUARD) & (_from_eighths(columns) * side <= _GUARD)
    usable = ~blocks & (np.hypot(rows, columns) * side >= _LOW)
    return np.where(usable, power / (around + 1e-9), 0).astype(np.float32), rows, columns


def _from_eighths(frequency: Floats) -> Floats:
    return np.abs(frequency - np.rint(frequency * 8) / 8).astype(np.float32)


def face_square(rgb: RGBImage, face: Face) -> RGBImage | None:
    """The square that fits into a face's box; None if the face is too small."""
    side = min(int(face.size), SIDE_MAX, *rgb.shape[:2]) // 2 * 2
    if side < SIDE_MIN:
        return None
    x, y, width, height = face.box
    row, column = _corner(rgb, y + (height - side) / 2, x + (width - side) / 2, side)
    return rgb[row : row + side, column : column + side]


def _corner(rgb: RGBImage, row: float, column: float, side: int) -> tuple[int, int]:
    """Where a square begins, moved into the picture."""
    return min(max(int(row), 0), rgb.shape[0] - side), min(max(int(column), 0), rgb.shape[1] - side)
