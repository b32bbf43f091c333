"""What is screened and what it is compared with: objects of a store, results of earlier runs, enrolled people."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from facewitness.agent.people import PeopleStore, Template
from facewitness.agent.screening import Plan, Summary, screen, stores
from facewitness.agent.screening.cache import FILE, Cache
from facewitness.agent.screening.photos import Listed, listed
from facewitness.errors import (
    AddressRefused,
    InvalidOption,
    InvalidReference,
    UnknownPerson,
    UnreadableFile,
    UnsupportedFormat,
)
from facewitness.tools import plugins, weights
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView
from facewitness.tools.image import load
from facewitness.tools.limits import MAX_BYTES
from facewitness.ui.cli import app

from .object_store import bucket
from .test_screen import rows, steady


@pytest.fixture
def photos(tmp_path: Path, astronaut: Path) -> Path:
    """Two photos, one of them a folder below, and a file that is none."""
    folder = tmp_path / "store" / "photos"
    (folder / "below").mkdir(parents=True)
    face = Image.fromarray(load(astronaut).rgb[:320, 60:400])
    face.save(folder / "a.jpg")
    face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "below" / "b.jpg")
    (folder / "notes.txt").write_text("not an image by its name")
    return folder


# --- object stores


def test_a_bucket_is_screened_like_a_folder(photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "large.jpg").write_bytes((photos / "a.jpg").read_bytes() + bytes(3 * MAX_BYTES))
    (store / "list.txt").write_text(
        "photos/a.jpg\ns3://bucket/large.jpg\nmissing.jpg\nhttp://127.0.0.1:9/a.jpg\nmemory://a::http://127.0.0.1:9/b.jpg\n"
    )
    (store / "table.csv").write_text("path,id,reference\nphotos/a.jpg,7,photos/below/b.jpg\n")
    local, remote = tmp_path / "local.ndjson", tmp_path / "remote.ndjson"
    screen(Plan((photos, store / "table.csv")), local, 1)
    with bucket(store) as sent:
        screen(Plan(("s3://bucket/photos", "s3://bucket/table.csv", "s3://bucket/list.txt")), remote, 1)
    found = rows(remote)
    assert [row["id"] for row in found[:3]] == ["a.jpg", "below/b.jpg", "7"]
    same = [{key: row[key] for key in row if key != "path"} for row in steady(found[:3])]
    assert same == [{key: row[key] for key in row if key != "path"} for row in steady(rows(local))]
    assert found[1]["path"] == "s3://bucket/photos/below/b.jpg" and found[0]["label"]
    assert [row["error"] for row in found[3:]] == [
        None,
        "input.file_too_large",
        "input.unreadable",
        "input.address_refused",
        "input.address_refused",
    ]
    assert sent["large.jpg"] == MAX_BYTES + 1


def test_a_bucket_that_cannot_be_read_is_refused(photos: Path, tmp_path: Path) -> None:
    with bucket(photos), pytest.raises(UnreadableFile, match="s3://bucket/nowhere does not exist"):
        screen(Plan(("s3://bucket/nowhere",)), tmp_path / "out.ndjson")
    assert not (tmp_path / "out.ndjson.journal").exists()


def test_lists_and_tables_in_a_store() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/lists/l.txt", b"a.jpg\r\n\n/b.jpg\nfile:///far/c.jpg\ngs://other/d.jpg\nnot\xffutf8.jpg\n")
    memory.pipe("/lists/t.csv", b"path,id,reference\na.jpg,7,r.jpg\n")
    memory.pipe("/lists/bad.csv", b"file\nx\n")
    found = list(listed("memory://lists/l.txt"))
    assert [photo.path for photo in found[:4]] == [
        "memory://lists/a.jpg",
        "memory://lists/b.jpg",
        "/far/c.jpg",
        "gs://other/d.jpg",
    ]
    assert found[4].path == "memory://lists/not\udcffutf8.jpg"
    assert list(listed("memory://lists/t.csv")) == [Listed("7", "memory://lists/a.jpg", ("memory://lists/r.jpg",))]
    with pytest.raises(InvalidOption, match=r"bad\.csv"):
        list(listed("memory://lists/bad.csv"))


def test_only_object_stores_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = r"files, or objects of s3, gs, gcs or az\.$"
    for address, why in (
        ("http://127.0.0.1/a.jpg", stored),
        ("HTTPS://x/a.jpg", stored),
        ("ftp://x/a", stored),
        ("s3://a::http://x/b", "no chain"),
        ("file://host/a", stored),
        ("hdfs://169.254.169.254:80/a.jpg", stored),
        ("az://photos@account/a.jpg", "no account"),
    ):
        with pytest.raises(AddressRefused, match=why):
            stores.read(address)
        with pytest.raises(AddressRefused):
            screen(Plan((address,)), tmp_path / "out.ndjson")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InvalidOption, match="for gs gcsfs"):
        list(listed("gs://bucket/a.jpg"))
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(InvalidOption, match=r"facewitness\[screen\]"):
        list(listed("s3://bucket/a.jpg"))
    with pytest.raises(InvalidOption, match="local files"):
        screen(Plan((tmp_path,)), Path("s3://bucket/out.ndjson"))


# --- the command line


def test_commercial_only_from_the_command_line_and_from_the_environment(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []

    def noted(plan: Plan, *_: Any, **__: Any) -> Summary:
        plans.append(plan)
        return Summary(0, {}, {}, 0, 0, 1.0)

    monkeypatch.setattr("facewitness.agent.screening.screen", noted)
    given = ["screen", str(photos), "--out", str(tmp_path / "out.ndjson")]
    for more, value in ((["--commercial-only"], ""), ([], "1"), ([], "")):
        done = CliRunner().invoke(app, [*given, *more], env={"FACEWITNESS_COMMERCIAL_ONLY": value})
        assert done.exit_code == 0, done.output
    assert [plan.commercial_only for plan in plans] == [True, True, False]


def test_a_reference_that_cannot_be_used_is_refused_before_anything_is_listed(
    photos: Path, tmp_path: Path, astronaut: Path
) -> None:
    blank, table, out = tmp_path / "blank.png", tmp_path / "no_such_list.csv", tmp_path / "out.ndjson"
    Image.new("RGB", (200, 200), "grey").save(blank)
    Image.new("RGB", (8, 8)).save(tmp_path / "small.gif")
    for given, kind, words in (
        ([blank], InvalidReference, "Reference photo 1 cannot be used: No face was found."),
        ([astronaut, blank], InvalidReference, "Reference photo 2 cannot be used: "),
        ([astronaut, astronaut], InvalidReference, "Reference photo 2 was given twice."),
        ([tmp_path / "none.jpg"], UnreadableFile, "none.jpg: "),
        ([tmp_path / "small.gif"], UnsupportedFormat, "small.gif: "),
        (["s3://bucket@account/a.jpg"], AddressRefused, "a.jpg: The address of an object names no account (@)"),
    ):
        references = [part for one in given for part in ("--reference", str(one))]
        done = CliRunner().invoke(app, ["screen", str(table), "--out", str(out), *references])
        assert type(done.exception) is kind and str(done.exception).startswith(words), done.exception
    assert not list(tmp_path.glob("out*"))
    given = [
        "screen",
        str(photos / "a.jpg"),
        "--out",
        str(out),
        "--reference",
        f"file://{astronaut}",
        "--processes",
        "1",
    ]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert "the person" in rows(out)[0]["probabilities"]


# --- results of earlier runs


def test_a_second_run_examines_only_new_bytes(photos: Path, tmp_path: Path) -> None:
    cache, first, second = tmp_path / "cache", tmp_path / "one.ndjson", tmp_path / "two.ndjson"
    screen(Plan((photos / "a.jpg",), records=tmp_path / "r1"), first, 1, cache=cache)
    screen(Plan((photos,), records=tmp_path / "r2"), second, 1, cache=cache)
    (one,), (again, new) = rows(first), rows(second)
    assert again["record"] == one["record"] and steady([again])[0]["scores"] == one["scores"]
    assert again["milliseconds"] == 0 < new["milliseconds"]
    assert one["record"] in (tmp_path / "r2" / "records-00000.ndjson").read_text()
    third = tmp_path / "three.ndjson"
    screen(Plan((photos / "a.jpg",), commercial_only=True, records=tmp_path / "r3"), third, 1, cache=cache)
    assert rows(third)[0]["record"] != one["record"], "other options are another result"
    pixels = (photos / "a.jpg").read_bytes()[1000:1100]
    assert all(pixels not in file.read_bytes() for file in cache.iterdir())


def test_what_lacked_a_tool_is_examined_again(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "weights").symlink_to(weights.store())
    monkeypatch.setenv("FACEWITNESS_HOME", str(home))
    (home / plugins.FILE).write_text("[mine")  # a plug-in that cannot be used
    for name in ("one.ndjson", "two.ndjson"):
        screen(Plan((photos / "a.jpg",)), tmp_path / name, 1, cache=tmp_path / "cache")
        assert rows(tmp_path / name)[0]["milliseconds"] > 0
    (home / plugins.FILE).unlink()
    for name, again in (("three.ndjson", False), ("four.ndjson", True)):
        screen(Plan((photos / "a.jpg",)), tmp_path / name, 1, cache=tmp_path / "cache")
        assert (rows(tmp_path / name)[0]["milliseconds"] == 0) is again


def test_a_cache_is_shared_and_keeps_the_first(tmp_path: Path) -> None:
    def fill(number: int) -> None:
        cache = Cache(tmp_path / "cache", "context")
        for key in range(50):
            cache.put(str(key), {"from": number}, None)
        cache.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, range(4)))
    cache = Cache(tmp_path / "cache", "context")
    kept = [cache.get(str(key)) for key in range(50)]
    fill(9)
    assert None not in kept and kept == [cache.get(str(key)) for key in range(50)]
    assert cache.get("50") is None and Cache(tmp_path / "cache", "other").get("1") is None
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / FILE).write_bytes(b"something else, and long enough to be no header of SQLite" * 20)
    with pytest.raises(InvalidOption, match="cannot be used"):
        Cache(tmp_path / "bad", "context")


# --- enrolled people


def test_an_enrolled_person_is_the_reference(
    photos: Path, tmp_path: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "home"))
    out = tmp_path / "out.ndjson"
    with pytest.raises(UnknownPerson):
        screen(Plan((photos,), person="Ada"), out)
    photo = load(astronaut)
    feature = FaceView(photo, detect(photo.rgb)[0]).feature
    PeopleStore().enroll("Ada", [Template(feature, photo.sha256, weights.card("sface"))])
    given = ["screen", str(photos), str(astronaut), "--out", str(out), "--person", "Ada", "--processes", "1"]
    assert CliRunner().invoke(app, given).exit_code == 0
    one, two, enrolled = rows(out)
    assert one["scores"]["identity.similarity"] > 0.8 and "the person" in two["probabilities"]
    assert enrolled["error"] == "input.invalid_reference"


def test_the_journal_does_not_name_the_person(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not go on when somebody was enrolled anew."""
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "home"))
    out, journal = tmp_path / "out.ndjson", tmp_path / "out.ndjson.journal"

    def enroll(seed: int) -> None:
        import numpy as np

        feature = np.random.default_rng(seed).normal(size=128).astype(np.float32)
        sha256 = hashlib.sha256(str(seed).encode()).hexdigest()
        PeopleStore().enroll("Lovelace", [Template(feature, sha256, weights.card("sface"))])

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    enroll(1)
    with pytest.raises(KeyboardInterrupt):
        screen(Plan((photos,), person="Lovelace"), out, 1, on_progress=stop)
    assert all(b"lovelace" not in file.read_bytes().lower() for file in tmp_path.glob("out.ndjson.journal*"))
    enroll(2)
    with pytest.raises(InvalidOption, match="was begun with other"):
        screen(Plan((photos,), person="Lovelace"), out, 1)
    assert journal.exists()


@pytest.mark.parametrize(
    ("plan", "options", "words"),
    [
        ({"person": "Ada"}, {"ray": "auto"}, "can only be local"),
        ({"person": "Ada"}, {"cache": Path("cache")}, "not cached"),
        ({"model": "http://127.0.0.1:9/v1#m"}, {"cache": Path("cache")}, "none or embedded"),
    ],
)
def test_options_that_do_not_go_together(
    plan: dict[str, Any], options: dict[str, Any], words: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidOption, match=words):
        screen(Plan((photos,), **plan), tmp_path / "out.ndjson", **options)


def test_without_ray_a_cluster_is_refused(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = CliRunner().invoke(app, ["screen", str(photos), "--out", str(tmp_path / "out.ndjson"), "--ray", "local"])
    assert isinstance(done.exception, InvalidOption) and "facewitness[scale]" in str(done.exception)
    assert not (tmp_path / "out.ndjson.journal").exists()
