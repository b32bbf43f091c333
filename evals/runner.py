"""Runs: samples through systems, with Inspect's logs, and what is read back from them.

Inspect AI gives the run, its log and viewer, errors of single samples, and the resumption: ``eval_set`` finds the logs
of a folder, keeps finished samples, and runs the rest. What it holds of a sample stays in memory until its task ends,
so samples are run in parts, each with a folder of logs. Systems here are not Inspect models, so answers have a store
of their own (``answers.py``); a sample that was answered but not yet logged when a run was killed is not asked again.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
from inspect_ai import Task, eval_set, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog, EvalSample, list_eval_logs, read_eval_log
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from ..errors import FacewitnessError, InvalidOption
from . import benchmarks
from .answers import Answer, Store, key, unscored
from .benchmarks import Item
from .benchmarks.item import limited
from .pictures import material
from .samples import PART, Samples, write
from .systems import SYSTEMS, System, fingerprint, versions

LOGS, ANSWERS, SAMPLES, PLAN = "logs", "answers.sqlite", "samples.jsonl", "run.json"
FLUSHED = 20
"""Samples between two writes of a log; the store of answers is written after each."""
SHOWN = 320
"""Letters of an explanation that a report shows."""
_INSPECT: Mapping[str, Any] = {
    "display": "none", "ctl_server": False, "log_realtime": False, "score_display": False, "max_samples": 1,
    "max_tasks": 1, "retry_attempts": 0, "retry_immediate": False, "log_dir_allow_dirty": True,
}  # fmt: skip

Progress = Callable[[str, int, int], None]
"""Called with the system's name, how many samples it has done, and of how many."""


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
    samples = _claim(plan, out, resume)
    with contextlib.closing(Store(out / ANSWERS)) as store:
        running = _Running(plan, samples, store, on_progress)
        for place, items in enumerate(samples.parts()):
            _part(replace(running, items=items, place=place), out / LOGS / f"{place:05}")
    return load(out)


def _claim(plan: Plan, out: Path, resume: bool) -> Samples:
    """Write the samples, then the plan, unless the folder holds it, or another."""
    file, text = out / PLAN, json.dumps(asdict(plan), indent=1)
    if file.is_file():
        earlier, now = json.loads(file.read_text(encoding="utf-8")), json.loads(text)
        if not resume:
            raise InvalidOption(f"{out.name} holds a run already: use --resume, or another --out.")
        if any(earlier[name] != now[name] for name in now if name != "command"):
            raise InvalidOption(f"{out.name} holds a run of something else: use another --out.")
        return _samples(out)
    items = limited(benchmarks.find(plan.benchmark).each(Path(plan.data), plan.switches), plan.limit)
    out.mkdir(parents=True, exist_ok=True)
    try:
        samples = write(items, out / SAMPLES)
    except InvalidOption:
        with contextlib.suppress(OSError):  # it held something before
            out.rmdir()
        raise
    file.write_text(text + "\n", encoding="utf-8")
    return samples


def _samples(out: Path) -> Samples:
    if not (out / SAMPLES).is_file():
        raise InvalidOption(f"{out.name} holds a run without {SAMPLES}: use another --out.")
    return Samples(out / SAMPLES)


@dataclass(frozen=True)
class _Running:
    """What the tasks of a run share, and what no log should hold.

    Attributes:
        plan: What is run.
        samples: All of them.
        store: Answers.
        told: Progress.
        items: Of the part that is run.
        place: Which part that is.
        done: Samples by system, so far.
    """

    plan: Plan
    samples: Samples
    store: Store
    told: Progress | None
    items: Sequence[Item] = ()
    place: int = 0
    done: Counter[str] = field(default_factory=Counter)


_running: ContextVar[_Running] = ContextVar("running")


def _part(running: _Running, logs: Path) -> None:
    """All systems on one part of the samples, or what is left of that."""
    token = _running.set(running)
    try:
        # Inspect prints to standard output, where a report may be wanted.
        with contextlib.redirect_stdout(io.StringIO()):
            tasks = [_task(running, name) for name in running.plan.systems]
            eval_set(
                tasks,
                log_dir=str(logs),
                model=None,
                log_buffer=FLUSHED,
                fail_on_error=True,
                continue_on_fail=True,
                **_INSPECT,
            )
    finally:
        _running.reset(token)
    if any(log.status == "cancelled" for log in _latest(logs).values()):  # Inspect ends quietly
        raise KeyboardInterrupt


