"""The steps of a turn; those in which a model takes part are in ``thinking.py``."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from ...errors import UnknownPerson
from ..record import Record
from ..verdict import Brief, Claim
from . import answers, further, intents, records, replies, thinking
from .intents import Intent
from .state import Context, Json, Talk

_OFFERED_AFTER = ("why", "verdict", "would_change")
_OFFER = "A reference photo of the person would help: give one, or say no."
_WANTED = "With what is it to be compared? Give a reference photo, or say no."
_GIVE = "Then give the photo, or say no."
_CONSENT = "Is the face to be compared with the enrolled person {name}? Say yes or no."


def understand(state: Talk, runtime: Runtime[Context]) -> dict[str, Any]:
    """What the question is after, and whether it is declined or something must be asked of a person first."""
    context, consented = runtime.context, state.get("consented", [])
    intent = _compared_instead(_as_before(intents.understand(state["question"]), state), state, context)
    fresh: Json = {
        "claims": [],
        "measured": [],
        "declined": None,
        "asks": None,
        "rounds": [],
        "calls": {},
        "written_by": "template",
        "offered": state.get("offered", False),
        "consented": consented,
    }
    code = _declined(intent, context)
    if code == "scope" and fresh["offered"] and replies.reply(state["question"]) is False:
        code = "no_reference"
    if code is None and intent.name is not None and intent.name != context.person and intent.name not in consented:
        fresh["asks"] = {"kind": "consent", "text": _CONSENT.format(name=intent.name)}
    elif code is None and _lacks_reference(intent, state, context):
        fresh["asks"] = {"kind": "reference", "text": _WANTED}
    return {**fresh, "intent": asdict(intent), "declined": code}


def _as_before(intent: Intent, state: Talk) -> Intent:
    """A question such as "and the nose?" asks of another part what was asked before."""
    before = state.get("intent", {}).get("kind")
    goes_on = re.match(r"\W*(?:and|what about|how about|now)\b", state["question"], re.IGNORECASE)
    if goes_on and intent.parts and intent.kind in ("part", "topic") and before in ("zoom", "part", "compare"):
        return replace(intent, kind=before)
    return intent


def _compared_instead(intent: Intent, state: Talk, context: Context) -> Intent:
    """A photo that is given is compared; who somebody is can be asked where there is somebody to compare with."""
    if state["photos"] and intent.kind != "sensitive":
        return replace(intent, kind="compare", name=intent.name if intent.kind == "compare" else None)
    if intent.kind == "identification" and (context.references or state["record"]["comparison"]):
        return Intent("compare")
    return intent


def _declined(intent: Intent, context: Context) -> str | None:
    """Why the question is declined, as a stable code; None if it is not."""
    if intent.kind == "sensitive":
        return "sensitive" if intent.attribute not in context.policy.perceived else None
    if intent.kind in ("identification", "other_face"):
        return intent.kind
    if intent.name is not None and intent.name != context.person:
        if not context.policy.enrolled_people:
            return "policy"
        try:
            context.people.person(intent.name)
        except UnknownPerson:
            return "unknown_person"
    return "scope" if intent.kind == "scope" and not thinking.writes(context) else None


def _lacks_reference(intent: Intent, state: Talk, context: Context) -> bool:
    compares = intent.kind == "compare" and intent.name is None and state["record"]["verdict"]["assessable"]
    return compares and not context.references and not state["record"]["comparison"]


def after_understanding(state: Talk) -> Literal["put", "compose", "measure"]:
    """To a person, to the refusal, or on."""
    return "put" if state["asks"] else "compose" if state["declined"] else "measure"


def put(state: Talk) -> dict[str, Any]:
    """Note what a person is asked; ``wait`` must not have noted anything yet when it is begun again."""
    return {"history": [_turn(state)]}


def wait(state: Talk, runtime: Runtime[Context]) -> Command[Literal["understand", "compose", "measure", "put"]]:
    """Wait for the person's reply, however long, and in whichever process; a new question stands for no.

    So does a yes with anything more than politeness after it, where consent is asked for.
    """
    assert state["asks"] is not None
    kind = state["asks"]["kind"]
    reply: Json = interrupt(state["asks"])
    said = _said(reply["question"])
    update: Json = {"question": reply["question"], "photos": reply["photos"], "asks": None}
    name = state["intent"]["name"]
    if kind == "consent" and replies.consents(reply["question"], name):
        agreed = {"photos": [*state["photos"], *reply["photos"]], "consented": [*state["consented"], name]}
        return Command(goto="measure", update={**update, **agreed})
    if kind != "consent" and reply["photos"]:
        return Command(goto="measure", update={**update, **_again(state, Intent("compare"))})
    if said and kind != "consent":
        again = {**_again(state, Intent("compare")), "asks": {"kind": "reference", "text": _GIVE}}
        return Command(goto="put", update={**update, **again})
    if said is None:
        return Command(goto="understand", update=update)
    code = "consent" if kind == "consent" else "no_reference"
    return Command(goto="compose", update={**update, **_again(state, Intent("compare")), "declined": code})


def _said(text: str) -> bool | None:
    """A plain yes or no; one that goes on with another question is none."""
    return replies.reply(text) if intents.understand(text).kind in ("scope", "compare") else None


def _again(state: Talk, intent: Intent) -> Json:
    """An answer begun anew, after one that ended with an offer."""
    return {"intent": asdict(intent), "claims": [], "measured": [], "rounds": [], "calls": {}, "written_by": "template"}


def measure(state: Talk, runtime: Runtime[Context]) -> dict[str, Any]:
    """Whatever the question needs and the examination has not measured."""
    context, intent = runtime.context, _intent(state)
    record = Record.model_validate(state["record"])
    record, new = further.measure(intent, state, record, context)
    return {"record": record.model_dump(mode="json", by_alias=True), "measured": new}


def _intent(state: Talk) -> Intent:
    held = state["intent"]
    return Intent(**{**held, "parts": tuple(held["parts"]), "cited": tuple(held["cited"])})


def compose(state: Talk, runtime: Runtime[Context]) -> dict[str, Any]:
    """The answer by the rules, where no model gave one; every sentence checked."""
    intent, code = _intent(state), state["declined"]
    claims = [_claim(claim) for claim in state["claims"]]
    if not claims and code is None:
        brief = records.brief_of(Record.model_validate(state["record"]), state["question"], intent.cited)
        code = _empty(intent, brief)
        if code is None:
            claims = list(answers.checked(answers.compose(intent, brief, state["measured"]), brief))
            code = None if claims else "nothing_missing" if intent.kind == "not_measured" else "scope"
    if not claims and code is not None:
        claims = [answers.declined(code, intent.attribute)]
    done = {**state, "claims": [asdict(claim) for claim in claims], "declined": code}
    asks = _offer(done, runtime.context) if code is None else None
    update = {"claims": done["claims"], "declined": code, "asks": asks, "offered": state["offered"] or asks is not None}
    return {**update, "history": [_turn({**done, "asks": asks})]}


def _empty(intent: Intent, brief: Brief) -> str | None:
    """Why there is nothing to compose; None where there is."""
    if intent.kind == "sensitive" and not answers.perceived(intent, brief):
        return "not_measured"
    if intent.kind == "scope":
        return "scope"
    unknown = intent.kind == "cited" and not {item.id for item in brief.evidence} & {*intent.cited}
    return "unknown_evidence" if unknown else None


def _claim(held: Json) -> Claim:
    return Claim(**{**held, "evidence": tuple(held["evidence"])})


def _offer(state: Json, context: Context) -> Json | None:
    """A person is asked once for a reference photo where the verdict is inconclusive for want of evidence."""
    verdict, kind = state["record"]["verdict"], state["intent"]["kind"]
    wanted = verdict["abstained"] and verdict["assessable"] and kind in _OFFERED_AFTER and not state["offered"]
    compared = context.references or state["record"]["comparison"]
    return {"kind": "reference", "text": _OFFER} if wanted and not compared else None


def _turn(state: Any) -> Json:
    asks = state["asks"]
    return {
        "question": state["question"],
        "claims": state["claims"],
        "measured": state["measured"],
        "declined": state["declined"],
        "asks": asks["text"] if asks else None,
        "written_by": state["written_by"],
        "calls": state["calls"],
    }
