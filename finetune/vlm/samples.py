"""Samples of a Parquet set as a model is trained on them, in batches whose order is known at any step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ...errors import InvalidOption
from ..data.catalogue import SPLITS
from ..training import batches
from .layouts import Inputs, Layout, collate


class Samples(Dataset[Inputs]):
    """Rows of one file that are short enough.

    Args:
        file: One split, as ``data.store`` writes it.
        layout: The model's.
        cache: Folder for the memory-mapped copy that ``datasets`` makes.

    Attributes:
        rows: Numbers of the rows that are taken, all until ``fit`` is called.
        lengths: Tokens of each, pictures included; none until then.
    """

    def __init__(self, file: Path, layout: Layout, cache: Path) -> None:
        from datasets import Dataset as Table
        from datasets.utils.logging import disable_progress_bar

        if not file.is_file():
            raise InvalidOption(f"There is no {file.name} in the folder of the data set.")
        disable_progress_bar()
        table: Any = Table.from_parquet(str(file), cache_dir=str(cache))
        if missing := {"id", "images", "messages"} - set(table.column_names):
            raise InvalidOption(f"{file.name} is no set of samples: it lacks {', '.join(sorted(missing))}.")
        self.table, self.layout = table.select_columns(["id", "images", "messages"]), layout
        self.rows = list(range(len(table)))
        self.lengths: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Inputs:
        """What ``Layout.taught`` gives, of one sample."""
        held = self.table[self.rows[place]]
        user, assistant = (turn["content"] for turn in held["messages"])
        return self.layout.taught([image.convert("RGB") for image in held["images"]], user, assistant)

    def fit(self, sequence: int, workers: int = 0) -> int:
        """Measure all samples and leave out those that are longer than ``sequence``; how many are left out.

        Raises:
            InvalidOption: Nothing is left.
        """
        found = DataLoader(self, batch_size=None, num_workers=workers, generator=torch.Generator())
        lengths = [item["input_ids"].shape[1] for item in found]
        short = [place for place, length in enumerate(lengths) if length <= sequence]
        if not short:
            raise InvalidOption(f"All samples are longer than {sequence} tokens; the shortest has {min(lengths)}.")
        self.rows = [self.rows[place] for place in short]
        self.lengths = [lengths[place] for place in short]
        return len(lengths) - len(short)

    def digest(self) -> str:
        """Hash of the samples that are taken and of their lengths."""
        ids = self.table["id"]
        text = "\n".join(f"{ids[row]} {length}" for row, length in zip(self.rows, self.lengths, strict=True))
        return hashlib.sha256(text.encode()).hexdigest()


def opened(data: Path, layout: Layout, cache: Path) -> dict[str, Samples]:
    """The splits that training takes, ``fit`` and ``calibration``; ``test`` is not opened."""
    return {split: Samples(data / f"{split}.parquet", layout, cache) for split in SPLITS[:2]}


def order(lengths: Sequence[int], batch: int, seed: int, start: int, stop: int) -> Iterator[list[int]]:
    """The places of each step's samples: every one once an epoch, in each step by length.

    Steps are drawn without a look at lengths: answers of one length are often the same answer. By length within a step,
    the parts it is split into need little padding.

    Args:
        lengths: Of all samples.
        batch: Samples a step; an epoch leaves out the rest that does not fill one.
        seed: Decides the order.
        start: Steps done already.
        stop: Steps in all.
    """
    for _, places in batches(len(lengths), batch, seed, start, stop):
        yield sorted(places.tolist(), key=lambda place: lengths[place])


def loader(samples: Samples, parts: Iterator[list[int]] | list[list[int]], workers: int) -> DataLoader[Inputs]:
    """Batches of the given places."""
    padding = samples.layout.tokenizer.pad_token_id
    # A generator of its own: the loader would otherwise draw from torch's.
    return DataLoader(
        samples,
        batch_sampler=parts,
        num_workers=workers,
        collate_fn=partial(collate, padding=padding),
        generator=torch.Generator(),
    )
