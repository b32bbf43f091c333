"""Which language model writes: none, the embedded one, or one behind an OpenAI-compatible server."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import InvalidOption
from ..tools import weights
from ..tools.evidence import ModelCard

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

LONG_SIDE = 768
"""Pixels of a photo as a server's model is sent it, unless the specification says otherwise."""
_FLAGS: tuple[str, ...] = ("vision", "tools")
TASKS = ("look", "expression", "attributes")
"""Tasks that an adapter may be named for, and that ``serve`` knows an adapter by."""
_NAME = r"[\w./:@+-]{1,200}"
_FORMS = (
    'use "none", "embedded" or "http://HOST:PORT/v1#NAME", with "?vision", "&tools", "&side=PIXELS", '
    '"&look=ADAPTER", "&expression=ADAPTER" and "&attributes=ADAPTER" after NAME where it can'
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a specification says of a server's model.

    Attributes:
        vision: It reads images.
        tools: It calls tools.
        side: Longest side of a photo that it makes use of, in pixels.
        look: Name of a model or LoRA adapter of the same server that looks at faces in the form that
            ``finetune`` trains; the model itself is asked in plain words if empty.
        expression: The same of what a face displays; ``look`` if empty.
        attributes: The same of what a policy allows to be perceived of a person; nothing is asked if empty.
    """

    vision: bool = False
    tools: bool = False
    side: int = LONG_SIDE
    look: str = ""
    expression: str = ""
    attributes: str = ""


def open_model(spec: str | None) -> BaseChatModel | None:
    """The chat model that a specification names; nothing is loaded and no connection is made yet.

    Args:
        spec: ``none``; ``embedded``, also meant by None; or the base address of an OpenAI-compatible server and a
            model's name, ``http://127.0.0.1:8000/v1#my-model``. ``#my-model?vision&tools&side=448&look=my-adapter``
            says what :class:`Abilities` says. The key is read from ``FACEWITNESS_API_KEY``.

    Raises:
        InvalidOption: Anything else.
    """
    if spec == "none":
        return None
    if spec is None or spec == "embedded":
        from .embedded_model import EmbeddedChatModel

        return EmbeddedChatModel()
    return _remote(spec)


def _remote(spec: str) -> BaseChatModel:
    address, _, fragment = spec.partition("#")
    name, _, said = fragment.partition("?")
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        abilities = _abilities(said)
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(_NAME, name):
        raise InvalidOption(f"The language model's specification cannot be used; {_FORMS}.")
    if parts.username or parts.password or parts.query:
        raise InvalidOption("The server's address may hold no user, password or query; the key is FACEWITNESS_API_KEY.")
    from .served_model import served

    return served(address, name, asdict(abilities))


def _abilities(said: str) -> Abilities:
    """What stands after the name.

    Raises:
        ValueError: It says something else.
    """
    words = dict(part.partition("=")[::2] for part in said.split("&") if part)
    flags = {name: words.pop(name) for name in _FLAGS if name in words}
    held: dict[str, Any] = {task: words.pop(task) for task in TASKS if task in words}
    side = int(words.pop("side", LONG_SIDE))
    named = all(re.fullmatch(_NAME, adapter) for adapter in held.values())
    if words or any(flags.values()) or not 32 <= side <= 4096 or not named:
        raise ValueError("not an ability")
    held.update(dict.fromkeys(flags, True))
    return Abilities(side=side, **held)


def at_task(model: BaseChatModel, adapter: str) -> BaseChatModel:
    """The same server's other model or adapter."""
    return model.model_copy(update={"model_name": adapter})


def describe(model: BaseChatModel) -> ModelCard:
    """Identity and terms for the record; of a model elsewhere only the name is known."""
    if is_embedded(model):
        return weights.card("smollm2")
    name = getattr(model, "model_name", None) or getattr(model, "model", None) or model._llm_type
    return ModelCard(str(name), "as served", None, "unknown", None)


def abilities(model: BaseChatModel) -> Abilities:
    """What its specification says; nothing for a model that was not opened by one."""
    return Abilities(**((model.metadata or {}).get("facewitness") or {}))


def sees_images(model: BaseChatModel) -> bool:
    """Whether the specification says that the model reads images."""
    return abilities(model).vision


def calls_tools(model: BaseChatModel) -> bool:
    """Whether the specification says that the model calls tools."""
    return abilities(model).tools


def is_embedded(model: BaseChatModel) -> bool:
    """Whether it is the small model in this process, which writes sentence by sentence."""
    return model._llm_type == "facewitness-embedded"
