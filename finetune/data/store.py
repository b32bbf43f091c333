"""Samples as Parquet: one file a split, pictures inside, readable by ``datasets`` without help.

Pictures are embedded as PNG, not referenced: most are forgeries that exist nowhere else, a set moves as one folder, and
its hash covers what a model sees. The same samples give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...agent.verdict import Claim
from ...errors import InvalidOption, ToolUnavailable
from ...tools.evidence import Evidence
from .catalogue import SPLITS
from .sample import Sample

if TYPE_CHECKING:
    from types import ModuleType

ROWS = 64
"""Rows in a group: what a reader holds in memory at a time."""

_TEXT = ("id", "engine", "split", "source", "question", "mode", "form", "label")
_LISTS = ("people", "given", "deciding", "conditions")
_CLAIM = {"section": "string", "text": "string", "evidence": ["string"]}
_EVIDENCE = {
    **dict.fromkeys(("id", "measure", "tool", "finding", "value", "status"), "string"),
    "probability": "float64",
    "numbers": ["float64"],
}
_SHAPE: Mapping[str, Any] = {
    **dict.fromkeys(_TEXT, "string"),
    **{name: ["string"] for name in _LISTS},
    "images": [{"bytes": "binary", "path": "string"}],
    "messages": [{"role": "string", "content": "string"}],
    "claims": [_CLAIM],
    "evidence": [_EVIDENCE],
    "truth": "string",
}
"""Columns: a name is a type, a list holds items of one shape, a mapping is a struct."""


def write(folder: Path, samples: Iterable[Sample]) -> list[Sample]:
    """Store samples by split.

    Returns:
        The samples without their pictures, for a card; ids that hash pictures are in the files.

    Raises:
        ToolUnavailable: pyarrow is not installed.
    """
    arrow, parquet = _library()
    schema = arrow.schema(list(_types(arrow, _SHAPE).items())).with_metadata({"huggingface": _features()})
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, Any] = {split: parquet.ParquetWriter(folder / f"{split}.parquet", schema) for split in SPLITS}
    waiting: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    kept = []
    for sample in samples:
        kept.append(replace(sample, images=()))
        rows = waiting[sample.split]
        rows.append(row(sample))
        if len(rows) == ROWS:
            writers[sample.split].write_table(arrow.Table.from_pylist(rows, schema))
            rows.clear()
    for split, writer in writers.items():
        if waiting[split]:
            writer.write_table(arrow.Table.from_pylist(waiting[split], schema))
        writer.close()
    return kept


def read(file: Path) -> Iterator[Sample]:
    """Samples of one Parquet file, in order.

    Raises:
        InvalidOption: The file is not a set of samples.
        ToolUnavailable: pyarrow is not installed.
    """
    arrow, parquet = _library()
    try:
        stored = parquet.ParquetFile(file)
        if missing := set(_SHAPE) - set(stored.schema_arrow.names):
            raise InvalidOption(f"{file.name} is no set of samples: it lacks {', '.join(sorted(missing))}.")
        for batch in stored.iter_batches(ROWS):
            yield from map(_sample, batch.to_pylist())
    except (OSError, arrow.ArrowInvalid) as error:
        raise InvalidOption(f"{file.name} is not a Parquet file that can be read.") from error


def row(sample: Sample) -> dict[str, Any]:
    """One row, of plain types."""
    turns = (("user", sample.prompt), ("assistant", sample.answer))
    evidence = []
    for item in sample.evidence:
        held = {name: getattr(item, name) for name in _EVIDENCE}
        evidence.append({**held, "value": json.dumps(item.value), "numbers": list(item.numbers)})
    return {
        **{name: getattr(sample, name) for name in _TEXT},
        **{name: list(getattr(sample, name)) for name in _LISTS},
        "images": [{"bytes": data, "path": None} for data in sample.images],
        "messages": [{"role": role, "content": content} for role, content in turns],
        "claims": [{"section": c.section, "text": c.text, "evidence": list(c.evidence)} for c in sample.claims],
        "evidence": evidence,
        "truth": json.dumps(sample.truth, sort_keys=True),
    }


def _sample(held: dict[str, Any]) -> Sample:
    evidence = tuple(
        Evidence(**{**item, "value": json.loads(item["value"]), "numbers": tuple(item["numbers"])})
        for item in held["evidence"]
    )
    claims = tuple(Claim(c["text"], tuple(c["evidence"]), c["section"], supported=True) for c in held["claims"])
    fields: dict[str, Any] = {name: held[name] for name in _TEXT if name != "id"}
    fields |= {name: tuple(held[name]) for name in _LISTS}
    return Sample(
        **fields,
        images=tuple(picture["bytes"] for picture in held["images"]),
        prompt=held["messages"][0]["content"],
        answer=held["messages"][1]["content"],
        claims=claims,
        evidence=evidence,
        truth=json.loads(held["truth"]),
    )


def _types(arrow: ModuleType, shape: Mapping[str, Any]) -> dict[str, Any]:
    def one(of: Any) -> Any:
        if isinstance(of, str):
            return getattr(arrow, of)()
        if isinstance(of, list):
            return arrow.list_(one(of[0]))
        return arrow.struct(list(_types(arrow, of).items()))

    return {name: one(of) for name, of in shape.items()}


def _features() -> str:
    """What ``datasets`` reads: without it, pictures would come out as bytes."""

    def one(of: Any) -> Any:
        if isinstance(of, str):
            return {"dtype": of, "_type": "Value"}
        return {"feature": one(of[0]), "_type": "List"} if isinstance(of, list) else {k: one(v) for k, v in of.items()}

    shown = {name: one(of) for name, of in _SHAPE.items()}
    shown["images"] = {"feature": {"_type": "Image"}, "_type": "List"}
    return json.dumps({"info": {"features": shown}})


def _library() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ToolUnavailable("Data sets need pyarrow: pip install 'facewitness[finetune]'.") from error
    return pyarrow, pyarrow.parquet
