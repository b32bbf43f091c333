"""Photos of a benchmark's folder, read once for all that looks at them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import UnreadableFile
from ..tools import image, sface
from ..tools.alignment import TEMPLATE
from ..tools.detection import detect
from ..tools.face import Face, FaceView
from ..tools.image import Photo
from .benchmarks import Item

_ALIGNED = Face("f1", (0, 0, 112, 112), TEMPLATE.astype(np.float32), 1.0)


@dataclass(frozen=True, slots=True)
class Material:
    """The files of a sample.

    Attributes:
        images: Bytes of the pictures in question.
        references: Bytes of the references that are other pictures; a photo says nothing about itself.
        psnr: Of a changed picture against the unchanged one, dB; None where nothing was changed, or the size was.
    """

    images: tuple[bytes, ...]
    references: tuple[bytes, ...]
    psnr: float | None = None

    @property
    def hashes(self) -> list[list[str]]:
        """sha256 of each, for the key of an answer."""
        return [[hashlib.sha256(data).hexdigest() for data in group] for group in (self.images, self.references)]


def material(item: Item, root: Path) -> Material:
    """Read the files of a sample; a change of the sample's is made here.

    Raises:
        UnreadableFile: One is missing or lies outside the benchmark's folder.
        FacewitnessError: It cannot be changed.
    """
    images = tuple(read(name, root) for name in item.images)
    known = dict.fromkeys(read(name, root) for name in item.references)
    references = tuple(data for data in known if data not in images)
    if not item.change:
        return Material(images, references)
    from .perturbations import changed, psnr

    made = changed(item, images[0], references)
    return Material((made,), references, psnr(images[0], made))


def read(name: str, root: Path) -> bytes:
    """Bytes of a picture; a frame of a clip, ``clip.mp4#3``, as PNG.

    Raises:
        UnreadableFile: It is missing, or lies outside the folder.
    """
    path, _, frame = name.partition("#")
    full = (root / path).resolve()
    if not full.is_relative_to(root.resolve()):
        raise UnreadableFile(f"{name} lies outside the benchmark's folder.")
    if frame.isdecimal():
        return _frame(full, int(frame))
    try:
        return full.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read.") from error


def _frame(clip: Path, place: int) -> bytes:
    video = cv2.VideoCapture(str(clip))
    video.set(cv2.CAP_PROP_POS_FRAMES, place)
    found, bgr = video.read()
    video.release()
    if not found:
        raise UnreadableFile(f"{clip.name} has no frame {place}.")
    return bytes(cv2.imencode(".png", bgr)[1].tobytes())


def photo(data: bytes) -> Photo:
    """A decoded photo; see ``tools.image.load``."""
    return image.load(data)


def face(data: bytes, aligned: bool = False) -> FaceView | None:
    """The largest face, or the whole picture where it is aligned already; None without a face."""
    loaded = photo(data)
    if aligned:
        return FaceView(loaded, _ALIGNED, {"feature": sface.see(loaded.rgb).feature})
    faces = detect(loaded.rgb)
    return FaceView(loaded, faces[0]) if faces else None
