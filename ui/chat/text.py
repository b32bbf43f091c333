"""The chat's words, from one file that can be translated."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from ...tools.limits import MAX_PIXELS, MAX_SIDE

ASSETS = Path(__file__).parent / "assets"


@cache
def words() -> dict[str, Any]:
    """Everything that the chat says of its own accord, by section."""
    return tomllib.loads((ASSETS / "en.toml").read_text("utf-8"))


def next_step(code: str) -> str:
    """What a person can do after an error with this code."""
    steps: dict[str, str] = words()["problem"]["next"]
    return steps.get(code, steps["other"]).format(pixels=MAX_PIXELS // 1_000_000, side=f"{MAX_SIDE:,}")
