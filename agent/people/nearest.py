"""The nearest of very many unit vectors, in memory: a scan over all of them in 8 bits a number, by FAISS.

An approximate index would save time by missing some; a scan of 1,000,000 takes milliseconds and misses none. What
rounding to 8 bits can change is bounded, so a caller who knows the vectors can prove that none is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidOption
from ...tools.face import Floats

ID_BYTES = 16
_STEPS = 254.0
"""From 0 to 1, so that 8 bits reach to 0.5; in 963 unit vectors of SFace the greatest number was 0.363."""
_LARGEST = 127.0
_FLOAT_ERROR = 1e-5
"""Of a cosine in single precision."""


class Nearest:
    """Unit vectors by id, shared out evenly so that every core scans a part.

    Attributes:
        lost: Length of what rounding took from a vector, at most.

    Raises:
        InvalidOption: FAISS is not installed.
    """

    def __init__(self, length: int) -> None:
        self.lost = 0.0
        parts = os.cpu_count() or 1
        self._parts = [_Part(length) for _ in range(parts)]
        self._pool = ThreadPoolExecutor(parts, "nearest", initializer=_one_thread)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, ids: bytes, units: Floats) -> None:
        """Take in (n, length) unit vectors; their ids of 16 bytes stand one behind the other."""
        codes = np.clip(np.rint(units * _STEPS), -128, 127)
        lost = np.linalg.norm(units - codes / _STEPS, axis=1)
        self.lost = max(self.lost, float(lost.max(initial=0.0)))
        min(self._parts, key=len).add(ids, codes)

    def keep(self, ids: bytes) -> None:
        """Remove all but those of these ids."""
        kept = np.frombuffer(ids, f"S{ID_BYTES}")
        for part in self._parts:
            part.keep(kept)

    def search(self, unit: Floats, count: int) -> tuple[list[tuple[float, bytes]], float]:
        """Scores and ids of the so many nearest to a unit vector, the nearest first; how far off a cosine can be."""
        # FAISS cuts numbers of the query to whole ones, so they are rounded here.
        steps = _LARGEST / float(np.abs(unit).max())
        query = np.rint(unit * steps)
        lost = float(np.linalg.norm(unit - query / steps))
        found = self._pool.map(lambda part: list(part.search(query, count)), self._parts)
        best = sorted((one for part in found for one in part), reverse=True)[:count]
        return [(score / (_STEPS * steps), id_) for score, id_ in best], lost + (1 + lost) * self.lost + _FLOAT_ERROR


class _Part:
    def __init__(self, length: int) -> None:
        faiss = _faiss()
        self._codes: Any = faiss.IndexScalarQuantizer(
            length, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
        )
        self._ids = bytearray()

    def __len__(self) -> int:
        return len(self._ids) // ID_BYTES

    def add(self, ids: bytes, codes: Floats) -> None:
        self._codes.add(np.ascontiguousarray(codes, np.float32))
        self._ids += ids

    def keep(self, kept: NDArray[np.bytes_]) -> None:
        ids = np.frombuffer(bytes(self._ids), f"S{ID_BYTES}")
        stays = np.isin(ids, kept)
        if not stays.all():
            self._codes.remove_ids(np.flatnonzero(~stays))
            self._ids = bytearray(ids[stays].tobytes())

    def search(self, query: Floats, count: int) -> Iterator[tuple[float, bytes]]:
        count = min(count, len(self))
        if count:
            scores, places = self._codes.search(query[None], count)
            for score, place in zip(scores[0].tolist(), places[0].tolist(), strict=True):
                yield score, bytes(self._ids[place * ID_BYTES : (place + 1) * ID_BYTES])


def _one_thread() -> None:
    """FAISS's own threads, which spin, would fight with ours."""
    _faiss().omp_set_num_threads(1)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise InvalidOption("Searching among enrolled people needs FAISS: install facewitness[gallery].") from None
    return faiss
