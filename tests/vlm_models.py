"""Small random models of the recipes' architectures in the hub's layout, and samples to teach them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    Gemma2Config,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from facewitness.finetune.data import store
from facewitness.finetune.data.sample import Sample, png
from facewitness.finetune.vlm import embedded
from facewitness.finetune.vlm.models import PictureProcessor

SIDE, PATCH = 28, 14
TOKENS = {"embedded": 4, "llava-1.5-7b": 4, "paligemma2-3b": 4, "qwen2.5-vl-7b": 1}
"""Of one picture."""
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": PATCH,
}
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "initializer_range": 0.2,
}
# As on the hub, but for what a sample does not have.
_LLAVA = (
    "{% for m in messages %}{{ m['role'].upper() + ': ' }}{% for p in m['content'] if p['type'] == 'image' %}"
    "{{ '<image>\n' }}{% endfor %}{% for p in m['content'] if p['type'] == 'text' %}{{ p['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
_QWEN = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ p['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def sample(colour: str, number: int, pictures: int = 1, split: str = "fit") -> Sample:
    """Pictures of one colour, and what colour it is."""
    rng = np.random.default_rng((number, list(COLOURS).index(colour)))
    flat = np.array(COLOURS[colour]) + rng.integers(-20, 20, (SIDE, SIDE, 3))
    image = png(flat.clip(0, 255).astype(np.uint8))
    prompt = "<image>" * pictures + f"What colour is photo {number}?\ne1: The face has a brightness of {number}."
    answer = f"The verdict is {colour} [e1]. The photo shows {colour} all over the face."
    return Sample(
        "forgery", split, "drawn", (f"{split}{number}",), (image,) * pictures, prompt.replace("<image>", ""), prompt,
        answer, "answer_first", "plain", colour, (), (), (),
    )  # fmt: skip


def samples(fit: int = 24, held: int = 6) -> list[Sample]:
    """One in three has two pictures."""
    sizes = {"fit": fit, "calibration": held, "test": 3}
    return [
        sample(list(COLOURS)[number % 3], number, 1 + (number % 3 == 1), split)
        for split, size in sizes.items()
        for number in range(size)
    ]


def data(folder: Path, made: Sequence[Sample]) -> Path:
    """The samples as a data set."""
    store.write(folder, made)
    return folder


def tokenizer(texts: Sequence[str], special: Sequence[str]) -> PreTrainedTokenizerFast:
    """Byte pairs learned from the texts; the first two special tokens end a turn and pad."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    made.add_special_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=special[0], pad_token=special[1])


def build(name: str, folder: Path, texts: Sequence[str]) -> Path:
    """The small model that stands for a recipe's, in ``folder``."""
    torch.manual_seed(0)
    made = {"embedded": _embedded, "llava-1.5-7b": _llava, "paligemma2-3b": _paligemma, "qwen2.5-vl-7b": _qwen}
    model, processor = made[name](folder, texts)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tower(folder: Path) -> Path:
    """A vision tower as its training leaves it."""
    SiglipVisionModel(SiglipVisionConfig(**_VISION)).save_pretrained(folder)
    return folder


def smol(texts: Sequence[str]) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A small language model with SmolLM2's turns."""
    words = tokenizer(texts, ("<|im_end|>", "<|endoftext|>", "<|im_start|>"))
    return LlamaForCausalLM(LlamaConfig(**_TEXT, vocab_size=len(words), tie_word_embeddings=True)).eval(), words


def _embedded(folder: Path, texts: Sequence[str]) -> tuple[Any, Any]:
    return embedded.assemble(*smol(texts), tower(folder / "tower"))


def _llava(folder: Path, texts: Sequence[str]) -> tuple[Any, Any]:
    words = tokenizer(texts, ("</s>", "<pad>", "<image>"))
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION, projection_dim=32).to_dict(),
        text_config=LlamaConfig(**_TEXT, vocab_size=len(words)).to_dict(),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    crop = {"height": SIDE, "width": SIDE}
    images = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=crop)
    processor = LlavaProcessor(
        images, words, patch_size=PATCH, vision_feature_select_strategy="default", chat_template=_LLAVA,
        num_additional_image_tokens=1,
    )  # fmt: skip
    return LlavaForConditionalGeneration(config), processor


def _paligemma(folder: Path, texts: Sequence[str]) -> tuple[Any, Any]:
    words = tokenizer(texts, ("<eos>", "<pad>", "<bos>"))
    words.bos_token = "<bos>"
    words.add_tokens([AddedToken("\n", normalized=False)])  # vLLM ends the prompt with it
    images = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = 4
    processor = PaliGemmaProcessor(images, words)
    heads = {"head_dim": 64, "query_pre_attn_scalar": 64}  # vLLM's attention on the CPU takes no smaller ones
    text = Gemma2Config(**{**_TEXT, **heads}, vocab_size=len(words), sliding_window=64)
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**_VISION, vision_use_head=False).to_dict(),
        text_config=text.to_dict(),
        image_token_index=processor.image_token_id,
        projection_dim=32,
        hidden_size=32,
        vocab_size=len(words),
    )
    return PaliGemmaForConditionalGeneration(config), processor


def _qwen(folder: Path, texts: Sequence[str]) -> tuple[Any, Any]:
    pictures = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    words = tokenizer(texts, ("<|im_end|>", "<|endoftext|>", "<|im_start|>", *pictures))
    ids = dict(zip(pictures, words.convert_tokens_to_ids(list(pictures)), strict=True))
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
    config = Qwen2_5_VLConfig(
        text_config={**_TEXT, "vocab_size": len(words), "rope_parameters": rope},
        vision_config={
            "depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
            "fullatt_block_indexes": [2], "window_size": 56,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip
    images = Qwen2VLImageProcessorPil(min_pixels=SIDE * SIDE, max_pixels=SIDE * SIDE)
    return Qwen2_5_VLForConditionalGeneration(config), PictureProcessor(images, words, chat_template=_QWEN)
