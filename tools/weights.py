"""The store of model weights: one registered sha256 each, fetched once, trusted offline afterwards.

Folder: ``$FACEWITNESS_HOME/weights``, else the user's data folder. Further environment variables:
``FACEWITNESS_WEIGHTS_DIR`` (a folder that is tried first), ``FACEWITNESS_OFFLINE=1`` (never use the network).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import IO, Literal

from platformdirs import user_data_dir

from ..errors import InvalidOption, WeightsError, WeightsMismatch, WeightsMissing
from .evidence import ModelCard
from .weights_format import refuse_code
from .weights_manifest import FAILURES, Bundled, Local, Source, Weight, parse, reason

State = Literal["ok", "missing", "damaged"]
Progress = Callable[[str, str], None]  # name of the weights, label of the source now tried

_CHUNK = 1 << 20


@cache
def _manifest() -> dict[str, Weight]:
    return parse(resources.files(__package__).joinpath("weights.toml").read_text("utf-8"))


def entries() -> list[Weight]:
    """Everything registered, in the manifest's order."""
    return list(_manifest().values())


def _weight(name: str) -> Weight:
    try:
        return _manifest()[name]
    except KeyError:
        raise InvalidOption(f"There are no weights named {name!r}; known: {', '.join(_manifest())}.") from None


def card(name: str) -> ModelCard:
    """Identity and terms of the weights; needs no file.

    Raises:
        InvalidOption: No such entry.
    """
    weight = _weight(name)
    return ModelCard(weight.name, weight.version, weight.sha256, weight.licence, weight.commercial_use)


def path(name: str) -> Path:
    """Give the verified local file; fetch it if need be, else below 1 ms.

    Trust in a stored file rests on its size and time of change; ``verify`` reads its bytes again.

    Raises:
        InvalidOption: No such entry.
        WeightsMissing: No source could deliver it.
    """
    return _obtain(_weight(name))


def present(name: str) -> bool:
    """Whether the file is in the store; does not read its bytes if they were verified before."""
    weight = _weight(name)
    return _trusted(_target(weight), weight)


