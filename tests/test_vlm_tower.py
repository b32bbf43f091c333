# ruff: noqa: E402
"""The vision tower's training, on a few drawn faces and a tiny tower."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from facewitness.finetune.forensic_model import FAMILIES
from facewitness.finetune.forgery_set import Entry, ForgerySet
from facewitness.finetune.training import Run
from facewitness.finetune.vlm import embedded
from facewitness.finetune.vlm_tower import forgeries, validation
from facewitness.finetune.vlm_tower.geometry import (
    MIRRORED_BLENDSHAPES,
    MIRRORED_POINTS,
    Placement,
)
from facewitness.finetune.vlm_tower.losses import WEIGHTS, losses
from facewitness.finetune.vlm_tower.network import Seen, Shape, Teaching, begin, tokens
from facewitness.finetune.vlm_tower.photos import LABELS, Photos
from facewitness.finetune.vlm_tower.sampler import Item, Sampler
from facewitness.finetune.vlm_tower.teachers import DENSE, Identity, Traces
from facewitness.finetune.vlm_tower.train import Config, Material, train
from facewitness.finetune.vlm_tower.views import views
from facewitness.tools import forensic_network, image
from facewitness.tools.action_units import NAMES
from facewitness.tools.alignment import TEMPLATE, WIDE, align_wide
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView
from facewitness.tools.landmarks import BLENDSHAPES

SIDE = 192
TINY = Shape(image_size=64, patch_size=16, hidden_size=32, layers=3, heads=2)
QUICK = Config(
    shape=TINY, steps=24, batch=8, kept=8, sparse=0.5, learning_rate=3e-3, checkpoint_every=12, average=0.8, warmup=0.1
)


def _face(number: int) -> np.ndarray:
    """A blot of its own colour with darker eyes and mouth, on noise."""
    rng = np.random.default_rng(number)
    rgb = rng.integers(90, 130, (SIDE, SIDE, 3)).astype(np.uint8)
    rgb[30:170, 40:152] = rng.integers(120, 255, 3)
    for x, y in ((TEMPLATE + 112 * (WIDE - 1) / 2) * SIDE / (112 * WIDE)).astype(int):
        rgb[y - 5 : y + 5, x - 8 : x + 8] = rng.integers(0, 90, 3)
    return rgb


@pytest.fixture(scope="module")
def mesh(astronaut: Path) -> np.ndarray:
    """The astronaut's mesh, laid over the drawn faces."""
    photo = image.load(astronaut)
    points = FaceView(photo, detect(photo.rgb)[0]).mesh.points[:, :2]
    low, high = points.min(0), points.max(0)
    return (0.2 + 0.6 * (points - low) / (high - low)).astype(np.float32)


