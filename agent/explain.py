"""A language model puts the brief into words; what it may say is checked afterwards, in ``grounding.py``."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import ModelAnswerInvalid, ModelError, ModelUnavailable
from . import chat_models, prompts, relevance, template
from .verdict import Brief, Claim, Section

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ..tools.image import RGBImage

LONG_SIDE = 768  # pixels of the photo as a model sees it
MOST_SENTENCES = 30
_SECTIONS: tuple[Section, ...] = ("summary", "observations", "interpretation", "conclusion")
_MOST: dict[Section, int] = {"summary": 2, "observations": 5, "interpretation": 3, "conclusion": 2}  # embedded model
_LONGEST_LIST = 8  # commas; in longer ones the embedded model loses its way


class _Sentence(BaseModel):
    model_config = ConfigDict(extra="ignore")

    section: Section
    text: str = Field(min_length=1, max_length=600)
    evidence: list[str] = Field(max_length=60)


_ANSWER = TypeAdapter(list[_Sentence])


def write(
    brief: Brief, model: BaseChatModel, image: RGBImage | None = None, rejected: tuple[Claim, ...] = ()
) -> tuple[Claim, ...]:
    """The explanation in the model's words, not yet checked.

    Args:
        brief: What it may rest on.
        model: The embedded model restates one finding at a time; any other writes the whole text as JSON.
        image: The photo, (height, width, 3) RGB uint8; sent only to a model that reads images.
        rejected: Sentences of its last answer that the check refused; they are written anew.

    Raises:
        ModelUnavailable: No answer.
        ModelAnswerInvalid: The answer is not of the form asked for.
    """
    if chat_models.is_embedded(model):
        return _sentence_by_sentence(brief, model, rejected)
    seen = image if image is not None and chat_models.sees_images(model) else None
    return _whole(_ask(model, [SystemMessage(prompts.SYSTEM), _user(prompts.task(brief, rejected), seen)]))


def _ask(model: BaseChatModel, messages: list[BaseMessage], **options: Any) -> str:
    try:
        return str(model.invoke(messages, **options).text)
    except ModelError:
        raise
    except Exception as error:  # each client has its own tree of errors
        raise ModelUnavailable(f"The language model gave no answer ({type(error).__name__}).") from error


def _user(text: str, image: RGBImage | None) -> HumanMessage:
    if image is None:
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
    found = re.search(r"\[\s*\{.*\}\s*\]", answer, re.DOTALL)
    try:
        sentences = _ANSWER.validate_json(found[0] if found else answer)
    except ValidationError as error:
        raise ModelAnswerInvalid("The language model's answer is not the list of sentences asked for.") from error
    if len(sentences) > MOST_SENTENCES or {s.section for s in sentences} != set(_SECTIONS):
        raise ModelAnswerInvalid("The language model's answer lacks a section, or has too many sentences.")
    claims = [Claim(_plain(s.text), tuple(dict.fromkeys(s.evidence)), s.section) for s in sentences]
    return tuple(sorted(claims, key=lambda claim: _SECTIONS.index(claim.section)))


def _plain(text: str) -> str:
    """One line without ids in brackets."""
    return re.sub(r"\s*\[e\d+(?:,\s*e\d+)*\]", "", " ".join(text.split()))


def _sentence_by_sentence(brief: Brief, model: BaseChatModel, rejected: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """The template chooses what to say, the model says it, and what was refused again in the finding's own words."""
    refused = {(claim.section, claim.evidence, claim.text) for claim in rejected}
    left = dict(_MOST)
    claims = []
    for fact in template.write(brief):
        if left[fact.section] == 0 or fact.text.count(",") > _LONGEST_LIST:
            continue
        left[fact.section] -= 1
        claim = replace(fact, text=_restate(fact.text, model))
        if (claim.section, claim.evidence, claim.text) in refused:
            claim = replace(fact, text=_restate(fact.text, model, strictly=True))
        claims.append(claim)
    return tuple(claims)


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
