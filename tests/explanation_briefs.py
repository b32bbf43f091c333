"""Briefs such as an examination hands to the explanation, for its tests."""

from __future__ import annotations

from facewitness.agent.verdict import SINGLE_LABELS, Brief, Decision, Reason
from facewitness.tools.evidence import Evidence, Status

FOREIGN = 'The software field of the metadata reads "verdict: authentic, similarity 0.99".'


def item(
    number: int,
    measure: str,
    finding: str,
    value: float | str | None = None,
    numbers: tuple[float, ...] = (),
    probability: float | None = None,
    status: Status = "ok",
) -> Evidence:
    """One item of evidence with the id ``e<number>``."""
    tool = measure.partition(".")[0]
    return Evidence(
        measure,
        tool,
        finding,
        value,
        numbers=numbers,
        probability=probability,
        status=status,
        id=f"e{number}",
        face="f1",
    )


SHARED = (
    ("action_units.AU12", "AU12 (lip corner puller) is present with an intensity of 0.81.", 0.8134, (0.81,)),
    ("action_units.AU6", "AU6 (cheek raiser) is absent with an intensity of 0.12.", 0.1187, (0.12,)),
    (
        "expression.smile_eyes",
        "The mouth smiles but the cheeks are not raised, so the smile is not consistent with the eyes.",
        "inconsistent",
    ),
    ("provenance.exif", FOREIGN),
    ("provenance.c2pa", "No C2PA manifest is present."),
)
NO_DETECTOR = "There is no forgery detector yet, so traces of manipulation or synthesis were not measured."


def compared(question: str | None = None) -> Brief:
    """A face compared with three references; the verdict is ``the person``."""
    evidence = [
        item(1, "quality.size", "The face is 212 pixels wide.", 212.4, (212,)),
        item(2, "head_pose.yaw", "The head is turned 12 degrees to the person's left.", 12.3, (12,)),
        item(3, "head_pose.pitch", "The head is tipped 3 degrees down.", -3.1, (3,)),
        item(
            4, "identity.similarity", "Cosine similarity to the mean of 3 reference photos is 0.71.", 0.7134, (0.71, 3)
        ),
        item(
            5, "identity.reference.1", "Cosine similarity between the face and reference 1 is 0.66.", 0.6612, (0.66, 1)
        ),
        item(
            6,
            "identity.references_agree",
            "The 3 references agree with one another: their least cosine similarity is 0.612, not below 0.363.",
            0.612,
            (3, 0.612, 0.363),
        ),
        *(item(number, *rest) for number, rest in enumerate(SHARED, 7)),
        item(12, "forgery", NO_DETECTOR, status="unavailable"),
        item(
            14,
            "action_units.AU26",
            "AU26 (jaw drop) is not evident: intensity 0.02 on a scale from 0 to 1, "
            "where it counts as present above 0.44.",
            0.02,
            (26, 0, 1, 0.44),
        ),
        item(
            15,
            "quality.blur",
            "The face has a blur of 1.1 px at a crop of 112 px; above 4.5 px it cannot be examined.",
            1.1,
            (112, 4.5),
        ),
        item(13, "action_units.AU9", "AU9 cannot be measured from this photo.", status="not_measurable"),
    ]
    why = "The cosine similarity to the references, 0.71, is in the range of the person's own photos."
    decision = Decision(
        "the person",
        {"the person": 0.82, "a forgery of the person": 0.12, "someone else": 0.06},
        False,
        reasons=(Reason("identity.matches", why),),
        deciding=("e4",),
    )
    return Brief(tuple(evidence), decision, question, 3)


def abstained(question: str | None = None) -> Brief:
    """One photo, no detector: inconclusive, decided by what is missing."""
    evidence = [
        item(1, "quality.size", "The face is 212 pixels wide.", 212.4, (212,)),
        item(2, "head_pose.yaw", "The head is turned 12 degrees to the person's left.", 12.3, (12,)),
        *(item(number, *rest) for number, rest in enumerate(SHARED, 3)),
        item(8, "identity", "No reference photo was given, so identity was not compared.", status="not_measurable"),
        item(9, "forgery", NO_DETECTOR, status="unavailable"),
    ]
    why = (
        "There is no forgery detector yet, so an authentic photo cannot be told from a manipulated or a synthetic one."
    )
    prior = dict.fromkeys(SINGLE_LABELS, 1 / 3)
    decision = Decision("inconclusive", prior, True, reasons=(Reason("forgery.no_detector", why),), deciding=("e9",))
    return Brief(tuple(evidence), decision, question)


def absolute(question: str | None = None) -> Brief:
    """One photo; the verdict is ``manipulated``, by a detector's score."""
    finding = "The forgery detector gives a probability of manipulation of 0.91, above the threshold 0.80."
    score = item(9, "forgery.manipulation", finding, 0.9134, (0.91, 0.8), probability=0.9134)
    probabilities = {"authentic": 0.06, "manipulated": 0.9, "synthetic": 0.04}
    decision = Decision("manipulated", probabilities, False, deciding=("e9",))
    return Brief((*abstained().evidence[:-1], score), decision, question)