@pytest.fixture(scope="module")
def material(mesh: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Twelve people with a photo each, in the set too, and forgeries of it with a bright patch on the mouth."""
    rng, people = np.random.default_rng(0), range(12)
    splits = ["fit" if n < 6 else "calibration" for n in people]
    faces = [_face(n) for n in people]
    pictures, masks, entries = [], [], []
    for n, face in zip(people, faces, strict=True):
        base = len(pictures)
        pictures.append(face)
        masks.append(np.zeros((48, 48), np.uint8))
        entries.append(Entry("real", "real", "frll", str(n), splits[n]))
        for family, method in (("manipulation", "clone"), ("synthesis", "redrawn.smooth"), ("morph", "morph")):
            forged, mask = face.copy(), np.zeros((48, 48), np.uint8)
            forged[112:176, 56:136] = 255 - forged[112:176, 56:136]
            mask[28:44, 14:34] = 255
            pictures.append(forged)
            masks.append(mask)
            entries.append(Entry(family, method, "frll", str(n), splits[n], base))
    units = np.full((12, len(NAMES)), np.nan, np.float32)
    labels = np.tile(np.array([0, 1, 30, 0], np.float32), (12, 1))
    labels[::2] = (1, 0, 50, 1)
    photos = Photos(
        np.stack(faces),
        np.tile(mesh, (12, 1, 1)) + rng.normal(0, 0.02, (12, 1, 2)).astype(np.float32),
        rng.random((12, 52)).astype(np.float32),
        rng.normal(0, 10, (12, 3)).astype(np.float32),
        _unit(rng.normal(0, 1, (12, 128))),
        units,
        labels,
        *(np.array(words) for words in ([f"{n}.png" for n in people], ["frll"] * 12, [str(n) for n in people], splits)),
    )
    made = ForgerySet(np.stack(pictures), np.stack(masks), tuple(entries))
    cache = tmp_path_factory.mktemp("cache")
    known = forgeries.known(made, photos, cache)
    return Material(made, photos, known, views(Sampler(made, photos, known, TINY, 0), TINY, 4, 8, cache / "views", 2))


def _unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_mirrored_points_and_blendshapes_change_sides(astronaut: Path) -> None:
    """The mesh of the mirrored photo is the mirrored mesh, point by point, and so are blendshapes and pose."""
    photo = image.load(astronaut)
    flipped = image.Photo(np.ascontiguousarray(photo.rgb[:, ::-1]), b"", "", "PNG")
    plain, mirrored = (FaceView(p, detect(p.rgb)[0]) for p in (photo, flipped))
    width, corners = photo.rgb.shape[1], (33, 263)
    mirror = Placement(mirror=True)

    points = [view.mesh.points[:, :2] / width for view in (plain, mirrored)]
    size = np.linalg.norm(points[0][corners[0]] - points[0][corners[1]])
    off = np.linalg.norm(mirror.points(points[0]) - points[1], axis=1) / size
    assert off.mean() < 0.03 and off.max() < 0.12
    wrong = np.linalg.norm(Placement().points(points[0]) * [-1, 1] + [1, 0] - points[1], axis=1) / size
    assert wrong.mean() > 0.3

    values = [view.mesh.blendshapes for view in (plain, mirrored)]
    again = mirror.blendshapes(values[0])
    assert np.abs(again - values[1]).mean() < 0.05
    assert again[BLENDSHAPES.index("mouthSmileLeft")] == values[0][BLENDSHAPES.index("mouthSmileRight")]
    poses = [np.array([v.pose.yaw, v.pose.pitch, v.pose.roll], np.float32) for v in (plain, mirrored)]
    np.testing.assert_allclose(mirror.pose(poses[0]), poses[1], atol=3)
    for order in (MIRRORED_POINTS, MIRRORED_BLENDSHAPES):
        assert np.array_equal(order[order], np.arange(len(order)))


@pytest.mark.parametrize("mirror", [False, True])
def test_points_go_where_the_pixels_go(mirror: bool) -> None:
    placement = Placement(12, 1.2, (0.05, -0.03), mirror)
    dot = np.zeros((SIDE, SIDE), np.uint8)
    dot[60:63, 120:123] = 255
    moved = placement.picture(dot, 160, 0)
    rows, columns = np.nonzero(moved > 100)
    place = np.full((478, 2), (121.5 / SIDE, 61.5 / SIDE), np.float32)
    found = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / 160
    np.testing.assert_allclose(placement.points(place)[0], found, atol=0.004)


def test_turning_a_picture_turns_the_measured_roll(astronaut: Path) -> None:
    photo = image.load(astronaut)
    rgb = photo.rgb[:512, :512]
    turned = image.Photo(Placement(angle=10).picture(rgb, 512), b"", "", "PNG")
    poses = [FaceView(p, detect(p.rgb)[0]).pose for p in (photo, turned)]
    expected = Placement(angle=10).pose(np.array([poses[0].yaw, poses[0].pitch, poses[0].roll], np.float32))
    assert poses[1].roll == pytest.approx(float(expected[2]), abs=2.5)


def test_what_is_known_of_a_forgery(material: Material) -> None:
    """The photo is found by its pixels; only the mouth is altered; a morph's geometry is not known."""
    known, entries = material.known, material.faces.entries
    assert [known.photo[row] for row in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert all(known.still[row] == (entry.family != "morph") for row, entry in enumerate(entries))
    of = dict(zip(forgeries.REGIONS, known.regions[1], strict=True))
    assert of["mouth"] == 1 and of["eyes"] == 0
    assert not known.regions[0].any() and np.isnan(known.regions[2]).all()


def test_masks_by_patch(material: Material) -> None:
    """The target of a patch is how much of it was altered, wherever the crop was moved to."""
    sampler = Sampler(material.faces, material.photos, material.known, TINY, 0)
    heats = []
    for seed in range(12):
        batch = sampler.of([Item(1, -1, seed), Item(0, -1, seed), Item(2, -1, seed)])
        heat = batch.targets["heat"][0].reshape(4, 4)
        # The pair differs, but for the chain's spill, only where the target says so.
        changed = (batch.crops[0] - batch.crops[1]).abs().mean(0).reshape(4, 16, 4, 16).mean((1, 3))
        assert changed[heat > 0.3].min() > changed[heat == 0].max()
        assert not batch.targets["heat"][1].any() and batch.targets["heat"][2].isnan().all()
        heats.append(heat)
    mean = torch.stack(heats).mean(0)
    assert mean[2:, 1:3].min() > 0.1 > mean[:2].max()


def test_batches_hold_pairs_and_repeat(material: Material) -> None:
    sampler = Sampler(material.faces, material.photos, material.known, TINY, 0)
    batch, again, other = sampler.batch(3, 16, 8), sampler.batch(3, 16, 8), sampler.batch(4, 16, 8)
    assert torch.equal(batch.crops, again.crops) and not torch.equal(batch.crops, other.crops)
    assert batch.kept is not None and torch.equal(batch.kept[batch.pairs], batch.kept[batch.pairs + 1])
    family = batch.targets["family"][:, 0]
    assert len(batch.pairs) == 4 and (family[batch.pairs] > 0).all() and (family[batch.pairs + 1] == 0).all()
    moved = torch.tensor([FAMILIES[int(f)] == "morph" for f in family])
    assert torch.equal(batch.targets["mesh"].isnan().all(1), moved)


def test_views_are_the_batches_with_what_teaches_them(material: Material) -> None:
    """Each once an epoch, crops to a grey level, the networks' sayings those of the tools on the same crop."""
    drawn = Sampler(material.faces, material.photos, material.known, TINY, 0)
    batches = [drawn.batch(step, 8) for step in range(4)]
    epoch = [material.views.batch(step, seed=5) for step in range(4)]
    found = [next(n for n, b in enumerate(batches) if (b.crops - one.crops).abs().max() < 0.01) for one in epoch]
    assert sorted(found) == [0, 1, 2, 3]
    one, same = epoch[0], batches[found[0]]
    assert torch.equal(one.pairs, same.pairs) and torch.equal(one.targets["family"], same.targets["family"])
    crop = ((one.crops[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    dense, logits = Traces.shared().read(crop, TINY.grid)
    assert dense.shape == (TINY.grid**2, DENSE)
    np.testing.assert_allclose(one.targets["traces"][0], logits, atol=0.02)
    half = material.views.batch(0, seed=5, kept=8)
    assert half.kept is not None and half.kept.shape == (8, 8)
    assert torch.equal(half.kept[half.pairs], half.kept[half.pairs + 1])


def test_teachers_say_what_the_tools_say(astronaut: Path) -> None:
    """SFace unfolded gives the feature of ``tools.identity``, the cut network the logits of the whole one."""
    photo = image.load(astronaut)
    view = FaceView(photo, detect(photo.rgb)[0])
    expected = view.feature / np.linalg.norm(view.feature)
    assert float(Identity.shared().read(align_wide(photo.rgb, view.face.points, 512)) @ expected) > 0.97
    crop = align_wide(photo.rgb, view.face.points, 160)
    sides = [Traces.shared().read(np.ascontiguousarray(one), 8)[1] for one in (crop, crop[:, ::-1])]
    whole = forensic_network.read(crop[None])[0].scores
    mean = np.mean(sides, 0)
    np.testing.assert_allclose([mean[k] - mean[0] for k in (1, 2, 3)], list(whole.values()), atol=1e-3)


def test_unknown_targets_teach_nothing(material: Material) -> None:
    model = Teaching(TINY)
    batch = material.views.batch(0, seed=0)
    blank = batch._replace(
        targets={name: torch.full_like(value, torch.nan) for name, value in batch.targets.items()},
        pairs=batch.pairs[:0],
    )
    found = losses(model, model(batch.crops), blank)
    assert set(found) == set(WEIGHTS) and all(float(loss.detach()) == 0 for loss in found.values())
    sum(found.values()).backward()
    assert all(part.grad is None or not part.grad.any() for part in model.parameters())


def test_training_lowers_the_loss_and_resumes_to_the_same_weights(material: Material, tmp_path: Path) -> None:
    whole = train(material, QUICK, Run(tmp_path / "whole", QUICK))
    half = QUICK.model_copy(update={"stop": 12})
    train(material, half, Run(tmp_path / "parts", half))
    (tmp_path / "parts" / "config.json").write_text((tmp_path / "whole" / "config.json").read_text())
    resumed = train(material, QUICK, Run(tmp_path / "parts", QUICK, resume=True))
    for (name, one), (_, other) in zip(whole.state_dict().items(), resumed.state_dict().items()):
        torch.testing.assert_close(one, other, rtol=0, atol=0, msg=name)

    batch = material.views.batch(0, seed=9)
    torch.manual_seed(QUICK.seed)
    fresh = Teaching(TINY)
    fresh.scale(torch.from_numpy(material.photos.mesh), torch.from_numpy(material.photos.blendshapes))
    begin(fresh.tower, batch.crops)
    totals = []
    with torch.inference_mode():
        for model in (fresh, whole):
            found = losses(model, model(batch.crops), batch)
            totals.append(sum(WEIGHTS[name] * float(loss) for name, loss in found.items()))
    assert totals[1] < 0.9 * totals[0]
    logged = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert {"auc_manipulation", "auc_regions", "mesh_error"} <= {key for line in logged for key in line}


def test_llava_reads_the_same_from_the_last_state_and_the_one_before_it() -> None:
    """And ``tokens``, which skips the last layer, gives the same."""
    torch.manual_seed(0)
    tower = Teaching(TINY).tower.eval()
    crops = torch.rand(2, 3, 64, 64) * 2 - 1
    begin(tower, crops)
    with torch.inference_mode():
        expected = tokens(tower, crops)
        states = tower(crops, output_hidden_states=True).hidden_states
    torch.testing.assert_close(states[embedded.FEATURE_LAYER], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(states[-1], states[-2], rtol=0, atol=0)


def test_mesh_error_is_in_per_cent_of_the_eyes_distance(mesh: np.ndarray) -> None:
    distance = np.linalg.norm(mesh[33] - mesh[263])
    moved = mesh + np.array([0.1 * distance, 0], np.float32)
    np.testing.assert_allclose(validation.mesh_error(moved[None], mesh[None]), [10], rtol=1e-4)


def test_areas_compare_a_source_with_its_own_photos() -> None:
    families = np.array(["real", "real", "morph", "real", "synthesis"])
    sources = np.array(["frll", "frll", "frll", "ffhq", "stylegan2"])
    scores = np.zeros((5, 4))
    scores[:, 3], scores[:, 2] = (0, 1, 2, 9, 0), (5, 5, 0, 0, 1)
    assert validation.family_areas(scores, families, sources, "morph") == {"frll": 1.0}
    assert validation.family_areas(scores, families, sources, "synthesis") == {"stylegan2": 1.0}


def test_blendshapes_come_back_from_what_the_head_gives() -> None:
    model, values = Teaching(TINY), torch.rand(20, 52)
    model.scale(torch.rand(20, 478, 2), values)
    torch.testing.assert_close(model.blendshapes(model.standard(values)), values, rtol=0, atol=1e-5)
    seen = model(torch.zeros(1, 3, 64, 64))
    assert isinstance(seen, Seen) and seen.heat.shape == (1, 16) and seen.of["mesh"].shape == (1, 956)
    assert len(LABELS) == 4
