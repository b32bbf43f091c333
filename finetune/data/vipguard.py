"""VIPGuard's published JSON (ms-swift chat): read it, and write reference samples in it.

Run: ``python -m facewitness.finetune.data.vipguard SET.parquet DIR``

The trap: in the conclusion ``[Yes]`` means *the same person*, before a region it means *this region differs*. A forgery
and a stranger are both ``[No]``; only the folder of the picture tells them apart.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ...agent.verdict import INCONCLUSIVE, REFERENCE_LABELS
from ...errors import FacewitnessError, InvalidOption
from . import store
from .sample import Mode, Sample

PERSON, FORGERY, OTHER = REFERENCE_LABELS
_ASK = (
    "<|face_pad|><image>Please determine whether the person in the input image is VIP user. The face similarity "
    "between the input face and VIP user is {score}/100. The face tokens are shown as follows, <|face_pad|> . {ending}"
)
_ENDINGS: Mapping[Mode, str] = {
    "answer": "You should directly answer 'yes' or 'no' without any explanation.",
    "answer_first": "You should first give your answer by 'yes' or 'no'. Then, you should explain your reasoning step "
    "by step based on different facial attributes.",
    "reason_first": "You need to make a step-by-step judgment based on different facial attributes and provide your "
    "conclusion.",
}
_SAME = {True: "[Yes] The two images are of the same person.", False: "[No] The two images are of different people."}
_REGIONS = {"outline": "Outer face", "eyes": "Eye", "nose": "Nose", "mouth": "Mouth", "skin": "Skin"}
_FOLDERS = {PERSON: "r_r_i", OTHER: "r_r_d_i", FORGERY: "r_fs_i"}
_KINDS = {"r_r_i": PERSON, "r_r_d_i": OTHER, "r_fs_i": FORGERY, "r_efs_i": FORGERY}
_CONCLUSION = re.compile(r"<Conclusion>\s*\[(Yes|No)\]")
_REGION = re.compile(r"^\d+\.\s+\**(\w[\w ]*?) (?:region|description):?\**:?\s*\[(Yes|No)\]\s*(.+)$", re.MULTILINE)


class _Turn(BaseModel):
    model_config = ConfigDict(extra="ignore")

    role: Literal["user", "assistant"]
    content: str


class Row(BaseModel):
    """One published row, as it stands in the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    messages: tuple[_Turn, _Turn]
    images: tuple[str, ...] = Field(min_length=1)

    @property
    def mode(self) -> Mode:
        """``cls``, ``exp`` and ``reasoning`` of the publication, by the tags of the answer."""
        text = self.messages[1].content
        return "reason_first" if "<Reasoning>" in text else "answer_first" if "<Analysis>" in text else "answer"

    @property
    def score(self) -> int:
        """Similarity of the prompt, 0 to 100.

        Raises:
            InvalidOption: There is none.
        """
        if (found := re.search(r"is (\d+)/100", self.messages[0].content)) is None:
            raise InvalidOption("A row states no similarity.")
        return int(found[1])

    @property
    def same(self) -> bool:
        """The conclusion; regions carry tags of the opposite meaning, so that only the tag in it is read.

        Raises:
            InvalidOption: There is none.
        """
        if (found := _CONCLUSION.search(self.messages[1].content)) is None:
            raise InvalidOption("A row has no conclusion.")
        return found[1] == "Yes"

    @property
    def label(self) -> str | None:
        """One of the three classes, by the picture's folder; without such a folder, None for a "No"."""
        for part in Path(self.images[0]).parts:
            if part in _KINDS:
                return _KINDS[part]
        return PERSON if self.same else None

    @property
    def regions(self) -> dict[str, tuple[bool, str]]:
        """By region in lower case: whether it differs, and what is said of it."""
        text = self.messages[1].content
        return {name.lower(): (tag == "Yes", said.strip()) for name, tag, said in _REGION.findall(text)}


_ROWS = TypeAdapter(list[Row])


def read(file: Path) -> list[Row]:
    """Rows of a published file.

    Raises:
        InvalidOption: It is not of that layout, or a picture's folder and its answer disagree.
    """
    try:
        rows = _ROWS.validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidOption(f"{file.name} is not in VIPGuard's layout.") from error
    for row in rows:
        if row.label is not None and (row.label == PERSON) != row.same:
            raise InvalidOption(f"{file.name}: the folder of {row.images[0]} and its answer disagree.")
    return rows


def score(cosine: float) -> int:
    """Similarity as the published prompts state it."""
    return int((0.5 + 0.5 * cosine) * 100)


def row(sample: Sample, image: str) -> Row | None:
    """A reference sample in the published layout; None if it is inconclusive or states no similarity.

    Args:
        sample: From the reference engine; its first picture is the one in question.
        image: Path of that picture, as the row shall name it.
    """
    cosine = next((i.value for i in sample.evidence if i.measure == "identity.similarity" and i.status == "ok"), None)
    if sample.label == INCONCLUSIVE or not isinstance(cosine, float):
        return None
    conclusion = f"<Conclusion>{_SAME[sample.label == PERSON]}</Conclusion>\n"
    body = _body(sample)
    answer = {
        "answer": conclusion,
        "answer_first": f"{conclusion}<Analysis>\n{body}</Analysis>",
        "reason_first": f"<Reasoning>\n{body}</Reasoning>\n{conclusion}",
    }[sample.mode]
    ask = _ASK.format(score=score(cosine), ending=_ENDINGS[sample.mode])
    return Row(messages=(_Turn(role="user", content=ask), _Turn(role="assistant", content=answer)), images=(image,))


def _body(sample: Sample) -> str:
    """Numbered regions; one differs where its shape does or where it was altered."""
    lines = []
    for number, (region, name) in enumerate(_REGIONS.items(), 1):
        seen = [i for i in sample.evidence if i.measure in (f"sight.{region}", f"sight.{region} shape")]
        differs = any(item.value in ("altered", "differs") for item in seen)
        said = " ".join(item.finding for item in seen) or "Nothing certain is seen."
        lines.append(f"{number}.  {name} region:\n    [{'Yes' if differs else 'No'}] {said}\n")
    return "".join(lines)


def write(folder: Path, samples: Iterable[Sample]) -> int:
    """Write ``{split}.json`` and the pictures in question below ``folder``; returns how many rows."""
    rows: dict[str, list[Row]] = {}
    for number, sample in enumerate(s for s in samples if s.engine == "reference"):
        name = f"images/{_FOLDERS.get(sample.label, 'none')}/{number:05d}/2.png"
        made = row(sample, f"./{name}")
        if made is None:
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(sample.images[0])
        rows.setdefault(sample.split, []).append(made)
    for split, held in rows.items():
        text = json.dumps([one.model_dump(mode="json") for one in held], indent=2, ensure_ascii=False)
        (folder / f"{split}.json").write_text(text + "\n", encoding="utf-8")
    return sum(map(len, rows.values()))


def main() -> None:
    """Convert a set."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.data.vipguard")
    parser.add_argument("set", type=Path, help="Parquet file of samples")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    try:
        print(f"{write(options.out, store.read(options.set))} rows")
    except FacewitnessError as error:
        sys.exit(f"{error.code}: {error}")


if __name__ == "__main__":
    main()
