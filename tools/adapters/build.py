"""From an entry of ``plugins.toml`` to its adapter."""

from __future__ import annotations

from ..detectors import Kind, Plugged
from .entries import (
    ArcFaceEntry,
    ClassifierEntry,
    Entry,
    Json,
    LibreFaceEntry,
    PyFeatEntry,
    TorchScriptEntry,
    VitEntry,
)
from .loading import checked

_KINDS: dict[str, Kind] = {"arcface_onnx": "matcher", "pyfeat_au": "action_units", "libreface_au": "action_units"}


def kind_of(table: Json) -> Kind:
    """What an entry is about, even if it is not valid."""
    return _KINDS.get(str(table.get("adapter")), "detector")


def obtain(entry: Entry, fetch: bool = False) -> None:
    """See that all files of an entry are here, with the sha256 stated; ``fetch`` those that are not from the hub.

    Raises:
        WeightsMissing, WeightsMismatch, ToolUnavailable: What is wrong.
    """
    checked(entry, entry.name, fetch)
    if isinstance(entry, VitEntry) and entry.base is not None:
        checked(entry.base, entry.name, fetch)
    if isinstance(entry, ClassifierEntry):
        from .image_classifier import companions

        companions(entry, fetch)


def adapter(entry: Entry) -> Plugged:
    """The shipped adapter of an entry; no weights are loaded yet."""
    match entry:
        case VitEntry():
            from .vit_layernorm import VitLayerNorm

            return VitLayerNorm(entry)
        case ClassifierEntry():
            from .image_classifier import ImageClassifier

            return ImageClassifier(entry)
        case TorchScriptEntry():
            from .torchscript import TorchScript

            return TorchScript(entry)
        case ArcFaceEntry():
            from .arcface_onnx import ArcFaceOnnx

            return ArcFaceOnnx(entry)
        case PyFeatEntry():
            from .pyfeat_au import PyFeat

            return PyFeat(entry)
        case LibreFaceEntry():
            from .libreface_au import LibreFace

            return LibreFace(entry)
