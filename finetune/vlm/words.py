"""The projector's first lesson: to say the words of the answers, without the language model.

Run: ``python -m facewitness.finetune.vlm.words --data SHORT --out DIR --set tower=TOWER [--resume]``

LLaVA teaches the projector through the language model, of which a CPU computes a few samples a second. Here a picture's
tokens are projected among the word embeddings, and a word is said in so far as one of them points to it. Taught is
which words an answer holds, beyond how often answers to its question hold them. The language model then finds pictures
in its own words, and has to learn where to put them. The weights with the least loss on calibration people are kept;
``--set projector=DIR`` of a recipe begins with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional

from ...errors import InvalidOption
from ..data import store
from ..training import Run, batches, command, decay, parser, resolve
from . import embedded
from .embedded import PROJECTOR

_TOWERS_BATCH = 64
_LEAST = 8
"""Answers that must hold a word for it to be taught, and, in validation, hold it and lack it."""


class Config(BaseModel):
    """A run's configuration.

    Attributes:
        tower: Folder of a trained ``SiglipVisionModel``.
        steps, batch, rate, warmup, weight_decay, dropout, seed: Of the training; dropout is of the tower's features.
        length: Greatest usual length of a projected token; a word's embedding is about 3 long.
        common: Share of a question's answers from which a word is no news; words rarer than the rest of it are not
            taught either.
        sharpness: Of the maximum over a picture's tokens.
        validate_every: Steps.
    """

    model_config = ConfigDict(extra="forbid")
    tower: str = ""
    steps: int = 300
    batch: int = 64
    rate: float = 5e-4
    warmup: float = 0.25
    weight_decay: float = 0.05
    dropout: float = 0.1
    length: float = 6.0
    common: float = 0.98
    sharpness: float = 4.0
    validate_every: int = 25
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """n pictures of one split.

    Attributes:
        features: (n, tokens, width) half precision: what the tower says.
        questions: n.
        words: Token ids of each answer.
    """

    features: torch.Tensor
    questions: list[str]
    words: list[set[int]]


def main() -> None:
    """Teach, and write the projector."""
    options = parser(__doc__).parse_args()
    command(lambda: teach(resolve(Config, None, options.set), options.data, options.out, resume=options.resume))


def teach(config: Config, data: Path, out: Path, *, resume: bool = False) -> Path:
    """Write ``projector.safetensors``, the log and a plot to ``out``.

    Args:
        config: How.
        data: Folder of a data set in the short form.
        out: Folder of the run.
        resume: Go on with the run in the folder.

    Raises:
        InvalidOption: No tower, or no set, or one whose answers do not differ.
        WeightsMissing: The language model cannot be had.
    """
    if not config.tower:
        raise InvalidOption("Name the tower's folder with --set tower=DIR.")
    run = Run(out, config, resume=resume)
    model, processor = embedded.assemble(*embedded.language_model(), Path(config.tower), config.seed)
    fit, held = (_shown(data / f"{split}.parquet", model, processor) for split in ("fit", "calibration"))
    torch.manual_seed(config.seed)
    pupil = Pupil(model.model.multi_modal_projector, model.get_input_embeddings().weight.detach(), fit, config)
    best = _train(pupil, fit, held, config, run)
    save_file(best, out / PROJECTOR)
    run.plot()
    return out / PROJECTOR


@torch.inference_mode()
def _shown(file: Path, model: Any, processor: Any) -> Shown:
    """Samples of one picture in which nothing is given."""
    features: list[torch.Tensor] = []
    questions, words = [], []
    pictures: list[Image.Image] = []
    for sample in store.read(file):
        if len(sample.images) == 1 and not sample.given:
            pictures.append(Image.open(BytesIO(sample.images[0])).convert("RGB"))
            questions.append(sample.question)
            words.append(set(processor.tokenizer(f" {sample.answer}", add_special_tokens=False)["input_ids"]))
            if len(pictures) == _TOWERS_BATCH:
                features.append(_features(pictures, model, processor))
                pictures = []
    if pictures:
        features.append(_features(pictures, model, processor))
    if not features:
        raise InvalidOption(f"{file.name} holds no sample of one picture without readings: use the short form.")
    return Shown(torch.cat(features), questions, words)


def _features(pictures: Sequence[Image.Image], model: Any, processor: Any) -> torch.Tensor:
    pixels = processor.image_processor(list(pictures), return_tensors="pt")["pixel_values"]
    states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    found: torch.Tensor = states[embedded.FEATURE_LAYER].half()
    return found


class Pupil(nn.Module):
    """The projector, and how words are heard from it.

    Args:
        projector: LLaVA's.
        embeddings: (vocabulary, width) of the language model.
        fit: Decides on which words are taught, and how often they are said.
        config: The run's.
    """

    def __init__(self, projector: nn.Module, embeddings: torch.Tensor, fit: Shown, config: Config) -> None:
        super().__init__()
        self.projector, self.config = projector, config
        self.places = _taught(fit, config.common)
        if not self.places:
            raise InvalidOption("The answers do not differ, so there is no word to teach.")
        unit = functional.normalize(embeddings[[word for _, word in self.places]], dim=1)
        self.register_buffer("unit", unit / embeddings.norm(dim=1).median())
        said, asked = self.targets(fit, range(len(fit.words)))
        self.usual = nn.Parameter(torch.logit(said.sum(0) / asked.sum(0)))
        self.loudness = nn.Parameter(torch.full((len(self.places),), 2.8))
        self._shorten(fit.features[:_TOWERS_BATCH].float())

    @torch.no_grad()
    def _shorten(self, features: torch.Tensor) -> None:
        """LLaVA's own first weights, at the length of ``config``."""
        ratio = self.config.length / self.projector(features).norm(dim=-1).mean()
        last = self.projector.linear_2
        last.weight.mul_(ratio)
        last.bias.mul_(ratio)

    def targets(self, shown: Shown, rows: Sequence[int] | range) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, words) which are said, and (n, words) which belong to the question."""
        said, asked = torch.zeros(2, len(rows), len(self.places)).unbind()
        for place, row in enumerate(rows):
            for number, (question, word) in enumerate(self.places):
                asked[place, number] = question == shown.questions[row]
                said[place, number] = question == shown.questions[row] and word in shown.words[row]
        return said, asked

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, words) logits, and what tokens are too long, as a penalty."""
        kept = functional.dropout(features, self.config.dropout, self.training)
        tokens = self.projector(kept)
        sharp = self.config.sharpness
        heard = torch.logsumexp(sharp * (tokens @ self.unit.T), 1) / sharp - np.log(tokens.shape[1]) / sharp
        excess = (tokens.norm(dim=-1) - self.config.length).clamp(min=0).square().mean()
        return heard * self.loudness.exp() + self.usual, excess


