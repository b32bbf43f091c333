"""How the steps run: blocking work in threads, progress on the custom stream, time noted."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial, wraps
from typing import Any, Protocol, TypeVar

from langgraph.runtime import Runtime
from threadpoolctl import threadpool_limits

from ..tools.evidence import Evidence, without_value
from . import abandoned
from .state import Context, State, Task, to_json

# Tools run at the same time, so BLAS needs no threads of its own; OpenBLAS's can hang for good beside OpenVINO's.
threadpool_limits(1, user_api="blas")

T = TypeVar("T")
_Step = Callable[[State, Runtime[Context]], dict[str, Any]]


class Node(Protocol):
    """What LangGraph calls."""

    def __call__(self, state: State, runtime: Runtime[Context]) -> Awaitable[dict[str, Any]]:
        """Update of the state."""


def milliseconds(start: float, end: float) -> float:
    """Milliseconds between two readings of ``time.perf_counter``, to a hundredth."""
    return round((end - start) * 1000, 2)


async def in_thread(function: Callable[[], T]) -> T:
    """Run blocking work in a daemon thread: a tool that hangs must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()  # holds the word that nothing is traced

    def settle(setter: Callable[[Any], None], value: object) -> None:
        if not future.done():
            setter(value)

    def work() -> None:
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001 - handed over to the waiting coroutine
            # A future cannot hold a StopIteration.
            failure = RuntimeError(repr(error)) if isinstance(error, StopIteration) else error
            _from_thread(loop, partial(settle, future.set_exception, failure))
        else:
            _from_thread(loop, partial(settle, future.set_result, result))

    abandoned.begin(work)
    return await future


def within(seconds: float, function: Callable[[], T]) -> T:
    """Run in a daemon thread and give up after a time; what hangs must not keep the process from ending.

    Raises:
        TimeoutError: It took longer.
    """
    result: list[T] = []
    failed: list[BaseException] = []
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result.append(context.run(function))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            failed.append(error)

    abandoned.begin(work).join(max(seconds, 0))
    if failed:
        raise failed[0]
    if not result:
        raise TimeoutError
    return result[0]


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Hand a result to the loop; an abandoned tool may finish after the loop has closed."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        if not loop.is_closed():
            raise


def step(function: _Step) -> Node:
    """A node that runs in a thread, announces itself on the custom stream and notes its time."""
    name = function.__name__

    @wraps(function)
    async def node(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        runtime.stream_writer({"stage": name, "status": "started"})
        started = time.perf_counter()
        update = await in_thread(lambda: function(state, runtime))
        elapsed = milliseconds(started, time.perf_counter())
        runtime.stream_writer({"stage": name, "status": "done", "ms": elapsed})
        return {**update, "timings_ms": {name: elapsed, **update.get("timings_ms", {})}}

    # LangGraph reads the signature to decide what to inject.
    node.__annotations__ = {"state": State, "runtime": Runtime[Context], "return": dict[str, Any]}
    return node


async def branch(
    task: Task, runtime: Runtime[Context], measure: Callable[[Task, Context], list[Evidence]]
) -> dict[str, Any]:
    """Run one measurement; a failing, missing or slow one becomes evidence that says so."""
    # Not LangGraph's max_concurrency: there, what a tool gave would wait to be kept until all others have begun.
    async with runtime.context.slots:
        return await _measured(task, runtime, measure)


async def _measured(
    task: Task, runtime: Runtime[Context], measure: Callable[[Task, Context], list[Evidence]]
) -> dict[str, Any]:
    name, face = task["tool"], task["face"]
    runtime.stream_writer({"stage": name, "face": face, "status": "started"})
    started = time.perf_counter()
    try:
        work = in_thread(lambda: measure(task, runtime.context))
        found = await asyncio.wait_for(work, runtime.context.tool_seconds)
    except TimeoutError:
        late = f"The {name} tool gave no answer within {runtime.context.tool_seconds:g} seconds."
        found = [Evidence(measure=name, tool=name, finding=late, status="failed")]
    except Exception as error:  # noqa: BLE001 - no tool may end an examination
        found = [without_value(name, error)]
    elapsed = milliseconds(started, time.perf_counter())
    found = [replace(item, face=face) for item in found]
    for item in found:
        if item.picture is not None:
            runtime.context.drawn[face, item.measure] = item.picture
    status = "done" if any(item.status == "ok" for item in found) else found[0].status
    runtime.stream_writer({"stage": name, "face": face, "status": status, "ms": elapsed, "finding": found[0].finding})
    stage = f"tool.{name}@{face}" if face else f"tool.{name}"
    return {"evidence": [to_json(item) for item in found], "timings_ms": {stage: elapsed}}
