"""Only formats that carry numbers, never code: pickles are refused by name and by content."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path, PurePath

from ..errors import WeightsRefused

SUFFIXES = frozenset({".gguf", ".json", ".onnx", ".safetensors", ".task", ".tflite"})

_TASK_MEMBERS = frozenset({".binarypb", ".tflite", ".txt"})


def refuse_suffix(file: str) -> None:
    """Refuse a file by its name.

    Raises:
        WeightsRefused: The suffix is not one of ``SUFFIXES``.
    """
    if PurePath(file).suffix not in SUFFIXES:
        raise WeightsRefused(f"{file} is refused: weights are accepted as {', '.join(sorted(SUFFIXES))} only")


def refuse_code(file: Path) -> None:
    """Refuse a file whose bytes are not of the format that its suffix names.

    Naming the format is stricter than looking for pickles: a pickle, bare or inside a torch archive, has none of
    these beginnings.

    Raises:
        WeightsRefused: Wrong suffix or wrong content.
    """
    refuse_suffix(file.name)
    with file.open("rb") as stream:
        head = stream.read(16)
    fits = _task_fits(file) if file.suffix == ".task" else _fits(file, head)
    if not fits:
        raise WeightsRefused(f"{file.name} is refused: its content is not {file.suffix[1:]}")


def _fits(file: Path, head: bytes) -> bool:
    match file.suffix:
        case ".onnx":
            return head[:1] == b"\x08"  # protobuf field 1, ir_version
        case ".tflite":
            return head[4:8] == b"TFL3"
        case ".gguf":
            return head[:4] == b"GGUF"
        case ".safetensors":
            return head[8:9] == b"{"  # after the header's length
        case _:
            return _is_json(file)


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True


def _task_fits(file: Path) -> bool:
    """Whether it is a MediaPipe bundle: a zip of TFLite graphs and their metadata."""
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                suffix = PurePath(name).suffix
                if suffix not in _TASK_MEMBERS:
                    return False
                with archive.open(name) as member:
                    if suffix == ".tflite" and member.read(8)[4:] != b"TFL3":
                        return False
    except (zipfile.BadZipFile, RuntimeError):  # the latter for encryption and unknown compression
        return False
    return True
