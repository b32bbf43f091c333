"""FakeClue: a JSON list of ``{image, label, cate, conversations}``, where label 0 is FAKE and 1 is real."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import InvalidOption
from .item import AUTHENTIC, FORGED, Benchmark, Item, Switches, read_json

_TRUTH = {"0": FORGED, "1": AUTHENTIC}
_SAID = re.compile(r"\b(?:is|looks|appears)(?: to be)? (?:a )?(real|fake)\b", re.IGNORECASE)


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    for file in [data] if data.is_file() else sorted([*data.glob("*.json"), *data.glob("data_json/*.json")]):
        for row in read_json(file):
            if str(row.get("label")) not in _TRUTH or not row.get("image"):
                raise InvalidOption(f"{file.name}: a row has no image, or a label that is neither 0 nor 1.")
            if "category" not in switches or row.get("cate") == switches["category"]:
                yield _item(file.name, row)


def _item(file: str, row: Mapping[str, Any]) -> Item:
    truth, path = _TRUTH[str(row["label"])], str(row["image"])
    words = next((turn["value"] for turn in row.get("conversations", []) if turn["from"] == "gpt"), "")
    said = _SAID.search(words.split(".")[0])
    stated = said and (FORGED if said[1].lower() == "fake" else AUTHENTIC)
    folders = {
        AUTHENTIC if part == "real" else FORGED for part in PurePosixPath(path).parts if part in ("real", "fake")
    }
    if (stated and stated != truth) or (folders and folders != {truth}):
        raise InvalidOption(f"{file}: the label of {path} disagrees with its folder or with its answer; 0 is fake.")
    category = str(row.get("cate", ""))
    method = "" if truth == AUTHENTIC else category or "fake"
    return Item(path, "forgery", (path,), truth, cluster=path, method=method, groups={"category": category or "none"})


BENCHMARK = Benchmark(
    name="fakeclue",
    title="FakeClue: pictures of seven kinds with explanations",
    layout="a JSON list [{image, label, cate, conversations}], or a folder with it or with data_json/*.json.",
    polarity="Published label 0 is FAKE, 1 is real, the other way round than nearly everywhere. Here fake is positive; "
    "a row whose label disagrees with its folder or with its own answer is refused.",
    read=_read,
    switches={"category": "only this one, such as deepfake; other pictures show no faces"},
    source="a sample row in the README of DF-LLaVA, and FakeVLM's issue 5",
)
