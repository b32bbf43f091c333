"""What is known of the forgery set's pictures beyond the set itself: the measured photo, and which regions are altered.

A forgery takes the geometry of the photo that it was made from where its method moves nothing; otherwise its geometry
is not known.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.alignment import TEMPLATE, WIDE
from ...tools.face import Face, FaceView, Floats, Mesh
from ...tools.forensic_parts import parts
from ...tools.image import Photo, RGBImage
from ..data.sight import REGIONS, Made, altered
from ..forgery_set import SIDE, ForgerySet
from .photos import Photos

UNMOVED = ("real", "selfblend", "inside", "redrawn", "clone", "stylegan2", "ict")
"""Methods that leave features where they are."""


@dataclass(frozen=True, slots=True)
class Known:
    """For each picture of a set.

    Attributes:
        photo: (n,) place of its photo, or of what it was made from, among the measured ones; -1 for none.
        still: (n,) whether the photo's mesh, blendshapes and identity hold for the picture.
        regions: (n, 5) 1 where a region of ``sight.REGIONS`` is altered, 0 where it is not, NaN where neither is clear.
    """

    photo: NDArray[np.intp]
    still: NDArray[np.bool_]
    regions: NDArray[np.float32]


def known(faces: ForgerySet, photos: Photos, cache: Path) -> Known:
    """Find the photos and read the regions, or open what an earlier call wrote; two minutes on one core."""
    photo = _photos(faces, photos)
    still = np.array([entry.method.partition(".")[0] in UNMOVED for entry in faces.entries]) & (photo >= 0)
    file = cache / "regions.npy"
    if not file.exists():
        np.save(file, _regions(faces, photos, photo))
    return Known(photo, still, np.load(file))


def _photos(faces: ForgerySet, photos: Photos) -> NDArray[np.intp]:
    """The set's photos are the same pixels as those that were measured."""
    places = {zlib.crc32(rgb.tobytes()): number for number, rgb in enumerate(photos.rgb)}
    own = [
        places.get(zlib.crc32(faces.rgb[row].tobytes()), -1) if entry.base is None else -1
        for row, entry in enumerate(faces.entries)
    ]
    return np.array([own[row if entry.base is None else entry.base] for row, entry in enumerate(faces.entries)])


def _regions(faces: ForgerySet, photos: Photos, photo: NDArray[np.intp]) -> NDArray[np.float32]:
    found = np.full((len(faces.entries), len(REGIONS)), np.nan, np.float32)
    where: dict[str, NDArray[np.bool_]] = {}
    last = -1
    for row, entry in enumerate(faces.entries):
        if entry.family == "real":
            found[row] = 0
        if entry.base is None or photo[row] < 0 or entry.family not in ("manipulation", "morph"):
            continue
        base = np.array(faces.rgb[entry.base])
        if photo[row] != last:
            last, where = int(photo[row]), regions(base, photos.mesh[photo[row]])
        mask = cv2.resize(faces.masks[row], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        made = Made(np.array(faces.rgb[row]), base, mask, "manipulated", entry.method, (entry.person,), entry.source)
        found[row] = [np.nan if of is None else float(of) for of in altered(made, where).values()]
    return found


def regions(crop: RGBImage, mesh: Floats) -> dict[str, NDArray[np.bool_]]:
    """Mask of each region of ``sight.REGIONS`` over a crop of ``align_wide``, for a mesh in fractions of the crop."""
    side = crop.shape[0]
    points = ((TEMPLATE + 112 * (WIDE - 1) / 2) * side / (112 * WIDE)).astype(np.float32)
    placed = np.column_stack([mesh * side - 0.5, np.zeros(len(mesh))]).astype(np.float32)
    view = FaceView(Photo(crop, b"", "", "PNG"), Face("f1", (0, 0, side, side), points, 1.0))
    view._memo["mesh"] = Mesh(placed, 1.0, np.zeros(52, np.float32))
    found = parts(view)
    joined = {name: np.any([found[part] for part in of], axis=0).astype(np.uint8) for name, of in REGIONS.items()}
    return {name: cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST) > 0 for name, mask in joined.items()}
