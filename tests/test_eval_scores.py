"""Figures of evaluation runs against scikit-learn and brute force, and what their intervals hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score, roc_curve

from facewitness.evals import comparison, figures, flip_scores, metrics, score_parts, scores
from facewitness.evals.answers import Answer, unscored
from facewitness.evals.benchmarks import Item
from facewitness.evals.benchmarks.item import AUTHENTIC, FORGED, FORGERY, OTHER, PERSON
from facewitness.evals.runner import Row, right

PRECISE = 1e-9


def drawn(seed: int, size: int = 200, levels: int = 0) -> tuple[Any, Any, Any]:
    """Truth, score (with ties where there are levels) and whole weights."""
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < 0.4
    score = rng.normal(size=size) + truth
    if levels:
        score = np.round(score * levels) / levels
    return truth, score, rng.integers(0, 4, size).astype(float)[None]


def brute_eer(truth: Any, score: Any) -> float:
    """Where the straight lines between all thresholds' error rates cross."""
    steps = [np.inf, *sorted(set(score), reverse=True)]
    points = [((score[~truth] >= step).mean(), (score[truth] < step).mean()) for step in steps]
    for (f0, m0), (f1, m1) in pairwise(points):
        if f0 <= m0 and f1 >= m1:
            part = 0 if (f1 - f0) + (m0 - m1) == 0 else (m0 - f0) / ((f1 - f0) + (m0 - m1))
            return float(f0 + part * (f1 - f0))
    raise AssertionError("The curves do not cross.")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("levels", [0, 3])
def test_figures_are_those_of_scikit_learn_and_of_brute_force(seed: int, levels: int) -> None:
    truth, score, weight = drawn(seed, levels=levels)
    once, of = np.ones((1, len(truth))), scores.ordering(truth, score)
    assert of["auc"](once)[0] == pytest.approx(roc_auc_score(truth, score), abs=PRECISE)
    assert of["average precision"](once)[0] == pytest.approx(average_precision_score(truth, score), abs=PRECISE)
    assert of["eer"](once)[0] == pytest.approx(brute_eer(truth, score), abs=PRECISE)
    drawn_ = weight[0] > 0
    weighted = average_precision_score(truth[drawn_], score[drawn_], sample_weight=weight[0][drawn_])
    assert of["average precision"](weight)[0] == pytest.approx(weighted, abs=PRECISE)
    assert of["auc"](weight)[0] == pytest.approx(roc_auc_score(truth, score, sample_weight=weight[0]), abs=PRECISE)
    false, true, _ = roc_curve(truth, score, drop_intermediate=False)
    for limit, name in ((0.01, "tpr at fpr 1 %"), (0.001, "tpr at fpr 0.1 %")):
        assert of[name](once)[0] == pytest.approx(true[false <= limit].max(), abs=PRECISE)
    called = score >= 0.5
    balanced = figures.macro(called == truth, truth)(once)[0]
    assert balanced == pytest.approx(balanced_accuracy_score(truth, called), abs=PRECISE)
    assert figures.f1(truth, called)(once)[0] == pytest.approx(f1_score(truth, called), abs=PRECISE)
    assert figures.f1(truth, called)(weight)[0] == pytest.approx(
        f1_score(truth, called, sample_weight=weight[0]), abs=PRECISE
    )


def test_published_eer_is_the_false_positive_rate_where_the_errors_are_nearest() -> None:
    truth, score, _ = drawn(3)
    false, true, _ = roc_curve(truth, score, drop_intermediate=False)
    published = false[np.nanargmin(np.abs((1 - true) - false))]
    found = figures.published_eer(truth, score, np.ones((1, len(truth))))[0]
    assert found == pytest.approx(published, abs=PRECISE)
    assert found != pytest.approx(metrics.eer(truth, score, np.ones((1, len(truth))))[0], abs=1e-4)


