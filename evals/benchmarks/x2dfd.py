"""X²-DFD's lists: ``{"Description": root, "images": [{"image_path": …}]}``, a file for real, one for fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidOption
from .item import AUTHENTIC, FORGED, Benchmark, Item, Switches, choice, read_json


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    for file in [data] if data.is_file() else sorted(data.glob("*.json")):
        held = read_json(file)
        if not isinstance(held, dict) or not isinstance(held.get("images"), list):
            raise InvalidOption(f"{file.name} is not in X²-DFD's layout: it has no list images.")
        truth = _truth(file.stem, choice(switches, "label", "by name", "real", "fake"))
        root = "" if choice(switches, "root", "folder", "description") == "folder" else str(held.get("Description", ""))
        for row in held["images"]:
            path = f"{root.rstrip('/')}/{row['image_path']}" if root else str(row["image_path"])
            method = "" if truth == AUTHENTIC else file.stem
            yield Item(f"{file.stem}/{path}", "forgery", (path,), truth, cluster=path, method=method)


def _truth(name: str, label: str) -> str:
    """The lists carry no label: the name of the file says it."""
    said = {word for word in ("real", "fake") if word in name.lower()} if label == "by name" else {label}
    if len(said) != 1:
        raise InvalidOption(f"Whether {name}.json lists real or fake pictures is not in its name: set label.")
    return AUTHENTIC if said == {"real"} else FORGED


BENCHMARK = Benchmark(
    name="x2dfd",
    title="X²-DFD lists of real and fake pictures",
    layout="a JSON file {Description, images: [{image_path}]}, or a folder of them, with real or fake in their names.",
    polarity="The lists carry no label: a file with real in its name lists real pictures, one with fake lists fakes. "
    "Here fake is positive.",
    read=_read,
    switches={
        "label": "real or fake, for a file whose name does not say it",
        "root": "folder (paths are below the list's folder) or description (below the root that the list names)",
    },
    source="input JSON and train/configs of X2-DFD",
)
