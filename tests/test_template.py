"""The explanation in fixed wording: what stands beside what, and that every sentence passes the check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness.agent import fusion, grounding, template
from facewitness.agent.examine import examine
from facewitness.agent.record import Record
from facewitness.agent.verdict import REFERENCE_LABELS, Brief, Claim, Decision, Reason
from facewitness.tools import weights
from facewitness.tools.evidence import Evidence

ROOT = Path(__file__).parents[1]
BELOW = (
    "The nose is below its usual likeness to the reference photo, but not clearly unlike: its likeness is 0.0364, "
    "below 0.3425."
)
NOSE = Evidence("reference_comparison.nose", "reference_comparison", BELOW, 0.0364, numbers=(0.3425,), id="e2")
WHOLE = Evidence("reference_comparison.face", "reference_comparison", "The probability is 0.02.", 0.02, id="e1")


@pytest.fixture(scope="module")
def bent(astronaut: Path) -> Record:
    weights.pull()
    return examine(ROOT / "examples" / "astronaut-bent.jpg", [astronaut], model="none")


def _texts(record: Record, section: str) -> str:
    return str(getattr(record.explanation.reasoning, section))


def _brief(*evidence: Evidence, reasons: tuple[Reason, ...] = (), deciding: tuple[str, ...] = ("e1",)) -> Brief:
    probabilities = dict(zip(REFERENCE_LABELS, (0.03, 0.96, 0.01), strict=True))
    decision = Decision(REFERENCE_LABELS[1], probabilities, False, reasons=reasons, deciding=deciding)
    return Brief(evidence, decision, None, 1)


def test_a_forgery_is_explained_by_what_speaks_for_it(bent: Record) -> None:
    found = {item.measure: item for item in bent.evidence}
    assert bent.verdict.label == "a forgery of the person"
    decided = {item.measure for item in bent.evidence if item.id in bent.verdict.deciding}
    assert decided == {"identity.similarity", "reference_comparison.face"}
    reason = next(reason.text for reason in bent.verdict.reasons if reason.code == "parts.differ")
    below = [item for item in bent.evidence if item.usual and float(item.value or 0) < item.usual[0]]
    assert below, "the example has parts below their usual likeness"
    for item in below:
        assert item.finding in _texts(bent, "observations")
        assert "below its usual likeness" in item.finding
        assert item.measure.partition(".")[2].replace("_", " ") in reason
    assert found["reference_comparison.nose"] in below
    assert all(claim.supported for claim in bent.explanation.claims)


def test_what_the_morph_detector_says_against_the_references_stands_beside_what_it_says_alone(bent: Record) -> None:
    found = {item.measure: item.finding for item in bent.evidence}
    pair = f"{found['morph.face']} {found['morph.against_references']}"
    assert pair in _texts(bent, "observations")


def test_a_question_about_morphs_is_answered_with_both(astronaut: Path) -> None:
    question = "What does the morph detector say?"
    record = examine(ROOT / "examples" / "astronaut-bent.jpg", [astronaut], question=question, model="none")
    found = {item.measure: item for item in record.evidence}
    answered = [claim.evidence for claim in record.explanation.claims if claim.text.startswith("On the question")]
    assert answered == [[found["morph.face"].id]]
    assert found["morph.against_references"].finding in _texts(record, "interpretation")
    assert all(claim.supported for claim in record.explanation.claims)


@pytest.mark.parametrize(
    ("text", "true"),
    [
        (BELOW, True),
        ("The nose is below its usual likeness to the reference photo.", True),
        ("The nose is at its usual likeness to the reference photo.", False),
        ("The nose is above its usual likeness to the reference photo.", False),
        ("The nose is not below its usual likeness to the reference photo.", False),
        ("The nose is clearly below its usual likeness to the reference photo.", False),
        ("The nose is usual.", False),
        ("The nose is like the reference photo.", False),
        ("The nose is clearly unlike the reference photo.", False),
        ("The nose differs from the reference photo.", False),
        ("The nose is the same as in the reference photo.", False),
        ("The mouth is below its usual likeness to the reference photo.", False),
    ],
)
def test_the_check_on_a_part_below_its_usual_likeness(text: str, true: bool) -> None:
    why = grounding.why_unsupported(Claim(text, ("e2",), "observations"), _brief(NOSE, deciding=("e2",)))
    assert (why is None) == true


@pytest.mark.parametrize("below", [(), ("nose",), ("right_eye", "left_eye", "nose")])
@pytest.mark.parametrize("faces", [1, 2, 5])
def test_reasons_from_the_comparison_pass_the_check(below: tuple[str, ...], faces: int) -> None:
    shown = Evidence("detection.faces", "detection", f"The photo shows {faces} faces.", faces, id="e1")
    cosine = Evidence("identity.similarity", "identity", "Cosine is 0.81.", 0.81, "cosine", numbers=(0.81,), id="e2")
    whole = replace(WHOLE, id="e3", probability=0.004, value=0.004)
    parts = [
        replace(NOSE, measure=f"reference_comparison.{name}", usual=(0.3425, 1.0), id=f"e{number}")
        for number, name in enumerate(below, 4)
    ]
    evidence = (shown, cosine, whole, *parts)
    brief = Brief(evidence, fusion.decide(evidence, with_references=True), None, 1)
    told = [Claim(text, template.verdict_ids(brief), "interpretation") for text in template.reasons(brief)]
    assert any("usual likeness to the references" in claim.text for claim in told)
    assert any("in the photo was compared for this verdict" in claim.text for claim in told) == (faces > 1)
    assert [grounding.why_unsupported(claim, brief) for claim in told] == [None] * len(told)


@pytest.mark.parametrize("text", ["No other face in the photo was", "None of the other 2 faces in the photo was"])
def test_other_faces_are_not_called_compared(text: str) -> None:
    reason = Reason("faces.not_compared", f"{text} compared for this verdict.")
    brief = _brief(WHOLE, reasons=(reason,))
    assert grounding.why_unsupported(Claim(reason.text, ("e1",), "observations"), brief) is None
    false = (
        "The other face was compared.",
        "The other 2 faces in the photo were compared.",
        "The other faces in the photo were compared for this verdict.",
        "None of the other 3 faces in the photo was compared for this verdict.",
        "None of the faces in the photo was compared for this verdict.",
        "No face in the photo was compared for this verdict.",
    )
    for said in false:
        assert grounding.why_unsupported(Claim(said, ("e1",), "observations"), brief), said


def test_one_face_of_a_group_is_not_called_all(astronaut: Path, tmp_path: Path) -> None:
    alone = np.asarray(Image.open(astronaut).convert("RGB"))
    other = np.asarray(Image.open(ROOT / "examples" / "astronaut-redrawn.jpg").convert("RGB").resize((512, 512)))
    group = tmp_path / "group.png"
    Image.fromarray(np.hstack([other, alone])).save(group)
    record = examine(group, [astronaut], model="none")
    assert len(record.faces) == 2
    assert "No other face in the photo was compared for this verdict." in " ".join(
        claim.text for claim in record.explanation.claims
    )
    assert all(claim.supported for claim in record.explanation.claims)


def test_where_no_verdict_can_be_given_none_rests_on_anything(astronaut: Path, tmp_path: Path) -> None:
    lying = tmp_path / "lying.jpg"
    Image.open(astronaut).rotate(90, expand=True).save(lying, quality=95)
    record = examine(lying, model="none")
    assert not record.verdict.assessable
    texts = [claim.text for claim in record.explanation.claims]
    assert "No verdict can be given." in texts and not any("rests most" in text for text in texts)
    assert any(text.startswith("The face is turned away or covered: the landmark model") for text in texts)
    assert all(claim.supported for claim in record.explanation.claims)


@pytest.mark.parametrize("question", [None, "Is it a forgery?"])
def test_what_several_tools_lack_is_told_once(question: str | None, astronaut: Path) -> None:
    record = examine(astronaut, question=question, model="none", commercial_only=True)
    lacking = [item for item in record.evidence if "no forgery detector" in item.finding]
    assert len(lacking) == 3
    claims = [claim for claim in record.explanation.claims if claim.text.endswith(template.lower(lacking[0].finding))]
    assert [claim.evidence for claim in claims] == [[item.id for item in lacking]]
    assert all(claim.supported for claim in record.explanation.claims)
