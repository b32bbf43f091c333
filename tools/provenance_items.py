"""How the provenance tools word their evidence: one key, one source, and no text of the file."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from .evidence import Evidence, ModelCard, Value
from .product_names import known_name, program_kind

NAME = "provenance"


@cache
def card(name: str) -> ModelCard:
    """The algorithm that read a finding."""
    if name == "c2pa-python":
        return ModelCard(name, version(name), None, "MIT OR Apache-2.0", True)
    return ModelCard(name, version("facewitness"), None, "Apache-2.0", True)


def item(
    what: str, finding: str, value: Value, source: str, unit: str | None = None, numbers: tuple[float, ...] = ()
) -> Evidence:
    """Evidence ``provenance.what``."""
    return Evidence(f"{NAME}.{what}", NAME, finding, value, unit=unit, numbers=numbers, model=card(source))


def named(what: str, subject: str, text: str | None, source: str) -> list[Evidence]:
    """A name from the file, reduced to known words; none if the field is absent."""
    if not text:
        return []
    name, kind = known_name(text), program_kind(text)
    if name is None:
        return [item(what, f"{subject} holds no known name; its text is not repeated.", "unknown", source)]
    said = f'"{name}", {kind}' if kind else f'"{name}"'
    return [item(what, f"{subject} names {said}; it can be forged.", name, source)]
