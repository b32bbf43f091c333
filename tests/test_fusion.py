"""The verdict: calibrated where the similarity carries it, abstaining with a named reason elsewhere."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facewitness.agent import fusion
from facewitness.agent.verdict import INCONCLUSIVE, REFERENCE_LABELS, SINGLE_LABELS, Decision, Reason
from facewitness.errors import NotMeasurable, WeightsMismatch
from facewitness.evals.identity import eer, tar_at_far
from facewitness.evals.reference_verdict import ece
from facewitness.finetune.comparisons import Comparison, volunteers
from facewitness.finetune.fusion import balanced
from facewitness.tools import detection, identity, image, weights
from facewitness.tools.evidence import Evidence, without_value
from facewitness.tools.face import FaceView, Reference
from facewitness.tools.image import Photo

ROOT = Path(__file__).parents[1]
PERSON, FORGERY, OTHER = REFERENCE_LABELS
SILENT = without_value("manipulation", NotMeasurable("The face is too unlike the detector's training data."))
CARD = weights.card("forensics")


def _cosine(value: float, measure: str = "similarity", id: str = "e4") -> Evidence:
    return Evidence(
        f"identity.{measure}", "identity", f"Cosine is {value:.2f}.", value, "cosine", numbers=(round(value, 2),), id=id
    )


def _detectors(manipulation: float, synthesis: float, morph: float) -> tuple[Evidence, ...]:
    given = {"manipulation": manipulation, "synthesis": synthesis, "morph": morph}
    return tuple(
        Evidence(f"{tool}.face", tool, f"{p:.2f}", round(p, 2), probability=p, model=CARD, id=f"e{number}")
        for number, (tool, p) in enumerate(given.items(), 10)
    )


CALM = _detectors(0.15, 0.15, 0.15)
ALARMED = _detectors(0.998, 0.4, 0.5)


def _at(value: float, *more: Evidence, traces: tuple[Evidence, ...] = CALM) -> Decision:
    return fusion.decide((_cosine(value), *traces, *more), with_references=True)


def _codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize("value", np.linspace(-1, 1, 41).tolist())
def test_probabilities_are_of_the_three_labels_and_sum_to_one(value: float) -> None:
    decision = _at(value)
    assert tuple(decision.probabilities) == REFERENCE_LABELS
    assert sum(decision.probabilities.values()) == pytest.approx(1, abs=1e-9)
    assert min(decision.probabilities.values()) >= 0
    assert decision.abstained == (decision.label == INCONCLUSIVE)


def test_more_similar_is_more_the_person_and_less_someone_else() -> None:
    found = [_at(value).probabilities for value in np.linspace(-0.2, 0.97, 60)]
    assert all(a[PERSON] <= b[PERSON] + 1e-12 for a, b in itertools.pairwise(found))
    assert all(a[OTHER] >= b[OTHER] - 1e-12 for a, b in itertools.pairwise(found))


def test_a_stranger_is_someone_else() -> None:
    decision = _at(0.05)
    assert decision.label == OTHER
    assert not decision.abstained
    assert decision.assessable
    assert decision.deciding == ("e4",)
    assert _codes(decision) == ["identity.differs"]


@pytest.mark.parametrize("value", [0.5, 0.6])
def test_likeness_alone_does_not_exclude_a_forgery(value: float) -> None:
    decision = _at(value)
    assert decision.label == INCONCLUSIVE
    assert _codes(decision) == ["identity.matches", "forgery.nothing_found"]


def test_a_very_close_likeness_without_traces_is_the_person_and_the_assumption_is_named() -> None:
    decision = _at(0.94)
    assert decision.label == PERSON
    assert _codes(decision) == ["identity.matches", "forgery.assumed_rare"]
    assert 0.95 <= decision.probabilities[PERSON] < 0.995


@pytest.mark.parametrize("value", [0.5, 0.7, 0.94])
def test_a_likeness_with_strong_traces_is_never_the_person(value: float) -> None:
    decision = _at(value, traces=ALARMED)
    assert decision.label in (FORGERY, INCONCLUSIVE)
    assert decision.probabilities[FORGERY] > 5 * _at(value).probabilities[FORGERY]
    assert _codes(decision)[1] in ("forgery.found", "forgery.ambiguous")
    assert decision.deciding[:2] == ("e4", "e10")


def test_a_stranger_stays_someone_else_whatever_the_traces() -> None:
    assert _at(0.02, traces=CALM).label == OTHER
    assert _at(0.02, traces=ALARMED).label in (OTHER, INCONCLUSIVE)


@pytest.mark.parametrize("value", [0.15, 0.23, 0.31, 0.36])
def test_a_forged_photo_of_somebody_else_is_no_forgery_of_the_person(value: float) -> None:
    """Traces say that the photo is forged, not of whom it is."""
    forged = _at(value, traces=_detectors(0.9999, 0.9999, 0.9999))
    assert forged.label in (OTHER, INCONCLUSIVE)
    assert forged.probabilities[FORGERY] < 0.8
    assert "identity.matches" not in _codes(forged)


def test_traces_that_were_not_measured_say_so_and_weigh_nothing() -> None:
    decision = _at(0.6, traces=(replace(SILENT, id="e10"),))
    assert _codes(decision) == ["identity.matches", "forgery.not_measured"]
    assert "too unlike" in decision.reasons[1].text
    assert decision.probabilities == fusion.calibration().probabilities(0.6)


def _parts(alike: float) -> Evidence:
    text = f"The probability that every part is as in the reference photo is {alike:.3f}."
    return Evidence("reference_comparison.face", "reference_comparison", text, alike, probability=alike, id="e7")


@pytest.mark.parametrize("value", [0.6, 0.8, 0.94])
def test_parts_that_differ_move_probability_from_the_person_to_a_forgery(value: float) -> None:
    fitted = fusion.calibration()
    before, after = fitted.probabilities(value), fitted.probabilities(value, parts=0.02)
    assert after[FORGERY] > before[FORGERY] and after[PERSON] < before[PERSON]
    assert after[OTHER] == pytest.approx(before[OTHER])
    decision = _at(value, _parts(0.02))
    assert decision.label in (FORGERY, INCONCLUSIVE)
    assert "parts.differ" in _codes(decision)
    assert decision.deciding[:2] == ("e4", "e7")


@pytest.mark.parametrize("value", [-0.1, 0.3, 0.6, 0.94])
def test_parts_that_agree_do_not_make_the_person_likelier(value: float) -> None:
    fitted = fusion.calibration()
    agreeing = fitted.probabilities(value, parts=0.999)
    assert agreeing == pytest.approx(fitted.probabilities(value))
    assert _codes(_at(value, _parts(0.999))) == _codes(_at(value))


def test_a_stranger_stays_someone_else_whatever_the_parts() -> None:
    decision = _at(0.05, _parts(0.001))
    assert decision.label == OTHER
    assert _codes(decision) == ["identity.differs"]
    assert decision.deciding == ("e4",)


def test_strong_differences_make_a_forgery_without_any_trace() -> None:
    decision = _at(0.8, _parts(0.001))
    assert decision.label == FORGERY
    assert _codes(decision) == ["identity.matches", "parts.differ"]


def _part(name: str, value: float, id: str) -> Evidence:
    text = f"The {name} has a likeness of {value}."
    return Evidence(f"reference_comparison.{name}", "reference_comparison", text, value, usual=(0.4, 1.0), id=id)


@pytest.mark.parametrize(
    ("below", "text"),
    [
        ((), "Taken together, the parts of the face are below their usual likeness to the references."),
        (("nose",), "The nose is below its usual likeness to the references."),
        (("right_eye", "nose"), "The right eye and the nose are below their usual likeness to the references."),
        (
            ("right_eye", "left_eye", "nose"),
            "The right eye, the left eye and the nose are below their usual likeness to the references.",
        ),
    ],
)
def test_the_parts_that_differ_are_those_whose_likeness_is_below_usual(below: tuple[str, ...], text: str) -> None:
    names = ("right_eye", "left_eye", "nose", "skin")
    parts = [_part(name, 0.1 if name in below else 0.4, f"e{n}") for n, name in enumerate(names, 20)]
    decision = _at(0.8, _parts(0.001), *parts)
    assert [reason.text for reason in decision.reasons if reason.code == "parts.differ"] == [text]
    assert decision.deciding == ("e4", "e7")


def test_traces_that_were_not_noticed_decide_no_forgery() -> None:
    decision = _at(0.81, _parts(0.004), traces=_detectors(0.45, 0.37, 0.09))
    assert (decision.label, decision.deciding) == (FORGERY, ("e4", "e7"))
    assert _at(0.6, traces=_detectors(0.45, 0.37, 0.09)).deciding == ("e4", "e10", "e11", "e12"), "nothing was found"


def test_of_noticed_traces_those_decide_that_speak_for_a_forgery() -> None:
    strong = _at(0.7, traces=_detectors(0.9999, 0.4, 0.7))
    assert (strong.label, strong.deciding) == (FORGERY, ("e4", "e10", "e12"))
    assert _at(0.7, _parts(0.004), traces=_detectors(0.998, 0.4, 0.09)).deciding == ("e4", "e7", "e10")
    assert _alone(*_detectors(0.9999, 0.05, 0.3)).deciding == ("e10",)


def test_in_doubt_all_traces_weigh() -> None:
    unsure = _alone(*_detectors(0.9, 0.37, 0.24))
    assert (unsure.label, unsure.deciding) == (INCONCLUSIVE, ("e10", "e11", "e12"))
    assert _at(0.6, traces=_detectors(0.9, 0.37, 0.24)).deciding == ("e4", "e10", "e11", "e12")
    assert _at(0.94, traces=_detectors(0.45, 0.37, 0.09)).deciding == ("e4", "e10", "e11", "e12"), "for the person"


@pytest.mark.parametrize(("value", "label"), [(0.05, OTHER), (0.6, INCONCLUSIVE), (0.94, PERSON)])
@pytest.mark.parametrize(
    ("count", "texts"),
    [
        (1, []),
        (2, ["No other face in the photo was compared for this verdict."]),
        (4, ["None of the other 3 faces in the photo was compared for this verdict."]),
    ],
)
def test_other_faces_that_were_not_compared_are_named(value: float, label: str, count: int, texts: list[str]) -> None:
    faces = Evidence("detection.faces", "detection", f"The photo shows {count} faces.", count, id="e1")
    decision = _at(value, faces)
    assert decision.label == label
    assert [reason.text for reason in decision.reasons if reason.code == "faces.not_compared"] == texts
    assert decision.probabilities == _at(value).probabilities
    assert decision.reasons[0].code.startswith("identity."), "programs read the first reason"
    assert "faces.not_compared" not in _codes(fusion.decide((faces, *CALM), with_references=False))


def test_between_the_ranges_it_abstains_as_ambiguous() -> None:
    fitted = fusion.calibration()
    values = np.linspace(0, 0.6, 601).tolist()
    between = [v for v in values if _at(v).abstained and fitted.probabilities(v)[OTHER] > fitted.other_max]
    assert between
    for value in between:
        assert _codes(_at(value)) == ["identity.ambiguous", "forgery.nothing_found"]


@pytest.mark.parametrize("value", [-0.1, 0.05, 0.29, 0.65, 0.93])
def test_numbers_in_reasons_are_in_the_cited_evidence(value: float) -> None:
    for reason in _at(value).reasons:
        assert all(float(n) in _cosine(value).numbers for n in re.findall(r"-?\d+\.\d+", reason.text))


def test_references_that_disagree_leave_the_prior() -> None:
    decision = _at(0.05, _cosine(0.2, "references_agree", "e6"))
    assert decision.label == INCONCLUSIVE
    assert _codes(decision) == ["identity.references_disagree"]
    assert decision.deciding == ("e6",)
    assert tuple(decision.probabilities.values()) == fusion.calibration().prior
    assert _at(0.05, _cosine(0.6, "references_agree", "e6")).label == OTHER


def test_identity_that_was_not_measured_is_named_with_its_cause() -> None:
    failed = without_value("identity", NotMeasurable("The face is turned away by 80 degrees."))
    decision = fusion.decide((failed,), with_references=True)
    assert decision.label == INCONCLUSIVE
    assert _codes(decision)[0] == "identity.not_measured"
    assert "turned away" in decision.reasons[0].text
    assert tuple(decision.probabilities.values()) == fusion.calibration().prior


def _alone(*traces: Evidence) -> Decision:
    manifest = Evidence("provenance.manifest", "provenance", "A C2PA manifest says captured.", True, id="e1")
    return fusion.decide((manifest, *traces), with_references=False)


def test_without_references_silence_leaves_the_prior_and_no_manifest_decides() -> None:
    decision = _alone(*_detectors(0.1, 0.1, 0.1))
    assert decision.label == INCONCLUSIVE
    assert decision.probabilities == dict.fromkeys(SINGLE_LABELS, 1 / 3)
    assert _codes(decision) == ["forgery.nothing_found"]


def test_without_references_and_detectors_the_cause_is_named() -> None:
    decision = _alone(replace(SILENT, id="e2"))
    assert decision.label == INCONCLUSIVE
    assert decision.probabilities == dict.fromkeys(SINGLE_LABELS, 1 / 3)
    assert _codes(decision) == ["forgery.not_measured"]
    assert decision.deciding == ("e2",)


@pytest.mark.parametrize(("traces", "label"), [((0.9999, 0.05, 0.3), "manipulated"), ((0.1, 0.9999, 0.1), "synthetic")])
def test_strong_traces_give_their_label(traces: tuple[float, float, float], label: str) -> None:
    decision = _alone(*_detectors(*traces))
    assert decision.label == label
    assert decision.probabilities[label] >= 0.95
    assert _codes(decision) == ["forgery.found"]


def test_more_traces_never_make_a_photo_more_authentic() -> None:
    found = [_alone(*_detectors(p, 0.3, 0.3)).probabilities["authentic"] for p in (0.5, 0.8, 0.95, 0.999)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("references", "labels"), [(True, REFERENCE_LABELS), (False, SINGLE_LABELS)])
def test_not_assessable(references: bool, labels: tuple[str, ...]) -> None:
    reason = Reason("face.none", "No face was found in this photo.")
    decision = fusion.not_assessable(reason, with_references=references)
    prior = fusion.calibration().prior if references else (1 / 3, 1 / 3, 1 / 3)
    assert decision == Decision(INCONCLUSIVE, dict(zip(labels, prior)), True, False, (reason,))


def test_card_names_the_file_in_use() -> None:
    card = fusion.card()
    assert card.sha256 == hashlib.sha256((ROOT / "agent" / "fusion.json").read_bytes()).hexdigest()
    assert (card.name, card.licence, card.commercial_use) == ("fusion", "Apache-2.0", True)


@pytest.mark.parametrize("damage", [(b'"temperature"', b'"other"'), (b"{", b""), (b"[\n  -0.", b"[\n  -7.")])
def test_damaged_parameters_are_refused(damage: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (ROOT / "agent" / "fusion.json").read_bytes().replace(*damage, 1)
    monkeypatch.setattr(fusion, "_file", lambda: broken)
    with pytest.raises(WeightsMismatch):
        fusion.calibration.__wrapped__()


def test_takes_the_identity_tools_own_evidence() -> None:
    photo = image.load(ROOT / "examples" / "astronaut.jpg")
    view = FaceView(photo, detection.detect(photo.rgb)[0])
    mirrored = photo.rgb[:, ::-1].copy()
    reference = Reference(FaceView(Photo(mirrored, b"", "", "PNG"), detection.detect(mirrored)[0]).feature)
    decision = fusion.decide(tuple(identity.TOOL.measure(view, [reference, reference])), with_references=True)
    assert _codes(decision)[0] == "identity.matches"
    assert decision.probabilities[OTHER] < 0.01


def _comparisons() -> list[Comparison]:
    rows = [(PERSON, "lfw", "")] * 6 + [(PERSON, "frll", "")] * 2 + [(OTHER, "lfw", "")] * 4
    rows += [(FORGERY, "swap", "swap.alpha")] * 2 + [(FORGERY, "morph", "morph")]
    return [Comparison("a", label, source, "fit", _cosine(0.5), method) for label, source, method in rows]


def test_labels_and_their_sources_weigh_the_same() -> None:
    items, weight = _comparisons(), balanced(_comparisons())
    for label in REFERENCE_LABELS:
        assert weight[[item.label == label for item in items]].sum() == pytest.approx(1 / 3)
    assert weight[:6].sum() == pytest.approx(weight[6:8].sum())
    assert weight[12:14].sum() == pytest.approx(weight[14])


def test_figures_of_the_evaluations() -> None:
    s = np.array([0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9])
    same = np.arange(8) >= 4
    assert eer(s, same) == pytest.approx(0.25)
    assert tar_at_far(s, same, 0.0) == 0.75
    assert tar_at_far(s, same, 0.25) == 1.0
    assert ece(np.array([0.8, 0.8, 0.6, 0.6]), np.array([True, True, True, False]), np.ones(4) / 4) == pytest.approx(
        0.15
    )


@pytest.mark.data
def test_people_are_in_one_split_each() -> None:
    people = volunteers(ROOT.parent / "shared" / "data")
    assert len({person.name for person in people}) == len(people) == 102
    splits = [person.split for person in people]
    assert [splits.count(split) for split in ("fit", "calibration", "test")] == [51, 26, 25]
