"""Screening very many photos: one row for each, whatever is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facewitness.agent.record import Record
from facewitness.agent.screening import Plan, Summary, screen
from facewitness.agent.screening.journal import Journal
from facewitness.agent.screening.photos import Listed, listed
from facewitness.agent.screening.pool import Pool
from facewitness.agent.screening.workers import Options
from facewitness.errors import InvalidOption, UnreadableFile, WorkerLost
from facewitness.tools.image import load

FACES = 5


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """Five different photos of a face, one of them twice, one without a face, and one file that is no photo."""
    folder = tmp_path_factory.mktemp("photos")
    face = Image.fromarray(load(astronaut).rgb[:320, 60:400])
    for number in range(FACES):
        face.point(lambda value, by=number: min(255, value + by)).save(folder / f"{number}.jpg", quality=95)
    (folder / "below").mkdir()
    (folder / "below" / "again.jpg").write_bytes((folder / "1.jpg").read_bytes())
    Image.new("RGB", (200, 200), "grey").save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes((folder / "2.jpg").read_bytes()[:3000])
    (folder / "notes.txt").write_text("not an image by its name")
    return folder


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return [photo.id for photo in listed(folder)]


def steady(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what two runs may differ in."""
    return [{key: row[key] for key in row if key not in ("milliseconds", "record")} for row in found]


