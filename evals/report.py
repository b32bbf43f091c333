"""A run as a report: one HTML page that needs nothing else, Markdown, JSON, and a CSV line for each answer.

Thumbnails are in the HTML page only, which is the reader's own; the other files hold no picture.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..errors import InvalidOption
from . import benchmarks, change_scores, charts, comparison, gallery, metrics
from .forgery_report import table, text
from .leakage import Leakage
from .runner import Run
from .scores import scored, threshold_of

WIDEST = 12
"""Columns of a Markdown table, above which people are left out."""
UNSHOWN = 12
"""Samples without a score that are listed."""
HEADLINES = (
    "three-way macro accuracy, abstentions wrong", "auc", "eer", "accuracy as answered",
    "accuracy, classes weighing alike", "macro f1", "word f1 of answers",
)  # fmt: skip
"""The first three of these stand at the top of the page."""
_ABBREVIATED = re.compile(r"\b(auc|eer|ece|tpr|fpr|f1|psnr)\b")
_NUMBERS = re.compile(r"\[[-+\d.eE,\s]+\]")
Found = dict[str, Any]
TITLES = {
    "agent": "agent", "tools": "tools only", "vlm": "VLM only", "blind": "VLM shown grey", "told": "VLM told",
    "turned": "VLM told, turned round", "similarity": "similarity only", "constant": "constant guess",
}  # fmt: skip


def result(
    run: Run, time_limit: float | None = None, leakage: Leakage | None = None, rounds: int = metrics.ROUNDS
) -> Found:
    """Everything but pictures, as plain JSON types."""
    plan, benchmark = run.plan, benchmarks.find(run.plan.benchmark)
    first = plan.systems[0]
    return {
        "benchmark": plan.benchmark,
        "title": benchmark.title,
        "polarity": benchmark.polarity,
        "layout read from": benchmark.source,
        "data": Path(plan.data).name,
        "samples sha256": _digest(run),
        "options": dict(plan.switches),
        "limit": plan.limit,
        "time limit, seconds": time_limit,
        "model": plan.model,
        "model that looks": plan.looker,
        "evaluated": first,
        "systems": scored(run, time_limit, rounds),
        "beside": {name: _beside(run, first, name, rounds) for name in plan.systems[1:] if name in run.rows},
        "leakage": leakage.to_json() if leakage else None,
        "intervals": f"95 %, percentile bootstrap over people or videos, {rounds} resamples",
        "command": plan.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: dict(held) for name, held in run.made_by.items()},
    }


def _digest(run: Run) -> str:
    """Hash of what was asked: ids, pictures and truth of all samples, as a JSON list."""
    found = hashlib.sha256(b"[")
    for place, (item, _) in enumerate(next(iter(run.rows.values()))):
        asked = [item.id, item.images, item.references, item.truth, dict(item.units), item.split]
        found.update(f"{', ' if place else ''}{json.dumps(asked)}".encode())
    found.update(b"]")
    return found.hexdigest()


def _beside(run: Run, first: str, other: str, rounds: int) -> Found | None:
    """The evaluated system less a baseline; None where they share no sample."""
    try:
        rows = [change_scores.plain(run.rows[name]) for name in (other, first)]
        return comparison.paired(rows[0], rows[1], (other, first), rounds).to_json()
    except InvalidOption:
        return None


def write(run: Run, found: Found, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``results.json`` and ``answers.csv``; existing ones are replaced."""
    files: dict[str, Iterable[str]] = {
        "report.html": [html(run, found)],
        "report.md": [markdown(found)],
        "results.json": [_NUMBERS.sub(_in_one_line, json.dumps(found, indent=1, ensure_ascii=False)), "\n"],
        "answers.csv": answers(run),
    }
    for name, content in files.items():
        draft = out / f".{name}.part"
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.writelines(content)
        draft.replace(out / name)
    return [out / name for name in files]


def _in_one_line(listed: re.Match[str]) -> str:
    return " ".join(listed[0].split())


