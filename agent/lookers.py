"""Which model looks at the faces: the embedded one, or one behind a server that says it reads images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..errors import ModelAnswerInvalid, ModelUnavailable
from ..tools import weights
from ..tools.evidence import ModelCard
from ..tools.face import Floats
from ..tools.image import RGBImage
from ..tools.once import Once
from . import chat_models
from .sight import FORGERY, Line, Look, Looker

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from .sight_model import EmbeddedSight

WEIGHTS = "sight"
_ANSWER = "Answer with one of these labels and with nothing else: {}."
_CHOICES = 10
"""Most probable first tokens that a server is asked for."""


def opened(model: BaseChatModel | None) -> Looker | None:
    """What looks where this model writes; None where nothing does. Nothing is loaded yet."""
    if model is None:
        return None
    if chat_models.is_embedded(model):
        return Embedded()
    return Served(model) if chat_models.sees_images(model) else None


def _load() -> EmbeddedSight:
    from .sight_model import loaded

    return loaded()


_embedded = Once(_load)


class Embedded:
    """The model in this process.

    Args:
        load: Gives it; the registered one, loaded once, if not given.
    """

    def __init__(self, load: Callable[[], EmbeddedSight] = _embedded) -> None:
        self._model = load

    def prepare(self) -> None:
        """Load it: seconds, and some ten more the first time on a machine."""
        self._model()

    def card(self) -> ModelCard:
        """Of its registered weights."""
        return weights.card(WEIGHTS)

    def calibration(self, look: Look) -> Line | None:
        """As its settings hold it."""
        held = self._model().settings.calibration.get("forged" if look is FORGERY else "same")
        return None if held is None else Line(float(held["slope"]), float(held["intercept"]))

    def probabilities(self, look: Look, faces: Sequence[RGBImage], soft: Floats | None = None) -> dict[str, float]:
        """See ``EmbeddedSight.probabilities``."""
        return self._model().probabilities(look, faces, soft)


class Served:
    """A model behind an OpenAI-compatible server. No calibration is known of it, so its looks are not weighed."""

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    def prepare(self) -> None:
        """Nothing to do here."""

    def card(self) -> ModelCard:
        """Only the name is known."""
        return chat_models.describe(self._model)

    def calibration(self, look: Look) -> Line | None:
        """None."""
        return None

    def probabilities(self, look: Look, faces: Sequence[RGBImage], soft: Floats | None = None) -> dict[str, float]:
        """From the probabilities of the answer's first token, as far as the server gives them.

        Args:
            look: A question with answers.
            faces: As many as it has pictures, uint8 RGB.
            soft: Nothing: embeddings cannot be sent.

        Raises:
            ModelUnavailable: No answer, or one without probabilities.
            ModelAnswerInvalid: None of the probable tokens begins a label.
        """
        from langchain_core.messages import HumanMessage

        text = f"{look.question}\n{_ANSWER.format(', '.join(look.answers))}"
        pictures: list[str | dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": _data_uri(face)}} for face in faces
        ]
        message = HumanMessage([*pictures, {"type": "text", "text": text}])
        try:
            answer = self._model.invoke([message], logprobs=True, top_logprobs=_CHOICES, max_tokens=1)
        except Exception as error:  # each client has its own tree of errors
            raise ModelUnavailable(f"The language model gave no answer ({type(error).__name__}).") from error
        tokens = (answer.response_metadata.get("logprobs") or {}).get("content")
        if not tokens:
            raise ModelUnavailable("The server gives no probabilities of tokens.")
        return _by_answer(look, tokens[0]["top_logprobs"])


def _by_answer(look: Look, choices: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Sums of the probabilities of the tokens that begin one answer and no other, scaled to 1."""
    found = dict.fromkeys(look.answers, 0.0)
    for choice in choices:
        begun = choice["token"].strip().lower()
        meant = [answer for answer in look.answers if begun and answer.startswith(begun)]
        if len(meant) == 1:
            found[meant[0]] += math.exp(choice["logprob"])
    total = sum(found.values())
    if not total:
        raise ModelAnswerInvalid("The language model answered with none of the labels.")
    return {answer: p / total for answer, p in found.items()}


def _data_uri(face: RGBImage) -> str:
    """As PNG: a further loss could hide what is looked for."""
    buffer = io.BytesIO()
    Image.fromarray(face).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
