"""Runs: samples through systems, with Inspect's logs, and what is read back from them.

Inspect AI gives the run, its log and viewer, errors of single samples, and the resumption: ``eval_set`` finds the logs
of a folder, keeps finished samples, and runs the rest. Systems here are not Inspect models, so answers have a store of
their own (``answers.py``); a sample that was answered but not yet logged when a run was killed is not asked again.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
from inspect_ai import Task, eval_set, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog, EvalSample, list_eval_logs, read_eval_log, read_eval_log_samples
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from ..errors import FacewitnessError, InvalidOption
from . import benchmarks
from .answers import Answer, Store, key, unscored
from .benchmarks import Item
from .benchmarks.item import limited
from .pictures import material
from .systems import SYSTEMS, System, fingerprint, versions

LOGS, ANSWERS, PLAN = "logs", "answers.sqlite", "run.json"
FLUSHED = 20
"""Samples between two writes of a log; the store of answers is written after each."""
MEGABYTES = 256
"""Of samples in memory; Inspect keeps more on the disk."""
_INSPECT: Mapping[str, Any] = {
    "display": "none", "ctl_server": False, "log_realtime": False, "score_display": False, "max_samples": 1,
    "max_tasks": 1, "retry_attempts": 0, "retry_immediate": False, "log_dir_allow_dirty": True,
}  # fmt: skip

Progress = Callable[[str, int, int], None]
"""Called with the system's name, how many samples it has done, and of how many."""
_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run; kept beside the logs.

    Attributes:
        benchmark: Name.
        data: Folder or file.
        systems: The evaluated one first.
        model: Of the agent; ``none`` without one.
        looker: Model of the systems that only look.
        limit: At most so many samples of a split.
        switches: Of the benchmark.
        command: How it was called.
    """

    benchmark: str
    data: str
    systems: tuple[str, ...]
    model: str = "none"
    looker: str = "embedded"
    limit: int | None = None
    switches: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def root(self) -> Path:
        """Folder below which the pictures are."""
        path = Path(self.data)
        return path if path.is_dir() else path.parent


class Row(NamedTuple):
    """One sample and what a system said of it."""

    item: Item
    answer: Answer


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was logged.

    Attributes:
        plan: What was run.
        rows: By system, in the benchmark's order.
        made_by: Versions of packages, and hashes of weights and code, when the evaluated system was run.
    """

    plan: Plan
    rows: Mapping[str, Sequence[Row]]
    made_by: Mapping[str, Mapping[str, str]]


def run(plan: Plan, out: Path, resume: bool = False, on_progress: Progress | None = None) -> Run:
    """Run a plan, or what is left of it.

    Args:
        plan: What to run.
        out: Folder of logs and answers; created if missing.
        resume: Go on with the run in that folder.
        on_progress: See ``Progress``.

    Raises:
        InvalidOption: The data is in another layout, the folder holds another run, or one that is not to be resumed.
    """
    if unknown := set(plan.systems) - set(SYSTEMS):
        raise InvalidOption(f"There is no system {min(unknown)}; there are {', '.join(SYSTEMS)}.")
    items = read(plan.benchmark, plan.data, plan.limit, _frozen(plan.switches))
    _claim(plan, out, resume)
    tasks = [_task(plan, name, items, out) for name in plan.systems]
    token = _progress.set(on_progress)
    try:
        # Inspect prints to standard output, where a report may be wanted.
        with contextlib.redirect_stdout(io.StringIO()):
            eval_set(
                tasks,
                log_dir=str(out / LOGS),
                model=None,
                log_buffer=FLUSHED,
                max_dataset_memory=MEGABYTES,
                fail_on_error=True,
                continue_on_fail=True,
                **_INSPECT,
            )
    finally:
        _progress.reset(token)
    if any(log.status == "cancelled" for log in _latest(out).values()):  # Inspect ends quietly
        raise KeyboardInterrupt
    return load(out)


def _claim(plan: Plan, out: Path, resume: bool) -> None:
    """Write the plan, unless the folder holds another."""
    file, text = out / PLAN, json.dumps(asdict(plan), indent=1)
    if file.is_file():
        earlier, now = json.loads(file.read_text(encoding="utf-8")), json.loads(text)
        if not resume:
            raise InvalidOption(f"{out.name} holds a run already: use --resume, or another --out.")
        if any(earlier[name] != now[name] for name in now if name != "command"):
            raise InvalidOption(f"{out.name} holds a run of something else: use another --out.")
        return
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n", encoding="utf-8")


@lru_cache(maxsize=1)
def read(benchmark: str, data: str, limit: int | None, switches: tuple[tuple[str, str], ...]) -> tuple[Item, ...]:
    """Samples of a benchmark, read once for all systems."""
    return tuple(limited(benchmarks.find(benchmark).items(Path(data), dict(switches)), limit))


def _frozen(switches: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(switches.items()))


def _task(plan: Plan, name: str, items: Sequence[Item], out: Path) -> Task:
    kinds: set[str] = {item.kind for item in items}
    frequent = {kind: _frequent([item for item in items if item.kind == kind]) for kind in sorted(kinds)}
    model = plan.model if name == "agent" else plan.looker
    made: Task = face_benchmark(
        benchmark=plan.benchmark,
        data=plan.data,
        system=name,
        model=model,
        limit=plan.limit,
        switches=dict(plan.switches),
        frequent=frequent,
        answers=str(out / ANSWERS),
        made_by=key(**fingerprint()),
    )
    return made


def _frequent(items: Sequence[Item]) -> str:
    return Counter(item.truth for item in items).most_common(1)[0][0]


