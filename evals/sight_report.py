"""The figures of ``evals.sight`` as Markdown, to paste into the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .forgery_report import percent, table, text

Found = Mapping[str, Any]


def markdown(result: Found) -> str:
    """All tables; sections that were not measured are left out."""
    writers = {
        "forgery": _forgery,
        "reference": _reference,
        "regions": _regions,
        "expression": _expression,
        "attributes": _attributes,
        "blind": _blind,
        "flip": _flip,
        "grounding": _grounding,
        "speed": _speed,
    }
    who = f"{result['people']} people left out of training; intervals are 95 %, over people"
    head = f"Weights sha256 {result['model']['sha256']}; {who}."
    return "\n\n".join([head, *(write(result[name]) for name, write in writers.items() if result.get(name))])


def _forgery(found: Found) -> str:
    areas, gains = found["auc"], found["auc, less the tools alone"]
    rows = [
        [part, *(text(of[part]) for of in areas.values()), *(text(of[part]) for of in gains.values())]
        for part in areas["both"]
    ]
    head = ["pictures", *areas, *(f"{name} less tools" for name in gains)]
    answered = found["three-way, as answered"]
    lines = [
        f"Three-way accuracy as answered, labels weighing alike: {text(answered['accuracy, labels weighing alike'])}.",
        *(f"Called inconclusive {name}: {percent(of['share'])}." for name, of in found["called inconclusive"].items()),
    ]
    return "\n\n".join(
        [
            table(f"Forged or not, AUC; pictures: {_counts(found['pictures'])}", head, rows),
            table("Answers", ["truth", *_answers(answered["confusion"])], _confusion(answered["confusion"])),
            " ".join(lines),
        ]
    )


def _reference(found: Found) -> str:
    areas = found["auc of the same person"]
    rows = [[part, *(text(areas[way][part]) for way in areas)] for part in areas["both"]]
    accuracies = found["three-way accuracy, labels weighing alike"]
    return "\n\n".join(
        [
            table(f"The same person, AUC; pictures: {_counts(found['pictures'])}", ["pictures", *areas], rows),
            table(
                "Three-way accuracy, labels weighing alike", list(accuracies), [list(map(text, accuracies.values()))]
            ),
            table("Answers", ["truth", *_answers(found["confusion"])], _confusion(found["confusion"])),
        ]
    )


def _regions(found: Found) -> str:
    rows = []
    for name, of in found.items():
        if not isinstance(of, Mapping):
            continue
        for what in of.keys() & {"f1", "the first named is altered"}:
            rows.append([f"{name}, {what}", *map(text, of[what].values()), text(of[f"{what}, model less guess"])])
        rows += [
            [f"{name}, F1, {region}", *map(text, ways.values()), "–"] for region, ways in of["f1 by region"].items()
        ]
    title = f"Altered regions; the guess always names: {found['always named by the guess']}"
    return table(title, ["what", "model", "guess", "less"], sorted(rows))


def _expression(found: Found) -> str:
    sources = {name: of for name, of in found.items() if "macro f1" in of}
    parts = [_answered("Expression", sources)] if sources else []
    units = found.get("action units of renders")
    if units:
        rows = [[what, *map(text, units[what].values())] for what in ("f1", "f1, mean over units")]
        parts.append(table(f"Action units mentioned, {units['units']} units", ["what", "model", "guess"], rows))
    return "\n\n".join(parts)


def _attributes(found: Found) -> str:
    return _answered("Attributes", found)


def _answered(title: str, found: Found) -> str:
    head = ["of", "pictures / people", "accuracy", "of the guess", "macro F1", "of the guess"]
    rows = [
        [name, f"{of['pictures']} / {of['people']}", *map(text, (*of["accuracy"].values(), *of["macro f1"].values()))]
        for name, of in found.items()
    ]
    return table(title, head, rows)


def _blind(found: Found) -> str:
    views = ("seen", "blanked", "swapped", "seen less blanked", "seen less swapped")
    rows = [
        [f"{name}: {what}", str(of.get("pictures", part["pictures"])), *(text(of[view]) for view in views)]
        for name, part in found.items()
        for what, of in part.items()
        if what != "pictures"
    ]
    return table("Blind test", ["what", "pictures", *views], rows)


def _flip(found: Found) -> str:
    names = ("conclusion followed", "right where it followed", "right where it resisted")
    rows = [[name, str(found[name]["pictures"]), _share(found[name])] for name in names if name in found]
    words = ", ".join(f"{name}: {count}" for name, count in found.get("texts", {}).items())
    return (
        f"{table('One stated probability turned round', ['what', 'pictures', 'share'], rows)}\n\nTexts state {words}."
    )


def _grounding(found: Found) -> str:
    kinds = list(next(iter(found.values()))["before"])
    rows = [
        [
            name,
            f"{of['answers']} / {of['sentences']}",
            *(text(of["before"][kind]["share"]) for kind in kinds),
            f"{of['after']['sentences']} / {of['after']['not supported']}",
            str(of["after"]["answers without a sentence"]),
        ]
        for name, of in found.items()
    ]
    head = ["of", "answers / sentences", *kinds, "after: kept / not supported", "answers left empty"]
    return table("Sentences against the labels' truth", head, rows)


def _speed(found: Found) -> str:
    rows = [[name, *map(str, of.values())] for name, of in found.items() if isinstance(of, Mapping)]
    load = f"{found['cpus']} CPUs, load average {found['load average before']} to {found['load average after']}"
    return table(f"Speed; {load}", ["question", "answers", "first token, s", "whole, s", "characters"], rows)


def _share(found: Found) -> str:
    return percent(found) if "value" in found else "–"


def _counts(found: Found) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.items())


def _answers(confusion: Found) -> list[str]:
    return list(next(iter(confusion.values())))


def _confusion(confusion: Found) -> list[list[str]]:
    return [[label, *map(str, of.values())] for label, of in confusion.items()]
