"""Bytes in, an upright RGB photo out, or a clear refusal."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from ..errors import FileTooLarge, InputError, TruncatedImage, UnreadableFile
from . import containers, exif
from .containers import Container
from .file_types import image_format
from .limits import MAX_BYTES

RGBImage = NDArray[np.uint8]

_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
# Opened without blocking, so that a FIFO cannot hang the caller; regular files do not care.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    Attributes:
        rgb: (height, width, 3) uint8, RGB, EXIF orientation applied, read-only.
        data: The file's bytes as given, for provenance tools; stored only by ``enroll --keep-photos``, encrypted.
        sha256: Hex digest of ``data``.
        format: ``JPEG``, ``PNG`` or ``WEBP``.
    """

    rgb: RGBImage
    data: bytes
    sha256: str
    format: str


def load(source: bytes | str | Path) -> Photo:
    """Decode a photo.

    Sizes are checked from the header before anything is decoded, and the decoder never sees metadata. Transparent
    pictures are shown on white; 16-bit grey is scaled to 8 bits; colour profiles are not applied; of a file with
    further pictures behind the first (MPF) the first is taken.

    Args:
        source: The bytes of a file, or the path of one; a string is only ever a path.

    Raises:
        UnreadableFile: No such file, not a regular file, or not allowed.
        FileTooLarge: Over 10,000,000 bytes.
        NotAnImage: Not an image.
        UnsupportedFormat: An image, but not a JPEG, PNG or WEBP that can be decoded.
        TooManyPixels: Over 40,000,000 pixels or 10,000 a side.
        AnimatedImage: More than one frame.
        TruncatedImage: Damaged or cut off.
    """
    data = source if isinstance(source, bytes) else _read(Path(source))
    _check_bytes(len(data))
    container = containers.inspect(data, image_format(data))
    try:
        rgb = _decode(container)
    except InputError:
        raise
    except Exception as error:  # on hostile bytes a decoder may raise anything
        raise TruncatedImage(f"The {container.format} data are damaged or end too early.") from error
    rgb = _upright(rgb, exif.read(container.exif).orientation)
    rgb.setflags(write=False)
    return Photo(rgb, data, hashlib.sha256(data).hexdigest(), container.format)


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError:
        raise UnreadableFile("The file does not exist.") from None
    except PermissionError:
        raise UnreadableFile("The file may not be read: permission denied.") from None
    except (OSError, ValueError):
        raise UnreadableFile("The path cannot be opened as a file.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile("The path is a directory or a device, not a regular file.")
        _check_bytes(status.st_size)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    except OSError:
        raise UnreadableFile("The file cannot be read.") from None
    finally:
        os.close(descriptor)


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise FileTooLarge(f"The file has at least {size:,} bytes; the limit is {MAX_BYTES:,}.")


def _decode(container: Container) -> RGBImage:
    with _DECODERS[container.format](BytesIO(container.pixels)) as image:
        if image.size != (container.width, container.height):
            raise TruncatedImage(f"The {container.format} states different sizes in different places.")
        complete = _load_png(image, container.pixels) if container.format == "PNG" else bool(image.load())
        if not complete or (container.format == "JPEG" and not _jpeg_is_complete(image, container.pixels)):
            raise TruncatedImage(f"The {container.format} data end before the last of {image.height:,} rows.")
        return np.asarray(_to_rgb(image, container.inverted), dtype=np.uint8)


def _load_png(image: ImageFile.ImageFile, png: bytes) -> bool:
    """Decode, and tell whether the last row was reached: Pillow tolerates compressed data that end early.

    The last row (of an interlaced picture, the last that only the last pass writes) holds noise beforehand, which
    decoding must replace. A row so short that noise might be right by chance is tried again with the opposite.
    """
    width, height = image.size
    row = height - 1 if height == 1 or height % 2 == 0 or not image.info.get("interlace") else height - 2
    blank = Image.new(image.mode, (width, 1)).tobytes()
    noise = os.urandom(len(blank))
    if not _keeps(image, noise, row):
        return True
    if len(noise) >= 16:
        return False
    with PngImagePlugin.PngImageFile(BytesIO(png)) as again:
        return not _keeps(again, bytes(byte ^ 255 for byte in noise), row)


def _keeps(image: ImageFile.ImageFile, noise: bytes, row: int) -> bool:
    strip = Image.frombytes(image.mode, (image.width, 1), noise)
    canvas = Image.new(image.mode, image.size)
    canvas.paste(strip, (0, row))
    image.im = canvas.im
    image.load()
    return image.crop((0, row, image.width, row + 1)).tobytes() == strip.tobytes()


def _jpeg_is_complete(image: ImageFile.ImageFile, jpeg: bytes) -> bool:
    """Whether a JPEG with its end marker has data for its last block: what is missing decodes to mid-grey.

    Only a picture that ends so is checked further: bytes put before the end marker of a complete JPEG change
    nothing; in an incomplete one they become pixels. Data that end within the last block, or the last pass of a
    progressive JPEG, are not noticed.
    """
    width, height = image.size
    corner = np.asarray(image.crop((max(width - 7, 0), max(height - 7, 0), width, height)))
    if (np.abs(corner.astype(np.int16) - 128) > 1).any():
        return True
    padded = jpeg[:-2] + bytes(range(255)) + jpeg[-2:]
    return ImageChops.difference(_reduced(jpeg), _reduced(padded)).getbbox() is None


def _reduced(jpeg: bytes) -> Image.Image:
    """Luminance at an eighth of the size, which needs little memory."""
    with JpegImagePlugin.JpegImageFile(BytesIO(jpeg)) as image:
        image.draft("L", (max(image.width // 8, 1), max(image.height // 8, 1)))
        return image.convert("L")


def _to_rgb(image: Image.Image, inverted: bool) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if inverted:
        image = ImageChops.invert(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    coloured = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(coloured, mask=coloured)
    return white


def _upright(rgb: RGBImage, orientation: int | None) -> RGBImage:
    """Apply EXIF orientation (CIPA DC-008, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        rgb = rgb.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)