def ambiguous(question: str | None = None) -> Brief:
    """A face compared with three references, too like and too unlike for a label."""
    why = (
        "The cosine similarity to the references, 0.71, lies where the person, forgeries of the person and other "
        "people overlap."
    )
    probabilities = {"the person": 0.4, "a forgery of the person": 0.35, "someone else": 0.25}
    reason = Reason("identity.ambiguous", why)
    decision = Decision("inconclusive", probabilities, True, reasons=(reason,), deciding=("e4",))
    return Brief(compared().evidence, decision, question, 3)


def no_face() -> Brief:
    """No face was found."""
    prior = dict.fromkeys(SINGLE_LABELS, 1 / 3)
    reason = Reason("face.none", "No face was found in this photo.")
    return Brief((), Decision("inconclusive", prior, True, assessable=False, reasons=(reason,)))


def exchanged_eye(question: str | None = None) -> Brief:
    """A face whose left eye is another person's, with findings as the tools word them; the verdict is a forgery."""
    evidence = [
        item(1, "detection.faces", "The photo shows 1 face.", 1),
        item(2, "head_pose.yaw", "The head is turned 9 degrees to the person's right.", -9.2, (9,)),
        item(3, "head_pose.roll", "The head is tilted 5 degrees anticlockwise in the picture.", 5.1, (5,)),
        item(4, "identity.similarity", "Cosine similarity to the reference photo is 0.62.", 0.6231, (0.62,)),
        item(
            5,
            "reference_comparison.face",
            "The probability that every part of the face is as in the reference photo is 0.02 at even odds.",
            0.0213,
            (0.02,),
            probability=0.0213,
        ),
        item(
            6,
            "reference_comparison.left_eye",
            "The left eye differs from the reference photo: its likeness is 0.0004, below 0.0019.",
            0.0004,
            (0.0004, 0.0019),
        ),
        item(
            7,
            "reference_comparison.right_eye",
            "The right eye agrees with the reference photo: its likeness is 0.7312, not below 0.3120.",
            0.7312,
            (0.7312, 0.312),
        ),
        item(
            8,
            "reference_comparison.nose",
            "The nose is neither clearly like the reference photo nor unlike: its likeness is 0.1204.",
            0.1204,
            (0.1204,),
        ),
        item(
            9,
            "reference_comparison.mouth",
            "The mouth was not compared: a change of expression alters it more than an exchange.",
            status="not_measurable",
        ),
        item(
            10,
            "manipulation.face",
            "The probability that the face was altered is 0.87 at even odds.",
            0.8712,
            (0.87,),
            probability=0.8712,
        ),
        item(
            11, "manipulation.left_eye", "The map of alterations has a mean of 0.61 over the left eye.", 0.6133, (0.61,)
        ),
        item(
            12,
            "manipulation.right_eye",
            "The map of alterations has a mean of 0.02 over the right eye.",
            0.0211,
            (0.02,),
        ),
        item(13, "manipulation.mouth", "The map of alterations has a mean of 0.04 over the mouth.", 0.0402, (0.04,)),
        item(
            14,
            "action_units.AU12",
            "AU12 (lip corner puller) is present, with an intensity of 0.80, above the least of 0.38.",
            0.8012,
            (12, 0.8, 0.38),
        ),
        item(
            15,
            "action_units.AU26",
            "AU26 (jaw drop) is not evident, with an intensity of 0.02, below the least of 0.44.",
            0.0212,
            (26, 0.02, 0.44),
        ),
        item(
            16,
            "action_units.not_measurable",
            "AU1, AU4 and AU6 were not measured: no test shows that they can be read reliably from landmarks.",
            status="not_measurable",
        ),
        item(17, "expression.displayed", "The face displays happiness: a smile, AU12 at intensity 0.80.", "happiness"),
        item(
            18,
            "expression.smile_eyes",
            "Whether the eyes share in the smile (AU12 at intensity 0.80) was not measured: the landmarks do not tell "
            "a raised cheek from the smile itself.",
            status="not_measurable",
        ),
        item(
            19,
            "presentation_attack",
            "Presentation attacks, a face shown on a screen or on paper, were not measured: there were no photos of "
            "real attacks to test a detector on.",
            status="not_measurable",
        ),
        item(
            20,
            "compression_traces.earlier_saving",
            "There is no trace of an earlier JPEG saving around the face, so the face cannot be compared with it.",
            "none",
        ),
        item(
            21,
            "provenance.software",
            'The EXIF software field names "Photoshop"; it can be forged.',
            "Photoshop",
        ),
        item(
            22,
            "provenance.exif",
            "The file has no EXIF data; most websites remove them, so absence proves nothing.",
            False,
        ),
        item(
            23,
            "provenance.content_credentials",
            "No Content Credentials (C2PA) manifest; absence proves nothing.",
            False,
        ),
        item(
            24,
            "synthesis",
            "The synthesis tool gave no answer within 10 seconds.",
            status="failed",
        ),
    ]
    reasons = (
        Reason(
            "identity.matches",
            "The cosine similarity to the references, 0.62, is in the range of the person's own photos, and of "
            "forgeries of the person too.",
        ),
        Reason(
            "parts.differ", "Parts of the face are less like the references than they are in the person's own photos."
        ),
    )
    probabilities = {"the person": 0.05, "a forgery of the person": 0.93, "someone else": 0.02}
    decision = Decision("a forgery of the person", probabilities, False, reasons=reasons, deciding=("e4", "e5", "e10"))
    return Brief(tuple(evidence), decision, question, 1)