def pull(names: Iterable[str] = (), source_dir: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """Fetch weights into the store.

    Args:
        names: Entries; all of them if empty.
        source_dir: Take them from this folder and from nowhere else.
        progress: Called before each source that is tried.

    Raises:
        InvalidOption: No such entry.
        WeightsMissing, WeightsMismatch, WeightsRefused: The first entry that could not be had.
    """
    weights = [_weight(name) for name in names] or entries()
    return [_obtain(weight, source_dir, progress) for weight in weights]


def verify(names: Iterable[str] = ()) -> dict[str, State]:
    """Hash the stored files again; all of them if ``names`` is empty. Nothing is fetched.

    Raises:
        InvalidOption: No such entry.
    """
    weights = [_weight(name) for name in names] or entries()
    return {weight.name: _state(_target(weight), weight) for weight in weights}


def _state(target: Path, weight: Weight) -> State:
    if not target.is_file():
        return "missing"
    if _digest(target) != weight.sha256:
        with suppress(OSError):
            _stamp(target).unlink()  # so that the next use fetches it again
        return "damaged"
    return "ok"


def store() -> Path:
    """Name the store's folder, which need not exist yet."""
    home = os.environ.get("FACEWITNESS_HOME") or user_data_dir("facewitness", appauthor=False)
    return Path(home) / "weights"


def _bundled(weight: Weight) -> bool:
    return isinstance(weight.sources[0], Bundled)


def _target(weight: Weight) -> Path:
    if _bundled(weight):
        return Path(str(resources.files(__package__).joinpath(weight.file)))
    return store() / f"{weight.sha256[:12]}-{weight.file}"


def _stamp(target: Path) -> Path:
    return target.with_name(f"{target.name}.ok")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _trusted(target: Path, weight: Weight) -> bool:
    """Whether the file is the registered one; hashes it only if it changed since it was last hashed."""
    try:
        status = target.stat()
    except OSError:
        return False
    if _bundled(weight):  # small, and nothing is written beside installed code
        return _digest(target) == weight.sha256
    seen = f"{weight.sha256} {status.st_size} {status.st_mtime_ns}"
    with suppress(OSError):
        if _stamp(target).read_text("ascii") == seen:
            return True
    if status.st_size != weight.size or _digest(target) != weight.sha256:
        return False
    with suppress(OSError):  # a read-only store still works, it is only hashed more often
        _stamp(target).write_text(seen, "ascii")
    return True


def _sources(weight: Weight, source_dir: Path | None) -> list[Source]:
    names = (weight.file, _target(weight).name)  # as published, or as in the store of another machine
    if source_dir is not None:
        return [Local(folder=source_dir, names=names)]
    registered = [source for source in weight.sources if not isinstance(source, Bundled)]
    folder = os.environ.get("FACEWITNESS_WEIGHTS_DIR")
    return [Local(folder=Path(folder), names=names), *registered] if folder else list(registered)


def _obtain(weight: Weight, source_dir: Path | None = None, progress: Progress | None = None) -> Path:
    target = _target(weight)
    if _trusted(target, weight):
        return target
    if _bundled(weight):
        raise WeightsMismatch(f"{weight.file} is not the file that was installed; install facewitness again.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f"{target.name}.lock")):
            if not _trusted(target, weight):  # another process may have been quicker
                _fetch(weight, target, _sources(weight, source_dir), progress)
    except OSError as error:
        raise WeightsMissing(
            f"The weights folder cannot be written ({reason(error)}); set FACEWITNESS_HOME to a folder that can be."
        ) from error
    return target


def _fetch(weight: Weight, target: Path, sources: list[Source], progress: Progress | None) -> None:
    failures: list[WeightsError] = []
    for source in sources:
        if progress is not None:
            progress(weight.name, source.label)
        try:
            _install(weight, source, target)
            return
        except WeightsError as error:
            failures.append(error)
    kind = type(failures[0]) if len(failures) == 1 else WeightsMissing
    raise kind(
        f"The weights {weight.name} could not be had: {'; '.join(map(str, failures))}. With a network run "
        f"`facewitness models pull {weight.name}`, without one `facewitness models pull {weight.name} --from DIR`."
    )


def _install(weight: Weight, source: Source, target: Path) -> None:
    """Stream into a file beside the target, check it, put it in place in one step."""
    if source.remote and os.environ.get("FACEWITNESS_OFFLINE", "0") not in ("", "0"):
        raise WeightsMissing(f"{source.label} (offline)")
    with _workspace(target) as work:
        part = work / weight.file
        try:
            with source.open(work) as stream, part.open("wb") as out:
                _receive(stream, out, weight, source.label)
        except FAILURES as error:
            raise WeightsMissing(f"{source.label} ({reason(error)})") from error
        refuse_code(part)
        part.replace(target)
    _trusted(target, weight)


def _receive(stream: IO[bytes], out: IO[bytes], weight: Weight, label: str) -> None:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > weight.size:
            raise WeightsMismatch(f"{label} (more than the registered {weight.size} bytes)")
        digest.update(chunk)
        out.write(chunk)
    if size < weight.size:
        raise WeightsMismatch(f"{label} (ended after {size} of {weight.size} bytes)")
    if digest.hexdigest() != weight.sha256:
        raise WeightsMismatch(f"{label} (sha256 {digest.hexdigest()[:12]} is not the registered one)")
    out.flush()
    os.fsync(out.fileno())


@contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """Folder beside the target, so that the last step is a rename; what a killed process left there is removed."""
    work = target.with_name(f"{target.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(exist_ok=True)  # a pip that outlived its killed parent may make it again
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One holder at a time, among threads and processes; the system releases it when the holder dies."""
    with file.open("a+b") as handle:
        if sys.platform == "win32":
            import msvcrt

            while True:
                with suppress(OSError):
                    msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
                    break
                time.sleep(0.2)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
