# ruff: noqa: E402
"""An adapter for one person: learned from real photos by a small random model, kept encrypted, forgotten."""

from __future__ import annotations

import json
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from PIL import Image
from typer.testing import CliRunner, Result

from facewitness.agent.people import Adapter, PeopleStore, Template
from facewitness.agent.people.store import FILE
from facewitness.agent.sight import REFERENCE
from facewitness.errors import InvalidOption, InvalidReference, StoreCorrupt, UnknownPerson
from facewitness.evals import person_adapter as evaluation
from facewitness.finetune import person, person_pictures
from facewitness.finetune.comparisons import volunteers
from facewitness.finetune.person import Examiner, learn
from facewitness.finetune.person_pictures import FORGERY, OTHER, PERSON, Lesson, Portrait, portrait
from facewitness.finetune.vlm import embedded
from facewitness.finetune.vlm.layouts import Layout
from facewitness.tools import weights
from facewitness.tools.evidence import ModelCard
from facewitness.tools.image import load
from facewitness.ui.cli import app

from . import data_photos, vlm_models

SHA = "ab" * 32
SFACE = ModelCard("sface", "2021dec", "cd" * 32, "Apache-2.0", True)
TEXTS = [REFERENCE.prompt] + [f"{REFERENCE.opening} {answer}." for answer in REFERENCE.answers]


def saved(folder: Path, pictures: list[np.ndarray]) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number}.jpg" for number in range(len(pictures))]
    for file, rgb in zip(files, pictures):
        assert cv2.imwrite(str(file), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return files


@pytest.fixture(scope="module")
def photos(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of one person."""
    rgb = load(astronaut).rgb[:320, 60:400]
    looks = [cv2.convertScaleAbs(rgb, alpha=0.85 + 0.08 * number) for number in range(4)]
    return saved(tmp_path_factory.mktemp("person") / "photos", looks)


@pytest.fixture(scope="module")
def strangers(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Negatives, stretched: faces to the detector, and nobody whom SFace knows."""
    rgb = 255 - load(astronaut).rgb[:320, 60:400]
    wide = [cv2.resize(rgb, None, fx=1.5 + 0.04 * number, fy=1) for number in range(4)]
    return saved(tmp_path_factory.mktemp("others") / "photos", wide)[0].parent


@pytest.fixture(scope="module")
def portraits(photos: list[Path]) -> list[Portrait]:
    return [portrait(file) for file in photos]


@pytest.fixture(scope="module")
def others(strangers: Path, portraits: list[Portrait]) -> list[Portrait]:
    return person_pictures.others(strangers, portraits, 0)


@pytest.fixture(scope="module")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return embedded.assemble(*vlm_models.smol(TEXTS), vlm_models.tower(tmp_path_factory.mktemp("tower")))


@pytest.fixture(scope="module")
def examiner(assembled: tuple[Any, Any]) -> Examiner:
    return Examiner(*assembled, SHA)


@pytest.fixture(scope="module")
def lesson(portraits: list[Portrait], others: list[Portrait]) -> Lesson:
    return person_pictures.lesson(portraits, others, 0)


# --- the pictures


def test_each_answer_is_right_of_a_third(lesson: Lesson) -> None:
    for part, each in ((lesson.fit, person_pictures.EACH), (lesson.held, person_pictures.EACH_HELD)):
        assert {label: [picture.label for picture in part].count(label) for label in (PERSON, FORGERY, OTHER)} == {
            PERSON: each, FORGERY: each, OTHER: each,
        }  # fmt: skip
        assert {picture.rgb.shape for picture in part} == {(256, 256, 3)}
    assert len(lesson.references) == 3 and len(set(lesson.photos)) == 4


def test_what_is_held_out_is_of_other_photos(
    portraits: list[Portrait], others: list[Portrait], lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_pictures, "_sent", lambda rgb, rng: rgb)
    plain = person_pictures.lesson(portraits, others, 0)
    seen = [{p.rgb.tobytes() for p in part if p.label == PERSON} for part in (plain.fit, plain.held)]
    assert (len(seen[0]), len(seen[1])) == (3, 1) and not seen[0] & seen[1]
    assert seen[0] == {rgb.tobytes() for rgb in plain.references}
    forged = [p.rgb for p in plain.fit if p.label == FORGERY]
    assert not {rgb.tobytes() for rgb in forged} & (seen[0] | seen[1])


def test_the_same_seed_makes_the_same_pictures(
    portraits: list[Portrait], others: list[Portrait], lesson: Lesson
) -> None:
    again, other = (person_pictures.lesson(portraits, others, seed) for seed in (0, 1))
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(again.fit, lesson.fit))
    assert not all(np.array_equal(a.rgb, b.rgb) for a, b in zip(other.fit, lesson.fit))


def test_photos_of_the_person_among_the_others_are_passed_over(
    photos: list[Path], strangers: Path, portraits: list[Portrait], tmp_path: Path
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for file in (photos[0], *strangers.iterdir()):
        kind = "p" if file is photos[0] else "s"
        (tmp_path / "deep" / "er" / f"{kind}{file.name}").write_bytes(file.read_bytes())
    (tmp_path / "notes.jpg").write_text("no picture")
    found = person_pictures.others(tmp_path, portraits, 0)
    assert len(found) == 4 and portraits[0].sha256 not in {made.sha256 for made in found}
    for folder in (photos[0].parent, tmp_path / "none"):
        with pytest.raises(InvalidOption) as caught:
            person_pictures.others(folder, portraits, 0)
        assert caught.value.code == "input.invalid_option"


# --- the learning


def test_a_photos_own_tokens_answer_as_the_model_does(
    examiner: Examiner, assembled: tuple[Any, Any], portraits: list[Portrait]
) -> None:
    """What is read once and continued is the whole question, asked with two pictures."""
    model, processor = assembled
    layout, faces = Layout(processor), [made.side.rgb for made in portraits]
    found = examiner.probabilities(examiner.read(faces), examiner.tokens(faces[:1])[0])
    words, opening = layout.tokenizer, REFERENCE.opening
    spelled = [words(f"{opening} {answer}", add_special_tokens=False)["input_ids"] for answer in REFERENCE.answers]
    start = words(opening, add_special_tokens=False)["input_ids"]
    first = [ids[len(start)] for ids in spelled]
    assert len(set(first)) == len(REFERENCE.answers)
    for row, face in zip(found, faces):
        inputs = layout.prompt([Image.fromarray(rgb) for rgb in (face, faces[0])], REFERENCE.prompt)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([start])], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.no_grad():
            expected = model(**inputs).logits[0, -1, first].softmax(0)
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)


