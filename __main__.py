"""``python -m facewitness``."""

from .ui.cli import main

main()
