"""Quality setting of a JPEG, from its quantisation tables.

Source: the tables of ITU-T T.81, annex K, scaled as the Independent JPEG Group's library does (jcparam.c).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
# Files hold the tables along the diagonals, alternately down and up.
_ZIGZAG = sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8))


def _scaled(base: tuple[tuple[int, ...], ...]) -> NDArray[np.int64]:
    """(100, 64) tables of qualities 1 to 100, in zigzag order."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = (np.asarray(base).ravel()[_ZIGZAG] * scale[:, None] + 50) // 100
    return np.asarray(np.clip(tables, 1, 255), dtype=np.int64)


_STANDARD = (_scaled(_LUMINANCE), _scaled(_CHROMINANCE))
STANDARD_LUMINANCE = _STANDARD[0]
"""(100, 64): the luminance table of each quality from 1 to 100, in zigzag order."""
ZIGZAG = tuple(_ZIGZAG)
"""Row-wise number in an 8 x 8 block of each value of a table."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Estimated IJG quality in 1..100, and whether the tables are exactly the standard ones."""

    value: int
    standard: bool


def estimate(tables: Sequence[tuple[int, ...]]) -> Quality | None:
    """Quality of the first table (luminance) and, if there is one, the second (chrominance); None without tables."""
    if not tables:
        return None
    found = [np.asarray(table, dtype=np.int64) for table in tables[:2]]
    errors = [np.abs(standard - table).sum(axis=1) for standard, table in zip(_STANDARD, found, strict=False)]
    quality = 100 - int(np.argmin(errors[0][::-1]))
    standard = len(tables) <= 2 and all(error[quality - 1] == 0 for error in errors)
    return Quality(quality, standard)
