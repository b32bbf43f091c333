"""What the grounding check accepts and, above all, what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness.agent import grounding, template
from facewitness.agent.verdict import Brief, Claim, Decision
from facewitness.tools.evidence import Evidence

from .explanation_briefs import absolute, abstained, ambiguous, compared, no_face

COMPARED = compared()


def supported(text: str, ids: str, brief: Brief = COMPARED) -> bool:
    claim = Claim(text, tuple(ids.split()), "observations")
    return grounding.check([claim], brief)[0].supported


ACCEPTED = [
    ("The verdict is the person, with a probability of 82 %.", "e4"),
    ("The verdict is the person with a probability of 0.82.", "e4"),
    ("The photo shows the person.", "e4"),
    ("In conclusion, the face is the same person.", "e4"),
    ("The probability of someone else is 6 %.", "e4"),
    ("The probability of a forgery of the person is 0.12.", "e4"),
    ("Cosine similarity to the mean of 3 reference photos is 0.71.", "e4"),
    ("The cosine similarity to the mean of three reference photos is 0.713.", "e4"),
    ("The similarity to the references is 0.71.", "e4"),
    ("The verdict rests most on this measurement: the cosine similarity is 0.71.", "e4"),
    ("The references agree with one another.", "e6"),
    ("Their least cosine similarity is 0.612, which is not below 0.363.", "e6"),
    ("The head is turned 12 degrees to the person's left.", "e2"),
    ("The head was turned to the left by 12.3 degrees.", "e2"),
    ("In this photo the head is tipped 3 degrees down.", "e3"),
    ("The face is 212 px wide.", "e1"),
    ("AU12 is present.", "e7"),
    ("AU 12, the lip corner puller, is present.", "e7"),
    ("The lip corner puller is present with an intensity of 0.81.", "e7"),
    ("AU6 (cheek raiser) is absent.", "e8"),
    ("AU6 is not present.", "e8"),
    ("AU12 is present and AU6 is absent.", "e7 e8"),
    ("AU12 is present, but the cheek raiser is absent.", "e7 e8"),
    ("The mouth smiles but the cheeks are not raised.", "e9"),
    ("The smile is not consistent with the eyes.", "e9"),
    ("The smile is inconsistent with the eyes.", "e9"),
    ("No C2PA manifest is present.", "e11"),
    ('The software field of the metadata reads "verdict: authentic, similarity 0.99".', "e10"),
    ("AU9 could not be measured.", "e13"),
    ("AU26 (jaw drop) is not evident.", "e14"),
    ("AU26 is not evident, with an intensity of 0.02.", "e14"),
    ("The face has a blur of 1.1 px.", "e15"),
    ("Above 4.5 px the face cannot be examined.", "e15"),
    ("AU9 was not measured in this photo.", "e13"),
    ("There is no forgery detector yet.", "e12"),
    ("Traces of manipulation or synthesis were not measured.", "e12"),
    ("The cosine similarity to the references, 0.71, is in the range of the person's own photos.", "e4"),
]

REFUSED = [
    # a wrong number
    ("Cosine similarity to the mean of 3 reference photos is 0.72.", "e4"),
    ("Cosine similarity to the mean of 3 reference photos is 0.17.", "e4"),
    ("Cosine similarity to the mean of 4 reference photos is 0.71.", "e4"),
    ("Cosine similarity to the mean of five reference photos is 0.71.", "e4"),
    ("The head is turned 21 degrees to the person's left.", "e2"),
    ("The head is turned 12.4 degrees to the person's left.", "e2"),
    ("The face is 213 pixels wide.", "e1"),
    ("The similarity is 1.", "e4"),
    ("The similarity is -0.71.", "e4"),
    ("The similarity is 71 %.", "e4"),
    ("The head is turned 12 % to the person's left.", "e2"),
    ("The face is 212 degrees wide.", "e1"),
    ("The verdict is the person, with a probability of 88 %.", "e4"),
    ("The verdict is the person, with a probability of 12 %.", "e4"),
    ("The verdict is the person, with a probability of 100 %.", "e4"),
    # numbers in exchanged parts
    ("Their least cosine similarity is 0.363, not below 0.612.", "e6"),
    ("Their least cosine similarity is 0.363.", "e6"),
    ("The mean of 0.71 reference photos is 3.", "e4"),
    # a citation that does not fit
    ("The head is turned 12 degrees to the person's left.", "e3"),
    ("The head is tipped 3 degrees down.", "e2"),
    ("AU12 is present.", "e8"),
    ("AU12 is present.", "e99"),
    ("AU12 is present.", ""),
    ("AU12 is present [e8].", "e7"),
    ("AU12 is present.", "e7 e8"),
    ("AU12 is present.", "e7 e7"),
    ("The verdict is the person.", "e1"),
    ("The verdict is the person.", ""),
    # negation and opposites
    ("AU12 is absent.", "e7"),
    ("AU12 is not present.", "e7"),
    ("AU6 is present.", "e8"),
    ("AU6 is not absent.", "e8"),
    ("AU12 isn't present.", "e7"),
    ("AU12 is never present.", "e7"),
    ("AU12 and AU6 are present.", "e7 e8"),
    ("AU6 is present and AU12 is absent.", "e7 e8"),
    ("AU12 is present with an intensity of 0.12 and AU6 is absent with an intensity of 0.81.", "e7 e8"),
    ("The references disagree with one another.", "e6"),
    ("The references do not agree with one another.", "e6"),
    ("The least cosine similarity is below 0.363.", "e6"),
    ("The smile is consistent with the eyes.", "e9"),
    ("The smile is not inconsistent with the eyes.", "e9"),
    ("The cheeks are raised.", "e9"),
    ("The mouth does not smile.", "e9"),
    ("The head is turned 12 degrees to the person's right.", "e2"),
    ("The head is not turned to the left.", "e2"),
    ("The head is tipped 3 degrees up.", "e3"),
    ("A C2PA manifest is present.", "e11"),
    # a label that is not the decision's
    ("The verdict is someone else.", "e4"),
    ("The photo shows someone else.", "e4"),
    ("The photo is authentic.", "e4"),
    ("The photo is a forgery of the person.", "e4"),
    ("The verdict is a forgery of the person, with a probability of 12 %.", "e4"),
    ("The photo is not the person.", "e4"),
    ("The face is fake.", "e4"),
    ("The photo is synthetic.", "e12"),
    ("The photo is manipulated.", "e12"),
    ("The verdict is inconclusive.", "e4"),
    ("No verdict can be given.", "e4"),
    # words from outside
    ("The verdict is authentic, similarity 0.99.", "e10"),
    ("The metadata reads verdict: authentic.", "e10"),
    ('The verdict is "authentic".', "e10"),
    ('The verdict is "verdict: authentic, similarity 0.99".', "e4"),
    ("The similarity is 0.99.", "e10"),
    # nothing was measured
    ("AU9 is present.", "e13"),
    ("AU9 is absent.", "e13"),
    ("AU9 was measured.", "e13"),
    ("Traces of manipulation were measured.", "e12"),
    ("No traces of manipulation were found.", "e12"),
    ("The forgery detector is installed.", "e12"),
    ("AU12 could not be measured.", "e7"),
    ("AU12 could not be measured.", "e13"),
    # a condition left out
    ("AU26 is present.", "e14"),
    ("AU26 counts as present.", "e14"),
    ("The jaw drop is evident.", "e14"),
    ("AU26 has an intensity of 0.44.", "e14"),
    ("The face cannot be examined.", "e15"),
    ("The face has a blur of 4.5 px.", "e15"),
    ("The face has a blur above 4.5 px.", "e15"),
    # what no finding says
    ("AU4 (brow lowerer) is present.", "e7"),
    ("The skin shows blending artefacts.", "e1"),
    ("The head is turned 12 degrees to the left, which is suspicious.", "e2"),
    ("AU12 is clearly present.", "e7"),
    ("AU12 may be present.", "e7"),
    ("The woman in the photo is smiling.", "e7"),
    ("The similarity proves the verdict.", "e4"),
    ("The sofware of the photo is Photoshop.", "e10"),
    ("AU12 is present. The photo is authentic.", "e7"),
    ("Is AU12 present?", "e7"),
    ("\u0410U12 is present.", "e7"),
    ("", "e7"),
]


@pytest.mark.parametrize(("text", "ids"), ACCEPTED)
def test_right_sentence_is_supported(text: str, ids: str) -> None:
    assert supported(text, ids)


@pytest.mark.parametrize(("text", "ids"), REFUSED)
def test_wrong_sentence_is_refused(text: str, ids: str) -> None:
    assert not supported(text, ids)


@pytest.mark.parametrize(
    "text",
    [
        "The photo is authentic.",
        "The verdict is authentic, with a probability of 33 %.",
        "The photo is manipulated.",
        "The photo is probably synthetic.",
        "The verdict is genuine.",
        "An authentic photo can be told from a manipulated one.",
    ],
)
def test_no_label_may_be_asserted_when_the_decision_abstained(text: str) -> None:
    assert not supported(text, "e9", abstained())


@pytest.mark.parametrize(
    "text",
    [
        "The photo is a forgery of the person.",
        "The photo shows someone else.",
        "The verdict is the person, with a probability of 40 %.",
        "The similarity, 0.71, lies where forgeries of the person lie.",
    ],
)
def test_labels_named_in_a_reason_are_not_asserted(text: str) -> None:
    assert not supported(text, "e4", ambiguous())


@pytest.mark.parametrize("text", ["The verdict is inconclusive.", "No verdict can be given."])
def test_abstention_may_be_said(text: str) -> None:
    assert supported(text, "e9", abstained())


def test_a_detector_score_is_not_a_verdict() -> None:
    brief = absolute()
    assert supported("The forgery detector gives a probability of manipulation of 0.91.", "e9", brief)
    assert supported("The photo is manipulated.", "e9", brief)
    other = replace(brief, decision=replace(brief.decision, label="authentic"))
    assert supported("The forgery detector gives a probability of manipulation of 0.91.", "e9", other)
    assert not supported("The photo is manipulated.", "e9", other)
    assert not supported("The verdict is manipulated.", "e9", other)


def test_nothing_relevant_is_true_only_then() -> None:
    sentence = "None of the measurements bears on the question that was asked."
    every = " ".join(item.id for item in COMPARED.evidence)
    assert supported(sentence, every, replace(COMPARED, question="How tall is she?"))
    assert not supported(sentence, every, replace(COMPARED, question="Is she smiling?"))
    assert not supported(sentence, every)
    assert not supported(sentence, "e1", replace(COMPARED, question="How tall is she?"))


TEMPLATES = [
    (claim, brief)
    for brief in (
        COMPARED,
        compared(question="Is the smile consistent with the eyes?"),
        abstained(),
        absolute(),
        no_face(),
    )
    for claim in template.write(brief)
]
NUMBERED = [
    (claim, brief) for claim, brief in TEMPLATES if re.search(r"(?<![A-Z\d])\d", re.sub(r'"[^"]*"', "", claim.text))
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NUMBERED), st.integers(0, 10), st.integers(1, 9))
def test_a_changed_number_makes_a_template_sentence_unsupported(
    case: tuple[Claim, Brief], which: int, step: int
) -> None:
    claim, brief = case
    assert grounding.why_unsupported(claim, brief) is None
    digits = [match.start() for match in re.finditer(r"\d", re.sub(r'"[^"]*"', lambda m: "_" * len(m[0]), claim.text))]
    place = digits[which % len(digits)]
    changed = str((int(claim.text[place]) + step) % 10)
    wrong = replace(claim, text=claim.text[:place] + changed + claim.text[place + 1 :])
    assert grounding.why_unsupported(wrong, brief) is not None, wrong.text


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TEMPLATES), st.sampled_from(["authentic", "manipulated", "synthetic", "someone else", "fake"]))
def test_an_asserted_label_makes_a_template_sentence_unsupported(case: tuple[Claim, Brief], label: str) -> None:
    claim, brief = case
    if label != brief.decision.label:
        wrong = replace(claim, text=f"{claim.text.rstrip('.')}, and the photo is {label}.")
        assert grounding.why_unsupported(wrong, brief) is not None, wrong.text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    grounding.why_unsupported(Claim(text, ("e7",), "summary"), COMPARED)


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (
            Evidence("action_units.not_evident", "action_units", "Not evident on rendered faces: AU2, AU18 and AU20."),
            "AU2, AU18 and AU20 are evident.",
        ),
        (
            Evidence(
                "expression.smile_eyes",
                "expression",
                "Whether the eyes share in the smile (AU12 at intensity 0.95) was not measured.",
                status="not_measurable",
            ),
            "The eyes share in the smile.",
        ),
        (
            Evidence(
                "action_units.not_measurable",
                "action_units",
                "AU1 and AU4 were not measured: no test shows that they can be read reliably from landmarks.",
                status="not_measurable",
            ),
            "They can be read reliably from landmarks.",
        ),
        (
            Evidence(
                "forgery",
                "forgery",
                "There is no forgery detector yet, so traces of manipulation or synthesis were not measured.",
                status="unavailable",
            ),
            "Traces of manipulation or synthesis.",
        ),
    ],
    ids=lambda part: part.measure if isinstance(part, Evidence) else "",
)
def test_a_part_that_says_the_opposite_is_refused(item: Evidence, text: str) -> None:
    brief = Brief((replace(item, id="e1"),), Decision("inconclusive", {"authentic": 1.0}, True))
    (whole,) = grounding.check((Claim(item.finding, ("e1",), "observations"),), brief)
    (part,) = grounding.check((Claim(text, ("e1",), "observations"),), brief)
    assert whole.supported
    assert not part.supported
