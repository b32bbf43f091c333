"""Which language model writes: none, the embedded one, or one behind an OpenAI-compatible server."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import InvalidOption
from ..tools import weights
from ..tools.evidence import ModelCard

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SECONDS = 60.0  # a server's answer that comes later counts as none
_ABILITIES = ("vision", "tools")
_FORMS = 'use "none", "embedded" or "http://HOST:PORT/v1#NAME", with "?vision" and "&tools" after NAME where it can'


def open_model(spec: str | None) -> BaseChatModel | None:
    """The chat model that a specification names; nothing is loaded and no connection is made yet.

    Args:
        spec: ``none``; ``embedded``, also meant by None; or the base address of an OpenAI-compatible server and a
            model's name, ``http://127.0.0.1:8000/v1#my-model``. ``#my-model?vision&tools`` says that the model reads
            images and calls tools. The key is read from ``FACEWITNESS_API_KEY``.

    Raises:
        InvalidOption: Anything else.
    """
    if spec == "none":
        return None
    if spec is None or spec == "embedded":
        from langchain_core.caches import InMemoryCache

        from .embedded_model import EmbeddedChatModel

        return EmbeddedChatModel(cache=InMemoryCache(maxsize=64))  # a finding told in two sections is written once
    return _remote(spec)


def _remote(spec: str) -> BaseChatModel:
    address, _, fragment = spec.partition("#")
    name, _, abilities = fragment.partition("?")
    able = [part for part in abilities.split("&") if part]
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[\w./:@+-]{1,200}", name) or not set(able) <= set(_ABILITIES):
        raise InvalidOption(f"The language model's specification cannot be used; {_FORMS}.")
    if parts.username or parts.query:
        raise InvalidOption("The server's address may hold no user, password or query; the key is FACEWITNESS_API_KEY.")
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        base_url=address,
        model=name,
        api_key=SecretStr(os.environ.get("FACEWITNESS_API_KEY") or "none"),
        temperature=0,
        seed=0,
        timeout=SECONDS,
        max_retries=1,
        metadata={"facewitness": dict.fromkeys(able, True)},
    )


def describe(model: BaseChatModel) -> ModelCard:
    """Identity and terms for the record; of a model elsewhere only the name is known."""
    if is_embedded(model):
        return weights.card("smollm2")
    name = getattr(model, "model_name", None) or getattr(model, "model", None) or model._llm_type
    return ModelCard(str(name), "as served", None, "unknown", None)


def sees_images(model: BaseChatModel) -> bool:
    """Whether the specification says that the model reads images."""
    return _able(model, "vision")


def calls_tools(model: BaseChatModel) -> bool:
    """Whether the specification says that the model calls tools."""
    return _able(model, "tools")


def is_embedded(model: BaseChatModel) -> bool:
    """Whether it is the small model in this process, which writes sentence by sentence."""
    return model._llm_type == "facewitness-embedded"


def _able(model: BaseChatModel, ability: str) -> bool:
    return bool(((model.metadata or {}).get("facewitness") or {}).get(ability))
