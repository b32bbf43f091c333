"""Bad input files, each with the error that must refuse it."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facewitness.errors import (
    AnimatedImage,
    FileTooLarge,
    InputError,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnreadableFile,
    UnsupportedFormat,
)

PNG_START = b"\x89PNG\r\n\x1a\n"
EOI = b"\xff\xd9"


@dataclass(frozen=True)
class Case:
    """How to make one bad file, and the error it must get."""

    make: Callable[[Path], Path]
    error: type[InputError]


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """A small picture with structure everywhere, also in its last rows."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], 2).astype(np.uint8))


def encode(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    """Encode a picture with Pillow."""
    buffer = io.BytesIO()
    (image or picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width: int, height: int, data: bytes, *before: bytes, interlace: int = 0, bits: int = 8) -> bytes:
    """A grey PNG with any compressed data and any chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, interlace)
    return PNG_START + chunk(b"IHDR", header) + b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def segment(marker: int, payload: bytes) -> bytes:
    """One JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    """A JPEG with one more segment at its start."""
    return jpeg[:2] + segment(marker, payload) + jpeg[2:]


def riff(*parts: tuple[bytes, bytes]) -> bytes:
    """A WEBP file of chunks."""
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(p)) + p + b"\0" * (len(p) & 1) for k, p in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def _frame(jpeg: bytes) -> int:
    return next(i for i in range(len(jpeg)) if jpeg[i] == 0xFF and jpeg[i + 1] in (0xC0, 0xC2))


