"""Which model looks at the faces: the embedded one, or one behind a server that says it reads images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..errors import ModelAnswerInvalid, ModelError, ModelUnavailable
from ..tools import weights
from ..tools.evidence import ModelCard
from ..tools.face import Floats
from ..tools.image import RGBImage
from ..tools.once import Once
from . import chat_models
from .sight import EXPRESSION, FORGERY, PERCEIVED, Line, Look, Looker

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from .sight_model import EmbeddedSight

WEIGHTS = "sight"
_ANSWER = "Answer with one of these labels and with nothing else: {}."
_CHOICES = 20
"""Most probable tokens that a server is asked for; vLLM gives no more."""
_TOKENS_A_WORD = 3


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

    def card(self, look: Look = FORGERY) -> ModelCard:
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
    """A model behind an OpenAI-compatible server. No calibration is known of it, so its looks are not weighed.

    Where the specification names an adapter for the question (``#NAME?look=A&expression=B&attributes=C``), that one is
    asked as ``finetune`` teaches it, and its answer read after the fixed opening; else the model is asked for a label
    and nothing else.
    """

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    def _adapter(self, look: Look) -> str:
        """The one that answers this question; none if empty."""
        held = chat_models.abilities(self._model)
        if look in PERCEIVED.values():
            return held.attributes
        return (held.expression if look is EXPRESSION else "") or held.look

    def _asked(self, look: Look) -> BaseChatModel:
        adapter = self._adapter(look)
        return chat_models.at_task(self._model, adapter) if adapter else self._model

    def prepare(self) -> None:
        """Nothing to do here."""

    def card(self, look: Look = FORGERY) -> ModelCard:
        """Only the name is known."""
        return chat_models.describe(self._asked(look))

    def calibration(self, look: Look) -> Line | None:
        """None."""
        return None

    def probabilities(self, look: Look, faces: Sequence[RGBImage], soft: Floats | None = None) -> dict[str, float]:
        """From the probabilities of the first token of the label, as far as the server gives them.

        Args:
            look: A question with answers.
            faces: As many as it has pictures, uint8 RGB.
            soft: Nothing: embeddings cannot be sent.

        Raises:
            ModelUnavailable: No answer, or one without probabilities.
            ModelAnswerInvalid: None of the probable tokens begins a label, or the answer opens in other words.
        """
        from langchain_core.messages import HumanMessage

        taught, held = bool(self._adapter(look)), chat_models.abilities(self._model)
        opening = look.opening if taught else ""
        text = look.text if taught else f"{look.question}\n{_ANSWER.format(', '.join(look.answers))}"
        pictures: list[str | dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": _data_uri(face, held.side)}} for face in faces
        ]
        message = HumanMessage([*pictures, {"type": "text", "text": text}])
        length = 2 + _TOKENS_A_WORD * len(opening.split())
        try:
            answer = self._asked(look).invoke([message], logprobs=True, top_logprobs=_CHOICES, max_tokens=length)
        except ModelError:
            raise
        except Exception as error:  # each client has its own tree of errors
            raise ModelUnavailable(f"The language model gave no answer ({type(error).__name__}).") from error
        tokens = (answer.response_metadata.get("logprobs") or {}).get("content")
        if not tokens:
            raise ModelUnavailable("The server gives no probabilities of tokens.")
        return _by_answer(look, _after(opening, tokens)["top_logprobs"], taught)


def _after(opening: str, tokens: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The token after the opening; some tokenizers set a blank of its own before a number."""
    text = ""
    for token in tokens:
        if text.strip() == opening and (token["token"].strip() or not opening):
            return token
        text += token["token"]
    raise ModelAnswerInvalid("The language model's answer does not open in the words it was taught.")


def _summed(said: Sequence[tuple[str, float]]) -> float:
    return sum(p for _, p in said)


def _spelled(said: Sequence[tuple[str, float]]) -> float:
    """Of the longest token: tokenizers spell a word so, and " an" begins "anger" only by chance."""
    longest = max(len(token) for token, _ in said)
    return max(p for token, p in said if len(token) == longest)


def _by_answer(look: Look, choices: Sequence[dict[str, Any]], taught: bool) -> dict[str, float]:
    """What the probabilities of the tokens that begin one answer and no other come to, scaled to 1.

    What was taught begins each answer with one token, and keeps to its case.
    """
    join = _spelled if taught else _summed
    found: dict[str, list[tuple[str, float]]] = {answer: [] for answer in look.answers}
    for choice in choices:
        begun = choice["token"].strip() if taught else choice["token"].strip().lower()
        meant = [answer for answer in look.answers if begun and answer.startswith(begun)]
        meant = [answer for answer in meant if answer.split()[0] == begun] or meant  # "a" also begins "anger"
        if len(meant) == 1:
            found[meant[0]].append((begun, math.exp(choice["logprob"])))
    joined = {answer: join(some) if some else 0.0 for answer, some in found.items()}
    total = sum(joined.values())
    if not total:
        raise ModelAnswerInvalid("The language model answered with none of the labels.")
    return {answer: p / total for answer, p in joined.items()}


def _data_uri(face: RGBImage, side: int) -> str:
    """As PNG, since a further loss could hide what is looked for; no larger than the model makes use of."""
    picture, buffer = Image.fromarray(face), io.BytesIO()
    if side < max(picture.size):
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
