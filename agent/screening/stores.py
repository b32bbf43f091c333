"""Addresses in object stores, read through fsspec; a protocol's own package is the user's to install.

A list is data, perhaps from somebody else: it may name objects of these stores, and never an address in the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import IO, Any

from ...errors import AddressRefused, FacewitnessError, InvalidOption, UnreadableFile
from ...tools.limits import MAX_BYTES

PROTOCOLS = ("s3", "gs", "gcs", "az", "memory")
"""Of object stores whose addresses name no host, ``memory`` for tests; ``file://`` is another way to write a path."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_LOCAL = "file:///"


def is_remote(name: str) -> bool:
    """Whether the name is an address, allowed or not, rather than a path of this machine."""
    return _ADDRESS.match(name) is not None and not name.startswith(_LOCAL)


def plain(name: str) -> str:
    """``file:///a`` as the path ``/a``; all else as it is."""
    return name.removeprefix(_LOCAL[:-1]) if name.startswith(_LOCAL) else name


@contextmanager
def errors_told(what: str) -> Iterator[None]:
    """Of the many that stores have of their own, one of ours."""
    try:
        yield
    except FacewitnessError:
        raise
    except FileNotFoundError:
        raise UnreadableFile(f"{what} does not exist.") from None
    except Exception as error:
        raise UnreadableFile(f"{what} cannot be read ({type(error).__name__}).") from error


def read(address: str) -> bytes:
    """The object's bytes, or the first of them where it is larger than a photo may be.

    Raises:
        AddressRefused: A protocol that is not allowed, or a chain of several.
        InvalidOption: The protocol's package is not installed.
        UnreadableFile: There is no such object, or it may not be read.
    """
    with errors_told("The object"):
        store, path = _found(address)
        return store.cat_file(path, start=0, end=MAX_BYTES + 1)  # type: ignore[no-any-return]


def open_list(address: str) -> IO[bytes]:
    """Open an object of any size, to be read piece by piece; raises like ``read``."""
    store, path = _found(address)
    return store.open(path, "rb")  # type: ignore[no-any-return]


def objects(address: str) -> Iterator[tuple[str, str]]:
    """Name and address of all objects below a folder, by folder and name; nothing if it is an object itself.

    Raises:
        AddressRefused, InvalidOption, UnreadableFile: See ``read``.
    """
    store, path = _found(address)
    folder = path.rstrip("/")
    for found in _below(store, folder):
        yield found.removeprefix(folder).lstrip("/"), store.unstrip_protocol(found)


def _below(store: Any, folder: str) -> Iterator[str]:
    entries = [entry for entry in store.ls(folder, detail=True) if entry["name"].rstrip("/") != folder]
    entries.sort(key=lambda entry: (entry["type"] == "directory", entry["name"]))
    for entry in entries:
        if entry["type"] == "directory":
            yield from _below(store, entry["name"].rstrip("/"))
        else:
            yield entry["name"]


def _found(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    protocol = address.partition("://")[0].lower()
    if protocol not in PROTOCOLS:
        raise AddressRefused("Photos and lists are files, or objects of s3, gs, gcs or az.")
    if "::" in address:
        raise AddressRefused("The address of an object is no chain of several (::).")
    if "@" in address.split("/")[2]:
        raise AddressRefused("The address of an object names no account (@); the environment says whose the store is.")
    try:
        return import_module("fsspec.core").url_to_fs(address)  # type: ignore[no-any-return]
    except ImportError as error:
        raise InvalidOption(
            f"{protocol}:// needs another package: install facewitness[screen], and for s3 s3fs, for gs gcsfs, for az "
            "adlfs."
        ) from error
