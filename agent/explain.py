"""A language model puts the brief into words; what it may say is checked afterwards, in ``grounding.py``."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import ModelAnswerInvalid, ModelError, ModelUnavailable
from . import chat_models, grounding, prompts, relevance, template
from .verdict import SECTIONS, Brief, Claim, Section

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ..tools.image import RGBImage

T = TypeVar("T")

LONG_SIDE = 768  # pixels of the photo as a model sees it
MOST_SENTENCES = 30
_MOST: dict[Section, int] = {"summary": 2, "observations": 5, "interpretation": 3, "conclusion": 2}  # embedded model
_LONGEST_LIST = 8  # commas; in longer ones the embedded model loses its way


class _Words(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, max_length=600)
    evidence: list[str] = Field(max_length=60)


class _Sentence(_Words):
    section: Section


class _Anew(_Words):
    number: int


_ANSWER = TypeAdapter(list[_Sentence])
_REVISION = TypeAdapter(list[_Anew])


def write(brief: Brief, model: BaseChatModel, image: RGBImage | None = None) -> tuple[Claim, ...]:
    """The explanation in the model's words, not yet checked.

    Args:
        brief: What it may rest on.
        model: The embedded model restates one finding at a time; any other writes the whole text as JSON.
        image: The photo, (height, width, 3) RGB uint8; sent only to a model that reads images.

    Raises:
        ModelUnavailable: No answer.
        ModelAnswerInvalid: The answer is not of the form asked for.
    """
    if chat_models.is_embedded(model):
        return tuple(replace(fact, text=_restate(fact.text, model)) for fact in _facts(brief))
    return _whole(_ask(model, [SystemMessage(prompts.SYSTEM), _user(prompts.task(brief), image, model)]))


def rewrite(
    claims: tuple[Claim, ...], brief: Brief, model: BaseChatModel, image: RGBImage | None = None
) -> tuple[Claim, ...]:
    """The explanation with its unsupported sentences written anew; the others stay and are not asked for.

    Args:
        claims: What the same model wrote on the same brief, checked.
        brief: See :func:`write`.
        model: See :func:`write`.
        image: See :func:`write`.

    Returns:
        As many claims in the same order, the new ones not yet checked. One for which the model gives no other stays.

    Raises:
        ModelUnavailable: No answer.
        ModelAnswerInvalid: The answer is not of the form asked for.
    """
    refused = {number: claim for number, claim in enumerate(claims) if not claim.supported}
    if chat_models.is_embedded(model):
        facts = _facts(brief)
        anew = {n: replace(facts[n], text=_restate(facts[n].text, model, strictly=True)) for n in refused}
    else:
        faults = {n: (claim, str(grounding.why_unsupported(claim, brief))) for n, claim in refused.items()}
        messages = [SystemMessage(prompts.REVISE), _user(prompts.revision(brief, faults), image, model)]
        anew = _revised(_ask(model, messages), refused)
    return tuple(anew.get(number, claim) for number, claim in enumerate(claims))


def _ask(model: BaseChatModel, messages: list[BaseMessage], **options: Any) -> str:
    try:
        return str(model.invoke(messages, **options).text)
    except ModelError:
        raise
    except Exception as error:  # each client has its own tree of errors
        raise ModelUnavailable(f"The language model gave no answer ({type(error).__name__}).") from error


def _user(text: str, image: RGBImage | None, model: BaseChatModel) -> HumanMessage:
    if image is None or not chat_models.sees_images(model):
        return HumanMessage(text)
    return HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": data_uri(image)}}])


def data_uri(image: RGBImage) -> str:
    """The photo as JPEG without metadata, at most ``LONG_SIDE`` pixels."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _whole(answer: str) -> tuple[Claim, ...]:
    sentences = _list(answer, _ANSWER)
    if len(sentences) > MOST_SENTENCES or {s.section for s in sentences} != set(SECTIONS):
        raise ModelAnswerInvalid("The language model's answer lacks a section, or has too many sentences.")
    claims = [Claim(_plain(s.text), tuple(dict.fromkeys(s.evidence)), s.section) for s in sentences]
    return tuple(sorted(claims, key=lambda claim: SECTIONS.index(claim.section)))


def _revised(answer: str, refused: Mapping[int, Claim]) -> dict[int, Claim]:
    return {
        s.number: Claim(_plain(s.text), tuple(dict.fromkeys(s.evidence)), refused[s.number].section)
        for s in _list(answer, _REVISION)
        if s.number in refused
    }


def _list(answer: str, form: TypeAdapter[list[T]]) -> list[T]:
    """The JSON array in an answer, whatever stands around it."""
    found = re.search(r"\[\s*\{.*\}\s*\]", answer, re.DOTALL)
    try:
        return form.validate_json(found[0] if found else answer)
    except ValidationError as error:
        raise ModelAnswerInvalid("The language model's answer is not the list of sentences asked for.") from error


def _plain(text: str) -> str:
    """One line without ids in brackets."""
    return re.sub(r"\s*\[e\d+(?:,\s*e\d+)*\]", "", " ".join(text.split()))


def _facts(brief: Brief) -> list[Claim]:
    """What the embedded model is to say: the template's choice, fewer of each section."""
    left = dict(_MOST)
    facts = []
    for fact in template.write(brief):
        if left[fact.section] and fact.text.count(",") <= _LONGEST_LIST:
            left[fact.section] -= 1
            facts.append(fact)
    return facts


def _restate(fact: str, model: BaseChatModel, strictly: bool = False) -> str:
    messages: list[BaseMessage] = [SystemMessage(prompts.RESTATE)]
    for finding, sentence in prompts.EXAMPLES:
        messages += [HumanMessage(f"Finding: {finding}"), AIMessage(finding if strictly else sentence)]
    messages.append(HumanMessage(f"Finding: {relevance.clean_text(fact)}"))
    options = {"regex": _words_of(fact)} if strictly else {}
    answer = _plain(_ask(model, messages, stop=["\n"], **options))
    if not answer:
        raise ModelAnswerInvalid("The language model's answer is empty.")
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", answer)[0]  # it was asked for one sentence


def _words_of(fact: str) -> str:
    """Pattern of the sentences that have no other words than the fact."""
    words = {word.rstrip(".,:") for word in relevance.clean_text(fact).split()} | {"The", "the", "is"}
    either = "|".join(re.escape(word) for word in sorted(words) if word)
    return rf"(?:{either})(?:[,:]? (?:{either}))*\."
