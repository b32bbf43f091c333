"""``facewitness serve`` as far as it goes without vLLM: the command that it would start, and what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment
from typer.testing import CliRunner

from facewitness.agent import chat_models
from facewitness.agent.served_adapters import ServedAdapters
from facewitness.errors import InvalidOption, ModelUnavailable
from facewitness.ui import vllm_command
from facewitness.ui.cli import app
from facewitness.ui.vllm_command import Served

QWEN = "Qwen/Qwen2.5-VL-7B-Instruct"


def checkpoint(folder: Path, kind: str = "llava", **config: Any) -> str:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **config}))
    return str(folder)


def lora(folder: Path, rank: int) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return folder


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_what_every_server_is_told() -> None:
    served = Served(QWEN, "qwen")
    command, variables = vllm_command.arguments(served), vllm_command.environment(served)
    assert command[:3] == ["python", "-m", "vllm.entrypoints.openai.api_server"]
    assert (option(command, "--host"), option(command, "--served-model-name")) == ("127.0.0.1", "qwen")
    assert option(command, "--allowed-media-domains").endswith(".invalid")
    assert "--allowed-local-media-path" not in command and "--trust-remote-code" not in command
    limits = json.loads(option(command, "--limit-mm-per-prompt"))
    assert limits["video"] == 0 and set(limits["image"]) == {"count", "width", "height"}
    assert (variables["VLLM_NO_USAGE_STATS"], variables["VLLM_MEDIA_URL_ALLOW_REDIRECTS"]) == ("1", "0")
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in variables and "--enable-lora" not in command
    assert not {"VLLM_SERVER_DEV_MODE", "HF_HUB_OFFLINE"} & set(variables)


@pytest.mark.parametrize(
    ("model", "tools", "side"),
    [
        (QWEN, True, 1024),
        ("llava-hf/llava-1.5-7b-hf", False, 336),
        ("google/paligemma2-3b-pt-224", False, 224),
    ],
)
def test_families_on_the_hub_at_the_commit_of_their_recipe(model: str, tools: bool, side: int) -> None:
    served = Served(model, "m", tensor_parallel=2)
    command = vllm_command.arguments(served)
    assert len(option(command, "--revision")) == 40
    assert ("--tool-call-parser" in command) == tools
    assert (option(command, "--dtype"), option(command, "--tensor-parallel-size")) == ("bfloat16", "2")
    assert json.loads(option(command, "--limit-mm-per-prompt"))["image"]["width"] == side
    model_ = chat_models.open_model(vllm_command.specification(served))
    assert model_ is not None
    assert chat_models.abilities(model_) == chat_models.Abilities(vision=True, tools=tools, side=side)


def test_a_checkpoint_says_its_own_sizes(tmp_path: Path) -> None:
    sizes = {"vision_config": {"image_size": 112}, "text_config": {"max_position_embeddings": 2048}}
    served = Served(checkpoint(tmp_path / "model", **sizes), "m", cpu=True)
    command, variables = vllm_command.arguments(served), vllm_command.environment(served)
    assert json.loads(option(command, "--limit-mm-per-prompt"))["image"]["height"] == 112
    assert option(command, "--max-model-len") == "2048" and "--revision" not in command
    assert option(command, "--dtype") == "float32" and "--enforce-eager" in command
    assert variables["HF_HUB_OFFLINE"] == "1" and "VLLM_CPU_KVCACHE_SPACE" in variables


def test_adapters(tmp_path: Path) -> None:
    held = {"look": lora(tmp_path / "look", 16), "ada": lora(tmp_path / "ada", 24)}
    served = Served(checkpoint(tmp_path / "model"), "m", held)
    command = vllm_command.arguments(served)
    assert (option(command, "--max-lora-rank"), option(command, "--max-loras")) == ("32", "2")
    assert command[-2:] == [f"look={tmp_path / 'look'}", f"ada={tmp_path / 'ada'}"]
    assert vllm_command.specification(served).endswith("&look=look")
    tasks = replace(served, adapters=dict.fromkeys(("attributes", "expression", "look", "ada"), tmp_path))
    assert vllm_command.specification(tasks).endswith("&look=look&expression=expression&attributes=attributes")
    live = Served(served.model, "m", live_adapters=True)
    assert "--enable-lora" in vllm_command.arguments(live) and "--lora-modules" not in vllm_command.arguments(live)
    assert vllm_command.environment(live)["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "some/model"}, "neither a folder"),
        ({"model": "org/my-llava"}, "name its commit"),
        ({"model": "org/my-llava", "revision": "main"}, "name its commit"),
        ({"model": QWEN, "adapters": {"a": Path("nowhere")}}, "not a folder that PEFT"),
    ],
)
def test_what_cannot_be_served(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption, match=said):
        vllm_command.arguments(Served(**{"name": "m", **change}))


def test_adapters_that_cannot_be_used(tmp_path: Path) -> None:
    for name, rank in (("a b", 8), ("a", 513)):
        held = {name: lora(tmp_path / f"{rank}", rank)}
        with pytest.raises(InvalidOption, match="unusable name"):
            vllm_command.arguments(Served(QWEN, "m", held))


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEWITNESS_API_KEY", raising=False)
    model = checkpoint(tmp_path / "face model", "qwen2_5_vl")
    run = CliRunner().invoke
    shown = run(app, ["serve", "--model", model, "--print", "--python", "/opt/vllm/bin/python"])
    assert shown.exit_code == 0 and "/opt/vllm/bin/python -m vllm" in shown.stdout
    assert f"'{model}'" in shown.stdout and "VLLM_NO_USAGE_STATS=1" in shown.stdout
    further = run(app, ["serve", "--model", model, "--print", "--", "--max-num-seqs", "3"])
    assert further.stdout.endswith("--max-num-seqs 3\n")
    beyond = run(app, ["serve", "--model", model, "--print", "--host", "0.0.0.0"])
    assert isinstance(beyond.exception, InvalidOption) and "FACEWITNESS_API_KEY" in str(beyond.exception)
    monkeypatch.setenv("FACEWITNESS_API_KEY", "secret-key")
    beyond = run(app, ["serve", "--model", model, "--print", "--host", "0.0.0.0"])
    assert beyond.exit_code == 0 and "secret-key" not in beyond.output
    wrong = run(app, ["serve", "--model", model, "--print", "--adapter", "look"])
    assert isinstance(wrong.exception, InvalidOption)
    without = run(app, ["serve", "--model", model, "--python", sys.executable])
    assert isinstance(without.exception, ModelUnavailable) and "no vLLM" in str(without.exception)


def _of_compose(text: str) -> tuple[list[str], dict[str, str]]:
    model = yaml.safe_load(text)["services"]["model"]
    return model["entrypoint"] + model["command"], model["environment"]


def _of_kubernetes(text: str) -> tuple[list[str], dict[str, str]]:
    found = {(part["kind"], part["metadata"]["name"]): part for part in yaml.safe_load_all(text)}
    (model,) = found["Deployment", "model"]["spec"]["template"]["spec"]["containers"]
    return model["command"] + model["args"], {item["name"]: item.get("value", "") for item in model["env"]}


@pytest.mark.parametrize(("file", "read"), [("compose.yaml", _of_compose), ("kubernetes.yaml", _of_kubernetes)])
def test_the_examples_start_what_serve_starts(file: str, read: Any, tmp_path: Path) -> None:
    """But for the interpreter, and that they listen for the API's container."""
    served = Served(checkpoint(tmp_path / "qwen", "qwen2_5_vl"), "qwen")
    text = (Path(__file__).parents[1] / "deploy" / file).read_text().replace("/models/qwen2.5-vl-7b", served.model)
    command, variables = read(text)
    written = [part for piece in command[1:] for part in (piece.split("=", 1) if piece.startswith("--") else [piece])]
    assert written == ["0.0.0.0" if part == "127.0.0.1" else part for part in vllm_command.arguments(served)[1:]]
    assert variables.pop("VLLM_API_KEY") in ("", "${FACEWITNESS_API_KEY:?}")
    assert variables == vllm_command.environment(served)


