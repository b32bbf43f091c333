"""The verdict as files: records, overlay pictures, and one page that a newsroom can read and pass on."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from ..agent.record import EvidenceInfo, Record
from ..tools.evidence import Picture
from ..tools.image import RGBImage
from . import heat, overlays
from .parts import columns, is_part, parts, position
from .views import close_up_of, views_of
from .wording import checked, percent, sentences

if TYPE_CHECKING:
    from ..agent.examine import Examination

EMBEDDED_SIDE = 1200
HEAT_SIDE = 128
"""Pixels along the longer side of an embedded map; the browser smooths it further."""

STATUSES = {
    "ok": "Measured",
    "not_measurable": "Not measurable",
    "unavailable": "Unavailable",
    "failed": "Failed",
}
TONES = {
    "authentic": "good",
    "the person": "good",
    "manipulated": "bad",
    "synthetic": "bad",
    "a forgery of the person": "bad",
    "someone else": "other",
    "inconclusive": "open",
}
UNITS = {"deg": "°"}
_WRITTEN = re.compile(r"record(-f\d+)?\.json|overlay-(faces(-f\d+)?|e\d+)\.png")
"""Names of what an examination is written to; the page apart, which every one has."""
_CONTROLS = (*range(9), *range(0xB, 0x20), *range(0x7F, 0xA0))
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_DISGUISES = dict.fromkeys((*_CONTROLS, *_DIRECTIONS), "\ufffd")


def write(examination: Examination, folder: Path) -> list[Path]:
    """Write record, page and overlay pictures.

    Args:
        examination: What :func:`facewitness.agent.examine.examine_all` returns.
        folder: Created if missing. What an earlier examination was written to goes first: the same ids of evidence mean
            something else there. Other files stay; each file appears at once.

    Returns:
        ``index.html``, then ``record.json`` and ``overlay-faces.png`` (``record-f1.json``,
        ``overlay-faces-f1.png`` … where there are several records), then ``overlay-<evidence id>.png``.

    Raises:
        OSError: The folder is a file, or cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    return [_replace(folder / name, data) for name, data in _files(examination)]


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if _WRITTEN.fullmatch(path.name) and (path.is_file() or path.is_symlink()):
            path.unlink()


def _replace(path: Path, data: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(data)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _files(examination: Examination) -> Iterator[tuple[str, bytes]]:
    rgb, several = examination.photo.rgb, len(examination.records) > 1
    yield "index.html", render(examination).encode()
    drawn: set[str] = set()
    for record in examination.records:
        suffix = f"-{record.subject}" if several else ""
        yield f"record{suffix}.json", record.to_json(indent=2).encode()
        yield f"overlay-faces{suffix}.png", _encode(overlays.draw_faces(rgb, record), "PNG")
        by_id = {item.id: item for item in record.evidence}
        for key in (key for layer in overlays.layers(record, examination.pictures) for key in layer.ids):
            if key not in drawn:
                drawn.add(key)
                picture = overlays.draw_evidence(rgb, by_id[key], examination.pictures.get(key))
                yield f"overlay-{key}.png", _encode(picture, "PNG")


def render(examination: Examination) -> str:
    """The page as HTML: no script but its own, no resource from outside, every value escaped."""
    css, script = _asset("page.css"), _asset("page.js")
    rgb = examination.photo.rgb
    sections = [_section(record, examination, index) for index, record in enumerate(examination.records)]
    return _template().render(
        css=Markup(css),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        css_hash=_csp_hash(css),
        script_hash=_csp_hash(script),
        photo=data_uri(Image.fromarray(rgb)),
        width=rgb.shape[1],
        height=rgb.shape[0],
        sections=sections,
        scale=png_uri(heat.scale()),
        first=examination.records[0],
    )


def _template() -> Template:
    return environment().get_template("page.html.j2")


@cache
def environment(*folders: Path) -> Environment:
    """Templates of the page, and of further folders, with the filters that both need; every value is escaped."""
    loader = FileSystemLoader([*folders, Path(__file__).parent / "templates"])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "words": words, "moment": _moment, "checked": checked}
    environment.globals |= {"statuses": STATUSES, "tones": TONES, "measurement": measurement}
    environment.globals |= {"heat_uri": _heat_uri, "contours": heat.contours, "level": heat.LEVEL, "position": position}
    return environment


