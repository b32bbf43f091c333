"""File type by magic bytes, so that a refusal can name what was given."""

from __future__ import annotations

from ..errors import NotAnImage, UnsupportedFormat

_OTHER_IMAGES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"qoif", "QOI"),
    (0, b"DDS ", "DDS"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (128, b"DICM", "DICOM"),
)
_NO_IMAGES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"SQLite format 3\0", "a database"),
    (0, b"ID3", "a sound file"),
    (0, b"OggS", "a sound or video file"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"RIFF", "a RIFF file that is not WEBP"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def image_format(data: bytes) -> str:
    """Name the format of a file.

    Returns:
        ``JPEG``, ``PNG`` or ``WEBP``.

    Raises:
        UnsupportedFormat: Another image format, named.
        NotAnImage: Anything else, named where it is known.
    """
    if not data:
        raise NotAnImage("The file is empty (0 bytes).")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    other = _other_image(data)
    if other:
        raise UnsupportedFormat(f"The file is {other}; JPEG, PNG and WEBP are accepted.")
    raise NotAnImage(f"The file is {_no_image(data)}; JPEG, PNG and WEBP are accepted.")


def _other_image(data: bytes) -> str | None:
    for offset, magic, name in _OTHER_IMAGES:
        if data.startswith(magic, offset):
            return name
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "AVIF" if data[8:11] == b"avi" else "HEIC/HEIF"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return "portable anymap (PNM)"
    if b"<svg" in data[:1024].lower():
        return "SVG"
    return None


def _no_image(data: bytes) -> str:
    for offset, magic, name in _NO_IMAGES:
        if data.startswith(magic, offset):
            return name
    if data[4:8] == b"ftyp":
        return "a video"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if start.startswith(b"<?xml"):
        return "an XML document"
    if data[:1024].isascii() and b"\0" not in data[:1024]:
        return "text"
    return "of no known image type"