def test_the_template_for_paligemma() -> None:
    """System and user text as one prefix; vLLM puts the pictures before it."""
    template = (vllm_command.TEMPLATES / "paligemma.jinja").read_text()
    turns = [
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is seen?"}]},
    ]
    rendered = ImmutableSandboxedEnvironment().from_string(template).render(messages=turns, add_generation_prompt=True)
    assert rendered == "Rules.\nWhat is seen?"


class AdapterServer:
    """As vLLM answers; what it was asked is kept."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(json.dumps({"object": "list", "data": [{"id": "base"}, {"id": "look"}]}), "json")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body))
                self._answer("Success", "plain")

            def _answer(self, text: str, kind: str) -> None:
                self.send_response(outer.status)
                self.send_header("Content-Type", f"{'application' if kind == 'json' else 'text'}/{kind}")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.http.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}/v1"


@pytest.fixture
def server() -> Iterator[AdapterServer]:
    server = AdapterServer()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_adapters_of_a_running_server(server: AdapterServer, tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["adapters", "list", "--server", server.address]).stdout.split() == ["base", "look"]
    assert run(app, ["adapters", "load", f"ada={tmp_path}", "--server", server.address]).exit_code == 0
    assert run(app, ["adapters", "unload", "ada", "--server", server.address]).exit_code == 0
    assert server.asked == [
        ("/v1/load_lora_adapter", {"lora_name": "ada", "lora_path": str(tmp_path)}),
        ("/v1/unload_lora_adapter", {"lora_name": "ada"}),
    ]
    server.status = 404
    with pytest.raises(ModelUnavailable, match="HTTP 404"):
        ServedAdapters(server.address).unload("ada")
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        ServedAdapters("http://127.0.0.1:9/v1").names()
