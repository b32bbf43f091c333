"""OW-FFA-Bench (FFAA): ``<set>/imgs`` and ``<set>/<set>.json`` with ``{file: "real" | "fake"}``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidOption
from .item import AUTHENTIC, FORGED, Benchmark, Item, Switches, read_json, relative

_TRUTH = {"real": AUTHENTIC, "fake": FORGED}


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    del switches
    root = data / "benchmark" if (data / "benchmark").is_dir() else data
    folders = (
        [root] if (root / "imgs").is_dir() else sorted(path for path in root.iterdir() if (path / "imgs").is_dir())
    )
    for folder in folders:
        files = sorted(folder.glob("*.json"))
        if len(files) != 1:
            raise InvalidOption(f"{folder.name} holds {len(files)} JSON files, and one is expected.")
        for name, said in read_json(files[0]).items():
            # The set of many attacks names the attack beside the label; code and README call it by different names.
            label, kind = (said[0], str(said[1])) if isinstance(said, list) else (said, "")
            if label not in _TRUTH:
                raise InvalidOption(f"{files[0].name}: {name} is neither real nor fake.")
            path = relative(folder / "imgs" / name, data)
            yield Item(
                path,
                "forgery",
                (path,),
                _TRUTH[label],
                cluster=path,
                method="" if label == "real" else kind or folder.name,
                groups={"set": folder.name},
            )


BENCHMARK = Benchmark(
    name="ow-ffa-bench",
    title="OW-FFA-Bench: seven sets of forged and real faces",
    layout="dfd, dfdc, dpf, ma, mffdi, pgc, wfir, each with imgs/ and one JSON {file: real | fake}, or "
    "{file: [label, type]}.",
    polarity="Published words real and fake. Here fake is positive; what the published code prints as tpr is the "
    "recall of real faces.",
    read=_read,
    source="README and eval.py of FFAA",
)
