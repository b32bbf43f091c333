"""The machine that figures were taken on."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("numpy", "opencv-python-headless", "openvino", "ai-edge-litert", "faiss-cpu", "torch", "transformers")


def described() -> dict[str, Any]:
    """Processor, cores, memory, system and the versions that matter for speed."""
    found: dict[str, Any] = {
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": cores(),
        "memory_gb": round(int((_line("/proc/meminfo", "MemTotal") or "0").split()[0]) / 1e6, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {},
    }
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found["packages"][name] = version(name)
    return found


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """Processes that wanted a core, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def resident(pid: int) -> float:
    """Megabytes that a process holds, shared pages included."""
    return round(int((_line(f"/proc/{pid}/status", "VmRSS") or "0").split()[0]) / 1e3, 1)


def _line(file: str, name: str) -> str:
    with suppress(OSError):
        for line in Path(file).read_text("utf-8").splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""
