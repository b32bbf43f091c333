"""A language model puts the brief into words; what it may say is checked afterwards, in ``grounding.py``."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from annotated_types import Len
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import ModelAnswerInvalid, ModelError, ModelUnavailable
from . import chat_models, grounding, prompts, relevance, template
from .drafting import AnswerTold, SentenceTold, Told
from .verdict import SECTIONS, Brief, Claim, Section

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ..tools.image import RGBImage

T = TypeVar("T")

MOST_SENTENCES = 30
_MOST_IN_SECTION, _MOST_CITED = 7, 8
_MOST: dict[Section, int] = {"summary": 2, "observations": 5, "interpretation": 3, "conclusion": 2}  # embedded model
_LONGEST_LIST = 8  # commas; in longer ones the embedded model loses its way


class Sentence(BaseModel):
    """A sentence as a model writes it."""

    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, max_length=600)
    evidence: list[str] = Field(max_length=60)


class _Anew(Sentence):
    number: int


class _Revision(BaseModel):
    sentences: list[_Anew]


_ANSWER: TypeAdapter[dict[Section, list[Sentence]]] = TypeAdapter(dict[Section, Annotated[list[Sentence], Len(1)]])
_REVISION = TypeAdapter(_Revision)


def write(
    brief: Brief, model: BaseChatModel, image: RGBImage | None = None, told: Told | None = None
) -> tuple[Claim, ...]:
    """The explanation in the model's words, not yet checked.

    Args:
        brief: What it may rest on.
        model: The embedded model restates one finding at a time; any other writes the whole text as JSON, of a schema
            that a server which can constrain its model keeps it to.
        image: The photo, (height, width, 3) RGB uint8; sent only to a model that reads images.
        told: Called with the text as it is written.

    Raises:
        ModelUnavailable: No answer.
        ModelAnswerInvalid: The answer is not of the form asked for.
    """
    if chat_models.is_embedded(model):
        return _restated(_facts(brief), model, told)
    messages = [SystemMessage(prompts.SYSTEM), _user(prompts.task(brief), image, model)]
    listeners = [AnswerTold(told)] if told else []
    return _whole(_ask(model, messages, listeners, stream=told is not None, **_kept_to(_form(brief))))


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
        again = _restated([facts[number] for number in refused], model, strictly=True)
        anew = dict(zip(refused, again, strict=True))
    else:
        faults = {n: (claim, str(grounding.why_unsupported(claim, brief))) for n, claim in refused.items()}
        messages = [SystemMessage(prompts.REVISE), _user(prompts.revision(brief, faults), image, model)]
        anew = _revised(_ask(model, messages, **_kept_to(_form_anew(brief, list(refused)))), refused)
    return tuple(anew.get(number, claim) for number, claim in enumerate(claims))


def _ask(
    model: BaseChatModel, messages: list[BaseMessage], listeners: Sequence[BaseCallbackHandler] = (), **options: Any
) -> str:
    try:
        return str(model.invoke(messages, {"callbacks": list(listeners)}, **options).text)
    except ModelError:
        raise
    except Exception as error:  # each client has its own tree of errors
        raise ModelUnavailable(f"The language model gave no answer ({type(error).__name__}).") from error


def _kept_to(schema: dict[str, Any]) -> dict[str, Any]:
    """Options for a request whose answer the server keeps to a JSON schema."""
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    return {"extra_body": {"response_format": form}}


def _form(brief: Brief) -> dict[str, Any]:
    """JSON schema of the whole answer: every section, and no ids but those of the evidence."""
    sentences = {"type": "array", "items": _closed(_sentence_of(brief)), "minItems": 1, "maxItems": _MOST_IN_SECTION}
    return _closed(dict.fromkeys(SECTIONS, sentences))


def _form_anew(brief: Brief, numbers: list[int]) -> dict[str, Any]:
    """JSON schema of the sentences written anew."""
    sentence = _closed({"number": {"enum": numbers}, **_sentence_of(brief)})
    return _closed({"sentences": {"type": "array", "items": sentence, "maxItems": len(numbers)}})


def _sentence_of(brief: Brief) -> dict[str, Any]:
    ids = [item.id for item in brief.evidence]
    some = {"enum": ids} if ids else {"type": "string"}
    cited = {"type": "array", "items": some, "maxItems": min(len(ids), _MOST_CITED)}
    return {"text": {"type": "string"}, "evidence": cited}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _user(text: str, image: RGBImage | None, model: BaseChatModel) -> HumanMessage:
    if image is None or not chat_models.sees_images(model):
        return HumanMessage(text)
    url = data_uri(image, chat_models.abilities(model).side)
    return HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}])


def data_uri(image: RGBImage, long_side: int = chat_models.LONG_SIDE) -> str:
    """The photo as JPEG without metadata, at most ``long_side`` pixels."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((long_side, long_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _whole(answer: str) -> tuple[Claim, ...]:
    found = _read(answer, _ANSWER)
    if sum(map(len, found.values())) > MOST_SENTENCES or set(found) != set(SECTIONS):
        raise ModelAnswerInvalid("The language model's answer lacks a section, or has too many sentences.")
    return tuple(
        Claim(_plain(s.text), tuple(dict.fromkeys(s.evidence)), name) for name in SECTIONS for s in found[name]
    )


def _revised(answer: str, refused: Mapping[int, Claim]) -> dict[int, Claim]:
    return {
        s.number: _claim(s, refused[s.number].section)
        for s in _read(answer, _REVISION).sentences
        if s.number in refused
    }


def _claim(sentence: Sentence, section: Section) -> Claim:
    return Claim(_plain(sentence.text), tuple(dict.fromkeys(sentence.evidence)), section)


def _read(answer: str, form: TypeAdapter[T]) -> T:
    """The JSON object in an answer, whatever stands around it."""
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        return form.validate_json(found[0] if found else answer)
    except ValidationError as error:
        raise ModelAnswerInvalid("The language model's answer does not have the form asked for.") from error


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


def _restated(
    facts: Sequence[Claim], model: BaseChatModel, told: Told | None = None, *, strictly: bool = False
) -> tuple[Claim, ...]:
    """Each fact in the model's words; one that is told in two sections is put into words once."""
    words: dict[str, str] = {}
    for number, fact in enumerate(facts):
        if fact.text not in words:
            listeners = [SentenceTold(told, number, fact.section)] if told else []
            words[fact.text] = _restate(fact.text, model, listeners, strictly)
        elif told:
            told(number, fact.section, words[fact.text])
    return tuple(replace(fact, text=words[fact.text]) for fact in facts)


def _restate(fact: str, model: BaseChatModel, listeners: Sequence[BaseCallbackHandler], strictly: bool) -> str:
    messages: list[BaseMessage] = [SystemMessage(prompts.RESTATE)]
    for finding, sentence in prompts.EXAMPLES:
        messages += [HumanMessage(f"Finding: {finding}"), AIMessage(finding if strictly else sentence)]
    messages.append(HumanMessage(f"Finding: {relevance.clean_text(fact)}"))
    options = {"regex": _words_of(fact)} if strictly else {}
    answer = _plain(_ask(model, messages, listeners, stop=["\n"], **options))
    if not answer:
        raise ModelAnswerInvalid("The language model's answer is empty.")
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", answer)[0]  # it was asked for one sentence


def _words_of(fact: str) -> str:
    """Pattern of the sentences that have no other words than the fact."""
    words = {word.rstrip(".,:") for word in relevance.clean_text(fact).split()} | {"The", "the", "is"}
    either = "|".join(re.escape(word) for word in sorted(words) if word)
    return rf"(?:{either})(?:[,:]? (?:{either}))*\."
