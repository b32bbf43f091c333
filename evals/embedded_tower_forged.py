"""What the tower sees of forgeries of unseen people: families, regions and the map."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..finetune.data.sight import REGIONS
from ..finetune.faces import LIKE
from ..finetune.forensic_model import FAMILIES
from ..finetune.forgery_set import ForgerySet
from ..finetune.vlm_tower.forgeries import Known
from ..finetune.vlm_tower.network import Teaching
from ..finetune.vlm_tower.train import Config
from . import embedded_tower_probes as probes
from . import forgery_maps, metrics
from .embedded_tower_views import Array, Figures, Views, views
from .embedded_tower_views import ways as ways_of
from .forgery_material import Material, select

FIT_LIMIT, TEST_LIMIT = 5, 12
"""Pictures of each source and method."""


def forged(model: Teaching, config: Config, faces: ForgerySet, of: Known) -> Figures:
    """Families, regions and the map."""
    fit, test = select(faces, "fit", FIT_LIMIT), select(faces, "test", TEST_LIMIT)
    seen = {name: views(model, config, one.full()) for name, one in (("fit", fit), ("test", test))}
    place = forgery_maps.usual(fit.of(fit.words("family") == "manipulation"))
    return {
        "forged pictures": {"fit, for the probes": len(fit.rows), "test": len(test.rows)},
        "families, auc, mean over sources": {name: _family(seen, fit, test, name) for name in FAMILIES[1:]},
        "regions, auc": _regions(seen, test, of),
        "map": forgery_maps.evaluate(test, seen["test"].said["heat"].astype(np.float32), place),
    }


def _family(seen: Mapping[str, Views], fit: Material, test: Material, family: str) -> Figures:
    column = FAMILIES.index(family)
    chosen = fit.real | fit.forged(family)
    logits = seen["test"].said["family"]

    def probe(a: Array, b: Array) -> Array:
        return probes.scores(a[chosen], fit.forged(family)[chosen], b)

    ways = ways_of(seen, probe, logits[:, column] - logits[:, 0])
    return {name: _by_source(test, family, said) for name, said in ways.items()}


def _by_source(test: Material, family: str, said: Array) -> Figures:
    sources, people, areas = test.words("source"), test.words("person"), {}
    weight = metrics.resamples(people)
    for source in np.unique(sources[test.forged(family)]).tolist():
        mine = test.forged(family) & (sources == source)
        both = mine | (test.real & (sources == LIKE.get(source, source)))
        if (both & test.real).any():
            areas[source] = metrics.auc(mine[both], said[both], weight[:, both])
    return {
        "mean": metrics.figure(np.mean(list(areas.values()), 0)).rounded(),
        **{source: metrics.figure(area).rounded() for source, area in areas.items()},
    }


def _regions(seen: Mapping[str, Views], test: Material, of: Known) -> Figures:
    """Among manipulated pictures only: the region, not the forgery, must be told."""
    manipulated, result = test.forged("manipulation"), {}
    for place, name in enumerate(REGIONS):
        truth = of.regions[test.rows, place]
        clear = manipulated & ~np.isnan(truth)
        result[name] = {
            "altered": int(truth[clear].sum()),
            "untouched": int((truth[clear] == 0).sum()),
            "head": metrics.interval(
                metrics.auc, truth[clear] == 1, seen["test"].said["regions"][clear, place], test.words("person")[clear]
            ).rounded(),
        }
    return result
