"""What each head is taught with: the mean over what is known of a batch, NaN marking what is not."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from .network import AGE_UNIT, MESH_UNIT, POSE_UNIT, Seen, Teaching
from .sampler import Batch

WEIGHTS: Mapping[str, float] = {
    "mesh": 8.0,
    "blendshapes": 2.0,
    "pose": 1.0,
    "identity": 6.0,
    "family": 1.0,
    "traces": 1.0,
    "dense": 2.0,
    "pair": 0.5,
    "heat": 2.0,
    "regions": 1.0,
    "units": 2.0,
    "expression": 0.5,
    "gender": 0.3,
    "age": 0.3,
    "ethnicity": 0.3,
}
_BETA = 0.2


def losses(model: Teaching, seen: Seen, batch: Batch) -> dict[str, torch.Tensor]:
    """Each head's loss, not weighted.

    Args:
        model: Whose scales count.
        seen: What its heads say of the batch.
        batch: With the targets.
    """
    said, known = seen.of, batch.targets
    heat, dense = known["heat"], known["dense"]
    if batch.kept is not None:
        heat = heat.gather(1, batch.kept)
        dense = dense.gather(1, batch.kept[..., None].expand(-1, -1, dense.shape[-1]))
    return {
        "mesh": _smooth(said["mesh"] / MESH_UNIT, known["mesh"] / MESH_UNIT),
        "blendshapes": _squared(said["blendshapes"], model.standard(known["blendshapes"])),
        "pose": _smooth(said["pose"] / POSE_UNIT, known["pose"] / POSE_UNIT),
        "identity": _angle(said["identity"], known["identity"]),
        "family": _class(said["family"], known["family"]),
        "traces": _smooth(said["traces"], known["traces"]),
        "dense": _squared(seen.dense, dense),
        "pair": _order(said["family"], known["family"], batch.pairs),
        "heat": _binary(seen.heat, heat),
        "regions": _binary(said["regions"], known["regions"]),
        "units": _binary(said["units"], known["units"]),
        "expression": _class(said["expression"], known["expression"]),
        "gender": _binary(said["gender"], known["gender"]),
        "age": _smooth(said["age"] / AGE_UNIT, known["age"] / AGE_UNIT),
        "ethnicity": _class(said["ethnicity"], known["ethnicity"]),
    }


def _mean(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return torch.where(known, values, 0.0).sum() / known.sum().clamp(min=1)


def _filled(target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The target with 0 for what is not known, and where it is known."""
    known = ~target.isnan()
    return torch.where(known, target, 0.0), known


def _smooth(said: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    filled, known = _filled(target)
    return _mean(functional.smooth_l1_loss(said, filled, reduction="none", beta=_BETA), known)


def _squared(said: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    filled, known = _filled(target)
    return _mean((said - filled).square(), known)


def _angle(said: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    filled, known = _filled(target)
    return _mean(1 - functional.cosine_similarity(said, filled, dim=1), known[:, 0])


def _binary(said: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    filled, known = _filled(target)
    return _mean(functional.binary_cross_entropy_with_logits(said, filled, reduction="none"), known)


def _class(said: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    filled, known = _filled(target[:, 0])
    each = functional.cross_entropy(said, filled.long(), reduction="none", label_smoothing=0.02)
    return _mean(each, known)


def _order(said: torch.Tensor, family: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """A forgery has more of its family than its own original."""
    places = family[pairs].long()
    scores = said - said[:, :1]
    forged, original = (scores[of].gather(1, places)[:, 0] for of in (pairs, pairs + 1))
    return functional.softplus(original - forged).sum() / max(1, len(pairs))
