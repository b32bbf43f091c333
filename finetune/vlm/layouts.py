"""A sample as a model reads it: its pictures and prompt in the model's own chat layout, labels on the answer alone.

Models with a chat template get the prompt through it. PaliGemma has none: it takes a prefix, which it sees whole, and
a suffix. A picture is a run of picture tokens wherever it stands, so several pictures are several runs, for all models.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from PIL.Image import Image
from torch.nn import functional

from ...errors import InvalidOption

MARK = "<image>"
"""Of a picture in a sample's prompt."""
IGNORED = -100
"""Label of what is not learned."""
_PADDING = {"attention_mask": 0, "token_type_ids": 1, "mm_token_type_ids": 0, "labels": IGNORED}

Inputs = dict[str, torch.Tensor]


class Layout:
    """The chat layout of one model.

    Args:
        processor: The model's, with a chat template or PaliGemma's.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        added = self.tokenizer.added_tokens_decoder.values()
        self._special = (MARK, *(token.content for token in added if token.special))
        self._prefixed = type(processor).__name__ == "PaliGemmaProcessor"
        if not self._prefixed and not processor.chat_template:
            raise InvalidOption("The model's processor has no chat template.")

    def prompt(self, images: Sequence[Image], prompt: str) -> Inputs:
        """What the model answers to: (1, tokens) ids and masks, and the pictures.

        Args:
            images: RGB, one for each mark.
            prompt: Marks and text, as ``Sample.prompt``.
        """
        if self._prefixed:
            found = self._process(images, MARK * len(images) + self.plain(prompt))
            found.pop("labels")
            return found
        return self._process(images, self._chat(images, prompt))

    def taught(self, images: Sequence[Image], prompt: str, answer: str) -> Inputs:
        """Prompt and answer, and ``labels``, which are ``IGNORED`` up to the answer's first token.

        Raises:
            InvalidOption: The chat template does not continue the prompt with the answer.
        """
        if self._prefixed:
            return self._process(images, MARK * len(images) + self.plain(prompt), suffix=self.plain(answer))
        opening, whole = self._chat(images, prompt), self._chat(images, prompt, answer)
        found = self._process(images, whole)
        found["labels"] = torch.full_like(found["input_ids"], IGNORED)
        taught = self._answer_length(opening, whole)
        found["labels"][:, -taught:] = found["input_ids"][:, -taught:]
        return found

    def plain(self, text: str) -> str:
        """Without picture marks, and without what would become a special token."""
        for token in self._special:
            text = text.replace(token, "")
        return text.strip()

    def _chat(self, images: Sequence[Image], prompt: str, answer: str | None = None) -> str:
        parts = [{"type": "image"} for _ in images] + [{"type": "text", "text": self.plain(prompt)}]
        turns: list[dict[str, Any]] = [{"role": "user", "content": parts}]
        if answer is None:
            return str(self.processor.apply_chat_template(turns, add_generation_prompt=True))
        turns.append({"role": "assistant", "content": [{"type": "text", "text": self.plain(answer)}]})
        whole = str(self.processor.apply_chat_template(turns)).rstrip()
        return whole if whole.endswith(self.tokenizer.eos_token) else whole + self.tokenizer.eos_token

    def _process(self, images: Sequence[Image], text: str, **options: Any) -> Inputs:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array__", DeprecationWarning)  # PaliGemma's own
            return dict(self.processor(images=[list(images)], text=[text], return_tensors="pt", **options))

    def _answer_length(self, opening: str, whole: str) -> int:
        """Tokens of ``whole`` beyond ``opening``, counted after the last picture: its tokens are expanded later."""
        token = self.processor.image_token
        before, after = (
            self.tokenizer(text.rpartition(token)[2], add_special_tokens=False)["input_ids"]
            for text in (opening, whole)
        )
        if after[: len(before)] != before:
            raise InvalidOption("The model's chat template does not continue the prompt with the answer.")
        return len(after) - len(before)


def collate(items: Sequence[Inputs], padding: int) -> Inputs:
    """One batch, padded on the right: (n, longest) ids, masks and labels; pictures one after the other.

    Args:
        items: What ``Layout`` gave.
        padding: Id of the padding token.
    """
    longest = max(item["input_ids"].shape[1] for item in items)
    fill = {"input_ids": padding, **_PADDING}

    def filled(key: str, value: torch.Tensor) -> torch.Tensor:
        return functional.pad(value, (0, longest - value.shape[1]), value=fill[key]) if key in fill else value

    return {key: torch.cat([filled(key, item[key]) for item in items]) for key in items[0]}
