"""The tables of ``evals.forgery`` as Markdown, to paste into model cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .forgery_material import SIDES, TASKS

Found = Mapping[str, Any]


def markdown(result: Found) -> str:
    """All tables of one result file; parts that were not measured are left out.

    The column ``raw`` is the AUC before scores are normalised and calibrated. Behind a baseline's AUC stands in
    brackets how much higher the detector's is.
    """
    sections = [
        *(_families(found, int(side)) for side, found in result["matched"].items()),
        *([_left_out(result["variants"])] if result.get("variants") else []),
        *([_half_unseen(result["half unseen"])] if "half unseen" in result else []),
        _sources(result["real against real"]),
        _of_one_person(result["two photos of one person"]),
        *([_operating(result)] if "real called forged" in result else []),
        *([_coverage(result["coverage"])] if "coverage" in result else []),
        _maps(result["map"]),
        _parts(result["parts"]),
        *([_conditions(result["conditions"])] if "conditions" in result else []),
        *([_order(result["order"])] if "order" in result else []),
    ]
    return "\n\n".join([f"Detector `{result['detector']['name']}`, sha256 {result['detector']['sha256']}.", *sections])


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A titled Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return f"**{title}**\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def text(figure: Found | None, digits: int = 3) -> str:
    """``0.912 [0.880, 0.941]``; a dash where there is nothing."""
    if figure is None or figure["value"] is None:
        return "–"
    ends = figure["95% interval"]
    value = f"{figure['value']:.{digits}f}"
    return value if ends is None else f"{value} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def percent(figure: Found) -> str:
    """``0.4 % [0.1, 1.2]``."""
    if figure["value"] is None:
        return "–"
    low, high = (100 * end for end in figure["95% interval"] or (figure["value"], figure["value"]))
    return f"{100 * figure['value']:.1f} % [{low:.1f}, {high:.1f}]"


def _families(families: Found, side: int) -> str:
    names = _baselines(families)
    head = ["family", "what", "forged / real", "AUC", "raw", "EER", "TPR at FPR 1 %", "ECE", *names, "beats each"]
    rows = [_line(family, what, row, names) for family in TASKS for what, row in _rows(families[family])]
    return table(f"Forged against real, {side} px, JPEG 75, people unseen in training", head, rows)


def _baselines(families: Found) -> list[str]:
    rows = (row for family in TASKS for _, row in _rows(families[family]))
    return sorted({name for row in rows for name in row["baselines"]})


def _rows(family: Found) -> Iterator[tuple[str, Found]]:
    for what in ("all", "left out of training"):
        if family.get(what):
            yield what, family[what]
    for title in ("sources", "kinds"):
        for what, row in family.get(title, {}).items():
            if row:
                yield (f"of {what}" if title == "sources" else what), row


def _line(family: str, what: str, row: Found, names: Sequence[str]) -> list[str]:
    beside = row["baselines"]
    beaten = "–" if not names else "yes" if all(beside[name]["beaten"] for name in names) else "**no**"
    raw = text(row["raw auc"] | {"95% interval": None})
    figures = (text(row["auc"]), raw, text(row["eer"]), text(row["tpr at fpr 1 %"]), text(row.get("ece")))
    aucs = [f"{beside[name]['auc']['value']:.3f} ({_sign(beside[name])})" for name in names]
    return [family, what, f"{row['forged']} / {row['real']}", *figures, *aucs, beaten]


def _sign(beside: Found) -> str:
    """How much better the detector is: ``+0.051 [+0.020, +0.080]``."""
    apart = beside["detector minus baseline"]
    ends = apart["95% interval"]
    return f"{apart['value']:+.3f}" + ("" if ends is None else f" [{ends[0]:+.3f}, {ends[1]:+.3f}]")


def _left_out(variants: Sequence[Found]) -> str:
    head = ["network", "left out", "family", "forged / real", "AUC", "EER", "TPR at FPR 1 %", "baselines' AUC"]
    rows = []
    for variant in variants:
        about = variant["detector"]
        for family, row in variant["left out of training"].items():
            if row:
                beside = ", ".join(f"{name} {text(found['auc'])}" for name, found in row["baselines"].items()) or "–"
                figures = (text(row["auc"]), text(row["eer"]), text(row["tpr at fpr 1 %"]))
                named = f"`{about['left out']}`".replace("|", "\\|")
                rows.append([about["name"], named, family, f"{row['forged']} / {row['real']}", *figures, beside])
    return table("Methods that training never showed", head, rows)


def _half_unseen(tasks: Found) -> str:
    columns = ("ece", "brier", "auc", "error at 100%", "error at 80%", "80% over 100%")
    rows = [[task, *(text(found[name]) for name in columns)] for task, found in tasks.items()]
    return table("Half of the forgeries of methods never seen", ["task", *columns], rows)


def _sources(sides: Found) -> str:
    pairs: Found = sides[str(SIDES[0])]
    names = list(next(iter(next(iter(pairs.values())).values()))) if pairs else []
    rows = [
        [side, pair, family, *(text(found[family][name]) for name in names)]
        for side, table in sides.items()
        for pair, found in table.items()
        for family in TASKS
    ]
    return table("Real against real of another source (0.5: no bias)", ["px", "pair", "score", *names], rows)


def _of_one_person(sources: Found) -> str:
    rows = ([name, str(row["people"]), *(text(row[task]) for task in TASKS)] for name, row in sources.items())
    return table("Two real photos of one person, correlation of raw scores", ["source", "people", *TASKS], rows)


def _operating(result: Found) -> str:
    rows = [
        [f"{kind}, {name}", str(found["photos"]), percent(found["share"]), percent(beside[name]["share"])]
        for kind in ("real", "forged")
        for beside in [result[f"{kind} not believed"]]
        for name, found in result[f"{kind} called forged"].items()
    ]
    head = ["what", "photos", "called forged", "unlike the training data"]
    return table("At the verdict's operating point", head, rows)


def _coverage(families: Found) -> str:
    head = ["family", *next(iter(families.values()))]
    rows = [[name, *(text(figure) for figure in found.values())] for name, found in families.items()]
    return table("Error by coverage, real and forged weighing the same", head, rows)


def _maps(kinds: Found) -> str:
    measures = ("pixel auc, mean", "pixel auc, pooled", "maximum on the mask")
    head = ["altered", "photos", *measures, *(f"usual place: {name}" for name in measures)]
    rows = [
        [name, str(found["map"]["photos"]), *(text(found[way][m]) for way in ("map", "usual place") for m in measures)]
        for name, found in kinds.items()
    ]
    return table("The map against the true masks", head, rows)


def _parts(parts: Found) -> str:
    rows = [[name, f"{found['altered']} / {found['intact']}", text(found["auc"])] for name, found in parts.items()]
    return table("Heat in a part of the face", ["part", "altered / intact", "AUC"], rows)


def _conditions(conditions: Found) -> str:
    head = ["condition", *(f"{family}, AUC" for family in TASKS), "real called forged"]
    rows = []
    for name, found in conditions.items():
        alarms = found.get("real called forged", {}).get("all")
        figures = (text(found[family].get("auc")) for family in TASKS)
        rows.append([name, *figures, percent(alarms["share"]) if alarms else "–"])
    return table("After what photos go through, real and forged alike", head, rows)


def _order(order: Found) -> str:
    rows = [
        [way, *(f"{of[part]:.1e}" for part in ("scores", "map"))] for way, of in order["largest difference"].items()
    ]
    return table(f"Largest change of {order['crops']} crops' scores by order and batch", ["way", "score", "map"], rows)
