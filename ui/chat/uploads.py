"""Uploaded photos: in memory alone, each under a name that only its visitor knows, until it is read."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterable, Sequence

from ...errors import UnreadableFile
from ...tools.image import Photo, load

KEPT = 15 * 60
"""Seconds within which an upload is read; its event may have to wait for those of others."""
MOST_FILES, MOST_BYTES = 128, 256_000_000
"""That wait at a time; what came first goes first."""


class Uploads:
    """What has arrived and was not read yet. Gradio's own uploads are files, and are refused."""

    def __init__(self) -> None:
        self._waiting: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, data: bytes) -> str:
        """Keep a file, in an event loop; the name under which it can be taken."""
        name = secrets.token_urlsafe(32)
        asyncio.get_running_loop().call_later(KEPT, self.take, [name])
        with self._lock:
            self._waiting[name] = data
            while len(self._waiting) > MOST_FILES or sum(map(len, self._waiting.values())) > MOST_BYTES:
                del self._waiting[next(iter(self._waiting))]
        return name

    def take(self, names: Iterable[object]) -> list[bytes | None]:
        """Files, which are not kept any longer; None for one that is not there."""
        with self._lock:
            return [self._waiting.pop(str(name), None) for name in names]


def photos(files: Sequence[bytes | None]) -> list[Photo]:
    """Decode what was taken.

    Raises:
        InputError: A file that was not there, or that cannot be used.
    """
    found = [data for data in files if data is not None]
    if len(found) < len(files):
        raise UnreadableFile("The upload is not there any more.")
    return [load(data) for data in found]
