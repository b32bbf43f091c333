"""The few EXIF fields that say where a photo comes from, read with bounded work.

An own reader, because general ones follow every entry of a hostile tag table: 65,535 entries that each claim the
whole block cost gigabytes. Location tags are never read. Format: TIFF 6.0 and CIPA DC-008 (EXIF 2.32).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

_MAX_ENTRIES = 256
_MAX_TEXT = 2048
_MAX_THUMBNAIL = 65_535
_MAX_COMMENT = 4096
_BYTE, _ASCII, _SHORT, _LONG, _UNDEFINED = 1, 2, 3, 4, 7
_MAKE, _MODEL, _ORIENTATION, _SOFTWARE, _MODIFIED = 0x010F, 0x0110, 0x0112, 0x0131, 0x0132
_EXIF_TABLE, _CAPTURED, _DIGITISED, _COMMENT, _WIDTH, _HEIGHT = 0x8769, 0x9003, 0x9004, 0x9286, 0xA002, 0xA003
_THUMBNAIL_START, _THUMBNAIL_LENGTH = 0x0201, 0x0202


@dataclass(frozen=True, slots=True)
class Exif:
    """Fields of an EXIF block; None where absent or malformed.

    Texts are what the file says: never print them as they are.

    Attributes:
        make: Camera maker.
        model: Camera model.
        software: Program that wrote the file.
        orientation: 1 to 8.
        captured: When the picture was taken; local time of the camera, without zone.
        digitised: When it was stored as numbers; likewise, and for a digital camera the same.
        modified: When the file was written; likewise.
        size: Width and height in pixels, as the camera or program noted them.
        comment: Start of the user's comment, where image generators put their settings.
        thumbnail: Bytes of the embedded JPEG preview.
    """

    make: str | None = None
    model: str | None = None
    software: str | None = None
    orientation: int | None = None
    captured: datetime | None = None
    digitised: datetime | None = None
    modified: datetime | None = None
    size: tuple[int, int] | None = None
    comment: str | None = None
    thumbnail: bytes | None = None


class _Entry(NamedTuple):
    tag: int
    kind: int
    length: int
    where: int  # offset of the value or, for longer values, of the value's offset


def read(block: bytes) -> Exif:
    """Read a TIFF block; whatever is malformed is left out, nothing raises."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return Exif()
    main, following = _table(block, order, _number(block, order, 4, _LONG))
    detail, _ = _table(block, order, _value(block, order, main, _EXIF_TABLE) or 0)
    preview, _ = _table(block, order, following)
    orientation = _value(block, order, main, _ORIENTATION)
    width, height = _value(block, order, detail, _WIDTH), _value(block, order, detail, _HEIGHT)
    return Exif(
        make=_text(block, order, main, _MAKE),
        model=_text(block, order, main, _MODEL),
        software=_text(block, order, main, _SOFTWARE),
        orientation=orientation if orientation in range(1, 9) else None,
        captured=_time(_text(block, order, detail, _CAPTURED)),
        digitised=_time(_text(block, order, detail, _DIGITISED)),
        modified=_time(_text(block, order, main, _MODIFIED)),
        size=(width, height) if width and height else None,
        comment=_comment(block, order, detail),
        thumbnail=_thumbnail(block, order, preview),
    )


def _table(block: bytes, order: str, start: int) -> tuple[dict[int, _Entry], int]:
    """Entries by tag, and the offset of the following table."""
    if not 8 <= start <= len(block) - 2:
        return {}, 0
    count = _number(block, order, start, _SHORT)
    entries = {entry.tag: entry for entry in _entries(block, order, start + 2, min(count, _MAX_ENTRIES))}
    return entries, _number(block, order, start + 2 + 12 * count, _LONG)


def _entries(block: bytes, order: str, start: int, count: int) -> Iterator[_Entry]:
    for position in range(start, start + 12 * count, 12):
        if position + 12 > len(block):
            return
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, position)
        yield _Entry(tag, kind, length, position + 8)


def _number(block: bytes, order: str, position: int, kind: int) -> int:
    """The unsigned number at an offset, or 0 past the end."""
    code, size = ("H", 2) if kind == _SHORT else ("I", 4)
    if position + size > len(block):
        return 0
    return int(struct.unpack_from(order + code, block, position)[0])


def _value(block: bytes, order: str, table: dict[int, _Entry], tag: int) -> int | None:
    entry = table.get(tag)
    if entry is None or entry.kind not in (_SHORT, _LONG) or entry.length != 1:
        return None
    return _number(block, order, entry.where, entry.kind)


def _text(block: bytes, order: str, table: dict[int, _Entry], tag: int) -> str | None:
    entry = table.get(tag)
    if entry is None or entry.kind != _ASCII:
        return None
    start = entry.where if entry.length <= 4 else _number(block, order, entry.where, _LONG)
    raw = block[start : start + min(entry.length, _MAX_TEXT)].split(b"\0")[0]
    return raw.decode("utf-8", "replace").strip() or None


def _comment(block: bytes, order: str, table: dict[int, _Entry]) -> str | None:
    """The user's comment: eight bytes name its encoding (CIPA DC-008, 4.6.6); Pillow writes it as bytes."""
    entry = table.get(_COMMENT)
    if entry is None or entry.kind not in (_BYTE, _UNDEFINED) or entry.length <= 8:
        return None
    start = _number(block, order, entry.where, _LONG)
    raw = block[start : start + min(entry.length, _MAX_COMMENT)]
    if not raw.startswith(b"UNICODE\0"):
        return raw[8:].decode("utf-8", "replace").strip("\0 ") or None
    # UTF-16 in either order: writers disagree whether it follows the TIFF block; ASCII text shows which one it is.
    big = raw[8::2].count(0) >= raw[9::2].count(0)
    return raw[8:].decode("utf-16-be" if big else "utf-16-le", "replace").strip("\0 ") or None


def _time(text: str | None) -> datetime | None:
    try:
        # EXIF times carry no zone; both are compared as the same camera's local time.
        return datetime.strptime(text or "", "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        return None


def _thumbnail(block: bytes, order: str, table: dict[int, _Entry]) -> bytes | None:
    start, length = _value(block, order, table, _THUMBNAIL_START), _value(block, order, table, _THUMBNAIL_LENGTH)
    if not start or not length or length > _MAX_THUMBNAIL or start + length > len(block):
        return None
    return block[start : start + length]
