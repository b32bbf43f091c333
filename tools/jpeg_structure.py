"""Markers of a JPEG file (ITU-T T.81): what they say without decoding a pixel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import TruncatedImage, UnsupportedFormat
from .limits import MAX_PARTS, MAX_SCANS, check_size

# The next marker that is neither a stuffed byte, a restart marker nor padding.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_EOI, _SOS, _DQT, _SOI = 0xD9, 0xDA, 0xDB, 0xD8
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_DECODABLE = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # Huffman or arithmetic; sequential or progressive
_PROGRESSIVE = {0xC2, 0xCA}
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
# The decoder is given tables, frame, restart interval, JFIF and Adobe (which fix the colour space), no other metadata.
_NEEDED = _FRAMES | {0xC4, 0xCC, _DQT, 0xDD, 0xE0, 0xEE}


class Segment(NamedTuple):
    """One marker: its code, where it starts, and its payload."""

    marker: int
    start: int
    payload: bytes


@dataclass(slots=True)
class JpegStructure:
    """What the markers of a JPEG say.

    Attributes:
        width: Pixels, as stored (before EXIF orientation).
        height: Pixels, as stored.
        progressive: Progressive rather than sequential coding.
        sampling: (horizontal, vertical) sampling factor of each component.
        tables: Quantisation tables, 64 values each in zigzag order, as they come.
        scans: Number of scans.
        end: Offset of the first byte after the end marker.
        adobe: Has an Adobe marker.
        multi_picture: Declares further pictures behind the first (MPF; HDR gain maps, depth maps, bursts).
        exif: TIFF block of the EXIF segment, or empty.
        xmp: XMP packet, or empty; an extension in further segments is left out.
        comment: Content of the first comment segment, or empty.
        pixels: The same picture without metadata segments.
    """

    width: int = 0
    height: int = 0
    progressive: bool = False
    sampling: tuple[tuple[int, int], ...] = ()
    tables: list[tuple[int, ...]] = field(default_factory=list)
    scans: int = 0
    end: int = 0
    adobe: bool = False
    multi_picture: bool = False
    exif: bytes = b""
    xmp: bytes = b""
    comment: bytes = b""
    pixels: bytes = b""


def parse(data: bytes) -> JpegStructure:
    """Walk all markers up to the end of the first picture.

    Raises:
        TooManyPixels: The frame is larger than the limits.
        TruncatedImage: Damaged, without end marker, or with missing scans.
        UnsupportedFormat: A coding process or precision that decoders in use do not support.
    """
    jpeg = JpegStructure()
    head = [b"\xff\xd8"]
    missing: dict[int, list[int]] = {}
    for segment in _segments(data):
        if segment.marker == _EOI:
            jpeg.end = segment.start + 2
            break
        if segment.marker == _SOS:
            if not jpeg.scans:
                head.append(b"")
                first_scan = segment.start
            _add_scan(jpeg, segment.payload, missing)
        else:
            _add_header(jpeg, segment, missing)
            if not jpeg.scans and segment.marker in _NEEDED:
                head.append(data[segment.start : segment.start + 4 + len(segment.payload)])
    if not jpeg.scans:
        raise TruncatedImage("The JPEG has no image data.")
    if jpeg.progressive and any(bits for component in missing.values() for bits in component):
        raise TruncatedImage(f"The progressive JPEG ends after {jpeg.scans} scans; further scans are missing.")
    jpeg.pixels = b"".join(head) + data[first_scan : jpeg.end]
    return jpeg


def _segments(data: bytes) -> Iterator[Segment]:
    """Markers in order, with entropy-coded data skipped; ends with the end marker."""
    position = 2
    for _ in range(MAX_PARTS):
        match = _MARKER.search(data, position)
        if match is None:
            raise TruncatedImage(f"The JPEG ends after {len(data):,} bytes without its end marker.")
        start, marker = match.start(), data[match.start() + 1]
        if marker == _EOI:
            yield Segment(marker, start, b"")
            return
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        position = start + 2 + length
        if marker == _SOI or length < 2 or position > len(data):
            raise TruncatedImage(f"The JPEG is damaged at byte {start:,} of {len(data):,}.")
        yield Segment(marker, start, data[start + 4 : position])
    raise TruncatedImage(f"The JPEG has more than {MAX_PARTS:,} segments; that is the limit.")


def _add_header(jpeg: JpegStructure, segment: Segment, missing: dict[int, list[int]]) -> None:
    marker, payload = segment.marker, segment.payload
    if marker in _FRAMES:
        _add_frame(jpeg, marker, payload, missing)
    elif marker == _DQT:
        jpeg.tables += _quantisation(payload)
    elif marker == 0xE1 and payload.startswith(b"Exif\0") and not jpeg.exif:
        jpeg.exif = payload[6:]
    elif marker == 0xE1 and payload.startswith(_XMP) and not jpeg.xmp:
        jpeg.xmp = payload[len(_XMP) :]
    elif marker == 0xFE and not jpeg.comment:
        jpeg.comment = payload
    elif marker == 0xE2 and payload.startswith(b"MPF\0"):
        jpeg.multi_picture = True
    elif marker == 0xEE and payload.startswith(b"Adobe"):
        jpeg.adobe = True


def _add_frame(jpeg: JpegStructure, marker: int, payload: bytes, missing: dict[int, list[int]]) -> None:
    if jpeg.sampling or len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
        raise TruncatedImage("The JPEG frame header is damaged.")
    if marker not in _DECODABLE:
        raise UnsupportedFormat(f"The JPEG uses coding process {marker - 0xC0}; 0, 1, 2, 9 and 10 are accepted.")
    if payload[0] != 8:
        raise UnsupportedFormat(f"The JPEG has {payload[0]} bits a sample; 8 are accepted.")
    if payload[5] not in (1, 3, 4):
        raise UnsupportedFormat(f"The JPEG has {payload[5]} components; 1, 3 and 4 are accepted.")
    jpeg.height, jpeg.width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    check_size(jpeg.width, jpeg.height)
    jpeg.progressive = marker in _PROGRESSIVE
    components = [payload[i : i + 3] for i in range(6, 6 + 3 * payload[5], 3)]
    jpeg.sampling = tuple((c[1] >> 4, c[1] & 15) for c in components)
    missing.update({c[0]: [1] * 64 for c in components})


def _add_scan(jpeg: JpegStructure, payload: bytes, missing: dict[int, list[int]]) -> None:
    """Count a scan, and note for each coefficient which low bits are still to come (0 when complete)."""
    jpeg.scans += 1
    if jpeg.scans > MAX_SCANS:
        raise TruncatedImage(f"The JPEG has more than {MAX_SCANS} scans; that is the limit.")
    if not jpeg.sampling or not payload or len(payload) < 4 + 2 * payload[0]:
        raise TruncatedImage("The JPEG scan header is damaged.")
    first, last, low_bits = payload[-3], min(payload[-2], 63), payload[-1] & 15
    for component in payload[1 : 1 + 2 * payload[0] : 2]:
        if component in missing and first <= last:
            missing[component][first : last + 1] = [low_bits] * (last + 1 - first)


def _quantisation(payload: bytes) -> list[tuple[int, ...]]:
    """64 values in zigzag order of each table in one DQT segment."""
    tables, position = [], 0
    while position < len(payload):
        size = 2 if payload[position] >> 4 else 1
        body = payload[position + 1 : position + 1 + 64 * size]
        if len(body) < 64 * size:
            raise TruncatedImage("A quantisation table of the JPEG is damaged.")
        tables.append(tuple(int.from_bytes(body[i : i + size], "big") for i in range(0, 64 * size, size)))
        position += 1 + 64 * size
    return tables
