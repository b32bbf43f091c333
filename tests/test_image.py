"""Input: every bad file is refused quickly and clearly, every good one comes out upright and RGB."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from facewitness.errors import InputError, TruncatedImage, UnreadableFile
from facewitness.tools.containers import inspect
from facewitness.tools.image import Photo, load

from .hostile_files import (
    CASES,
    CONTENTS,
    JPEG,
    LOSSLESS,
    PNG,
    PROGRESSIVE,
    WEBP,
    chunk,
    encode,
    picture,
    png,
    riff,
    with_segment,
)

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"


def test_corpus_is_large() -> None:
    assert len(CASES) >= 90


@pytest.mark.parametrize("name", CASES)
def test_bad_file_is_refused(name: str, tmp_path: Path) -> None:
    path = CASES[name].make(tmp_path)
    start = time.perf_counter()
    with pytest.raises(InputError) as caught:
        load(path)
    seconds = time.perf_counter() - start
    message = str(caught.value)
    assert type(caught.value) is CASES[name].error, message
    assert seconds < 1
    assert message.endswith(".")
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 120
    assert str(tmp_path) not in message


@pytest.mark.parametrize("name", CONTENTS)
def test_bad_bytes_are_refused_alike(name: str) -> None:
    data, error = CONTENTS[name]
    with pytest.raises(error):
        load(data)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(JPEG)
    path.chmod(0)
    with pytest.raises(UnreadableFile, match="permission"):
        load(path)


def test_string_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(JPEG)
    assert load(str(path)).sha256 == load(path).sha256 == load(JPEG).sha256
    with pytest.raises(UnreadableFile):
        load("https://example.org/photo.jpg")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files just under the pixel limit whose fault shows only when most of it is decoded."""
    folder = tmp_path_factory.mktemp("large")
    image = picture().resize((6300, 6300), Image.Resampling.NEAREST)
    jpeg, webp = encode("JPEG", image, quality=80), encode("WEBP", image, quality=50, method=0)
    (folder / "cut.jpg").write_bytes(jpeg[: len(jpeg) * 9 // 10] + b"\xff\xd9")
    (folder / "cut.webp").write_bytes(riff((b"VP8 ", webp[20 : len(webp) * 9 // 10])))
    (folder / "short.png").write_bytes(png(6300, 6300, zlib.compress((b"\0" + b"\x77" * 6300) * 6200)))
    return folder


def test_memory_stays_bounded(tmp_path: Path, large: Path) -> None:
    for name, (data, _) in CONTENTS.items():
        (tmp_path / name).write_bytes(data)
    script = (
        "import sys; from pathlib import Path\n"
        "from facewitness.errors import InputError; from facewitness.tools.image import load\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024\n"
        "load(Path(sys.argv[1])); before, refused = peak(), 0\n"
        "for folder in sys.argv[2:]:\n"
        "    for path in Path(folder).iterdir():\n"
        "        try: load(path)\n"
        "        except InputError: refused += 1\n"
        "print(refused, peak() - before)"
    )
    command = [sys.executable, "-c", script, EXAMPLE, tmp_path, large]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert int(output[0]) == len(CONTENTS) + 3
    assert float(output[1]) < 200  # MB


def test_example() -> None:
    photo = load(EXAMPLE)
    assert photo.rgb.shape == (512, 512, 3)
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb.flags.c_contiguous
    assert not photo.rgb.flags.writeable
    assert photo.format == "JPEG"
    assert len(photo.sha256) == 64
    assert np.array_equal(photo.rgb, np.asarray(Image.open(EXAMPLE).convert("RGB")))
    with pytest.raises(ValueError, match="read-only"):
        photo.rgb[0, 0, 0] = 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(kind, exif=exif, **({} if kind == "JPEG" else {"lossless": True}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    photo = load(data)
    assert np.array_equal(photo.rgb, expected)
    assert photo.rgb.flags.c_contiguous
    assert not photo.rgb.flags.writeable


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_decoder_sees_no_metadata(kind: str) -> None:
    """Nor its announcement; the picture is the same without."""
    exif = Image.Exif()
    exif[0x010E] = "a description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(kind, exif=exif, xmp=b"<x:xmpmeta/>", icc_profile=profile)
    given = inspect(data, kind).pixels
    with Image.open(io.BytesIO(given)) as seen, Image.open(io.BytesIO(data)) as whole:
        assert not {"exif", "xmp", "icc_profile"} & set(seen.info) and not seen.getexif()
        assert np.array_equal(np.asarray(seen.convert("RGB")), np.asarray(whole.convert("RGB")))
    assert not any(part in given for part in (b"a description", b"xmpmeta", profile[-64:]))


@pytest.mark.parametrize("block", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"\xff" * 500, b"II*\0\xff\xff\xff\xff"])
def test_malformed_exif_is_never_fatal(block: bytes) -> None:
    assert np.array_equal(load(with_segment(JPEG, 0xE1, b"Exif\0\0" + block)).rgb, load(JPEG).rgb)


def test_hostile_tag_table_costs_nothing() -> None:
    """Pillow's reader warns once for each of these 5,000 entries, and copies each that fits."""
    entries = b"".join((0x2000 + i).to_bytes(2, "little") + b"\7\0\0\xf0\0\0\x08\0\0\0" for i in range(5000))
    block = b"Exif\0\0II*\0\x08\0\0\0" + (5000).to_bytes(2, "little") + entries
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(with_segment(JPEG, 0xE1, block))
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_modes(mode: str) -> None:
    image = picture().convert(mode)
    photo = load(encode("PNG", image))
    assert np.array_equal(photo.rgb, np.asarray(image.convert("RGB")))


def test_sixteen_bit_grey_is_scaled() -> None:
    grey = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    photo = load(encode("PNG", Image.fromarray(grey)))
    assert np.array_equal(photo.rgb[..., 1], (grey >> 8).astype(np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 3), (9, 8), (40, 17)])
@pytest.mark.parametrize("level", [0, 77, 255])
def test_interlaced_png(size: tuple[int, int], level: int) -> None:
    """All passes of a flat picture hold the same byte, so its stream can be written by hand."""
    width, height = size
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b""
    for x, y, dx, dy in passes:
        columns = -(-(width - x) // dx)
        rows += (b"\0" + bytes([level]) * columns) * -(-(height - y) // dy) if columns > 0 else b""
    assert (load(png(width, height, zlib.compress(rows), interlace=1)).rgb == level).all()
    if size == (40, 17):
        with pytest.raises(TruncatedImage):
            load(png(width, height, zlib.compress(rows[:-41]), interlace=1))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_shown_on_white(kind: str) -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (load(encode(kind, image, lossless=True)).rgb == 255).all()


def test_transparent_palette_is_shown_on_white() -> None:
    image = Image.new("P", (8, 8), 3)
    image.putpalette([0] * 768)
    assert (load(encode("PNG", image, transparency=3)).rgb == 255).all()


def test_cmyk_with_and_without_adobe_marker() -> None:
    """An Adobe JPEG stores inks inverted; without the marker they are stored as they are."""
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    adobe = encode("JPEG", image, quality=95)
    assert np.abs(load(adobe).rgb[8, 8].astype(int) - (255, 0, 0)).max() < 6
    start = adobe.index(b"\xff\xeeAdobe"[:2])
    plain = adobe[:start] + adobe[start + 16 :]
    assert b"Adobe" not in plain
    assert np.abs(load(plain).rgb[8, 8].astype(int) - (0, 0, 0)).max() < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (10_000, 1)])
def test_extreme_sizes(kind: str, size: tuple[int, int]) -> None:
    assert load(encode(kind, picture(*size))).rgb.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    "image",
    [Image.new("RGB", (40, 40), (128, 128, 128)), Image.new("L", (40, 40), 128), Image.new("RGB", (40, 40))],
    ids=["grey", "single channel", "black"],
)
def test_flat_pictures_are_not_taken_for_truncated(image: Image.Image) -> None:
    for data in (encode("JPEG", image), encode("JPEG", image, progressive=True), encode("PNG", image)):
        assert np.abs(load(data).rgb.astype(int) - np.asarray(image.convert("RGB"))).max() <= 1


def test_data_behind_the_picture_are_ignored() -> None:
    for data in (JPEG, PNG, WEBP):
        assert np.array_equal(load(data + b"PK\x03\x04" + b"x" * 100).rgb, load(data).rgb)


def test_first_of_several_pictures() -> None:
    """Phones store gain maps and previews as further JPEGs behind the first (MPF)."""
    data = encode("MPO", save_all=True, append_images=[Image.new("RGB", (96, 64))])
    assert np.array_equal(load(data).rgb, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_png_of_one_declared_frame() -> None:
    still = PNG[:33] + encode("PNG", picture(), save_all=True)[33:]
    assert load(still).format == "PNG"


def test_damaged_metadata_do_not_refuse_the_picture() -> None:
    for kind in (b"zTXt", b"iCCP", b"iTXt", b"eXIf"):
        assert np.array_equal(load(PNG[:33] + chunk(kind, b"a\0\1\1\1\1garbage") + PNG[33:]).rgb, load(PNG).rgb)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.sampled_from([JPEG, PROGRESSIVE, PNG, WEBP, LOSSLESS]),
    flips=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(1, 255)), max_size=6),
    keep=st.floats(0, 1),
    tail=st.sampled_from([b"", b"\xff\xd9", b"\0" * 64]),
)
def test_damaged_bytes_give_a_photo_or_an_input_error(
    data: bytes, flips: list[tuple[float, int]], keep: float, tail: bytes
) -> None:
    broken = bytearray(data)
    for position, mask in flips:
        broken[int(position * len(broken))] ^= mask
    with contextlib.suppress(InputError):
        photo = load(bytes(broken[: int(keep * len(broken))]) + tail)
        assert isinstance(photo, Photo)
        assert photo.rgb.ndim == 3


@settings(max_examples=150, deadline=None)
@given(keep=st.integers(0, 10**6))
def test_every_cut_is_noticed(keep: int) -> None:
    for data in (JPEG, PROGRESSIVE, PNG, WEBP, LOSSLESS):
        with pytest.raises(InputError):
            load(data[: keep % len(data)])


@settings(max_examples=200, deadline=None)
@given(block=st.binary(max_size=300))
def test_any_exif_block_can_be_read(block: bytes) -> None:
    load(with_segment(JPEG, 0xE1, b"Exif\0\0MM\0*" + block))
