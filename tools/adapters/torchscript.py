"""TorchScript detectors, as repositories in the manner of DeepfakeBench publish them: programs, not only numbers.

A TorchScript file is code of its publisher. It is run only where the user said so in the environment, with
``FACEWITNESS_ALLOW_TORCHSCRIPT=1``, and only if it has the stated sha256.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...errors import WeightsRefused
from ..detectors import Crops, Scores
from ..once import Once
from .entries import TorchScriptEntry
from .loading import batch, checked, forged_logit, library

CONSENT = "FACEWITNESS_ALLOW_TORCHSCRIPT"


class TorchScript:
    """A detector as its entry states it; the program is loaded at the first score."""

    def __init__(self, entry: TorchScriptEntry) -> None:
        self.card, self.target, self.size, self.margin = entry.card, entry.target, entry.size, entry.margin
        self._entry, self._program = entry, Once(lambda: _load(entry))

    def score(self, crops: Crops) -> Scores:
        """Log odds of "fake" for (n, size, size, 3) uint8 RGB crops.

        Raises:
            WeightsRefused: The user has not allowed TorchScript.
            WeightsMissing, WeightsMismatch, ToolUnavailable: The program cannot be loaded.
        """
        program = self._program()
        import torch

        with torch.inference_mode():
            # One at a time: a traced program may have kept the size of the batch it was traced with.
            pixels = batch(crops, self._entry.mean, self._entry.std)
            logits = [forged_logit(program(one[None]), self._entry.forged) for one in pixels]
        return Scores(np.concatenate(logits) if logits else np.empty(0, np.float32))


def _load(entry: TorchScriptEntry) -> Any:
    if os.environ.get(CONSENT) != "1":
        raise WeightsRefused(
            f"The plug-in {entry.name} is a TorchScript program, which is code of its publisher; "
            f"set {CONSENT}=1 to let it run."
        )
    torch = library("torch", f"The plug-in {entry.name}")
    program = torch.jit.load(str(checked(entry, entry.name)), map_location="cpu")
    return program.float().eval()
