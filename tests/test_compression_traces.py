"""Traces of earlier savings and of resizing, in a real face with a history made here."""

from __future__ import annotations

import io
import re
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facewitness.agent import grounding
from facewitness.agent.examine import examine
from facewitness.agent.verdict import SINGLE_LABELS, Brief, Claim, Decision
from facewitness.tools import block_dct, compression_traces, jpeg_grid, resampling, saving_history
from facewitness.tools.compression_traces import LACKS, SHOWS, TOOL
from facewitness.tools.detection import detect
from facewitness.tools.evidence import Evidence
from facewitness.tools.face import Face, FaceView, Mesh
from facewitness.tools.image import RGBImage, load
from facewitness.tools.jpeg_quality import STANDARD_LUMINANCE
from facewitness.tools.trace_regions import as_stored, regions

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
OWN_TABLE = [min(255, 6 + row + 2 * column) for row in range(8) for column in range(8)]


@cache
def original() -> tuple[RGBImage, Face, Mesh]:
    """Enlarged, so that the face is large enough and the file's own history is gone; with its face and mesh."""
    rgb = cv2.resize(load(EXAMPLE).rgb, None, fx=1.4, fy=1.4, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    photo = load(encoded(rgb, None))
    face = detect(rgb)[0]
    return rgb, face, FaceView(photo, face).mesh


def encoded(rgb: RGBImage, quality: int | None, **options: object) -> bytes:
    buffer = io.BytesIO()
    kind = {"format": "PNG"} if quality is None else {"format": "JPEG", "quality": quality}
    Image.fromarray(rgb).save(buffer, **kind | options)
    return buffer.getvalue()


def saved(rgb: RGBImage, quality: int, **options: object) -> RGBImage:
    return load(encoded(rgb, quality, **options)).rgb


def viewed(data: bytes, shift: tuple[int, int] = (0, 0)) -> FaceView:
    _, face, mesh = original()
    x, y, width, height = face.box
    moved = replace(face, box=(x - shift[1], y - shift[0], width, height))
    return FaceView(load(data), moved, {"mesh": replace(mesh, points=mesh.points - (shift[1], shift[0], 0))})


def measured(view: FaceView) -> dict[str, Evidence]:
    found = TOOL.measure(view, [])
    assert len({item.measure for item in found}) == len(found)
    for item in found:
        assert item.tool == "compression_traces"
        assert item.finding.endswith(".") and item.finding.isprintable() and len(item.finding) < 140
        stated = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", item.finding)}
        assert item.status != "ok" or stated <= {
            *item.numbers,
            item.value if isinstance(item.value, float | int) else 0,
        }
    return {item.measure.removeprefix("compression_traces."): item for item in found}


def face_replaced(rgb: RGBImage, scale: float = 0.8) -> RGBImage:
    """The face taken out at another size and put back with a soft edge."""
    x, y, width, height = (int(value) for value in original()[1].box)
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mask = np.zeros(rgb.shape[:2], np.float32)
    cv2.ellipse(mask, (x + width // 2, y + height // 2), (width * 6 // 10, height * 6 // 10), 0, 0, 360, 1, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), 2)[..., None]
    return np.rint(back * soft + rgb * (1 - soft)).astype(np.uint8)


# Earlier savings


@pytest.mark.parametrize("quality", [None, 60, 75, 90, 97])
def test_saved_at_most_once(quality: int | None) -> None:
    found = measured(viewed(encoded(original()[0], quality)))
    if quality is None:
        assert found["earlier_saving"].value == "none"
        assert "no trace" in found["earlier_saving"].finding
    assert found["earlier_saving"].value == "none"
    assert not {"face", "mouth", "own_saving"} & set(found)


@pytest.mark.parametrize(
    ("first", "last"), [(50, 75), (60, 85), (75, 90), (75, 95), (90, 95), (60, None), (75, None), (92, None)]
)
def test_saved_twice(first: int, last: int | None) -> None:
    before = saved(original()[0], first)
    found = measured(viewed(encoded(before, last)))
    assert abs(int(found["earlier_saving"].value or 0) - first) <= 2
    assert float(found["face"].value or 0) >= SHOWS
    assert "shows the trace" in found["face"].finding
    assert not {"mouth", "nose", "left_eye", "right_eye", "own_saving"} & set(found)
    found = measured(viewed(encoded(face_replaced(before), last)))
    assert abs(int(found["earlier_saving"].value or 0) - first) <= 2
    assert float(found["face"].value or 0) <= LACKS
    assert "lacks the trace" in found["face"].finding


@pytest.mark.parametrize(("first", "last"), [(60, 80), (75, 95), (75, None)])
def test_cropped_between(first: int, last: int | None) -> None:
    cut = np.ascontiguousarray(saved(original()[0], first)[3:, 5:])
    found = measured(viewed(encoded(cut, last), (3, 5)))
    assert "before it was cropped" in found["earlier_saving"].finding
    assert float(found["face"].value or 0) >= SHOWS
    cut = np.ascontiguousarray(face_replaced(saved(original()[0], first))[3:, 5:])
    assert float(measured(viewed(encoded(cut, last), (3, 5)))["face"].value or 0) <= LACKS


def test_trace_that_is_too_weak_to_compare() -> None:
    cut = np.ascontiguousarray(saved(original()[0], 85)[3:, 5:])
    found = measured(viewed(encoded(cut, 90), (3, 5)))
    assert found["earlier_saving"].value == "none"
    assert not {"face", "mouth", "nose", "left_eye", "right_eye"} & set(found)


def test_resized_between_leaves_nothing() -> None:
    rgb, face, mesh = original()
    small = cv2.resize(saved(rgb, 75), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA).astype(np.uint8)
    x, y, width, height = (0.8 * value for value in face.box)
    there = replace(face, box=(x, y, width, height))
    view = FaceView(load(encoded(small, 90)), there, {"mesh": replace(mesh, points=mesh.points * 0.8)})
    assert measured(view)["earlier_saving"].value == "none"


def test_table_that_is_no_standard_one() -> None:
    before = saved(original()[0], 75, qtables=[OWN_TABLE, OWN_TABLE])
    found = measured(viewed(encoded(before, 95)))
    assert found["earlier_saving"].value == "unknown"
    assert float(found["face"].value or 0) >= SHOWS
    assert float(measured(viewed(encoded(face_replaced(before), 95)))["face"].value or 0) <= LACKS


def test_one_part_replaced() -> None:
    rgb, _, mesh = original()
    before = saved(rgb, 75)
    mouth = mesh.points[[61, 291, 0, 17, 40, 270, 91, 321], :2].astype(np.int32)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(mouth), 1)
    mask = cv2.dilate(mask, np.ones((15, 15), np.uint8))
    other = cv2.GaussianBlur(before, (0, 0), 0.8)
    forged = np.where(mask[..., None] > 0, other, before).astype(np.uint8)
    found = measured(viewed(encoded(forged, None)))
    assert float(found["face"].value or 0) >= SHOWS
    assert "mouth" in found and not {"left_eye", "right_eye"} & set(found)
    region = found["mouth"].region
    assert region is not None and region.name == "mouth"


def test_face_from_another_jpeg() -> None:
    """Cut out and put in without resizing: its own blocks remain."""
    rgb, face, _ = original()
    x, y, width, height = (int(value) for value in face.box)
    donor = rgb.copy()
    donor[2:, 3:] = saved(np.ascontiguousarray(rgb[2:, 3:]), 70)
    pasted = rgb.copy()
    pasted[y : y + height, x : x + width] = donor[y : y + height, x : x + width]
    found = measured(viewed(encoded(pasted, None)))
    assert abs(int(found["own_saving"].value or 0) - 70) <= 3
    assert found["earlier_saving"].value == "none"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_by_exif(orientation: int) -> None:
    """Blocks lie in the picture as stored, whichever way it is shown."""
    before = saved(np.ascontiguousarray(as_stored(original()[0], orientation)), 70)
    exif = Image.Exif()
    exif[0x0112] = orientation
    view = viewed(encoded(before, 92, exif=exif))
    assert view.photo.rgb.shape == original()[0].shape
    found = measured(view)
    assert abs(int(found["earlier_saving"].value or 0) - 70) <= 2
    assert float(found["face"].value or 0) >= SHOWS


def test_grey_jpeg_and_lossless_webp() -> None:
    grey = cv2.cvtColor(original()[0], cv2.COLOR_RGB2GRAY)
    twice = encoded(cv2.cvtColor(saved(grey, 70), cv2.COLOR_RGB2GRAY), 90)
    assert abs(int(measured(viewed(twice))["earlier_saving"].value or 0) - 70) <= 2
    lossless = encoded(saved(original()[0], 70), None, format="WEBP", lossless=True)
    assert abs(int(measured(viewed(lossless))["earlier_saving"].value or 0) - 70) <= 2


# What cannot be read


def test_files_that_do_not_tell() -> None:
    rgb = original()[0]
    lossy = measured(viewed(encoded(rgb, 80, format="WEBP")))["earlier_saving"]
    assert lossy.status == "not_measurable" and "WEBP" in lossy.finding
    buffer = io.BytesIO()
    Image.fromarray(rgb).convert("CMYK").save(buffer, "JPEG")
    inks = measured(viewed(buffer.getvalue()))["earlier_saving"]
    assert inks.status == "not_measurable" and "4 colour components" in inks.finding


def test_nothing_to_compare() -> None:
    rgb, face, _ = original()
    x, y, width, height = (int(value) for value in face.box)
    tight = np.ascontiguousarray(rgb[y : y + height, x : x + width])
    view = FaceView(load(encoded(tight, 90)), replace(face, box=(0, 0, width, height)), {})
    around = {item.measure: item for item in TOOL.measure(view, [])}["compression_traces.earlier_saving"]
    assert around.status == "not_measurable" and "surrounds the face has 0 blocks" in around.finding
    flat = FaceView(load(encoded(np.full((400, 400, 3), 128, np.uint8), 90)), replace(face, box=(150, 150, 99, 99)), {})
    assert all(item.status == "not_measurable" or item.value is not None for item in TOOL.measure(flat, []))


def test_small_face() -> None:
    _, face, _ = original()
    small = replace(face, box=(300, 100, 40, 50))
    found = TOOL.measure(FaceView(load(encoded(original()[0], None)), small, {}), [])
    assert [item.status for item in found] == ["not_measurable", "not_measurable"]
    assert "40 px" in found[1].finding


def test_after_strong_saving_resizing_is_not_read() -> None:
    found = measured(viewed(encoded(original()[0], 80)))["resizing"]
    assert found.status == "not_measurable"
    assert "quality 80" in found.finding


# Resizing


def test_whole_photo_resized() -> None:
    """The example itself was enlarged by 1.4 here."""
    found = measured(viewed(encoded(original()[0], None)))
    assert "shows a trace of resizing" in found["resizing"].finding
    assert "also show it" in found["resizing_around"].finding


def test_face_alone_resized() -> None:
    rgb = original()[0]
    plain = cv2.GaussianBlur(rgb, (0, 0), 0.7).astype(np.int16)
    noise = np.random.default_rng(0).normal(0, 2, rgb.shape)  # hides that all of it was enlarged
    never = np.clip(plain + noise, 0, 255).astype(np.uint8)
    view = viewed(encoded(never, None))
    assert "no trace of resizing" in measured(view)["resizing"].finding
    found = measured(viewed(encoded(face_replaced(never, 0.6), None)))
    assert "shows a trace of resizing" in found["resizing"].finding
    assert "do not show it" in found["resizing_around"].finding


@pytest.mark.parametrize("factor", [0.9, 1.2, 1.5])
def test_peak_lies_at_the_factor(factor: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.0)
    square = cv2.resize(soft, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)[:256, :256]
    peak = resampling.highest(np.asarray(square, np.uint8))
    assert peak.contrast > 30
    lines = {abs(n / factor - round(n / factor)) for n in range(8)}
    for frequency in (peak.row, peak.column):
        assert min(abs(abs(frequency) - line) for line in lines) < 0.02
    assert resampling.highest(np.asarray(soft[:256, :256], np.uint8)).contrast < 16


# Its parts


def test_coefficients_are_those_of_the_dct() -> None:
    rng = np.random.default_rng(0)
    patches = rng.uniform(0, 255, (5, 15, 15)).astype(np.float32)
    found = block_dct.coefficients(patches, 3, 6)
    for patch, values in zip(patches, found):
        dct = cv2.dct(patch[3:11, 6:14])
        expected = [dct[0, 1], dct[1, 0], dct[2, 0], dct[1, 1], dct[0, 2], dct[0, 3]]
        assert values[:6] == pytest.approx(expected, abs=1e-2)
    every = block_dct.histograms_of_grids(patches)
    for grid in range(64):
        one = block_dct.histograms(block_dct.coefficients(patches, grid // 8, grid % 8))
        # Rounding may move a value on the edge between two bins.
        assert np.abs(one - every[grid]).sum() <= 4


def test_standard_tables_begin_as_in_the_norm() -> None:
    assert STANDARD_LUMINANCE[49, :6].tolist() == [16, 11, 12, 14, 12, 10]
    assert block_dct.TABLES.shape == (65, 14)


def test_clipped_and_flat_patches_are_left_out() -> None:
    rgb = np.random.default_rng(0).integers(60, 200, (64, 64, 3), dtype=np.uint8)
    rgb[:16] = 255
    rgb[48:] = 128
    found = block_dct.patches(rgb, np.array([(0, 0), (16, 0), (24, 24), (49, 8)]))
    assert found.shape == (2, 15, 15)
    expected = rgb[16:31, :15] @ np.array((0.299, 0.587, 0.114))
    assert found[0] == pytest.approx(expected, abs=1e-3)


def test_grid_without_a_saving_does_not_stand_out() -> None:
    rng = np.random.default_rng(2)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (600, 15, 15)).astype(np.float32), (0, 0), 1.0)
    assert jpeg_grid.find(noise, None).contrast < saving_history.CONTRAST_MIN


def test_large_photo_costs_little() -> None:
    rgb = np.tile(load(EXAMPLE).rgb, (6, 8, 1))
    face = (1300.0, 500.0, 900.0, 1200.0)
    start = time.perf_counter()
    parts = regions(rgb, face, {"mouth": (1500.0, 1300.0, 500.0, 200.0)}, None)
    assert time.perf_counter() - start < 0.5
    assert 300 < len(parts.inside) <= 1000 and 500 < len(parts.around) <= 1400 and len(parts.parts["mouth"]) <= 300


@pytest.mark.data
def test_speed_on_portraits(data: Path) -> None:
    least = []
    for path in sorted((data / "frll_london" / "neutral").glob("*.jpg"))[:10]:
        photo = load(encoded(load(path).rgb, 96))
        view = FaceView(photo, detect(photo.rgb)[0])
        assert view.mesh.points.shape == (478, 3)
        times = []
        for _ in range(4):
            start = time.thread_time()
            TOOL.measure(view, [])
            times.append(time.thread_time() - start)
        least.append(min(times))
    assert np.median(least) < 0.06


# In an examination


def test_explanation_may_repeat_every_finding() -> None:
    rgb = original()[0]
    views = [viewed(data) for data in (encoded(rgb, None), encoded(saved(rgb, 75), 90), encoded(saved(rgb, 75), None))]
    views += [viewed(encoded(face_replaced(saved(rgb, 75)), last)) for last in (None, 90)]
    views.append(viewed(encoded(np.ascontiguousarray(saved(rgb, 60)[3:, 5:]), 90), (3, 5)))
    decision = Decision("inconclusive", dict.fromkeys(SINGLE_LABELS, 1 / 3), True)
    for view in views:
        evidence = tuple(replace(item, id=f"e{place}") for place, item in enumerate(TOOL.measure(view, []), 1))
        for item in evidence:
            claim = Claim(item.finding, (item.id,), "observations")
            assert grounding.why_unsupported(claim, Brief(evidence, decision)) is None


def test_examination_tells_of_the_face_first(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encoded(face_replaced(saved(original()[0], 75)), 90))
    record = examine(tmp_path / "photo.jpg", model="none")
    found = [item for item in record.evidence if item.tool == compression_traces.NAME]
    assert found[0].measure == "compression_traces.face"
    assert "lacks the trace" in found[0].finding
    assert any(claim.text == found[0].finding and claim.supported for claim in record.explanation.claims)
