"""A vision transformer that says how forged a face is: few tuned parameters (PEFT) in a frozen backbone, a linear head.

LayerNorm tuning: Yermakov et al. 2025, arXiv 2503.19683 and 2508.06248 (GenD). LoRA for morphs: Caldeira et al. 2025,
arXiv 2501.03800 (MADation). Alignment and uniformity: Wang & Isola 2020, arXiv 2005.10242.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from peft import LNTuningConfig, LoraConfig, PeftConfig, PeftModel, get_peft_model
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from ..errors import InvalidOption, WeightsMissing, WeightsRefused

ADAPTER, HEAD = "adapter", "head.safetensors"
PLUGIN = "detector.safetensors"
"""Head and merged layers under the names that the plug-in adapter ``vit_layernorm`` takes."""
PROJECTION = "visual_projection.weight"


class Network(BaseModel):
    """What is tuned in which backbone.

    Attributes:
        model: Hub id, or a folder in the hub's layout.
        revision: Commit of the hub repository, 40 hex digits; needed for a hub id.
        licence: Of the backbone's weights, for the record.
        size: Side of the crop in pixels.
        mean, std: Of the backbone's preprocessing, RGB in 0..1.
        feature: ``pooled``, or ``projected`` into CLIP's joint space.
        normalise: Scale features to unit length before the head.
        method: ``layernorm`` tunes all LayerNorms; ``lora`` adds low-rank updates.
        targets: Names of the linear layers that LoRA updates.
        rank, alpha, dropout, rank_stabilised: LoRA's; stabilised scales by alpha / sqrt(rank) instead of alpha / rank.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str = ""
    licence: str = ""
    size: int = 224
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    feature: Literal["pooled", "projected"] = "pooled"
    normalise: bool = False
    method: Literal["layernorm", "lora"]
    targets: tuple[str, ...] = ()
    rank: int = Field(default=8, gt=0)
    alpha: float = 16
    dropout: float = 0.0
    rank_stabilised: bool = False


class Output(NamedTuple):
    """Of n crops: logits (n,), greater means more forged; features (n, width), of unit length if the recipe says so."""

    logits: torch.Tensor
    features: torch.Tensor


class Detector(nn.Module):
    """Backbone with its adapter, and head.

    Args:
        backbone: The tuned backbone.
        network: Its configuration.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: PeftModel, network: Network) -> None:
        super().__init__()
        self.backbone, self.network = backbone, network
        width = backbone.config.projection_dim if network.feature == "projected" else backbone.config.hidden_size
        self.head = nn.Linear(width, 1)
        self.register_buffer("mean", torch.tensor(network.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(network.std).view(3, 1, 1), persistent=False)

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """(n, width) from (n, size, size, 3) uint8 RGB."""
        pixels = (crops.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        found = self.backbone(pixel_values=pixels)
        feature: torch.Tensor = found.image_embeds if self.network.feature == "projected" else found.pooler_output
        return functional.normalize(feature.float(), dim=1) if self.network.normalise else feature.float()

    def forward(self, crops: torch.Tensor) -> Output:
        """Logits and features of (n, size, size, 3) uint8 RGB."""
        features = self.features(crops)
        return Output(self.head(features)[:, 0], features)

    def tuned(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}


def build(network: Network) -> Detector:
    """A detector at the start of its training.

    Raises:
        InvalidOption: A hub id without its revision, a size the backbone cannot take, or an unknown architecture.
        WeightsMissing: The weights are not to be had.
        WeightsRefused: They are there, but not as safetensors.
    """
    backbone = _pretrained(network)
    with _quiet():
        return Detector(get_peft_model(backbone, _adapter(network, backbone)), network)


def save(detector: Detector, out: Path) -> None:
    """Write the adapter in PEFT's layout, the head, and both merged into the plug-in's file."""
    detector.backbone.save_pretrained(str(out / ADAPTER))
    head = {name: value.detach().cpu().contiguous() for name, value in detector.head.state_dict().items()}
    save_file(head, out / HEAD)
    save_file({f"head.{name}": value for name, value in head.items()} | _tuned_weights(detector.backbone), out / PLUGIN)


def _tuned_weights(backbone: PeftModel) -> dict[str, torch.Tensor]:
    """The layers that were tuned, their adapters merged, by their names in the backbone; and the projection, if any."""
    targets = tuple(backbone.peft_config["default"].target_modules)
    with _quiet():
        state = copy.deepcopy(backbone).merge_and_unload().state_dict()
    layers = {name: value for name, value in state.items() if name.split(".")[-2] in targets}
    if PROJECTION in state:  # CLIP lies one level deeper then
        layers = {name.removeprefix("vision_model."): value for name, value in layers.items()}
    tuned = {f"backbone.{name}": value for name, value in layers.items()}
    tuned |= {"projection.weight": state[PROJECTION]} if PROJECTION in state else {}
    return {name: value.detach().cpu().contiguous() for name, value in tuned.items()}


def load(network: Network, out: Path) -> Detector:
    """A trained detector from its folder, ready to score."""
    with _quiet():
        detector = Detector(PeftModel.from_pretrained(_pretrained(network), str(out / ADAPTER)), network)
    detector.head.load_state_dict(load_file(out / HEAD))
    return detector.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """PEFT warns that LayerNorm has no in_features, which LayerNorm tuning does not use, and asks by an old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unsupported layer type", UserWarning)
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield


