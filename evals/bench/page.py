"""What was found, as a page with plots: ``docs/benchmarks.md`` is made by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .plots import Bar, bars

Found = Mapping[str, Any]
Plots = dict[str, str]

_HEAD = """# Benchmarks

```sh
pip install "facewitness[bench]"
facewitness bench                                                # with the photos that come with facewitness
facewitness bench --photos photos/ --peer peers/bin/python       # all parts, peers in a Python of their own
facewitness bench --part gallery --part start --out mine.json    # some; the others in the file stay as they were
```

What is compared does the same work in the same round, in turns, in an order that is drawn; a figure is the median over
the rounds with the least and the greatest. Peers are not dependencies. They run in a Python that `--peer` names:

```sh
python -m venv peers
peers/bin/pip install dlib-bin face_recognition_models "setuptools<81" numpy pillow click
peers/bin/pip install --no-deps face_recognition                 # --no-deps: it would build dlib
python -m venv mtcnn && mtcnn/bin/pip install facenet-pytorch    # --peer can be given more than once
```

This page and its plots are written by `facewitness bench --page`, from a file of results."""


def write(result: Mapping[str, Any], page: Path) -> list[Path]:
    """Write the page, and the plots into ``images`` beside it; the paths of all."""
    sections, plots = [_HEAD], Plots()
    for name, (title, told) in _SECTIONS.items():
        part = result["parts"].get(name)
        if part is None:
            continue
        found = part["found"]
        body = f"Not measured: {found['why_not']}" if "why_not" in found else told(found, plots)
        sections += [f"## {title}", body, _machine(part["machine"])]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    written = [page]
    for name, drawing in plots.items():
        path = page.parent / "images" / f"bench_{name}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawing, encoding="utf-8")
        written.append(path)
    return written


def _machine(about: Found) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"<sub>{about['processor']}, {about['cores']} cores, {about['memory_gb']:g} GB; load {about['load_before']} "
        f"before, {about['load_after']} after; Python {about['python']}, {packages}</sub>"
    )


def _faces(found: Found, plots: Plots) -> str:
    lines, drawn = [], []
    for name, row in found["ways"].items():
        if "why_not" in row:
            lines.append([name, row["why_not"], "", ""])
            continue
        beside = _span(row["times_faster"]) + f" ({row['compared_with']})" if "times_faster" in row else ""
        lines.append([name, _span(row["photos_per_second"]), str(row["faces"]), beside])
        drawn.append(_bar(name, row["photos_per_second"], name.startswith("facewitness")))
    plots["faces"] = bars("Photos a second: faces found and embedded", drawn)
    least, most = found["long_side_px"]
    size = f"{least}" if least == most else f"{least} to {most}"
    text = (
        f"{found['photos']} decoded photos of {size} px on the long side; every face found is embedded, except where "
        "only detection is named: facenet-pytorch's embedding is not in its package."
    )
    return _shown(text, ["", "photos a second", "faces", "facewitness is times faster"], lines, "faces")


def _evidence(found: Found, plots: Plots) -> str:
    names = {"networks": "the networks in a plain loop", "evidence": "all evidence", "verdict": "evidence and verdict"}
    lines, drawn = [], []
    for cores in ("one core", "all cores"):
        lines += [[f"{what}, {cores}", _span(found[cores][name])] for name, what in names.items()]
        batches = found[cores]["forensic network"].items()
        lines += [[f"forensic network, crops {way}, {cores}", _span(taken)] for way, taken in batches]
        drawn += [_bar(f"{what}, {cores}", found[cores][name], name != "networks") for name, what in names.items()]
    plots["evidence"] = bars("Milliseconds a photo", drawn)
    text = (
        f"{found['photos']} decoded photos. The networks are detection, mesh and blendshapes, embedding and the "
        "forensic network, as the tools call them. How near all evidence, with what no network measures (compression "
        "traces, metadata, quality), comes to the limit is their share of its time: "
        f"{_span(found['one core']['share'])} on one core, {_span(found['all cores']['share'])} on all."
    )
    return _shown(text, ["", "milliseconds a photo"], lines, "evidence")


def _explanation(found: Found, plots: Plots) -> str:
    lines = [[name, _span(seconds)] for name, seconds in found["seconds"].items()]
    drawn = [_bar(name, seconds, number == 0) for number, (name, seconds) in enumerate(found["seconds"].items())]
    plots["explanation"] = bars("Seconds for the explanations of a photo", drawn)
    text = (
        f"{found['model']}, greedy, in single precision, the prompts of real examinations: {found['requests']} "
        f"answers, of which {found['same_answers']} are the same, letter by letter. "
        f"It is {_span(found['times_faster'])} times faster."
    )
    return _shown(text, ["", "seconds a photo"], lines, "explanation")


def _agent(found: Found, plots: Plots) -> str:
    return (
        f"With a served model, an examination takes {found['median']} times as long as its evidence and the same "
        "requests to the bare model, one after the other."
    )


def _screen(found: Found, plots: Plots) -> str:
    rows = [[_processes(name), _span(rates)] for name, rates in found["processes"].items()]
    rows += [[f"as many, beside it: {name}", _span(rates)] for name, rates in (found.get("on_ray") or {}).items()]
    plots["screen"] = bars("Photos a second", [_bar(_processes(n), rates) for n, rates in found["processes"].items()])
    million, memory = found["million"], found["memory"]
    text = (
        f"{found['photos']} photos, after the models are loaded. All processes are "
        f"{_span(found['times_faster'])} times faster than one. {found['processor_seconds_a_photo']} processor "
        f"seconds a photo, start included: {million['core_hours']:,} core hours for a million, {million['cost']:.2f} "
        f"at {million['price_of_a_core_hour']:g} an hour and core (an assumption: `--core-hour`), without storage and "
        f"transfer. Memory of {memory['processes']} processes over {memory['photos']:,} photos: "
        f"{memory['second_quarter_mb']:,.0f} MB in the second quarter, {memory['last_quarter_mb']:,.0f} MB in the last."
    )
    return _shown(text, ["", "photos a second"], rows, "screen")


def _processes(number: str) -> str:
    return f"{number} process" + "es" * (number != "1")


def _gallery(found: Found, plots: Plots) -> str:
    rows, drawn = [], []
    for size, one in found["sizes"].items():
        ours, plain = one["milliseconds"].items()
        changes = f"{one['enroll_ms']:,.0f} / {one['forget_ms']:,.0f}"
        after = f"{one['search_after_enroll_ms']:,.0f} / {one['search_after_forget_ms']:,.0f}"
        line = [f"{int(size):,}", _span(ours[1]), f"{one['queries_per_second']:,}", f"{one['top_1_recall']:g}"]
        line += [_span(plain[1]), f"{one['load_seconds']:g}", f"{one['memory_mb']:,.0f}", changes, after]
        rows.append(line)
        drawn += [_bar(f"{way}, {int(size):,}", times, way == ours[0]) for way, times in (ours, plain)]
    plots["gallery"] = bars("Milliseconds a query, by templates", drawn, log=True)
    text = (
        f"One face against all templates of an encrypted store, {found['queries']} queries one after the other, each "
        "with its read of the sealed records that confirm the matches. Random features: a photo of an enrolled "
        "person has a cosine of about 0.74. Recall is against comparing with everybody in single precision."
    )
    head = ["templates", "ms a query", "queries a second", "top-1 recall", "plain scan, ms", "first search, s", "MB"]
    return _shown(text, [*head, "enroll / forget, ms", "search after, ms"], rows, "gallery")


def _start(found: Found, plots: Plots) -> str:
    plots["start"] = bars("Seconds", [_bar(name, seconds) for name, seconds in found.items()])
    text = "New processes, files in the system's memory; the next verdict is in the same process, of the same photo."
    return _shown(text, ["", "seconds"], [[name, _span(seconds)] for name, seconds in found.items()], "start")


_SECTIONS: dict[str, tuple[str, Callable[[Found, Plots], str]]] = {
    "faces": ("Finding and embedding faces", _faces),
    "evidence": ("All evidence, beside its networks", _evidence),
    "explanation": ("The embedded language model", _explanation),
    "agent": ("The agent around a served model", _agent),
    "screen": ("Screening", _screen),
    "gallery": ("Large galleries", _gallery),
    "start": ("Start-up", _start),
}


def _span(spread: Found) -> str:
    return f"{spread['median']:,.4g} ({spread['low']:,.4g} to {spread['high']:,.4g})"


def _bar(name: str, spread: Found, ours: bool = True) -> Bar:
    return Bar(name, spread["median"], spread["low"], spread["high"], ours)


def _shown(text: str, head: list[str], rows: list[list[str]], plot: str) -> str:
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n{table}\n\n![{text.partition('.')[0]}](images/bench_{plot}.svg)"
