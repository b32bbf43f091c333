"""An adapter for one enrolled person: a few learned embeddings that stand in the place of the reference photo.

The model that looks stays as it is; what is learned are the soft tokens alone (Lester et al. 2021, arXiv 2104.08691),
as VIPGuard (2025) learns a few of each person. They begin as what the model makes of the person's photos, and are
trained until its first word is right: for photos of the person, forgeries made from them, and other people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch.nn import functional
from transformers import DynamicCache

from ..agent import sight_tower, sight_weights
from ..agent.people import Adapter, PeopleStore, Person
from ..agent.sight import REFERENCE
from ..tools import weights
from ..tools.face import Floats
from ..tools.image import RGBImage
from . import person_pictures
from .person_pictures import Lesson, Pictures
from .training import batches
from .vlm import shipped
from .vlm.layouts import Layout

TOKENS = 8
"""Soft tokens; a photo takes 64."""
STEPS, BATCH = 32, 9
"""Seven seconds of one core a step, so that the whole takes three minutes on two."""
RATE = 0.05
"""Of Adam, in standard deviations of the tokens at the start."""
CHECK_EVERY, PATIENCE = 8, 2
"""Steps between two looks at what was held out, and how many of them may bring nothing better."""
_CHUNK = 8

Say = Callable[[str], None]


class Read(NamedTuple):
    """What the language model keeps of n faces: by layer, keys and values (n, heads, tokens, width)."""

    layers: tuple[tuple[torch.Tensor, ...], ...]

    def of(self, rows: Sequence[int]) -> DynamicCache:
        """Of some of the faces."""
        return DynamicCache([(keys[rows], values[rows]) for keys, values in self.layers])


class Learned(NamedTuple):
    """What came of a training.

    Attributes:
        tokens: (k, width) float32.
        before: Loss at the start: of the pictures learned from, and of those held out if there are any.
        after: The same with the tokens that were kept.
        steps: After how many they were kept.
    """

    tokens: Floats
    before: tuple[float, ...]
    after: tuple[float, ...]
    steps: int


class Examiner:
    """The shipped model, frozen, asked the reference question with embeddings in the reference photo's place.

    The face in question is read once: what follows it does not change what was read.

    Args:
        model: A ``LlavaForConditionalGeneration``.
        processor: Its processor.
        sha256: Of its weights.
    """

    def __init__(self, model: Any, processor: Any, sha256: str) -> None:
        self.sha256 = sha256
        self._model = model.requires_grad_(False).eval().model
        self._side = self._model.vision_tower.config.image_size
        ids, opening, answers = _spelled(Layout(processor), self._side)
        pictures = (ids == model.config.image_token_id).nonzero()[:, 0].tolist()
        table = self._model.language_model.embed_tokens
        self._before = table(ids[: pictures[0]])
        self._after = table(torch.cat([ids[pictures[-1] + 1 :], opening]))
        self._answers = table(answers)  # the head shares the table

    @torch.no_grad()
    def tokens(self, faces: Sequence[RGBImage]) -> torch.Tensor:
        """(n, tokens, width) embeddings of n faces: square crops from ``alignment.align_wide``, uint8 RGB."""
        pixels = torch.from_numpy(sight_tower.pixels(faces, self._side))
        return torch.stack(self._model.get_image_features(pixel_values=pixels).pooler_output)

    @torch.no_grad()
    def read(self, faces: Sequence[RGBImage]) -> Read:
        """Read the faces in question up to where the reference begins."""
        parts = []
        for start in range(0, len(faces), _CHUNK):
            seen = self.tokens(faces[start : start + _CHUNK])
            text = torch.cat([self._before.expand(len(seen), -1, -1), seen], 1)
            cache = self._model.language_model(inputs_embeds=text, use_cache=True).cache
            parts.append([(layer.keys, layer.values) for layer in cache.layers])
        return Read(tuple(tuple(map(torch.cat, zip(*layer, strict=True))) for layer in zip(*parts, strict=True)))

    def logits(self, read: Read, rows: Sequence[int], reference: torch.Tensor) -> torch.Tensor:
        """(rows, answers) logits of each answer's first token.

        Args:
            read: Faces in question.
            rows: Which of them.
            reference: (k, width) embeddings: soft tokens, or one photo's ``tokens``.
        """
        text = torch.cat([reference, self._after]).expand(len(rows), -1, -1)
        found = self._model.language_model(inputs_embeds=text, cache=read.of(rows), use_cache=True)
        return found.last_hidden_state[:, -1] @ self._answers.T

    @torch.no_grad()
    def probabilities(self, read: Read, reference: torch.Tensor) -> Floats:
        """(n, answers) probabilities in the order of ``REFERENCE.answers``, which sum to 1."""
        rows = range(len(read.layers[0][0]))
        parts = [self.logits(read, rows[start : start + _CHUNK], reference) for start in rows[::_CHUNK]]
        found: Floats = torch.cat(parts).softmax(1).numpy()
        return found


def _spelled(layout: Layout, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids: of the question about two pictures, of the answer's opening, and of the answers' first tokens."""

    def spelled(text: str) -> list[int]:
        return list(layout.tokenizer(text, add_special_tokens=False)["input_ids"])

    blank = [Image.new("RGB", (side, side))] * REFERENCE.pictures
    opening = spelled(REFERENCE.opening)
    answers = [spelled(f"{REFERENCE.opening} {answer}")[len(opening)] for answer in REFERENCE.answers]
    question = layout.prompt(blank, REFERENCE.prompt)["input_ids"][0]
    return question, torch.tensor(opening), torch.tensor(answers)


