"""Photos to a Ray cluster, with Ray Data; the journal alone knows what is done (docs/screening.md says why)."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from ...errors import ClusterUnusable, InvalidOption, WorkerLost, WorkersDiffer
from . import release
from .cache import Cache, Result
from .journal import Journal, Outcome, Row
from .photos import Listed
from .pool import TRIES, Pool, Progress, cores
from .workers import Options

CHUNK = 100_000
"""Photos of which Ray Data knows at a time."""
BLOCK = 16
"""Photos that an actor takes at a time, and that a lost process costs twice over."""
BLOCKS = 4
"""For each actor at least, so that all end together; of few photos blocks are smaller."""
CONNECT_SECONDS = 10.0

Place = tuple[int, Listed]


def examine(
    address: str,
    journal: Journal,
    options: Options,
    conditions: Row,
    processes: int | None,
    on_progress: Progress | None,
    cache: tuple[Path, str] | None,
) -> None:
    """All pending photos of the journal, on the cluster.

    Args:
        address: ``local`` starts a cluster here; ``auto`` or ``host:port`` joins one.
        journal: Only this process writes to it.
        options: How to examine.
        conditions: Release, weights and what else every node must have alike.
        processes: Actors, each with a process that examines; one for each core of the cluster by default.
        on_progress: Called with the photos done and the photos in all.
        cache: Folder and context of ``Cache``, which is asked by way of an actor on this node.

    Raises:
        ClusterUnusable: The cluster does not answer, or gave up.
        InvalidOption: The cache cannot be used.
        WorkersDiffer: A node has another release, other weights or other plug-ins.
    """
    if cache:
        Cache(*cache).close()  # refused here, where it can be said plainly
    with _joined(address, processes) as ray:
        _check(ray, conditions)
        known = cache and _here(ray, Cache).remote(*cache)
        there = int(ray.cluster_resources().get("CPU", 0))
        if not there:
            raise ClusterUnusable("The cluster has no cores.")
        run = _Run(ray, journal, (options, conditions, known), min(processes or there, there), on_progress)
        pending = journal.pending()
        while chunk := list(islice(pending, CHUNK)):
            run.examine(chunk)


def library() -> Any:
    """Ray, which reports to nobody.

    Raises:
        InvalidOption: It is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import_module("ray.data")
        return import_module("ray")
    except ImportError as error:
        raise InvalidOption(f"A cluster needs {error.name}: install facewitness[scale].") from None


@contextmanager
def _joined(address: str, processes: int | None) -> Iterator[Any]:
    ray = library()
    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    own = {"num_cpus": processes or len(cores()), "include_dashboard": False} if address == "local" else {}
    try:
        if ":" in address:  # Ray itself tries for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(address, **quiet, **own)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterUnusable(f"No Ray cluster can be used at {address} ({type(error).__name__}).") from error
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise ClusterUnusable(f"The cluster gave up: {str(error).strip().splitlines()[-1]}") from error
    finally:
        ray.shutdown()


def _here(ray: Any, what: Any, node: str | None = None) -> Any:
    """A task or an actor that takes no core, on a node; on this one by default."""
    pinned = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        node or ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(num_cpus=0, scheduling_strategy=pinned)(what)


def _check(ray: Any, expected: Row) -> None:
    """Refuse a node that would give other results."""

    def conditions() -> Row:  # goes there as code: another release may not have it
        from .release import conditions

        return conditions()

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    asked = [(node["NodeManagerAddress"], _here(ray, conditions, node["NodeID"]).remote()) for node in nodes]
    for host, answer in asked:
        try:
            found = ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            raise WorkersDiffer(f"The node {host} has no such facewitness ({type(error.cause).__name__}).") from error
        except ray.exceptions.RayError:  # it was lost just now
            continue
        _same(found, expected, f"The node {host}")


def _same(found: Row, expected: Row, where: str) -> None:
    other = [name for name, value in expected.items() if found.get(name) != value]
    if other:
        raise WorkersDiffer(f"{where} has other {' and '.join(other)} than this machine.")