@task
def face_benchmark(
    benchmark: str,
    data: str,
    system: str,
    model: str,
    limit: int | None,
    switches: dict[str, str],
    frequent: dict[str, str],
    answers: str,
    made_by: str,
) -> Task:
    """One system on one benchmark; ``made_by`` hashes weights and code, so that others are another task."""
    del made_by
    items = read(benchmark, data, limit, _frozen(switches))
    root = Path(data) if Path(data).is_dir() else Path(data).parent
    return Task(
        dataset=MemoryDataset([_sample(*placed) for placed in enumerate(items)], name=benchmark, location=data),
        solver=witness(system, model, switches, frequent, str(root), answers, len(items)),
        scorer=judged(),
        name=f"{benchmark}_{system}",
        metadata={"versions": versions(), "weights sha256": fingerprint()},
    )


def _sample(place: int, item: Item) -> Sample:
    return Sample(
        id=item.id,
        input=item.question or " ".join(item.images),
        target=item.truth or list(item.targets) or json.dumps(dict(item.units)),
        choices=list(item.options) or None,
        metadata={"place": place, "item": item.to_json()},
    )


@solver
def witness(
    system: str, model: str, switches: dict[str, str], frequent: dict[str, str], root: str, answers: str, total: int
) -> Solver:
    """Asks a system, or takes what it answered to the same question before."""
    asked, store, done = System(system, model, frequent, switches), Store(Path(answers)), 0

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        nonlocal done
        del generate
        item = Item.from_json(state.metadata["item"])
        answer = await anyio.to_thread.run_sync(_answer, asked, store, item, Path(root))
        state.metadata["answer"] = answer.to_json()
        state.output = ModelOutput.from_content(f"facewitness/{system}", answer.text or answer.label or answer.unscored)
        done += 1
        if (told := _progress.get()) is not None:
            told(system, done, total)
        return state

    return solve


def _answer(system: System, store: Store, item: Item, root: Path) -> Answer:
    try:
        files = material(item, root)
    except FacewitnessError as error:  # a bad sample never stops a run
        return unscored(error.code, str(error))
    name = key(
        **system.identity, kind=item.kind, files=files.hashes, question=item.question, options=item.options,
        verdicts=item.verdicts, units=sorted(item.units), aligned=item.aligned,
    )  # fmt: skip
    known = store.get(name)
    if known is None:
        known = system.answer(item, files)
        store.put(name, known)
    return known if files.psnr is None else replace(known, psnr=files.psnr)


@scorer(metrics=[accuracy()])
def judged() -> Scorer:
    """Right, wrong, or no answer, for Inspect's own views; the figures are made from the answers."""

    async def score(state: TaskState, target: Target) -> Score:
        del target
        item, answer = Item.from_json(state.metadata["item"]), Answer.from_json(state.metadata["answer"])
        value = {True: CORRECT, False: INCORRECT, None: NOANSWER}[right(item, answer)]
        return Score(value=value, answer=answer.label or answer.unscored, explanation=answer.why or answer.text)

    return score


def right(item: Item, answer: Answer) -> bool | None:
    """Whether the label is the truth; None where there is no label, or none that can be compared."""
    if answer.unscored or answer.abstained or item.kind in ("text", "units"):
        return None
    if item.truth == "forged":
        return answer.label in ("manipulated", "synthetic", "forged")
    if answer.label == "forged":
        return item.truth in ("manipulated", "synthetic")
    return answer.label == item.truth


def load(out: Path) -> Run:
    """Read a run back from its folder.

    Raises:
        InvalidOption: There is no finished run.
    """
    if not (out / PLAN).is_file():
        raise InvalidOption(f"{out.name} holds no run: there is no {PLAN}.")
    held = json.loads((out / PLAN).read_text(encoding="utf-8"))
    plan = Plan(**{**held, "systems": tuple(held["systems"])})
    latest = {name: log for name, log in _latest(out).items() if log.status in ("success", "error")}
    known: dict[str, Item] = {}
    rows = {name: _rows(latest[name], known) for name in plan.systems if name in latest}
    if plan.systems[0] not in rows:
        raise InvalidOption(f"{out.name} holds no finished run: use --resume.")
    made_by = latest[plan.systems[0]].eval.metadata or {}
    return Run(plan, rows, made_by)


def _latest(out: Path) -> dict[str, EvalLog]:
    """Head of each system's last log."""
    logs = (read_eval_log(info, header_only=True) for info in list_eval_logs(str(out / LOGS), descending=False))
    return {log.eval.task_args["system"]: log for log in logs}


def _rows(log: EvalLog, known: dict[str, Item]) -> list[Row]:
    """One sample at a time, in the benchmark's order; ``known`` items are shared between the systems."""
    samples = read_eval_log_samples(
        log.location, all_samples_required=False, exclude_fields={"messages", "events", "attachments", "store"}
    )
    placed = [_row(sample, known) for sample in samples]
    return [row for _, row in sorted(placed, key=lambda one: one[0])]


def _row(sample: EvalSample, known: dict[str, Item]) -> tuple[int, Row]:
    """Place and row; what failed without an answer is unscored."""
    held, place = sample.metadata["item"], int(sample.metadata["place"])
    item = known.get(held["id"]) or known.setdefault(held["id"], Item.from_json(held))
    if sample.error is not None or "answer" not in sample.metadata:
        message = sample.error.message if sample.error else "It was not run."
        return place, Row(item, unscored("system.failed", message.splitlines()[0] if message else "It failed."))
    return place, Row(item, Answer.from_json(sample.metadata["answer"]))
