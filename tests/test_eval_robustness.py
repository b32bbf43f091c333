"""The benchmark ``robustness``: changes of a photo, attacks along gradients, and what is counted of both."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facewitness.errors import InvalidOption, NotAssessable
from facewitness.evals import benchmarks, change_scores, held_out, perturbations, report, runner
from facewitness.evals.answers import Answer
from facewitness.evals.benchmarks import Item
from facewitness.evals.benchmarks.item import limited
from facewitness.evals.pictures import material
from facewitness.evals.runner import Plan, Row, Run
from facewitness.tools import image, sface
from facewitness.tools.alignment import align, align_wide
from facewitness.tools.detection import detect

# Inspect leaves streams to the garbage collector; they are collected here, where that is no error.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """A face and its softened mirror image, called real and fake; a picture without a face; a list with references."""
    root = tmp_path_factory.mktemp("robust")
    (root / "real").mkdir()
    (root / "fake").mkdir()
    shutil.copy(astronaut, root / "real" / "a.jpg")
    bgr = cv2.GaussianBlur(np.asarray(cv2.imread(str(astronaut))), (0, 0), 1.2)
    cv2.imwrite(str(root / "fake" / "b.png"), bgr[:, ::-1])
    Image.new("RGB", (96, 96), "green").save(root / "fake" / "c.png")
    lines = ["path,label,person,references", "real/a.jpg,the person,p,fake/b.png;real/a.jpg"]
    (root / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def _items(data: Path, **switches: str) -> list[Item]:
    return benchmarks.find("robustness").items(data, {"attacks": "no", **switches})


def test_every_photo_is_asked_plain_and_after_each_change(photos: Path) -> None:
    items = _items(photos)
    plain = [item for item in items if not item.of]
    assert [item.id for item in plain] == ["real/a.jpg", "fake/b.png", "fake/c.png"]
    of_first = [item for item in items if item.of == "real/a.jpg"]
    assert [item.change for item in of_first] == [*perturbations.JPEG, *perturbations.CHANGES]
    assert all(
        (item.truth, item.cluster, item.images) == ("authentic", "real/a.jpg", ("real/a.jpg",)) for item in of_first
    )
    few = _items(photos, changes="jpeg 50, words", kind="synthetic")
    assert {item.change for item in few} == {"", "jpeg 50", "words beside", "words over"}
    assert {item.truth for item in few} == {"authentic", "synthetic"}
    kept = limited(items, 1)
    assert len(kept) == 1 + len(of_first) and len({item.of or item.id for item in kept}) == 1


def test_what_cannot_be_had_is_refused_in_words(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidOption, match="no change 'fog'"):
        _items(photos, changes="fog")
    with pytest.raises(InvalidOption, match="csv has no option kind"):
        _items(photos / "list.csv", kind="synthetic")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "facewitness.evals.benchmarks.robustness.find_spec", lambda name: None if name == "torch" else find(name)
    )
    with pytest.raises(InvalidOption, match=r"torch is not installed: install facewitness\[finetune\].*attacks=no"):
        _items(photos, attacks="yes")
    assert _items(photos, attacks="no")


def test_changes_do_what_their_names_say(photos: Path) -> None:
    made = {item.change: material(item, photos) for item in _items(photos) if item.of == "real/a.jpg"}
    plain = image.load((photos / "real" / "a.jpg").read_bytes()).rgb
    height, width = plain.shape[:2]
    pictures = {name: image.load(files.images[0]).rgb for name, files in made.items()}
    assert all(files.images[0].startswith(b"\xff\xd8") == name.startswith("jpeg") for name, files in made.items())
    ratios = [made[f"jpeg {quality}"].psnr or 0.0 for quality in perturbations.QUALITIES]
    assert ratios == sorted(ratios, reverse=True) and 25 < ratios[-1] < ratios[0] < 55
    assert made["crop"].psnr is None and pictures["crop"].shape == (height - 2 * 51, width - 2 * 51, 3)
    assert made["screenshot"].psnr is None
    assert (pictures["screenshot"][0] == (32, 32, 36)).all() and (pictures["screenshot"][-1] == 236).all()
    level = np.std(pictures["noise"].astype(float) - plain)
    assert 6 < level < 8.5
    for name in ("half size", "blur"):
        detail = [np.abs(np.diff(rgb.astype(float), axis=1)).mean() for rgb in (pictures[name], plain)]
        assert detail[0] < 0.9 * detail[1]
    lower = round(0.9 * height)
    assert (pictures["words beside"][:lower] == plain[:lower]).all()
    for where in ("beside", "over"):
        words, letters = (pictures[f"{name} {where}"].astype(int) for name in ("words", "letters"))
        assert (words != letters).any()
        inked = [np.abs(picture - plain).sum() for picture in (words, letters)]
        assert inked[0] == pytest.approx(inked[1], rel=0.25)
    face = detect(plain)[0].box
    middle = slice(round(face[1]), round(face[1] + face[3])), slice(round(face[0]), round(face[0] + face[2]))
    assert (pictures["words over"][middle] != plain[middle]).any()


def test_a_photo_that_is_its_own_reference_says_nothing_after_a_change_either(photos: Path) -> None:
    items = _items(photos / "list.csv", changes="jpeg 50")
    assert [len(material(item, photos).references) for item in items] == [1, 1]
    again = [material(item, photos).images for item in items]
    assert again[0] != again[1] and again == [material(item, photos).images for item in items]


def _row(id_: str, truth: str, label: str, score: float | None, change: str = "", **answer: object) -> Row:
    item = Item(
        f"{id_} | {change}" if change else id_,
        "forgery",
        ("x",),
        truth,
        cluster=id_,
        change=change,
        of=id_ if change else "",
    )
    return Row(item, Answer(label, score=score, **answer))  # type: ignore[arg-type]


def test_changed_answers_are_counted_against_the_plain_ones() -> None:
    rows = [
        _row("a", "authentic", "authentic", 0.1),
        _row("b", "authentic", "authentic", 0.2),
        _row("c", "forged", "inconclusive", 0.6),
        _row("d", "forged", "manipulated", 0.9),
        _row("e", "forged", "", None, unscored="face.none"),
        _row("a", "authentic", "authentic", 0.3, "blur", psnr=40.0),
        _row("b", "authentic", "manipulated", 0.7, "blur", psnr=30.0),
        _row("c", "forged", "inconclusive", 0.4, "blur", psnr=34.0, note="forgery.no_reading"),
        _row("d", "forged", "", None, "blur", unscored="face.none"),
        _row("e", "forged", "authentic", 0.0, "blur"),
    ]
    found = change_scores.changes(rows, 0.5, rounds=200)["blur"]
    assert (found["samples"], found["unscored"], found["no reading"]) == (4, {"face.none": 1}, 1)
    assert found["psnr, dB, median"] == 34.0
    value = {name: of["value"] for name, of in found.items() if isinstance(of, dict) and "value" in of}
    assert value["labels changed"] == pytest.approx(1 / 3, abs=1e-4)
    assert (value["genuine, accepted before"], value["genuine, accepted after"]) == (1.0, 0.5)
    assert (value["not genuine, accepted before"], value["not genuine, accepted after"]) == (0.0, 0.0)
    assert value["calls changed"] == pytest.approx(2 / 3, abs=1e-4)
    assert (value["genuine, called genuine after"], value["not genuine, called genuine after"]) == (0.5, 1.0)
    assert (value["auc before"], value["auc after"], value["auc, after less before"]) == (1.0, 0.5, -0.5)
    low, high = found["genuine, accepted before"]["95% interval"]
    assert low < 0.5 and high == pytest.approx(1.0)  # Wilson's, of two people


def test_a_run_with_its_report(photos: Path, tmp_path: Path) -> None:
    switches = {"attacks": "no", "changes": "jpeg 30,crop"}
    plan = Plan(
        "robustness", str(photos), ("tools", "constant"), switches=switches, command="facewitness eval robustness"
    )
    run: Run = runner.run(plan, tmp_path)
    assert len(run.rows["tools"]) == 9
    found = report.result(run, rounds=50)
    tools = found["systems"]["tools"]
    assert tools["samples"] == 3 and tools["scored"] == 2  # of plain photos alone
    assert set(tools["changes"]) == {"jpeg 30", "crop"} and tools["changes"]["crop"]["samples"] == 2
    assert tools["changes"]["jpeg 30"]["psnr, dB, median"] == pytest.approx(36, abs=6)
    assert found["systems"]["constant"]["changes"]["crop"]["labels changed"]["value"] == 0
    report.write(run, found, tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Changed photos against the same unchanged: tools only" in page and "jpeg 30" in page
    assert "| jpeg 30 | 2 | 0 |" in (tmp_path / "report.md").read_text("utf-8")


def test_networks_in_torch_are_those_that_ship(astronaut: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from facewitness.evals import gradients
    from facewitness.tools import forensic_network

    rgb = image.load(astronaut).rgb
    points = detect(rgb)[0].points
    close, wide = align(rgb, points), align_wide(rgb, points)
    feature = gradients.matcher()(torch.from_numpy(close.astype(np.float32)).permute(2, 0, 1)[None])[0].numpy()
    assert feature == pytest.approx(sface.see(close).feature, abs=1e-3)
    logits = gradients.detector(torch.from_numpy(wide.astype(np.float32))[None])[0].numpy()
    scores = forensic_network.read(wide[None])[0].scores
    assert (logits[1:] - logits[0]).tolist() == pytest.approx(list(scores.values()), abs=1e-3)


def test_attacks_stay_within_their_limit_and_mislead_what_they_are_aimed_at(photos: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from facewitness.tools import forensic_network

    items = {item.change: item for item in _items(photos / "list.csv", attacks="yes", changes="fgsm,pgd")}
    assert set(items) == {"", *perturbations.ATTACKS}
    plain = image.load((photos / "real" / "a.jpg").read_bytes()).rgb
    points = detect(plain)[0].points
    known = perturbations._known([(photos / "fake" / "b.png").read_bytes()])

    def cosine(rgb: image.RGBImage) -> float:
        feature = sface.see(align(rgb, points)).feature
        return float(feature @ known / np.linalg.norm(feature) / np.linalg.norm(known))

    def forged(rgb: image.RGBImage) -> float:
        return max(forensic_network.read(align_wide(rgb, points)[None])[0].scores.values())

    for network, reads, worse in (("matcher", cosine, -1), ("detector", forged, 1)):
        found = {}
        for name in ("fgsm", "pgd"):
            files = material(items[f"{name} 4 {network}"], photos)
            made = image.load(files.images[0]).rgb
            assert np.abs(made.astype(int) - plain).max() == 4
            assert files.psnr is not None and files.psnr > 36
            found[name] = worse * (reads(made) - reads(plain))
        assert found["pgd"] > found["fgsm"] > 0
    no_face = Item("c", "forgery", ("fake/c.png",), "forged", change="fgsm 2 detector", of="c")
    with pytest.raises(NotAssessable, match="nothing to attack"):
        material(no_face, photos)


def test_the_constant_guess_answers_action_units_too(photos: Path, tmp_path: Path) -> None:
    line = '{"img_path": "real/a.jpg", "AUs": [999, 999, 999, 999, 999, 999, 12, 999, 999, 999, 999, 999]}'
    (photos / "units.jsonl").write_text(line + "\n", encoding="utf-8")
    run = runner.run(Plan("au-list", str(photos / "units.jsonl"), ("constant",)), tmp_path)
    assert [(row.answer.label, set(row.answer.present.values())) for row in run.rows["constant"]] == [("present", {1})]


@pytest.mark.data
def test_smiles_are_laid_out_as_action_units(data: Path, tmp_path: Path) -> None:
    assert held_out.units(data, tmp_path) == {"neutral": 102, "smiling": 102}
    found = benchmarks.find("bp4d").items(tmp_path, {})
    assert len(found) == 204 and len({item.cluster for item in found}) == 102
    assert all(dict(item.units) == dict.fromkeys(("6", "12"), int(item.method == "smiling")) for item in found)


def test_attacked_photos_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perturbations, "KEPT", 2)
    for n in range(4):
        (tmp_path / f"{3 - n}.png").write_bytes(b"")
        os.utime(tmp_path / f"{3 - n}.png", ns=(n, n))
    perturbations._prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png"]
