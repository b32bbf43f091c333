"""Conditions of a photo that move forensic scores and are no forgery: sharpness, noise, contrast, light, frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .image import RGBImage

NAMES = ("fine detail", "middle detail", "noise", "contrast", "brightness", "saturation", "surroundings")

_FRAME = 16  # pixels along each side of the crop


def conditions(crop: RGBImage) -> NDArray[np.float64]:
    """(7,) values of about unit size, in the order of ``NAMES``, of a (160, 160, 3) uint8 RGB aligned wide crop.

    Detail is the logarithm of the mean absolute difference between two Gaussian blurs of the luminance; noise that of
    the median absolute response to Immerkær's mask (1996), which edges hardly move; surroundings that of the mean
    change towards the crop's sides, which is small where the photo ended and its border was repeated.
    """
    whole = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = whole[16:-16, 24:-24]
    once, twice, thrice = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (0.7, 1.4, 2.8))
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    levels = (
        np.abs(once - twice).mean(),
        np.abs(twice - thrice).mean(),
        np.median(np.abs(cv2.filter2D(grey, -1, mask))),
    )
    across, down = np.abs(np.diff(whole, axis=1)), np.abs(np.diff(whole, axis=0))
    outwards = (across[:, :_FRAME], across[:, -_FRAME:], down[:_FRAME].T, down[-_FRAME:].T)
    saturation = cv2.cvtColor(crop, cv2.COLOR_RGB2HSV)[16:-16, 24:-24, 1].mean()
    *logs, frame = np.log2(np.array([*levels, np.hstack(outwards).mean()], np.float64) + 0.1)
    return np.array([*logs, grey.std() / 64, grey.mean() / 128, saturation / 128, frame])
