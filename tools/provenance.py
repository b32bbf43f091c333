"""What the file itself says about its origin: container, EXIF, JPEG structure, Content Credentials.

Nothing here proves that a photo is authentic: metadata can be removed or written by anyone. Text from metadata is
never repeated as it stands (see ``product_names``), and location tags are never read.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError
from . import content_credentials, exif, jpeg_quality, jpeg_structure
from .containers import Container, inspect
from .content_credentials import ContentCredentials
from .evidence import Evidence, ModelCard, Value
from .exif import Exif
from .image import Photo, RGBImage, load
from .jpeg_structure import JpegStructure
from .product_names import known_name
from .registry import PhotoTool

NAME = "provenance"
TRUST_ANCHORS = "FACEWITNESS_TRUST_ANCHORS"  # path of a PEM file of C2PA trust anchors
# Previews of 60 studio portraits (Face Research Lab London) correlate at least 0.98 with their own photo and at most
# 0.93 with another person's; chosen between the two.
_SAME_PICTURE = 0.95
_SAMPLING = {
    ((1, 1),): "greyscale",
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((1, 2), (1, 1), (1, 1)): "4:4:0",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
    ((4, 1), (1, 1), (1, 1)): "4:1:1",
}


@cache
def _card(name: str) -> ModelCard:
    if name == "c2pa-python":
        return ModelCard(name, version(name), None, "MIT OR Apache-2.0", True)
    return ModelCard(name, version("facewitness"), None, "Apache-2.0", True)


def _evidence(
    what: str, finding: str, value: Value, card: str, unit: str | None = None, numbers: tuple[float, ...] = ()
) -> Evidence:
    return Evidence(f"{NAME}.{what}", NAME, finding, value, unit=unit, numbers=numbers, model=_card(card))


def measure(photo: Photo) -> list[Evidence]:
    """Evidence about the file as a whole; always the format, EXIF, and Content Credentials."""
    container = inspect(photo.data, photo.format)
    return [
        *_file(photo, container),
        *_exif(photo, container),
        *_jpeg(photo),
        *_content_credentials(photo),
    ]


def _file(photo: Photo, container: Container) -> list[Evidence]:
    size, (height, width) = len(photo.data), photo.rgb.shape[:2]
    finding = f"The file is a {photo.format} of {size} bytes and {width} x {height} pixels, which shows no origin."
    return [
        _evidence("format", finding, photo.format, "file-structure", numbers=(size, width, height)),
        _trailing(photo, size - container.end),
    ]


def _trailing(photo: Photo, count: int) -> Evidence:
    if count == 0:
        finding = "Nothing follows the picture in the file."
    elif photo.format == "JPEG" and jpeg_structure.parse(photo.data).multi_picture:
        finding = f"{count} bytes follow the picture, declared as further pictures, as phones write them."
    else:
        finding = f"{count} undeclared bytes follow the picture; phones append data, and so do tools that hide it."
    return _evidence("trailing_bytes", finding, count, "file-structure", "bytes")


def _exif(photo: Photo, container: Container) -> list[Evidence]:
    if not container.exif:
        finding = "The file has no EXIF data; most websites remove them, so absence proves nothing."
        return [_evidence("exif", finding, False, "exif")]
    fields = exif.read(container.exif)
    found = [_evidence("exif", "The file has EXIF data, which anyone can write or change.", True, "exif")]
    make, model = fields.make or "", fields.model or ""
    camera = model if make and model.lower().startswith(make.split()[0].lower()) else f"{make} {model}".strip()
    found += _named("camera", "The EXIF camera field", camera, "exif")
    found += _named("software", "The EXIF software field", fields.software, "exif")
    if fields.orientation is not None:
        finding = f"EXIF orientation is {fields.orientation} of 8; the photo was examined upright."
        found.append(_evidence("orientation", finding, fields.orientation, "exif", numbers=(8,)))
    return found + _times(fields) + _thumbnail(photo, fields)


def _named(what: str, subject: str, text: str | None, card: str) -> list[Evidence]:
    """A name from the file, reduced to known words; none if the field is absent."""
    if not text:
        return []
    name = known_name(text)
    if name is None:
        return [_evidence(what, f"{subject} holds no known name; its text is not repeated.", "unknown", card)]
    return [_evidence(what, f'{subject} names "{name}"; it can be forged.', name, card)]


def _times(fields: Exif) -> list[Evidence]:
    if fields.captured is None or fields.modified is None:
        return []
    seconds = int((fields.modified - fields.captured).total_seconds())
    if seconds == 0:
        finding = "EXIF gives the same time for capture and last saving, as a camera does."
    elif seconds > 0:
        finding = f"EXIF says that the file was last saved {seconds} s after capture, so it was probably re-saved."
    else:
        finding = f"EXIF contradicts itself: last saved {-seconds} s before capture; one of the times is wrong."
    return [_evidence("times", finding, seconds, "exif", "s", numbers=(abs(seconds),))]


def _thumbnail(photo: Photo, fields: Exif) -> list[Evidence]:
    """Whether the embedded preview shows the same picture: editors may change one and leave the other."""
    if fields.thumbnail is None:
        return []
    try:
        preview = load(fields.thumbnail).rgb
    except InputError:
        finding = "EXIF holds a preview picture that cannot be decoded."
        return [_evidence("thumbnail", finding, "unreadable", "exif")]
    turned = (preview, np.rot90(preview), np.rot90(preview, 2), np.rot90(preview, 3))
    correlation = round(max(_correlation(photo.rgb, view) for view in turned), 2)
    if correlation >= _SAME_PICTURE:
        finding = f"The EXIF preview shows the same picture (correlation {correlation:.2f}); small edits do not show."
    else:
        finding = f"The EXIF preview shows another picture (correlation {correlation:.2f}): one may have been replaced."
    return [_evidence("thumbnail", finding, correlation, "exif")]


def _correlation(rgb: RGBImage, preview: RGBImage) -> float:
    """Of 32 x 32 grey versions; black bars that pad a preview to another shape are cut off first."""
    height, width = preview.shape[:2]
    aspect = rgb.shape[1] / rgb.shape[0]
    inner_width, inner_height = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    small = [_small(rgb), _small(preview[top : top + max(inner_height, 1), left : left + max(inner_width, 1)])]
    spread = small[0].std() * small[1].std()
    return float(((small[0] - small[0].mean()) * (small[1] - small[1].mean())).mean() / spread) if spread > 0 else 0.0


def _small(rgb: RGBImage) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    step = max(1, min(rgb.shape[:2]) // 128)
    grey = Image.fromarray(np.ascontiguousarray(rgb[::step, ::step])).convert("L")
    return np.asarray(grey.resize((32, 32), Image.Resampling.BOX), dtype=np.float64)


def _jpeg(photo: Photo) -> list[Evidence]:
    if photo.format != "JPEG":
        finding = f"The file is a {photo.format}, so it has no JPEG quantisation tables of its own."
        return [Evidence(f"{NAME}.jpeg_quality", NAME, finding, status="not_measurable", model=_card("jpeg-structure"))]
    jpeg = jpeg_structure.parse(photo.data)
    return [*_quality(jpeg), *_coding(jpeg)]


def _quality(jpeg: JpegStructure) -> list[Evidence]:
    quality = jpeg_quality.estimate(jpeg.tables)
    if quality is None:
        return []
    kind = (
        "the standard IJG ones, as most programs and websites write"
        if quality.standard
        else ("not the standard IJG ones, as with cameras and some editors")
    )
    finding = f"JPEG quality is estimated at {quality.value} of 100; it tells of the last saving only."
    return [
        _evidence("jpeg_quality", finding, quality.value, "jpeg-structure", numbers=(100,)),
        _evidence(
            "jpeg_tables",
            f"The JPEG quantisation tables are {kind}.",
            "standard" if quality.standard else "other",
            "jpeg-structure",
        ),
    ]


def _coding(jpeg: JpegStructure) -> list[Evidence]:
    sampling = _SAMPLING.get(jpeg.sampling, "unusual")
    coding = "progressive" if jpeg.progressive else "sequential"
    scans = "1 scan" if jpeg.scans == 1 else f"{jpeg.scans} scans"
    finding = f"The JPEG is {coding}, with {scans} and {len(jpeg.tables)} quantisation tables."
    return [
        _evidence("jpeg_subsampling", f"JPEG colour sampling is {sampling}.", sampling, "jpeg-structure"),
        _evidence("jpeg_coding", finding, coding, "jpeg-structure", numbers=(jpeg.scans, len(jpeg.tables))),
    ]


def _content_credentials(photo: Photo) -> list[Evidence]:
    found = content_credentials.read(photo.data, photo.format, _trust_anchors())
    if found is None:
        finding = "No Content Credentials (C2PA) manifest; absence proves nothing."
        return [_evidence("content_credentials", finding, "absent", "c2pa-python")]
    evidence = [_evidence("content_credentials", _credentials_finding(found), found.state, "c2pa-python")]
    evidence += _named("claim_generator", "The Content Credentials claim", found.generator, "c2pa-python")
    evidence += _named("signer", "The signing certificate", found.signer, "c2pa-python")
    if found.source_types:
        terms = ", ".join(found.source_types)
        doubt = "" if found.state == "Trusted" else ", but are not trusted"
        finding = f"The Content Credentials declare the source {terms}{doubt}."
        evidence.append(_evidence("digital_source", finding, terms, "c2pa-python"))
    return evidence


def _trust_anchors() -> str | None:
    path = os.environ.get(TRUST_ANCHORS)
    try:
        return Path(path).read_text("ascii") if path else None
    except (OSError, ValueError):
        return None


def _credentials_finding(found: ContentCredentials) -> str:
    if found.state == "Trusted":
        return "Content Credentials (C2PA) are intact and the signer trusted; that shows who vouches, not what is true."
    if found.state == "Valid":
        return "Content Credentials (C2PA) are intact, but their signer is on no trust list, so anyone may have signed."
    if found.state == "linked":
        return "The file links to Content Credentials (C2PA) on a server, which were not fetched."
    if found.state == "unreadable":
        return "The file has Content Credentials (C2PA) data that cannot be read; that proves nothing."
    if "assertion.dataHash.mismatch" in found.failures:
        return (
            "Content Credentials (C2PA) do not fit the file: it was changed after signing, or they are another file's."
        )
    return "Content Credentials (C2PA) fail validation, so they show nothing about the file."


TOOL = PhotoTool(name=NAME, title="Reading where the file comes from", measure=measure)
