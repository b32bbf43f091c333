"""A copy of the examined photo is no reference, however it was saved again; an altered one is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness.agent.examine import references_for
from facewitness.agent.people import PeopleStore, Template
from facewitness.errors import InvalidReference
from facewitness.tools import weights
from facewitness.tools.copies import is_copy
from facewitness.tools.image import load

EXAMPLES = Path(__file__).parents[1] / "examples"


def saved(rgb: np.ndarray, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_a_copy_proves_nothing(astronaut: Path, quality: int) -> None:
    photo = load(astronaut)
    for copy in (
        saved(photo.rgb, "JPEG", quality=quality),
        saved(photo.rgb, "PNG"),
        astronaut.read_bytes() + b"\0",
    ):
        with pytest.raises(InvalidReference, match="the examined photo itself"):
            references_for(photo, [copy], None)


def test_an_altered_photo_is_compared_with_its_original(astronaut: Path) -> None:
    original = load(astronaut)
    assert len(references_for(load(EXAMPLES / "astronaut-bent.jpg"), [astronaut], None)) == 1
    small = original.rgb.copy()
    small[200:208, 240:256] = 255 - small[200:208, 240:256]
    assert not is_copy(small, original.rgb)
    assert not is_copy(original.rgb[:400], original.rgb)
    tiny = np.zeros((3, 5, 3), np.uint8)
    assert is_copy(tiny, tiny) and not is_copy(tiny, tiny + 9)


def test_an_enrolled_photo_that_is_unlike_the_others_is_told(astronaut: Path, tmp_path: Path) -> None:
    """Left out as the examined photo, it would leave the photos of somebody else to compare with."""
    people, photo = PeopleStore(tmp_path), load(astronaut)
    features = np.random.default_rng(0).normal(size=(2, 128)).astype(np.float32)
    card = weights.card("sface")
    people.enroll("Eve", [Template(features[0], photo.sha256, card), Template(features[1], "a" * 64, card)])
    with pytest.raises(InvalidReference, match="are unlike it"):
        references_for(photo, [], "Eve", people)
    people.enroll("Ada", [Template(features[0], photo.sha256, card), Template(features[0] * 2, "a" * 64, card)])
    assert len(references_for(photo, [], "Ada", people)) == 1
