"""``facewitness serve`` on the CPU, with the vLLM of another environment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from facewitness.agent.served_adapters import ServedAdapters
from facewitness.errors import ModelUnavailable

START = 600.0
MARKS = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        "FACEWITNESS_VLLM_PYTHON" not in os.environ,
        reason="FACEWITNESS_VLLM_PYTHON names no environment with vLLM",
    ),
]


@contextmanager
def running(*options: str) -> Iterator[str]:
    """Base address; a server takes a minute to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "facewitness", "serve", "--cpu", "--port", str(port), *options]
    server = subprocess.Popen(command, start_new_session=True)
    address = f"http://127.0.0.1:{port}/v1"
    try:
        _wait(server, ServedAdapters(address))
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # it takes a minute to end by itself
        server.wait()


def _wait(server: subprocess.Popen[bytes], asked: ServedAdapters) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended"
        try:
            asked.names()
            return
        except ModelUnavailable:
            time.sleep(1)
    raise TimeoutError("the server does not answer")
