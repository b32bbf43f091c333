"""What makes a result: version of facewitness, weights, plug-ins, and whose Content Credentials are trusted."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version

from ...tools import plugins, provenance, weights
from .. import fusion


def models() -> dict[str, str]:
    """Sha256 by name."""
    return {entry.name: entry.sha256 for entry in weights.entries()} | {"fusion": str(fusion.card().sha256)}


def made_by() -> dict[str, str]:
    """Columns of every row: version, and one digest over all weights."""
    digest = hashlib.sha256(json.dumps(models(), sort_keys=True).encode()).hexdigest()
    return {"software": f"facewitness {version('facewitness')}", "weights": digest}


def conditions() -> dict[str, object]:
    """All that two results must have in common, beside the options, to be the same."""
    plugged = [[plugin.key, plugin.origin, str(plugin.entry)] for plugin in plugins.discover()]
    anchors = provenance.trust_anchors() or ""
    return {**made_by(), "plugins": plugged, "anchors": hashlib.sha256(anchors.encode()).hexdigest()}