def _taught(fit: Shown, common: float) -> list[tuple[str, int]]:
    """Question and word, of words that tell answers to the question apart."""
    found = []
    for question in sorted(set(fit.questions)):
        answers = [words for asked, words in zip(fit.questions, fit.words, strict=True) if asked == question]
        held = Counter(word for words in answers for word in words)
        found += [
            (question, word)
            for word, count in sorted(held.items())
            if max(_LEAST, (1 - common) / 2 * len(answers)) <= count <= common * len(answers)
        ]
    return found


def _train(pupil: Pupil, fit: Shown, held: Shown, config: Config, run: Run) -> dict[str, torch.Tensor]:
    """The projector with the least loss on what is held out."""
    ours, theirs = pupil.targets(fit, range(len(fit.words))), pupil.targets(held, range(len(held.words)))
    decaying = [value for value in pupil.parameters() if value.ndim > 1]
    others = [value for value in pupil.parameters() if value.ndim < 2]
    groups = [{"params": decaying, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, config.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: decay(n, config.steps, config.warmup))
    done, state = run.restore() or (0, {"least": float("inf"), "best": pupil.projector.state_dict()})
    least, best = state["least"], state["best"]
    if done:
        for part, name in ((pupil, "pupil"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[name])
    for step, rows in batches(len(fit.words), config.batch, config.seed, done, config.steps):
        pupil.train()
        torch.manual_seed(config.seed + step)
        heard, excess = pupil(fit.features[rows].float())
        loss = _loss(heard, ours[0][rows], ours[1][rows])
        optimiser.zero_grad()
        (loss + 0.002 * excess).backward()
        optimiser.step()
        schedule.step()
        if step % config.validate_every == 0 or step == config.steps:
            figures = _validate(pupil, held, theirs)
            if figures["loss_validation"] < least:
                least = figures["loss_validation"]
                best = {name: value.clone() for name, value in pupil.projector.state_dict().items()}
            run.log(step, loss=loss.item(), **figures)
            parts = {"pupil": pupil, "optimiser": optimiser, "schedule": schedule}
            run.save(step, {"least": least, "best": best, **{name: part.state_dict() for name, part in parts.items()}})
    return best


def _loss(heard: torch.Tensor, said: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Mean over the words of each answer's question."""
    each = functional.binary_cross_entropy_with_logits(heard, said, asked, reduction="sum")
    return each / asked.sum()


@torch.inference_mode()
def _validate(pupil: Pupil, held: Shown, targets: tuple[torch.Tensor, torch.Tensor]) -> dict[str, float]:
    """Loss, and how well words are told apart, a mean over those that are there and not there often enough."""
    pupil.eval()
    said, asked = targets
    heard = torch.cat([pupil(part.float())[0] for part in held.features.split(_TOWERS_BATCH)])
    areas = []
    for number in range(len(pupil.places)):
        rows = asked[:, number] > 0
        truth = said[rows, number]
        if _LEAST <= truth.sum() <= len(truth) - _LEAST:
            areas.append(float(roc_auc_score(truth.numpy(), heard[rows, number].numpy())))
    auc = {"auc_validation": float(np.mean(areas))} if areas else {}
    return {"loss_validation": _loss(heard, said, asked).item(), **auc}


if __name__ == "__main__":
    main()
