"""Published benchmarks and plain folders, each read from its own layout: one file a benchmark, and one line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ...errors import InvalidOption
from .item import Benchmark, Item, Switches

MODULES = (
    "folder", "table", "vipbench", "deepfakebench", "deepfakebench_mm", "lfw_pairs", "ow_ffa_bench", "hydrafake",
    "fakeclue", "x2dfd", "dd_vqa", "facexbench", "action_unit_lists", "bp4d", "disfa", "rafdb", "affectnet", "fairface",
    "utkface", "robustness",
)  # fmt: skip

__all__ = ["Benchmark", "Item", "Switches", "benchmarks", "find"]


@cache
def benchmarks() -> dict[str, Benchmark]:
    """All by name."""
    found = [import_module(f".{module}", __package__).BENCHMARK for module in MODULES]
    return {benchmark.name: benchmark for benchmark in found}


def find(name: str) -> Benchmark:
    """One by its name.

    Raises:
        InvalidOption: There is none of that name.
    """
    try:
        return benchmarks()[name]
    except KeyError:
        raise InvalidOption(f"There is no benchmark {name}; there are {', '.join(benchmarks())}.") from None
