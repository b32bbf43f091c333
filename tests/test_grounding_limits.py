"""Sentences that drop what limits a finding: a "not", a number, a report, a hedge; and their true counterparts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facewitness.agent import grounding
from facewitness.agent.verdict import SINGLE_LABELS, Brief, Claim, Decision
from facewitness.agent.wording import segments

from .explanation_briefs import ambiguous, compared, item

BARE = "The surroundings of the face do not show it, with a peak of 3.0."
WHOLE = "The surroundings of the face also show it, as if the whole photo was resized, with a peak of 18.0."
OWN = "The face shows a JPEG saving of about quality 80 that its surroundings do not show."
NO_TRACE = "There is no trace of an earlier JPEG saving around the face, so the face cannot be compared with it."
TURNED = "The head is turned 2 degrees to the person's left."
QUALITY = "JPEG quality is estimated at 92 of 100; it tells of the last saving only."
BRIGHTNESS = "The face has a mean brightness of 165 of 255."
BLUR = "The face has a blur of 1.9 px at a crop of 112 px; above 5.0 px it cannot be examined."
REFERENCE = "Cosine similarity between the face and reference 1 is 0.87."
MEAN = "Cosine similarity to the mean of 3 reference photos is 0.71."
STRONGER = (
    "AU12 (lip corner puller) is 0.40 stronger than in the mean of 3 reference photos, where 0.20 counts as a change."
)
ORIENTATION = "EXIF orientation is 6 of 8; the photo was examined upright."
AGREE = "The 3 references agree with one another: their least cosine similarity is 0.612, not below 0.363."
XMP = "The XMP data declare the source trainedAlgorithmicMedia (made by a trained generator); anyone can write them."
CREDENTIALS = (
    "The Content Credentials declare the source digitalCapture (taken by a digital camera), but are not trusted."
)
NAMED = 'The Content Credentials claim names "Adobe Firefly", an image generator; it can be forged.'
NOSE = "The map of alterations has a mean of 0.02 over the nose."
CLIPPED = "0 % of the face is clipped to black or white."
NOTHING = "Nothing follows the picture in the file."
BYTES = "123 undeclared bytes follow the picture; phones append data, and so do tools that hide it."
SAVED = "EXIF says that the file was last saved 90 s after capture, so it was probably re-saved."
TAKEN = "EXIF says that the photo was taken on 3 May 2020; anyone can write or change it."
PREVIEW = "The EXIF preview shows the same picture (correlation 0.99); small edits do not show."
SPREAD = "Read in 5 crops of the face, the map of alterations has a mean between 0.10 and 0.30 over the nose."

FINDINGS = (
    item(1, "compression_traces.resizing_around", BARE, 3.0),
    item(2, "compression_traces.resizing_around", WHOLE, 18.0),
    item(3, "compression_traces.own_saving", OWN, 80),
    item(4, "compression_traces.earlier_saving", NO_TRACE, "none"),
    item(5, "head_pose.yaw", TURNED, 2.1, (2,)),
    item(6, "provenance.jpeg_quality", QUALITY, 92, (100,)),
    item(7, "quality.brightness", BRIGHTNESS, 165, (255,)),
    item(8, "quality.blur", BLUR, 1.9, (112, 5.0)),
    item(9, "identity.reference.1", REFERENCE, 0.8712, (0.87, 1)),
    item(10, "identity.similarity", MEAN, 0.7134, (0.71, 3)),
    item(11, "action_units.change.AU12", STRONGER, 0.4, (12, 0.4, 3, 0.2)),
    item(12, "provenance.orientation", ORIENTATION, 6, (8,)),
    item(13, "identity.references_agree", AGREE, 0.612, (3, 0.612, 0.363)),
    item(14, "provenance.declared_source", XMP, "trainedAlgorithmicMedia"),
    item(15, "provenance.digital_source", CREDENTIALS, "digitalCapture"),
    item(16, "provenance.claim_generator", NAMED, "Adobe Firefly"),
    item(17, "manipulation.nose", NOSE, 0.02),
    item(18, "quality.clipped", CLIPPED, 0),
    item(19, "provenance.trailing_bytes", NOTHING, 0),
    item(20, "provenance.trailing_bytes", BYTES, 123),
    item(21, "provenance.times", SAVED, 90, (90,)),
    item(22, "provenance.taken", TAKEN, "2020-05-03", (3, 2020)),
    item(23, "provenance.thumbnail", PREVIEW, 0.99),
    item(24, "zoom.nose.map", SPREAD, 0.2, (5, 0.1, 0.3)),
)
IDS = {found.finding: found.id for found in FINDINGS}
MEASURED = Brief(FINDINGS, Decision("inconclusive", dict.fromkeys(SINGLE_LABELS, 1 / 3), True, deciding=("e10",)))

FALSE = {
    "a negation dropped": [
        (BARE, "The surroundings of the face show it, with a peak of 3.0."),
        (BARE, "The surroundings of the face show it."),
        (OWN, "The surroundings show a JPEG saving of about quality 80."),
        (OWN, "The face shows a JPEG saving of about quality 80 that its surroundings show."),
        (OWN, "A JPEG saving of about quality 80 was not found."),
        (PREVIEW, "The picture shows small edits."),
    ],
    "nothing but glue": [
        (TURNED, "The head is turned 2 degrees to the person's left, and the face was put into this photo."),
        (TURNED, "The head is turned 2 degrees to the person's left, and the face was found in both photos."),
        (TURNED, "The head is turned 2 degrees to the person's left, and both faces are equal."),
        (TURNED, "The head is turned 2 degrees to the person's left, and the photo lies."),
        (TURNED, "The head is turned 2 degrees to the person's left, while the file was put together."),
        (TURNED, "The head is turned 2 degrees to the person's left, and the photo comes from the file in question."),
        (NO_TRACE, "No face was found in this photo."),
        (NO_TRACE, "No face is in the photo."),
        (NO_TRACE, "The face was not examined."),
        (NO_TRACE, "There is no evidence."),
        (NO_TRACE, "The face cannot be compared."),
        (NO_TRACE, "The photo was not found in the file, so the face is not a face."),
        (NOTHING, "Nothing was found in the file."),
    ],
    "the second number": [
        (QUALITY, "JPEG quality is 100."),
        (QUALITY, "JPEG quality is estimated at 100."),
        (BRIGHTNESS, "The face has a mean brightness of 255."),
        (BLUR, "The face has a blur of 112 px."),
        (REFERENCE, "The similarity to the reference is 1."),
        (REFERENCE, "The cosine similarity between the face and the reference is 1."),
        (MEAN, "The cosine similarity is 3."),
        (STRONGER, "AU12 (lip corner puller) is 3 stronger."),
        (ORIENTATION, "EXIF orientation is 8."),
    ],
    "a limit left out": [
        (XMP, "The photo was made by a trained generator."),
        (XMP, "The face was made by a trained generator."),
        (CREDENTIALS, "The photo was taken by a digital camera."),
        (NAMED, "The photo is by an image generator."),
        (NAMED, "The file is of an image generator."),
        (NAMED, "The Content Credentials are an image generator."),
        (NOSE, "There are alterations over the nose."),
        (NOSE, "The map has alterations over the nose."),
        (NOSE, "The alterations lie over the nose."),
        (SPREAD, "There are alterations over the nose."),
        (CLIPPED, "The face is clipped to white."),
        (CLIPPED, "The face is clipped to black or white."),
        (NOTHING, "The picture follows in the file."),
        (NOTHING, "A file follows the picture in the file."),
        (WHOLE, "The whole photo was resized."),
        (BYTES, "Tools hide undeclared bytes."),
        (BYTES, "Undeclared data hide in the picture."),
        (SAVED, "The file was last saved 90 s after capture."),
        (TAKEN, "The photo was taken on 3 May 2020."),
        (TAKEN, "The evidence shows that the photo was taken on 3 May 2020."),
    ],
}

TRUE = [
    (BARE, "The surroundings of the face do not show it."),
    (BARE, "With a peak of 3.0, the surroundings of the face do not show it."),
    (WHOLE, "The surroundings also show it, with a peak of 18.0."),
    (WHOLE, "As if the whole photo was resized, the surroundings of the face also show it."),
    (OWN, "The face shows a JPEG saving of about quality 80."),
    (OWN, "In the photo, the face shows a JPEG saving of about quality 80 that its surroundings do not show."),
    (NO_TRACE, "There is no trace of an earlier JPEG saving around the face."),
    (QUALITY, "JPEG quality is estimated at 92."),
    (QUALITY, "The JPEG quality is 92 of 100."),
    (BRIGHTNESS, "The face has a mean brightness of 165."),
    (BRIGHTNESS, "The mean brightness of the face is 165 of 255."),
    (BLUR, "The face has a blur of 1.9 px."),
    (BLUR, "The face has a blur of 1.9 px at a crop of 112 px."),
    (BLUR, "Above 5.0 px the face cannot be examined."),
    (REFERENCE, "The cosine similarity to the reference is 0.87."),
    (REFERENCE, "The cosine similarity between the face and reference 1 is 0.871."),
    (MEAN, "The similarity to the references is 0.71."),
    (MEAN, "The cosine similarity to the mean of three reference photos is 0.713."),
    (STRONGER, "AU12 is stronger than in the mean of 3 reference photos, where 0.20 counts as a change."),
    (ORIENTATION, "EXIF orientation is 6."),
    (AGREE, "The references agree with one another."),
    (AGREE, "The references agree with each other."),
    (AGREE, "The 3 references agree with one another."),
    (XMP, "The XMP data declare the source trainedAlgorithmicMedia."),
    (XMP, "The XMP data declare a source made by a trained generator."),
    (CREDENTIALS, "The Content Credentials are not trusted."),
    (CREDENTIALS, "The Content Credentials declare the source digitalCapture, taken by a digital camera."),
    (NAMED, "The Content Credentials claim names an image generator."),
    (NAMED, "The Content Credentials can be forged."),
    (NOSE, "Over the nose, the map of alterations has a mean of 0.02."),
    (CLIPPED, "Of the face, 0 % is clipped to black or white."),
    (NOTHING, "In the file, nothing follows the picture."),
    (BYTES, "123 undeclared bytes follow the picture."),
    (BYTES, "Undeclared bytes follow the picture."),
    (BYTES, "Phones append data, and so do tools that hide it."),
    (SAVED, "EXIF says that the file was last saved 90 s after capture."),
    (TAKEN, "EXIF says that the photo was taken on 3 May 2020."),
    (PREVIEW, "Small edits do not show."),
]


def supported(text: str, ids: str, brief: Brief) -> bool:
    return grounding.why_unsupported(Claim(text, tuple(ids.split()), "observations"), brief) is None


@pytest.mark.parametrize(("finding", "text"), [case for cases in FALSE.values() for case in cases])
def test_nothing_is_said_without_what_limits_it(finding: str, text: str) -> None:
    assert not supported(text, IDS[finding], MEASURED)


@pytest.mark.parametrize(("finding", "text"), [*TRUE, *((found, found) for found in IDS)])
def test_a_restatement_is_supported(finding: str, text: str) -> None:
    assert supported(text, IDS[finding], MEASURED)


@pytest.mark.parametrize("text", ["the face was put into this photo", "both faces are equal", "the photo lies"])
def test_glue_adds_nothing_to_the_verdict(text: str) -> None:
    assert supported("The verdict is the person.", "e4", compared())
    assert not supported(f"The verdict is the person, and {text}.", "e4", compared())


@pytest.mark.parametrize(
    "text",
    [
        "The face is the person, with a probability of 40 %.",
        "The photo shows the person with a probability of 40 %.",
        "With a probability of 40 %, the photo shows the person.",
        "The photo is a forgery of the person, with a probability of 35 %.",
        "The probability of the person shows the person with 40 %.",
    ],
)
def test_a_label_that_is_not_the_verdict_gets_a_probability_and_no_more(text: str) -> None:
    assert not supported(text, "e4", ambiguous())


@pytest.mark.parametrize(
    "text", ["The probability of the person is 40 %.", "The probability that it is the person is 0.40."]
)
def test_the_probability_of_any_label_may_be_said(text: str) -> None:
    assert supported(text, "e4", ambiguous())


def test_a_number_of_evidence_read_from_a_record_is_the_value_too() -> None:
    """A record keeps no numbers beside the value."""
    brief = replace(MEASURED, evidence=tuple(replace(found, numbers=()) for found in FINDINGS))
    assert all(supported(found.finding, found.id, brief) for found in FINDINGS)
    assert not supported("JPEG quality is 100.", IDS[QUALITY], brief)
    assert not supported("The similarity to the reference is 1.", IDS[REFERENCE], brief)


def test_a_negation_at_the_end_denies_its_own_clause_only() -> None:
    (part,) = segments("the face shows a saving that its surroundings do not show")
    assert [(token.text, token.denied) for token in part.tokens] == [("sav", False), ("surrounding", True)]
