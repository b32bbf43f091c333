"""Photos decoded in a process of their own: the same pixels, the same refusals, and limits that hold."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness.errors import InputError, Undecodable
from facewitness.tools import image
from facewitness.ui.api.decoder import MAX_PHOTOS, Decoder

from .hostile_files import CONTENTS, encode

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(2)
    assert decoder.start()
    yield decoder
    decoder.close()


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


def large() -> bytes:
    """40,000,000 pixels with transparency."""
    buffer = BytesIO()
    Image.new("RGBA", (8000, 5000), (200, 100, 50, 128)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def pid(decoder: Decoder) -> int:
    return decoder._idle[-1]._process.pid


def outcome(load: object, data: bytes) -> tuple[object, ...]:
    try:
        photo = load(data)  # type: ignore[operator]
    except InputError as refusal:
        return type(refusal), str(refusal)
    return photo.rgb.shape, photo.rgb.tobytes(), photo.format, photo.sha256, photo.data == data


def test_it_says_what_the_library_says(decoder: Decoder, photo: bytes) -> None:
    turned = BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2026:11:25 17:03:21"
    Image.open(BytesIO(photo)).save(turned, "JPEG", exif=exif)
    files = [photo, turned.getvalue(), photo[: len(photo) // 2] + photo[-2:], photo[:100], b"", b"text"]
    files += [encode(kind) for kind in ("JPEG", "PNG", "WEBP")]
    assert len(CONTENTS) > 40
    files += [data for data, _ in CONTENTS.values()] + [photo + b"more"]
    processes = set()
    for data in files:
        assert outcome(decoder.load, data) == outcome(image.load, data)
        processes |= {process._process.pid for process in decoder._idle}
    assert len(processes) == -(-len(files) // MAX_PHOTOS)  # none of them ended one
    assert not decoder.load(photo).rgb.flags.writeable


@linux
def test_the_limits_hold(decoder: Decoder) -> None:
    import resource

    assert decoder.limits == ("RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CORE")
    for name in decoder.limits[1:]:
        assert resource.prlimit(pid(decoder), getattr(resource, name)) == (0, 0)
    assert resource.prlimit(pid(decoder), resource.RLIMIT_AS)[1] < 3 << 30
    assert not {"FACEWITNESS_HOME", "FACEWITNESS_API_KEY"} & set(
        Path(f"/proc/{pid(decoder)}/environ").read_text().replace("\0", "=").split("=")
    )


@linux
def test_a_photo_that_takes_too_much_memory_is_refused_and_the_next_is_decoded(photo: bytes) -> None:
    decoder = Decoder(1, memory=100_000_000)
    with pytest.raises(Undecodable, match="memory"):
        decoder.load(large())
    assert decoder.load(photo).rgb.shape == (512, 512, 3)
    decoder.close()


def test_the_largest_photo_has_room(decoder: Decoder) -> None:
    assert decoder.load(large()).rgb.shape == (5000, 8000, 3)


def test_a_photo_that_takes_too_long_is_refused_and_the_next_is_decoded(photo: bytes) -> None:
    decoder = Decoder(1, seconds=1.0)
    assert decoder.start()
    os.kill(pid(decoder), signal.SIGSTOP)  # hangs
    started = time.monotonic()
    with pytest.raises(Undecodable, match="over 1 seconds"):
        decoder.load(photo)
    assert time.monotonic() - started < 5
    decoder._seconds = 30.0
    assert np.array_equal(decoder.load(photo).rgb, image.load(photo).rgb)
    decoder.close()


def test_a_process_that_was_killed_is_replaced(decoder: Decoder, photo: bytes) -> None:
    killed = pid(decoder)
    os.kill(killed, signal.SIGKILL)
    assert decoder.load(photo).format == "JPEG"
    assert pid(decoder) != killed


def test_a_process_is_replaced_after_some_photos_and_ends_with_its_input(decoder: Decoder) -> None:
    first, tiny = pid(decoder), encode("PNG")
    for _ in range(MAX_PHOTOS + 1):
        outcome(decoder.load, tiny)
    assert pid(decoder) != first
    process = decoder._idle.pop()._process
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()  # as when the service is killed
    assert process.wait(20) == 0
    process.stdout.close()


def test_threads_decode_at_the_same_time(decoder: Decoder, photo: bytes) -> None:
    expected = image.load(photo).rgb
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found.rgb, expected) for found in pool.map(decoder.load, [photo] * 12))
    assert len(decoder._idle) <= 2


def test_where_no_process_can_be_started_it_decodes_here_and_says_so(
    photo: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for executable in ("", str(tmp_path / "nothing"), "/bin/false"):
        monkeypatch.setattr(sys, "executable", executable)
        decoder = Decoder(1)
        assert not decoder.start()
        assert not decoder.separate
        assert decoder.load(photo).format == "JPEG"
        decoder.close()