def exactly_once(out: Path, photos: Path, whole: list[dict[str, Any]]) -> None:
    assert [row["id"] for row in rows(out)] == names(photos)
    assert steady(rows(out)) == steady(whole)
    assert [path.name for path in out.parent.iterdir()] == [out.name], "nothing is left beside it"


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Summary, Path]:
    """Rows of a run that nothing interrupted, its summary, and the folder of records."""
    folder = tmp_path_factory.mktemp("whole")
    seen: list[tuple[int, int]] = []
    summary = screen(
        Plan((photos,), records=folder / "records"),
        folder / "out.ndjson",
        processes=2,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[0] == (0, 8) and seen[-1] == (8, 8)
    return rows(folder / "out.ndjson"), summary, folder / "records"


def test_each_photo_is_one_row(whole: tuple[list[dict[str, Any]], Summary, Path], photos: Path) -> None:
    found, summary, _ = whole
    assert [row["id"] for row in found] == names(photos)
    by_id = {row["id"]: row for row in found}
    broken, blank, face = by_id["broken.jpg"], by_id["blank.png"], by_id["0.jpg"]
    assert broken["error"] == "input.truncated" and broken["label"] is None and broken["message"]
    assert blank["error"] is None and blank["assessable"] is False and blank["reasons"] == ["face.none"]
    assert face["error"] is None and face["assessable"] and sum(face["probabilities"].values()) == pytest.approx(1)
    assert face["sha256"] == load(photos / "0.jpg").sha256 and face["path"] == str(photos / "0.jpg")
    assert 0 <= face["scores"]["manipulation.face"] <= 1 and face["milliseconds"] > 0
    assert face["software"].startswith("facewitness ") and len(face["weights"]) == 64
    assert (summary.photos, summary.done, summary.errors) == (8, 8, {"input.truncated": 1})
    assert sum(summary.labels.values()) == 7


def test_the_same_bytes_are_examined_once(whole: tuple[list[dict[str, Any]], Summary, Path]) -> None:
    found, summary, folder = whole
    by_id = {row["id"]: row for row in found}
    assert by_id["1.jpg"]["record"] == by_id["below/again.jpg"]["record"], "one record, two rows"
    assert summary.results == FACES + 1
    lines = (folder / "records-00000.ndjson").read_text().splitlines()
    records = {record.id: record for record in map(Record.model_validate_json, lines)}
    assert len(records) == len(lines) == summary.results
    assert {row["record"] for row in found if row["error"] is None} == set(records)
    assert all(records[row["record"]].image.sha256 == row["sha256"] for row in found if row["error"] is None)


def test_the_row_says_what_an_examination_says(whole: tuple[list[dict[str, Any]], Summary, Path], photos: Path) -> None:
    from facewitness.agent.examine import examine

    record, row = examine(photos / "3.jpg", model="none"), next(row for row in whole[0] if row["id"] == "3.jpg")
    assert row["label"] == record.verdict.label
    assert row["probabilities"] == pytest.approx(record.verdict.probabilities)
    forged = next(item for item in record.evidence if item.measure == "manipulation.face")
    assert row["scores"]["manipulation.face"] == pytest.approx(forged.probability)


# --- what is killed


def test_a_worker_that_is_killed_or_replaced_loses_nothing(
    photos: Path,
    tmp_path: Path,
    whole: tuple[list[dict[str, Any]], Summary, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("facewitness.agent.screening.pool.PHOTOS", 3)
    killed: list[int] = []
    seen: set[int | None] = set()

    def kill(done: int, total: int) -> None:
        seen.update(child.pid for child in multiprocessing.active_children())
        if done >= 2 and not killed:
            victim = multiprocessing.active_children()[0]
            killed.append(victim.pid or 0)
            victim.kill()

    summary = screen(Plan((photos,)), tmp_path / "out.ndjson", processes=2, on_progress=kill)
    assert killed and summary.done == 8
    assert len(seen) >= 4, "two at first, one for the killed, one for each that had its three"
    exactly_once(tmp_path / "out.ndjson", photos, whole[0])


SCRIPT = """
import multiprocessing, sys
from pathlib import Path
from facewitness.agent.screening import Plan, screen

def tell(done, total):
    print(done, *(child.pid for child in multiprocessing.active_children()), flush=True)

if __name__ == "__main__":
    screen(Plan((Path(sys.argv[1]),)), Path(sys.argv[2]), processes=2, on_progress=tell)
"""


def test_a_run_that_is_killed_goes_on(
    photos: Path, tmp_path: Path, whole: tuple[list[dict[str, Any]], Summary, Path]
) -> None:
    out = tmp_path / "out" / "out.ndjson"
    out.parent.mkdir()
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(photos), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            done, *children = map(int, line.split())
            if done >= 2:
                break
        process.send_signal(signal.SIGKILL)
    assert not out.exists() and done >= 2
    gone(children)
    seen: list[int] = []
    summary = screen(Plan((photos,)), out, processes=2, on_progress=lambda done, total: seen.append(done))
    assert seen[0] >= done and summary.done == 8 - seen[0], "what was done is not done again"
    exactly_once(out, photos, whole[0])


def gone(children: list[int]) -> None:
    """Processes end with their parent; a test that finds them after a while fails."""
    deadline = time.monotonic() + 30
    while children and time.monotonic() < deadline:
        children = [pid for pid in children if Path(f"/proc/{pid}/cmdline").exists() and _runs(pid)]
        time.sleep(0.1)
    assert not children


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_stuck_photo_is_given_up(photos: Path, tmp_path: Path) -> None:
    stopped: list[int] = []

    def stop(done: int, total: int) -> None:
        if done == 1 and not stopped:
            stopped.append(multiprocessing.active_children()[0].pid or 0)
            os.kill(stopped[0], signal.SIGSTOP)

    files = tmp_path / "list.txt"
    files.write_text("".join(f"{photos / name}\n" for name in ("0.jpg", "1.jpg", "2.jpg")))
    out = tmp_path / "out.ndjson"
    screen(Plan((files,)), out, processes=1, seconds=3, on_progress=stop)
    assert [row["error"] for row in rows(out)] == [None, "screen.photo_too_slow", None]


def test_a_photo_that_ends_its_processes_is_given_up(photos: Path, tmp_path: Path) -> None:
    """With one process the turns are: started, read (and killed here), lost; again and again."""
    calls: list[int] = []

    def kill(done: int, total: int) -> None:
        calls.append(done)
        if done == 0 and len(calls) % 3 == 0:
            multiprocessing.active_children()[0].kill()

    files = tmp_path / "list.txt"
    files.write_text(f"{photos / '0.jpg'}\n{photos / '1.jpg'}\n")
    out = tmp_path / "out.ndjson"
    screen(Plan((files,)), out, processes=1, on_progress=kill)
    lost, good = rows(out)
    assert (lost["error"], lost["label"]) == ("screen.worker_lost", None) and "3 processes" in lost["message"]
    assert good["error"] is None and good["label"]


def test_photos_that_wait_for_the_same_bytes_outlive_the_process_that_examines_them(
    photos: Path, tmp_path: Path
) -> None:
    held: list[Any] = []

    def hold(done: int, total: int) -> None:
        """The process that examines stands still until the other waits for it, and is killed then."""
        owners = [pipe for pipe, job in pool._jobs.items() if job.key is not None]
        if owners and not held:
            held.append(pool._workers[owners[0]]._process)
            os.kill(held[0].pid, signal.SIGSTOP)
        elif any(pool._waiting.values()) and len(held) == 1:
            held[0].kill()
            held.append("killed")

    journal = Journal(tmp_path / "journal")
    journal.begin("plan", [Listed(name, str(photos / "0.jpg")) for name in "ab"])
    pool = Pool(Options(), [0, 1])
    pool.run(journal, hold)
    pool.close()
    assert len(held) == 2
    one, two = journal.rows()
    assert one["error"] is two["error"] is None and one["record"] == two["record"]
    journal.close()


def test_processes_that_never_start_end_the_run(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", _stillborn)
    out = tmp_path / "out.ndjson"
    with pytest.raises(WorkerLost, match="as they started"):
        screen(Plan((photos,)), out, processes=1)
    monkeypatch.undo()
    assert not out.exists()


def _stillborn(process: Any, start: Callable[[Any], None] = multiprocessing.Process.start) -> None:
    start(process)
    process.kill()


# --- what is asked for


def interrupted(photos: Path, out: Path) -> None:
    """Begin a run, and end it with Ctrl-C after its first photo."""

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        screen(Plan((photos,)), out, processes=1, on_progress=stop)


def test_another_plan_is_refused(photos: Path, tmp_path: Path, astronaut: Path) -> None:
    out = tmp_path / "out.ndjson"
    interrupted(photos, out)
    assert multiprocessing.active_children() == []
    for plan in (Plan((astronaut,)), Plan((photos,), commercial_only=True), Plan((photos,), references=(astronaut,))):
        with pytest.raises(InvalidOption, match="was begun with other photos"):
            screen(plan, out)


def test_what_cannot_be_written_or_read_is_refused_at_once(photos: Path, tmp_path: Path) -> None:
    done = tmp_path / "done.ndjson"
    done.write_text("")
    for out, words in ((done, "is complete"), (tmp_path / "x.csv", "named"), (tmp_path / "no" / "x.ndjson", "folder")):
        with pytest.raises(InvalidOption, match=words):
            screen(Plan((photos,)), out)
    (tmp_path / "records-00000.ndjson").write_text("")
    with pytest.raises(InvalidOption, match="holds records"):
        screen(Plan((photos,), records=tmp_path), tmp_path / "x.ndjson")
    (tmp_path / "records-00000.ndjson").unlink()
    with pytest.raises(UnreadableFile, match="no such file"):
        screen(Plan((photos, tmp_path / "nowhere")), tmp_path / "x.ndjson")
    held = Journal(tmp_path / "x.ndjson.journal")
    with pytest.raises(InvalidOption, match="in use by another run"):
        screen(Plan((photos,)), tmp_path / "x.ndjson")
    held.remove()
    foreign = tmp_path / "y.ndjson.journal"
    foreign.write_bytes(b"something else, and long enough to be no header of SQLite" * 20)
    with pytest.raises(InvalidOption, match="not a journal"):
        screen(Plan((photos,)), tmp_path / "y.ndjson")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done.ndjson", "y.ndjson.journal"]


def test_lists_and_tables(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    (tmp_path / "list.txt").write_bytes(b"a.jpg\r\n\n/far/b.jpg\nnot\xffutf8.jpg\n")
    found = list(listed(tmp_path / "list.txt"))
    assert [photo.path for photo in found[:2]] == [str(tmp_path / "a.jpg"), "/far/b.jpg"]
    assert os.fsencode(found[2].path).endswith(b"not\xffutf8.jpg")
    (tmp_path / "t.csv").write_text("path,id,reference\na.jpg,7,r.jpg\nb.jpg,8,\n")
    table = [
        Listed("7", str(tmp_path / "a.jpg"), (str(tmp_path / "r.jpg"),)),
        Listed("8", str(tmp_path / "b.jpg")),
    ]
    assert list(listed(tmp_path / "t.csv")) == table
    columns = {"id": [7, 8], "path": ["a.jpg", "b.jpg"], "reference": [["r.jpg"], None], "other": [b"", b""]}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert list(listed(tmp_path / "t.parquet")) == table
    for path, reference in ((7, None), ("a.jpg", 7), ("a.jpg", ["r.jpg", None])):
        parquet.write_table(pa.table({"path": [path], "reference": [reference]}), tmp_path / "odd.parquet")
        with pytest.raises(InvalidOption, match=r"odd\.parquet"):
            list(listed(tmp_path / "odd.parquet"))
    for name, content in (("bad.csv", "file\nx\n"), ("bad.parquet", "no")):
        (tmp_path / name).write_text(content)
        with pytest.raises(InvalidOption, match=name):
            list(listed(tmp_path / name))


def test_a_name_in_no_known_encoding_is_a_row(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin("plan", [Listed("not\udcff.jpg", "/not\udcff.jpg")])
    assert [row["id"] for row in journal.rows()] == ["not\\udcff.jpg"]
    assert [photo.path for _, photo in journal.pending()] == ["/not\udcff.jpg"]
    journal.close()


def test_the_command_writes_parquet_with_references(photos: Path, tmp_path: Path, astronaut: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table, out = tmp_path / "table.csv", tmp_path / "out.parquet"
    other = photos / "4.jpg"
    table.write_text(f"path,id,reference\n{photos / '0.jpg'},one,{other}\n{photos / '0.jpg'},two,\n{table},bad,\n")
    command = [sys.executable, "-m", "facewitness", "screen", str(table), "--out", str(out), "--json"]
    done = subprocess.run([*command, "--processes", "1"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["photos"], summary["results"]) == (3, 2), "the same photo against nothing is another result"
    found = parquet.read_table(out)
    one, two, bad = found.to_pylist()
    assert [row["id"] for row in (one, two, bad)] == ["one", "two", "bad"]
    assert {name for name, _ in one["probabilities"]} == {"the person", "a forgery of the person", "someone else"}
    assert dict(one["scores"])["identity.similarity"] > 0.9
    assert {name for name, _ in two["probabilities"]} == {"authentic", "manipulated", "synthetic"}
    assert bad["error"] == "input.not_an_image" and bad["label"] is None and bad["scores"] is None
    models = json.loads(found.schema.metadata[b"models"])
    assert len(models["sface"]) == 64 and one["weights"] == found.schema.metadata[b"weights"].decode()
    again = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert again.returncode == 2 and "input.invalid_option" in again.stderr


def test_a_run_that_was_killed_as_it_wrote_writes_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is done and the output stands, but the journal does too."""

    def ended(journal: Journal) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out.ndjson"
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", ended)
        with pytest.raises(KeyboardInterrupt):
            screen(Plan((photos / "0.jpg",)), out)
    before = rows(out)
    assert screen(Plan((photos / "0.jpg",)), out).done == 0
    assert rows(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.ndjson"]
