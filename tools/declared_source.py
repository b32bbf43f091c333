"""Signs by which a file declares that a generator made it: text of known programs, and IPTC's digital source type.

Anyone can write such signs or remove them: found, they say what the file declares; missing, they say nothing.
Sources: the programs' own formats, and IPTC Photo Metadata Standard 2023.1 (``Iptc4xmpExt:DigitalSourceType``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .containers import XMP
from .exif import Exif

Text = tuple[str, str]

# Name to report, keyword of the text, and what must stand in it.
_WEBUI = r"\bSteps: \d+, Sampler: "
_SIGNS = tuple(
    (name, re.compile(keyword), re.compile(words))
    for name, keyword, words in (
        ("SwarmUI", r"parameters|comment", r'"sui_image_params"'),
        ("Fooocus", r"fooocus_scheme|parameters|comment", r"(?i)fooocus"),
        ("Stable Diffusion web UI", r"parameters|comment|Description", _WEBUI),
        ("ComfyUI", r"prompt|comment", r'"class_type"\s*:'),
        ("ComfyUI", r"workflow|comment", r'"(?:last_node_id|nodes)"\s*:'),
        ("InvokeAI", r"invokeai_metadata|invokeai_graph|sd-metadata|Dream", r""),
        ("Easy Diffusion", r"use_stable_diffusion_model|stable_diffusion_model", r""),
        ("NovelAI", r"Software|Source", r"^NovelAI"),
        ("Midjourney", r"Description|xmp|comment", r"\bJob ID: [0-9a-f]{8}-"),
        ("Draw Things", r"xmp", r"(?:CreatorTool\W{1,40}|<xmp:CreatorTool>)Draw Things"),
        ("Google AI", r"xmp", r"Made with Google AI"),
        ("China's AIGC label", r"xmp|AIGC", r"TC260:AIGC|\"Label\"\s*:"),
    )
)
_TERM = re.compile(r"DigitalSourceType[^/<]{0,40}https?://[^\"<>\s]{0,80}digitalsourcetype/([A-Za-z]{4,40})")
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "made by a trained generator",
    "compositeWithTrainedAlgorithmicMedia": "composed with parts by a trained generator",
    "compositeSynthetic": "composed with synthetic parts",
    "algorithmicMedia": "made by a program without training data",
    "algorithmicallyEnhanced": "enhanced by a program",
    "composite": "composed of several pictures",
    "compositeCapture": "composed of several camera pictures",
    "computationalCapture": "taken by a camera that computes from several exposures",
    "dataDrivenMedia": "drawn from data",
    "digitalArt": "drawn by a person with a program",
    "digitalCapture": "taken by a digital camera",
    "digitalCreation": "made by a person with a program",
    "humanEdits": "changed by a person with a program",
    "minorHumanEdits": "hardly changed by a person",
    "negativeFilm": "read from a film negative",
    "positiveFilm": "read from a film slide",
    "print": "read from a print",
    "screenCapture": "taken from a screen",
    "virtualRecording": "recorded in a virtual scene",
}
"""Terms of IPTC's vocabulary (cv.iptc.org/newscodes/digitalsourcetype) and what they mean; others are left out."""


def texts_of(texts: Iterable[Text], exif: Exif) -> Iterator[Text]:
    """Texts by the keywords that ``generators`` knows: XMP as ``xmp``, comments of EXIF and JPEG as ``comment``."""
    for keyword, text in texts:
        yield {XMP: "xmp", "": "comment"}.get(keyword, keyword), text
    if exif.comment:
        yield "comment", exif.comment
    for field in (exif.make, exif.model):  # where ComfyUI puts its texts into a WEBP
        keyword, colon, text = (field or "").partition(":")
        if colon and keyword in ("prompt", "workflow"):
            yield keyword, text


def generators(texts: Iterable[Text]) -> tuple[str, ...]:
    """Names of the generators whose texts the file holds, in a fixed order; no text of the file is in them."""
    known = list(texts)
    found = (
        name
        for name, keyword, words in _SIGNS
        if any(keyword.fullmatch(given) and words.search(text) for given, text in known)
    )
    return tuple(dict.fromkeys(found))


def source_terms(texts: Iterable[Text]) -> tuple[str, ...]:
    """Terms of IPTC's vocabulary that the XMP data declare, if they are known ones."""
    terms = (term for keyword, text in texts if keyword == "xmp" for term in _TERM.findall(text))
    return tuple(sorted({term for term in terms if term in SOURCE_TYPES}))
