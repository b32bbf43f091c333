"""Structure of JPEG, PNG and WEBP files, read with bounded work before a decoder sees them.

The decoder is given the picture alone: metadata (EXIF, XMP, text, colour profiles) are left out, which keeps
decompression bombs and hostile tag tables away from it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import AnimatedImage, FileTooLarge, TruncatedImage
from . import jpeg_structure, png_text
from .limits import MAX_BYTES, MAX_PARTS, check_size

_PNG_START = 8
XMP = png_text.XMP_KEYWORD
_MOST_TEXTS = 64
_WEBP_PICTURE = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA = 0x20 | 0x08 | 0x04
"""Flags of VP8X: a colour profile, EXIF, XMP."""


@dataclass(frozen=True, slots=True)
class Container:
    """What the structure of a file says.

    Attributes:
        format: ``JPEG``, ``PNG`` or ``WEBP``.
        width: Pixels, as stored (before EXIF orientation).
        height: Pixels, as stored.
        pixels: The file without metadata.
        exif: TIFF block of the EXIF data, or empty.
        end: Offset of the first byte after the picture; what follows is no part of it.
        inverted: A CMYK JPEG without Adobe marker, whose inks a decoder that expects one would invert.
        texts: Keyword and text of each note in the file, at most 64; XMP has the keyword ``XMP``, a JPEG comment an
            empty one. They are what the file says: never print them as they are.
    """

    format: str
    width: int
    height: int
    pixels: bytes
    exif: bytes
    end: int
    inverted: bool = False
    texts: tuple[tuple[str, str], ...] = ()


class Chunk(NamedTuple):
    """One PNG or WEBP chunk; ``start`` and ``end`` include its frame."""

    kind: bytes
    start: int
    end: int
    payload: memoryview


def inspect(data: bytes, image_format: str) -> Container:
    """Read the structure of a file.

    Raises:
        TooManyPixels: Larger than the limits.
        AnimatedImage: More than one frame.
        TruncatedImage: Damaged or cut off.
        FileTooLarge: Compressed metadata that expand beyond the limit.
        UnsupportedFormat: A variant of the format that is not supported.
    """
    if image_format == "JPEG":
        jpeg = jpeg_structure.parse(data)
        inverted = len(jpeg.sampling) == 4 and not jpeg.adobe
        texts = [(XMP, jpeg.xmp)] if jpeg.xmp else []
        texts += [("", jpeg.comment)] if jpeg.comment else []
        notes = tuple((keyword, text.decode("utf-8", "replace")) for keyword, text in texts)
        return Container("JPEG", jpeg.width, jpeg.height, jpeg.pixels, jpeg.exif, jpeg.end, inverted, notes)
    return _png(data) if image_format == "PNG" else _webp(data)


def _png(data: bytes) -> Container:
    kept, exif, end, inflated = [data[:_PNG_START]], b"", 0, 0
    width = height = 0
    texts: list[tuple[str, str]] = []
    for chunk in _png_chunks(data):
        if width == 0:
            width, height = _png_size(chunk)
        if chunk.kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            checksum = int.from_bytes(data[chunk.end - 4 : chunk.end], "big")
            if zlib.crc32(data[chunk.start + 4 : chunk.end - 4]) != checksum:
                raise TruncatedImage(f"A PNG chunk at byte {chunk.start:,} fails its checksum.")
            kept.append(data[chunk.start : chunk.end])
        elif chunk.kind == b"acTL" and int.from_bytes(chunk.payload[:4], "big") > 1:
            raise AnimatedImage(f"The PNG has {int.from_bytes(chunk.payload[:4], 'big')} frames; the limit is 1.")
        elif chunk.kind == b"eXIf":
            exif = bytes(chunk.payload)
        elif chunk.kind in (b"iCCP", *png_text.TEXT_KINDS):
            inflated += png_text.inflated_size(chunk.kind, bytes(chunk.payload))
            if inflated > MAX_BYTES:
                raise FileTooLarge(f"The PNG's metadata expand to over {MAX_BYTES:,} bytes; that is the limit.")
            if chunk.kind != b"iCCP" and len(texts) < _MOST_TEXTS:
                texts.append(png_text.read(chunk.kind, bytes(chunk.payload)))
        end = chunk.end
    return Container("PNG", width, height, b"".join(kept), exif, end, texts=tuple(texts))


def _png_chunks(data: bytes) -> Iterator[Chunk]:
    """Chunks in order, up to and with IEND."""
    position, view = _PNG_START, memoryview(data)
    for _ in range(MAX_PARTS):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            raise TruncatedImage(f"The PNG ends after {len(data):,} bytes, inside or before a chunk.")
        yield Chunk(kind, position, end, view[position + 8 : end - 4])
        if kind == b"IEND":
            return
        position = end
    raise TruncatedImage(f"The PNG has more than {MAX_PARTS:,} chunks; that is the limit.")


def _png_size(chunk: Chunk) -> tuple[int, int]:
    if chunk.kind != b"IHDR" or len(chunk.payload) != 13:
        raise TruncatedImage("The PNG does not begin with its header.")
    width, height = int.from_bytes(chunk.payload[:4], "big"), int.from_bytes(chunk.payload[4:8], "big")
    check_size(width, height, bits=chunk.payload[8])
    return width, height


def _webp(data: bytes) -> Container:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise TruncatedImage(f"The WEBP states {end:,} bytes but has {len(data):,}.")
    width = height = frames = 0
    exif = b""
    texts: tuple[tuple[str, str], ...] = ()
    kept: list[bytes] = []
    for chunk in _webp_chunks(data, end):
        if chunk.kind in _WEBP_PICTURE:
            kept.append(_without_flags(chunk, data))
        if chunk.kind in (b"VP8 ", b"VP8L", b"VP8X"):
            size = _webp_size(chunk)
            check_size(*size)
            width, height = max(width, size[0]), max(height, size[1])
        elif chunk.kind == b"ANMF":
            frames += 1
            if frames > 1:
                raise AnimatedImage("The WEBP has 2 or more frames; the limit is 1.")
        elif chunk.kind == b"EXIF":
            exif = bytes(chunk.payload).removeprefix(b"Exif\0\0")
        elif chunk.kind == b"XMP ":
            texts = ((XMP, bytes(chunk.payload).decode("utf-8", "replace")),)
    if not width:
        raise TruncatedImage("The WEBP has no image data.")
    body = b"WEBP" + b"".join(kept)
    pixels = b"RIFF" + len(body).to_bytes(4, "little") + body
    return Container("WEBP", width, height, pixels, exif, end, texts=texts)


def _without_flags(chunk: Chunk, data: bytes) -> bytes:
    """The chunk and what fills it up to an even length; a header no longer announces metadata."""
    whole = bytearray(data[chunk.start : chunk.end])
    if chunk.kind == b"VP8X":
        whole[8] &= ~_WEBP_METADATA & 0xFF
    return bytes(whole) + b"\0" * (len(whole) & 1)


def _webp_chunks(data: bytes, end: int) -> Iterator[Chunk]:
    position, view = 12, memoryview(data)
    for _ in range(MAX_PARTS):
        if position + 8 > end:
            return
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        stop = position + 8 + length
        if stop > end:
            raise TruncatedImage(f"A WEBP chunk at byte {position:,} of {end:,} is cut off.")
        yield Chunk(data[position : position + 4], position, stop, view[position + 8 : stop])
        position = stop + (length & 1)
    raise TruncatedImage(f"The WEBP has more than {MAX_PARTS:,} chunks; that is the limit.")


def _webp_size(chunk: Chunk) -> tuple[int, int]:
    head = bytes(chunk.payload[:10])
    if chunk.kind == b"VP8X" and len(head) == 10:
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if chunk.kind == b"VP8L" and head[:1] == b"\x2f" and len(head) >= 5:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk.kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a" and len(head) == 10:
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    raise TruncatedImage("The WEBP header is damaged.")
