"""HydraFake (Veritas), and sets of the same naming: ``<subset>/0_real`` and ``<subset>/1_fake``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidOption
from .item import AUTHENTIC, FORGED, Benchmark, Item, Switches, pictures, read_json, relative

_FOLDERS = {"0_real": AUTHENTIC, "1_fake": FORGED}
_SPLITS = {"id": "in-domain", "cm": "cross-model", "cf": "cross-forgery", "cd": "cross-domain"}


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    del switches
    if data.is_file():
        yield from _listed(data)
        return
    for folder in sorted(path for path in data.rglob("*") if path.is_dir() and path.name in _FOLDERS):
        for path in pictures(folder):
            yield _item(relative(path, data), _subset(path), folder.name, "")


def _listed(file: Path) -> Iterator[Item]:
    """A published list, ``[{images, label}]``; its label must agree with the folder of the picture."""
    part = next((title for key, title in _SPLITS.items() if key in file.stem.lower().split("_")), file.stem)
    for row in read_json(file):
        paths = row["images"] if isinstance(row["images"], list) else [row["images"]]
        for path in paths:
            folder = next((name for name in Path(path).parts if name in _FOLDERS), None)
            label = row.get("label")
            if folder is None or (label is not None and str(label) != folder[0]):
                raise InvalidOption(f"{file.name}: the folder of {path} and its label {label} disagree.")
            yield _item(path, _subset(Path(path)), folder, part)


def _subset(path: Path) -> str:
    return path.parts[path.parts.index(next(name for name in path.parts if name in _FOLDERS)) - 1]


def _item(path: str, subset: str, folder: str, part: str) -> Item:
    truth = _FOLDERS[folder]
    groups = {"set": subset} | ({"part": part} if part else {})
    return Item(
        path, "forgery", (path,), truth, cluster=path, method="" if truth == AUTHENTIC else subset, groups=groups
    )


BENCHMARK = Benchmark(
    name="hydrafake",
    title="HydraFake, AIGI-Holmes, MMFR: subsets with 0_real and 1_fake",
    layout="SUBSET/0_real/ and SUBSET/1_fake/ at any depth, or a JSON list [{images, label}].",
    polarity="The folder says it: 0_real, 1_fake. Here fake is positive; a list whose labels disagree with the folders "
    "is refused.",
    read=_read,
    source="README and json_dataset.py of Veritas",
)