def _task(running: _Running, name: str) -> Task:
    plan = running.plan
    made: Task = face_benchmark(
        benchmark=plan.benchmark,
        data=plan.data,
        system=name,
        model=plan.model if name == "agent" else plan.looker,
        limit=plan.limit,
        switches=dict(plan.switches),
        part=running.place,
        made_by=key(**fingerprint()),
    )
    return made


@task
def face_benchmark(
    benchmark: str, data: str, system: str, model: str, limit: int | None, switches: dict[str, str], part: int,
    made_by: str,
) -> Task:  # fmt: skip
    """One system on a part of one benchmark; ``made_by`` hashes weights and code, so that others are another task."""
    del limit, made_by
    return Task(
        dataset=MemoryDataset(
            [_sample(place, item) for place, item in enumerate(_running.get().items, part * PART)],
            name=benchmark,
            location=data,
        ),
        solver=witness(system, model, switches),
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
def witness(system: str, model: str, switches: dict[str, str]) -> Solver:
    """Asks a system, or takes what it answered to the same question before."""
    running = _running.get()
    asked = System(system, model, running.samples.frequent, switches)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        del generate
        item = Item.from_json(state.metadata["item"])
        answer = await anyio.to_thread.run_sync(_answer, asked, running.store, item, running.plan.root)
        state.metadata["answer"] = answer.to_json()
        state.output = ModelOutput.from_content(f"facewitness/{system}", answer.text or answer.label or answer.unscored)
        running.done[system] += 1
        if running.told is not None:
            running.told(system, running.done[system], running.samples.total)
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
    """Read a run back from its folder, a log at a time.

    Raises:
        InvalidOption: There is no finished run.
    """
    if not (out / PLAN).is_file():
        raise InvalidOption(f"{out.name} holds no run: there is no {PLAN}.")
    held = json.loads((out / PLAN).read_text(encoding="utf-8"))
    plan, samples = Plan(**{**held, "systems": tuple(held["systems"])}), _samples(out)
    latest = {asked: log for asked, log in _latest(out / LOGS).items() if log.status in ("success", "error")}
    parts = range(-(-samples.total // PART))
    finished = [name for name in plan.systems if all((name, part) in latest for part in parts)]
    if plan.systems[0] not in finished:
        raise InvalidOption(f"{out.name} holds no finished run: use --resume.")
    items = tuple(samples)
    rows = {name: [row for part in parts for row in _rows(latest[name, part], items)] for name in finished}
    return Run(plan, rows, latest[plan.systems[0], 0].eval.metadata or {})


def _latest(logs: Path) -> dict[tuple[str, int], EvalLog]:
    """Head of the last log of each system and part."""
    heads = (read_eval_log(info, header_only=True) for info in list_eval_logs(str(logs), descending=False))
    return {(log.eval.task_args["system"], log.eval.task_args["part"]): log for log in heads}


def _rows(log: EvalLog, items: Sequence[Item]) -> list[Row]:
    """Of one log, in the benchmark's order."""
    placed = {int(one.metadata["place"]): _told(one) for one in read_eval_log(log.location).samples or ()}
    return [Row(items[place], _reduced(items[place], placed[place])) for place in sorted(placed)]


def _told(sample: EvalSample) -> Answer:
    """What failed without an answer is unscored."""
    if sample.error is not None or "answer" not in sample.metadata:
        message = sample.error.message if sample.error else "It was not run."
        return unscored("system.failed", message.splitlines()[0] if message else "It failed.")
    return Answer.from_json(sample.metadata["answer"])


def _reduced(item: Item, answer: Answer) -> Answer:
    """As far as a report shows it; where words are the answer, they are scored whole."""
    return answer if item.kind == "text" or len(answer.text) <= SHOWN else replace(answer, text=answer.text[:SHOWN])
