"""Photos with a known history of savings and pastes, made in memory from people that no threshold was fixed on.

FRLL: the test people of ``finetune.faces``; their photos are swapped with each other, as they agreed to. FFHQ:
photos 300 to 399, whose own face is taken out, resized and put back, as face-swapping programs do with their result.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import NotMeasurable
from ..finetune.faces import ordered, split_of
from ..finetune.forge import Side, forge
from ..tools import detection, image
from ..tools.face import Face, FaceView, Mesh
from ..tools.image import RGBImage

FFHQ_TEST = range(300, 400)
CROPPED = (3, 5)  # rows and columns that are cut off the top left: neither a multiple of 8
_REACH = 1.2  # side of what is taken out, in the longer side of the face's box
_TURNED = 3.0  # degrees
_FEATHER = 4.0  # pixels


@dataclass(frozen=True, slots=True)
class Subject:
    """A photo of one person, as decoded, with its face and mesh; ``data`` is the file."""

    person: str
    source: str
    rgb: RGBImage
    data: bytes
    face: Face
    mesh: Mesh

    @property
    def side(self) -> Side:
        """What the forge takes."""
        return Side(self.rgb, self.mesh.points)

    def view(self, data: bytes, scale: float = 1.0, cropped: bool = False) -> FaceView:
        """The face in a file made from the photo, where the photo's own mesh says that it is."""
        shift = np.array(CROPPED[::-1] if cropped else (0, 0))
        x, y, width, height = (scale * value for value in self.face.box)
        box = (x - shift[0], y - shift[1], width, height)
        points = (self.face.points * scale - shift).astype(np.float32)
        mesh = self.mesh.points.copy()
        mesh[:, :2] = mesh[:, :2] * scale - shift
        memo = {"mesh": replace(self.mesh, points=mesh)}
        return FaceView(image.load(data), Face("f1", box, points, 1.0), memo)


def frll(data: Path) -> list[Subject]:
    """Neutral photos of the test people, in the order of ``faces.ordered``."""
    photos = {path.stem.removesuffix("_03"): path for path in (data / "frll_london" / "neutral").glob("*.jpg")}
    order = ordered(list(photos))
    return [_subject(photos[name], name, "frll") for name in order if split_of(name, order) == "test"]


def _subject(path: Path, person: str, source: str) -> Subject:
    """Raises ``NotMeasurable`` without a mesh, ``IndexError`` without a face."""
    photo = image.load(path)
    face = detection.detect(photo.rgb)[0]
    return Subject(person, source, photo.rgb, photo.data, face, FaceView(photo, face).mesh)


def ffhq(data: Path, limit: int) -> Iterator[Subject]:
    """Photos of the test numbers with a face and a mesh."""
    for number in list(FFHQ_TEST)[:limit]:
        with suppress(NotMeasurable, IndexError):
            yield _subject(data / "stylegan2_vs_ffhq" / "train" / "real" / f"real_{number}.jpg", str(number), "ffhq")


def saved(rgb: RGBImage, quality: int | None) -> bytes:
    """A JPEG of a quality, or without one a PNG."""
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(rgb).save(buffer, "PNG", compress_level=1)
    else:
        Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def decoded(data: bytes) -> RGBImage:
    """The file's pixels."""
    return image.load(data).rgb


def cropped(rgb: RGBImage) -> RGBImage:
    """The photo without its first rows and columns."""
    return np.ascontiguousarray(rgb[CROPPED[0] :, CROPPED[1] :])


def swapped(method: str, subject: Subject, other: Subject, quality: int | None) -> RGBImage:
    """The other's face, or a part of it, in the subject's photo; both photos saved at a quality before.

    ``swap.*`` puts the first side's face on the second side's head, every other method changes the first side.
    """
    here, there = (Side(decoded(saved(person.rgb, quality)), person.mesh.points) for person in (subject, other))
    if method.startswith("swap"):
        here, there = there, here
    return forge(method, here, there, seed=int(subject.person)).image


def put_back(subject: Subject, rgb: RGBImage, side: int) -> RGBImage:
    """The face taken out at ``side`` pixels, turned by 3 degrees, and put back over itself with a soft edge."""
    x, y, width, height = subject.face.box
    centre = np.array((x + width / 2, y + height / 2))
    scale = side / (_REACH * max(width, height))
    there = np.array(cv2.getRotationMatrix2D(centre.tolist(), _TURNED, scale), np.float64)
    there[:, 2] += side / 2 - centre
    taken = cv2.warpAffine(rgb, there, (side, side), flags=cv2.INTER_LINEAR)
    back = cv2.warpAffine(taken, there, rgb.shape[1::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    mask = np.zeros(rgb.shape[:2], np.float32)
    half = (int(width / 2), int(height / 2))
    cv2.ellipse(mask, (int(centre[0]), int(centre[1])), half, 0, 0, 360, 1, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), _FEATHER)[..., None]
    return np.rint(back * soft + rgb * (1 - soft)).astype(np.uint8)


def pasted(subject: Subject, quality: int) -> RGBImage:
    """The face cut from a JPEG of the same photo with other blocks, put into a photo that was never saved."""
    x, y, width, height = (int(value) for value in subject.face.box)
    smooth = cv2.GaussianBlur(subject.rgb, (0, 0), 0.6).astype(np.uint8)  # wipes out what the file itself left
    donor = np.zeros_like(smooth)
    donor[CROPPED[0] :, CROPPED[1] :] = decoded(saved(cropped(smooth), quality))
    mask = np.zeros(smooth.shape[:2], np.uint8)
    cv2.ellipse(mask, (x + width // 2, y + height // 2), (width // 2, height // 2), 0, 0, 360, 1, -1)
    return np.where(mask[..., None] > 0, donor, smooth).astype(np.uint8)
