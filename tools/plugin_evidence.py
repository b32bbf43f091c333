"""What plug-ins say of a face, as evidence: scores without probability unless exactly that model was calibrated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..errors import InvalidOption, NotMeasurable, ToolError, ToolUnavailable
from . import calibration
from .alignment import WIDE, WIDE_SIZE
from .detectors import MATCHER_SIZE, ActionUnitModel, Detector, Matcher, Plugged, Scores, aligned
from .evidence import Evidence, ModelCard, Picture, Region
from .face import FaceView, Floats, Reference
from .identity import reference_mean, similarity
from .registry import FaceTool

if TYPE_CHECKING:
    from .plugins import Plugin

PRESENT = 0.5
"""Value, on the plug-in's scale from 0 to 1, from which a unit is shown singly."""


def tool(plugin: Plugin) -> FaceTool:
    """A tool that asks the plug-in; whatever it raises becomes evidence."""

    def measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
        plugged = plugin.get()
        _refuse(view, plugged.card)
        return _measures[plugin.kind](plugin, plugged, view, references)

    return FaceTool(plugin.key, f"Asking the plug-in {plugin.name}", measure)


def _refuse(view: FaceView, card: ModelCard) -> None:
    if view.commercial_only and card.commercial_use is not True:
        raise ToolUnavailable(f"The weights of {card.name} are not known to allow commercial use, so it was left out.")


def _detect(plugin: Plugin, plugged: Plugged, view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    assert isinstance(plugged, Detector)
    crop = aligned(view.photo.rgb, view.face.points, plugged.size, plugged.margin)
    scores = plugged.score(crop[None])
    value = round(_one(plugin.name, scores.logits), 2)
    probability = _probability(plugged.card, _one(plugin.name, scores.logits))
    finding = f"The detector {plugin.name} gives a score of {value:.2f} on a scale of its own"
    if probability is not None:
        finding += f", calibrated to a probability of {probability:.2f}"
    return [
        Evidence(
            f"{plugin.key}.{plugged.target}",
            plugin.key,
            f"{finding}.",
            value,
            probability=probability,
            numbers=() if probability is None else (probability,),
            region=Region(*view.face.box),
            picture=_picture(view, scores, plugged.margin),
            model=plugged.card,
        )
    ]


def _one(name: str, logits: Floats) -> float:
    """The one score, refused unless it is one finite number."""
    values = np.asarray(logits)
    if values.shape != (1,) or not np.isfinite(values).all():
        raise ToolError(f"The plug-in {name} gave no finite score for the face.")
    return float(values[0])


def _probability(card: ModelCard, logit: float) -> float | None:
    try:
        fitted = calibration.find(card)
    except InvalidOption as error:
        raise ToolUnavailable(str(error)) from None
    return None if fitted is None else round(fitted.probability(logit), 2)


def _picture(view: FaceView, scores: Scores, margin: float) -> Picture | None:
    """The plug-in's map on the photo, by way of the wide crop, which has the same centre."""
    if scores.heat is None:
        return None
    from .manipulation import map_picture

    side = round(WIDE_SIZE * margin / WIDE)
    heat = cv2.resize(np.asarray(scores.heat[0], np.float32), (side, side)).clip(0, 1)
    beyond = max(0, WIDE_SIZE - side + 1) // 2
    heat = np.pad(heat, beyond)
    cut = (len(heat) - WIDE_SIZE) // 2
    return map_picture(view, np.ascontiguousarray(heat[cut : cut + WIDE_SIZE, cut : cut + WIDE_SIZE]))


def _compare(plugin: Plugin, plugged: Plugged, view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    assert isinstance(plugged, Matcher)
    shown = [reference.view for reference in references if reference.view is not None]
    if not shown:
        raise NotMeasurable(f"Nothing was compared by {plugin.name}, which needs a reference photo.")
    views = [view, *shown]
    features = plugged.embed(np.stack([aligned(one.photo.rgb, one.face.points, MATCHER_SIZE) for one in views]))
    if features.shape[0] != len(views) or not np.isfinite(features).all():
        raise ToolError(f"The plug-in {plugin.name} gave no finite feature for each face.")
    value = round(similarity(features[0], reference_mean(list(features[1:]))), 2)
    of = "the reference photo" if len(shown) == 1 else f"the mean of {len(shown)} reference photos"
    finding = f"The matcher {plugin.name} gives a cosine similarity of {value:.2f} to {of}"
    numbers = [float(len(shown))] if len(shown) > 1 else []
    if plugged.threshold is not None:
        side = "not below" if value >= plugged.threshold else "below"
        finding += f", {side} its threshold of {plugged.threshold:.2f}"
        numbers.append(round(plugged.threshold, 2))
    measure, region = f"{plugin.key}.similarity", Region(*view.face.box)
    return [
        Evidence(measure, plugin.key, f"{finding}.", value, "cosine", None, tuple(numbers), region, model=plugged.card)
    ]


def _read_units(plugin: Plugin, plugged: Plugged, view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    assert isinstance(plugged, ActionUnitModel)
    crop = aligned(view.photo.rgb, view.face.points, plugged.size, plugged.margin)
    values = {name: round(_one(plugin.name, found), 2) for name, found in plugged.intensities(crop[None]).items()}
    found = [_unit(plugin, plugged.card, view, name, value) for name, value in values.items() if value >= PRESENT]
    if absent := [name for name, value in values.items() if value < PRESENT]:
        finding = f"{_listed(absent)} {'is' if len(absent) == 1 else 'are'} below {PRESENT} by {plugin.name}."
        numbers = (*(float(name[2:]) for name in absent), PRESENT)
        found.append(Evidence(f"{plugin.key}.below", plugin.key, finding, numbers=numbers, model=plugged.card))
    return found


def _unit(plugin: Plugin, card: ModelCard, view: FaceView, name: str, value: float) -> Evidence:
    finding = f"{name} is {value:.2f} by {plugin.name}, on a scale from 0 to 1."
    numbers, region = (float(name[2:]), 0.0, 1.0), Region(*view.face.box)
    return Evidence(f"{plugin.key}.{name}", plugin.key, finding, value, numbers=numbers, region=region, model=card)


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


_measures: dict[str, Callable[[Plugin, Plugged, FaceView, Sequence[Reference]], list[Evidence]]] = {
    "detector": _detect,
    "matcher": _compare,
    "action_units": _read_units,
}