def _pretrained(network: Network) -> nn.Module:
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    local = Path(network.model).is_dir()
    if not local and not re.fullmatch(r"[0-9a-f]{40}", network.revision):
        raise InvalidOption(f"{network.model} is on the hub: name its commit with --set revision=<40 hex digits>.")
    options: dict[str, Any] = {} if local else {"revision": network.revision}
    try:
        config = AutoConfig.from_pretrained(network.model, **options)
        kind = _kind(config.model_type, network.feature)
        # Pickles run code when they are opened.
        backbone = kind.from_pretrained(network.model, use_safetensors=True, **options)
    except OSError as error:
        if "safetensors" in str(error):
            raise WeightsRefused(f"{network.model} has no safetensors file.") from None
        raise WeightsMissing(f"{network.model} is neither a folder nor to be had from the hub.") from None
    side = backbone.config.image_size
    if side != network.size and "dino" not in config.model_type:
        raise InvalidOption(f"{network.model} takes {side} pixels, not {network.size}: --set size={side}.")
    model: nn.Module = backbone
    return model


def _kind(model_type: str, feature: str) -> Any:
    import transformers

    kinds = {"clip": "CLIPVisionModel", "siglip": "SiglipVisionModel", "siglip2": "SiglipVisionModel"}
    family = model_type.removesuffix("_vision_model")
    if feature == "projected":
        if family != "clip":
            raise InvalidOption("Only CLIP has a projected feature: --set feature=pooled.")
        return transformers.CLIPVisionModelWithProjection
    if family.startswith("dino"):
        return transformers.AutoModel
    if family not in kinds:
        raise InvalidOption(f"The architecture {model_type} is not known here: CLIP, SigLIP and DINO are.")
    return getattr(transformers, kinds[family])


def _adapter(network: Network, backbone: nn.Module) -> PeftConfig:
    base = {"base_model_name_or_path": network.model, "revision": network.revision or None}
    if network.method == "layernorm":
        norms = {name.rpartition(".")[2] for name, part in backbone.named_modules() if isinstance(part, nn.LayerNorm)}
        return LNTuningConfig(target_modules=sorted(norms), **base)
    return LoraConfig(
        r=network.rank,
        lora_alpha=network.alpha,
        lora_dropout=network.dropout,
        use_rslora=network.rank_stabilised,
        target_modules=list(network.targets),
        **base,
    )


def alignment(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean squared distance between features (n, width) of the same label (n,); 0 if no two share one."""
    one, other = (labels[:, None] == labels[None, :]).triu(1).nonzero(as_tuple=True)
    return (features[one] - features[other]).square().sum(1).mean() if len(one) else features.sum() * 0


def uniformity(features: torch.Tensor) -> torch.Tensor:
    """Log of the mean Gaussian potential between features (n, width) on the sphere; lower is more uniform."""
    return functional.pdist(features).square().mul(-2).exp().mean().clamp_min(1e-6).log()


def slerp(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Move each unit feature (n, width) a random way along the great circle to another one of its label (n,)."""
    partner = torch.arange(len(labels), device=labels.device)
    for label in labels.unique():
        rows = torch.nonzero(labels == label)[:, 0]
        partner[rows] = rows[torch.randperm(len(rows), device=labels.device)]
    other = features[partner]
    angle = (features * other).sum(1, keepdim=True).clamp(-1 + 1e-6, 1 - 1e-6).acos()
    way = torch.rand_like(angle)
    moved = ((1 - way) * angle).sin() * features + (way * angle).sin() * other
    return functional.normalize(moved, dim=1)
