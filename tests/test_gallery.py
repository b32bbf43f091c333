"""One face against all enrolled: exactly the nearest, never one who was forgotten, whatever was interrupted."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facewitness.agent.people import PeopleStore, Template
from facewitness.agent.people.gallery import Gallery
from facewitness.agent.people.nearest import Nearest
from facewitness.agent.people.store import FILE
from facewitness.errors import InvalidOption, StoreCorrupt, StoreKeyUnavailable
from facewitness.tools.evidence import ModelCard
from facewitness.tools.face import Floats
from facewitness.tools.identity import similarity

SFACE = ModelCard("sface", "2021dec", "ab" * 32, "Apache-2.0", True)


def template(feature: Floats, model: ModelCard = SFACE) -> Template:
    return Template(feature, hashlib.sha256(feature.tobytes()).hexdigest(), model)


def feature(seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=128).astype(np.float32) * 2


@pytest.fixture
def store(tmp_path: Path) -> PeopleStore:
    return PeopleStore(tmp_path / "home")


@pytest.fixture
def gallery(store: PeopleStore) -> Gallery:
    return Gallery(store, SFACE)


def nearest(people: dict[str, list[Floats]], asked: Floats, most: int, at_least: float) -> list[tuple[str, float]]:
    """By comparing with everybody, in double precision."""
    wide = asked.astype(np.float64)
    best = [
        (max(float(f @ wide / np.linalg.norm(f) / np.linalg.norm(wide)) for f in features.astype(np.float64)), name)
        for name, features in ((name, np.stack(features)) for name, features in people.items())
    ]
    return [(name, value) for value, name in sorted(best, reverse=True)[:most] if value >= at_least]


def agree(
    gallery: Gallery, people: dict[str, list[Floats]], asked: Floats, most: int = 5, at_least: float = 0.2
) -> int:
    found = gallery.search(asked, most, at_least)
    wanted = nearest(people, asked, most, at_least)
    assert [match.name for match in found] == [name for name, _ in wanted]
    assert [match.similarity for match in found] == pytest.approx([value for _, value in wanted], abs=1e-6)
    return len(found)


def test_the_same_as_comparing_with_everybody(store: PeopleStore, gallery: Gallery) -> None:
    chance = np.random.default_rng(0)
    people = {f"P{number}": [feature(1000 * number + n) for n in range(chance.integers(1, 4))] for number in range(120)}
    for name, features in people.items():
        store.enroll(name, [template(one) for one in features])
    told = [agree(gallery, people, feature(7000 * number)) for number in range(20)]
    told += [agree(gallery, people, feature(n) + feature(1000 * n) * 0.8, most=1 + n % 4) for n in range(20)]
    told += [agree(gallery, people, feature(5), most=500, at_least=-1)]
    assert 0 in told or min(told) < 5
    assert max(told) == 120


def test_people_closer_than_eight_bits_can_tell(store: PeopleStore, gallery: Gallery) -> None:
    one = feature(1)
    people = {f"P{number}": [one + feature(10 + number) * 0.05] for number in range(150)}
    for name, features in people.items():
        store.enroll(name, [template(kept) for kept in features])
    for number in range(10):
        agree(gallery, people, one + feature(500 + number) * 0.05, most=3)


def test_a_scan_proposes_within_its_error() -> None:
    chance = np.random.default_rng(0)
    units = chance.normal(size=(5000, 128)).astype(np.float32)
    units[0, 1:] = 0  # one number holds all: more than 8 bits reach
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    near = Nearest(128)
    ids = [number.to_bytes(16, "big") for number in range(len(units))]
    near.add(b"".join(ids[:2]), units[:2])
    for start in range(2, len(units), 500):
        near.add(b"".join(ids[start : start + 500]), units[start : start + 500])
    near.keep(b"".join(ids[::2]))
    assert len(near) == 2500
    for asked in (units[4], (units[4] + units[0]) / np.linalg.norm(units[4] + units[0])):
        found, error = near.search(asked, 2500)
        assert {id_ for _, id_ in found} == set(ids[::2])
        off = [abs(score - float(asked @ units[int.from_bytes(id_, "big")])) for score, id_ in found]
        assert error / 50 < max(off) <= error


def test_nobody_and_one(store: PeopleStore, gallery: Gallery) -> None:
    assert gallery.search(feature(1)) == []
    assert not store.folder.exists(), "a search makes no store"
    store.enroll("Ada", [template(feature(1))])
    (found,) = gallery.search(feature(1) * 3)
    assert (found.name, found.similarity) == ("Ada", pytest.approx(1, abs=1e-6))
    assert gallery.search(feature(2)) == []


def test_what_another_process_enrolls_and_forgets_counts_at_once(store: PeopleStore, gallery: Gallery) -> None:
    for number in range(6):
        store.enroll(f"P{number}", [template(feature(number))])
    assert gallery.search(feature(3))[0].name == "P3"
    script = (
        "import sys; from facewitness.agent.people import PeopleStore; from pathlib import Path;"
        "PeopleStore(Path(sys.argv[1])).forget('P3')"
    )
    subprocess.run([sys.executable, "-c", script, str(store.folder)], check=True)
    assert gallery.search(feature(3)) == []
    assert len(gallery) == 5
    store.enroll("Again", [template(feature(3))])
    assert gallery.search(feature(3))[0].name == "Again"
    assert [gallery.search(feature(n))[0].name for n in (0, 1, 2, 4, 5)] == ["P0", "P1", "P2", "P4", "P5"]


def test_nothing_readable_on_disk_and_nothing_left_after_forgetting(store: PeopleStore, gallery: Gallery) -> None:
    wanted = feature(9)
    unit = wanted / np.linalg.norm(wanted)
    codes = np.rint(unit * 254).astype(np.int8)
    canaries = [
        wanted.tobytes()[:32],
        unit.tobytes()[:32],
        codes.tobytes()[:16],
        (codes.astype(int) + 128).astype(np.uint8).tobytes(),
    ]
    store.enroll("Bob", [template(feature(1))])
    store.enroll("Canary", [template(wanted)])

    def hits() -> list[str]:
        files = [file for file in store.folder.rglob("*") if file.is_file()]
        return [file.name for file in files for canary in canaries if canary[:16] in file.read_bytes()]

    assert gallery.search(wanted)[0].name == "Canary"
    assert hits() == []
    (id_, sealed) = raw(store, "SELECT id, template FROM templates ORDER BY rowid DESC LIMIT 1")
    files = [file for file in store.folder.rglob("*") if file.is_file()]
    assert any(sealed[:32] in file.read_bytes() for file in files), "the search must be able to find what is there"
    store.forget("Canary")
    assert gallery.search(wanted) == []
    assert hits() == []
    assert not any(c in file.read_bytes() for file in store.folder.rglob("*") for c in (sealed[:32], id_.encode()))


def raw(store: PeopleStore, sql: str, *values: object) -> tuple[object, ...]:
    with sqlite3.connect(store.folder / FILE) as db:
        row = db.execute(sql, values).fetchone()
    db.close()
    return row


def test_killed_at_any_moment_the_gallery_is_what_the_records_say(store: PeopleStore, gallery: Gallery) -> None:
    store.enroll("Stays", [template(feature(0))])
    script = """
