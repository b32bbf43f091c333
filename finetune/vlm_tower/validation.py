"""How a training stands, on a fixed part of the calibration split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ..data.sight import REGIONS
from ..faces import LIKE
from ..forensic_model import FAMILIES
from ..forge import chains
from ..forgery_set import ForgerySet
from .forgeries import Known
from .geometry import Placement
from .network import Seen, Shape, Teaching, pixels
from .photos import EXPRESSIONS, Photos

EYE_CORNERS = (33, 263)
_EACH = 60
_QUALITY = 75


def validate(model: Teaching, faces: ForgerySet, photos: Photos, known: Known, shape: Shape) -> dict[str, float]:
    """Figures by name: AUC of families (mean over sources) and of regions at JPEG 75, mesh, identity and smile."""
    model.eval()
    found = {**_forged(model, faces, known, shape), **_taught(model, photos, shape)}
    model.train()
    return {name: round(float(value), 4) for name, value in found.items()}


@torch.inference_mode()
def read(model: Teaching, crops: Iterator[NDArray[np.uint8]], shape: Shape, size: int = 32) -> Seen:
    """What the heads say of (192, 192, 3) crops at JPEG 75, in batches."""
    held: list[Seen] = []
    waiting: list[NDArray[np.uint8]] = []
    for crop in crops:
        waiting.append(Placement().picture(chains.jpeg(crop, _QUALITY), shape.image_size))
        if len(waiting) == size:
            held.append(model(pixels(np.stack(waiting))))
            waiting = []
    held += [model(pixels(np.stack(waiting)))] if waiting else []
    return Seen(
        {name: torch.cat([one.of[name] for one in held]) for name in held[0].of},
        torch.cat([one.heat for one in held]),
        torch.cat([one.dense for one in held]),
    )


def mesh_error(said: NDArray[np.float32], mesh: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) mean distance of (n, 478, 2) meshes, in per cent of the distance of the outer eye corners."""
    right, left = (mesh[:, corner] for corner in EYE_CORNERS)
    distance = np.linalg.norm(said - mesh, axis=2).mean(1)
    return np.asarray(100 * distance / np.linalg.norm(right - left, axis=1), np.float64)


def family_areas(
    scores: NDArray[np.float64], families: NDArray[np.str_], sources: NDArray[np.str_], family: str
) -> dict[str, float]:
    """AUC against the source's own photos, by source, of (n, 4) logits."""
    column, found = FAMILIES.index(family), {}
    score = scores[:, column] - scores[:, 0]
    for source in np.unique(sources[families == family]).tolist():
        real = (families == "real") & (sources == LIKE.get(source, source))
        forged = (families == family) & (sources == source)
        if real.any():
            both = np.concatenate([score[real], score[forged]])
            found[source] = float(roc_auc_score(np.repeat([0, 1], [real.sum(), forged.sum()]), both))
    return found


def _forged(model: Teaching, faces: ForgerySet, known: Known, shape: Shape) -> dict[str, float]:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(faces.rows("calibration", family))[:_EACH] for family in FAMILIES])
    seen = read(model, (np.array(faces.rgb[row]) for row in rows), shape)
    families, sources = (np.array([getattr(faces.entries[row], name) for row in rows]) for name in ("family", "source"))
    scores = seen.of["family"].double().numpy()
    found = {
        f"auc_{family}": float(np.mean(list(family_areas(scores, families, sources, family).values())))
        for family in FAMILIES[1:]
    }
    areas = []
    for place in range(len(REGIONS)):
        truth = known.regions[rows, place]
        clear = ~np.isnan(truth)
        if len(np.unique(truth[clear])) == 2:
            areas.append(roc_auc_score(truth[clear], seen.of["regions"][clear, place].numpy()))
    return {**found, "auc_regions": float(np.mean(areas))}


def _taught(model: Teaching, photos: Photos, shape: Shape) -> dict[str, float]:
    rng, held = np.random.default_rng(0), np.flatnonzero(photos.split == "calibration")
    chosen = photos.of(np.sort(rng.permutation(held)[: 2 * _EACH]))
    seen = read(model, iter(chosen.rgb), shape)
    said = seen.of["identity"].numpy()
    cosine = (said * chosen.identity).sum(1) / np.linalg.norm(said, axis=1)
    result = {
        "mesh_error": float(mesh_error(seen.of["mesh"].reshape(-1, 478, 2).numpy(), chosen.mesh).mean()),
        "identity_cosine": float(cosine.mean()),
    }
    expression = chosen.labels[:, 0]
    clear = np.isin(expression, (0, 1))
    if len(np.unique(expression[clear])) == 2:
        smile = seen.of["expression"][:, EXPRESSIONS.index("happiness")] - seen.of["expression"][:, 0]
        result["auc_smile"] = float(roc_auc_score(expression[clear], smile[clear].numpy()))
    return result
