"""Image classifiers of the hub, as transformers or timm saves them, of which one label stands for a forged picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import ToolUnavailable, WeightsMismatch
from ..detectors import Crops, Scores
from ..once import Once
from ..weights_format import refuse_code
from .entries import ClassifierEntry, Json, Triple
from .loading import batch, checked, forged_logit, library, locate, state_dict

if TYPE_CHECKING:
    import torch

HALF: Triple = (0.5, 0.5, 0.5)
"""transformers' default where a repository has no preprocessing of its own."""


class _Network(NamedTuple):
    model: Any
    forged: int
    mean: Triple
    std: Triple


class ImageClassifier:
    """A detector as its entry states it; the weights are loaded at the first score."""

    def __init__(self, entry: ClassifierEntry) -> None:
        self.card, self.target, self.size, self.margin = entry.card, entry.target, entry.size, entry.margin
        self._network = Once(lambda: _load(entry))

    def score(self, crops: Crops) -> Scores:
        """Log odds of the forged label for (n, size, size, 3) uint8 RGB crops.

        Raises:
            WeightsMissing, WeightsMismatch, WeightsRefused, ToolUnavailable: The network cannot be loaded.
        """
        network = self._network()
        import torch

        with torch.inference_mode():
            found = network.model(batch(crops, network.mean, network.std))
            logits = found if isinstance(found, torch.Tensor) else found.logits
            return Scores(forged_logit(logits, network.forged))


def companions(entry: ClassifierEntry, fetch: bool = False) -> tuple[Json, Json]:
    """The repository's configuration and its preprocessing; the latter is empty for timm.

    Raises:
        WeightsMissing: There is no configuration.
    """
    config = json.loads(locate(entry, "config.json", entry.name, fetch).read_text("utf-8"))
    if "architecture" in config:
        return config, {}
    return config, json.loads(locate(entry, "preprocessor_config.json", entry.name, fetch).read_text("utf-8"))


def _load(entry: ClassifierEntry) -> _Network:
    path = checked(entry, entry.name)
    refuse_code(path)
    config, preprocessing = companions(entry)
    if "architecture" in config:
        own: Json = config.get("pretrained_cfg", {})
        labels = dict(enumerate(own.get("label_names") or config.get("label_names") or ()))
        model, mean, std = _timm(entry, config, path), own.get("mean", HALF), own.get("std", HALF)
    else:
        labels = {int(index): label for index, label in config.get("id2label", {}).items()}
        model = _transformers(entry, path)
        mean, std = preprocessing.get("image_mean") or HALF, preprocessing.get("image_std") or HALF
    return _Network(model.eval(), _index(entry, labels), entry.mean or tuple(mean), entry.std or tuple(std))


def _index(entry: ClassifierEntry, labels: dict[int, str]) -> int:
    if isinstance(entry.forged, int):
        return entry.forged
    for index, label in labels.items():
        if label.casefold() == entry.forged.casefold():
            return index
    known = ", ".join(labels.values()) or "none"
    raise ToolUnavailable(f"The plug-in {entry.name} has no label {entry.forged}; its labels: {known}.")


def _timm(entry: ClassifierEntry, config: Json, path: Path) -> torch.nn.Module:
    timm = library("timm", f"The plug-in {entry.name}")
    settings = config.get("model_args", {})
    model: torch.nn.Module = timm.create_model(
        config["architecture"], pretrained=False, num_classes=config["num_classes"], **settings
    )
    try:
        model.load_state_dict(state_dict(path))
    except RuntimeError:
        raise WeightsMismatch(
            f"{entry.file} of the plug-in {entry.name} does not fit {config['architecture']}."
        ) from None
    return model


def _transformers(entry: ClassifierEntry, path: Path) -> torch.nn.Module:
    import torch

    transformers = library("transformers", f"The plug-in {entry.name}")
    folder = locate(entry, "config.json", entry.name).parent
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        kind = type(transformers.AutoModelForImageClassification.from_config(config, trust_remote_code=False))
    # The tensors are given, so that no other file of the folder is read.
    model, info = kind.from_pretrained(
        None, config=config, state_dict=state_dict(path), output_loading_info=True, ignore_mismatched_sizes=True
    )
    if info["missing_keys"] or info["mismatched_keys"] or info["unexpected_keys"]:
        raise WeightsMismatch(f"{entry.file} of the plug-in {entry.name} does not fit its configuration.")
    network: torch.nn.Module = model
    return network
