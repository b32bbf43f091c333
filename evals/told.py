"""A vision-language model that is told what the tools found, and once more with the strongest probability turned round.

The picture stays the same, so a model that only looks answers both alike, and one that only reads follows each change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..agent import lookers
from ..agent.looking import crop
from ..agent.sight import FORGERY, Look
from ..finetune.data.readings import FORENSIC, measured
from ..tools.evidence import Evidence
from .answers import Answer, unscored
from .asked import look
from .benchmarks import Item
from .pictures import Material, face

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True)
class Told(Look):
    """A question with findings below it.

    Attributes:
        given: How many findings there are; what is seen is numbered after them.
    """

    given: int = 0

    @property
    def text(self) -> str:
        """The user's turn without its picture."""
        listed = ", ".join(f"e{number} {name}" for number, name in enumerate(self.seen, 1 + self.given))
        return f"{self.question}\nSee {listed}."


def told(item: Item, files: Material, model: BaseChatModel, turned: bool = False) -> Answer:
    """What the model says of a face beside the forensic tools' findings.

    Args:
        item: A sample that asks whether a face is forged; others are unscored.
        files: Its pictures.
        model: Embedded, or one that reads images.
        turned: The stated probability that is farthest from one half is replaced by its complement.

    Raises:
        ModelUnavailable: A server does not answer.
    """
    looker = lookers.opened(model)
    if looker is None:
        return unscored("model.blind", "This model does not say that it reads images: add ?vision to its name.")
    if item.kind != "forgery":
        return unscored("system.not_told", "Only whether a face is forged is asked beside the tools' findings.")
    view = face(files.images[0], item.aligned)
    if view is None:
        return unscored("face.none", "No face was found.")
    found = [one for one in measured(view, FORENSIC) if one.probability is not None]
    strongest = max(found, key=lambda one: abs(_value(one) - 0.5), default=None)
    if strongest is None or _stated(strongest) == _turned(strongest):
        return unscored("system.nothing_told", "No tool states a probability that differs from one half.")
    if turned:
        found = [_with_complement(one) if one is strongest else one for one in found]
    lines = "\n".join(f"e{number}: {one.finding}" for number, one in enumerate(found, 1))
    asked = Told(f"{FORGERY.question}\n{lines}", FORGERY.seen, FORGERY.opening, FORGERY.answers, given=len(found))
    answer = look(asked, [crop(view)], looker, model)
    return replace(answer, stated=float(_turned(strongest) if turned else _stated(strongest)))


def _value(item: Evidence) -> float:
    return float(item.value or 0)  # as it is printed in the finding


def _stated(item: Evidence) -> str:
    return f"{_value(item):.2f}"


def _turned(item: Evidence) -> str:
    return f"{1 - _value(item):.2f}"


def _with_complement(item: Evidence) -> Evidence:
    return replace(item, finding=item.finding.replace(_stated(item), _turned(item)))
