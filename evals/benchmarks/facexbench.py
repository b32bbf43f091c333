"""FaceXBench: 5,000 multiple-choice questions on faces in 14 tasks.

Some questions of the task ``deepfakes`` map on verdicts: each option says which of the images are forged, or how many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import InvalidOption
from .item import LETTERS, Benchmark, Item, Switches, choice, read_json

_ELSE = "*"
_NONE, _ALL = ("none", "none of the above"), ("both", "all", "all images")
_MIXED = re.compile(r"(?:images?\s+)?([\d,\s]+|[\d,\s]*and\s+\d+|\d+\s+and\s+\d+)\s*(?:is|are) (real|fake)")


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    root = data / "benchmark" if (data / "benchmark").is_dir() else data
    prefix = f"{root.name}/" if root != data else ""
    for file in [data] if data.is_file() else sorted(root.glob("*.json")):
        held = read_json(file)
        if not isinstance(held, dict) or not isinstance(held.get("questions"), dict):
            raise InvalidOption(f"{file.name} is not in FaceXBench's layout: it has no questions.")
        if "category" not in switches or held.get("category") == switches["category"]:
            for key, question in held["questions"].items():
                yield _item(file.stem, key, held, question, prefix, choice(switches, "prepend", "yes", "no") == "yes")


def _item(file: str, key: str, held: Mapping[str, Any], asked: Mapping[str, Any], prefix: str, prepend: bool) -> Item:
    images = tuple(f"{prefix}{path}" for path in asked["image_paths"])
    options = tuple(str(option) for option in asked["options"])
    parts = [held.get("context", ""), held.get("prepend_text", "") if prepend else "", asked["question_text"]]
    parts += [held.get("postpend_text", "")]
    verdicts = said(asked["question_text"], options, len(images)) if held.get("sub-category") == "deepfakes" else ()
    return Item(
        f"{file}/{key}",
        "choice",
        images,
        str(asked["correct_answer_option"]),
        cluster=images[0] if images else f"{file}/{key}",
        method=str(held.get("sub-category", "")),
        groups={"category": str(held.get("category", "")), "images": str(held.get("num_images", ""))},
        question="\n".join(part for part in parts if part),
        options=options,
        verdicts=verdicts,
    )


def said(question: str, options: tuple[str, ...], images: int) -> tuple[str, ...]:
    """What each option says of the images, see ``Item.verdicts``; empty where one cannot be read."""
    asked = question.lower()
    if "how many" in asked:
        forged = re.search(r"deepfakes?|fake", asked) is not None and "not" not in asked
        return tuple(f"#{option}" for option in options) if forged and all(map(str.isdecimal, options)) else ()
    if "real and" in asked or "real or" in asked:
        read = [_mixed(option.lower(), images) for option in options]
    else:
        genuine = re.search(r"\bnot\b|\breal\b", asked) is not None
        read = [_listed(option.lower(), images, genuine) for option in options]
    return tuple(one for one in read if one is not None) if all(one is not None for one in read) else ()


def _listed(option: str, images: int, genuine: bool) -> str | None:
    """``Image 1 and Image 3``: those that are asked for."""
    if option == "none of the above":
        return _ELSE
    if option in _NONE or option in _ALL:
        named = set(range(images)) if option in _ALL else set()
    else:
        named = {int(digit) - 1 for digit in re.findall(r"\d+", option)}
        if not named or max(named) >= images:
            return None
    return "".join(str(int((place in named) != genuine)) for place in range(images))


def _mixed(option: str, images: int) -> str | None:
    """``Images 1 and 3 are fake, Image 2 is real``, ``All images are real``, ``Both are fake``."""
    whole = re.fullmatch(r"(?:all(?: images)?|both(?: images)?) are (real|fake)\.?", option)
    if whole:
        return str(int(whole[1] == "fake")) * images
    found = {int(digit) - 1: word for part, word in _MIXED.findall(option) for digit in re.findall(r"\d+", part)}
    if set(found) != set(range(images)):
        return None
    return "".join(str(int(found[place] == "fake")) for place in range(images))


def letter(answer: str, options: tuple[str, ...], published: bool = False) -> str | None:
    """The option that an answer names; None if it names none, or several.

    Args:
        answer: A model's words.
        options: Texts of the options.
        published: As the released scorer reads it, whose first pattern takes any letter that stands alone: an answer
            that begins with the article "A" counts as option A.
    """
    letters, text = LETTERS[: len(options)], answer.strip()
    if published:
        return _published(text, letters, options)
    marked = re.match(r"^\(?([A-Z])\)?(?:[.:)]|\s*$|\s+-|\n)", text) or re.search(
        r"\b(?:answer|option)(?: is|:)?\s*\(?([A-Z])\)?(?![\w'])", text, re.IGNORECASE
    )
    if marked and marked[1].upper() in letters:
        return marked[1].upper()
    same = [
        key for key, option in zip(letters, options, strict=False) if option.strip().lower() == text.rstrip(".").lower()
    ]
    named = [
        key
        for key, option in zip(letters, options, strict=False)
        if re.search(rf"\b{re.escape(option.lower())}\b", text.lower())
    ]
    found = same or named
    return found[0] if len(found) == 1 else None


def _published(text: str, letters: str, options: tuple[str, ...]) -> str | None:
    patterns = (r"\b\(?([A-Za-z])\)?\b", r"\bOption\s+([A-Za-z])\b", r"\b([A-Za-z])\.", r"\b([A-Za-z]):")
    begun = (re.match(pattern, text) for pattern in patterns)
    anywhere = (name for pattern in patterns for name in re.findall(pattern, text))
    named = [match[1] for match in begun if match] + list(anywhere)
    first = next((name for name in named if name in letters), None)
    return first or next((key for key, option in zip(letters, options, strict=False) if option.strip() in text), None)


BENCHMARK = Benchmark(
    name="facexbench",
    title="FaceXBench: multiple-choice questions on faces",
    layout="benchmark/*.json with {category, sub-category, questions: {1: {image_paths, question_text, options, "
    "correct_answer_option}}}, pictures below benchmark/.",
    polarity="The letter of the right option. Questions on deepfakes whose options name images map on verdicts.",
    read=_read,
    switches={
        "category": "only this one, such as fas_deepfakes",
        "prepend": "yes or no: the explaining text before a question",
        "scorer": "strict, or published: a lone letter counts, so that an answer that begins with the article A is A",
    },
    source="benchmark/*.json, evaluate.py and aggregate_results.py of the released code",
)
