"""What the file itself says about its origin: container, EXIF, declared source, JPEG structure, Content Credentials.

Nothing here proves that a photo is authentic: metadata can be removed or written by anyone. Text from metadata is
never repeated as it stands (see ``product_names``), and location tags are never read.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import content_credentials, declared_source, exif, jpeg_quality, jpeg_structure, provenance_exif
from .containers import Container, inspect
from .content_credentials import ContentCredentials
from .evidence import Evidence
from .image import Photo
from .jpeg_structure import JpegStructure
from .provenance_items import NAME, card, item, named
from .registry import PhotoTool

TRUST_ANCHORS = "FACEWITNESS_TRUST_ANCHORS"  # path of a PEM file of C2PA trust anchors
_SAMPLING = {
    ((1, 1),): "greyscale",
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((1, 2), (1, 1), (1, 1)): "4:4:0",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
    ((4, 1), (1, 1), (1, 1)): "4:1:1",
}


def measure(photo: Photo) -> list[Evidence]:
    """Evidence about the file as a whole; always the format, EXIF, and Content Credentials."""
    container = inspect(photo.data, photo.format)
    return [
        *_file(photo, container),
        *provenance_exif.measure(photo, container),
        *_declared(container),
        *_jpeg(photo),
        *_content_credentials(photo),
    ]


def _file(photo: Photo, container: Container) -> list[Evidence]:
    size, (height, width) = len(photo.data), photo.rgb.shape[:2]
    finding = f"The file is a {photo.format} of {size} bytes and {width} x {height} pixels, which shows no origin."
    return [
        item("format", finding, photo.format, "file-structure", numbers=(size, width, height)),
        _trailing(photo, size - container.end),
    ]


def _trailing(photo: Photo, count: int) -> Evidence:
    if count == 0:
        finding = "Nothing follows the picture in the file."
    elif photo.format == "JPEG" and jpeg_structure.parse(photo.data).multi_picture:
        finding = f"{count} bytes follow the picture, declared as further pictures, as phones write them."
    else:
        finding = f"{count} undeclared bytes follow the picture; phones append data, and so do tools that hide it."
    return item("trailing_bytes", finding, count, "file-structure", "bytes")


def _declared(container: Container) -> list[Evidence]:
    """What the file's texts declare of how the picture was made."""
    texts = list(declared_source.texts_of(container.texts, exif.read(container.exif)))
    names = ", ".join(declared_source.generators(texts))
    if names:
        finding = f'The texts in the file name the image generator "{names}"; anyone can write them.'
    else:
        finding = "There is no text of a known image generator in the file; most websites remove it."
    found = [item("generator_text", finding, names or "absent", "declared-source")]
    terms = declared_source.source_terms(texts)
    if terms:
        finding = f"The XMP data declare the source {_with_meaning(terms)}; anyone can write them."
        found.append(item("declared_source", finding, ", ".join(terms), "declared-source"))
    return found


def _with_meaning(terms: tuple[str, ...]) -> str:
    return ", ".join(f"{term} ({declared_source.SOURCE_TYPES[term]})" for term in terms)


def _jpeg(photo: Photo) -> list[Evidence]:
    if photo.format != "JPEG":
        finding = f"The file is a {photo.format}, so it has no JPEG quantisation tables of its own."
        return [Evidence(f"{NAME}.jpeg_quality", NAME, finding, status="not_measurable", model=card("jpeg-structure"))]
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
        item("jpeg_quality", finding, quality.value, "jpeg-structure", numbers=(100,)),
        item(
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
        item("jpeg_subsampling", f"JPEG colour sampling is {sampling}.", sampling, "jpeg-structure"),
        item("jpeg_coding", finding, coding, "jpeg-structure", numbers=(jpeg.scans, len(jpeg.tables))),
    ]


def _content_credentials(photo: Photo) -> list[Evidence]:
    found = content_credentials.read(photo.data, photo.format, trust_anchors())
    if found is None:
        finding = "No Content Credentials (C2PA) manifest; absence proves nothing."
        return [item("content_credentials", finding, "absent", "c2pa-python")]
    evidence = [item("content_credentials", _credentials_finding(found), found.state, "c2pa-python")]
    evidence += named("claim_generator", "The Content Credentials claim", found.generator, "c2pa-python")
    evidence += named("signer", "The signing certificate", found.signer, "c2pa-python")
    if found.source_types:
        terms = ", ".join(found.source_types)
        doubt = "" if found.state == "Trusted" else ", but are not trusted"
        finding = f"The Content Credentials declare the source {_with_meaning(found.source_types)}{doubt}."
        evidence.append(item("digital_source", finding, terms, "c2pa-python"))
    return evidence


def trust_anchors() -> str | None:
    """The PEM file that ``FACEWITNESS_TRUST_ANCHORS`` names; None without one that can be read."""
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