def html(run: Run, found: Found) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("facewitness.evals", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = (Path(__file__).parent / "templates" / "evaluation.css").read_text("utf-8")
    first = found["evaluated"]
    rows = change_scores.plain(run.rows[first])
    errors = gallery.worst(rows, first)
    return environment.get_template(
        "evaluation.html.j2"
    ).render(
        css=Markup(css),  # noqa: S704 - our own file
        css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        found=found,
        titles=TITLES,
        change_table=change_table,
        names=figure_names(found),
        named=named,
        headlines=headlines(found),
        figure=text,
        charts=_charts(found),
        errors=gallery.shown(errors, run.plan.root),
        count=len(gallery.worst(rows, first, len(rows))),
        unscored=[row for row in rows if row.answer.unscored and row.item.split == "test"][:UNSHOWN],
        threshold=threshold_of(first),
    )


def _charts(found: Found) -> list[tuple[str, charts.Chart]]:
    curves = {TITLES[name]: of["curves"] for name, of in found["systems"].items() if "curves" in of}
    if not curves:
        return []
    roc = {name: of["roc"] for name, of in curves.items()}
    risk = {name: of["risk and coverage"] for name, of in curves.items() if name != TITLES["constant"]}
    bins = {name: of["reliability"] for name, of in curves.items() if "reliability" in of}
    top = charts.nice_top(max((y for points in risk.values() for _, y in points), default=1.0))
    made = [
        ("ROC", charts.lines(roc, "False positive rate", "True positive rate", diagonal=True)),
        ("Risk over coverage", charts.lines(risk, "Share answered, the surest first", "Errors among these", top=top)),
    ]
    if bins:
        drawn = charts.lines(bins, "Probability given", "Share that is positive", diagonal=True, dots=True)
        made.append(("Reliability", drawn))
    return made


def figure_names(found: Found) -> list[str]:
    """Of all systems, in the order of the first that has them."""
    names = (
        name for of in found["systems"].values() for name, value in of["figures"].items() if isinstance(value, dict)
    )
    return list(dict.fromkeys(names))


def named(figure: str) -> str:
    """A figure's name as it is read: abbreviations in capitals."""
    return _ABBREVIATED.sub(lambda match: match[0].upper(), figure)


def headlines(found: Found) -> list[str]:
    """Figures for the top of the page, of the evaluated system."""
    have = found["systems"][found["evaluated"]]["figures"]
    means = [name for name in have if name.startswith("f1, mean")]
    ready = [name for name in (*HEADLINES, *means) if name in have and have[name]["value"] is not None]
    return ready[:3]


def markdown(found: Found) -> str:
    """The tables."""
    systems = found["systems"]
    head = ["figure", *(TITLES[name] for name in systems)]
    rows = [
        ["scored / samples", *(f"{of['scored']} / {of['samples']}" for of in systems.values())],
        ["abstained", *(str(of["abstained"]) for of in systems.values())],
        ["of these without a reading", *(str(sum(of["no reading"].values())) for of in systems.values())],
        *[[named(name), *(text(of["figures"].get(name)) for of in systems.values())] for name in figure_names(found)],
    ]
    parts = [
        f"# {found['title']}",
        f"Data `{found['data']}`, samples sha256 `{found['samples sha256'][:16]}`. {found['polarity']}",
        *(f"**{TITLES[name]}: {warning}**" for name, of in systems.items() for warning in of["warnings"]),
        table(f"Figures; {found['intervals']}", head, rows),
        _counted("Not scored", {TITLES[name]: of["unscored"] for name, of in systems.items()}),
        *_changes(systems),
        *_methods(systems[found["evaluated"]].get("methods")),
        *_groups(systems[found["evaluated"]]["groups"]),
        *_named("Explanations", systems, "explanations"),
        *_costs(systems),
        *([_leakage(found["leakage"])] if found["leakage"] else []),
        f"`{found['command']}`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _counted(title: str, of: Mapping[str, Mapping[str, int]]) -> str:
    rows = [[name, code, str(count)] for name, codes in of.items() for code, count in codes.items()]
    return table(title, ["system", "why", "samples"], rows) if rows else ""


def _methods(found: Found | None) -> list[str]:
    if not found:
        return []
    columns = found["columns"] if len(found["columns"]) <= WIDEST else found["columns"][:1]
    rows = [[name, *(_cell(found["cells"][name][column]) for column in columns)] for name in found["rows"]]
    return [table("AUC by method and person (samples)", ["method", *columns], rows)]


CHANGES = (
    "psnr, dB, median", "labels changed", "abstained after", "genuine, accepted after", "not genuine, accepted after",
    "calls changed", "genuine, called genuine after", "not genuine, called genuine after", "auc after",
    "auc, after less before",
)  # fmt: skip
"""Columns of the table of changed photos."""


def change_table(changes: Found) -> tuple[list[str], list[list[str]]]:
    """Columns, and a row for each change."""
    columns = [name for name in CHANGES if any(of.get(name) is not None for of in changes.values())]
    rows = [
        [name, str(of["samples"]), str(sum(of["unscored"].values())), str(of["no reading"]),
         *(_changed(of.get(column)) for column in columns)]
        for name, of in changes.items()
    ]  # fmt: skip
    return ["change", "photos", "not scored", "no reading", *map(named, columns)], rows


def _changed(value: Any) -> str:
    return text(value) if isinstance(value, dict) else "–" if value is None else str(value)


def _changes(systems: Found) -> list[str]:
    return [
        table(f"Changed photos against the same unchanged: {TITLES[name]}", *change_table(of["changes"]))
        for name, of in systems.items()
        if "changes" in of
    ]


def _cell(cell: Found | None) -> str:
    if cell is None:
        return "–"
    return f"{'–' if cell['auc'] is None else format(cell['auc'], '.3f')} ({cell['samples']})"


def _groups(found: Found) -> list[str]:
    return [
        table(f"{rate.capitalize()} by {name}", [name, "share", "samples"],
              [*([group, text(of), str(of["samples"])] for group, of in held["by group"].items()),
               ["greatest difference", text(held["greatest difference"]), ""]])
        for name, rates in found.items()
        for rate, held in rates.items()
    ]  # fmt: skip


def _named(title: str, systems: Found, part: str) -> list[str]:
    names = list(dict.fromkeys(name for of in systems.values() for name in of[part]))
    shown = {name: of[part] for name, of in systems.items() if of[part]}
    rows = [[name, *(text(of.get(name)) for of in shown.values())] for name in names]
    return [table(title, ["figure", *(TITLES[name] for name in shown)], rows)] if rows else []


def _costs(systems: Found) -> list[str]:
    shown = {name: of["costs"] for name, of in systems.items() if of["costs"]}
    names = list(dict.fromkeys(name for of in shown.values() for name in of))
    rows = [[name, *("–" if of[name] is None else str(of[name]) for of in shown.values())] for name in names]
    return [table("Costs", ["", *(TITLES[name] for name in shown)], rows)] if rows else []


def _leakage(found: Found) -> str:
    return (
        f"Leakage: {found['evaluated pictures found in training']} of {found['evaluated pictures']} evaluated pictures "
        f"are among {found['training pictures']} training pictures; {found['unreadable']} could not be read."
    )


_COLUMNS = ("system", "id", "kind", "split", "truth", "method", "person", "cluster", "label", "score", "unscored",
            "milliseconds", "tokens")  # fmt: skip


def answers(run: Run) -> Iterator[str]:
    """A line for each answer."""
    yield _line(_COLUMNS)
    for name, rows in run.rows.items():
        for item, answer in rows:
            yield _line(
                _safe((name, item.id, item.kind, item.split, item.truth, item.method, item.person, item.cluster,
                       answer.label, answer.score, answer.unscored, answer.ms, answer.tokens))
            )  # fmt: skip


def _line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _safe(values: Sequence[Any]) -> list[Any]:
    """A spreadsheet runs what begins like a formula; names of files are not ours."""
    return [f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" and value else value for value in values]
