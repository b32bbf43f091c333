"""Screening on a Ray cluster of two real nodes, of which one is lost.

Run: ``pytest -m ray`` where facewitness[scale,screen] is installed. Takes some minutes.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facewitness.agent.screening import Plan, release, screen
from facewitness.errors import ClusterUnusable, WorkerLost, WorkersDiffer
from facewitness.tools.image import load

from .test_screen import gone, rows, steady

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]  # Ray warns of itself
pytest.importorskip("ray.data", reason="needs facewitness[scale]")
FACES = 52
AWAKE = {"RAY_worker_niceness": "0"}  # by default Ray's processes wait for all else that a machine does
ENVIRONMENT = os.environ | AWAKE | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""Of nodes and drivers, which trust those that know the token."""
SCRIPT = """
import sys
from pathlib import Path
from facewitness.agent.screening import Plan, screen

if __name__ == "__main__":
    screen(Plan((sys.argv[1],)), Path(sys.argv[2]), on_progress=lambda *seen: print(*seen, flush=True), ray=sys.argv[3])
"""


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWAKE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """A list: different crops of one face, some of them twice, and files that are no photos; sixty in all."""
    folder = tmp_path_factory.mktemp("photos")
    chance, face = random.Random(0), Image.fromarray(load(astronaut).rgb)
    for number in range(FACES):
        left, top, size = chance.randrange(20, 90), chance.randrange(30), chance.randrange(160, 320)
        face.crop((left, top, left + 330, top + 330)).resize((size, size)).save(folder / f"{number:02}.jpg", quality=90)
    for number in range(4):
        shutil.copy(folder / f"{number * 11:02}.jpg", folder / f"again-{number}.jpg")
        (folder / f"broken-{number}.jpg").write_bytes((folder / f"{number:02}.jpg").read_bytes()[: 1000 * number])
    names = sorted(path.name for path in folder.iterdir())
    chance.shuffle(names)
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in names))
    return folder / "list.txt"


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the pool of processes says."""
    out = tmp_path_factory.mktemp("whole") / "out.ndjson"
    assert screen(Plan((photos,)), out, 2).photos == FACES + 8
    return rows(out)


def exactly_once(out: Path, photos: Path, whole: list[dict[str, Any]]) -> None:
    assert [row["id"] for row in rows(out)] == photos.read_text().split()
    assert steady(rows(out)) == steady(whole)
    assert [path.name for path in out.parent.iterdir()] == [out.name], "nothing is left beside it"


# --- nodes


@dataclass(frozen=True)
class Node:
    """``ray start``, and all processes below it."""

    process: subprocess.Popen[bytes]

    def processes(self) -> list[int]:
        """It and all below it."""
        return below(self.process.pid)

    def kill(self) -> None:
        """With ``kill -9``, so that nobody is told."""
        kill(self.processes())
        self.process.wait()


def children() -> dict[int, list[int]]:
    """Of every process of the machine."""
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def below(process: int) -> list[int]:
    """The process and all that it began, or they did."""
    found, begun = [process], children()
    for pid in found:
        found += begun.get(pid, [])
    return found


def actors(process: int) -> list[int]:
    """Processes below this one in which an actor examines."""
    return [pid for pid in below(process) if _title(pid).startswith(b"ray::MapWorker")]


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def start(*options: str) -> Node:
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    command += ["--node-ip-address=127.0.0.1", *options]
    return Node(subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL))


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, Node]]:
    """Address of a cluster, and its one node."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(f"/tmp/ray-{os.getpid()}")  # a socket's path must be short
    head = start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
    try:
        await_nodes(f"127.0.0.1:{port}", 1)
        yield f"127.0.0.1:{port}", head
    finally:
        head.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def address(cluster: tuple[str, Node]) -> str:
    return cluster[0]


@pytest.fixture
def second(address: str) -> Iterator[Node]:
    """Another node of the cluster."""
    node = start(f"--address={address}")
    try:
        await_nodes(address, 2)
        yield node
    finally:
        node.kill()


