"""Action units by py-feat's multitask network (Cheong et al. 2023, arXiv 2104.03509; the network of version 2).

The library's own loader and preprocessing run on our aligned crops instead of its detector's boxes. Its code is MIT;
the published weights are for non-commercial research.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..detectors import Crops
from ..face import Floats
from ..once import Once
from ..weights_format import refuse_code
from .entries import PyFeatEntry
from .loading import checked, library

CHIP = 256
"""Side of py-feat's chips in pixels."""
_LEFT, _TOP = 19, 38
"""Where the chip begins in our crop: py-feat centres it on the detector's box, which lies lower than the template."""


class PyFeat:
    """An action unit model as its entry states it; the weights are loaded at the first face.

    py-feat's chip is 1.2 times the longer side of the face box. On 12 photos of Face Research Lab London that is 1.16
    times the width of the ArcFace template, with its middle 0.09 widths lower; the chip is cut out of a wider crop.
    """

    size = CHIP + 2 * _LEFT
    margin = 1.16 * (CHIP + 2 * _LEFT) / CHIP

    def __init__(self, entry: PyFeatEntry) -> None:
        self.card = entry.card
        self._network = Once(lambda: _load(entry))

    def intensities(self, crops: Crops) -> dict[str, Floats]:
        """Presence of each unit in (n, 294, 294, 3) uint8 RGB crops, 0..1, by name (``AU12``): (n,) float32.

        Raises:
            WeightsMissing, WeightsMismatch, WeightsRefused, ToolUnavailable: The network cannot be loaded.
        """
        network = self._network()
        import torch

        chips = crops[:, _TOP : _TOP + CHIP, _LEFT : _LEFT + CHIP].transpose(0, 3, 1, 2)
        found = network(torch.from_numpy(np.ascontiguousarray(chips)).float() / 255)
        return {f"AU{int(name[2:])}": np.array(found.au[:, k], np.float32) for k, name in enumerate(found.au_names)}


def _load(entry: PyFeatEntry) -> Any:
    feat = library("feat.multitask.inference", f"The plug-in {entry.name}", "pip install py-feat")
    path = checked(entry, entry.name)
    refuse_code(path)
    return feat.MultitaskModel(device="cpu", weights_path=str(path))