def test_the_loss_falls_and_the_model_stays_as_it_is(
    examiner: Examiner, assembled: tuple[Any, Any], lesson: Lesson
) -> None:
    before = {name: value.clone() for name, value in assembled[0].state_dict().items()}
    said: list[str] = []
    learned = learn(examiner, lesson, 24, 0, said.append)
    assert learned.tokens.shape == (person.TOKENS, 32) and learned.tokens.dtype == np.float32
    assert max(after / before for after, before in zip(learned.after, learned.before)) < 0.8
    assert 0 < learned.steps <= len(said) <= 24
    assert all(torch.equal(value, before[name]) for name, value in assembled[0].state_dict().items())
    again = learn(examiner, lesson, 24, 0, said.append)
    assert np.array_equal(again.tokens, learned.tokens) and again[1:] == learned[1:]
    assert not np.array_equal(learn(examiner, lesson, 24, 1, said.append).tokens, learned.tokens)


def test_tokens_that_bring_nothing_on_held_out_photos_are_not_kept(examiner: Examiner, lesson: Lesson) -> None:
    wrong = {PERSON: OTHER, OTHER: FORGERY, FORGERY: PERSON}
    contrary = lesson._replace(held=tuple(p._replace(label=wrong[p.label]) for p in lesson.fit))
    said: list[str] = []
    learned = learn(examiner, contrary, 200, 0, said.append)
    assert len(said) < 200
    assert learned.after[1] <= learned.before[1]


def test_one_photo_is_enough_but_nothing_is_held_out(
    examiner: Examiner, portraits: list[Portrait], others: list[Portrait]
) -> None:
    alone = person_pictures.lesson(portraits[:1], others, 0)
    assert alone.held == () and len(alone.references) == 1
    learned = learn(examiner, alone, 12, 0, lambda text: None)
    assert learned.steps == 12 and len(learned.before) == 1 and learned.after[0] < learned.before[0]


# --- the store


def adapter(seed: int = 0, **changes: Any) -> Adapter:
    tokens = np.random.default_rng(seed).normal(size=(8, 576)).astype(np.float32)
    return Adapter(**{
        "tokens": tokens, "weights_sha256": SHA, "photos": (f"{seed:064}",), "validated": True,
        "created_at": datetime(2026, 11, 25, 12, tzinfo=UTC), **changes,
    })  # fmt: skip


def template(seed: int) -> Template:
    return Template(np.random.default_rng(seed).normal(size=128).astype(np.float32), f"{seed:064}", SFACE)


