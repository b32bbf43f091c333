"""Where an adapter's files come from: the hub's cache or a local folder, believed only with the stated sha256."""

from __future__ import annotations

import hashlib
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ToolUnavailable, WeightsMismatch, WeightsMissing
from ..detectors import Crops
from ..face import Floats

if TYPE_CHECKING:
    import torch

    from .entries import HubFile, Triple

EXTRA = 'pip install "facewitness[plugins]"'


def library(name: str, user: str, hint: str = EXTRA) -> Any:
    """Import a library that only some plug-ins need.

    Raises:
        ToolUnavailable: It, or something that it needs, cannot be imported; the message says what to install.
    """
    try:
        return import_module(name)
    except (ImportError, OSError, RuntimeError) as error:  # the latter two for native parts that do not load
        missing = (getattr(error, "name", None) or name).partition(".")[0]
        raise ToolUnavailable(f"{user} needs {missing}, which cannot be imported: {hint}.") from None


def checked(file: HubFile, name: str, fetch: bool = False) -> Path:
    """The local path of a file whose bytes have the stated sha256; ``fetch`` as for ``locate``.

    Raises:
        WeightsMissing: It is not in the folder or the hub's cache, or not to be had.
        WeightsMismatch: Other bytes.
        ToolUnavailable: huggingface_hub is not installed.
    """
    path = locate(file, file.file, name, fetch)
    if digest(path) != file.sha256:
        raise WeightsMismatch(f"{file.file} of the plug-in {name} does not have the sha256 that is stated for it.")
    return path


def digest(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def locate(source: HubFile, member: str, name: str, fetch: bool = False) -> Path:
    """The local path of a member of the source's repository or folder.

    Args:
        source: Names the repository or folder.
        member: Path in it, with forward slashes.
        name: The plug-in, for messages.
        fetch: Whether the hub may be asked for what is not in its cache.

    Raises:
        WeightsMissing: Not there, or not to be had.
        ToolUnavailable: huggingface_hub is not installed.
    """
    if source.folder is not None:
        path = source.folder.expanduser() / member
        if not path.is_file():
            raise WeightsMissing(f"{member} of the plug-in {name} is not in the folder that is stated for it.")
        return path
    hub = library("huggingface_hub", f"The plug-in {name}")
    offline = not fetch or os.environ.get("FACEWITNESS_OFFLINE", "0") not in ("", "0")
    try:
        return Path(hub.hf_hub_download(source.repo, member, revision=source.revision, local_files_only=offline))
    except (OSError, hub.errors.HfHubHTTPError, hub.errors.LocalEntryNotFoundError):
        how = "could not be had from the hub" if fetch else "is not here; `facewitness models pull` fetches it"
        raise WeightsMissing(f"{member} of the plug-in {name} {how}.") from None


def state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file, float32, on the CPU."""
    from safetensors.torch import load_file

    return {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}


def batch(crops: Crops, mean: Triple, std: Triple) -> torch.Tensor:
    """(n, 3, size, size) float32 from (n, size, size, 3) uint8 RGB, scaled to 0..1 and normalised."""
    import torch

    pixels = (crops.astype(np.float32) / 255 - np.array(mean, np.float32)) / np.array(std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def forged_logit(outputs: torch.Tensor, forged: int) -> Floats:
    """(n,) float32 log odds of the class ``forged`` from (n, classes) logits; a single output is already one.

    Raises:
        ToolUnavailable: There is no such class.
    """
    import torch

    if outputs.shape[1] == 1:
        odds = outputs[:, 0]
    elif forged < outputs.shape[1]:
        others = [k for k in range(outputs.shape[1]) if k != forged]
        odds = outputs[:, forged] - torch.logsumexp(outputs[:, others], 1)
    else:
        raise ToolUnavailable(f"The model has {outputs.shape[1]} outputs; there is no output {forged}.")
    return np.asarray(odds.float().numpy(), np.float32)
