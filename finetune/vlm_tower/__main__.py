"""Train the tower: ``python -m facewitness.finetune.vlm_tower --data PATH --forgeries SET --cache DIR --out DIR``.

``SET`` is what ``facewitness.finetune.forgery_set`` wrote; ``--cache`` keeps what the tools measured.
"""

from __future__ import annotations

import os
from pathlib import Path

from safetensors.torch import save_file

from .. import forgery_set
from ..training import Run, command, parser, resolve
from .forgeries import known
from .photos import photos
from .sampler import Sampler
from .train import TAUGHT, Config, Material, train
from .views import views

TOWER = "tower"
"""Folder that ``finetune.vlm`` takes as ``tower=``."""


def main() -> None:
    """Measure, train, save."""
    options = parser(__doc__)
    options.add_argument("--forgeries", type=Path, required=True, help="folder of the forgery set")
    options.add_argument("--cache", type=Path, required=True, help="folder for what the tools measured")
    given = options.parse_args()
    config = resolve(Config, None, given.set)
    faces, people = forgery_set.load(given.forgeries), photos(given.data, given.cache)
    about = known(faces, people, given.cache)
    sampler = Sampler(faces, people, about, config.shape, config.seed)
    made = views(sampler, config.shape, config.views, config.batch, given.cache / "views", os.cpu_count() or 1)
    material = Material(faces, people, about, made)
    run = Run(given.out, config, resume=given.resume)
    model = train(material, config, run)
    run.plot()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, given.out / TAUGHT)
    model.tower.half().save_pretrained(given.out / TOWER)


if __name__ == "__main__":
    command(main)