@pytest.fixture
def store(tmp_path: Path) -> PeopleStore:
    made = PeopleStore(tmp_path / "home")
    made.enroll("Ada", [template(1)])
    made.enroll("Bob", [template(2)])
    return made


def hits(folder: Path, canaries: list[bytes]) -> list[str]:
    return [file.name for file in folder.iterdir() for canary in canaries if canary in file.read_bytes()]


def raw(store: PeopleStore, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with sqlite3.connect(store.folder / FILE) as db:
        rows = db.execute(sql, values).fetchall()
    db.close()
    return rows


def test_it_comes_back_as_it_was(store: PeopleStore) -> None:
    given = adapter()
    assert store.person("Ada").adapter is None
    assert store.adapt("ADA", adapter(5)).name == "Ada"
    store.adapt("Ada", given)
    found = PeopleStore(store.folder).person("ada").adapter
    assert found is not None and np.array_equal(found.tokens_for(SHA), given.tokens)
    assert found.tokens.dtype == np.float32
    for name in ("weights_sha256", "photos", "validated", "created_at", "version"):
        assert getattr(found, name) == getattr(given, name)
    assert [one.adapter is None for one in store.people()] == [False, True]
    assert store.enroll("Ada", [template(3)]).adapter is not None
    assert raw(store, "SELECT count(*) FROM adapters") == [(1,)]
    with pytest.raises(UnknownPerson):
        store.adapt("Eve", given)


def test_it_is_sealed_and_goes_with_the_person(store: PeopleStore) -> None:
    given = adapter(7)
    clear = [given.tokens.tobytes()[:32], given.tokens.tobytes()[8000:8032], SHA.encode(), given.photos[0].encode()]
    store.adapt("Ada", given)
    store.adapt("Bob", adapter(8))
    assert hits(store.folder, clear) == []
    rows = raw(store, "SELECT * FROM adapters ORDER BY rowid LIMIT 1")[0]
    sealed = [value.encode() if isinstance(value, str) else value[:32] for value in rows]
    assert all(hits(store.folder, [canary]) for canary in sealed), "the search must be able to find what is there"
    store.forget("Ada")
    assert hits(store.folder, clear + sealed) == []
    assert store.person("Bob").adapter is not None


@pytest.mark.parametrize("column", ["id", "facts", "tokens"])
def test_one_flipped_bit_is_found(store: PeopleStore, column: str) -> None:
    store.adapt("Ada", adapter())
    ((value,),) = raw(store, f"SELECT {column} FROM adapters")
    blob = bytearray(value.encode() if isinstance(value, str) else value)
    blob[5] ^= 1
    changed: object = blob.decode() if isinstance(value, str) else bytes(blob)
    raw(store, f"UPDATE adapters SET {column} = ?", changed)
    for call in (store.people, lambda: store.person("Ada")):
        with pytest.raises(StoreCorrupt):
            call()


def test_one_moved_to_another_person_is_found(store: PeopleStore) -> None:
    store.adapt("Ada", adapter())
    (other,) = raw(store, "SELECT id FROM people ORDER BY rowid DESC LIMIT 1")
    raw(store, "UPDATE adapters SET person = ?", other[0])
    with pytest.raises(StoreCorrupt):
        store.person("Bob")


def test_other_weights_and_other_releases_are_refused() -> None:
    for held in (adapter(weights_sha256="cd" * 32), adapter(version=99)):
        with pytest.raises(InvalidReference, match="learn it again") as caught:
            held.tokens_for(SHA)
        assert caught.value.code == "input.invalid_reference"
    for tokens in (np.full((8, 4), np.nan, np.float32), np.zeros((0, 4), np.float32), np.zeros(4, np.float32)):
        with pytest.raises(InvalidOption):
            adapter(tokens=tokens)


# --- the command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examiner: Examiner) -> PeopleStore:
    """A store of its own, and the small model in the place of the registered one."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "weights").symlink_to(weights.store())
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(person, "opened", lambda folder=None: examiner)
    return PeopleStore()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_from_photos_to_an_adapter_and_away(home: PeopleStore, photos: list[Path], strangers: Path) -> None:
    assert run("enroll", "Ada", photos[0]).exit_code == 0
    said = run("finetune", "person", "ada", *photos, "--others", strangers, "--steps", 8, "--seed", 3)
    assert said.exit_code == 0, said.output
    assert said.stdout == "Ada has an adapter, learned from 4 photos.\n"
    assert "Loss of what was held out" in said.stderr and "not validated" not in said.stderr
    assert "adapter of 20" in run("people").output
    (row,) = json.loads(run("people", "--json").stdout)
    assert (row["adapter"]["photos"], row["adapter"]["validated"], row["adapter"]["weights_sha256"]) == (4, True, SHA)
    assert run("forget", "Ada", "--yes").exit_code == 0
    assert raw(home, "SELECT count(*) FROM adapters") == [(0,)]


def test_kept_photos_need_not_be_given(home: PeopleStore, photos: list[Path], strangers: Path) -> None:
    assert run("enroll", "Ada", photos[0], "--keep-photos").exit_code == 0
    said = run("finetune", "person", "Ada", "--others", strangers, "--steps", 1)
    assert said.stdout == "Ada has an adapter, learned from 1 photo.\n"
    assert "not validated: that takes 4 photos" in said.stderr
    held = home.person("Ada").adapter
    assert held is not None and held.photos == (home.templates("Ada")[0].photo_sha256,) and not held.validated
    assert run("enroll", "Bob", photos[0]).exit_code == 0
    assert json.loads(run("people", "--json").stdout)[1]["adapter"] is None


def test_what_cannot_be_learned_from(
    home: PeopleStore, photos: list[Path], strangers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sorted(strangers.iterdir())[0]
    wall = saved(tmp_path / "walls", [np.full((300, 300, 3), 120, np.uint8)])[0]
    assert run("enroll", "Ada", photos[0]).exit_code == 0

    def refused(code: str, words: str, *arguments: object) -> None:
        error: Any = run("finetune", "person", *arguments).exception
        assert error.code == code and words in str(error)

    refused("input.unknown_person", "Eve", "Eve", photos[0], "--others", strangers)
    refused("input.invalid_option", "name the files", "Ada", "--others", strangers)
    refused("input.invalid_reference", f"{other.name}: The face does not look", "Ada", other, "--others", strangers)
    refused("face.none", f"{wall.name}: ", "Ada", wall, "--others", strangers)
    refused("input.invalid_option", "There is no folder", "Ada", photos[0], "--others", tmp_path / "nowhere")
    refused("input.invalid_option", "a clear face of another person", "Ada", photos[0], "--others", wall.parent)
    assert run("finetune", "person", "Ada", photos[0]).exit_code == 2  # without --others
    assert home.person("Ada").adapter is None
    _without(monkeypatch, "facewitness.finetune.person", "torch")
    refused("input.invalid_option", "install facewitness[finetune]", "Ada", photos[0], "--others", strangers)


def _without(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    """As where a package is not installed."""
    import facewitness.finetune

    monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(facewitness.finetune, module.rpartition(".")[2])
    monkeypatch.setitem(sys.modules, package, None)


def test_the_help_tells_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert f"{person.STEPS} by default" in run("finetune", "person", "--help").output


# --- the evaluation


def test_the_evaluation_asks_with_the_photo_and_with_the_adapter(
    examiner: Examiner, astronaut: Path, tmp_path: Path
) -> None:
    everybody = volunteers(data_photos.build(tmp_path, astronaut))
    unseen = [one for one in everybody if one.split == "test"]
    asked = evaluation.questions(unseen, 2)
    assert list(asked) == [one.name for one in unseen[:2]] and len(unseen) == 3
    assert [[picture.label for picture in pictures].count(PERSON) for pictures in asked.values()] == [2, 2]
    answers, losses = evaluation.asked(examiner, everybody, 2, 6)
    assert [(a.claimed, a.label) for a in answers] == [(name, p.label) for name in asked for p in asked[name]]
    assert all(loss["after"] < loss["before"] for loss in losses) and len(losses) == 2
    assert all(0 < a.photo < 1 and 0 < a.adapter < 1 and a.photo != a.adapter for a in answers)


def test_the_figures_of_the_evaluation() -> None:
    rows = [
        (PERSON, 0.9, 0.9), (FORGERY, 0.95, 0.1), (OTHER, 0.1, 0.95), (PERSON, 0.8, 0.8), (FORGERY, 0.1, 0.2),
        (OTHER, 0.2, 0.85),
    ]  # fmt: skip
    answers = [evaluation.Answer(str(number // 3), *row) for number, row in enumerate(rows)]
    found = evaluation.figures(answers)
    assert found["pictures"] == {PERSON: 2, FORGERY: 2, OTHER: 2}
    against = found[f"auc of the person against {FORGERY}"]
    assert [against[name]["value"] for name in ("photo", "adapter", "adapter less photo")] == [0.5, 1, 0.5]
    against = found[f"auc of the person against {OTHER}"]
    assert [against[name]["value"] for name in ("photo", "adapter")] == [1, 0.25]
