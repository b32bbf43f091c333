"""The data engines on real tools: grounded, true to the masks and labels, nobody in two splits, the same for a seed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facewitness.agent import grounding
from facewitness.errors import InvalidOption
from facewitness.finetune.data import __main__ as making_sets
from facewitness.finetune.data import card, catalogue, short, shortcuts, store
from facewitness.finetune.data.sample import Sample
from facewitness.ui.cli import app

from . import data_photos

ENGINES = ("expression", "forgery", "reference", "attributes")
EACH = 10


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    return data_photos.build(tmp_path_factory.mktemp("photos"), astronaut)


@pytest.fixture(scope="module")
def samples(photos: Path) -> list[Sample]:
    return list(making_sets.made(ENGINES, catalogue.shots(photos), EACH, 0, None))


def faults(samples: list[Sample]) -> Iterator[str]:
    for sample in samples:
        for claim in sample.claims:
            if fault := grounding.why_unsupported(claim, sample.brief()):
                yield f"{sample.id} {claim.text}: {fault}"


def test_every_engine_gives_samples_and_every_sentence_is_grounded(samples: list[Sample]) -> None:
    assert {sample.engine for sample in samples} == set(ENGINES)
    assert len(samples) > 3 * EACH
    assert not list(faults(samples))


def test_an_answer_says_its_claims_and_cites_them(samples: list[Sample]) -> None:
    for sample in samples:
        if sample.form == "json":
            said = [(row["text"], tuple(row["evidence"])) for row in json.loads(sample.answer)]
        else:
            found = re.findall(r"(?:^|(?<=\]\. )|(?<=\n)|(?<=: ))([^\[\]\n]+?) \[([e\d, ]+)\]\.", sample.answer)
            said = [(f"{text}.", tuple(ids.split(", "))) for text, ids in found]
        told = sorted((claim.text, claim.evidence) for claim in sample.claims)
        assert [ids for _, ids in sorted(said)] and len(said) == len(told)
        assert {text for text, _ in told} >= {text for text, _ in said} or sample.form == "headed"
        assert sorted(ids for _, ids in said) == sorted(ids for _, ids in told)


def test_a_prompt_states_what_is_given_and_nothing_that_is_to_be_seen(samples: list[Sample]) -> None:
    for sample in samples:
        assert sample.prompt.count("<image>") == len(sample.images)
        for item in sample.evidence:
            assert (item.finding in sample.prompt) == (item.id in sample.given), item
            assert item.id in sample.prompt


def test_what_is_seen_is_what_the_masks_say(samples: list[Sample]) -> None:
    for sample in samples:
        if sample.engine not in ("forgery", "reference") or "unreadable" in sample.conditions:
            continue
        altered = [name for name, state in sample.truth["regions"].items() if state == "altered"]
        assert bool(altered) == (sample.truth["made"] in ("manipulated", "a forgery of the person"))
        assert sample.label == sample.truth["made"]


def test_nobody_is_in_two_splits(samples: list[Sample]) -> None:
    splits: dict[str, set[str]] = {}
    for sample in samples:
        for name in sample.people:
            splits.setdefault(name, set()).add(sample.split)
    assert all(len(found) == 1 for found in splits.values())


def test_pictures_are_lossless_and_whole(samples: list[Sample]) -> None:
    for sample in samples:
        for data in sample.images:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None and picture.shape[0] == 256 and picture.shape[1] % 256 == 0


def test_a_set_survives_the_disk_and_is_the_same_again(photos: Path, samples: list[Sample], tmp_path: Path) -> None:
    again = list(making_sets.made(("forgery", "attributes"), catalogue.shots(photos), 4, 0, None))
    first = {sample.id for sample in samples}
    assert {sample.id for sample in again} <= first
    for name in ("a", "b"):
        store.write(tmp_path / name, samples)
    files = [f"{split}.parquet" for split in catalogue.SPLITS]
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    held = [sample for file in files for sample in store.read(tmp_path / "a" / file)]
    assert {sample.id for sample in held} == first
    assert not list(faults(held))


def test_datasets_reads_pictures(samples: list[Sample], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    store.write(tmp_path, samples)
    found = datasets.Dataset.from_parquet(str(tmp_path / "fit.parquet"), cache_dir=str(tmp_path / "cache"))
    assert found[0]["images"][0].size[1] == 256
    assert found[0]["messages"][0]["content"].startswith("<image>")


def test_the_card_names_sources_terms_and_counts(samples: list[Sample], tmp_path: Path) -> None:
    card.write(tmp_path, samples, seed=7)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "seed 7" in text and "CC BY 4.0" in text and "contradicting" in text
    total = sum(int(n) for row in re.findall(r"^\| \w+ \| .+ \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M) for n in row)
    assert total == len(samples)


def test_show_prints_samples(samples: list[Sample], tmp_path: Path) -> None:
    store.write(tmp_path, samples)
    shown = CliRunner().invoke(
        app, ["data", "show", str(tmp_path), "--engine", "reference", "--split", "fit", "--n", "1"]
    )
    assert shown.exit_code == 0, shown.output
    assert "reference, fit" in shown.output and "label" in shown.output
    other = tmp_path / "other.parquet"
    other.write_bytes(b"nothing")
    refused = CliRunner().invoke(app, ["data", "show", str(other)])
    assert isinstance(refused.exception, InvalidOption)


def test_the_short_form_asks_as_the_agent_asks(samples: list[Sample], tmp_path: Path) -> None:
    """Its fixed questions, nothing given, the same pictures and labels; every sentence is grounded again."""
    store.write(tmp_path / "set", samples)
    short.make([tmp_path / "set"], tmp_path / "short", whole=0.0, seed=0)
    made = [s for split in catalogue.SPLITS for s in store.read(tmp_path / "short" / f"{split}.parquet")]
    assert {sample.engine for sample in made} == set(ENGINES) and not list(faults(made))
    labels = {(sample.images, sample.label) for sample in samples}
    for sample in made:
        assert (sample.images, sample.label) in labels and not sample.given
        look = short.LOOKS.get(sample.engine)
        assert sample.prompt == look.prompt if look else sample.prompt.endswith(f"e1 {sample.evidence[0].measure[6:]}.")
        if look:
            said = "a neutral expression" if sample.label == "neutral" else sample.label
            assert sample.answer.startswith(f"{look.opening} {said} [") and said in look.answers
    both = tmp_path / "both"
    short.make([tmp_path / "set"], both, whole=1.0, seed=0)
    whole = [s for split in catalogue.SPLITS for s in store.read(both / f"{split}.parquet") if s.given]
    assert whole and {sample.id for sample in whole} <= {sample.id for sample in samples}


def test_the_features_engine_needs_cues(photos: Path) -> None:
    with pytest.raises(InvalidOption, match="cues"):
        next(making_sets.made(("features",), catalogue.shots(photos), 1, 0, None))


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="frll_london"):
        catalogue.shots(tmp_path)


@pytest.mark.data
@pytest.mark.timeout(900)
def test_many_samples_are_grounded(data: Path) -> None:
    found = list(making_sets.made(ENGINES, catalogue.shots(data), 72, 0, None))
    assert not list(faults(found))


@pytest.mark.data
@pytest.mark.timeout(900)
def test_the_frame_of_a_forgery_sample_says_nothing(data: Path) -> None:
    found = list(making_sets.made(("forgery",), catalogue.shots(data), 72, 0, None))
    readers = {reader.reader: reader for reader in shortcuts.blind(found)}
    for name in ("frame, words", "frame, length"):
        assert readers[name].low < 0.5, (name, readers[name])