@pytest.mark.parametrize("levels", [0, 2])
def test_area_under_risk_and_coverage_is_that_of_the_curve_drawn_point_by_point(levels: int) -> None:
    truth, score, weight = drawn(7, size=40, levels=levels)

    def brute(truth: Any, score: Any) -> float:
        wrong, sure, area, last = (score >= 0.5) != truth, np.abs(score - 0.5), 0.0, (0.0, None)
        for step in sorted(set(sure), reverse=True):
            kept = sure >= step
            point = (kept.mean(), wrong[kept].mean())
            area += (point[0] - last[0]) * (point[1] + (point[1] if last[1] is None else last[1])) / 2
            last = point
        return float(area)

    times = weight[0].astype(int)
    both = np.vstack([np.ones(40), weight])
    found = figures.risk_area(truth, score, both, 0.5)
    assert found[0] == pytest.approx(brute(truth, score), abs=PRECISE)
    assert found[1] == pytest.approx(brute(np.repeat(truth, times), np.repeat(score, times)), abs=PRECISE)
    assert figures.risk_area(truth, np.full(40, 0.9), both, 0.5)[0] == pytest.approx((~truth).mean(), abs=PRECISE)


def test_eer_is_turned_round_by_the_opposite_polarity() -> None:
    truth, score, _ = drawn(5)
    once = np.ones((1, len(truth)))
    assert metrics.eer(~truth, score, once)[0] == pytest.approx(1 - metrics.eer(truth, score, once)[0], abs=1e-9)
    assert metrics.eer(~truth, -score, once)[0] == pytest.approx(metrics.eer(truth, score, once)[0], abs=1e-9)


def test_draws_are_the_same_whatever_fits_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = np.repeat(np.arange(30), 3)
    whole = np.concatenate(list(figures.draws(clusters, 50)))
    monkeypatch.setattr(figures, "CELLS", 7 * len(clusters))
    parts = list(figures.draws(clusters, 50))
    assert len(parts) == 1 + 8 and np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(whole, metrics.resamples(clusters, 50))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """300 sets of 40 people with three alike samples each; an interval over samples would hold it far less often."""
    rng, held = np.random.default_rng(1), {"people": 0, "samples": 0}
    for _ in range(300):
        people = np.repeat(np.arange(40), 3)
        chance = rng.beta(2, 2, 40)[people]
        hits = rng.random(120) < np.round(chance)
        for name, clusters in (("people", people), ("samples", np.arange(120))):
            found = figures.bootstrap({"x": figures.share(hits)}, clusters, 400)["x"]
            held[name] += found.low is not None and found.low <= 0.5 <= (found.high or 0)
    assert 0.91 <= held["people"] / 300 <= 0.98
    assert held["samples"] / 300 < 0.85


def forgery(place: int, forged: bool, score: float | None, **more: Any) -> Row:
    label = more.pop("label", None) or ("manipulated" if (score or 0) >= 0.5 else AUTHENTIC)
    answer = unscored("face.none", "No face.") if score is None else Answer(label, score=score)
    fields = {"cluster": f"p{place}", **more}
    return Row(Item(f"s{place}", "forgery", ("a.png",), FORGED if forged else AUTHENTIC, **fields), answer)


def a_set(wrong_way: bool = False) -> list[Row]:
    truth, score, _ = drawn(7, 120)
    chance = 1 / (1 + np.exp(-score + 0.5))
    return [forgery(n, bool(t) != wrong_way, float(p)) for n, (t, p) in enumerate(zip(truth, chance, strict=True))]


def system(rows: list[Row], name: str = "tools", tmp: Any = None) -> dict[str, Any]:
    return scores._system(name, rows, tmp, 200)


def test_an_error_rate_of_zero_has_an_interval_too() -> None:
    found = system([forgery(n, n % 2 == 0, 0.9 if n % 2 == 0 else 0.1) for n in range(40)])["figures"]
    low, high = found["false positives at the shipped threshold"]["95% interval"]
    assert low == 0 and 0.1 < high < 0.2  # 20 people


def test_a_wrong_polarity_is_caught() -> None:
    assert system(a_set())["warnings"] == []
    found = system(a_set(wrong_way=True))
    assert found["warnings"] == [scores.WRONG_WAY]
    assert found["figures"]["auc"]["value"] < 0.5