class _Run:
    """Feeds the journal with what actors say, in whatever order, perhaps twice, perhaps not at all."""

    def __init__(
        self, ray: Any, journal: Journal, given: tuple[object, ...], size: int, on_progress: Progress | None
    ) -> None:
        self._ray, self._journal, self._given, self._size = ray, journal, given, size
        self._told = on_progress or (lambda done, total: None)
        self._done, self._total = journal.counts()
        self._told(self._done, self._total)

    def examine(self, photos: list[Place]) -> None:
        """Blocks that ended several actors are tried again, one photo at a time."""
        left = dict(photos)
        for block in (max(1, min(BLOCK, len(left) // (BLOCKS * self._size))), 1):
            for said in self._said(left, block) if left else ():
                if "failed" in said:
                    raise ClusterUnusable(f"A node cannot examine ({said['failed']}).")
                if left.pop(said["place"], None) is not None:
                    self._keep(said)
        for place in left:
            text = f"The photo ended {TRIES} processes of the cluster."
            self._finish(place, Outcome(error=WorkerLost.code, message=text))

    def _said(self, photos: dict[int, Listed], block: int) -> Iterator[Row]:
        data: Any = import_module("ray.data")
        context = data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        rows = [{"photo": json.dumps([place, asdict(photo)])} for place, photo in photos.items()]
        blocks = -(-len(rows) // block)
        found = data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Actor,
            fn_constructor_args=(*self._given, _here(self._ray, _Tries).remote()),
            compute=data.ActorPoolStrategy(size=min(self._size, blocks)),
            batch_size=None,
            num_cpus=1,
        )
        for row in found.iter_rows():
            yield json.loads(row["said"])

    def _keep(self, said: Row) -> None:
        outcome = Outcome(**said["outcome"])
        if outcome.result is not None:
            self._journal.add(outcome.result, said["row"], said["record"])
        self._finish(said["place"], outcome)

    def _finish(self, place: int, outcome: Outcome) -> None:
        self._journal.finish(place, outcome)
        self._journal.commit()
        self._done += 1
        self._told(self._done, self._total)


class _Tries:
    """Counts how often blocks were begun: Ray Data gives a block to one actor after the other, for ever."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, place: int) -> int:
        self._begun[place] += 1
        return self._begun[place]


class _Known:
    """The cache, asked from another node."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    def get(self, key: str) -> Result | None:
        return self._ray.get(self._actor.get.remote(key))  # type: ignore[no-any-return]

    def put(self, key: str, row: Row, record: str | None) -> None:
        self._actor.put.remote(key, row, record)


class _Actor:
    """One process that examines, kept from block to block: it may end or be ended, and the actor lives on."""

    def __init__(self, options: Options, conditions: Row, known: Any, tries: Any) -> None:
        _same(release.conditions(), conditions, "A node")
        self._ray, self._tries = import_module("ray"), tries
        cache = known and _Known(self._ray, known)
        core, self._claim = _own_core()
        self._pool = Pool(options, [core], cache)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        photos = [json.loads(text) for text in batch["photo"]]
        if self._ray.get(self._tries.begin.remote(photos[0][0])) > TRIES:
            return {"said": []}
        try:
            said = self._examined(photos)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must hear of it
            self._pool.close()
            said = [{"failed": type(error).__name__}]
        return {"said": [json.dumps(one) for one in said]}

    def _examined(self, photos: list[tuple[int, Row]]) -> list[Row]:
        with closing(Journal(Path(":memory:"))) as journal:
            journal.begin("", (Listed(**photo) for _, photo in photos))
            self._pool.run(journal)
            return [{"place": place} | found for (place, _), found in zip(photos, journal.outcomes(), strict=True)]


def _own_core() -> tuple[int, socket.socket | None]:
    """A core of this machine that no other actor has claimed; what claims it ends with this process."""
    allowed = cores()
    for core in allowed:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0facewitness-screen-core-{core}")  # the kernel's own names: no file is left behind
        except OSError:
            claim.close()
        else:
            return core, claim
    return allowed[os.getpid() % len(allowed)], None
