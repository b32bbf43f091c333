"""What a language model adds to data sets: which cues it can see, and other words for what is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from facewitness.agent import grounding
from facewitness.agent.sight import Look, Looker
from facewitness.agent.verdict import Claim
from facewitness.errors import InvalidOption, ModelAnswerInvalid, ModelUnavailable
from facewitness.finetune.data import assess, cues, sight, teacher
from facewitness.finetune.data.phrasing import answer
from facewitness.finetune.data.sample import Sample
from facewitness.finetune.data.sight import Made
from facewitness.tools.evidence import Evidence
from facewitness.tools.face import Floats
from facewitness.tools.image import RGBImage


class Scripted(BaseChatModel):
    """Answers by a function of the messages."""

    reply: Callable[[list[BaseMessage]], str]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.reply(messages)))])


def made(is_forged: bool) -> Made:
    rgb = np.full((256, 256, 3), 120, np.uint8)
    mask = np.zeros((256, 256), np.float32)
    base = rgb.copy()
    if is_forged:
        mask[100:160, 100:160] = 1
        rgb[100:160, 100:160] = 200
    label = "manipulated" if is_forged else "authentic"
    return Made(rgb, base, mask, label, "x", ("a",), "frll")


class Sees:
    """A looker that sees colour; whatever else it is asked, it says ``otherwise``, or nothing to the point."""

    def __init__(self, otherwise: float | None) -> None:
        self.otherwise = otherwise

    def probabilities(self, look: Look, faces: Sequence[RGBImage], soft: Floats | None = None) -> dict[str, float]:
        (face,) = faces
        if "colour" in look.question:
            yes: float | None = 0.2 + float(face.std()) / 100  # never above a half
        else:
            yes = self.otherwise
        if yes is None:
            raise ModelAnswerInvalid("neither")
        return {"yes": yes, "no": 1 - yes}


def test_the_cue_that_a_model_sees_is_strong_and_the_others_are_not() -> None:
    ranks = assess.assess(cast("Looker", Sees(0.9)), [made(n % 2 == 0) for n in range(20)])
    assert [rank.cue for rank in ranks if rank.strong] == ["colour"]
    assert ranks[0].auc == 1.0
    assert {rank.auc for rank in ranks[1:]} == {0.5}


def test_an_unclear_answer_is_counted() -> None:
    pictures = [made(n % 2 == 0) for n in range(6)]
    _, *others = assess.assess(cast("Looker", Sees(None)), pictures)
    assert all((rank.unclear, rank.auc, rank.strong) == (6, 0.5, False) for rank in others)
    with pytest.raises(InvalidOption, match="both"):
        assess.assess(cast("Looker", Sees(0.9)), pictures[:1])


def test_a_model_that_sees_nothing_is_not_assessed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = ["assess", "--data", str(tmp_path), "--out", str(tmp_path / "cues.json"), "--model"]
    for spec in ("none", "http://127.0.0.1:9/v1#blind"):
        monkeypatch.setattr("sys.argv", [*given, spec])
        with pytest.raises(SystemExit, match="a model that sees"):
            assess.main()
    assert not list(tmp_path.iterdir())


def test_cues_are_measured_against_the_untouched_photo() -> None:
    assert cues.measured(made(False)) == dict.fromkeys(cues.CUES, False)
    shown = cues.measured(made(True))
    assert (shown["colour"], shown["edge"], shown["generator"]) == (True, True, False)
    plain = made(True)
    assert cues.measured(plain._replace(base=plain.rgb))["colour"] is False


def test_a_region_is_told_only_where_mask_and_pixels_agree() -> None:
    where = {
        "mouth": np.zeros((256, 256), bool),
        "nose": np.zeros((256, 256), bool),
        "eyes": np.zeros((256, 256), bool),
    }
    where["mouth"][100:160, 100:160] = True
    where["nose"][0:50, 0:50] = True
    where["eyes"][90:160, 40:112] = True
    forged = made(True)
    assert sight.altered(forged, where) == {"mouth": True, "nose": False, "eyes": None}
    assert sight.altered(forged._replace(base=forged.rgb), where)["mouth"] is None, "nobody sees what changed no pixel"


@pytest.fixture
def sample() -> Sample:
    evidence = (
        Evidence("sight.mouth", "sight", "The mouth shows an alteration.", "altered", id="e1"),
        Evidence("sight.nose", "sight", "The nose shows no alteration.", "untouched", id="e2"),
    )
    claims = (
        Claim("The mouth shows an alteration.", ("e1",), "observations"),
        Claim("The nose shows no alteration.", ("e2",), "observations"),
        Claim("The verdict is manipulated.", ("e1",), "conclusion"),
    )
    text = answer(claims, "plain", np.random.default_rng(0))
    fields = {"engine": "forgery", "split": "fit", "source": "frll", "people": ("a",), "images": (b"x",)}
    return Sample(
        **fields,
        question="?",
        prompt="<image>?",
        answer=text,
        mode="reason_first",
        form="plain",
        label="manipulated",
        claims=claims,
        evidence=evidence,
        given=(),
        deciding=("e1",),
    )


def test_a_teacher_rewords_what_stays_true(sample: Sample) -> None:
    def reply(messages: list[BaseMessage]) -> str:
        text = str(messages[-1].content).removeprefix("Finding: ")
        return f"In the photo, {text[0].lower()}{text[1:]}" if "mouth" in text else "The nose shows an alteration."

    found = teacher.of(sample, Scripted(reply=reply))
    assert [claim.text for claim in found.claims] == [
        "In the photo, the mouth shows an alteration.",
        "The nose shows no alteration.",
        "The verdict is manipulated.",
    ]
    assert "In the photo, the mouth shows an alteration [e1]." in found.answer
    assert all(grounding.why_unsupported(claim, found.brief()) is None for claim in found.claims)
    assert found == teacher.of(sample, Scripted(reply=reply))


def test_a_teacher_that_fails_or_is_no_server_is_refused(sample: Sample) -> None:
    def fails(messages: list[BaseMessage]) -> str:
        raise OSError("gone")

    with pytest.raises(ModelUnavailable, match="OSError"):
        teacher.of(sample, Scripted(reply=fails))
    for spec in ("none", "embedded"):
        with pytest.raises(InvalidOption, match="server"):
            next(teacher.reworded(iter([sample]), spec))