def test_an_unscored_sample_is_counted_and_takes_part_in_nothing() -> None:
    whole, more = system(a_set()), system([*a_set(), *(forgery(1000 + n, True, None) for n in range(7))])
    assert (more["samples"], more["scored"], more["unscored"]) == (127, 120, {"face.none": 7})
    assert more["figures"] == whole["figures"]


def test_an_abstention_is_neither_right_nor_wrong_and_is_still_ordered() -> None:
    rows = [forgery(n, n < 5, 0.9 if n < 5 else 0.1, label="inconclusive" if n % 2 else None) for n in range(10)]
    found = system(rows)
    assert found["abstained"] == 5
    assert found["figures"]["answered"]["value"] == 0.5
    assert found["figures"]["accuracy as answered"]["value"] == 1
    assert found["figures"]["accuracy, abstentions wrong"]["value"] == 0.5
    assert found["figures"]["auc"]["value"] == 1


def test_late_answers_are_unscored() -> None:
    rows = [
        Row(item, Answer(answer.label, score=answer.score, ms=50.0 * n)) for n, (item, answer) in enumerate(a_set())
    ]
    found = scores.limited(rows, 1.0)
    assert sum(row.answer.unscored == "time.limit" for row in found) == len(rows) - 21
    assert scores.limited(rows, None) == rows


def test_the_validation_threshold_comes_from_the_validation_split() -> None:
    val = [forgery(500 + n, n % 2 == 0, 0.2 if n % 2 == 0 else 0.1, split="val") for n in range(20)]
    test = [forgery(n, n % 2 == 0, 0.19 if n % 2 == 0 else 0.12) for n in range(20)]
    found = system([*val, *test])["figures"]
    assert found["accuracy at the shipped threshold"]["value"] == 0.5
    assert found["accuracy at the validation threshold"]["value"] == 1
    assert system([*val, *test])["samples"] == 20


def test_without_a_validation_split_the_threshold_of_a_fold_comes_from_the_others() -> None:
    rows = [forgery(n, n % 2 == 0, 0.2 if n % 2 == 0 else 0.1, fold=str(n % 5)) for n in range(40)]
    rows += [forgery(100 + n, n % 2 == 0, 0.7 if n % 2 == 0 else 0.6, fold="odd") for n in range(4)]
    truth, score, _ = scores.arrays(rows)
    called = figures.by_other_folds(truth, score, np.array([row.item.fold for row in rows]))
    assert (called == truth)[:40].all()
    assert called[40:].all()  # its own scores had no say


def test_three_way_accuracy_weighs_the_labels_alike() -> None:
    truths = [PERSON] * 6 + [FORGERY] * 3 + [OTHER]
    said = [PERSON] * 6 + [PERSON, FORGERY, "inconclusive"] + [OTHER]
    rows = [
        Row(
            Item(f"s{n}", "reference", ("a.png",), truth, cluster=f"p{n}"),
            Answer(label, score=0.9 if label == PERSON else 0.1, probabilities={label: 1.0}),
        )
        for n, (truth, label) in enumerate(zip(truths, said, strict=True))
    ]
    found = system(rows)["figures"]["three-way macro accuracy, abstentions wrong"]["value"]
    assert found == pytest.approx((1 + 1 / 3 + 1) / 3, abs=1e-4)


def test_frames_of_a_video_are_scored_together() -> None:
    rows = [forgery(n, n < 30, 0.6 if n % 3 else 0.1, video=f"v{n // 3}", cluster=f"v{n // 3}") for n in range(60)]
    rows = [Row(item, Answer("", score=(answer.score or 0) + 0.1 * (n < 30))) for n, (item, answer) in enumerate(rows)]
    found = system(rows)["figures"]
    assert found["video auc"]["value"] == 1
    assert 0.5 < found["auc"]["value"] < 1


