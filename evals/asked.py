"""What a vision-language model alone says of a sample.

Of a verdict it is asked as the agent asks it: aligned crops and a fixed question, and the probabilities of the answer's
tokens; a server that gives none is asked for the label in words, which orders nothing. Questions in words and multiple
choice go to a chat model that reads images.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..agent import chat_models, lookers
from ..agent.looking import crop
from ..agent.sight import FORGERY, REFERENCE, Look, Looker
from ..agent.verdict import INCONCLUSIVE
from ..errors import ModelUnavailable
from ..tools.image import RGBImage
from .answers import Answer, unscored
from .benchmarks import Item
from .benchmarks.facexbench import letter
from .benchmarks.item import LETTERS
from .pictures import Material, face, photo

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

GREY = 128
_ONE = "Answer with one of these and with nothing else: {}."


def looked(item: Item, files: Material, model: BaseChatModel, published: bool = False, blind: bool = False) -> Answer:
    """What the model says.

    Args:
        item: The sample.
        files: Its pictures.
        model: Embedded, or one that reads images.
        published: Multiple choice is read as FaceXBench's released scorer reads it.
        blind: Grey pictures of the same size are shown in the place of the sample's.

    Raises:
        ModelUnavailable: A server does not answer.
    """
    looker = lookers.opened(model)
    if looker is None:
        return unscored("model.blind", "This model does not say that it reads images: add ?vision to its name.")
    if item.kind == "units":
        return unscored("system.not_asked", "A vision-language model is not asked for action units.")
    if item.kind in ("choice", "text", "class"):
        if chat_models.is_embedded(model):
            return unscored("model.no_questions", "The embedded model answers no questions in words.")
        pictures = [photo(data).rgb for data in files.images]
        return _in_words(item, _grey(pictures) if blind else pictures, model, published)
    if item.kind == "reference" and not files.references:
        return unscored("reference.none", "There is no reference photo that is another picture.")
    views = [face(files.images[0], item.aligned)]
    views += [face(files.references[0], item.aligned)] if item.kind == "reference" else []
    faces = [crop(view) for view in views if view is not None]
    if len(faces) < len(views):
        return unscored("face.none", "No face was found.")
    return look(FORGERY if len(views) == 1 else REFERENCE, _grey(faces) if blind else faces, looker, model)


def look(asked: Look, faces: Sequence[RGBImage], looker: Looker, model: BaseChatModel) -> Answer:
    """A verdict's label, and the probability of the positive class where the model gives probabilities.

    Raises:
        ModelUnavailable: A server does not answer.
    """
    looker.prepare()
    try:
        said = looker.probabilities(asked, faces)
    except ModelUnavailable:
        if chat_models.is_embedded(model):
            raise
        text, tokens = ask(model, f"{asked.question}\n{_ONE.format(', '.join(asked.answers))}", faces)
        named = [answer for answer in asked.answers if answer in text.lower()]
        if len(named) != 1:
            return unscored("model.answer_invalid", "The model named none of the labels, or several.")
        return Answer(named[0], text=text, tokens=tokens)
    certain = {label: p for label, p in said.items() if label != INCONCLUSIVE}
    total = sum(certain.values())
    shares = {label: p / total if total else 1 / len(certain) for label, p in certain.items()}
    first = shares[asked.answers[0]]
    score = first if asked.answers == REFERENCE.answers else 1 - first
    line = looker.calibration(asked) if asked in (FORGERY, REFERENCE) else None  # fitted on these questions
    if line is not None and line.slope:
        score = line(score)
    return Answer(max(said, key=said.__getitem__), score=score, probabilities=shares)


def _in_words(item: Item, pictures: Sequence[RGBImage], model: BaseChatModel, published: bool) -> Answer:
    if item.kind == "text":
        text, tokens = ask(model, item.question, pictures)
        return Answer("answered", text=text, tokens=tokens) if text else unscored("model.answer_invalid", "No words.")
    listed = "\n".join(f"({key}) {option}" for key, option in zip(LETTERS, item.options, strict=False))
    text, tokens = ask(model, f"{item.question}\n{listed}", pictures)
    chosen = letter(text, item.options, published)
    if chosen is None:
        return Answer(unscored="model.answer_invalid", why="The answer names no option.", text=text, tokens=tokens)
    return Answer(chosen if item.kind == "choice" else item.options[LETTERS.index(chosen)], text=text, tokens=tokens)


def ask(model: BaseChatModel, text: str, pictures: Sequence[RGBImage]) -> tuple[str, int]:
    """Words of an answer, and how many tokens were used, 0 where the server does not say.

    Raises:
        ModelUnavailable: It does not answer.
    """
    from langchain_core.messages import HumanMessage

    shown: list[str | dict[str, Any]] = [{"type": "image_url", "image_url": {"url": _uri(rgb)}} for rgb in pictures]
    try:
        answer = model.invoke([HumanMessage([*shown, {"type": "text", "text": text}])])
    except Exception as error:  # each client has its own tree of errors
        raise ModelUnavailable(f"The language model gave no answer ({type(error).__name__}).") from error
    used = getattr(answer, "usage_metadata", None) or {}
    return answer.text.strip(), int(used.get("total_tokens", 0))


def _grey(pictures: Sequence[RGBImage]) -> list[RGBImage]:
    return [np.full_like(picture, GREY) for picture in pictures]


def _uri(rgb: RGBImage) -> str:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
