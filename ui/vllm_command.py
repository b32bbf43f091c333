"""How vLLM is started: the one command line and environment for a model, by its family.

vLLM is a process of its own, often in an environment of its own; nothing here imports it. Written for vLLM 0.32; what
its own security guide asks for is set: loopback, no usage reports, no media by URL, redirects, or path, no remote code.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InvalidOption

RECIPES = Path(__file__).parents[1] / "finetune" / "recipes"
TEMPLATES = Path(__file__).parent / "templates"
MODULE = "vllm.entrypoints.openai.api_server"
NO_DOMAIN = "no-domain.invalid"
"""The only domain that media may come from: it cannot exist (RFC 2606), so data URIs alone are left."""
PICTURES = 4
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as the largest rank."""
_NAME = r"[\w.-]{1,100}"


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between architectures.

    Attributes:
        words: What the name of a published model of this family contains.
        side: Longest side of a picture that the model makes use of, in pixels.
        context: Tokens of prompt and answer.
        tool_parser: vLLM's reader of the calls that the model writes; empty if it was not taught to call tools.
        template: Chat template of ours, where the model has none.
        processor: Settings of the picture processor.
    """

    words: str
    side: int
    context: int
    tool_parser: str = ""
    template: str = ""
    processor: Mapping[str, int] = field(default_factory=dict)


FAMILIES: Mapping[str, Family] = {
    "llava": Family("llava", 336, 4096),
    "paligemma": Family("paligemma", 224, 4096, template="paligemma.jinja"),
    "qwen2_5_vl": Family("qwen2.5-vl", 1024, 16384, "hermes", processor={"max_pixels": 1024 * 1024}),
}
"""By ``model_type`` of the checkpoint."""


@dataclass(frozen=True, slots=True)
class Served:
    """What to serve, and how.

    Attributes:
        model: Folder of a checkpoint, or a hub id.
        name: By which clients call it.
        adapters: Folders of LoRA adapters by name.
        revision: Commit of a hub id; that of the training recipe if it has one.
        tensor_parallel: GPUs that share the model.
        cpu: Run on the CPU, in single precision.
        host, port: Where it listens.
        live_adapters: Let clients load and unload adapters by a path on the server's disk.
        python: Interpreter of the environment that has vLLM.
        further: Further arguments for vLLM, as they are.
    """

    model: str
    name: str
    adapters: Mapping[str, Path] = field(default_factory=dict)
    revision: str = ""
    tensor_parallel: int = 1
    cpu: bool = False
    host: str = "127.0.0.1"
    port: int = 8001
    live_adapters: bool = False
    python: str = "python"
    further: tuple[str, ...] = ()


def environment(served: Served) -> dict[str, str]:
    """Variables that are set beside those inherited; the key goes the same way, but is never shown."""
    found = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
        "VLLM_MAX_N_SEQUENCES": "1",
    }
    if Path(served.model).is_dir():
        found["HF_HUB_OFFLINE"] = "1"
    if served.cpu:
        found["VLLM_CPU_KVCACHE_SPACE"] = "2"
    if served.live_adapters:
        found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    return found


def arguments(served: Served) -> list[str]:
    """The command.

    Raises:
        InvalidOption: The model's family is not known, a hub id has no commit, or an adapter cannot be used.
    """
    family, side, context = _family(served.model)
    image = {"count": PICTURES, "width": side, "height": side}
    # fmt: off
    found = [
        served.python, "-m", MODULE, "--model", served.model, "--served-model-name", served.name,
        "--host", served.host, "--port", str(served.port), "--max-model-len", str(context),
        "--limit-mm-per-prompt", _json({"image": image, "video": 0}), "--allowed-media-domains", NO_DOMAIN,
        "--structured-outputs-config", _json({"backend": "xgrammar", "disable_any_whitespace": True}),
        "--generation-config", "vllm", "--disable-uvicorn-access-log",
    ]
    # fmt: on
    found += ["--dtype", "float32", "--enforce-eager"] if served.cpu else ["--dtype", "bfloat16"]
    if served.tensor_parallel > 1:
        found += ["--tensor-parallel-size", str(served.tensor_parallel)]
    if not Path(served.model).is_dir():
        found += ["--revision", _commit(served)]
    if family.template:
        found += ["--chat-template", str(TEMPLATES / family.template)]
    if family.tool_parser:
        found += ["--enable-auto-tool-choice", "--tool-call-parser", family.tool_parser]
    if family.processor:
        found += ["--mm-processor-kwargs", _json(dict(family.processor))]
    return [*found, *_lora(served), *served.further]


def specification(served: Served) -> str:
    """What ``--model`` of the other commands takes; adapters named after a task do it."""
    from ..agent.chat_models import TASKS  # takes longer to import than all that other commands need

    family, side, _ = _family(served.model)
    able = ["vision", *(["tools"] if family.tool_parser else []), f"side={side}"]
    able += [f"{task}={task}" for task in TASKS if task in served.adapters]
    return f"http://{served.host}:{served.port}/v1#{served.name}?{'&'.join(able)}"


def shown(served: Served) -> str:
    """Environment and command as a shell takes them."""
    variables = [f"{name}={value}" for name, value in environment(served).items()]
    return " ".join([*variables, *(shlex.quote(part) for part in arguments(served))])


def _family(model: str) -> tuple[Family, int, int]:
    """Family, side of a picture, and context of a model."""
    config = Path(model) / "config.json"
    if config.is_file():
        held = json.loads(config.read_text(encoding="utf-8"))
        family = FAMILIES.get(held.get("model_type", ""))
        if family is not None:
            side = held.get("vision_config", {}).get("image_size", family.side)
            longest = held.get("text_config", {}).get("max_position_embeddings", family.context)
            return family, side, min(family.context, longest)
    for family in FAMILIES.values():
        if not config.is_file() and family.words in model.lower():
            return family, family.side, family.context
    known = ", ".join(FAMILIES)
    raise InvalidOption(f"{model} is neither a folder of a known architecture ({known}) nor a hub id that names one.")


def _commit(served: Served) -> str:
    found = served.revision or _pinned().get(served.model, "")
    if not re.fullmatch(r"[0-9a-f]{40}", found):
        raise InvalidOption(f"{served.model} is on the hub: name its commit with --revision, 40 hex digits.")
    return found


def _pinned() -> dict[str, str]:
    recipes = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(RECIPES.glob("vlm-*.toml"))]
    return {recipe["model"]: recipe["revision"] for recipe in recipes if "revision" in recipe}


def _lora(served: Served) -> list[str]:
    if not served.adapters and not served.live_adapters:
        return []
    rank = max([16, *(_rank(name, folder) for name, folder in served.adapters.items())])
    fitting = min(size for size in _RANKS if size >= rank)
    count = max(len(served.adapters), 4 if served.live_adapters else 1)
    found = ["--enable-lora", "--max-lora-rank", str(fitting), "--max-loras", str(count)]
    modules = [f"{name}={folder}" for name, folder in served.adapters.items()]
    return [*found, "--lora-modules", *modules] if modules else found


def _rank(name: str, folder: Path) -> int:
    try:
        rank = int(json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidOption(f"The adapter {name!r} is not a folder that PEFT has written.") from None
    if not re.fullmatch(_NAME, name) or rank > _RANKS[-1]:
        raise InvalidOption(f"The adapter {name!r} has an unusable name, or a rank above {_RANKS[-1]}.")
    return rank


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