def _visible(value: object) -> object:
    """Text without characters that make it read as something else than it is."""
    return value.translate(_DISGUISES) if type(value) is str else value


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _section(record: Record, examination: Examination, index: int) -> dict[str, Any]:
    """What the template needs for one record; ``key`` keeps ids of several records apart."""
    drawn = overlays.layers(record, examination.pictures)
    close_up = close_up_of(record, examination.photo.rgb, drawn)
    text = sentences(record.explanation)
    listed = [item for item in record.evidence if not is_part(item)]
    return {
        "key": record.subject or f"r{index}",
        "record": record,
        "evidence": {item.id: item for item in record.evidence},
        "deciding": [item for key in record.verdict.deciding for item in record.evidence if item.id == key],
        # The summary often states the reason; the card says it once.
        "reasons": [reason for reason in record.verdict.reasons if reason.text not in record.explanation.summary],
        "tools": _by_tool(listed),
        "parts": parts(record.evidence),
        "columns": columns(record.evidence),
        "missing": [item for item in listed if item.status != "ok"],
        "missing_parts": _by_tool([item for item in record.evidence if is_part(item) and item.status != "ok"]),
        "summary": text["summary"],
        "reasoning": [(section, text[section]) for section in ("observations", "interpretation", "conclusion")],
        "layers": drawn,
        "maps": [layer for layer in drawn if layer.picture and layer.picture.heat],
        "views": views_of(record, examination.photo.rgb, drawn, close_up),
        "close_up": close_up
        and {
            "box": close_up,
            "uri": data_uri(overlays.crop(examination.photo.rgb, close_up)),
        },
        "subject": next((face for face in record.faces if face.id == record.subject), None),
    }


def _by_tool(evidence: Sequence[EvidenceInfo]) -> list[tuple[str, list[EvidenceInfo]]]:
    return [(tool, list(items)) for tool, items in groupby(evidence, lambda item: item.tool)]


def measurement(item: EvidenceInfo) -> str:
    """Value and unit as a person reads them; empty where there is no value."""
    if item.value is None:
        return ""
    if isinstance(item.value, bool):
        return "yes" if item.value else "no"
    value = f"{item.value:.4g}".replace("-", "−") if isinstance(item.value, float) else str(item.value)
    unit = UNITS.get(item.unit or "", f" {item.unit}" if item.unit else "")
    return value + unit


def words(name: str) -> str:
    """A key as a heading: ``head_pose`` becomes ``Head pose``."""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _moment(record: Record) -> str:
    at = record.created_at
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def data_uri(image: Image.Image) -> str:
    """A JPEG of at most ``EMBEDDED_SIDE`` pixels a side, made from the pixels alone."""
    image.thumbnail((EMBEDDED_SIDE, EMBEDDED_SIDE), Image.Resampling.LANCZOS)
    return "data:image/jpeg;base64," + base64.b64encode(_save(image, "JPEG", quality=88)).decode()


def _heat_uri(picture: Picture) -> str:
    return png_uri(heat.coloured(heat.smoothed(picture, HEAT_SIDE)))


def png_uri(rgba: NDArray[np.uint8]) -> str:
    """A PNG of RGBA pixels."""
    return "data:image/png;base64," + base64.b64encode(_save(Image.fromarray(rgba), "PNG", optimize=True)).decode()


def _encode(rgb: RGBImage, fmt: str) -> bytes:
    return _save(Image.fromarray(rgb), fmt)


def _save(image: Image.Image, fmt: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()
