"""The tower, a SigLIP vision transformer, and the heads that teach it and are dropped afterwards.

Everything is read from the hidden state that LLaVA reads, the last but one. The last layer is kept at zero, so that it
passes its input on: it costs no training, and LLaVA may read the last state as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn
from torch.nn import functional
from transformers import SiglipVisionConfig, SiglipVisionModel

from ...tools.action_units import NAMES
from ..data.sight import REGIONS
from ..forensic_model import FAMILIES
from .geometry import POINTS
from .photos import ETHNICITIES, EXPRESSIONS
from .teachers import DENSE

QUERIES, LOCAL = 8, 16
"""Learned queries that gather the tokens for the heads, and numbers that each token adds in its own place."""
GATHERED = 0.1
"""Strength of the gathered numbers: with so many, Adam's steps on the heads would else be far too long."""
EQUAL = 32
"""Principal components of patches that begin with equal strength."""
HEADS = {
    "mesh": 2 * POINTS,
    "blendshapes": 52,
    "pose": 3,
    "identity": 128,
    "family": len(FAMILIES),
    "traces": len(FAMILIES),
    "regions": len(REGIONS),
    "units": len(NAMES),
    "expression": len(EXPRESSIONS),
    "gender": 1,
    "age": 1,
    "ethnicity": len(ETHNICITIES),
}
"""Outputs of each linear head on the gathered tokens, or on their mean."""
AVERAGED = ("identity", "family", "traces", "regions", "expression", "gender", "age", "ethnicity")
"""Heads on the mean token instead: what they are taught has to be in every token, where a language model that looks at
all of them alike finds it."""
MESH_UNIT, POSE_UNIT, AGE_UNIT, AGE_MEAN = 0.05, 10.0, 10.0, 30.0
"""What an output of 1 means: fractions of the crop, degrees, years."""


class Shape(BaseModel):
    """Of the tower; the defaults were chosen by measured throughput, see the model card.

    Attributes:
        image_size, patch_size: Pixels.
        layers: With the last one, which is passed through.
    """

    model_config = ConfigDict(extra="forbid")
    image_size: int = 160
    patch_size: int = 20
    hidden_size: int = 192
    layers: int = 7
    heads: int = 6

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch_size

    def config(self) -> SiglipVisionConfig:
        """For transformers."""
        return SiglipVisionConfig(
            hidden_size=self.hidden_size,
            intermediate_size=4 * self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            image_size=self.image_size,
            patch_size=self.patch_size,
            vision_use_head=False,
        )


class Seen(NamedTuple):
    """What the heads say of n crops.

    Attributes:
        of: (n, width) by the name of the head, see ``HEADS``.
        heat: (n, t) logits: whether each token's patch was altered.
        dense: (n, t, 112) the forensic network's map in each token's patch, standardised.
    """

    of: dict[str, torch.Tensor]
    heat: torch.Tensor
    dense: torch.Tensor


