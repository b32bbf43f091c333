"""People's own photos: a folder with ``real`` and ``fake`` below it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .item import AUTHENTIC, FORGED, MANIPULATED, SYNTHETIC, Benchmark, Item, Switches, choice, pictures, relative

_KINDS = {"unknown": FORGED, MANIPULATED: MANIPULATED, SYNTHETIC: SYNTHETIC}


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    kind = _KINDS[choice(switches, "kind", *_KINDS)]
    if not (data / "real").is_dir() or not (data / "fake").is_dir():
        return
    for name, truth in (("real", AUTHENTIC), ("fake", kind)):
        for path in pictures(data / name):
            below = path.relative_to(data / name).parts
            id_ = relative(path, data)
            method = "" if truth == AUTHENTIC else below[0] if len(below) > 1 else "fake"
            yield Item(id_, "forgery", (id_,), truth, cluster=id_, method=method)


BENCHMARK = Benchmark(
    name="folder",
    title="Own photos in real/ and fake/",
    layout="real/ and fake/ with pictures; a folder below fake/ names a method.",
    polarity="A picture in fake/ is positive: forged. Every picture counts as a person of its own.",
    read=_read,
    switches={"kind": "what the fakes are: unknown, manipulated or synthetic; unknown leaves three-way figures out"},
    source="our own",
)
