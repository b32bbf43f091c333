"""A PostgreSQL server for tests: a real one, from the binaries of the distribution, gone with the tests."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

_FOLDERS = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
_PATH = os.pathsep.join([*_FOLDERS, os.environ.get("PATH", "")])
AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
"""Not root, as whom PostgreSQL refuses to run, but the owner of what root of the namespace around has mounted."""
_MOUNTED = 'mount -t tmpfs -o "size=$1" none "$0" && shift && exec "$@"'
_STARTED_AGAIN = """
initdb -D "$0/data" --auth=trust --username=tester --no-sync && while sleep 0.2; do
  postgres -D "$0/data" -h 127.0.0.1 -p "$1" -k "$0" -c autovacuum=off
done
"""


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


@dataclass(frozen=True)
class OnADisk:
    """A PostgreSQL with a disk of its own.

    Attributes:
        address: Its URL without a database's name.
        disk: Its disk, as seen from here.
    """

    address: str
    disk: Path

    def fill_write_ahead_log(self) -> None:
        """Write to it until there is no room for its next file, at which PostgreSQL goes down."""
        admin = create_engine(f"{self.address}/postgres", isolation_level="AUTOCOMMIT")
        with suppress(OperationalError), admin.connect() as connection:
            while True:
                connection.exec_driver_sql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 100000))")
        admin.dispose()


def _answers(address: str) -> bool:
    """Whether it takes connections; it listens a little earlier."""
    admin = create_engine(f"{address}/postgres")
    try:
        admin.connect().close()
    except OperationalError:
        return False
    finally:
        admin.dispose()
    return True


@contextmanager
def postgres_on_a_disk(mebibytes: int) -> Iterator[OnADisk]:
    """Start a server on a small disk, which nobody else sees; it is started again whenever it ends."""
    if shutil.which("initdb", path=_PATH) is None:
        pytest.skip("PostgreSQL is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    disk, log = folder / "disk", folder / "log"
    disk.mkdir()
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNTED, str(disk), f"{mebibytes}m"]
    command = [*mounted, *AS_NOBODY, "sh", "-c", _STARTED_AGAIN, str(disk), str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, "PATH": _PATH}, start_new_session=True
        )
    found = OnADisk(f"postgresql+psycopg://tester@127.0.0.1:{port}", Path(f"/proc/{server.pid}/root{disk}"))
    try:
        while not _answers(found.address):
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        yield found
    finally:
        os.killpg(server.pid, signal.SIGQUIT)  # PostgreSQL's immediate end
        while _listens(port):
            time.sleep(0.1)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        shutil.rmtree(folder)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


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
