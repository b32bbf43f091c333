"""Follow-up questions about an examination: real photo, real tools, no language model."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facewitness.agent import fusion, grounding, policy
from facewitness.agent.conversation import Answer, Conversation, records
from facewitness.agent.conversation.counterfactual import TOOL as COUNTERFACTUAL
from facewitness.agent.conversation.intents import Kind, understand
from facewitness.agent.conversation.replies import reply
from facewitness.agent.conversation.state import Limits
from facewitness.agent.examine import Examination, examine_all
from facewitness.agent.people.person import Template
from facewitness.agent.people.store import PeopleStore
from facewitness.agent.policy import ATTRIBUTES, Policy
from facewitness.agent.record import Record
from facewitness.errors import InvalidOption, InvalidReference
from facewitness.tools import weights
from facewitness.tools.evidence import Evidence
from facewitness.tools.image import load
from facewitness.tools.portrait import only_face
from facewitness.ui.cli import app

from . import conversation_questions as questions
from .chat_server import ChatServer

KINDS: dict[str, Kind] = {"why_verdict": "why", "why_part": "part"}
LISTS = (questions.SEEN, questions.SEEN_LATER, questions.SEEN_LAST, questions.HELD_OUT)
EVERY = [question for asked in LISTS for group in asked.values() for question in group]


def png(rgb: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def examination(astronaut: Path) -> Examination:
    return examine_all(astronaut, model="none", all_faces=False, tool_seconds=30)  # on a busy machine too


@pytest.fixture(scope="module")
def second(astronaut: Path) -> bytes:
    """Another photo of the same person: the first one, darker."""
    return png((load(astronaut).rgb * 0.8).astype(np.uint8))


@pytest.fixture
def talk(examination: Examination) -> Conversation:
    return Conversation(examination, model="none", policy=Policy(), limits=Limits(tool_seconds=60))


def texts(answer: Answer) -> str:
    return " ".join(claim.text for claim in answer.claims)


def cited(answer: Answer) -> list[str]:
    """Measures of the evidence that an answer cites, in order."""
    by_id = {item.id: item.measure for item in answer.record.evidence}
    return [by_id[id_] for claim in answer.claims for id_ in claim.evidence]


# --- what a question is after


def recognised(asked: dict[str, tuple[str, ...]]) -> tuple[int, list[tuple[str, str, str]]]:
    wrong = []
    for name, group in asked.items():
        for question in group:
            kind = understand(question).kind
            if kind != KINDS.get(name, name) and not (name == "topic" and kind == "faces"):
                wrong.append((name, kind, question))
    return sum(map(len, asked.values())) - len(wrong), wrong


def test_questions_that_the_rules_were_made_with_are_recognised() -> None:
    for asked in (questions.SEEN, questions.SEEN_LATER, questions.SEEN_LAST):
        found, wrong = recognised(asked)
        assert found >= 0.96 * sum(map(len, asked.values())), wrong


def test_of_questions_held_out_as_many_are_recognised_as_the_design_says() -> None:
    found, wrong = recognised(questions.HELD_OUT)
    assert f"{found} of {sum(map(len, questions.HELD_OUT.values()))}" == "50 of 55", wrong


@pytest.mark.parametrize(
    ("question", "attribute"),
    [
        (question, None)
        for asked in LISTS
        for question in asked["sensitive"]
        if question != "would you date her"  # taken for a question of the file; nothing is inferred
    ]
    + [("How old is she?", "age"), ("Is he gay?", "sexual orientation"), ("is she ill", "health")],
)
def test_what_must_not_be_inferred_is_recognised(question: str, attribute: str | None) -> None:
    intent = understand(question)
    assert intent.kind == "sensitive"
    assert intent.attribute in ATTRIBUTES
    assert attribute in (None, intent.attribute)


@pytest.mark.parametrize(
    "question",
    [
        "How old is this photo?",
        "Is the picture black and white?",
        "Was the trace of resizing found?",
        "Where does the file come from?",
        "Is the photo over 50 % noise?",
        "Is the head straight?",
    ],
)
def test_questions_of_the_photo_are_not_taken_for_questions_of_the_person(question: str) -> None:
    assert understand(question).kind not in ("sensitive", "identification")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (
            "compare",
            "Is it her?|is this him|Is that them?|Isn't it him?|Is it still her in the photo?|Could it be him?|"
            "Is it the person?|Is he who he says he is?|Is this who it claims to be?|Are they the same?|"
            "Is it the one it is supposed to be?|Is it him or someone else?|Is it someone else?|Is this another man?",
        ),
        (
            "size",
            "How big is the face?|How large is it?|What is the size of the face in pixels?|How many pixels wide is the "
            "face?|How big is the photo?|What is the resolution of the picture?|Is the face large enough?",
        ),
        (
            "other_face",
            "What about the other face?|And the second face?|Can you examine another face?|Look at the other person|Is "
            "face 2 real?|And f2?|What about the man behind her?|What about the people in the background?",
        ),
        ("faces", "Are there other faces in the photo?|How many faces are there?"),
        # What the same words are not taken for.
        ("part", "Is it her nose that was altered?"),
        ("verdict", "Is it her real face?|How many pixels were altered?|How big is the chance that it is fake?"),
        ("identification", "Who is it?|Who is she?"),
    ],
)
def test_is_it_her_how_big_and_another_face_are_recognised(kind: Kind, asked: str) -> None:
    assert {question: understand(question).kind for question in asked.split("|")} == dict.fromkeys(
        asked.split("|"), kind
    )


def test_parts_names_and_scales_are_read() -> None:
    assert understand("why do you think the mouth was altered?").parts == ("mouth",)
    assert understand("look closer at her left eye").parts == ("left_eye",)
    assert understand("zoom in on the eyes").parts == ("left_eye", "right_eye")
    assert understand("Compare it with Anna Berg.").name == "Anna Berg"
    assert understand("please check it against Anna Berg please").name == "Anna Berg"
    assert understand("Compare it with this second photo.").name is None
    assert understand("run the detector at 150 %").scale == 1.5
    assert understand("What do e17 and e21 say?").cited == ("e17", "e21")
    assert [reply(text) for text in ("Yes.", "no thanks", "Why?")] == [True, False, None]


# --- answers


def test_every_answer_cites_its_evidence_and_passes_the_check(examination: Examination) -> None:
    talk = Conversation(examination, model="none", policy=Policy())
    kinds: Counter[str] = Counter()
    for question in EVERY:
        answer = talk.ask(question)
        brief = records.brief_of(answer.record)
        kinds[answer.declined or "answered"] += 1
        assert answer.claims or answer.asks, question
        assert len(answer.claims) <= 7, question
        for claim in answer.claims:
            assert bool(claim.evidence) != bool(answer.declined), (question, claim)
            assert claim.supported, (question, claim)
            if claim.evidence:
                assert grounding.why_unsupported(claim, brief) is None, (question, claim)
        assert answer.record.verdict == examination.records[0].verdict, "words change no verdict"
    ids = [item.id for item in talk.record.evidence]
    assert ids == [f"e{number}" for number in range(1, len(ids) + 1)]
    said = Counter((item.measure, item.finding) for item in talk.record.evidence)
    assert max(said.values()) == 1, "nothing was measured twice"
    assert kinds["answered"] > 0.5 * len(EVERY)
    assert len(talk.history) == len(EVERY)
    assert Record.model_validate_json(talk.record.to_json()) == talk.record


def test_what_a_question_takes_for_granted_is_put_right(talk: Conversation) -> None:
    answer = talk.ask("Why do you think the mouth was altered?")
    assert answer.claims[0].text == "The verdict is inconclusive."
    assert "over the mouth" in answer.claims[1].text
    assert cited(answer)[3] == "manipulation.mouth"
    assert answer.measured == ()


def test_where_the_verdict_is_forged_the_reasons_come_first(examination: Examination) -> None:
    talk = Conversation(forged(examination), model="none")
    assert talk.record.verdict.label == "manipulated"
    why = talk.ask("Why do you say it is fake?")
    assert why.claims[0].text.startswith("The verdict is manipulated, with a probability of 9")
    assert "traces that forged photos leave" in texts(why)
    assert "manipulation.face" in cited(why)
    assert why.asks is None, "a reference is wanted where the verdict is inconclusive"
    part = talk.ask("Why do you think the mouth was altered?")
    assert "over the mouth" in part.claims[0].text


def forged(examination: Examination) -> Examination:
    """The same record with a detector that found traces; fusion makes the verdict of it."""
    record = examination.records[0]
    face = next(item for item in records.evidence_of(record) if item.measure == "manipulation.face")
    finding = "The probability that the face was altered is 0.99 at even odds."
    changed, _ = records.extended(record, [replace(face, finding=finding, value=0.99, probability=0.99)])
    return replace(examination, records=(changed,))


def test_a_record_gives_back_the_evidence_that_fusion_decides_on(examination: Examination, second: bytes) -> None:
    for found in (examination, examine_all(second, examination.photo, model="none")):
        record = found.records[0]
        decided = fusion.decide(records.evidence_of(record), with_references=record.comparison is not None)
        assert decided == records.decision_of(record)


@pytest.mark.parametrize("referenced", [False, True])
def test_what_would_change_the_verdict_does_when_tried(
    examination: Examination, second: bytes, referenced: bool
) -> None:
    talk = Conversation(examination, model="none")
    if referenced:
        assert talk.ask("compare", photos=[second]).record.verdict.label == "the person"
    before = talk.record
    answer = talk.ask("What would change your mind?")
    new = [item for item in answer.record.evidence if item.id in answer.measured]
    assert new and all(item.tool == COUNTERFACTUAL and item.model == "fusion" for item in new)
    tried = 0
    for item in new:
        measure, _, side = item.measure.removeprefix(f"{COUNTERFACTUAL}.").rpartition(".")
        if measure == "reference_photo":
            continue
        label = re.search(r"would be ([a-z ]+)\.", item.finding)
        assert label is not None and isinstance(item.value, float)
        step = 0.01 if side == "least" else -0.01
        assert decided(before, measure, item.value) == label[1]
        assert decided(before, measure, item.value - step) == before.verdict.label, "no nearer value does"
        tried += 1
    assert tried >= 3
    assert answer.record.verdict == before.verdict
    assert talk.ask("What would change your mind?").measured == (), "computed once"


def decided(record: Record, measure: str, value: float) -> str:
    evidence = records.evidence_of(record)
    probability = None if measure == "identity.similarity" else value
    other = tuple(
        replace(item, value=value, probability=probability) if item.measure == measure else item for item in evidence
    )
    return fusion.decide(other, with_references=record.comparison is not None).label


def test_with_a_reference_photo_the_verdict_would_be_what_is_said(talk: Conversation) -> None:
    said = texts(talk.ask("What would change your mind?"))
    found = re.search(r"every part of the face were as in it, and the cosine similarity were at least (0\.\d+)", said)
    assert found is not None and "the verdict would be the person" in said
    evidence = records.evidence_of(talk.record)
    alike = Evidence("reference_comparison.face", "reference_comparison", "", 0.9, probability=0.9)
    for cosine, label in ((float(found[1]), "the person"), (float(found[1]) - 0.01, "inconclusive")):
        similar = Evidence("identity.similarity", "identity", "", cosine)
        assert fusion.decide((*evidence, alike, similar), with_references=True).label == label


def test_a_closer_look_is_evidence_with_a_model_and_an_outline(talk: Conversation) -> None:
    answer = talk.ask("Look closer at the mouth.")
    new = [item for item in answer.record.evidence if item.id in answer.measured]
    assert [item.measure for item in new] == ["zoom.mouth.map", "zoom.mouth.blur", "zoom.mouth.resizing"]
    assert [item.model for item in new[:2]] == ["forensics", "closer-look"]
    assert {model.name for model in answer.record.models} >= {"forensics", "closer-look"}
    assert answer.measured[0] == f"e{len(answer.record.evidence) - 2}"
    outline = answer.pictures[answer.measured[0]].outlines[0]
    (left, top), (right, bottom) = outline[0], outline[2]
    assert 190 < left < right < 280 and 120 < top < bottom < 190, "the mouth of the astronaut"
    assert talk.ask("look closer at the mouth again").measured == ()


def test_another_scale_is_shown_and_not_weighed(talk: Conversation) -> None:
    answer = talk.ask("Run the detectors again at half size.")
    assert len(answer.measured) == 3
    assert all("at 50 % of its size" in claim.text for claim in answer.claims[:3])
    assert all(item.probability is None for item in answer.record.evidence if item.id in answer.measured)
    small = talk.ask("run the detector at 10 %")
    assert "25 % up to 200 % only" in texts(small)


def test_the_measure_that_is_asked_for_comes_first(talk: Conversation) -> None:
    assert cited(talk.ask("Is the head turned?"))[0] == "head_pose.yaw"
    assert cited(talk.ask("Is the head tilted?"))[0] == "head_pose.roll"
    assert cited(talk.ask("How blurred is it?")) == ["quality.blur"]
    assert cited(talk.ask("When was it taken?"))[0] == "provenance.exif"
    assert cited(talk.ask("How many people are in the photo?")) == ["detection.faces"]
    assert cited(talk.ask("How big is the face?")) == ["quality.size"]
    assert cited(talk.ask("How big is the photo?")) == ["provenance.format"]
    assert cited(talk.ask("What is e17?")) == [talk.record.evidence[16].measure]


def test_and_the_nose_asks_what_was_asked_before(talk: Conversation) -> None:
    talk.ask("Look closer at the mouth")
    assert cited(talk.ask("And the nose?"))[0] == "zoom.nose.map"
    talk.ask("Why do you think the mouth was altered?")
    assert "manipulation.left_eye" in cited(talk.ask("What about the left eye?"))
    talk.ask("Is the head turned?")
    assert talk.ask("And the nose?").measured == ()


def test_the_parts_that_stand_out_are_named_in_order(talk: Conversation) -> None:
    answer = talk.ask("Which part looks most suspicious?")
    by_id = {item.id: item for item in answer.record.evidence}
    shown = [by_id[claim.evidence[0]] for claim in answer.claims[:3]]
    every = [item for item in by_id.values() if item.tool == "manipulation" and item.measure != "manipulation.face"]
    assert [item.value for item in shown] == sorted((item.value for item in every), reverse=True)[:3]
    assert cited(answer)[3] == "manipulation.face"


def test_the_detector_that_is_asked_about_comes_after_the_verdict(talk: Conversation) -> None:
    by_question = {"Is it AI generated?": "synthesis.face", "Was it photoshopped?": "manipulation.face"}
    for question, measure in by_question.items():
        answer = talk.ask(question)
        by_id = {item.id: item.measure for item in answer.record.evidence}
        assert by_id[answer.claims[1].evidence[0]] == measure, question


def test_the_time_that_the_file_states_is_told(astronaut: Path) -> None:
    photo = Image.open(astronaut)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:05:04 10:21:00"
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=95, exif=exif)
    talk = Conversation(examine_all(buffer.getvalue(), model="none", all_faces=False), model="none")
    first = talk.ask("When was it taken?").claims[0]
    assert first.text == "EXIF says that the photo was taken on 4 May 2019; anyone can write or change it."


def test_tools_that_the_plan_left_out_run_when_they_are_needed(astronaut: Path) -> None:
    narrow = examine_all(astronaut, model="none", all_faces=False, question="Was the metadata edited?")
    talk = Conversation(narrow, model="none")
    assert "expression" not in {item.tool for item in talk.record.evidence}
    answer = talk.ask("Is she smiling?")
    assert answer.measured
    assert {"action_units", "expression"} <= {item.tool for item in answer.record.evidence}
    assert cited(answer)[0] == "action_units.AU12"


def test_what_was_not_measured_is_listed_with_its_reasons(talk: Conversation) -> None:
    answer = talk.ask("What was not measured?")
    by_id = {item.id: item for item in answer.record.evidence}
    assert "ok" not in {by_id[id_].status for claim in answer.claims for id_ in claim.evidence}
    assert "No reference photo was given, so identity was not compared." in texts(answer)


# --- a second photo


def test_a_second_photo_gives_a_new_verdict_by_fusion(talk: Conversation, second: bytes) -> None:
    answer = talk.ask("Compare with this second photo.", photos=[second])
    record = answer.record
    assert record.verdict.label == "the person"
    assert record.comparison is not None and record.comparison.images[0].sha256 == load(second).sha256
    assert records.decision_of(record) == fusion.decide(records.evidence_of(record), with_references=True)
    assert answer.claims[0].text.startswith("The verdict is the person, with a probability of")
    assert record.verdict.deciding[0] in answer.measured
    assert "the person" in record.explanation.summary and record.explanation.why_template == records.ANEW
    assert all(claim.supported for claim in record.explanation.claims)
    assert record.id == talk.record.id
    assert Record.model_validate_json(record.to_json()) == record
    again = talk.ask("Is it the same person?")
    assert again.measured == () and "Cosine similarity to the reference photo" in texts(again)


def test_references_of_the_conversation_are_compared_when_asked(examination: Examination, second: bytes) -> None:
    talk = Conversation(examination, model="none", references=[second])
    assert talk.ask("who is this?").record.verdict.label == "the person", "compared, not identified"
    assert talk.ask("Is it her?").claims[0].text.startswith("The verdict is the person")


def test_whether_it_is_her_takes_a_photo_of_her(talk: Conversation) -> None:
    assert (talk.ask("Is it her?").asks or "").startswith("With what is it to be compared?")


def test_a_photo_that_cannot_be_compared_is_refused_and_leaves_no_turn(talk: Conversation, astronaut: Path) -> None:
    with pytest.raises(InvalidReference, match="the examined photo itself"):
        talk.ask("compare", photos=[astronaut])
    with pytest.raises(InvalidReference, match="No face was found"):
        talk.ask("compare", photos=[png(np.zeros((100, 100, 3), np.uint8))])
    with pytest.raises(InvalidOption, match="no question"):
        talk.ask(" \n")
    assert talk.history == ()


# --- what is declined


@pytest.mark.parametrize("question", ["Who is this?", "What's her name?", "Is this Taylor Swift?"])
def test_nobody_is_identified(talk: Conversation, question: str) -> None:
    answer = talk.ask(question)
    assert (answer.declined, answer.measured) == ("identification", ())
    assert len(texts(answer)) < 120 and not cited(answer)


def test_other_subjects_are_declined_and_said_what_can_be_asked(talk: Conversation) -> None:
    answer = talk.ask("Write me a poem about the sea.")
    assert answer.declined == "scope"
    assert "what was not measured" in texts(answer)


def test_of_another_face_nothing_is_said_but_how_to_choose_it(talk: Conversation) -> None:
    answer = talk.ask("What about the other face?")
    assert (answer.declined, cited(answer)) == ("other_face", [])
    assert texts(answer).startswith("Only one face of the photo was examined") and "--face 2" in texts(answer)


@pytest.mark.parametrize("question", ["How old is she?", "Is she pretty?", "What race is she?", "Is she a criminal?"])
def test_attributes_are_not_inferred(talk: Conversation, question: str) -> None:
    answer = talk.ask(question)
    assert (answer.declined, answer.measured) == ("sensitive", ())
    assert texts(answer).startswith("I do not infer ")


def test_an_allowed_attribute_is_told_only_where_a_tool_measured_it_as_perceived(examination: Examination) -> None:
    allowed = Policy(perceived=frozenset({"age"}))
    talk = Conversation(examination, model="none", policy=allowed)
    answer = talk.ask("How old is she?")
    assert answer.declined == "not_measured"
    assert texts(answer) == "Perceived age was not measured: no tool of this examination measures it."
    assert talk.ask("Is she ill?").declined == "sensitive"
    for finding, code in (("The perceived age is 34 years.", None), ("The age is 34 years.", "not_measured")):
        record, _ = records.extended(
            examination.records[0], [Evidence("attributes.age", "attributes", finding, 34, numbers=(34,))]
        )
        measured = replace(examination, records=(record,))
        told = Conversation(measured, model="none", policy=allowed).ask("How old is she?")
        assert told.declined == code
        assert (texts(told) == finding) == (code is None)
        assert Conversation(measured, model="none", policy=Policy()).ask("How old is she?").declined == "sensitive"


class Ages(ChatServer):
    """Says of everybody that the age begins with a 3, as the taught adapter would."""

    def choice(self) -> dict[str, Any]:
        words = [{"token": word, "logprob": 0.0, "bytes": None} for word in ("The", " person", " is", " between", " 3")]
        tops = [*([] for _ in words[1:]), [{**words[-1], "logprob": -0.1}]]
        content = [{**word, "top_logprobs": top} for word, top in zip(words, tops, strict=True)]
        message = {"role": "assistant", "content": "x"}
        return {"message": message, "finish_reason": "length", "logprobs": {"content": content}}


def test_an_allowed_attribute_is_asked_of_the_adapter_that_was_taught_it(examination: Examination) -> None:
    server, allowed = Ages(), Policy(perceived=frozenset({"age", "health"}))
    try:
        able = f"{server.address}#base?vision&attributes=faces"
        talk = Conversation(examination, model=able, policy=allowed)
        answer = talk.ask("How old is she?")
        assert cited(answer) == ["sight.age"] and "Perceived age" in texts(answer)
        assert "30 and 39 years old" in texts(answer)
        talk.ask("How old is she?")
        asked = [request["model"] for request in server.requests if request.get("logprobs")]
        assert asked == ["faces"], "measured once"
        assert talk.ask("Is she ill?").declined == "not_measured", "nothing was taught of it"
        unable = Conversation(examination, model=f"{server.address}#base?vision", policy=allowed)
        assert unable.ask("How old is she?").declined == "not_measured"
        assert Conversation(examination, model=able, policy=Policy()).ask("How old is she?").declined == "sensitive"
    finally:
        server.close()
    asked = [request["model"] for request in server.requests if request.get("logprobs")]
    assert asked == ["faces"], "and only where the policy allows it"


def test_a_policy_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('perceived = ["age", "gender"]\nenrolled_people = false\n')
    assert policy.load(file) == Policy(perceived=frozenset({"age", "gender"}), enrolled_people=False)
    monkeypatch.setenv("FACEWITNESS_POLICY", str(file))
    assert policy.load().perceived == {"age", "gender"}
    for wrong in ('perceived = ["shoe size"]', "allow_all = true", "perceived = [", "enrolled_people = 7"):
        file.write_text(wrong)
        with pytest.raises(InvalidOption, match="policy file"):
            policy.load()
    monkeypatch.setenv("FACEWITNESS_POLICY", str(tmp_path / "nothing.toml"))
    with pytest.raises(InvalidOption, match="cannot be read"):
        policy.load()
    monkeypatch.delenv("FACEWITNESS_POLICY")
    assert policy.load() == Policy()


def test_without_a_face_there_is_nothing_to_look_at_and_the_answers_say_so(second: bytes) -> None:
    blank = examine_all(png(np.full((200, 300, 3), 128, np.uint8)), model="none")
    talk = Conversation(blank, model="none")
    for question in ("Why?", "Look closer at the mouth", "Is the head turned?", "Is it the same person?"):
        answer = talk.ask(question)
        assert "No face was found" in texts(answer), question
        assert answer.asks is None
    assert not talk.ask("compare", photos=[second]).record.verdict.assessable
    assert cited(talk.ask("What does the metadata say?"))[0] == "provenance.exif"


# --- a person is asked


def test_a_reference_is_offered_once_where_the_verdict_is_inconclusive(talk: Conversation, second: bytes) -> None:
    answer = talk.ask("Why is it inconclusive?")
    assert (
        answer.claims and answer.asks == talk.asks == "A reference photo of the person would help: give one, or say no."
    )
    compared = talk.ask("", photos=[second])
    assert compared.record.verdict.label == "the person"
    assert talk.asks is None and compared.asks is None


def test_an_offer_can_be_refused_or_passed_over(examination: Examination) -> None:
    talk = Conversation(examination, model="none")
    assert talk.ask("Why is it inconclusive?").asks
    assert talk.ask("No, thanks.").declined == "no_reference"
    assert talk.ask("Why is it inconclusive?").asks is None, "asked once"
    other = Conversation(examination, model="none")
    assert other.ask("Is it fake?").asks
    answer = other.ask("Is the head turned?")
    assert cited(answer)[0] == "head_pose.yaw" and answer.asks is None


def test_a_comparison_without_a_photo_asks_for_one(talk: Conversation, second: bytes) -> None:
    answer = talk.ask("Does it match the second photo?")
    assert (answer.claims, answer.asks) == ((), talk.asks)
    assert "Give a reference photo" in (answer.asks or "")
    assert talk.ask("Yes.").asks == talk.asks == "Then give the photo, or say no."
    assert talk.ask("here it is", photos=[second]).record.verdict.label == "the person"


@pytest.fixture
def anna(second: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "home"))
    view = only_face(load(second))
    template = Template(view.feature, view.photo.sha256, weights.card("sface"))
    PeopleStore().enroll("Anna Berg", [template])
    return


@pytest.mark.usefixtures("anna")
def test_an_enrolled_person_is_compared_with_after_consent_only(examination: Examination) -> None:
    talk = Conversation(examination, model="none")
    asked = talk.ask("Compare it with Anna Berg")
    assert asked.asks == "Is the face to be compared with the enrolled person Anna Berg? Say yes or no."
    assert (asked.claims, asked.measured) == ((), ())
    refused = talk.ask("No.")
    assert (refused.declined, refused.measured) == ("consent", ())
    assert talk.ask("Compare it with Anna Berg").asks, "a refusal is no consent for later"
    agreed = talk.ask("Yes, go ahead.")
    assert agreed.record.verdict.label != "inconclusive" or "identity.similarity" in cited(agreed)
    assert agreed.record.comparison is not None and agreed.record.comparison.kind == "enrolled person"
    assert "Anna" not in agreed.record.to_json(), "the name stays out of the record"
    assert talk.ask("Compare it with Anna Berg").asks is None, "consent was given"


@pytest.mark.usefixtures("anna")
def test_a_question_in_the_place_of_consent_is_no_consent(examination: Examination) -> None:
    talk = Conversation(examination, model="none")
    talk.ask("Compare it with Anna Berg")
    answer = talk.ask("Yes, but why is the verdict inconclusive?")
    assert "identity" not in {item.tool for item in answer.record.evidence}
    assert "The detectors found" in texts(answer)


def test_the_command_answers_on_the_terminal_and_as_json(astronaut: Path, second: bytes, tmp_path: Path) -> None:
    reference = tmp_path / "second.png"
    reference.write_bytes(second)
    run = ["ask", str(astronaut), "Is the head turned?", "Who is this?", "--model", "none"]
    shown = CliRunner().invoke(app, run, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert "The head is turned 1 degree to the person's right. [e" in shown.stdout
    assert "I do not say who somebody is" in shown.stdout
    printed = CliRunner().invoke(app, [*run, "--json", "--reference", str(reference)], catch_exceptions=False)
    first, other = (json.loads(line) for line in printed.stdout.splitlines())
    assert first["claims"][0]["evidence"] and first["declined"] is None
    assert other["verdict"]["label"] == "the person"
    with pytest.raises(InvalidOption, match="--checkpoints"):
        CliRunner().invoke(app, [*run, "--thread", "t"], catch_exceptions=False)


def test_an_empty_question_is_refused_before_any_is_answered(tmp_path: Path) -> None:
    for asked, words in ((["Is it real?", " "], "Question 2 is empty"), ([""], "There is no question")):
        done = CliRunner().invoke(app, ["ask", str(tmp_path / "none.jpg"), *asked, "--model", "none"])
        assert isinstance(done.exception, InvalidOption) and words in str(done.exception)
        assert done.stdout == ""


@pytest.mark.usefixtures("anna")
def test_unknown_people_and_the_policy(examination: Examination) -> None:
    assert Conversation(examination, model="none").ask("Compare it with Bob Ross").declined == "unknown_person"
    strict = Conversation(examination, model="none", policy=Policy(enrolled_people=False))
    assert strict.ask("Compare it with Anna Berg").declined == "policy"
