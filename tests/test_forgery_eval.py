"""The evaluation of forgery detectors on a small generated set with known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from facewitness.agent.traces import Traced, TraceWeights
from facewitness.errors import InvalidOption
from facewitness.evals import (
    forgery,
    forgery_baselines,
    forgery_conditions,
    forgery_features,
    forgery_maps,
    forgery_mixture,
    forgery_report,
    forgery_tables,
)
from facewitness.evals.forgery_detectors import Detector, from_file, same_in_any_order
from facewitness.evals.forgery_material import ANY, FAMILIES, TASKS, Material, matched, select
from facewitness.finetune.forgery_set import Entry, ForgerySet
from facewitness.tools.forensic_network import Traces
from facewitness.tools.trace_calibration import Judgement

KINDS = (
    ("real", "real"),
    ("manipulation", "region.mouth"),
    ("manipulation", "swap.alpha"),
    ("synthesis", "redrawn.smooth"),
    ("morph", "morph"),
)


FUSED = TraceWeights((1.0, 0.0), (0.0, -8.0), 0.001, (0.9, 0.9, 0.9))
"""Whatever is forged is called manipulated."""


def _picture(random: np.random.Generator, method: str) -> tuple[Any, Any]:
    """A smooth face-like blob; forgeries have noise, stripes or blur where they are altered."""
    soft = cv2.GaussianBlur(random.uniform(0, 255, (192, 192, 3)).astype(np.float32), (0, 0), 4)
    rgb, mask = ((soft - soft.mean()) * 6 + 120).clip(0, 255).astype(np.uint8), np.zeros((48, 48), np.uint8)
    if method == "region.mouth":
        mask[32:39, 17:31] = 255
    elif method == "swap.alpha":
        mask[12:40, 12:36] = 255
    elif method != "real":
        mask[:] = 255
    where = cv2.resize(mask, (192, 192), interpolation=cv2.INTER_NEAREST) > 0
    rough = np.clip(rgb + random.normal(0, 40, rgb.shape), 0, 255).astype(np.uint8)
    stripes = np.clip(rgb + 40 * np.cos(np.arange(192) * np.pi)[None, :, None], 0, 255).astype(np.uint8)
    rgb[where] = (stripes if method.startswith("redrawn") else rough)[where]
    return rgb, mask


@pytest.fixture(scope="module")
def pictures() -> ForgerySet:
    """Two sources of 6 people for each split; each person real, and forged in four ways."""
    random, rgb, masks, entries = np.random.default_rng(0), [], [], []
    for source in ("frll", "ffhq"):
        for split in ("fit", "calibration", "test"):
            for number in range(6):
                base = len(entries)
                for family, method in KINDS:
                    picture, mask = _picture(random, method)
                    rgb.append(picture)
                    masks.append(mask)
                    person = f"{source} {split} {number}"
                    entries.append(Entry(family, method, source, person, split, base if family != "real" else None))
    return ForgerySet(np.stack(rgb), np.stack(masks), tuple(entries))


@pytest.fixture(scope="module")
def held_out(pictures: ForgerySet) -> Material:
    return select(pictures, "test")


def _rough(crop: Any) -> Any:
    """How much each of 20 x 20 cells differs from its blurred self: a detector for this set, without weights."""
    fine = np.abs(crop.astype(np.float32) - cv2.GaussianBlur(crop, (0, 0), 1.5)).mean(2)
    return cv2.resize(fine, (20, 20), interpolation=cv2.INTER_AREA)


def _network(crops: Any) -> list[Traces]:
    found = []
    for crop in crops:
        cells = _rough(crop)
        score = float(cells.max())
        found.append(Traces(dict.fromkeys(FAMILIES, score), np.clip(cells / 40, 0, 1), np.zeros(4, np.float32)))
    return found


def _detector() -> Detector:
    def judge(traces: Traces, crop: Any) -> Judgement:
        probability = float(1 / (1 + np.exp(8 - traces.scores["morph"])))
        return Judgement(dict.fromkeys(FAMILIES, probability), float(crop.mean() < 10), 0.5)

    return Detector("roughness", None, _network, judge, FUSED)


def test_pictures_are_matched_in_side_and_compression(held_out: Material) -> None:
    crops = held_out.matched(96)
    assert crops.shape == (60, 96, 96, 3) and crops.dtype == np.uint8
    again = matched(held_out.pictures.rgb[held_out.rows[3]], 96)
    assert (again == crops[3]).all()
    size, close = [len(cv2.imencode(".jpg", crops[3][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, q])[1]) for q in (75, 95)]
    assert size < close


def test_red_stays_red() -> None:
    red = np.zeros((192, 192, 3), np.uint8)
    red[..., 0] = 200
    assert matched(red, 96).mean((0, 1)) == pytest.approx([200, 0, 0], abs=3)


def test_thinning_spreads_over_people_and_keeps_more_reals(pictures: ForgerySet, held_out: Material) -> None:
    thin = select(pictures, "test", 2)
    assert set(thin.counts()) == set(held_out.counts())
    for kind, found in thin.counts().items():
        assert found == ({"photos": 6, "people": 6} if kind.endswith("real") else {"photos": 2, "people": 2})
    assert set(held_out.of(held_out.matching("^(region|swap)")).groups) == {"region", "swap"}
    assert not held_out.matching("").any()


def test_forgeries_meet_the_real_photos_of_their_source(held_out: Material) -> None:
    ours = (held_out.words("source") == "ffhq") & (held_out.words("family") == "morph")
    assert set(held_out.words("source")[held_out.against(ours)]) == {"ffhq"}
    renamed = [Entry("synthesis", "stylegan2", "stylegan2", "s", "test")]
    renamed += [Entry("synthesis", "ict", "ict", "i", "test")]
    more = Material(
        ForgerySet(held_out.pictures.rgb, held_out.pictures.masks, (*held_out.pictures.entries, *renamed)),
        np.append(held_out.rows, [len(held_out.pictures.entries), len(held_out.pictures.entries) + 1]),
    )
    stylegan, render = (more.words("source") == name for name in ("stylegan2", "ict"))
    assert set(more.words("source")[more.against(stylegan)]) == {"ffhq"}
    assert set(more.words("source")[more.against(render)]) == {"ffhq", "frll"}


def test_rows_are_those_of_scikit_learn(held_out: Material) -> None:
    reading = _detector().read(held_out.matched(160))
    assert reading.probabilities is not None
    scored = forgery_tables.Scored(held_out, reading.probabilities, reading.raw, True, {})
    table = forgery_tables.by_task(scored, "^region")
    forged = held_out.words("method") == "region.mouth"
    used = forged | held_out.real
    row = table["manipulation"]["methods"]["region.mouth"]
    for name, score in (("auc", reading.probabilities), ("raw auc", reading.raw)):
        assert row[name]["value"] == round(roc_auc_score(forged[used], score["manipulation"][used]), 3)
    assert (row["forged"], row["real"], row["people"]) == (12, 12, 12)
    assert table["manipulation"]["left out of training"] == row | {"baselines": {}}
    assert table["morph"]["left out of training"] == {}
    assert table[ANY]["all"]["forged"] == 48 and set(table[ANY]["kinds"]) == {"morph", "redrawn", "region", "swap"}
    assert set(table["manipulation"]["sources"]) == {"frll", "ffhq"}
    assert set(table["manipulation"]["kinds"]) == {"region", "swap"}


def test_baseline_is_compared_on_the_same_pictures(held_out: Material) -> None:
    random = np.random.default_rng(0)
    truth = ~held_out.real
    good = {task: (0.5 * truth + random.uniform(0, 0.6, len(truth))).clip(0, 1) for task in TASKS}
    poor = {task: random.uniform(size=len(truth)) for task in TASKS}
    scored = forgery_tables.Scored(held_out, good, good, False, {"poor": poor, "itself": good})
    row = forgery_tables.row(scored, "manipulation", held_out.words("family") == "manipulation")
    assert row["baselines"]["poor"]["beaten"] and row["baselines"]["poor"]["detector minus baseline"]["value"] > 0.3
    assert not row["baselines"]["itself"]["beaten"]
    assert row["baselines"]["itself"]["detector minus baseline"]["value"] == 0
    assert "ece" not in row


def test_source_bias_is_seen(held_out: Material) -> None:
    fair = np.random.default_rng(1).uniform(size=len(held_out.rows))
    biased = fair + 2 * (held_out.words("source") == "ffhq")
    scores, beside = dict.fromkeys(TASKS, biased), {"fair": dict.fromkeys(TASKS, fair)}
    scored = forgery_tables.Scored(held_out, scores, scores, False, beside)
    found = forgery_tables.real_against_real(scored)["ffhq above frll"]["synthesis"]
    assert found["detector"]["value"] == 1.0 and 0.05 < found["fair"]["value"] < 0.95


def test_false_alarms_and_coverage(held_out: Material) -> None:
    probability = np.where(held_out.real, 0.1, 0.95)
    probability[np.flatnonzero(held_out.real)[:3]] = 0.6  # three real photos look a little forged
    given = dict.fromkeys(TASKS, probability)
    scored = forgery_tables.Scored(held_out, given, given, True, {})
    alarms = forgery_tables.false_alarms(scored, probability > 0.5)
    assert alarms["all"]["share"]["value"] == 0.25 and alarms["frll"]["photos"] == 6
    assert forgery_tables.found_at(scored, probability > 0.5)["swap"]["share"]["value"] == 1.0
    risks = forgery_tables.coverage(scored)[ANY]
    assert risks["error at 100%"]["value"] == 0.125
    assert risks["error at 80%"]["value"] == 0.0 and risks["80% over 100%"]["value"] == 0.0


def test_perfect_map_beats_the_usual_place(held_out: Material) -> None:
    masks = held_out.masks()
    heat = np.stack([cv2.resize(mask.astype(np.float32), (20, 20), interpolation=cv2.INTER_AREA) for mask in masks])
    place = forgery_maps.usual(held_out.of(held_out.words("family") == "manipulation"))
    found = forgery_maps.evaluate(held_out, heat, place)
    assert set(found) == {"all", "region", "swap"} and found["all"]["map"]["photos"] == 24
    assert found["region"]["map"]["pixel auc, mean"]["value"] > 0.99
    assert found["region"]["map"]["maximum on the mask"]["value"] == 1.0
    # The mouth is altered in both kinds, the rest of the face in one: the usual place finds it too.
    assert 0.9 < found["swap"]["usual place"]["pixel auc, mean"]["value"] <= 1.0
    reverse = forgery_maps.evaluate(held_out, 1 - heat, place)
    assert reverse["all"]["map"]["pixel auc, mean"]["value"] < 0.1
    assert reverse["all"]["map"]["maximum on the mask"]["value"] == 0.0


def test_pixel_auc_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(2)
    heat = random.uniform(size=(3, 12, 12)).round(1).astype(np.float32)
    masks = random.uniform(size=(3, 12, 12)) < 0.3
    expected = [roc_auc_score(mask.ravel(), cells.ravel()) for mask, cells in zip(masks, heat)]
    assert forgery_maps.pixel_auc(heat, masks) == pytest.approx(expected)
    pooled = forgery_maps.pooled_auc(heat, masks, np.array([[1.0, 1, 1], [0, 1, 2]]))
    assert pooled[0] == pytest.approx(roc_auc_score(masks.ravel(), heat.ravel()))
    twice = [0 * heat[0].size, 1, 2]
    weight = np.repeat(twice, heat[0].size)
    assert pooled[1] == pytest.approx(roc_auc_score(masks.ravel(), heat.ravel(), sample_weight=weight))


def test_parts_lie_where_the_template_has_them(held_out: Material) -> None:
    boxes = forgery_maps.boxes(48)
    assert boxes["right eye"][2] < boxes["left eye"][2] and boxes["left eye"][1] < boxes["mouth"][0]
    reading = _detector().read(held_out.matched(160))
    mouth = forgery_maps.parts(held_out, reading.heat)["mouth"]
    assert mouth["altered"] == 24 and mouth["intact"] == 12 and mouth["auc"]["value"] > 0.95


def test_conditions_alter_all_but_one_and_repeat(held_out: Material) -> None:
    full = held_out.full()[:2]
    plain = forgery_conditions.degrade(full, "none")
    assert plain.shape == (2, 160, 160, 3)
    for name in forgery_conditions.CONDITIONS:
        made = forgery_conditions.degrade(full, name)
        assert made.shape == plain.shape and made.dtype == np.uint8
        assert (made == forgery_conditions.degrade(full, name)).all()
        assert (made == plain).all() == (name == "none")


def test_features_have_their_shapes_and_see_the_traces(pictures: ForgerySet) -> None:
    real, forged = (select(pictures, "fit").of(of) for of in _split(select(pictures, "fit")))
    for side in (160, 96):
        spectral = forgery_features.spectral(real.matched(side)[:2])
        assert spectral.shape == (2, 274) and np.isfinite(spectral).all()
    sharp = [forgery_features.trivial(part.matched(160))[:, 1].mean() for part in (real, forged)]
    assert sharp[0] < sharp[1]
    flat = np.full((1, 96, 96, 3), 128, np.uint8)
    assert all(np.isfinite(read(flat)).all() for read in forgery_features.FEATURES.values())


def _split(material: Material) -> tuple[Any, Any]:
    return material.real, material.words("method") == "swap.alpha"


def test_middle_of_the_face_network_does_not_depend_on_the_batch(pictures: ForgerySet) -> None:
    crops = select(pictures, "fit").matched(96)[:3]
    once = forgery_features.sface(crops)
    assert once.shape == (3, 2 * (128 + 256 + 512))
    assert np.allclose(once[2:], forgery_features.sface(crops[2:]), atol=1e-4)


def test_both_classes_and_their_sources_weigh_the_same() -> None:
    forged = np.array([True, True, True, False, False, False])
    sources = np.array(["a", "a", "b", "a", "b", "b"])
    weight = forgery_baselines.evenly(forged, sources)
    assert weight.sum() == pytest.approx(6) and weight[forged].sum() == pytest.approx(3)
    assert weight[:3] == pytest.approx([0.75, 0.75, 1.5])


def test_whole_run_writes_figures_and_tables(pictures: ForgerySet, tmp_path: Path, monkeypatch: Any) -> None:
    folder, out = tmp_path / "set", tmp_path / "forgery.json"
    folder.mkdir()
    np.save(folder / "rgb.npy", pictures.rgb)
    np.save(folder / "masks.npy", pictures.masks)
    fields = ("family", "method", "source", "person", "split", "base")
    rows = [{name: getattr(entry, name) for name in fields} for entry in pictures.entries]
    (folder / "entries.json").write_text(json.dumps(rows))
    monkeypatch.setattr(forgery_baselines, "FEATURES", {"trivial": forgery_features.trivial})
    monkeypatch.setattr("sys.argv", ["forgery_baselines", "--set", str(folder), "--limit", "5"])
    forgery_baselines.main()
    monkeypatch.setattr(forgery, "shipped", _detector)
    monkeypatch.setattr("sys.argv", ["forgery", "--set", str(folder), "--out", str(out), "--limit", "5"])
    forgery.main()
    result = json.loads(out.read_text())
    row = result["matched"]["96"]["manipulation"]["all"]
    assert row["auc"]["value"] > 0.95 and set(row["baselines"]) == {"trivial"}
    assert result["conditions"]["JPEG 30"]["manipulation"]["auc"]["value"] > 0.8
    assert all(max(of.values()) == 0 for of in result["order"]["largest difference"].values())
    text = forgery_report.markdown(result)
    assert "| manipulation | all |" in text and "| JPEG 30 |" in text and "nan" not in text


def test_baselines_of_other_pictures_are_refused(held_out: Material, tmp_path: Path) -> None:
    assert forgery_baselines.read(tmp_path, held_out) == {}
    np.savez(forgery_baselines.scores_file(tmp_path), rows=held_out.rows, **{"trivial/96/morph": np.zeros(60)})
    assert set(forgery_baselines.read(tmp_path, held_out)) == {"trivial/96/morph"}
    with pytest.raises(InvalidOption, match="same --limit"):
        forgery_baselines.read(tmp_path, select(held_out.pictures, "test", 2))
    assert forgery_baselines.scores_file(tmp_path, "^swap") != forgery_baselines.scores_file(tmp_path, "^morph")


def test_baseline_learns_and_a_left_out_method_is_not_shown(held_out: Material) -> None:
    random = np.random.default_rng(5)
    of = {split: select(held_out.pictures, split) for split in ("fit", "calibration", "test")}
    features = {}
    for split, material in of.items():
        features[split] = random.normal(size=(60, 2))
        features[split][:, 0] += 6 * (material.words("method") == "swap.alpha")
        features[split][:, 1] += 6 * (material.words("method") == "region.mouth")
    forged, used = of["test"].forged("manipulation"), of["test"].forged("manipulation") | of["test"].real
    assert roc_auc_score(forged[used], forgery_baselines.train(features, of, "manipulation")[used]) > 0.95
    others = {split: material.words("method") != "swap.alpha" for split, material in of.items()} | {"test": slice(None)}
    fewer = {split: of[split].of(chosen) for split, chosen in others.items() if split != "test"} | {"test": of["test"]}
    removed = forgery_baselines.train({s: features[s][chosen] for s, chosen in others.items()}, fewer, "manipulation")
    assert forgery_baselines.train(features, of, "manipulation", "^swap") == pytest.approx(removed)
    assert (forgery_baselines.train(features, of, "morph", "^morph") == 0.5).all()


def test_verdict_is_that_of_fusion(held_out: Material) -> None:
    reading = _detector().read(np.concatenate([held_out.matched(96), np.zeros((1, 96, 96, 3), np.uint8)]))
    assert reading.probabilities is not None and reading.called is not None and reading.believed is not None
    assert reading.believed[:-1].all() and not reading.believed[-1]
    assert not reading.called[-1] and all(of[-1] == 0.5 for of in reading.probabilities.values())
    assert not reading.called[:-1][held_out.real].any() and reading.called[:-1][~held_out.real].any()
    alone = np.array([[reading.probabilities[family][0] for family in FAMILIES]])
    odds = Traced(tuple(FUSED.families(alone)[0])).forged
    assert reading.probabilities[ANY][0] == pytest.approx(odds / (1 + odds))


def test_weights_of_a_training_run_are_read(tmp_path: Path) -> None:
    import openvino
    from openvino import opset1
    from openvino import opset13 as ops

    crops = ops.parameter([-1, 160, 160, 3], np.uint8, name="crops")
    mean = ops.reduce_mean(ops.convert(crops, np.float32), ops.constant([1, 2]), keep_dims=False)
    logits = ops.concat([ops.constant(np.zeros((1, 1), np.float32)), mean], 1)
    planes = ops.transpose(ops.convert(crops, np.float32), ops.constant([0, 3, 1, 2]))
    cells = opset1.avg_pool(planes, [8, 8], [0, 0], [0, 0], [8, 8], False)
    heat = ops.reduce_mean(ops.divide(cells, np.float32(255)), ops.constant([1]), keep_dims=False)
    openvino.save_model(openvino.Model([logits, heat, mean], [crops]), tmp_path / "tiny.xml", compress_to_fp16=False)
    detector = from_file(tmp_path / "tiny.xml", "tiny")
    plain = np.zeros((2, 160, 160, 3), np.uint8)
    plain[0] = (10, 20, 30)
    reading = detector.read(plain)
    assert [reading.raw[family][0] for family in FAMILIES] == pytest.approx([10, 20, 30], abs=0.01)
    assert reading.heat.shape == (2, 20, 20) and reading.heat[0] == pytest.approx(20 / 255, abs=1e-3)
    assert reading.probabilities is None and detector.sha256 and len(detector.sha256) == 64


def test_order_and_batches_are_compared(held_out: Material) -> None:
    def sloppy(crops: Any) -> list[Traces]:
        return [Traces(dict.fromkeys(FAMILIES, len(crops) / 100), np.zeros((20, 20), np.float32), crops) for _ in crops]

    crops = held_out.matched(160)[:8]
    found = same_in_any_order(Detector("sloppy", None, sloppy), crops)["largest difference"]
    assert found["backwards"]["scores"] == 0
    assert found["in batches of 1"]["scores"] == pytest.approx(0.07)
    kept = same_in_any_order(_detector(), crops)["largest difference"]
    assert all(of == {"scores": 0.0, "map": 0.0} for of in kept.values())


def test_left_out_networks_get_a_table_of_their_own() -> None:
    figure = {"value": 0.9, "95% interval": [0.85, 0.94]}
    row = {"forged": 5, "real": 7, "auc": figure, "eer": figure, "tpr at fpr 1 %": figure, "baselines": {}}
    unseen = {task: row if task == "morph" else {} for task in TASKS}
    about = {"name": "left-out-morphs", "left out": "^morph|swap"}
    text = forgery_report._left_out([{"detector": about, "left out of training": unseen}])
    assert "| left-out-morphs | `^morph\\|swap` | morph | 5 / 7 | 0.900 [0.850, 0.940] |" in text


def test_half_of_the_forgeries_are_unseen(held_out: Material, tmp_path: Path) -> None:
    def scored(material: Material, unsure: bool) -> forgery_tables.Scored:
        sure = {task: material.forged(task).astype(float) for task in TASKS}
        scores = {task: np.full(len(of), 0.5) for task, of in sure.items()} if unsure else sure
        return forgery_tables.Scored(material, scores, scores, True, {})

    known, unseen = scored(held_out, False), scored(held_out.of(held_out.real | held_out.matching("^swap")), True)
    forgery_mixture.keep(tmp_path, "without-swaps", unseen)
    found = forgery_mixture.half_unseen(known, [forgery_mixture.kept(tmp_path, held_out.pictures, "without-swaps")])
    assert found["manipulation"]["brier"]["value"] == pytest.approx(0.125)
    assert found["manipulation"]["error at 100%"]["value"] == pytest.approx(0.25)
    assert found["morph"]["brier"]["value"] == 0, "the network knows morphs"
    assert "| manipulation | 0.000 | 0.125 |" in forgery_report._half_unseen(found).replace(" [0.125, 0.125]", "")
