"""``plugins.toml``: which published models the user wants, each with its source, sha256 and licence.

An entry named as one in ``catalogue.toml`` starts from what is stated there, and may state anything otherwise.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from ...errors import InvalidOption
from ..detectors import Target
from ..evidence import ModelCard
from ..plugins import FILE, NAME

Triple = tuple[float, float, float]
Json = dict[str, Any]

CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)
"""Radford et al. 2021; the preprocessing of openai/clip-vit-*."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HubFile(_Strict):
    """A file that is there only if its sha256 is the stated one.

    Attributes:
        repo: Hub repository, ``owner/name``.
        revision: Its commit; never a branch.
        folder: A local folder laid out as the repository, used instead of the hub.
        file: Path in the repository or folder.
        sha256: Hex digest.
    """

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    folder: Path | None = None
    file: Annotated[str, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.folder is None and (self.repo is None or self.revision is None):
            raise ValueError("state repo and revision (40 hex digits), or folder")
        return self

    @property
    def source(self) -> str:
        """What a person reads in lists: the hub repository at its commit, or the folder."""
        return f"hub {self.repo}@{self.revision}" if self.folder is None else f"folder {self.folder}"


class _Entry(HubFile):
    """What every entry states.

    Attributes:
        what: One line for lists.
        publisher: Who trained or released it.
        version: Publisher's version; the first digits of the revision or of the sha256 if not stated.
        licence: SPDX expression of the weights' licence; ``LicenseRef-…`` for one that SPDX does not know.
        commercial_use: Whether that licence, and the terms of the training data as far as known, allow it.
        terms: One line on those terms.
    """

    name: Annotated[str, Field(pattern=NAME)]
    what: str = ""
    publisher: str = ""
    version: str = ""
    licence: str
    commercial_use: Annotated[bool, Field(strict=True)] | Literal["unknown"]
    terms: str = ""

    @field_validator("licence")
    @classmethod
    def _spdx(cls, licence: str) -> str:
        try:
            return str(canonicalize_license_expression(licence))
        except InvalidLicenseExpression:
            raise ValueError("state an SPDX expression, or LicenseRef- and a name of your own") from None

    @property
    def card(self) -> ModelCard:
        """Identity and terms, as records carry them."""
        allowed = None if self.commercial_use == "unknown" else self.commercial_use
        version = self.version or (self.revision or self.sha256)[:12]
        return ModelCard(self.name, version, self.sha256, self.licence, allowed)


class _DetectorEntry(_Entry):
    """A detector.

    Attributes:
        target: What its score rises with.
        size: Side of its input in pixels.
        margin: Width of the crop in widths of the ArcFace template; DeepfakeBench and GenD crop with 1.3.
    """

    target: Target
    size: Annotated[int, Field(gt=0, le=1024)] = 224
    margin: Annotated[float, Field(ge=0.5, le=4)] = 1.3


class VitEntry(_DetectorEntry):
    """A vision transformer with tuned LayerNorms and a linear head.

    Attributes:
        backbone: Configuration of the transformers backbone: ``model_type`` and what differs from its defaults.
        base: Weights of the untouched backbone, where ``file`` holds only what was tuned.
        normalise: Scale the feature to unit length before the head.
        forged: Index of the output that stands for a forged face.
        mean, std: Of the preprocessing, RGB in 0..1; CLIP's unless stated.
    """

    adapter: Literal["vit_layernorm"]
    backbone: dict[str, Any]
    base: HubFile | None = None
    normalise: bool = True
    forged: Annotated[int, Field(ge=0)] = 1
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD


class ClassifierEntry(_DetectorEntry):
    """A transformers or timm image classifier.

    Attributes:
        forged: Output that stands for a forged picture: its index, or its label in the model's configuration.
        mean, std: Of the preprocessing, RGB in 0..1; the repository's own unless stated.
    """

    adapter: Literal["image_classifier"]
    forged: Annotated[int, Field(ge=0)] | str
    mean: Triple | None = None
    std: Triple | None = None


class TorchScriptEntry(_DetectorEntry):
    """A TorchScript program; runs only if ``FACEWITNESS_ALLOW_TORCHSCRIPT`` is 1. Fields as for ``VitEntry``."""

    adapter: Literal["torchscript"]
    forged: Annotated[int, Field(ge=0)] = 1
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD


class ArcFaceEntry(_Entry):
    """An ArcFace-type ONNX matcher.

    Attributes:
        threshold: Cosine from which two faces count as one person's, if the publisher states one.
        mean, std: Pixels 0..255 enter as ``(x - mean) / std``.
    """

    adapter: Literal["arcface_onnx"]
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    mean: float = 127.5
    std: Annotated[float, Field(gt=0)] = 127.5


class PyFeatEntry(_Entry):
    """py-feat's multitask network."""

    adapter: Literal["pyfeat_au"]


class LibreFaceEntry(_Entry):
    """LibreFace's joint network."""

    adapter: Literal["libreface_au"]


Entry = Annotated[
    VitEntry | ClassifierEntry | TorchScriptEntry | ArcFaceEntry | PyFeatEntry | LibreFaceEntry,
    Field(discriminator="adapter"),
]
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


@cache
def catalogue() -> dict[str, Json]:
    """What is known of published models, as ``plugins.toml`` would state it, by name."""
    return tomllib.loads(resources.files(__package__).joinpath("catalogue.toml").read_text("utf-8"))


def tables(text: str) -> dict[str, Json]:
    """Entries of a ``plugins.toml``, each completed from the catalogue unless it names its own adapter.

    Raises:
        InvalidOption: Not TOML, or something that is no table.
    """
    try:
        stated = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidOption(f"{FILE} is not valid TOML: {error}.") from None
    for name, table in stated.items():
        if not isinstance(table, dict):
            raise InvalidOption(f"{FILE}: {name} is not a table; an entry begins with [{name}].")
    return {name: table if "adapter" in table else catalogue().get(name, {}) | table for name, table in stated.items()}


def parse(name: str, table: Json) -> Entry:
    """Check one entry.

    Raises:
        InvalidOption: Something is missing, wrong or unknown; the message names the field.
    """
    try:
        return _ENTRY.validate_python({"name": name, **table})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = [str(part) for part in problem["loc"] if part != table.get("adapter")]
        raise InvalidOption(f"{FILE}: {': '.join([name, *place])}: {problem['msg']}.") from None
