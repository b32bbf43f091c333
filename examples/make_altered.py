"""Make the altered versions of the astronaut: one face, altered by this project's own forge; nobody else's.

    python examples/make_altered.py

They are in the chat to show what a find and a miss look like; how much is found and missed is in docs/models/.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from facewitness.finetune.forge import Side, forge
from facewitness.finetune.forge.selfblend import selfblend
from facewitness.finetune.forge.synthesis import REDRAWS
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView
from facewitness.tools.image import RGBImage, load

FOLDER = Path(__file__).parent
QUALITY = 92


def bent(side: Side) -> RGBImage:
    """Mouth and brows pulled into a frown, then the nose reshaped."""
    frowning = forge("edit.frown", side, None, 0).image
    return forge("edit.nose", Side(frowning, side.points), None, 1).image


def redrawn(side: Side) -> RGBImage:
    """The face blended with a resampled copy of itself."""
    return selfblend(side, np.random.default_rng(1), REDRAWS["resample"])[0]


def save(rgb: RGBImage, name: str) -> None:
    """Write a JPEG without metadata."""
    Image.fromarray(rgb).save(FOLDER / name, "JPEG", quality=QUALITY)


def main() -> None:
    """Write all of them beside this file."""
    photo = load(FOLDER / "astronaut.jpg")
    view = FaceView(photo, detect(photo.rgb)[0])
    side = Side(photo.rgb, view.mesh.points[:, :2].astype(np.float32))
    altered = bent(side)
    save(altered, "astronaut-bent.jpg")
    save(redrawn(side), "astronaut-redrawn.jpg")
    left, right = photo.rgb[:440, 40:400], altered[:440, 40:400]
    save(np.concatenate([left, right], axis=1), "astronaut-twice.jpg")


if __name__ == "__main__":
    main()
