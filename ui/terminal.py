"""The verdict on a terminal: readable in ten seconds, the reasoning below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from ..agent.record import ClaimInfo, EvidenceInfo, Record
from .parts import TOOLS, is_part, parts
from .wording import checked, percent, sentences

STYLES = {
    "authentic": "green",
    "the person": "green",
    "manipulated": "red",
    "synthetic": "red",
    "a forgery of the person": "red",
    "someone else": "magenta",
    "inconclusive": "yellow",
}
STAGES = {
    "find_faces": "Finding faces",
    "plan": "Planning the examination",
    "sight": "Looking at the face",
    "weigh": "Weighing the evidence",
    "reason": "Writing the reasoning",
    "check_grounding": "Checking every sentence against the evidence",
    "report": "Making the record",
    "zoom": "Looking closer",
    "detect_at_scale": "Asking the detectors at another size",
    "counterfactual": "Deciding again with other evidence",
    "think": "Asking the language model",
}
BAR = 24
FINDINGS = 3
MARKS = 4


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show on stderr which stage runs and how long each took; nothing when quiet or not on a terminal."""
    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal:
        yield lambda event: None
        return
    running: dict[str, Any] = {}
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:

        def on_event(event: dict[str, Any]) -> None:
            key = f"{event['stage']} {event.get('face') or ''}".strip()
            if event["status"] == "started":
                running[key] = bar.add_task(_title(event["stage"]), total=None)
            elif key in running:
                bar.remove_task(running.pop(key))
                if "ms" in event:
                    console.print(f"[dim]{event['ms']:7.0f} ms  {_title(event['stage'])}[/dim]")

        yield on_event


def _title(stage: str) -> str:
    from ..tools.registry import tools

    return STAGES.get(stage) or tools()[stage].title


def show(record: Record, console: Console | None = None) -> None:
    """Print a verdict: card, deciding findings, parts of the face, what was not measurable, reasoning, models."""
    console = console or Console(highlight=False)
    console.print(_card(record))
    _section(console, "What decides", _deciding(record))
    _section(console, "Part by part, from 0 to 1", _part_by_part(record))
    _section(console, "Not measured", _not_measured(record))
    for section, claims in sentences(record.explanation).items():
        if section != "summary":
            _section(console, section.capitalize(), [_prose(claims)])
    console.print(_footer(record))


def _card(record: Record) -> Panel:
    verdict = record.verdict
    style = STYLES[verdict.label]
    title = verdict.label.upper() if verdict.assessable else "INCONCLUSIVE: NOT ASSESSABLE"
    parts: list[RenderableType] = []
    if verdict.assessable:
        parts.append(_bars(record, style))
    parts += [Text(f"• {reason.text}") for reason in verdict.reasons]
    parts += _how_to_compare_others(record)
    subject = f"face {record.subject[1:]} of {len(record.faces)}" if record.subject else "no face"
    return Panel(
        Group(*parts),
        title=Text(f" {title} ", style=f"bold {style}"),
        subtitle=subject,
        border_style=style,
        expand=False,
    )


def _how_to_compare_others(record: Record) -> list[Text]:
    """The options with which the other faces of a group photo are compared, where that was not tried."""
    left = [face.id[1:] for face in record.faces if face.assessable is None]
    if record.comparison is None or not record.subject or not left:
        return []
    numbers = " or ".join(left) if len(left) < MARKS else f"{left[0]} … {left[-1]}"
    return [Text(f"  Compare another face with --face N ({numbers}), or each with --all-faces.")]


def _bars(record: Record, style: str) -> Table:
    table = Table.grid(padding=(0, 1))
    for label, probability in sorted(record.verdict.probabilities.items(), key=lambda item: -item[1]):
        filled = round(probability * BAR)
        decided = label == record.verdict.label
        bar = Text("█" * filled, style=style if decided else "dim") + Text("░" * (BAR - filled), style="dim")
        table.add_row(Text(label, style="bold" if decided else ""), bar, percent(probability))
    return table


def _deciding(record: Record) -> list[Text]:
    by_id = {item.id: item for item in record.evidence}
    decided = [by_id[key] for key in record.verdict.deciding if key in by_id and by_id[key].status == "ok"]
    return [_finding(item) for item in decided[:FINDINGS]]


def _not_measured(record: Record) -> list[Text]:
    """A line for each reason; one that several tools give names them, since it does not say what is missing."""
    same: dict[str, list[EvidenceInfo]] = {}
    for item in record.evidence:
        if item.status != "ok" and not is_part(item):
            same.setdefault(item.finding, []).append(item)
    return [_lacking(items) for items in same.values()]


def _lacking(items: list[EvidenceInfo]) -> Text:
    if len(items) == 1:
        return _finding(items[0])
    tools = ", ".join(dict.fromkeys(item.tool.replace("_", " ") for item in items))
    cited = "".join(f" [{item.id}]" for item in items)
    return Text(f"• {tools[:1].upper()}{tools[1:]}: {items[0].finding}") + Text(cited, style="cyan")


def _part_by_part(record: Record) -> list[Text]:
    """One line for each tool that looks at the parts of a face, the greatest value first."""
    rows = parts(record.evidence)
    lines = []
    for tool, heading in TOOLS.items():
        found = {row.name: row.found[tool] for row in rows if tool in row.found}
        measured = {name: item for name, item in found.items() if item.status == "ok"}
        said = [
            f"{name} {item.value:.2f}"
            for name, item in sorted(measured.items(), key=lambda pair: -float(pair[1].value or 0))
        ]
        said += [f"{name} not measured" for name in found if name not in measured]
        lines += [Text(f"{heading}: {', '.join(said)}")] if said else []
    return lines


def _finding(item: EvidenceInfo) -> Text:
    return Text(f"• {item.finding}") + Text(f" [{item.id}]", style="cyan")


def _prose(claims: list[ClaimInfo]) -> Text:
    """Sentences, each followed by the evidence that it cites."""
    return Text(" ").join(Text(claim.text) + _marks(claim) for claim in claims)


def _marks(claim: ClaimInfo) -> Text:
    shown = claim.evidence if len(claim.evidence) <= MARKS else [claim.evidence[0], "…", claim.evidence[-1]]
    unsupported = "" if claim.supported else " (not supported by the evidence)"
    return Text("".join(f" [{key}]" for key in shown), style="cyan") + Text(unsupported, style="red")


def _section(console: Console, title: str, lines: list[Text]) -> None:
    if any(line.plain for line in lines):
        console.print(Text(f"\n{title}", style="bold"))
        for line in lines:
            console.print(line)


def _footer(record: Record) -> Text:
    explanation = record.explanation
    writer = explanation.model or "the template"
    why = f" ({explanation.why_template})" if explanation.why_template else ""
    others = [model.name for model in record.models if model.commercial_use is not True]
    licences = f"commercial use forbidden or not known: {', '.join(others)}" if others else "all allow commercial use"
    check = f" {checked(explanation)}" if explanation.grounding else ""
    return Text(
        f"\nReasoning written by {writer}{why}.{check}\n{len(record.models)} models and methods, {licences}.\n"
        f"{record.id}, photo sha256 {record.image.sha256[:12]}, {record.timings_ms['total'] / 1000:.1f} s",
        style="dim",
    )
