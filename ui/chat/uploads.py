"""Uploaded files: read once, and off the disk at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from ...errors import UnreadableFile
from ...tools.image import Photo, load
from ...tools.limits import MAX_BYTES


def photos(folder: Path, paths: Iterable[object]) -> list[Photo]:
    """Decode what a visitor uploaded.

    Args:
        folder: Where Gradio puts uploads; nothing outside it is read.
        paths: As the browser names them.

    Raises:
        InputError: A path elsewhere, or a file that cannot be used. All files are gone from the disk then, too.
    """
    return [load(data) for data in contents(folder, paths)]


def contents(folder: Path, paths: Iterable[object], most: int = MAX_BYTES) -> list[bytes]:
    """Bytes of what a visitor uploaded; one more than ``most`` of a larger file."""
    try:
        return [_take(folder.resolve(), str(path), most) for path in paths]
    finally:
        for path in paths:
            _remove(folder.resolve(), str(path))


def _take(folder: Path, path: str, most: int) -> bytes:
    file = Path(path).resolve()
    if folder not in file.parents or not file.is_file():
        raise UnreadableFile("The upload is not there any more.")
    with file.open("rb") as opened:
        return opened.read(most + 1)


def _remove(folder: Path, path: str) -> None:
    """The file, and the folder of its own that Gradio made for it."""
    file = Path(path).resolve()
    if folder in file.parents:
        file.unlink(missing_ok=True)
        if file.parent != folder and not any(file.parent.glob("*")):
            shutil.rmtree(file.parent, ignore_errors=True)
