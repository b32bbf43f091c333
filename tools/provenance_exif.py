"""What EXIF says, and where it contradicts itself or the picture.

A contradiction shows that some field is wrong or that the file was saved again; it does not show what was changed.
Agreement shows nothing: whoever forges a photo can write fields that agree.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image

from ..errors import InputError
from . import exif
from .containers import Container
from .evidence import Evidence
from .exif import Exif
from .image import Photo, RGBImage, load
from .product_names import contradict, makers
from .provenance_items import item, named

# Previews of 60 studio portraits (Face Research Lab London) correlate at least 0.98 with their own photo and at most
# 0.93 with another person's; chosen between the two.
_SAME_PICTURE = 0.95
_ZONES = timedelta(hours=26)
"""Times carry no zone, and zones reach from 12 hours behind UTC to 14 before it."""


def measure(photo: Photo, container: Container) -> list[Evidence]:
    """Always whether there is EXIF; then its fields, and what disagrees."""
    if not container.exif:
        finding = "The file has no EXIF data; most websites remove them, so absence proves nothing."
        return [item("exif", finding, False, "exif")]
    fields = exif.read(container.exif)
    found = [item("exif", "The file has EXIF data, which anyone can write or change.", True, "exif")]
    make, model = fields.make or "", fields.model or ""
    camera = model if make and model.lower().startswith(make.split()[0].lower()) else f"{make} {model}".strip()
    found += named("camera", "The EXIF camera field", camera, "exif")
    found += named("software", "The EXIF software field", fields.software, "exif")
    found += _makers(make, model)
    if fields.orientation is not None:
        finding = f"EXIF orientation is {fields.orientation} of 8; the photo was examined upright."
        found.append(item("orientation", finding, fields.orientation, "exif", numbers=(8,)))
    return found + _size(fields, container) + _times(fields) + _thumbnail(photo, fields)


def _makers(make: str, model: str) -> list[Evidence]:
    """Whether maker and model are of different companies."""
    first, second = makers(make), makers(model)
    if not contradict(first, second):
        return []
    finding = f"EXIF contradicts itself: the maker is {min(first)}, and the model is by {min(second)}."
    return [item("camera_fields", finding, "contradiction", "exif")]


def _size(fields: Exif, container: Container) -> list[Evidence]:
    """The size that the camera noted against the size that the file has, both as stored."""
    if fields.size is None:
        return []
    noted, stored = fields.size, (container.width, container.height)
    pixels = "{} x {}".format(*noted)
    if noted == stored:
        return [item("exif_size", f"EXIF notes {pixels} pixels, which the picture has.", "same", "exif", numbers=noted)]
    if noted == stored[::-1]:
        finding, value = f"EXIF notes {pixels} pixels, and the picture was turned since.", "turned"
        return [item("exif_size", finding, value, "exif", numbers=noted)]
    has = "{} x {}".format(*stored)
    finding = (
        f"EXIF contradicts the picture: it notes {pixels} pixels, and the picture has {has}; it was resized or cropped."
    )
    return [item("exif_size", finding, "contradiction", "exif", numbers=(*noted, *stored))]


def _times(fields: Exif) -> list[Evidence]:
    return [*_saved(fields), *_digitised(fields), *_ahead(fields)]


def _saved(fields: Exif) -> list[Evidence]:
    if fields.captured is None or fields.modified is None:
        return []
    seconds = int((fields.modified - fields.captured).total_seconds())
    if seconds == 0:
        finding = "EXIF gives the same time for capture and last saving, as a camera does."
    elif seconds > 0:
        finding = f"EXIF says that the file was last saved {seconds} s after capture, so it was probably re-saved."
    else:
        finding = f"EXIF contradicts itself: last saved {-seconds} s before capture; one of the times is wrong."
    return [item("times", finding, seconds, "exif", "s", numbers=(abs(seconds),))]


def _digitised(fields: Exif) -> list[Evidence]:
    if fields.captured is None or fields.digitised is None or fields.digitised >= fields.captured:
        return []
    seconds = int((fields.captured - fields.digitised).total_seconds())
    finding = f"EXIF contradicts itself: digitised {seconds} s before capture; one of the times is wrong."
    return [item("digitised", finding, seconds, "exif", "s")]


def _ahead(fields: Exif) -> list[Evidence]:
    """A time that has not come yet, anywhere on Earth."""
    now = datetime.now(UTC).replace(tzinfo=None)
    latest = max((time for time in (fields.captured, fields.digitised, fields.modified) if time), default=now)
    if latest <= now + _ZONES:
        return []
    days = (latest - now).days
    finding = f"EXIF contradicts the calendar: one of its times lies {days} days in the future."
    return [item("future_time", finding, days, "exif", "days")]


def _thumbnail(photo: Photo, fields: Exif) -> list[Evidence]:
    """Whether the embedded preview shows the same picture: editors may change one and leave the other."""
    if fields.thumbnail is None:
        return []
    try:
        preview = load(fields.thumbnail).rgb
    except InputError:
        finding = "EXIF holds a preview picture that cannot be decoded."
        return [item("thumbnail", finding, "unreadable", "exif")]
    turned = (preview, np.rot90(preview), np.rot90(preview, 2), np.rot90(preview, 3))
    correlation = round(max(_correlation(photo.rgb, view) for view in turned), 2)
    if correlation >= _SAME_PICTURE:
        finding = f"The EXIF preview shows the same picture (correlation {correlation:.2f}); small edits do not show."
    else:
        finding = f"The EXIF preview shows another picture (correlation {correlation:.2f}): one may have been replaced."
    return [item("thumbnail", finding, correlation, "exif")]


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
