"""What a client hands in, and how it lies in the spool."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ...errors import FileTooLarge, InputError
from ...tools import containers
from ...tools.file_types import image_format
from ...tools.limits import MAX_BYTES

PHOTO, REFERENCE, OPTIONS = "photo", "reference", "options"
MAX_REFERENCES = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked about the photo.

    Attributes:
        question: A question about the face in plain words.
        person: Name of an enrolled person to compare with.
        face: 1 for the largest face, 2 for the next …; None for the largest that can be assessed.
        commercial_only: Take no weights whose terms do not allow commercial use.
        keep_pictures: Seconds for which page and overlays, which show the photo, are kept.
    """

    question: str | None = None
    person: str | None = None
    face: int | None = None
    commercial_only: bool = False
    keep_pictures: int = 0


@dataclass(frozen=True, slots=True)
class Submission:
    """A photo, up to ``MAX_REFERENCES`` references and the options; file names are never taken."""

    photo: bytes
    references: tuple[bytes, ...]
    options: Options

    def parts(self) -> dict[str, bytes]:
        """By name, for the spool."""
        references = {f"{REFERENCE}.{number}": data for number, data in enumerate(self.references, start=1)}
        return {PHOTO: self.photo, **references, OPTIONS: json.dumps(asdict(self.options)).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Submission:
        """The submission whose ``parts`` these are."""
        references = tuple(parts[name] for name in sorted(parts) if name.startswith(REFERENCE))
        return cls(parts[PHOTO], references, Options(**json.loads(parts[OPTIONS])))

    def check(self) -> None:
        """Refuse, from sizes and headers alone, what could not be decoded.

        Raises:
            InputError: As ``tools.image.load``; it says which photo is meant.
        """
        for name, data in self.parts().items():
            if name != OPTIONS:
                _check(name, data)

    def digests(self) -> list[str]:
        """SHA-256 of each part, which tell a repeated request from another one."""
        return [f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in self.parts().items()]


def _check(name: str, data: bytes) -> None:
    title = "Photo" if name == PHOTO else f"Reference photo {name.partition('.')[2]}"
    try:
        if len(data) > MAX_BYTES:
            raise FileTooLarge(f"The file has {len(data):,} bytes; the limit is {MAX_BYTES:,}.")
        containers.inspect(data, image_format(data))
    except InputError as refusal:
        raise type(refusal)(f"{title}: {refusal}") from None
