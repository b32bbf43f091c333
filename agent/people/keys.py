"""Where the store's master key lives: the keyring of the operating system, else a file of mode 0600."""

from __future__ import annotations

import os
import secrets
import shlex
import stat
import tempfile
from pathlib import Path
from typing import Literal

from keyring import get_keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from ...errors import StoreKeyUnavailable

Source = Literal["keyring", "file"]

KEY_BYTES = 32
KEY_FILE = "people.key"
_SERVICE = "facewitness"
# An allow-list: keyring also chooses backends that do nothing (fail, null) or that keep plain text (keyrings.alt).
_PROTECTED = {f"keyring.backends.{name}" for name in ("macOS", "Windows", "SecretService", "libsecret", "kwallet")}


def create(folder: Path, store_id: str) -> tuple[bytes, Source]:
    """Make and keep a master key; a key file that is already there is used again.

    Raises:
        StoreKeyUnavailable: A key file is there, but may not be used.
    """
    path = folder / KEY_FILE
    if path.exists():
        return _read_file(path), "file"
    key = secrets.token_bytes(KEY_BYTES)
    backend = _os_keyring()
    if backend is not None:
        try:
            backend.set_password(_SERVICE, store_id, key.hex())
            return key, "keyring"
        except KeyringError:  # locked, or no desktop session: the file takes over
            pass
    _write_file(path, key)
    return key, "file"


def load(folder: Path, store_id: str, source: Source) -> bytes:
    """Read the master key of a store.

    Raises:
        StoreKeyUnavailable: It is gone, locked, damaged, or other users can read it.
    """
    if source == "file":
        return _read_file(folder / KEY_FILE)
    backend = _os_keyring()
    if backend is None:
        raise StoreKeyUnavailable("The key of the store is in the keyring of the operating system, which is not there.")
    try:
        text = backend.get_password(_SERVICE, store_id)
    except KeyringError as error:
        raise StoreKeyUnavailable("The keyring that holds the key of the store is locked: unlock it.") from error
    if text is None:
        raise StoreKeyUnavailable("The keyring no longer holds the key of this store.")
    return _parse(text)


def _os_keyring() -> KeyringBackend | None:
    chosen = get_keyring()
    candidates: list[KeyringBackend] = list(getattr(chosen, "backends", [chosen]))  # the chainer lists several
    return next((backend for backend in candidates if type(backend).__module__ in _PROTECTED), None)


def _write_file(path: Path, key: bytes) -> None:
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600 from the start
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _read_file(path: Path) -> bytes:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise StoreKeyUnavailable(f"Other users can read the key of the store: run chmod 600 {_shown(path)}")
            return _parse(file.read(1024))
    except OSError as error:
        raise StoreKeyUnavailable(f"The key file {KEY_FILE} of the store is missing or may not be read.") from error


def _parse(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreKeyUnavailable("The key of the store is damaged.")
    return key


def _shown(path: Path) -> str:
    """For a shell; a folder the caller did not choose lies in the home folder, whose own path stays out."""
    home = Path.home()
    return "~/" + shlex.quote(str(path.relative_to(home))) if path.is_relative_to(home) else shlex.quote(str(path))