def test_methods_are_told_from_the_persons_own_photos() -> None:
    def row(n: int, person: str, truth: str, method: str, score: float) -> Row:
        item = Item(f"s{n}", "reference", ("a.png",), truth, cluster=person, person=person, method=method)
        return Row(item, Answer("", score=score))

    rows = [row(n, "id0", PERSON, "REAL", 0.8) for n in range(4)] + [row(9, "id1", PERSON, "REAL", 0.2)]
    rows += [row(20 + n, "id0", FORGERY, "FS", 0.1 if n else 0.9) for n in range(4)]
    rows += [row(30, "id1", FORGERY, "EFS", 0.3)]
    found = score_parts.methods(rows, 0.5)
    assert found["rows"] == ["EFS", "FS"] and found["columns"] == ["all", "id0", "id1"]
    assert found["cells"]["FS"]["id0"] == {"samples": 4, "others": 4, "called right": 0.75, "auc": 0.75}
    assert found["cells"]["FS"]["id1"] is None
    assert found["cells"]["EFS"]["id1"]["auc"] == 0


def test_groups_are_compared_as_fairlearn_does() -> None:
    rows = [forgery(n, False, 0.9 if n < 3 else 0.1, groups={"gender": "f" if n < 10 else "m"}) for n in range(20)]
    found = system(rows)
    rates = found["groups"]["gender"]["false positives"]
    assert rates["by group"]["f"]["value"] == 0.3 and rates["by group"]["m"]["value"] == 0
    assert rates["by group"]["m"]["95% interval"][1] > 0.2  # ten people show little
    assert rates["greatest difference"]["value"] == 0.3
    low, high = rates["greatest difference"]["95% interval"]
    assert low <= 0.3 <= high
    assert "All samples are of one class" in found["warnings"][0]


def test_action_units_that_are_not_measured_are_named() -> None:
    rows = [
        Row(
            Item(f"s{n}", "units", ("a.png",), cluster=f"p{n}", units={"12": n % 2, "4": 1}),
            Answer("measured", units={"12": n % 2 + 0.1 * (n % 3)}, present={"12": int(n < 5)}),
        )
        for n in range(10)
    ]
    found = score_parts.units(rows, 100)
    truth, said = [n % 2 for n in range(10)], [int(n < 5) for n in range(10)]
    assert found["f1, AU12"]["value"] == pytest.approx(f1_score(truth, said), abs=1e-4)
    assert found["auc, AU12"]["value"] == 1
    assert found["not measured, or never present"] == ["AU4"]


def test_words_are_compared_with_the_best_of_several_answers() -> None:
    assert score_parts.word_f1("The eyebrows look blurry.", "blurry eyebrows") == pytest.approx(2 * 2 / 5)
    item = Item("s", "text", ("a.png",), cluster="p", targets=("no", "the nose is odd"))
    found = score_parts.words([Row(item, Answer("answered", text="A nose is odd"))], 10)
    assert found["word f1 of answers"]["value"] == 1


