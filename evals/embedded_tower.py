"""What the embedded model's vision tower sees, on the test split, beside floors and its teachers.

Run: ``python -m facewitness.evals.embedded_tower --run DIR --data PATH --forgeries SET --cache DIR
--out evals/results/embedded_tower.json``

``--run`` is the folder of the training; the heads that it left are not shipped. Every picture is a crop saved as JPEG
75. Besides what the heads say, a linear probe on the mean of the frozen tokens says what is in them, and the same probe
on a thumbnail of 16 x 16 pixels is the floor.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..finetune import forgery_set
from ..finetune.vlm_tower.forgeries import known
from ..finetune.vlm_tower.photos import photos
from .embedded_tower_forged import forged
from .embedded_tower_taught import taught
from .embedded_tower_views import load
from .forgery_material import QUALITY


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, words in {
        "run": "folder of the training",
        "data": "folder with the labelled photos",
        "forgeries": "folder of the forgery set",
        "cache": "folder with what the tools measured",
        "out": "JSON file to write",
    }.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=words)
    options = parser.parse_args()
    faces, people = forgery_set.load(options.forgeries), photos(options.data, options.cache)
    model, config = load(options.run)
    result = {
        "tower": config.shape.model_dump(),
        "pictures": f"aligned wide crops, JPEG {QUALITY}; 95 % intervals by bootstrap over people",
        **taught(model, config, people),
        **forged(model, config, faces, known(faces, people, options.cache)),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
