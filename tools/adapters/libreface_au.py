"""Action unit intensities by LibreFace (Chang et al. 2024, arXiv 2308.10713), for non-profit research only.

The library's own network and loader run on our aligned crops. Its weights are a torch archive, which it opens with
torch's restricted loader, and which must have the sha256 that the user states.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ToolUnavailable
from ..detectors import Crops
from ..face import Floats
from ..once import Once
from .entries import LibreFaceEntry
from .loading import checked, library

SIZE = 256
GREATEST = 5.0
"""LibreFace's intensities run from 0 to 5."""
START = "resnet18-f37072fd.pth"
"""torchvision's ImageNet weights, which LibreFace's network is created with before its own replace them."""


class LibreFace:
    """An action unit model as its entry states it; the weights are loaded at the first face.

    LibreFace aligns as FFHQ does; on 12 photos of Face Research Lab London that square is 1.31 times as wide as the
    ArcFace template, with the same middle.
    """

    size = SIZE
    margin = 1.31

    def __init__(self, entry: LibreFaceEntry) -> None:
        self.card = entry.card
        self._solver, self._lock = Once(lambda: _load(entry)), threading.Lock()

    def intensities(self, crops: Crops) -> dict[str, Floats]:
        """Intensity of each unit in (n, 256, 256, 3) uint8 RGB crops, 0..1, by name (``AU12``): (n,) float32.

        Raises:
            WeightsMissing, WeightsMismatch, ToolUnavailable: The network cannot be loaded.
        """
        from PIL import Image

        solver = self._solver()
        with self._lock:  # it switches its network to evaluation at every call
            found = [
                solver.image_inference_au_recognition(solver.image_transform(Image.fromarray(crop)))[0].numpy()
                for crop in crops
            ]
        values = np.array(found, np.float32).reshape(len(crops), -1) / GREATEST
        return {f"AU{number}": values[:, k] for k, number in enumerate(solver.au_recognition_aus[: values.shape[1]])}


def _load(entry: LibreFaceEntry) -> Any:
    user = f"The plug-in {entry.name}"
    hint = "pip install --no-deps libreface, and what it imports"
    combined = library("libreface.AU_Recognition.solver_inference_combine", user, hint)
    settings = library("libreface.AU_Recognition.inference", user, hint).ConfigObject
    path = checked(entry, entry.name)
    _refuse_download(user)
    options = {
        "ckpt_path": str(path),
        "weights_download_id": "",  # the file is there, so nothing is downloaded
        "image_size": SIZE,
        "crop_size": 224,
        "au_recognition_num_labels": 12,
        "au_detection_num_labels": 12,
        "model_name": "resnet",
        "dropout": 0.1,
        "fm_distillation": False,
        "device": "cpu",
    }
    return combined.solver_inference_image_task_combine(settings(options))


def _refuse_download(user: str) -> None:
    import torch

    if not (Path(torch.hub.get_dir()) / "checkpoints" / START).is_file():
        raise ToolUnavailable(
            f"{user} would download {START}, which LibreFace's network is created with; "
            "put that file of torchvision into torch's cache."
        )