import sys
from pathlib import Path
import numpy as np
from facewitness.agent.people import PeopleStore
from tests_gallery import feature, template
store = PeopleStore(Path(sys.argv[1]))
for number in range(1, 10_000):
    store.enroll(f"P{number}", [template(feature(number)), template(feature(100_000 + number))])
    if number % 3 == 0:
        store.forget(f"P{number - 1}")
"""
    environment = os.environ | {"PYTHONPATH": str(store.folder.parent)}
    shutil.copy(__file__, store.folder.parent / "tests_gallery.py")
    chance = random.Random(0)
    for _ in range(8):
        before = raw(store, "SELECT added FROM changes")
        process = subprocess.Popen([sys.executable, "-c", script, str(store.folder)], env=environment)
        while raw(store, "SELECT added FROM changes") == before:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = {person.name: [one.feature for one in store.templates(person.name)] for person in store.people()}
        assert all(len(features) == (1 if name == "Stays" else 2) for name, features in kept.items())
        for number in (0, 1, 2, 3, len(kept)):
            agree(gallery, kept, feature(number), at_least=0.3)
        agree(Gallery(store, SFACE), kept, feature(4))
        assert len(gallery) == sum(map(len, kept.values()))


def test_templates_of_other_weights_are_not_compared(store: PeopleStore, gallery: Gallery) -> None:
    newer = ModelCard("sface", "2027", "cd" * 32, "Apache-2.0", True)
    store.enroll("Ada", [template(feature(1), newer)])
    store.enroll("Bob", [template(feature(1))])
    assert [match.name for match in gallery.search(feature(1))] == ["Bob"]
    store.enroll("Bob", [template(feature(1), newer)])  # replaces it
    assert gallery.search(feature(1)) == []
    assert {match.name for match in Gallery(store, newer).search(feature(1))} == {"Ada", "Bob"}


def test_an_altered_template_is_found_and_a_mended_store_searched_again(store: PeopleStore, gallery: Gallery) -> None:
    for number in range(3):
        store.enroll(f"P{number}", [template(feature(number))])
    (whole,) = raw(store, "SELECT template FROM templates WHERE rowid = 2")
    altered = bytes([whole[0] ^ 1]) + whole[1:]
    raw(store, "UPDATE templates SET template = ? WHERE rowid = 2", altered)
    with pytest.raises(StoreCorrupt):
        gallery.search(feature(0))
    raw(store, "UPDATE templates SET template = ? WHERE rowid = 2", whole)
    assert gallery.search(feature(1))[0].name == "P1"
    raw(store, "UPDATE templates SET template = ? WHERE rowid = 2", altered)
    with pytest.raises(StoreCorrupt):  # memory proposes, the record is read again
        gallery.search(feature(1))


def test_a_store_made_anew_or_put_back_is_read_anew(store: PeopleStore, gallery: Gallery, tmp_path: Path) -> None:
    store.enroll("Ada", [template(feature(1))])
    shutil.copytree(store.folder, tmp_path / "older")
    store.enroll("Bob", [template(feature(2))])
    assert gallery.search(feature(2))[0].name == "Bob"
    shutil.rmtree(store.folder)
    shutil.copytree(tmp_path / "older", store.folder)
    assert gallery.search(feature(2)) == []
    assert gallery.search(feature(1))[0].name == "Ada"
    shutil.rmtree(store.folder)
    assert gallery.search(feature(1)) == []
    store.enroll("Cid", [template(feature(3))])
    assert [match.name for match in gallery.search(feature(3))] == ["Cid"]
    (store.folder / "people.key").unlink()
    with pytest.raises(StoreKeyUnavailable):
        gallery.search(feature(3))


def test_without_faiss_it_says_what_to_install(store: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InvalidOption, match=r"facewitness\[gallery\]"):
        Gallery(store, SFACE)


def test_many_people_do_not_make_a_new_name_slow(store: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewitness.agent.people import rows

    for number in range(4):
        store.enroll(f"P{number}", [template(feature(number))])
    index = raw(store, "SELECT name_index FROM people WHERE rowid = 1")[0]
    raw(store, "UPDATE people SET name_index = ? WHERE rowid = 1", b"x" * 32)
    with pytest.raises(StoreCorrupt):
        store.enroll("New", [template(feature(9))])
    monkeypatch.setattr(rows, "_PROVEN", 3)
    store.enroll("New", [template(feature(9))])
    with pytest.raises(StoreCorrupt):  # a listing still reads all
        store.people()
    raw(store, "UPDATE people SET name_index = ? WHERE rowid = 1", index)
    assert len(store.people()) == 5


def test_the_similarity_is_that_of_comparing_two_photos(store: PeopleStore, gallery: Gallery) -> None:
    store.enroll("Ada", [template(feature(1)), template(feature(2))])
    asked = feature(1) + feature(3)
    assert gallery.search(asked)[0].similarity == similarity(asked, feature(1))
