"""Train a vision-language model on instruction data.

Run: ``python -m facewitness.finetune.vlm --recipe embedded --data DATASET --out DIR [--resume] [--set key=value]``

``--data`` is a folder that ``finetune.data`` wrote, ``--recipe`` a name or a TOML file. On several GPUs the same behind
``accelerate launch -m``. See docs/design/vlm_training.md.
"""

from __future__ import annotations

from ..training import command, parser
from .recipe import configure, names
from .train import train


def main() -> None:
    """Train, and write the adapter."""
    options = parser(__doc__)
    options.add_argument("--recipe", required=True, help=f"one of {', '.join(names())}, or a TOML file")
    given = options.parse_args()
    command(lambda: train(configure(given.recipe, given.set), given.data, given.out, resume=given.resume))


if __name__ == "__main__":
    main()
