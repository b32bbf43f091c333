"""The check on findings as the tools word them: false sentences, true ones, and true ones that it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facewitness.agent import grounding, template
from facewitness.agent.verdict import Brief, Claim, Reason

from .explanation_briefs import abstained, compared, exchanged_eye

EXCHANGED = exchanged_eye()

FALSE = {
    "another region": [
        ("The right eye differs from the reference photo.", "e6"),
        ("The right eye differs from the reference photo.", "e7"),
        ("The left eye agrees with the reference photo.", "e6"),
        ("The left eye agrees with the reference photo.", "e7"),
        ("The left and the right eye differ from the reference photo.", "e6 e7"),
        ("Both eyes differ from the reference photo.", "e6 e7"),
        ("The eyes differ from the reference photo.", "e6"),
        ("The nose differs from the reference photo.", "e6"),
        ("The mouth differs from the reference photo.", "e6"),
        ("The map of alterations has a mean of 0.61 over the right eye.", "e11"),
        ("The map of alterations has a mean of 0.61 over the right eye.", "e11 e12"),
        ("The map of alterations has a mean of 0.02 over the left eye.", "e12"),
        ("The map of alterations has a mean of 0.61 over the mouth.", "e11"),
        ("The map of alterations has a mean of 0.04 over the nose.", "e13"),
        ("The map of alterations has a mean of 0.61 over the left eye and 0.04 over the right eye.", "e11 e13"),
        ("The right eye was altered, with a mean of 0.61.", "e11"),
        ("The left eye agrees with the reference photo and the right eye differs.", "e6 e7"),
        ("The likeness of the right eye is 0.0004.", "e6"),
        ("The left eye's likeness is 0.7312.", "e7"),
        ("The whole face differs from the reference photo.", "e6"),
        ("The likeness is 0.0004 in the left eye and in the right eye.", "e6 e7"),
        ("The left eye differs from the reference photo, and so does the right eye.", "e6 e7"),
    ],
    "another direction": [
        ("The head is turned 9 degrees to the person's left.", "e2"),
        ("The head is turned 9 degrees to the left.", "e2"),
        ("The head is not turned to the person's right.", "e2"),
        ("The head is tilted 5 degrees clockwise.", "e3"),
        ("The head is tilted 5 degrees to the right.", "e3"),
        ("The likeness of the left eye is above 0.0019.", "e6"),
        ("The likeness of the left eye is not below 0.0019.", "e6"),
        ("The likeness of the right eye is below 0.3120.", "e7"),
        ("The left eye does not differ from the reference photo.", "e6"),
        ("The right eye does not agree with the reference photo.", "e7"),
        ("The right eye disagrees with the reference photo.", "e7"),
        ("The nose is like the reference photo.", "e8"),
        ("The nose is unlike the reference photo.", "e8"),
        ("The nose is clearly unlike the reference photo.", "e8"),
        ("The nose is clearly like the reference photo.", "e8"),
        ("The nose is not like the reference photo.", "e8"),
        ("The nose is neither like the reference photo nor unlike.", "e8"),
        ("A manifest is there.", "e23"),
        ("Every part of the face is as in the reference photo.", "e5"),
        ("Every part of the face is as in the reference photo, at even odds.", "e5"),
        ("The eye differs from the reference photo.", "e6"),
        ("The map of alterations has a mean of 0.61 over the eye.", "e11"),
        ("The map of alterations has a mean of 0.61 over both eyes.", "e11"),
        ("The face is like the references.", "e5"),
        ("The EXIF software field is forged.", "e21"),
        ("A smile is forged.", "e21"),
        ("AU12 is present, with an intensity below the least of 0.38.", "e14"),
        ("AU12 is not present.", "e14"),
        ("AU26 is evident, with an intensity of 0.02.", "e15"),
        ("AU26 is not evident, with an intensity above the least of 0.44.", "e15"),
        ("The face displays sadness.", "e17"),
        ("The face does not display happiness.", "e17"),
        ("There is a trace of an earlier JPEG saving around the face.", "e20"),
        ("The file has EXIF data.", "e22"),
        ("Absence proves something.", "e22"),
        ("A Content Credentials manifest is there.", "e23"),
        ("The software field cannot be forged.", "e21"),
    ],
    "another number": [
        ("The head is turned 90 degrees to the person's right.", "e2"),
        ("The head is turned 0.9 degrees to the person's right.", "e2"),
        ("The head is turned nine and a half degrees to the person's right.", "e2"),
        ("Cosine similarity to the reference photo is 0.26.", "e4"),
        ("Cosine similarity to the reference photo is 0.7.", "e4"),
        ("Cosine similarity to the reference photo is 62 %.", "e4"),
        ("Cosine similarity to 2 reference photos is 0.62.", "e4"),
        ("The probability that the face was altered is 78 %.", "e10"),
        ("The probability that the face was altered is 0.78.", "e10"),
        ("The probability that the face was altered is 100 %.", "e10"),
        ("The likeness of the left eye is 0.0019.", "e6"),
        ("The likeness of the left eye is 0.0019, below 0.0004.", "e6"),
        ("AU12 is present, with an intensity of 0.38, above the least of 0.80.", "e14"),
        ("AU12 is present, with an intensity of 0.08.", "e14"),
        ("The photo shows 2 faces.", "e1"),
        ("The photo shows no face.", "e1"),
        ("The verdict is a forgery of the person, with a probability of 39 %.", "e4"),
        ("The verdict is a forgery of the person, with a probability of 99 %.", "e4"),
        ("The probability of the person is 93 %.", "e4"),
        ("The probability of someone else is 5 %.", "e4"),
    ],
    "not measured": [
        ("The mouth agrees with the reference photo.", "e9"),
        ("The mouth differs from the reference photo.", "e9"),
        ("The mouth was compared.", "e9"),
        ("The mouth was exchanged.", "e9"),
        ("A change of expression alters the mouth.", "e9"),
        ("AU4 is present.", "e16"),
        ("AU4 is absent.", "e16"),
        ("AU1, AU4 and AU6 were measured.", "e16"),
        ("AU6 can be read reliably from landmarks.", "e16"),
        ("The eyes share in the smile.", "e18"),
        ("The eyes do not share in the smile.", "e18"),
        ("The smile does not reach the eyes.", "e18"),
        ("The cheek is raised.", "e18"),
        ("There was no presentation attack.", "e19"),
        ("The face is shown on a screen.", "e19"),
        ("No screen or paper was found.", "e19"),
        ("Presentation attacks were measured.", "e19"),
        ("The face was not shown on a screen.", "e19"),
        ("There is no trace of synthesis.", "e24"),
        ("The photo is not synthetic.", "e24"),
        ("The synthesis tool gave an answer within 10 seconds.", "e24"),
        ("The synthesis tool found nothing.", "e24"),
        ("The face can be compared with an earlier saving.", "e20"),
        ("The lighting is inconsistent.", "e1"),
        ("The skin texture is unnatural.", "e10"),
        ("The teeth are irregular.", "e13"),
        ("The ears do not match the reference photo.", "e6"),
    ],
    "another face's evidence": [
        ("The face is 91 px wide.", "e30"),
        ("AU12 is present.", "e99"),
        ("The left eye differs from the reference photo.", "e6 e30"),
    ],
    "against the verdict": [
        ("The verdict is the person.", "e4"),
        ("The photo shows the person.", "e4"),
        ("The face is the same person as in the reference photo.", "e4"),
        ("The verdict is someone else.", "e4"),
        ("The photo is authentic.", "e10"),
        ("The photo is genuine.", "e4"),
        ("The verdict is inconclusive.", "e4"),
        ("No verdict can be given.", "e4"),
        ("The evidence does not suffice for a verdict.", "e4"),
        ("The verdict is not a forgery of the person.", "e4"),
        ("The photo is not a forgery of the person.", "e4"),
        ("The evidence does not show a forgery of the person.", "e4"),
        ("The evidence does not show manipulation.", "e10"),
        ("The evidence does not support a forgery of the person.", "e4"),
        ("The face was not altered.", "e10"),
        ("The face was altered.", "e10"),
        ("The photo is synthetic.", "e24"),
        ("The verdict rests on the EXIF data.", "e22"),
        ("The verdict rests most on the left eye.", "e6"),
        ("The verdict is a forgery of the person because the software is Photoshop.", "e21"),
        ("The cosine similarity to the references, 0.62, is in the range of other people.", "e4"),
        ("The cosine similarity, 0.62, is not in the range of the person's own photos.", "e4"),
        ("Parts of the face are as like the references as they are in the person's own photos.", "e5"),
        ("Parts of the face are more like the references than they are in the person's own photos.", "e5"),
    ],
    "hedged": [
        ("The photo may be authentic.", "e4"),
        ("The photo is possibly the person.", "e4"),
        ("It cannot be excluded that the photo is authentic.", "e4"),
        ("The photo is almost certainly a forgery of the person.", "e4"),
        ("The photo is clearly a forgery of the person.", "e4"),
        ("The left eye might agree with the reference photo.", "e6"),
        ("The left eye clearly differs from the reference photo.", "e6"),
        ("The left eye hardly differs from the reference photo.", "e6"),
        ("The mouth probably agrees with the reference photo.", "e9"),
        ("The head seems to be turned to the person's left.", "e2"),
        ("AU12 is slightly present.", "e14"),
        ("AU12 is strongly present.", "e14"),
        ("The probability that the face was altered is about 50 %.", "e10"),
        ("The probability that the face was altered is low.", "e10"),
        ("The probability that the face was altered is at least 0.87.", "e10"),
        ("The similarity is high.", "e4"),
        ("If the mouth had been compared, it would differ from the reference photo.", "e9"),
        ("Experts would say that the photo is authentic.", "e4"),
        ("The photo is as authentic as the reference photo.", "e4"),
        ("As the caption says, the photo is authentic.", "e21"),
        ('The software "Photoshop" altered the face.', "e21"),
        ("Photoshop was used.", "e21"),
    ],
}

TRUE = [
    ("The photo shows one face.", "e1"),
    ("There is 1 face in the photo.", "e1"),
    ("The head is turned to the person's right by 9 degrees.", "e2"),
    ("The head has been turned 9 degrees to the person's right.", "e2"),
    ("In the picture, the head is tilted 5 degrees anticlockwise.", "e3"),
    ("The head is tilted anticlockwise by 5 degrees in the picture.", "e3"),
    ("The cosine similarity to the reference photo is 0.62.", "e4"),
    ("To the reference photo, the cosine similarity is 0.623.", "e4"),
    ("The similarity to the reference is 0.62.", "e4"),
    ("Every part of the face is as in the reference photo with a probability of 0.02 at even odds.", "e5"),
    ("At even odds, the probability that every part of the face is as in the reference photo is 0.02.", "e5"),
    ("The left eye differs from the reference photo.", "e6"),
    ("The left eye is different from the reference photo.", "e6"),
    ("The right eye agrees with the reference photo.", "e7"),
    ("The right eye agrees with the reference photo, its likeness being 0.7312.", "e7"),
    ("The left eye differs from the reference photo, but the right eye agrees with it.", "e6 e7"),
    ("The right eye agrees with the reference photo, whereas the left eye differs.", "e6 e7"),
    ("The nose is neither clearly like nor unlike the reference photo.", "e8"),
    ("The mouth was not compared.", "e9"),
    ("The probability that the face was altered is 87 % at even odds.", "e10"),
    ("The probability that the face was altered is 0.87.", "e10"),
    ("Over the left eye, the map of alterations has a mean of 0.61.", "e11"),
    ("Over the mouth the map of alterations has a mean of 0.04.", "e13"),
    ("AU12 is present with an intensity of 0.80.", "e14"),
    ("The lip corner puller (AU12) is present.", "e14"),
    ("AU12 (lip corner puller) is present, above the least of 0.38.", "e14"),
    ("AU26 is not evident, with an intensity of 0.02.", "e15"),
    ("The jaw drop is not evident.", "e15"),
    ("AU1, AU4 and AU6 were not measured.", "e16"),
    ("AU1, AU4 and AU6 could not be measured.", "e16"),
    ("AU4 was not measured.", "e16"),
    ("The face displays happiness.", "e17"),
    ("The face displays a smile.", "e17"),
    ("Whether the eyes share in the smile was not measured.", "e18"),
    ("Presentation attacks were not measured.", "e19"),
    ("Around the face there is no trace of an earlier JPEG saving.", "e20"),
    ('The EXIF software field names "Photoshop", which can be forged.', "e21"),
    ("The file has no EXIF data.", "e22"),
    ("The verdict is a forgery of the person, with a probability of 93 %.", "e4 e5"),
    ("The photo shows a forgery of the person.", "e4"),
    ("The face is a forgery of the person.", "e4"),
    ("With a probability of 93 %, the verdict is a forgery of the person.", "e4"),
    ("The probability of a forgery of the person is 93 %.", "e4"),
    ("The probability that it is someone else is 2 %.", "e4"),
    ("Parts of the face are less like the references than in the person's own photos.", "e5"),
    ("The cosine similarity of 0.62 is in the range of the person's own photos and of forgeries of the person.", "e4"),
]

# True, and refused: what it costs to compare words and not meaning. One that passes some day moves to the list above.
TRUE_AND_REFUSED = [
    ("One face is shown in the photo.", "e1"),
    ("The head is turned 9.2 degrees to the right.", "e2"),
    ("The head is turned 9 degrees to the person's right and tilted 5 degrees anticlockwise.", "e2 e3"),
    ("At even odds, the probability that every part of the face is as in the reference photo is 2 %.", "e5"),
    ("The left eye does not agree with the reference photo.", "e6"),
    ("The left eye differs from the one in the reference photo.", "e6"),
    ("The likeness of the left eye is 0.0004, which is below 0.0019.", "e6"),
    ("With a likeness of 0.0004, the left eye differs from the reference photo.", "e6"),
    ("The right eye matches the reference photo.", "e7"),
    ("The likeness of the nose is 0.1204.", "e8"),
    ("The mouth could not be compared.", "e9"),
    ("The mouth was not compared, because a change of expression alters it more than an exchange.", "e9"),
    ("At even odds, the face was altered with a probability of 0.87.", "e10"),
    ("The map of alterations has a mean of 0.61 over the left eye and a mean of 0.02 over the right eye.", "e11 e12"),
    ("It was not measured whether the eyes share in the smile.", "e18"),
    ('According to EXIF, the software is "Photoshop".', "e21"),
    ("EXIF data are absent from the file, which proves nothing.", "e22"),
    ("No Content Credentials manifest is present.", "e23"),
    ("There is no C2PA manifest.", "e23"),
    ("The synthesis tool gave no answer.", "e24"),
]

ABSTAINED = [
    "The evidence does not suffice for a verdict.",
    "The evidence does not suffice.",
    "The evidence does not allow a conclusion.",
    "The evidence is not enough for a verdict.",
    "The evidence is insufficient for a verdict.",
    "Given the evidence, no verdict can be reached.",
    "No verdict is possible.",
    "No conclusion can be reached.",
    "No decision could be given.",
]

NOT_ABSTAINED = [
    "The evidence suffices for a verdict.",
    "The evidence does not fail to suffice for a verdict.",
    "The evidence is sufficient for a verdict.",
    "The evidence is not insufficient for a verdict.",
    "The evidence allows a verdict.",
    "A verdict can be reached.",
    "No verdict is impossible.",
    "No verdict but authentic can be given.",
    "The evidence does not suffice for a verdict of authentic.",
    "The evidence does not suffice for synthetic.",
    "The evidence does not decide, but the photo is authentic.",
    "The evidence does not show manipulation.",
    "The evidence does not support manipulation.",
    "The evidence does not show, so far as a verdict can be given, manipulation.",
]

NOTHING_CLEAR = (
    "The detectors found no clear traces of a forgery. They also miss forgeries, those of unknown kinds above all, so "
    "this does not make the photo authentic."
)
DISAGREE = (
    "The references disagree with one another: their least cosine similarity is 0.200, below 0.363, so they may show "
    "different people."
)
STRONGER = [
    (NOTHING_CLEAR, "The detectors found no traces of a forgery."),
    (NOTHING_CLEAR, "The detectors found no forgery."),
    (NOTHING_CLEAR, "The detectors found clear traces of a forgery."),
    (NOTHING_CLEAR, "The detectors do not miss forgeries."),
    (NOTHING_CLEAR, "This makes the photo authentic."),
    (DISAGREE, "They show different people."),
    (DISAGREE, "The references show different people."),
]


def supported(text: str, ids: str, brief: Brief = EXCHANGED) -> bool:
    return grounding.why_unsupported(Claim(text, tuple(ids.split()), "observations"), brief) is None


@pytest.mark.parametrize(("text", "ids"), [case for cases in FALSE.values() for case in cases])
def test_a_false_sentence_is_refused(text: str, ids: str) -> None:
    assert not supported(text, ids)


@pytest.mark.parametrize(("text", "ids"), TRUE)
def test_a_true_sentence_is_supported(text: str, ids: str) -> None:
    assert supported(text, ids)


@pytest.mark.parametrize(("text", "ids"), TRUE_AND_REFUSED)
def test_known_false_refusals(text: str, ids: str) -> None:
    assert not supported(text, ids)


def test_every_finding_and_template_sentence_is_supported() -> None:
    for item in EXCHANGED.evidence:
        assert supported(item.finding, item.id), item.finding
    faults = [grounding.why_unsupported(claim, EXCHANGED) for claim in template.write(EXCHANGED)]
    assert faults == [None] * len(faults)


@pytest.mark.parametrize("text", ABSTAINED)
def test_an_abstention_is_supported_in_many_words_and_only_where_there_is_one(text: str) -> None:
    assert supported(text, "e9", abstained())
    assert not supported(text, "e4", EXCHANGED)
    assert not supported(text, "e4", compared())


@pytest.mark.parametrize("text", NOT_ABSTAINED)
def test_no_more_than_the_abstention_is_supported(text: str) -> None:
    assert not supported(text, "e9", abstained())


@pytest.mark.parametrize(("reason", "text"), STRONGER)
def test_a_reason_is_not_said_without_what_limits_it(reason: str, text: str) -> None:
    brief = abstained()
    brief = replace(brief, decision=replace(brief.decision, reasons=(Reason("why", reason),)))
    assert supported(reason.partition(". ")[0].rstrip(".") + ".", "e9", brief)
    assert not supported(text, "e9", brief)
