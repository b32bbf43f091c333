"""An outside language model that rewords sentences, if one is named; what the grounding check refuses stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...agent import chat_models, grounding, prompts
from ...agent.verdict import Brief, Claim
from ...errors import InvalidOption, ModelUnavailable
from . import phrasing
from .sample import Sample

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def reworded(samples: Iterator[Sample], spec: str) -> Iterator[Sample]:
    """Samples with their observations and interpretation in the teacher's words; labels and prompts stay.

    Raises:
        InvalidOption: ``spec`` names no server.
        ModelUnavailable: The server does not answer.
    """
    model = chat_models.open_model(spec)
    if model is None or chat_models.is_embedded(model):
        raise InvalidOption("A teacher is a server: http://HOST:PORT/v1#NAME.")
    for sample in samples:
        yield of(sample, model)


def of(sample: Sample, model: BaseChatModel) -> Sample:
    """One sample."""
    brief = sample.brief()
    claims = tuple(
        _claim(claim, brief, model) if claim.section in ("observations", "interpretation") else claim
        for claim in sample.claims
    )
    rng = np.random.default_rng(int(sample.id, 16))
    return replace(sample, claims=claims, answer=phrasing.answer(claims, sample.form, rng))


def _claim(claim: Claim, brief: Brief, model: BaseChatModel) -> Claim:
    from langchain_core.messages import HumanMessage, SystemMessage

    messages: list[Any] = [SystemMessage(prompts.RESTATE), HumanMessage(f"Finding: {claim.text}")]
    try:
        text = " ".join(str(model.invoke(messages).text).split())
    except Exception as error:  # each client has its own tree of errors
        raise ModelUnavailable(f"The teacher gave no answer ({type(error).__name__}).") from error
    said = replace(claim, text=text)
    return said if grounding.why_unsupported(said, brief) is None else claim
