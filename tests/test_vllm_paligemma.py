"""A random PaliGemma in the real vLLM, and why its answers are not those of transformers.

PaliGemma reads pictures and prompt as one prefix, each token of which sees all others (Beyer et al. 2024, arXiv
2407.07726), and was trained so. transformers does that. vLLM 0.32 lets pictures see themselves and nothing else ahead;
on the CPU not even that: every token sees only what stands before it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image

from .vllm_server import MARKS, running

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

pytestmark = MARKS
TEXT = "What is shown?"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from facewitness.finetune.vlm import export

    from . import vlm_models

    folder = vlm_models.build("paligemma2-3b", tmp_path_factory.mktemp("paligemma") / "tiny", [TEXT])
    export.rename(folder)
    return folder


@pytest.fixture(scope="module")
def address(checkpoint: Path) -> Iterator[str]:
    with running("--model", str(checkpoint), "--name", "tiny") as found:
        yield found


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB").resize((28, 28))


def served(address: str, picture: Image.Image) -> dict[str, float]:
    """Most probable first tokens, as vLLM gives them."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    content: Any = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": TEXT}]
    answer = openai.OpenAI(base_url=address, api_key="none").chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": content}],
        max_tokens=1, temperature=0, logprobs=True, top_logprobs=10,
    )  # fmt: skip
    assert answer.choices[0].logprobs is not None and answer.choices[0].logprobs.content is not None
    return {token.token: token.logprob for token in answer.choices[0].logprobs.content[0].top_logprobs}


def reference(checkpoint: Path, picture: Image.Image, seen: str) -> dict[str, float]:
    """Log probabilities of all tokens by transformers, where the prefix, the pictures or nothing is seen ahead."""
    from facewitness.finetune.vlm.layouts import Layout

    model = transformers.PaliGemmaForConditionalGeneration.from_pretrained(checkpoint).eval()
    processor = transformers.AutoProcessor.from_pretrained(checkpoint)
    inputs = Layout(processor).prompt([picture], TEXT)
    ahead = {
        "prefix": torch.ones_like(inputs["input_ids"]),
        "pictures": (inputs["input_ids"] == processor.image_token_id).long(),
        "nothing": torch.zeros_like(inputs["input_ids"]),
    }
    inputs["token_type_ids"] = 1 - ahead[seen]  # 1 marks the suffix, which sees only what stands before it
    with torch.inference_mode():
        found = model(**inputs).logits[0, -1].log_softmax(-1)
    return {processor.tokenizer.decode([number]): value for number, value in enumerate(found.tolist())}


def test_what_vllm_lets_a_prefix_see(address: str, checkpoint: Path, picture: Image.Image) -> None:
    found = served(address, picture)
    apart = {
        seen: max(abs(value - told.get(token, 0.0)) for token, value in found.items())
        for seen in ("prefix", "pictures", "nothing")
        for told in [reference(checkpoint, picture, seen)]
    }
    assert min(apart, key=apart.__getitem__) == "nothing" and apart["nothing"] < 1e-3, apart
    assert apart["prefix"] > 0.05, apart
