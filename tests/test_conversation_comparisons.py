"""Comparisons one after another in a conversation: each is told and weighed by itself, and only after a plain yes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from langchain_core.messages import AIMessage

from facewitness.agent import fusion, grounding
from facewitness.agent.conversation import Answer, Conversation, records
from facewitness.agent.conversation.replies import consents
from facewitness.agent.conversation.standing import last_comparison, last_failed, standing
from facewitness.agent.conversation.state import Limits
from facewitness.agent.examine import Examination, examine_all
from facewitness.agent.people import PeopleStore, Template
from facewitness.agent.policy import Policy
from facewitness.agent.record import Record
from facewitness.tools import identity, reference_comparison, weights
from facewitness.tools.evidence import Evidence
from facewitness.tools.face import FaceView, Reference
from facewitness.tools.image import load
from facewitness.tools.portrait import only_face

from .test_conversation import cited, png, texts
from .test_conversation_model import call, caller, replies

LIMITS = Limits(tool_seconds=60)


@pytest.fixture(scope="module")
def examination(astronaut: Path) -> Examination:
    return examine_all(astronaut, model="none", all_faces=False, tool_seconds=30)


@pytest.fixture(scope="module")
def second(astronaut: Path) -> bytes:
    """Another photo of the same person: the first one, darker."""
    return png((load(astronaut).rgb * 0.8).astype(np.uint8))


@pytest.fixture(scope="module")
def view(second: bytes) -> FaceView:
    return only_face(load(second))


@pytest.fixture
def people(view: FaceView, examination: Examination, tmp_path: Path) -> PeopleStore:
    """Ada is in the photo, Bob is somebody else; of two more no template can be compared with it."""
    store, card = PeopleStore(tmp_path / "home"), weights.card("sface")
    stranger = np.random.default_rng(1).normal(size=128).astype(np.float32)
    for name, template in (
        ("Ada Berg", Template(view.feature, "ad" * 32, card)),
        ("Bob Berg", Template(stranger, "b0" * 32, card)),
        ("Old Weights", Template(view.feature, "cd" * 32, replace(card, sha256="0" * 64))),
        ("Cara Holm", Template(view.feature, examination.photo.sha256, card)),
    ):
        store.enroll(name, [template])
    return store


def talk_with(examination: Examination, people: PeopleStore, **more: object) -> Conversation:
    options = {"model": "none", "policy": Policy(), "limits": LIMITS, **more}
    return Conversation(examination, people=people, **options)  # type: ignore[arg-type]


@pytest.fixture
def talk(examination: Examination, people: PeopleStore) -> Conversation:
    return talk_with(examination, people)


def compared(talk: Conversation, name: str) -> Answer:
    """The answer to a comparison with somebody, after consent."""
    answer = talk.ask(f"Compare it with {name}")
    return talk.ask("Yes, please.") if answer.asks else answer


def similarity(answer: Answer) -> object:
    """The value that the answer cites."""
    held = {item.id: item for item in answer.record.evidence}
    shown = [held[id_] for claim in answer.claims for id_ in claim.evidence]
    return next(item.value for item in shown if item.measure == "identity.similarity")


# --- one person after another


def test_a_repeated_comparison_is_not_answered_with_another_person_s_verdict(talk: Conversation) -> None:
    ada, bob = compared(talk, "Ada Berg"), compared(talk, "Bob Berg")
    assert (ada.record.verdict.label, bob.record.verdict.label) == ("the person", "someone else")
    again = compared(talk, "Ada Berg")
    assert texts(again) == texts(ada) and similarity(again) == similarity(ada) != similarity(bob)
    assert again.record.verdict.probabilities == ada.record.verdict.probabilities
    assert {*again.record.verdict.deciding} & {*again.measured}
    assert "someone else" not in again.record.explanation.summary
    assert compared(talk, "Ada Berg").measured == (), "nothing came between"


def test_a_person_who_is_named_is_compared_with_alone(
    examination: Examination, people: PeopleStore, second: bytes
) -> None:
    talk = talk_with(examination, people, references=[second])
    bob = compared(talk, "Bob Berg")
    face = only_face(examination.photo).feature
    template = people.templates("Bob Berg")[0].feature
    assert similarity(bob) == pytest.approx(identity.similarity(face, template), abs=1e-3)
    assert "Cosine similarity to the reference photo is" in texts(bob)
    comparison = bob.record.comparison
    assert comparison is not None and (comparison.kind, comparison.references) == ("enrolled person", 1)
    assert bob.record.verdict.label == "someone else"
    assert talk.ask("Is it the same person?").record.verdict.label == "someone else", "of the last comparison"
    photo = talk.ask("And how similar is it to the reference photo?")
    assert photo.measured and photo.record.verdict.label == "the person"
    assert photo.record.comparison is not None and photo.record.comparison.kind == "photos"
    assert "Only stored templates" not in texts(photo)
    assert talk.ask("And how similar is it to the reference photo?").measured == ()


def test_a_photo_given_with_a_name_is_compared_too(
    examination: Examination, people: PeopleStore, second: bytes
) -> None:
    talk = talk_with(examination, people)
    assert talk.ask("Compare it with Ada Berg", photos=[second]).asks
    both = talk.ask("Yes.").record.comparison
    assert both is not None and (both.kind, both.references) == ("photos and enrolled person", 2)


def test_evidence_of_earlier_references_decides_no_more(examination: Examination, view: FaceView) -> None:
    face = only_face(examination.photo)
    stranger = Reference(np.random.default_rng(1).normal(size=128).astype(np.float32))
    known = Reference(view.feature, view)
    record = measured(examination.records[0], face, [known, stranger])
    assert [reason.code for reason in record.verdict.reasons] == ["identity.references_disagree"]
    look = Evidence("sight.reference", "sight", "A look.", 0.01, probability=0.01)
    record, _ = records.extended(record, [look])
    record = measured(record, face, [known])
    assert record.comparison is not None and record.comparison.references == 1
    assert record.verdict.label == "the person"
    assert "disagree" not in record.explanation.summary
    held = [item.measure for item in standing(record.evidence)]
    assert held.count("reference_comparison.face") == held.count("identity.similarity") == 1
    assert not {"sight.reference", "identity.references_agree", "identity.reference.2"} & {*held}
    record = measured(record, face, [stranger])
    alone = [item for item in records.evidence_of(record) if item.id in {i.id for i in standing(record.evidence)}]
    assert "reference_comparison.face" not in {item.measure for item in alone}
    assert records.decision_of(record) == fusion.decide(tuple(alone), with_references=True)


def measured(record: Record, face: FaceView, references: list[Reference]) -> Record:
    found = identity.TOOL.measure(face, references)
    if any(reference.view for reference in references):
        found = [*found, *reference_comparison.TOOL.measure(face, references)]
    return records.extended(record, found, references)[0]


def test_nothing_of_an_earlier_comparison_is_told(examination: Examination, people: PeopleStore, second: bytes) -> None:
    talk = talk_with(examination, people)
    photo = talk.ask("compare", photos=[second])
    assert "every part of the face is as in the reference photo" in texts(photo)
    bob = compared(talk, "Bob Berg")
    assert "every part of the face" not in texts(bob)
    assert "Only stored templates were given, so the parts of the face were not compared." in texts(bob)
    earlier = next(item for item in bob.record.evidence if item.measure == "reference_comparison.face")
    assert texts(talk.ask(f"What is {earlier.id}?")) == earlier.finding, "it is kept"


def test_what_would_change_an_earlier_verdict_is_told_no_more(talk: Conversation) -> None:
    before = texts(talk.ask("What would change your mind?"))
    assert "If a reference photo were given" in before
    compared(talk, "Bob Berg")
    for _ in range(2):
        after = texts(talk.ask("What would change your mind?"))
        assert "If the cosine similarity" in after and "If a reference photo were given" not in after


# --- a comparison that fails


@pytest.mark.parametrize(
    ("name", "why"),
    [("Old Weights", "this person was enrolled with other weights"), ("Cara Holm", "from the examined photo only")],
)
def test_a_person_who_cannot_be_compared_with_is_answered_with_the_reason(
    talk: Conversation, name: str, why: str
) -> None:
    for earlier in (None, "Ada Berg"):
        before = compared(talk, earlier).record if earlier else talk.record
        failed = compared(talk, name)
        assert why in texts(failed) and "The verdict is" not in texts(failed) and failed.declined is None
        assert set(cited(failed)) <= {"identity", "reference_comparison"}
        assert failed.record.verdict == before.verdict and failed.record.comparison == before.comparison
        brief = records.brief_of(failed.record)
        assert all(grounding.why_unsupported(claim, brief) is None for claim in failed.claims)
        again = talk.ask(f"Compare it with {name}")
        assert (again.asks, again.measured, texts(again)) == (None, (), texts(failed))
    assert why not in texts(compared(talk, "Ada Berg"))
    assert compared(talk, "Ada Berg").record.verdict.label == "the person"


def test_a_person_forgotten_before_the_consent_is_not_named(talk: Conversation, people: PeopleStore) -> None:
    assert talk.ask("Compare it with Bob Berg").asks
    people.forget("Bob Berg")
    answer = talk.ask("Yes")
    assert "Nobody of that name is enrolled" in texts(answer).replace("nobody", "Nobody")
    assert "Bob" not in answer.record.to_json()


def test_a_failed_comparison_takes_no_one_s_place() -> None:
    def item(number: int, measure: str, status: str = "ok") -> Evidence:
        return Evidence(measure, measure.partition(".")[0], "", 0.5, status=status, id=f"e{number}")  # type: ignore[arg-type]

    evidence = [
        item(1, "identity.similarity"),
        item(2, "sight.reference"),
        item(3, "counterfactual.none"),
        item(4, "identity.similarity"),
        item(5, "counterfactual.none"),
        item(6, "identity", "failed"),
        item(7, "reference_comparison", "failed"),
        item(8, "identity", "not_measurable"),
        item(9, "quality.blur"),
    ]
    assert [held.id for held in standing(evidence)] == ["e4", "e5", "e8", "e9"]
    assert [held.id for held in last_comparison(evidence)] == ["e8"]
    assert last_failed(evidence) and not last_failed(evidence[:4]) and not last_failed([])


# --- a model that calls tools


def test_a_model_that_compares_gets_the_person_who_was_asked_about(
    examination: Examination, people: PeopleStore, second: bytes
) -> None:
    model = caller(call(("compare", {"region": "face"})), lambda _: AIMessage("[]"))
    talk = talk_with(examination, people, references=[second], model=model)
    bob = compared(talk, "Bob Berg")
    given = json.loads(replies(model)[0])
    told = [item["finding"] for item in given if "Cosine similarity to the reference photo" in item["finding"]]
    assert told and told[0] in texts(bob)
    assert bob.record.verdict.label == "someone else"


# --- consent


@pytest.mark.parametrize(
    "reply",
    [
        "Yes",
        "yes.",
        "y",
        "OK, please do",
        "Yes, go ahead!",
        "Sure, thanks.",
        "I do agree.",
        "Yes, please compare it with Ada Berg",
        "Oh yes, that's fine",
    ],
)
def test_a_plain_yes_is_consent(reply: str) -> None:
    assert consents(reply, "Ada Berg")


@pytest.mark.parametrize(
    "reply",
    [
        "Ok, but do not compare the face with her",
        "Sure, if she had agreed, but she has not",
        "Okay, but never do it",
        "y tho",
        "Yes? No way",
        "Yes?",
        "OK whatever, rather not",
        "I do agree that this is a bad idea",
        "I agree to nothing",
        "yes \U0001f44e",
    ],
)
def test_anything_more_than_a_yes_is_no_consent(talk: Conversation, reply: str) -> None:
    talk.ask("Compare it with Ada Berg")
    answer = talk.ask(reply)
    assert "identity" not in {item.tool for item in answer.record.evidence}
    assert (answer.record.comparison, answer.measured) == (None, ())
    assert talk.ask("Compare it with Ada Berg").asks, "and none for later"


def test_a_yes_to_somebody_else_is_no_consent() -> None:
    assert not consents("Yes, compare it with Bob Berg", "Ada Berg")
    assert not consents("", "Ada Berg") and not consents("please", "Ada Berg")
