"""Vision transformers with tuned layers and a linear head: GenD, and what ``finetune.backbone`` trains.

Yermakov et al. 2025, arXiv 2503.19683 and 2508.06248: only the LayerNorms of CLIP, DINO or another vision transformer
are tuned, the class feature is scaled to unit length, and a linear layer tells real from fake. Keys of the file:

* GenD: ``feature_extractor.vision_model.*`` (CLIP) or ``feature_extractor.backbone.*`` (DINO), ``model.linear.*``;
* otherwise ``backbone.*`` as transformers names them, ``head.*`` and, if the head stands on CLIP's joint space,
  ``projection.weight``.

With ``base``, the backbone starts from those weights and the file need hold only what was tuned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import WeightsMismatch
from ..detectors import Crops, Scores
from ..once import Once
from ..weights_format import refuse_code
from .entries import VitEntry
from .loading import batch, checked, forged_logit, library, state_dict

if TYPE_CHECKING:
    import torch

_BACKBONE = ("feature_extractor.vision_model.", "feature_extractor.backbone.", "backbone.", "vision_model.")
_HEAD = ("model.linear.", "head.")
_PROJECTION = "projection.weight"
_UNUSED = ("feature_extractor.visual_projection.",)  # CLIP's way into its joint space, saved but not used by GenD


class _Network(NamedTuple):
    backbone: Any
    weight: torch.Tensor
    bias: torch.Tensor
    projection: torch.Tensor | None


class VitLayerNorm:
    """A detector as its entry states it; the weights are loaded at the first score."""

    def __init__(self, entry: VitEntry) -> None:
        self.card, self.target, self.size, self.margin = entry.card, entry.target, entry.size, entry.margin
        self._entry, self._network = entry, Once(lambda: _load(entry))

    def score(self, crops: Crops) -> Scores:
        """Log odds of "fake" for (n, size, size, 3) uint8 RGB crops.

        Raises:
            WeightsMissing, WeightsMismatch, WeightsRefused, ToolUnavailable: The network cannot be loaded.
        """
        network = self._network()
        import torch
        from torch.nn import functional

        with torch.inference_mode():
            # The class feature behind the last LayerNorm; of SigLIP, which has none, the attention pool.
            feature = network.backbone(pixel_values=batch(crops, self._entry.mean, self._entry.std)).pooler_output
            if network.projection is not None:
                feature = functional.linear(feature, network.projection)
            if self._entry.normalise:
                feature = functional.normalize(feature, dim=1)
            return Scores(forged_logit(functional.linear(feature, network.weight, network.bias), self._entry.forged))


def _load(entry: VitEntry) -> _Network:
    """Network with every tensor of the backbone set from checked files."""
    transformers = library("transformers", f"The plug-in {entry.name}")
    path = checked(entry, entry.name)
    refuse_code(path)
    parts: dict[str, torch.Tensor] = {}
    if entry.base is not None:
        base = checked(entry.base, entry.name)
        refuse_code(base)
        whole = state_dict(base)
        parts |= _under(_BACKBONE, whole) or whole  # a whole CLIP or SigLIP holds a text model too
    tuned = state_dict(path)
    parts |= _under(_BACKBONE, tuned)
    head = _under(_HEAD, tuned)
    strange = [key for key in tuned if key != _PROJECTION and not key.startswith((*_BACKBONE, *_HEAD, *_UNUSED))]
    if strange or set(head) != {"weight", "bias"}:
        raise WeightsMismatch(f"{entry.file} of the plug-in {entry.name} has other tensors than a tuned backbone.")
    backbone = _backbone(transformers, entry, parts)
    return _Network(backbone, head["weight"], head["bias"], tuned.get(_PROJECTION))


def _under(prefixes: tuple[str, ...], tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors below the first of the prefixes that any key has, without it."""
    for prefix in prefixes:
        if found := {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}:
            return found
    return {}


def _backbone(transformers: Any, entry: VitEntry, tensors: dict[str, torch.Tensor]) -> Any:
    import torch

    settings = dict(entry.backbone)
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):
        kind = type(transformers.AutoModel.from_config(config))
    # from_pretrained knows how older releases of transformers named the tensors.
    model, info = kind.from_pretrained(
        None, config=config, state_dict=tensors, output_loading_info=True, ignore_mismatched_sizes=True
    )
    wrong = [*info["missing_keys"], *info["mismatched_keys"]]
    if entry.base is None:
        wrong += info["unexpected_keys"]
    if wrong:
        first = wrong[0] if isinstance(wrong[0], str) else wrong[0][0]
        raise WeightsMismatch(
            f"{entry.file} of the plug-in {entry.name} does not fit the backbone: {len(wrong)} tensors, as {first}."
        )
    return model.eval()
