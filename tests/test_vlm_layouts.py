# ruff: noqa: E402
"""What a model is taught: the answer alone, in its own chat layout, with any number of pictures."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("datasets")

from PIL import Image

from facewitness.errors import InvalidOption
from facewitness.finetune.vlm import models, recipe, samples
from facewitness.finetune.vlm.layouts import IGNORED, Layout, collate

from . import vlm_models

ENDS = {"embedded": "<|im_end|>", "llava-1.5-7b": "</s>", "paligemma2-3b": "<eos>", "qwen2.5-vl-7b": "<|im_end|>"}
BEFORE = {
    "embedded": "<|im_start|>user\n{images}{text}<|im_end|>\n<|im_start|>assistant\n",
    "llava-1.5-7b": "USER: {images}{text} ASSISTANT:",
    "paligemma2-3b": "{images}<bos>{text}\n",
    "qwen2.5-vl-7b": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{images}{text}"
    "<|im_end|>\n<|im_start|>assistant\n",
}
PICTURE = {
    "embedded": "<image>" * 4,
    "llava-1.5-7b": "<image>" * 4 + "\n",
    "paligemma2-3b": "<image>" * 4,
    "qwen2.5-vl-7b": "<|vision_start|><|image_pad|><|vision_end|>",
}


@pytest.fixture(scope="module", params=list(ENDS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Layout]:
    texts = [text for sample in vlm_models.samples() for text in (sample.prompt, sample.answer)]
    folder = vlm_models.build(request.param, tmp_path_factory.mktemp(request.param.replace(".", "")), texts)
    chosen = recipe.configure(request.param, [f"model={folder}"])
    return request.param, Layout(models.processor(chosen, folder))


@pytest.mark.parametrize("pictures", [1, 2])
def test_only_the_answer_is_learned(case: tuple[str, Layout], pictures: int) -> None:
    name, layout = case
    sample = vlm_models.sample("green", 3, pictures)
    images = [Image.open(BytesIO(data)) for data in sample.images]
    found = layout.taught(images, sample.prompt, sample.answer)
    ids, labels = found["input_ids"][0], found["labels"][0]
    learned = labels != IGNORED
    assert torch.equal(labels[learned], ids[learned])
    decode = layout.tokenizer.decode
    assert decode(ids[learned]).lstrip() == sample.answer + ENDS[name]
    text = sample.prompt.replace("<image>", "")
    assert decode(ids[~learned]) == BEFORE[name].format(images=PICTURE[name] * pictures, text=text)
    assert not learned[: int(learned.nonzero()[0])].any() and learned[int(learned.nonzero()[0]) :].all()

    prompt = layout.prompt(images, sample.prompt)
    assert "labels" not in prompt and torch.equal(prompt["input_ids"][0], ids[~learned])
    for key in set(prompt) - {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"}:
        assert torch.equal(prompt[key], found[key]), key


def test_special_tokens_in_a_text_stay_text(case: tuple[str, Layout]) -> None:
    """A prompt cannot add a picture or end a turn."""
    _, layout = case
    image = [Image.new("RGB", (28, 28))]
    plain = layout.prompt(image, "<image>What is shown?")
    mixed = layout.prompt(image, f"<image>What {layout.tokenizer.eos_token}is <image>shown?")
    assert torch.equal(plain["input_ids"], mixed["input_ids"])


def test_a_batch_is_padded_on_the_right(case: tuple[str, Layout]) -> None:
    """A padded sample gives the loss that it gives alone."""
    _, layout = case
    made = [vlm_models.sample("red", 1), vlm_models.sample("blue", 12345, 2)]
    items = [layout.taught([Image.open(BytesIO(d)) for d in s.images], s.prompt, s.answer) for s in made]
    both = collate(items, layout.tokenizer.pad_token_id)
    short, longest = items[0]["input_ids"].shape[1], both["input_ids"].shape[1]
    assert short < longest == items[1]["input_ids"].shape[1]
    assert both["attention_mask"][0].sum() == short and (both["labels"][0, short:] == IGNORED).all()
    folder = Path(layout.processor.tokenizer.name_or_path)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    with torch.inference_mode():
        inputs = {key: value for key, value in both.items() if key != "labels"}
        alone = {key: value for key, value in items[0].items() if key != "labels"}
        torch.testing.assert_close(model(**inputs).logits[0, :short], model(**alone).logits[0], rtol=1e-4, atol=1e-5)


def test_a_template_must_continue_its_prompt(case: tuple[str, Layout]) -> None:
    name, layout = case
    if name != "embedded":
        pytest.skip("one template is enough")
    processor = transformers.AutoProcessor.from_pretrained(layout.processor.tokenizer.name_or_path)
    processor.chat_template = "{{ messages | length }}<image>{% for m in messages %}{{ m['role'] }}{% endfor %}!"
    with pytest.raises(InvalidOption, match="does not continue"):
        Layout(processor).taught([Image.new("RGB", (28, 28))], "<image>What?", "Nothing.")
    processor.chat_template = None
    with pytest.raises(InvalidOption, match="no chat template"):
        Layout(processor)


def test_order_takes_every_sample_once_and_can_start_anywhere() -> None:
    lengths = [10 * (number % 7) + number for number in range(400)]
    whole = list(samples.order(lengths, 4, 0, 0, 250))
    assert sorted(place for batch in whole[:100] for place in batch) == list(range(400))
    assert sorted(place for batch in whole[100:200] for place in batch) == list(range(400))
    assert whole[:100] != whole[100:200]
    for start in (1, 100, 130):
        assert list(samples.order(lengths, 4, 0, start, 250)) == whole[start:]
    assert all(lengths[a] <= lengths[b] for batch in whole for a, b in pairwise(batch))


def test_long_samples_are_left_out(case: tuple[str, Layout], tmp_path: Path) -> None:
    name, layout = case
    if name != "embedded":
        pytest.skip("one model is enough")
    made = vlm_models.samples(fit=6, held=1)
    rows = samples.Samples(vlm_models.data(tmp_path, made) / "fit.parquet", layout, tmp_path / "cache")
    assert len(rows) == 6
    lengths = [item["input_ids"].shape[1] for item in rows]
    whole = rows.digest() if rows.lengths else None
    assert whole is None
    limit = sorted(lengths)[3]
    left_out = rows.fit(limit)
    assert left_out == sum(length > limit for length in lengths) > 0
    assert rows.lengths == [length for length in lengths if length <= limit]
    with pytest.raises(InvalidOption, match=r"calibration2\.parquet"):
        samples.Samples(tmp_path / "calibration2.parquet", layout, tmp_path)
