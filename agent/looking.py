"""A vision-language model looks at the face, beside the tools: its answers' probabilities become evidence.

It gets aligned crops and a fixed question (``sight.py``) and nothing else: no measurement, name or metadata, and
nothing of the photo outside the crop. Its say is weighed by ``fusion.py`` where it was calibrated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from langgraph.runtime import Runtime

from ..errors import FacewitnessError, InvalidReference, ModelError, NotMeasurable, ToolUnavailable
from ..tools.alignment import align_wide
from ..tools.evidence import Evidence, Region, without_value
from ..tools.face import FaceView, Floats, Reference
from ..tools.image import RGBImage
from ..tools.trace_calibration import printed
from .people import Adapter
from .running import branch, in_thread
from .sight import EXPRESSION, FORGERY, PERCEIVED, REFERENCE, TOOL, Looker, stated
from .state import Context, Task
from .traces import LOOK, LOOK_AT_BOTH, LOOK_AT_EXPRESSION

SIDE = 256
"""Pixels of a crop; the model reduces it as it was trained to."""
_LOOKS = {
    LOOK: (FORGERY, "that it is forged"),
    LOOK_AT_BOTH: (REFERENCE, "that they show the same person, unaltered"),
}
"""By measure: what is asked, and what the probability is of."""


async def look(state: Task, runtime: Runtime[Context]) -> dict[str, Any]:
    """Let the model look at one face, and at a reference beside it; loading it is not counted as its time."""
    looker = runtime.context.looker
    assert looker is not None
    with suppress(FacewitnessError):  # fails again where it is said
        _permitted(looker, runtime.context.commercial_only)
        await in_thread(looker.prepare)
    return await branch(state, runtime, _measure)


def _measure(task: Task, context: Context) -> list[Evidence]:
    assert task["face"] is not None and context.looker is not None
    try:
        view, expression = context.views[task["face"]], task.get("expression", False)
        return looked(view, context.references, context.looker, context.adapter, expression)
    except ModelError as error:
        raise ToolUnavailable(str(error)) from error


def looked(
    view: FaceView,
    references: Sequence[Reference],
    looker: Looker,
    adapter: Adapter | None = None,
    expression: bool = False,
) -> list[Evidence]:
    """What the model says of the face alone, and, where there are references, of the face beside the first photo.

    Where there are only templates, the adapter of the person stands in the place of a photo, if there is one. What the
    face displays is looked at where it was asked for.

    Raises:
        ToolUnavailable: Only weights for commercial use are wanted.
        ModelError, WeightsError: The model cannot be had, or does not answer.
    """
    _permitted(looker, view.commercial_only)
    found = [_said(view, LOOK, "the face alone", (crop(view),), looker)]
    photos = [reference.view for reference in references if reference.view is not None]
    if photos:
        seen = f"the face and the {'first ' if len(photos) > 1 else ''}reference photo alone"
        found.append(_said(view, LOOK_AT_BOTH, seen, (crop(view), crop(photos[0])), looker))
    elif references:
        found.append(_beside_templates(view, looker, adapter))
    return [*found, _displayed(view, looker)] if expression else found


def _beside_templates(view: FaceView, looker: Looker, adapter: Adapter | None) -> Evidence:
    try:
        if adapter is None:
            raise NotMeasurable(
                "Only stored templates were given, so the vision-language model saw no reference photo."
            )
        if view.photo.sha256 in adapter.photos:
            raise NotMeasurable("The person's adapter was learned from this very photo, which proves nothing.")
        soft = adapter.tokens_for(looker.card().sha256 or "")
    except (NotMeasurable, InvalidReference) as reason:
        return without_value(TOOL, NotMeasurable(str(reason)), LOOK_AT_BOTH)
    return _said(view, LOOK_AT_BOTH, "the face alone and knows the person by an adapter", (crop(view),), looker, soft)


def _displayed(view: FaceView, looker: Looker) -> Evidence:
    """What the face displays, as the model says it: not calibrated, and not weighed in any verdict."""
    said = looker.probabilities(EXPRESSION, (crop(view),))
    named = max(said, key=lambda answer: said[answer])
    value = printed(said[named])
    return Evidence(
        LOOK_AT_EXPRESSION,
        TOOL,
        f"The vision-language model, which looked at the face alone, says with a probability of {value:.2f} that the "
        f"face displays {named}; it was not calibrated, and has no weight in the verdict.",
        named,
        numbers=(value,),
        region=Region(*view.face.box),
        model=looker.card(EXPRESSION),
    )


def perceived(view: FaceView, looker: Looker, attribute: str) -> Evidence:
    """An attribute as the model perceives it: for a policy's owner to allow, not calibrated, not weighed.

    Raises:
        KeyError: No question of ``sight.PERCEIVED``.
        ToolUnavailable: Only weights for commercial use are wanted, or the model does not answer.
    """
    look = PERCEIVED[attribute]
    _permitted(looker, view.commercial_only)
    try:
        said = looker.probabilities(look, (crop(view),))
    except ModelError as error:
        raise ToolUnavailable(str(error)) from error
    named = max(said, key=lambda answer: said[answer])
    value = printed(said[named])
    return Evidence(
        f"{TOOL}.{attribute}",
        TOOL,
        f"Perceived {attribute}, by a vision-language model that looked at the face alone: {named}, with a probability "
        f"of {value:.2f}; it was not calibrated, and has no weight in the verdict.",
        named,
        numbers=(*map(float, re.findall(r"\d+", named)), value),
        region=Region(*view.face.box),
        model=looker.card(look),
    )


def crop(view: FaceView) -> RGBImage:
    """(256, 256, 3) uint8 RGB: all that a model sees of a photo."""
    return align_wide(view.photo.rgb, view.face.points, SIDE)


def _permitted(looker: Looker, commercial_only: bool) -> None:
    if commercial_only and looker.card().commercial_use is not True:
        raise ToolUnavailable("The terms of the vision-language model do not allow commercial use, so it did not look.")


def _said(
    view: FaceView,
    measure: str,
    seen: str,
    faces: Sequence[RGBImage],
    looker: Looker,
    soft: Floats | None = None,
) -> Evidence:
    """Evidence of one look at what is ``seen``; calibrated on photos, not on what an adapter stands for."""
    asked, what = _LOOKS[measure]
    line = looker.calibration(asked) if soft is None else None
    if line is not None and not line.slope:
        reason = f"The vision-language model was not asked for a probability {what}: in tests it could not tell."
        return without_value(TOOL, NotMeasurable(reason), measure)
    raw = stated(asked, looker.probabilities(asked, faces, soft))
    if raw is None:
        reason = "The vision-language model finds the picture too unclear, so its impression was not measured."
        return without_value(TOOL, NotMeasurable(reason), measure)
    probability = None if line is None else line(raw)
    value = printed(raw if probability is None else probability)
    if line is None:
        what += "; it was not calibrated, so this has no weight in the verdict"
    return Evidence(
        measure,
        TOOL,
        f"The vision-language model, which looked at {seen}, gives a probability of {value:.2f} "
        f"{'at even odds ' if line else ''}{what}.",
        value,
        probability=probability,
        region=Region(*view.face.box),
        model=looker.card(asked),
    )
