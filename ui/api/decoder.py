"""Photos decoded in a process of their own, with little memory and little time, which can write to no file.

Run as a module it is that process: it reads the bytes of a photo from standard input and writes pixels, or an error,
to standard output, again and again. What comes back is lengths, JSON and pixels, never a pickle. This bounds what a bug
in a decoder can do; it is no sandbox, for the process runs as the same user.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from ...errors import InputError, Undecodable
from ...tools import image
from ...tools.image import Photo
from ...tools.limits import MAX_PIXELS

MEMORY = 1 << 30
"""Bytes that decoding may take, beyond what the process has when it is ready."""
SECONDS = 10.0
"""For one photo, on a machine that is busy; 40,000,000 pixels take a second or two."""
START_SECONDS = 60.0
MAX_PHOTOS = 100
"""After so many a process is replaced."""
MAX_HEADER = 2000
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "SYSTEMROOT")
"""Of the environment, which may hold secrets."""


class Decoder:
    """Processes that decode, kept for the next photo; several threads may use them.

    Attributes:
        limits: Names of the limits that hold; empty where this platform has none.
        separate: Whether there are processes; False where none can be started, and photos are decoded in this one.

    Args:
        processes: At most; further photos wait.
        memory: Bytes that decoding may take.
        seconds: That it may take.
    """

    def __init__(self, processes: int, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        self._idle: deque[_Process] = deque()
        self._memory, self._seconds, self._closed = memory, seconds, False
        self._room = threading.Semaphore(processes)
        self.limits: tuple[str, ...] = ()
        self.separate = True

    def start(self) -> bool:
        """Start the first process, so that the first photo need not wait; False where none can be."""
        try:
            process = _Process(self._memory, self._seconds)
        except OSError:
            self.separate = False
            return False
        self.limits = process.limits
        self._give_back(process)
        return True

    def load(self, data: bytes) -> Photo:
        """Decode a photo, as ``tools.image.load``.

        Raises:
            InputError: As there.
            Undecodable: It took too much memory or time, or the decoder crashed.
            OSError: No process can be started just now.
        """
        if not self.separate:
            return image.load(data)
        with self._room:
            try:
                return self._decode(self._take(), data)
            except _Ended:  # perhaps by an earlier photo, or from outside: once more in a new one
                return self._decode(_Process(self._memory, self._seconds), data)

    def _decode(self, process: _Process, data: bytes) -> Photo:
        try:
            photo = process.decode(data)
        except Undecodable:
            process.kill()
            raise
        except InputError:
            self._give_back(process)
            raise
        self._give_back(process)
        return photo

    def close(self) -> None:
        """End the processes that wait."""
        self._closed = True
        while self._idle:
            self._idle.pop().kill()

    def _take(self) -> _Process:
        with contextlib.suppress(IndexError):
            while True:
                process = self._idle.pop()
                if process.alive():
                    return process
                process.kill()
        return _Process(self._memory, self._seconds)

    def _give_back(self, process: _Process) -> None:
        if self._closed or process.photos >= MAX_PHOTOS:
            process.kill()
        else:
            self._idle.append(process)


class _Ended(Undecodable):
    """The process came to an end, and not by its time being over."""


class _Process:
    """One process; raises OSError where it does not start."""

    def __init__(self, memory: int, seconds: float) -> None:
        self._seconds = seconds
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", __spec__.name, str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the service, which ends what it has begun
        )
        self.photos = 0
        try:
            with self._deadline(START_SECONDS):
                self.limits = tuple(json.loads(_receive(self._output, MAX_HEADER)))
        except (OSError, ValueError) as error:
            self.kill()
            raise OSError("The decoder does not start.") from error

    def decode(self, data: bytes) -> Photo:
        """Decode; raises InputError."""
        self.photos += 1
        started = time.monotonic()
        try:
            with self._deadline(self._seconds):
                _send(self._input, data)
                head: dict[str, Any] = json.loads(_receive(self._output, MAX_HEADER))
                if "code" in head:
                    raise _errors().get(head["code"], Undecodable)(str(head["message"])[:500])
                rgb = np.frombuffer(_receive(self._output, 3 * MAX_PIXELS), np.uint8)
                rgb = rgb.reshape(int(head["height"]), int(head["width"]), 3)
                return Photo(rgb, data, hashlib.sha256(data).hexdigest(), str(head["format"]))
        except (OSError, ValueError, KeyError, TypeError):
            if time.monotonic() - started >= self._seconds:
                raise Undecodable(f"Decoding takes over {self._seconds:g} seconds.") from None
            raise _Ended("The decoder ended.") from None

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):
                pipe.close()

    @contextlib.contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Kill the process after so long, which ends whatever is being read from or written to it."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout


def _errors() -> dict[str, type[InputError]]:
    return {kind.code: kind for kind in InputError.__subclasses__()}


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(len(data).to_bytes(8, "big"))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes], most: int) -> bytes:
    """What ``_send`` wrote; raises ValueError where it is too long or ends early."""
    size = int.from_bytes(_exactly(pipe, 8), "big")
    if size > most:
        raise ValueError("too long")
    return _exactly(pipe, size)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise ValueError("ends early")
    return data


def _serve() -> None:
    """The process itself, until standard input ends."""
    read, write = sys.stdin.buffer, sys.stdout.buffer
    _send(write, json.dumps(_limit(int(sys.argv[1]))).encode())
    while len(prefix := read.read(8)) == 8:
        data = read.read(int.from_bytes(prefix, "big"))
        try:
            photo = image.load(data)
        except (InputError, MemoryError) as error:
            if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
                error = Undecodable("Decoding takes too much memory.")
            _send(write, json.dumps({"code": error.code, "message": str(error)}).encode())
            continue
        height, width = photo.rgb.shape[:2]
        _send(write, json.dumps({"height": height, "width": width, "format": photo.format}).encode())
        _send(write, photo.rgb.tobytes())
        del photo, data


def _limit(memory: int) -> list[str]:
    """Take away what decoding does not need; the names of the limits that hold."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # not Linux: time is limited still
        return []
    limits = {"RLIMIT_AS": used + memory, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))
    return list(limits)


if __name__ == "__main__":
    _serve()
