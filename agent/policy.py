"""What a deployment allows in a conversation: a TOML file that its operator writes.

perceived = ["age"]        # attributes that may be told, as perceived, where a tool measures them
enrolled_people = false    # no comparison with enrolled people by name
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import InvalidOption

VARIABLE = "FACEWITNESS_POLICY"

Attribute = Literal[
    "age",
    "attractiveness",
    "beliefs",
    "criminality",
    "ethnicity",
    "gender",
    "health",
    "personality",
    "sexual orientation",
]
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
"""What is not inferred of a person unless the policy allows it."""


class Policy(BaseModel):
    """What may be told and done.

    Attributes:
        perceived: Attributes that may be told where a tool measures them; its finding must call them perceived.
        enrolled_people: Whether a face may be compared, with consent, with an enrolled person who is named.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    perceived: frozenset[Attribute] = frozenset()
    enrolled_people: bool = True


def load(path: Path | None = None) -> Policy:
    """The policy of a file, of ``FACEWITNESS_POLICY``, or, where there is neither, one that allows no attribute.

    Raises:
        InvalidOption: The file cannot be read, is not TOML, or says something that is not known.
    """
    named = path or os.environ.get(VARIABLE)
    if not named:
        return Policy()
    try:
        return Policy.model_validate(tomllib.loads(Path(named).read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidOption(f"The policy file cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidOption("The policy file is not TOML.") from error
    except ValidationError as error:
        wrong = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InvalidOption(f"The policy file cannot be used: {wrong} is not as it must be.") from error
