"""A PostgreSQL server for tests: a real one, from the binaries of the distribution, gone with the tests."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

_FOLDERS = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
_PATH = os.pathsep.join([*_FOLDERS, os.environ.get("PATH", "")])


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server; its URL without a database's name."""
    pytest.importorskip("psycopg")
    if shutil.which("initdb", path=_PATH) is None:
        pytest.skip("PostgreSQL is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    if getpass.getuser() == "root":  # as whom PostgreSQL refuses to run
        shutil.chown(folder, "postgres")
    data, options = str(folder / "data"), f"-c listen_addresses=127.0.0.1 -c port={port} -k {folder}"
    _run(data, "initdb", "--auth=trust", "--username=tester", "--no-sync")
    _run(data, "pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg://tester@127.0.0.1:{port}"
    finally:
        _run(data, "pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)


def restart(server: str) -> None:
    """As after a crash: every connection ends at once, and what was committed is there again."""
    admin = create_engine(f"{server}/postgres")
    with admin.connect() as connection:
        data = connection.exec_driver_sql("SHOW data_directory").scalar_one()
    admin.dispose()
    _run(data, "pg_ctl", "-w", "-l", f"{data}.log", "-m", "immediate", "restart")


def _run(data: str, program: str, *arguments: str) -> None:
    user = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    command = [*user, str(shutil.which(program, path=_PATH)), "-D", data, *arguments]
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120)


def fresh_database(server: str) -> str:
    """URL of a new, empty database of the server."""
    name = f"t{secrets.token_hex(8)}"
    admin = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return f"{server}/{name}"
