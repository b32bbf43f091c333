"""Faces and regions of faces exchanged between two photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...tools.face import Floats
from ...tools.image import RGBImage
from .blending import BLENDINGS, composite
from .colour import COLOURS, match_colour
from .mesh import REGIONS, Side, face_width, grow, hull, ring, warp

_SHAPES = ("oval", "inner", "eroded", "dilated")
_ERODED = (0.02, 0.08)  # of the face's width
_DILATED = (0.01, 0.05)
_BEYOND = 1.3  # the source is taken out to its oval times this, so that a dilated mask shows the source
# swap.KIND: what it fixes (blending, colour transfer, shape of the mask); the seed draws among what is left.
_SWAPS: dict[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "laplacian": (("laplacian",), COLOURS[:3], _SHAPES),
    "histogram": (("alpha", "laplacian"), ("histogram",), _SHAPES),
    "covariance": (("alpha", "laplacian"), ("covariance",), _SHAPES),
    "plain": (("alpha",), ("none",), _SHAPES),
    "inner": (BLENDINGS, COLOURS, ("inner",)),
    "poisson": (("seamless", "mixed"), COLOURS, _SHAPES),
}
_TEETH = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]  # inner lips
_PLAIN_SWAPS = ("alpha", "seamless", "mixed")  # the oval, colours by Reinhard
_PARTS = ("eyes", "nose", "mouth")
SWAPS = tuple(f"swap.{kind}" for kind in (*_PLAIN_SWAPS, *_SWAPS))
EXCHANGES = (*(f"region.{part}" for part in _PARTS), *(f"region.{part}.varied" for part in (*_PARTS, "lower")))


def swap(method: str, person: Side, other: Side, rng: np.random.Generator, feather: float) -> tuple[RGBImage, Floats]:
    """Put the person's face on the other's head: the picture and its mask.

    Args:
        method: One of ``SWAPS``.
        person: Whose face is taken.
        other: Whose photo it is put into.
        rng: Draws what the method leaves open.
        feather: Pixels over which the face fades in.
    """
    kind = method.partition(".")[2]
    if kind in _PLAIN_SWAPS:
        inside = hull(other.points[REGIONS["face"]], other.rgb)
        return _put(person, other, inside, (kind, "reinhard"), feather)
    blending, colour, shape = (str(rng.choice(choices)) for choices in _SWAPS[kind])
    inside = hull(other.points[REGIONS["inner" if shape == "inner" else "face"]], other.rgb)
    return _put_varied(
        person, other, _reshape(inside, shape, rng, face_width(other.points)), (blending, colour), feather
    )


def exchange(
    method: str, person: Side, other: Side, rng: np.random.Generator, feather: float
) -> tuple[RGBImage, Floats]:
    """Put one region of the other's face into the person's photo; as ``swap``, of ``EXCHANGES``."""
    _, part, *varied = method.split(".")
    inside = hull(person.points[REGIONS[part]], person.rgb)
    if not varied:
        return _put(other, person, inside, ("alpha", "reinhard"), feather)
    blending, colour = str(rng.choice(BLENDINGS)), str(rng.choice(COLOURS))
    shape = str(rng.choice(("oval", "dilated")))
    inside = _reshape(inside, shape, rng, face_width(person.points))
    return _put_varied(other, person, inside, (blending, colour), feather)


def _reshape(inside: RGBImage, shape: str, rng: np.random.Generator, width: float) -> RGBImage:
    if shape == "eroded":
        return grow(inside, -rng.uniform(*_ERODED) * width)
    return grow(inside, rng.uniform(*_DILATED) * width) if shape == "dilated" else inside


def _put_varied(
    source: Side, canvas: Side, inside: RGBImage, look: tuple[str, str], feather: float
) -> tuple[RGBImage, Floats]:
    """As ``_put``, with what lies around the source's face, and without stretching its closed lips over teeth."""
    if _opening(source) < _opening(canvas) / 2:
        inside = inside & (1 - hull(canvas.points[_TEETH], canvas.rgb))
    source, canvas = (Side(side.rgb, np.vstack([side.points, ring(side.points, _BEYOND)])) for side in (source, canvas))
    return _put(source, canvas, inside, look, feather)


def _opening(side: Side) -> float:
    """How far the lips are apart, of the face's height."""
    upper, lower, top, chin = side.points[[13, 14, 10, 152]]
    return float(np.linalg.norm(upper - lower) / np.linalg.norm(top - chin))


def _put(
    source: Side, canvas: Side, inside: RGBImage, look: tuple[str, str], feather: float
) -> tuple[RGBImage, Floats]:
    blending, colour = look
    patch = match_colour(warp(source, canvas.points, canvas.rgb), canvas.rgb, inside, colour)
    return composite(patch, canvas.rgb, inside, blending, feather)
