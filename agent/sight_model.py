"""The model that looks, in this process, on the CPU, without PyTorch: vision tower, projector, SmolLM2 with LoRA.

It gets the faces and one of the fixed questions of ``sight.py``, in the chat layout that it was trained in
(``finetune/vlm/embedded.py``).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import ModelUnavailable
from ..tools.face import Floats
from ..tools.image import RGBImage
from .embedded_model import EXACT, STOP_TOKENS, converted, loading
from .sight import Look

_SPECIAL = re.compile(r"<[^<>\s]+>")  # picture marks, and what would become a special token


@cache
def loaded(threads: int = 2) -> EmbeddedSight:
    """The registered model, loaded once in a process.

    Raises:
        ModelUnavailable: Its weights cannot be had, or the runtime refuses them.
    """
    return EmbeddedSight(threads=threads)


class EmbeddedSight:
    """Deterministic: equal questions about equal faces give equal answers. Threads take turns.

    Args:
        folder: Of ``sight.safetensors`` and ``sight.json``; the registered ones if not given.
        threads: CPU threads.

    Attributes:
        settings: What ``sight.json`` holds.

    Raises:
        ModelUnavailable: The weights cannot be had, or the runtime refuses them.
    """

    def __init__(self, folder: Path | None = None, threads: int = 2) -> None:
        with loading():
            import openvino
            import openvino_genai

            from . import sight_language, sight_tower, sight_weights

            self.settings, tensors = sight_weights.read(folder)
            self._pixels = sight_tower.pixels
            base = converted()
            try:
                tower = sight_tower.network(tensors, self.settings.vision)
                self._language = sight_language.Language(base, self.settings, tensors, threads)
            except (KeyError, ValueError) as error:  # a tensor is missing, or of another shape
                raise ModelUnavailable("The tensors of the model that looks do not fit together.") from error
            self._tower = openvino.Core().compile_model(tower, "CPU", {"INFERENCE_NUM_THREADS": threads, **EXACT})
            self._tokenizer = openvino_genai.Tokenizer(str(base))
            self._streamer = openvino_genai.TextStreamer
        self._asked: tuple[Look, list[bytes]] | None = None
        self._logits: Floats
        self._lock = threading.Lock()

    def probabilities(self, look: Look, faces: Sequence[RGBImage], soft: Floats | None = None) -> dict[str, float]:
        """Probability of each answer among all of them, from its first token after the opening; not calibrated.

        Args:
            look: A question with answers.
            faces: As many as it has pictures: square crops of any size from ``alignment.align_wide``, uint8 RGB.
            soft: (k, width) embeddings in the place of the last picture, as ``people.Adapter`` holds them.

        Raises:
            ModelUnavailable: The runtime fails.
        """
        with self._lock, _running():
            logits = self._opened(look, faces, soft)
            logits = logits[[self._first(look.opening, answer) for answer in look.answers]].astype(np.float64)
        odds = np.exp(logits - logits.max())
        return dict(zip(look.answers, (odds / odds.sum()).tolist(), strict=True))

    def write(
        self,
        look: Look,
        faces: Sequence[RGBImage],
        max_tokens: int = 128,
        stream: Callable[[str], None] | None = None,
    ) -> str:
        """The whole answer, its opening first; at each place the most probable token.

        Args:
            look: A question.
            faces: As for ``probabilities``.
            max_tokens: After the opening.
            stream: Called with each piece of the text as soon as it is known.

        Raises:
            ModelUnavailable: The runtime fails.
        """
        pieces: list[str] = []

        def told(piece: str) -> None:
            pieces.append(piece)
            if stream:
                stream(piece)

        with self._lock, _running():
            streamer = self._streamer(self._tokenizer, told)
            logits = self._opened(look, faces)
            streamer.write(self._tokens(look.opening))
            self._asked = None  # what is read from here on is no longer the question alone
            for _ in range(max_tokens):
                token = int(logits.argmax())
                if token in STOP_TOKENS:
                    break
                streamer.write(token)
                logits = self._language.read(self._language.embed([token]))
            streamer.end()
        return "".join(pieces)

    def _opened(self, look: Look, faces: Sequence[RGBImage], soft: Floats | None = None) -> Floats:
        """Logits of the token that follows the opening; kept, as an answer is often weighed and then written."""
        learned = [] if soft is None else [soft]
        if len(faces) + len(learned) != look.pictures:
            raise ValueError(f"the question is about {look.pictures} faces, not {len(faces)}")
        asked = (look, [face.tobytes() for face in faces] + [part.tobytes() for part in learned])
        if asked != self._asked:
            self._asked = None
            self._language.forget()
            self._logits = self._language.read(self._prompt(look, faces, learned))
            self._asked = asked
        return self._logits

    def _prompt(self, look: Look, faces: Sequence[RGBImage], learned: Sequence[Floats]) -> Floats:
        """(n, width) embeddings of the user's turn and of the answer's opening."""
        question = _SPECIAL.sub("", look.prompt).strip()
        before = self._tokens("<|im_start|>user\n")
        after = self._tokens(f"{question}<|im_end|>\n<|im_start|>assistant\n{look.opening}")
        pictures = self._tower(self._pixels(faces, self.settings.vision.image_size))[0]
        return np.concatenate([self._language.embed(before), *pictures, *learned, self._language.embed(after)])

    def _first(self, opening: str, answer: str) -> int:
        """The answer's first token, where it follows the opening."""
        return self._tokens(f"{opening} {answer}")[len(self._tokens(opening))]

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist())


@contextmanager
def _running() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ModelUnavailable(f"The model that looks failed ({type(error).__name__}).") from error
