"""The command as a user meets it: a process, its two streams and its exit code."""

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from facewitness.agent.record import Record, json_schema

ROOT = Path(__file__).parents[1]


def cpu_seconds() -> float:
    """Of all child processes that have ended: what another program on the machine does makes no difference."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def facewitness(*arguments: object, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100"} | ({"FACEWITNESS_HOME": str(home)} if home else {})
    return subprocess.run(
        [sys.executable, "-m", "facewitness", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.jpg").write_text("not an image")
    (folder / "cut.jpg").write_bytes((ROOT / "examples/astronaut.jpg").read_bytes()[:9000])
    Image.new("RGB", (8, 8)).save(folder / "small.gif")
    return {
        "input.not_an_image": folder / "text.jpg",
        "input.truncated": folder / "cut.jpg",
        "input.unsupported_format": folder / "small.gif",
        "input.unreadable": folder / "missing.jpg",
    }


@pytest.mark.parametrize(
    "code", ["input.not_an_image", "input.truncated", "input.unsupported_format", "input.unreadable"]
)
def test_bad_input_is_one_line_with_its_code(code: str, bad_files: dict[str, Path]) -> None:
    started = cpu_seconds()
    run = facewitness("examine", bad_files[code])
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"facewitness: {code}: ")
    assert run.stderr.count("\n") == 1
    assert cpu_seconds() - started < 1


def test_json_prints_the_record_and_nothing_else(astronaut: Path) -> None:
    run = facewitness("examine", astronaut, "--model", "none", "--json")
    assert run.returncode == 0
    assert run.stderr == ""
    record = Record.model_validate_json(run.stdout)
    assert record.image.width == 512


def test_the_verdict_reads_top_down_without_library_logs(astronaut: Path) -> None:
    run = facewitness("examine", astronaut, "--model", "none")
    assert run.returncode == 0
    assert run.stderr == ""
    order = ["INCONCLUSIVE", "authentic", "Not measured", "Observations", "Interpretation", "Conclusion", "template"]
    places = [run.stdout.index(word) for word in order]
    assert places == sorted(places)
    assert "[e" in run.stdout


def test_a_photo_without_a_face_exits_with_3(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "wall.png")
    run = facewitness("examine", tmp_path / "wall.png", "--model", "none")
    assert run.returncode == 3
    assert "NOT ASSESSABLE" in run.stdout
    assert "No face was found" in run.stdout


def test_out_writes_record_page_and_overlays(astronaut: Path, tmp_path: Path) -> None:
    run = facewitness("examine", astronaut, "--model", "none", "--out", tmp_path / "report")
    assert run.returncode == 0
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"record.json", "index.html", "overlay-faces.png"} <= names
    Record.model_validate_json((tmp_path / "report/record.json").read_text())


def test_enrol_examine_forget(astronaut: Path, tmp_path: Path) -> None:
    assert facewitness("enroll", "Eileen", astronaut, home=tmp_path / "home").returncode == 0
    assert "Eileen" in facewitness("people", home=tmp_path / "home").stdout
    unknown = facewitness("examine", astronaut, "--person", "Nobody", "--model", "none", home=tmp_path / "home")
    assert unknown.returncode == 2
    assert "input.unknown_person" in unknown.stderr
    same = facewitness("examine", astronaut, "--person", "Eileen", "--model", "none", home=tmp_path / "home")
    assert "from the examined photo only" in same.stderr
    Image.open(astronaut).point(lambda value: value * 0.8).save(tmp_path / "dark.png")
    run = facewitness(
        "examine", tmp_path / "dark.png", "--person", "Eileen", "--model", "none", "--json", home=tmp_path / "home"
    )
    record = json.loads(run.stdout)
    assert record["comparison"]["kind"] == "enrolled person"
    assert record["verdict"]["label"] == "the person"
    assert "Eileen" not in run.stdout
    assert facewitness("forget", "Eileen", "--yes", home=tmp_path / "home").returncode == 0
    assert "Eileen" not in facewitness("people", home=tmp_path / "home").stdout


def test_graph_draws_the_examination() -> None:
    drawing = facewitness("graph").stdout
    assert drawing.count("-->") + drawing.count("-.->") >= 9
    assert "check_grounding" in drawing


def test_the_exported_schema_is_current() -> None:
    assert json.loads((ROOT / "docs/verdict.schema.json").read_text()) == json_schema()


def test_help_loads_nothing_that_takes_long() -> None:
    program = "import sys, facewitness.ui.cli; print(sorted({'pydantic', 'numpy', 'langgraph'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def _begun(*command: str) -> subprocess.Popen[str]:
    """It hears interrupts, also where a shell runs the tests in the background, for which it has them ignored."""
    return subprocess.Popen(
        [sys.executable, "-m", "facewitness", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_an_interrupt_ends_it_in_one_line(astronaut: Path) -> None:
    process = _begun("examine", str(astronaut))
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (130, "", "facewitness: interrupted\n")


def test_an_interrupt_when_all_is_said_changes_nothing(astronaut: Path) -> None:
    """It comes while the interpreter winds down, or just before: then it is an interrupt like any other."""
    process = _begun("examine", str(astronaut), "--model", "none", "--json")
    assert process.stdout is not None
    lines = []
    while not lines or lines[-1] != "}\n":
        lines.append(process.stdout.readline())
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    Record.model_validate_json("".join(lines))
    assert (process.returncode, stderr) in ((0, ""), (130, "facewitness: interrupted\n"))


@pytest.mark.parametrize("left", [True, False])
def test_a_tool_that_still_runs_is_not_there_when_the_interpreter_winds_down(left: bool) -> None:
    """Native code in it would abort the process, whatever the command has to say."""
    program = (
        "import atexit, sys, time; from facewitness.agent import abandoned; from facewitness.ui import cli\n"
        "abandoned.begin(lambda: time.sleep(60 * int(sys.argv.pop())))\n"
        "atexit.register(print, 'wound down'); time.sleep(0.1); cli.main()"
    )
    command = [sys.executable, "-c", program, "models", "list", str(int(left))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "smollm2" in done.stdout, "wound down" in done.stdout) == (0, True, not left)


def test_a_program_waits_for_a_tool_that_was_given_up() -> None:
    program = (
        "import time; from facewitness.agent import abandoned\n"
        "abandoned.begin(lambda: (time.sleep(0.5), print('done', flush=True)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.parametrize("arguments", [["graph"], ["--help"], ["examine", ROOT / "examples/astronaut.jpg", "--json"]])
def test_closed_output_is_an_output_error(arguments: list[object], tmp_path: Path) -> None:
    more = ["--model", "none", "--out", tmp_path] if "examine" in arguments else []
    command = [sys.executable, "-m", "facewitness", *map(str, [*arguments, *more])]
    run = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, timeout=120)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "facewitness: output: Bad file descriptor"
    if more:
        Record.model_validate_json((tmp_path / "record.json").read_text())


@pytest.mark.parametrize("place", [".", "/"])
def test_a_folder_is_named_as_it_was_given(place: str) -> None:
    for command in (["examine", place], ["enroll", "Somebody", place]):
        run = facewitness(*command)
        assert run.returncode == 2
        assert run.stderr.startswith(f"facewitness: input.unreadable: {place}: ")


def test_commercial_only_from_the_command_line_and_from_the_environment(
    astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--commercial-only" in facewitness("examine", "--help").stdout
    by_option = facewitness("examine", astronaut, "--model", "none", "--json", "--commercial-only")
    monkeypatch.setenv("FACEWITNESS_COMMERCIAL_ONLY", "1")
    by_environment = facewitness("examine", astronaut, "--model", "none", "--json")
    for run in (by_option, by_environment):
        record = Record.model_validate_json(run.stdout)
        assert record.options.commercial_only
        assert all(model.commercial_use is True for model in record.models)


def test_output_that_cannot_be_written_is_one_line(astronaut: Path) -> None:
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "facewitness", "examine", str(astronaut), "--model", "none"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert run.returncode == 1
    assert run.stderr == "facewitness: output: No space left on device\n"


def test_help_is_quick() -> None:
    times = []
    for _ in range(5):
        started = cpu_seconds()
        assert facewitness("--help").returncode == 0
        times.append(cpu_seconds() - started)
    assert statistics.median(times) < 0.5
