"""A map of values from 0 to 1 over a photo: colour and opacity grow with the value, so that 0 leaves the photo bare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..tools.evidence import Picture

LEVEL = 0.5
"""Where the contour line runs."""
OPACITY = 0.75
"""Of a value of 1: what is marked must stay visible."""
STEPS = 256

_FINE = 1000
"""Cells along the longer side of the map in which the contour is traced."""

Values = NDArray[np.float32]
Outline = tuple[tuple[float, float], ...]


def sampled(picture: Picture, size: tuple[int, int], origin: tuple[float, float], scale: float) -> Values:
    """The map under each pixel of a canvas, smoothed; 0 beyond what it covers.

    Args:
        picture: With a map.
        size: Width and height of the canvas in its pixels.
        origin: Upper left corner of the canvas in pixels of the photo.
        scale: Pixels of the canvas per pixel of the photo.

    Returns:
        (height, width) float32, 0..1.
    """
    assert picture.heat_box is not None
    left, top, width, height = picture.heat_box
    across, down = len(picture.heat[0]) / width, len(picture.heat) / height
    affine = (across / scale, 0, (origin[0] - left) * across, 0, down / scale, (origin[1] - top) * down)
    return _unit(_image(picture).transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC))


def smoothed(picture: Picture, longest: int) -> Values:
    """The whole map at a finer grid whose longer side has ``longest`` cells; (rows, columns) float32, 0..1."""
    assert picture.heat_box is not None
    _, _, width, height = picture.heat_box
    factor = longest / max(width, height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return _unit(_image(picture).resize(size, Image.Resampling.BICUBIC))


def _image(picture: Picture) -> Image.Image:
    return Image.fromarray(np.asarray(picture.heat, np.float32))


def _unit(image: Image.Image) -> Values:
    """Bicubic curves swing a little beyond the values that they join."""
    return np.clip(np.asarray(image, np.float32), 0, 1)


def coloured(values: Values) -> NDArray[np.uint8]:
    """(…, 4) uint8 RGBA: the viridis ramp, ordered in lightness for every kind of colour vision and unlike any skin."""
    import cv2

    ramp = cv2.applyColorMap(np.arange(STEPS, dtype=np.uint8), cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    rgb = ramp[np.round(values * (STEPS - 1)).astype(np.uint8)]
    alpha = np.round(values * OPACITY * 255).astype(np.uint8)
    return np.concatenate([rgb, alpha[..., None]], axis=-1).astype(np.uint8, copy=False)


def scale() -> NDArray[np.uint8]:
    """The colours from 0 to 1; (1, STEPS, 4) uint8 RGBA."""
    return coloured(np.linspace(0, 1, STEPS, dtype=np.float32)[None])


def contours(picture: Picture) -> tuple[Outline, ...]:
    """Closed lines around what reaches ``LEVEL``, in pixels of the photo."""
    import cv2

    assert picture.heat_box is not None
    values = smoothed(picture, _FINE)
    # The border lets a line close that would leave the map.
    inside = np.pad((values >= LEVEL).astype(np.uint8), 1)
    found, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    left, top, width, height = picture.heat_box
    step = np.array([width / values.shape[1], height / values.shape[0]])
    # Minus the border, plus half a cell: a cell's value is that of its middle.
    lines = [cv2.approxPolyDP(line, 0.7, True)[:, 0] - 0.5 for line in found if len(line) > 2]
    return tuple(_closed(line * step + (left, top)) for line in lines)


def _closed(line: NDArray[np.float64]) -> Outline:
    return tuple((float(x), float(y)) for x, y in [*line, line[0]])
