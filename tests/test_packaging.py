"""What the wheel holds, and that nothing in the repository speaks of where it was made."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_claims_no_name_but_facewitness(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"facewitness"}


def test_the_wheel_holds_all_that_a_run_needs_and_no_tests(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    needed = [
        "py.typed",
        "tools/weights.toml",
        "agent/fusion.json",
        "examples/astronaut.jpg",
        "ui/templates/page.html.j2",
    ]
    assert {f"facewitness/{name}" for name in needed} <= names
    assert not [name for name in names if "/tests/" in name]
    tracked = {path.relative_to(ROOT).as_posix() for area in AREAS for path in (ROOT / area).rglob("*.py")}
    assert {f"facewitness/{name}" for name in tracked} <= names, "a package is missing in pyproject.toml"


AREAS = ("agent", "evals", "finetune", "tools", "ui")


def test_modules_stay_small() -> None:
    lengths = {path: len(path.read_text().splitlines()) for area in AREAS for path in (ROOT / area).rglob("*.py")}
    assert max(lengths.values()) <= 500
    assert sorted(lengths.values())[len(lengths) // 2] < 150


def test_the_base_install_stays_light() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">")[0] for requirement in project["dependencies"]}
    assert not names & {"torch", "transformers", "vllm", "gradio", "peft", "bitsandbytes", "scikit-learn", "ray"}
    extras = {"api", "ui", "finetune", "evals", "plugins", "postgres", "serve", "scale", "screen", "telemetry", "dev"}
    extras |= {"bench", "gallery"}
    assert set(project["optional-dependencies"]) == extras