def _scan_bomb() -> bytes:
    jpeg = encode("JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * 200 + EOI


def _vp8x(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8X", b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def _frames(kind: str) -> bytes:
    first, second = picture(), picture().rotate(180)
    return encode(kind, first, save_all=True, append_images=[second], duration=50)


JPEG = encode("JPEG", quality=90)
PROGRESSIVE = encode("JPEG", progressive=True)
PNG = encode("PNG")
WEBP = encode("WEBP", quality=80)
LOSSLESS = encode("WEBP", lossless=True)
ZEROS = zlib.compress(b"\0" * 20_000_000, 9)
ROWS = zlib.compress(b"\0" * 17 * 8)
FTYP = b"\0\0\0\x18ftyp"

CONTENTS: dict[str, tuple[bytes, type[InputError]]] = {
    # not an image
    "empty.jpg": (b"", NotAnImage),
    "one_byte.jpg": (b"\xff", NotAnImage),
    "start_marker_only.jpg": (b"\xff\xd8", NotAnImage),
    "text.jpg": (b"This is not a photo.\n" * 50, NotAnImage),
    "json.png": (b'{"image": "photo"}', NotAnImage),
    "page.jpg": (b"<!DOCTYPE html><html><img src=x></html>", NotAnImage),
    "xml.png": (b"<?xml version='1.0'?><a/>", NotAnImage),
    "document.jpg": (b"%PDF-1.7\n" + JPEG, NotAnImage),
    "postscript.jpg": (b"%!PS-Adobe-3.0\n", NotAnImage),
    "archive_with_jpeg.jpg": (b"PK\x03\x04" + b"\0" * 26 + JPEG, NotAnImage),
    "page_then_png.png": (b"<html>" + PNG, NotAnImage),
    "newline_then_jpeg.jpg": (b"\n" + JPEG, NotAnImage),
    "gzip.png": (zlib.compress(b"x", wbits=31), NotAnImage),
    "elf.jpg": (b"\x7fELF\x02\x01\x01" + b"\0" * 200, NotAnImage),
    "windows_program.jpg": (b"MZ\x90\0" + b"\0" * 200, NotAnImage),
    "database.jpg": (b"SQLite format 3\0" + b"\0" * 200, NotAnImage),
    "video.webp": (FTYP + b"isom" + b"\0" * 100, NotAnImage),
    "sound.webp": (b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 28, NotAnImage),
    "pickle.jpg": (b"\x80\x04\x95\x10\0\0\0cos\nsystem\n.", NotAnImage),
    "base64.jpg": (base64.b64encode(JPEG), NotAnImage),
    "data_uri.jpg": (b"data:image/jpeg;base64," + base64.b64encode(JPEG), NotAnImage),
    "png_through_text_mode.png": (PNG.replace(b"\r\n", b"\n"), NotAnImage),
    "random.jpg": (np.random.default_rng(1).bytes(5000), NotAnImage),
    # another image format, or a variant of an accepted one
    "gif.jpg": (encode("GIF"), UnsupportedFormat),
    "animated_gif.gif": (_frames("GIF"), UnsupportedFormat),
    "gif_then_script.jpg": (b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)", UnsupportedFormat),
    "tiff.jpg": (encode("TIFF"), UnsupportedFormat),
    "bmp.jpg": (encode("BMP"), UnsupportedFormat),
    "icon.png": (encode("ICO"), UnsupportedFormat),
    "pnm.png": (encode("PPM"), UnsupportedFormat),
    "jpeg2000.jpg": (encode("JPEG2000"), UnsupportedFormat),
    "dds.png": (encode("DDS"), UnsupportedFormat),
    "svg.png": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', UnsupportedFormat),
    "photoshop.jpg": (b"8BPS\0\x01" + b"\0" * 100, UnsupportedFormat),
    "heic.jpg": (FTYP + b"heic" + b"\0" * 100, UnsupportedFormat),
    "avif.jpg": (FTYP + b"avif" + b"\0" * 100, UnsupportedFormat),
    "jpeg_xl.jpg": (b"\xff\x0a" + b"\0" * 100, UnsupportedFormat),
    "dicom.jpg": (b"\0" * 128 + b"DICM" + b"\0" * 100, UnsupportedFormat),
    "jpeg_12_bit.jpg": (_patched(JPEG, _frame(JPEG) + 4, b"\x0c"), UnsupportedFormat),
    "jpeg_lossless.jpg": (_patched(JPEG, _frame(JPEG) + 1, b"\xc3"), UnsupportedFormat),
    "jpeg_two_components.jpg": (_patched(JPEG, _frame(JPEG) + 9, b"\x02"), UnsupportedFormat),
    # damaged or cut off
    "jpeg_header_only.jpg": (JPEG[:100], TruncatedImage),
    "jpeg_half.jpg": (JPEG[: len(JPEG) // 2], TruncatedImage),
    "jpeg_without_end.jpg": (JPEG[:-2], TruncatedImage),
    "jpeg_half_with_end.jpg": (JPEG[: len(JPEG) * 3 // 4] + EOI, TruncatedImage),
    "progressive_half_with_end.jpg": (PROGRESSIVE[: len(PROGRESSIVE) // 2] + EOI, TruncatedImage),
    "jpeg_cut_in_exif.jpg": (with_segment(JPEG, 0xE1, b"Exif\0\0" + b"x" * 2000)[:1000], TruncatedImage),
    "jpeg_without_scan.jpg": (JPEG[: JPEG.index(b"\xff\xda")] + EOI, TruncatedImage),
    "jpeg_two_frames.jpg": (JPEG[: _frame(JPEG)] + JPEG[_frame(JPEG) :][:19] + JPEG[_frame(JPEG) :], TruncatedImage),
    "jpeg_zero_height.jpg": (_patched(JPEG, _frame(JPEG) + 5, b"\0\0"), TruncatedImage),
    "jpeg_no_tables.jpg": (b"\xff\xd8" + JPEG[_frame(JPEG) :], TruncatedImage),
    "jpeg_short_table.jpg": (with_segment(JPEG, 0xDB, b"\0" * 20), TruncatedImage),
    "jpeg_segment_length_zero.jpg": (JPEG[:2] + b"\xff\xe1\0\0" + JPEG[2:], TruncatedImage),
    "jpeg_many_scans.jpg": (_scan_bomb(), TruncatedImage),
    "jpeg_many_segments.jpg": (JPEG[:2] + b"\xff\xfe\0\x02" * 2_000_000 + JPEG[2:], TruncatedImage),
    "jpeg_all_padding.jpg": (b"\xff\xd8" + b"\xff" * 9_000_000, TruncatedImage),
    "png_half.png": (PNG[: len(PNG) // 2], TruncatedImage),
    "png_without_end.png": (PNG[:-12], TruncatedImage),
    "png_signature_only.png": (PNG_START, TruncatedImage),
    "png_bad_checksum.png": (_patched(PNG, len(PNG) - 20, b"\x13\x37"), TruncatedImage),
    "png_rows_missing.png": (png(16, 16, ROWS), TruncatedImage),
    "png_interlaced_rows_missing.png": (png(16, 15, ROWS, interlace=1), TruncatedImage),
    "png_without_data.png": (PNG_START + PNG[8:33] + chunk(b"IEND", b""), TruncatedImage),
    "png_broken_stream.png": (png(16, 16, b"\x78\x9c" + b"\xff" * 40), TruncatedImage),
    "png_zero_width.png": (png(0, 16, ROWS), TruncatedImage),
    "png_chunk_of_4_gb.png": (PNG[:33] + b"\xff\xff\xff\xf0IDAT" + PNG[41:], TruncatedImage),
    "png_header_not_first.png": (PNG_START + chunk(b"tEXt", b"a\0b") + PNG[8:], TruncatedImage),
    "png_many_chunks.png": (PNG[:33] + chunk(b"tEXt", b"a\0") * 600_000 + PNG[33:], TruncatedImage),
    "png_bad_bit_depth.png": (png(16, 16, ROWS, bits=7), TruncatedImage),
    "webp_half.webp": (WEBP[: len(WEBP) // 2], TruncatedImage),
    "webp_half_with_size.webp": (riff((b"VP8 ", WEBP[20 : 20 + len(WEBP) // 2])), TruncatedImage),
    "lossless_half_with_size.webp": (riff((b"VP8L", LOSSLESS[20 : 20 + len(LOSSLESS) // 2])), TruncatedImage),
    "webp_without_data.webp": (riff((b"XMP ", b"hello")), TruncatedImage),
    "webp_chunk_overrun.webp": (_patched(WEBP, 16, b"\xff\xff\xff\x7f"), TruncatedImage),
    "webp_bad_start_code.webp": (_patched(WEBP, 23, b"\0\0\0"), TruncatedImage),
    "webp_canvas_disagrees.webp": (riff(_vp8x(50, 50), (b"VP8 ", WEBP[20:])), TruncatedImage),
    # too large
    "png_100000_a_side.png": (png(100_000, 100_000, ZEROS), TooManyPixels),
    "png_10001_wide.png": (png(10_001, 1, ROWS), TooManyPixels),
    "png_41_megapixels.png": (encode("PNG", Image.new("1", (6400, 6410))), TooManyPixels),
    "jpeg_65535_a_side.jpg": (_patched(JPEG, _frame(JPEG) + 5, b"\xff\xff\xff\xff"), TooManyPixels),
    "progressive_42_mp.jpg": (_patched(PROGRESSIVE, _frame(PROGRESSIVE) + 5, b"\x19\x64" * 2), TooManyPixels),
    "webp_canvas_of_16_million.webp": (riff(_vp8x(1 << 24, 1 << 24), (b"VP8 ", WEBP[20:])), TooManyPixels),
    "webp_lossless_16383.webp": (riff((b"VP8L", b"\x2f" + b"\xff" * 3 + b"\x0f" + b"\0" * 99)), TooManyPixels),
    "ten_million_bytes_and_one.jpg": (JPEG + b"\0" * (10_000_001 - len(JPEG)), FileTooLarge),
    "text_bomb.png": (png(16, 8, ROWS, chunk(b"zTXt", b"a\0\0" + ZEROS)), FileTooLarge),
    "profile_bomb.png": (png(16, 8, ROWS, chunk(b"iCCP", b"a\0\0" + ZEROS)), FileTooLarge),
    "international_text_bomb.png": (png(16, 8, ROWS, chunk(b"iTXt", b"a\0\1\0en\0a\0" + ZEROS)), FileTooLarge),
    "many_text_bombs.png": (
        png(16, 8, ROWS, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 900_000)) * 50),
        FileTooLarge,
    ),
    # more than one frame
    "animated.png": (_frames("PNG"), AnimatedImage),
    "animated.webp": (_frames("WEBP"), AnimatedImage),
    "thousand_frames.png": (png(16, 8, ROWS, chunk(b"acTL", struct.pack(">II", 1000, 0))), AnimatedImage),
}


def _written(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return make


def _folder(folder: Path) -> Path:
    (folder / "folder.jpg").mkdir()
    return folder / "folder.jpg"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo.jpg")
    return folder / "fifo.jpg"


def _link(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "link.jpg"
        path.symlink_to(target)
        return path

    return make


def _sparse(folder: Path) -> Path:
    path = folder / "sparse.jpg"
    with path.open("wb") as file:
        file.write(JPEG)
        file.truncate(10_000_000_000)
    return path


CASES: dict[str, Case] = {name: Case(_written(name, data), error) for name, (data, error) in CONTENTS.items()} | {
    "missing": Case(lambda folder: folder / "missing.jpg", UnreadableFile),
    "name_too_long": Case(lambda folder: folder / ("a" * 5000), UnreadableFile),
    "nul_in_name": Case(lambda folder: folder / "a\0b.jpg", UnreadableFile),
    "folder": Case(_folder, UnreadableFile),
    "fifo": Case(_fifo, UnreadableFile),
    "endless_device": Case(_link("/dev/zero"), UnreadableFile),
    "link_to_itself": Case(_link("link.jpg"), UnreadableFile),
    "dangling_link": Case(_link("nowhere.jpg"), UnreadableFile),
    "web_address": Case(lambda folder: Path("https://example.org/photo.jpg"), UnreadableFile),
    "file_address": Case(lambda folder: Path("file:///etc/hostname"), UnreadableFile),
    "sparse_10_gb": Case(_sparse, FileTooLarge),
}
