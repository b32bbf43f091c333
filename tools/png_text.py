"""Text chunks of a PNG (PNG specification, third edition, 11.3.3), read with bounded work."""

from __future__ import annotations

import zlib

from .limits import MAX_BYTES

TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEYWORD = "XML:com.adobe.xmp"
_MAX_TEXT = 1 << 20
"""Bytes of one text that are read; XMP of much edited pictures is long, and what is looked for may stand at its end."""


def inflated_size(kind: bytes, payload: bytes) -> int:
    """Bytes that the compressed part of an iCCP, zTXt or iTXt chunk expands to; stops just over ``MAX_BYTES``."""
    compressed, rest = _body(kind, payload)
    if not compressed:
        return 0
    inflate, size = zlib.decompressobj(), 0
    try:
        while rest and size <= MAX_BYTES:
            size += len(inflate.decompress(rest, 1 << 20))
            rest = inflate.unconsumed_tail
    except zlib.error:  # damaged metadata are no reason to refuse the picture
        return size
    return size


def read(kind: bytes, payload: bytes) -> tuple[str, str]:
    """Keyword and text of a tEXt, zTXt or iTXt chunk; a damaged text is empty.

    Both are what the file says: never print them as they are.
    """
    keyword = payload.partition(b"\0")[0][:79].decode("latin-1")
    compressed, rest = _body(kind, payload)
    try:
        body = zlib.decompressobj().decompress(rest, _MAX_TEXT) if compressed else rest[:_MAX_TEXT]
    except zlib.error:
        body = b""
    return keyword, body.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")


def _body(kind: bytes, payload: bytes) -> tuple[bool, bytes]:
    """Whether the content behind the keyword is compressed, and the content."""
    start = payload.find(b"\0") + 1
    if kind == b"tEXt":
        return False, payload[start:]
    if kind != b"iTXt":
        return True, payload[start + 1 :]
    compressed = payload[start : start + 1] == b"\1"
    language = payload.find(b"\0", start + 2)
    return compressed, payload[payload.find(b"\0", language + 1) + 1 :]
