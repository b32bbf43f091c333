"""The real vLLM on the CPU serves the embedded model, and everything that asks a server asks it.

Run: ``FACEWITNESS_VLLM_PYTHON=…/bin/python pytest -m vllm``, the interpreter of an environment with vLLM
(docs/serving.md). Takes some minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from jsonschema import Draft202012Validator
from PIL import Image, ImageEnhance

from facewitness.agent import chat_models, explain, looking
from facewitness.agent.examine import examine
from facewitness.agent.lookers import Embedded, Served
from facewitness.agent.served_adapters import ServedAdapters
from facewitness.agent.sight import EXPRESSION, FORGERY, PERCEIVED, REFERENCE
from facewitness.agent.verdict import SECTIONS
from facewitness.errors import ModelUnavailable
from facewitness.tools import weights
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView
from facewitness.tools.image import RGBImage, load

from .explanation_briefs import compared
from .vllm_server import MARKS, running

pytestmark = MARKS
CLOSE, CLOSE_OF_TWO = 5e-4, 2e-3
"""Probabilities of the model in process agree with those of transformers to 1e-5; vLLM's kernels differ by 2e-4 with
one picture and 7e-4 with two, whose prompts are twice as long."""
TOOL = {
    "type": "function",
    "function": {
        "name": "zoom",
        "description": "Look closer at a region of the face.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"region": {"enum": ["eyes", "nose", "mouth"]}},
            "required": ["region"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("transformers")
    with running("--live-adapters", "--", "--enable-auto-tool-choice", "--tool-call-parser", "hermes") as found:
        yield found


@pytest.fixture(scope="module")
def model(address: str) -> Any:
    return chat_models.open_model(f"{address}#embedded?vision&side=160&look=look")


@pytest.fixture(scope="module")
def faces() -> list[RGBImage]:
    """Twenty crops: the example photo turned, darkened, blurred, and in grain."""
    photo = load(Path(__file__).parents[1] / "examples" / "astronaut.jpg")
    face = Image.fromarray(looking.crop(FaceView(photo, detect(photo.rgb)[0])))
    rng = np.random.default_rng(0)
    found: list[RGBImage] = []
    for number in range(20):
        made = ImageEnhance.Brightness(face.rotate(3 * number - 30)).enhance(0.5 + 0.05 * number)
        made = made.resize((256 - 12 * number,) * 2).resize((256, 256))
        grain = rng.normal(0, number % 5 * 6, (256, 256, 3))
        found.append((np.asarray(made) + grain).clip(0, 255).astype(np.uint8))
    return found


def client(address: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=address, api_key="none", max_retries=0)


def test_base_and_adapter_are_served(address: str) -> None:
    assert ServedAdapters(address).names() == ["embedded", "look"]


def test_probabilities_are_those_of_the_model_in_process(model: Any, faces: list[RGBImage]) -> None:
    served, embedded = Served(model), Embedded()
    found, expected = (
        np.array([list(looker.probabilities(FORGERY, [face]).values()) for face in faces])
        for looker in (served, embedded)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE)
    assert np.ptp(expected[:, 0]) > 0.01  # the pictures do not all look alike to it
    pairs = [(faces[0], face) for face in faces[1:4]]
    for pair in pairs:
        one, other = (list(looker.probabilities(REFERENCE, pair).values()) for looker in (served, embedded))
        np.testing.assert_allclose(one, other, rtol=0, atol=CLOSE_OF_TWO)


def test_the_explanation_keeps_to_the_schema_and_is_streamed(model: Any) -> None:
    """The base was never taught this; the form is the server's doing."""
    brief, pieces = compared(), []
    claims = explain.write(brief, model, told=lambda *piece: pieces.append(piece))
    assert {claim.section for claim in claims} == set(SECTIONS)
    assert {id_ for claim in claims for id_ in claim.evidence} <= {item.id for item in brief.evidence}
    assert len(pieces) > 2 * len(claims)


def test_a_strict_tool_call(address: str) -> None:
    """The arguments are held to the schema."""
    answer = client(address).chat.completions.create(
        model="embedded",
        messages=[{"role": "user", "content": "The mouth looks odd. Look closer at it."}],
        tools=[TOOL],
        tool_choice="required",
        temperature=0,
        max_tokens=200,
    )
    (call, *_) = answer.choices[0].message.tool_calls or ()
    assert call.function.name == "zoom"
    Draft202012Validator(TOOL["function"]["parameters"]).validate(json.loads(call.function.arguments))


def test_an_adapter_comes_and_goes(address: str, faces: list[RGBImage]) -> None:
    adapters = ServedAdapters(address)
    folder = weights.store() / f"served-{weights.card('sight').sha256[:12]}" / "look"
    adapters.load("twin", folder)
    assert "twin" in adapters.names()
    one, other = (
        Served(chat_models.open_model(f"{address}#embedded?vision&look={name}")).probabilities(FORGERY, faces[:1])
        for name in ("twin", "look")
    )
    assert one == pytest.approx(other, abs=1e-3)
    looker = Served(chat_models.open_model(f"{address}#embedded?vision&look=look&expression=twin"))
    assert looker.card(EXPRESSION).name == "twin"
    displayed = looker.probabilities(EXPRESSION, faces[:1])
    assert displayed == pytest.approx(Embedded().probabilities(EXPRESSION, faces[:1]), abs=CLOSE)
    looker = Served(chat_models.open_model(f"{address}#embedded?vision&side=160&look=look&attributes=twin"))
    assert looker.card(PERCEIVED["gender"]).name == "twin"
    perceived = looker.probabilities(PERCEIVED["gender"], faces[:1])
    assert perceived == pytest.approx(Embedded().probabilities(PERCEIVED["gender"], faces[:1]), abs=CLOSE)
    assert max(looker.probabilities(PERCEIVED["age"], faces[:1]).values()) > 0.2
    adapters.unload("twin")
    assert "twin" not in adapters.names()
    with pytest.raises(ModelUnavailable):
        Served(chat_models.open_model(f"{address}#embedded?vision&look=twin")).probabilities(FORGERY, faces[:1])
    with pytest.raises(ModelUnavailable, match="refused"):
        adapters.load("none", Path("/nowhere"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x.png", "http://169.254.169.254/", "file:///etc/hostname"])
def test_media_are_not_fetched(address: str, url: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(openai.APIStatusError, match=r"domain|local files"):
        client(address).chat.completions.create(model="embedded", messages=[{"role": "user", "content": [picture]}])


def test_a_whole_examination(model: Any, astronaut: Path) -> None:
    record = examine(astronaut, model=model)
    (look,) = [item for item in record.evidence if item.measure == "sight.face"]
    assert look.status == "ok" and look.probability is None and look.model == "look"
    assert record.explanation.claims and record.verdict.label == examine(astronaut, model="none").verdict.label
