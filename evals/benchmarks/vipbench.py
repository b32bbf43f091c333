"""VIPBench and VIPGuard's training data: is this the person of the reference photo, a forgery of them, or another?

The published training tree is ``id{k}/<pair>/id{k}_{n}[_suffix]/<file>``, where the folder of the pair says what the
picture is and nothing else does: the published JSON answers "No" to a forgery and to a stranger alike. The tree of
the evaluation set is not published in the open; a manifest stands in for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidOption
from ...finetune.data import vipguard
from .item import FORGERY, OTHER, PERSON, Benchmark, Item, Split, Switches, number, pictures, read_csv, relative

FAMILIES = {"REAL": PERSON, "FS": FORGERY, "EFS": FORGERY, "STRANGER": OTHER}
_PAIRS = {"r_r_i": "REAL", "r_r_d_i": "STRANGER", "r_fs_i": "FS", "r_efs_i": "EFS"}
_REAL = "real.png"
_NAMED = {"real": "REAL", "genuine": "REAL", "stranger": "STRANGER", "strangers": "STRANGER"}


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    count = number(switches, "references", 3)
    if data.suffix == ".json":
        yield from _published(data, count)
    elif data.suffix == ".csv" or (data / "manifest.csv").is_file():
        yield from _manifest(data if data.suffix == ".csv" else data / "manifest.csv", count)
    elif data.is_dir():
        root = next(
            (folder for folder in (data / "Training_Img", data / "FaceDATA" / "Training_Img") if folder.is_dir()), data
        )
        yield from _tree(data, root, count) if any(root.glob("*/r_*")) else _methods(data, count)


def _tree(data: Path, root: Path, count: int) -> Iterator[Item]:
    """The training tree; references are the reals of the identity's own pairs, never the picture in question."""
    for person in sorted(folder for folder in root.iterdir() if folder.is_dir()):
        probes = [path for path in pictures(person) if path.name != _REAL and path.parts[-3] in _PAIRS]
        known = [relative(path, data) for path in pictures(person / "r_r_i") if path.name == _REAL]
        for path in probes:
            family = _PAIRS[path.parts[-3]]
            yield _item(relative(path, data), person.name, family, family, known[:count], "test")


def _published(file: Path, count: int) -> Iterator[Item]:
    """A published JSON list; rows that only repeat a picture in another mode or twice are read once."""
    root = next((folder for folder in file.parents if (folder / "FaceDATA").is_dir()), file.parent)
    rows = {row.images[0]: row for row in vipguard.read(file)}
    for image, row in rows.items():
        if row.label is None:
            raise InvalidOption(
                f"{file.name}: the folder of {image} does not tell a forgery from a stranger; give a manifest."
            )
        path = Path(image)
        family = next(_PAIRS[part] for part in path.parts if part in _PAIRS)
        person = path.parts[-4] if len(path.parts) > 3 else "person"
        known = [relative(p, root) for p in pictures((root / path).parents[2] / "r_r_i") if p.name == _REAL]
        yield _item(Path(image).as_posix(), person, family, family, known[:count], "test")


def _manifest(file: Path, count: int) -> Iterator[Item]:
    """Rows of identity, path, family, method, split; rows of the split ``reference`` are the references."""
    rows = read_csv(file)
    known: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.get("split") == "reference":
            known[row["identity"]].append(row["path"])
    for place, row in enumerate(rows, 2):
        if not row.get("identity") or not row.get("path") or row.get("family") not in FAMILIES:
            raise InvalidOption(f"{file.name}, line {place}: needs identity, path and family, {', '.join(FAMILIES)}.")
        if row.get("split") != "reference":
            split: Split = "val" if row.get("split") == "val" else "test"
            person, family = row["identity"], row["family"]
            yield _item(row["path"], person, family, row.get("method") or family, known[person][:count], split)


def _methods(data: Path, count: int) -> Iterator[Item]:
    """``<id>/reference/*``, ``<id>/real/*``, ``<id>/stranger/*`` and ``<id>/<method>/*``."""
    for person in sorted(folder for folder in data.iterdir() if (folder / "reference").is_dir()):
        known = [relative(path, data) for path in pictures(person / "reference")][:count]
        for folder in sorted(path for path in person.iterdir() if path.is_dir() and path.name != "reference"):
            family = _NAMED.get(folder.name, "FS")
            for path in pictures(folder):
                yield _item(relative(path, data), person.name, family, folder.name, known, "test")


def _item(path: str, person: str, family: str, method: str, known: list[str], split: Split) -> Item:
    return Item(
        path,
        "reference",
        (path,),
        FAMILIES[family],
        references=tuple(known),
        cluster=person,
        person=person,
        method=method,
        split=split,
    )


BENCHMARK = Benchmark(
    name="vipbench",
    title="VIPBench / VIPGuard: the person, a forgery of the person, or someone else",
    layout="id0/r_r_i/…/2.png, real.png, r_r_d_i, r_fs_i, r_efs_i below Training_Img; a published JSON list; "
    "id/reference, id/real, id/stranger and id/METHOD; or manifest.csv with identity, path, family (REAL, FS, EFS, "
    "STRANGER), method and split (reference, val, test).",
    polarity="Published: label 0 and answer [Yes] are the person (r_r_i), label 1 and [No] all else. Here the person "
    "is positive, and the score is the probability that it is the person, so a published label 0 must score high.",
    read=_read,
    switches={"references": "at most so many reference photos for each identity, 3"},
    source="training tree and JSON read in the published code and files; the evaluation tree is not published",
)
