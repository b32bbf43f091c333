"""What is kept of old forgeries, and how new ones are kept apart from them: SUR-LID.

Cheng et al. 2025, "Stacking Brick by Brick", arXiv 2411.11396. Sparse uniform replay: a subset that covers the
distances to the centre, and the directions, evenly, with features that hold when the picture's quarters change places.
Isolation: a supervised contrastive loss (Khosla et al. 2020) whose labels are the tasks' real and forged faces, each of
them a domain; kept faces are few, so points between them and their centre fill their domain up.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def sparse_uniform(features: torch.Tensor, stability: torch.Tensor, keep: int) -> torch.Tensor:
    """Rows of a domain to keep.

    Faces in the order of their distance to the centre are cut into ``keep / 2`` equal runs; each gives its most stable
    face, and the one that points, seen from the centre, farthest away from that.

    Args:
        features: (n, width) of one domain.
        stability: (n,) cosine of the feature with that of the picture whose quarters changed places.
        keep: How many rows at most.

    Returns:
        (k,) sorted row numbers, all of them if there are no more than ``keep``.
    """
    if len(features) <= keep:
        return torch.arange(len(features))
    offset = features - features.mean(0)
    direction = functional.normalize(offset, dim=1)
    chosen = []
    for rows in offset.norm(dim=1).argsort().tensor_split(max(1, keep // 2)):
        stable = rows[stability[rows].argmax()]
        others = rows[rows != stable]
        chosen.append(stable)
        if len(others):
            chosen.append(others[(direction[others] @ direction[stable]).argmin()])
    return torch.stack(chosen).sort().values


def refill(features: torch.Tensor, domains: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Points in the triangles of two kept faces and their domain's centre.

    Args:
        features: (n, width) of kept faces.
        domains: (n,) numbers.
        centres: (domains, width).

    Returns:
        (n, width), one for each face and of its domain.
    """
    partner = torch.arange(len(features))
    for domain in domains.unique():
        rows = torch.nonzero(domains == domain)[:, 0]
        partner[rows] = rows[torch.randperm(len(rows))]
    along, out = torch.rand(2, len(features), 1)
    mixed = along * features + (1 - along) * features[partner]
    return out * mixed + (1 - out) * centres[domains]


def isolation(features: torch.Tensor, domains: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Supervised contrastive loss of features (n, width) whose labels are domains (n,)."""
    unit = functional.normalize(features, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool)
    logits = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    share = logits.log_softmax(1).masked_fill(itself, 0)
    same = (domains[:, None] == domains[None, :]) & ~itself
    paired = same.any(1)
    if not paired.any():
        return features.sum() * 0
    return -((share * same).sum(1)[paired] / same.sum(1)[paired]).mean()


def pull(weight: torch.Tensor, former: torch.Tensor, share: float) -> None:
    """Turn each row of a classifier's weight (classes, width) by ``share`` towards its former direction, in place."""
    with torch.no_grad():
        turned = (1 - share) * functional.normalize(weight, dim=1) + share * functional.normalize(former, dim=1)
        weight.copy_(weight.norm(dim=1, keepdim=True) * functional.normalize(turned, dim=1))