def test_pointing_is_inside_the_mask_or_not(tmp_path: Any) -> None:
    from PIL import Image

    mask = np.zeros((50, 100), np.uint8)
    mask[:25, :50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")

    def at(n: int, point: tuple[float, float]) -> Row:
        item = Item(f"s{n}", "forgery", ("a.png",), FORGED, cluster=f"p{n}", mask="mask.png")
        return Row(item, Answer("manipulated", score=0.9, point=point, face=(0, 0, 80, 40)))

    found = score_parts.explanations(
        [at(0, (99, 49)), at(1, (101, 10)), at(2, (10, 51)), at(3, (500, 5))], tmp_path, 50
    )
    assert found["pointing game"]["value"] == 0.25
    assert found["pointing game, middle of the face"]["value"] == 1
    assert found["altered share of the picture"]["value"] == 0.25


def test_explanations_that_state_another_verdict_are_counted() -> None:
    rows = [
        Row(item, Answer(answer.label, score=answer.score, agrees=n > 0)) for n, (item, answer) in enumerate(a_set())
    ]
    found = score_parts.explanations(rows, None, 50)  # type: ignore[arg-type]
    assert found["explanations that contradict it"]["value"] == pytest.approx(1 / 120, abs=1e-4)


def test_a_model_that_reads_follows_what_was_turned_round_and_one_that_looks_does_not() -> None:
    truths = [n % 2 == 0 for n in range(40)]

    def rows(scores: list[float], stated: list[float]) -> list[Row]:
        return [
            Row(item, Answer(answer.label, score=answer.score, stated=said))
            for n, said in enumerate(stated)
            for item, answer in [forgery(n, truths[n], scores[n])]
        ]

    told = [0.9 if truth else 0.1 for truth in truths]
    turned = [1 - said for said in told]
    reads = flip_scores.flips(rows(told, told), rows(turned, turned), 50)
    assert reads["score moved towards a probability turned round"]["value"] == 1
    assert reads["calls that followed it, of those it speaks against"]["value"] == 1
    assert reads["right where the call followed"]["value"] == 0
    assert reads["mean move of the log odds towards it"]["value"] == pytest.approx(2 * np.log(9), abs=1e-3)
    looks = flip_scores.flips(rows(told, told), rows(told, turned), 50)
    assert looks["score moved towards a probability turned round"]["value"] == 0
    assert looks["calls that followed it, of those it speaks against"]["value"] == 0
    assert looks["right where the call resisted"]["value"] == 1 and "right where the call followed" not in looks
    silent = [Row(item, unscored("face.none", "")) for item, _ in rows(told, told)]
    assert flip_scores.flips(silent, rows(told, turned), 50) == {}


def test_right_is_decided_for_kinds_of_forgery_that_are_told_and_that_are_not() -> None:
    assert right(Item("s", "forgery", (), FORGED), Answer("synthetic")) is True
    assert right(Item("s", "forgery", (), "manipulated"), Answer("synthetic")) is False
    assert right(Item("s", "forgery", (), "manipulated"), Answer("forged")) is True
    assert right(Item("s", "forgery", (), AUTHENTIC), Answer("inconclusive")) is None


def test_a_worse_system_is_found_and_the_same_one_is_not() -> None:
    good = a_set()
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=2.0, size=len(good))
    bad = [
        Row(item, Answer("manipulated" if p >= 0.5 else AUTHENTIC, score=float(p)))
        for (item, answer), d in zip(good, noise, strict=True)
        for p in [1 / (1 + np.exp(-(np.log((answer.score or 0) / (1 - (answer.score or 0))) + d)))]
    ]
    worse = comparison.paired(good, bad, ("tools", "tools"), 300)
    assert worse.regressed and next(one for one in worse.differences if one.name == "auc").worse
    assert not comparison.paired(bad, good, ("tools", "tools"), 300).regressed
    same = comparison.paired(good, good, ("tools", "tools"), 300)
    assert not same.regressed and all(one.less.value == 0 for one in same.differences)


def test_losing_samples_is_a_regression() -> None:
    good = a_set()
    less = [
        Row(item, unscored("model.unavailable", "gone")) if n < 20 else Row(item, answer)
        for n, (item, answer) in enumerate(good)
    ]
    found = comparison.paired(good, less, ("tools", "tools"), 100)
    assert found.only_first == 20 and found.lost and found.regressed


def test_frames_of_a_video_do_not_count_as_so_many_samples() -> None:
    """Equally good systems, whose errors are those of whole videos, differ by chance alone."""

    def frames(seed: int) -> list[Row]:
        right = np.random.default_rng(seed).random(20) < 0.7
        return [
            Row(Item(f"{video}.{frame}", "forgery", (), "manipulated", cluster=str(video)), Answer(label, score=None))
            for video in range(20)
            for label in ["manipulated" if right[video] else AUTHENTIC]
            for frame in range(30)
        ]

    systems = ("tools", "tools")
    found = [comparison.paired(frames(seed), frames(seed + 1000), systems, 200).regressed for seed in range(40)]
    assert sum(found) <= 4


def test_mcnemar_is_the_exact_binomial_test() -> None:
    first = [forgery(n, True, 0.9 if n >= 9 else 0.1) for n in range(30)]
    second = [forgery(n, True, 0.9 if n != 20 else 0.1) for n in range(30)]
    only_first, only_second, p = comparison.paired(first, second, ("tools", "tools"), 50).mcnemar
    assert (only_first, only_second) == (1, 9)
    assert p == pytest.approx(2 * (1 + 10) / 2**10)
