"""What makes a result: the version of facewitness, and all weights that an examination may use."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version

from ...tools import weights
from .. import fusion


def models() -> dict[str, str]:
    """Sha256 by name."""
    return {entry.name: entry.sha256 for entry in weights.entries()} | {"fusion": str(fusion.card().sha256)}


def made_by() -> dict[str, str]:
    """Columns of every row: version, and one digest over all weights."""
    digest = hashlib.sha256(json.dumps(models(), sort_keys=True).encode()).hexdigest()
    return {"software": f"facewitness {version('facewitness')}", "weights": digest}