def opened(folder: Path | None = None) -> Examiner:
    """The shipped model; takes half a minute.

    Args:
        folder: Of ``sight.safetensors`` and ``sight.json``; the registered ones if not given.

    Raises:
        WeightsError: The weights cannot be had.
    """
    file = folder / sight_weights.WEIGHTS if folder else weights.path(sight_weights.REGISTERED[0])
    return Examiner(*shipped.load(folder), hashlib.sha256(file.read_bytes()).hexdigest())


def learn(examiner: Examiner, lesson: Lesson, steps: int = STEPS, seed: int = 0, say: Say = print) -> Learned:
    """Learn soft tokens; the same arguments give the same tokens.

    Args:
        examiner: The frozen model.
        lesson: What to learn from, and what is held out.
        steps: At most so many.
        seed: Decides the order of the pictures.
        say: Told the losses, and how far it is.
    """
    start = _initial(examiner, lesson.references)
    scale = start.std()
    shift = torch.zeros_like(start, requires_grad=True)
    fit = _Part(examiner, lesson.fit)
    held = _Part(examiner, lesson.held) if lesson.held else None
    optimiser = torch.optim.Adam([shift], lr=RATE)
    before = _losses(fit, held, start)
    best, kept, at = before[-1], start, 0
    for step, rows in batches(len(fit), BATCH, seed, 0, steps):
        optimiser.zero_grad()
        loss = fit.loss(start + scale * shift, rows.tolist())
        loss.backward()
        optimiser.step()
        say(f"step {step} of {steps}, loss {loss.item():.3f}")
        if held is None:
            kept, at = start + scale * shift.detach(), step
        elif step % CHECK_EVERY == 0 or step == steps:
            now = start + scale * shift.detach()
            if (found := held.mean(now)) < best:
                best, kept, at = found, now, step
            elif step - at > PATIENCE * CHECK_EVERY:
                break
    return Learned(kept.numpy(), before, _losses(fit, held, kept), at)


class _Part:
    """Pictures that were read, and which answer is right of each."""

    def __init__(self, examiner: Examiner, pictures: Pictures) -> None:
        self._examiner = examiner
        self._read = examiner.read([picture.rgb for picture in pictures])
        self._right = torch.tensor([REFERENCE.answers.index(picture.label) for picture in pictures])

    def __len__(self) -> int:
        return len(self._right)

    def loss(self, reference: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Cross-entropy over the answers."""
        return functional.cross_entropy(self._examiner.logits(self._read, rows, reference), self._right[rows])

    def mean(self, reference: torch.Tensor) -> float:
        """Loss over all pictures."""
        found = torch.from_numpy(self._examiner.probabilities(self._read, reference))
        return float(functional.nll_loss(found.log(), self._right))


def _initial(examiner: Examiner, references: Sequence[RGBImage]) -> torch.Tensor:
    """(k, width): what the model makes of the photos, in the mean over photos and over neighbouring tokens."""
    seen = examiner.tokens(references).mean(0)
    return functional.adaptive_avg_pool1d(seen.T, TOKENS).T.contiguous()


def _losses(fit: _Part, held: _Part | None, reference: torch.Tensor) -> tuple[float, ...]:
    return tuple(part.mean(reference) for part in (fit, held) if part is not None)


def teach(
    name: str,
    photos: Sequence[Path],
    others: Path,
    steps: int = STEPS,
    seed: int = 0,
    say: Say = print,
    folder: Path | None = None,
) -> tuple[Person, Learned]:
    """Learn an adapter for an enrolled person, and keep it with the person.

    Args:
        name: Of the person.
        photos: Of the person; those that the store keeps are taken too.
        others: Folder with photos of other people.
        steps: At most so many.
        seed: Decides the pictures and their order.
        say: Told what is done, and the losses.
        folder: As for ``opened``.

    Raises:
        UnknownPerson: Nobody of that name is enrolled.
        InputError, NotAssessable: Photos or folder cannot be used.
        WeightsError: The weights cannot be had.
    """
    store = PeopleStore()
    person = person_pictures.mine(store.templates(name), photos)
    lesson = person_pictures.lesson(person, person_pictures.others(others, person, seed), seed)
    say(f"{len(lesson.fit)} pictures to learn from, {len(lesson.held)} held out")
    examiner = opened(folder)
    learned = learn(examiner, lesson, steps, seed, say)
    adapter = Adapter(learned.tokens, examiner.sha256, lesson.photos, bool(lesson.held), datetime.now(UTC))
    return store.adapt(name, adapter), learned
