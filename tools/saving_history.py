"""Earlier JPEG savings of a photo, in a face and around it.

The surroundings say which saving there was, and the face is asked for that saving alone, so nothing is chosen on the
face. Thresholds were fixed on people of the fit and calibration splits: ``docs/models/provenance_traces.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NotMeasurable
from . import double_jpeg, jpeg_grid, jpeg_structure
from .block_dct import FREQUENCIES
from .containers import inspect
from .exif import read
from .face import Floats
from .image import Photo
from .trace_regions import Box, Regions, regions

BLOCKS_MIN = 24
"""Patches with structure that a region needs."""

SEARCHED = 500
"""Patches in which all 64 grids are searched."""

SHARE = (0.5, 1.6)
"""Shares of the surroundings between which a saving counts as found; 1 is expected. Of a weaker trace, what a face
keeps depends on the picture: 225 untouched faces kept at least 0.67 of a stronger one, 60 at least 0.34 of a weaker."""

SHARE_ERROR_MAX = 0.05
"""Standard error up to which it does: 56 photos saved once had none below 0.087."""

CONTRAST_MIN = 7.0
"""Contrast from which another grid counts as found; photos without one reach 4.2."""

EDGE_CONTRAST_MIN = 9.0
"""The same for a grid that shares rows or columns with the last saving's; photos without one reach 6.3."""

FACE_ERROR_MAX = 0.1
"""Standard error of what the face keeps up to which it is measured."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Saving:
    """An earlier JPEG saving that shows around a face, or might.

    Attributes:
        table: (14,) steps of the last saving; None if the file is no JPEG.
        trace: What was found: on the last saving's grid, or on another.
        around: Share of the surroundings that shows it, and its standard error.
        found: Whether they show it beyond doubt.
    """

    table: Array | None
    trace: double_jpeg.Earlier | jpeg_grid.Grid
    around: tuple[float, float]
    found: bool

    def kept(self, patches: Floats) -> tuple[float, float]:
        """What a region keeps of the trace around the face, 0 to about 1, and its standard error."""
        if isinstance(self.trace, jpeg_grid.Grid):
            share, error = jpeg_grid.share(patches, self.trace, self.table)
        else:
            assert self.table is not None
            share, error = double_jpeg.share(patches, self.table, self.trace.steps)
        return share / self.around[0], error / self.around[0]


def parts_of(photo: Photo, face: Box, parts: Mapping[str, Box]) -> tuple[Regions, Array | None]:
    """Patches in and around a face, and the (14,) steps of the last saving, None if the file is no JPEG.

    Raises:
        NotMeasurable: Too few patches, or a kind of file whose values do not tell.
    """
    table = _last_table(photo)
    orientation = read(inspect(photo.data, photo.format).exif).orientation
    found = regions(photo.rgb, face, parts, orientation)
    for name, patches in (("The face", found.inside), ("What surrounds the face", found.around)):
        if len(patches) < BLOCKS_MIN:
            raise NotMeasurable(
                f"{name} has {len(patches)} blocks with structure, and {BLOCKS_MIN} are needed to read earlier savings."
            )
    return found, table


def _last_table(photo: Photo) -> Array | None:
    if photo.format == "WEBP" and b"VP8 " in photo.data[:64]:
        raise NotMeasurable("The file is a WEBP with losses, which hide earlier savings.")
    if photo.format != "JPEG":
        return None
    jpeg = jpeg_structure.parse(photo.data)
    if len(jpeg.sampling) == 4 or not jpeg.tables:
        raise NotMeasurable(f"The JPEG has {len(jpeg.sampling)} colour components; 1 or 3 can be read.")
    return np.array(jpeg.tables[0][1 : 1 + FREQUENCIES])


def earlier(around: Floats, table: Array | None) -> Saving | None:
    """The earlier saving that the surroundings show, on the last one's grid or else on another; None without one."""
    saving = None if table is None else same_grid(around, table)
    if saving is None or not saving.found:
        saving = other_grid(around, table)
    return saving if saving.found else None


def same_grid(around: Floats, table: Array) -> Saving:
    """The likeliest earlier saving on the grid of the last one."""
    trace = double_jpeg.find(around, table)
    found = SHARE[0] <= trace.share[0] <= SHARE[1] and trace.share[1] <= SHARE_ERROR_MAX
    return Saving(table, trace, trace.share, found)


def other_grid(around: Floats, table: Array | None) -> Saving:
    """The likeliest earlier saving on another grid; without a last one, on any."""
    grid = jpeg_grid.find(_some(around), table)
    share = jpeg_grid.share(around, grid, table)
    return Saving(table, grid, share, _stands_out(grid, table) and SHARE[0] <= share[0] <= SHARE[1])


def own_grid(parts: Regions, table: Array | None) -> jpeg_grid.Grid | None:
    """A grid that the face has alone, as it has when it was cut from another JPEG and put in without resizing."""
    grid = jpeg_grid.find(_some(parts.inside), table)
    if not _stands_out(grid, table) or jpeg_grid.share(parts.around, grid, table)[0] > _NOT_AROUND:
        return None
    return grid


_NOT_AROUND = 0.1


def _stands_out(grid: jpeg_grid.Grid, table: Array | None) -> bool:
    return grid.contrast >= (EDGE_CONTRAST_MIN if grid.edge and table is not None else CONTRAST_MIN)


def _some(patches: Floats) -> Floats:
    return patches[:: max(1, -(-len(patches) // SEARCHED))]
