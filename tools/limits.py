"""What an input may measure, checked from its header before anything is decoded."""

from __future__ import annotations

from ..errors import TooManyPixels, TruncatedImage

MAX_BYTES = 10_000_000
MAX_PIXELS = 40_000_000
MAX_SIDE = 10_000
MAX_DEEP_PIXELS = MAX_PIXELS // 2  # of a picture with 16 bits a sample: twice the bytes, twice the time
MAX_PARTS = 10_000  # segments or chunks of one file; real photos have tens to hundreds
MAX_SCANS = 40  # of a progressive JPEG; encoders write 10 to 20, and each costs a pass over the picture


def check_size(width: int, height: int, bits: int = 8) -> None:
    """Refuse a picture that is too large to decode; ``bits`` a sample.

    Raises:
        TooManyPixels: Over ``MAX_SIDE``, ``MAX_PIXELS`` or ``MAX_DEEP_PIXELS``.
        TruncatedImage: A side of 0 pixels.
    """
    if width == 0 or height == 0:
        raise TruncatedImage(f"The header states {width} x {height} pixels; at least 1 x 1 is needed.")
    if max(width, height) > MAX_SIDE:
        raise TooManyPixels(f"The picture is {width} x {height} pixels; the limit is {MAX_SIDE:,} a side.")
    limit = MAX_PIXELS if bits <= 8 else MAX_DEEP_PIXELS
    if width * height > limit:
        raise TooManyPixels(f"The picture has {width * height:,} pixels of {bits} bits; the limit is {limit:,}.")