def await_nodes(address: str, count: int) -> None:
    script = (
        "import ray, sys, time\n"
        "ray.init(sys.argv[1], logging_level='CRITICAL', log_to_driver=False)\n"
        "while sum(node['Alive'] for node in ray.nodes()) < int(sys.argv[2]): time.sleep(0.2)\n"
    )
    command, until = [sys.executable, "-c", script, address, str(count)], time.monotonic() + 200
    while (done := subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=200)).returncode:
        assert time.monotonic() < until, done.stderr
        time.sleep(1)


def begun(photos: Path, out: Path, address: str) -> subprocess.Popen[str]:
    out.parent.mkdir(exist_ok=True)
    (out.parent.parent / "run.py").write_text(SCRIPT)
    command = [sys.executable, str(out.parent.parent / "run.py"), str(photos), str(out), address]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def told(run: subprocess.Popen[str]) -> Iterator[int]:
    assert run.stdout is not None
    for line in run.stdout:
        if line[0].isdecimal():  # Ray, too, has something to say
            yield int(line.split()[0])


# --- what is lost


def test_a_node_that_is_lost_costs_no_row(
    address: str, second: Node, photos: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "out.ndjson"
    lost: list[int] = []
    with begun(photos, out, address) as run:
        for done in told(run):
            if not lost and done >= 4 and actors(second.process.pid):
                lost = second.processes()
                second.kill()
    assert lost and run.returncode == 0
    gone(lost)
    exactly_once(out, photos, whole)


def test_a_parent_that_is_killed_goes_on(
    address: str, second: Node, photos: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "out.ndjson"
    with begun(photos, out, address) as run:
        done = next(done for done in told(run) if done >= 10)
        run.kill()
    assert not out.exists() and done < FACES
    with begun(photos, out, address) as again:
        seen = list(told(again))
    assert again.returncode == 0 and seen[0] >= done and seen[-1] == FACES + 8, "what was done is not done again"
    exactly_once(out, photos, whole)


def test_a_photo_that_ends_its_actors_is_given_up(cluster: tuple[str, Node], photos: Path, tmp_path: Path) -> None:
    """Not only the process below the actor, which the actor replaces."""
    address, head = cluster
    out = tmp_path / "out" / "out.ndjson"
    source = tmp_path / "list.txt"
    source.write_text(f"{photos.parent / '00.jpg'}\n")
    with begun(source, out, address) as run:
        while run.poll() is None:
            kill(filter(children().get, actors(head.process.pid)))  # those that have begun what examines
            time.sleep(0.05)
    assert [row["error"] for row in rows(out)] == [WorkerLost.code]


# --- on this machine


def test_a_local_cluster_says_the_same(photos: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    """With a cache that another process asks: the second run examines nothing."""
    out, cache = tmp_path / "out" / "out.ndjson", tmp_path / "cache"
    out.parent.mkdir()
    screen(Plan((photos,)), out, 2, ray="local", cache=cache)
    exactly_once(out, photos, whole)
    first = rows(out)
    out.unlink()
    screen(Plan((photos,)), out, 2, ray="local", cache=cache)
    assert [row["record"] for row in rows(out)] == [row["record"] for row in first]
    assert all(row["milliseconds"] == 0 for row in rows(out) if row["error"] is None)


def test_a_photo_that_is_stuck_is_given_up(photos: Path, tmp_path: Path) -> None:
    stopped: list[int] = []

    def stop(done: int, total: int) -> None:
        if done == 1:
            found = [pid for actor in actors(os.getpid()) for pid in children()[actor]]
            stopped.extend(pid for pid in found if b"spawn_main" in _title(pid))
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)

    source = tmp_path / "list.txt"
    source.write_text("".join(f"{photos.parent / name}\n" for name in photos.read_text().split()[:24]))
    out = tmp_path / "out.ndjson"
    screen(Plan((source,)), out, 1, seconds=10, on_progress=stop, ray="local")
    assert len(stopped) == 1
    assert [row["error"] for row in rows(out)].count("screen.photo_too_slow") == 1


def test_other_weights_are_refused(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "made_by", lambda: {"software": "facewitness 99", "weights": "ab" * 32})
    with pytest.raises(WorkersDiffer, match="other software and weights than"):
        screen(Plan((photos,)), tmp_path / "out.ndjson", 1, ray="local")


def test_no_cluster_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ClusterUnusable, match=r"at 127\.0\.0\.1:9"):
        screen(Plan((photos,)), tmp_path / "out.ndjson", ray="127.0.0.1:9")
