"""The samples of a run in one file, a line each: of 100,000, one part is in memory at a time.

They are read from the benchmark once; a resumed run has the samples that it began with.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from .benchmarks import Item

PART = 1000
"""Samples that are run and logged together: Inspect keeps some 20 kB of each until its task ends."""


@dataclass(frozen=True)
class Samples:
    """What was written.

    Attributes:
        file: JSON lines.
    """

    file: Path

    def __iter__(self) -> Iterator[Item]:
        """In the benchmark's order."""
        with self.file.open(encoding="utf-8") as lines:
            yield from (Item.from_json(json.loads(line)) for line in lines)

    def parts(self) -> Iterator[list[Item]]:
        """The same, ``PART`` at a time."""
        items = iter(self)
        while part := list(islice(items, PART)):
            yield part

    @cached_property
    def total(self) -> int:
        """How many there are."""
        with self.file.open(encoding="utf-8") as lines:
            return sum(1 for _ in lines)

    @cached_property
    def frequent(self) -> Mapping[str, str]:
        """Most frequent truth of each kind, the first of equals."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for item in self:
            counts[item.kind][item.truth] += 1
        return {kind: count.most_common(1)[0][0] for kind, count in sorted(counts.items())}


def write(items: Iterable[Item], file: Path) -> Samples:
    """Write all samples, or nothing where one cannot be read."""
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(item.to_json()) + "\n" for item in items)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return Samples(file)