class Teaching(nn.Module):
    """Tower and heads.

    Args:
        shape: Of the tower.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tower = SiglipVisionModel(shape.config())
        width = shape.hidden_size
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(QUERIES, width) * width**-0.5)
        self.local = nn.Linear(width, LOCAL)
        gathered = QUERIES * width + LOCAL * shape.grid**2
        self.gathered_norm = nn.LayerNorm(gathered)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width if name in AVERAGED else gathered, size) for name, size in HEADS.items()}
        )
        self.heat = nn.Linear(width, 1)
        self.dense = nn.Linear(width, DENSE)
        self.register_buffer("mesh_mean", torch.full((2 * POINTS,), 0.5))
        self.register_buffer("blendshape_mean", torch.zeros(52))
        self.register_buffer("blendshape_spread", torch.ones(52))
        for head in (*self.heads.values(), self.heat, self.dense):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, crops: torch.Tensor, kept: torch.Tensor | None = None) -> Seen:
        """Crops (n, 3, side, side), RGB in -1..1; ``kept`` (n, t) are the tokens to look at, all if None."""
        return self.read(tokens(self.tower, crops, kept), kept)

    def read(self, hidden: torch.Tensor, kept: torch.Tensor | None = None) -> Seen:
        """What the heads say of (n, t, width) tokens."""
        hidden = self.norm(hidden)
        share = (hidden @ self.queries.T).softmax(1)
        local = self.local(hidden)
        if kept is not None:
            everywhere = local.new_zeros(len(local), self.tower.embeddings.num_patches, LOCAL)
            local = everywhere.scatter(1, kept[..., None].expand_as(local), local)
        gathered = self.gathered_norm(torch.cat([(share.transpose(1, 2) @ hidden).flatten(1), local.flatten(1)], 1))
        gathered, mean = gathered * GATHERED, hidden.mean(1)
        said = {name: head(mean if name in AVERAGED else gathered) for name, head in self.heads.items()}
        said["mesh"] = self.mesh_mean + MESH_UNIT * said["mesh"]
        said["pose"] = POSE_UNIT * said["pose"]
        said["age"] = AGE_MEAN + AGE_UNIT * said["age"]
        return Seen(said, self.heat(hidden)[..., 0], self.dense(hidden))

    @torch.no_grad()
    def scale(self, mesh: torch.Tensor, blendshapes: torch.Tensor) -> None:
        """Take means and spreads from the training data's (n, 478, 2) meshes and (n, 52) blendshapes."""
        root = blendshapes.clamp(0, 1).sqrt()
        self.mesh_mean.copy_(mesh.mean(0).flatten())
        self.blendshape_mean.copy_(root.mean(0))
        self.blendshape_spread.copy_(root.std(0).clamp(min=0.02))

    def standard(self, blendshapes: torch.Tensor) -> torch.Tensor:
        """(n, 52) blendshapes as the head gives them: roots, since most are small, less their mean, over the spread."""
        return (blendshapes.clamp(0, 1).sqrt() - self.blendshape_mean) / self.blendshape_spread

    def blendshapes(self, said: torch.Tensor) -> torch.Tensor:
        """(n, 52) blendshapes in 0..1 from what the head gives."""
        return (said * self.blendshape_spread + self.blendshape_mean).clamp(0, 1).square()


def tokens(tower: SiglipVisionModel, crops: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
    """(n, t, width) hidden state that LLaVA reads, of the kept tokens."""
    hidden = tower.embeddings(crops)
    if kept is not None:
        hidden = hidden.gather(1, kept[..., None].expand(-1, -1, hidden.shape[-1]))
    for layer in tower.encoder.layers[:-1]:
        hidden = layer(hidden, None)
    return hidden


@torch.no_grad()
def begin(tower: SiglipVisionModel, crops: torch.Tensor) -> None:
    """First weights that a short training can do much with.

    Patches are taken along their principal components, the strongest brought to equal strength; places are sines
    (Vaswani et al. 2017); every layer passes its input on at first, so that the heads begin as linear readings of the
    patches, and the last layer stays so.

    Args:
        tower: Its weights are set.
        crops: (n, 3, side, side) in -1..1, of the training data.
    """
    embedding = tower.embeddings
    size, width = tower.config.patch_size, tower.config.hidden_size
    patches = functional.unfold(crops, size, stride=size).transpose(1, 2).flatten(0, 1)
    centre = patches.mean(0)
    spread, directions = torch.linalg.eigh((patches - centre).T @ (patches - centre) / len(patches))
    spread, directions = spread[-width:].flip(0), directions[:, -width:].flip(1)
    filters = (directions * (spread + spread[min(EQUAL, width - 1)]).rsqrt()).T
    embedding.patch_embedding.weight.copy_(filters.reshape(embedding.patch_embedding.weight.shape))
    embedding.patch_embedding.bias.copy_(-filters @ centre)
    embedding.position_embedding.weight.copy_(_places(tower.config.image_size // size, width))
    ends = [part for layer in tower.encoder.layers for part in (layer.self_attn.out_proj, layer.mlp.fc2)]
    last = [part for part in tower.encoder.layers[-1].modules() if isinstance(part, nn.Linear)]
    for part in (*ends, *last):
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)


def _places(grid: int, width: int) -> torch.Tensor:
    """(grid², width) sines and cosines of row and column."""
    rates = 1.0 / 100.0 ** (torch.arange(width // 4) / (width // 4))
    along = torch.arange(grid)[:, None] * rates
    waves = torch.cat([along.sin(), along.cos()], 1)
    return 0.5 * torch.cat([waves.repeat_interleave(grid, 0), waves.repeat(grid, 1)], 1)


def pixels(crops: np.ndarray) -> torch.Tensor:
    """(n, side, side, 3) uint8 RGB to what the tower takes, (n, 3, side, side) in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
