"""SmolLM2-135M-Instruct in this process, on the CPU, without PyTorch: OpenVINO behind LangChain's chat model interface.

The published file is quantised to Q4_1, which OpenVINO's own GGUF reader decodes wrongly (mean KL divergence of the
next token 0.27 nats from the reference). So the tensors are dequantised here, once, and kept beside the weights as
an OpenVINO model in half precision; computed in single precision it agrees with the reference to below 1e-5 nats.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from ..errors import FacewitnessError, ModelUnavailable
from ..tools import weights

WEIGHTS = "smollm2"
_RECIPE = "f16-1"  # changes when the conversion does
EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",  # bfloat16, the default on recent CPUs, changes the text
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""Properties of the runtime with which text agrees with the reference implementation."""
_PAGED = {"ATTENTION_BACKEND": "PA", **EXACT}  # keeps the common beginning of prompts
_KV_BLOCKS = 128  # of 32 tokens; 190 MB
_GUESSED, _ALIKE = 5, 3
"""Tokens guessed at once from where the prompt goes on after the last three (Saxena 2023): answers repeat findings. The
model checks each guess, so the text is that of greedy decoding."""
STOP_TOKENS = {0, 2}  # <|endoftext|>, <|im_end|>
_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
_ABANDONED_AFTER = 3600  # seconds
_ONE_AT_A_TIME = threading.Lock()


class EmbeddedChatModel(BaseChatModel):
    """Greedy and seedless: equal messages give equal text.

    Attributes:
        threads: CPU threads; settled by the first use in a process.
        max_tokens: Length of an answer.
    """

    threads: int = 2
    max_tokens: int = 128

    @property
    def _llm_type(self) -> str:
        return "facewitness-embedded"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": WEIGHTS, "sha256": weights.card(WEIGHTS).sha256, "max_tokens": self.max_tokens}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """Answer the messages.

        Raises:
            ModelUnavailable: The weights cannot be had, or the runtime refuses them.
        """
        with _ONE_AT_A_TIME:
            pipeline = _loaded(self.threads)
            told = run_manager and run_manager.on_llm_new_token
            try:
                answer = _twice(pipeline, _prompt(pipeline, messages), self._config(stop, kwargs), told)
            except RuntimeError as error:
                raise ModelUnavailable(f"The embedded language model failed ({type(error).__name__}).") from error
        metrics = answer.perf_metrics
        message = AIMessage(
            answer.texts[0].strip(),
            usage_metadata={
                "input_tokens": metrics.get_num_input_tokens(),
                "output_tokens": metrics.get_num_generated_tokens(),
                "total_tokens": metrics.get_num_input_tokens() + metrics.get_num_generated_tokens(),
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _config(self, stop: list[str] | None, options: dict[str, Any]) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.do_sample = False
        config.apply_chat_template = False
        config.max_new_tokens = int(options.get("max_tokens", self.max_tokens))
        config.stop_token_ids = STOP_TOKENS
        config.stop_strings = set(stop or ())
        config.num_assistant_tokens, config.max_ngram_size = _GUESSED, _ALIKE
        if regex := options.get("regex"):
            config.structured_output_config = openvino_genai.StructuredOutputConfig(regex=regex)
        return config


def _twice(pipeline: Any, prompt: str, config: Any, told: Any) -> Any:
    """What the pipeline generates.

    openvino-genai 2026.4 fails at one prompt in some 300, by chance, as it takes guesses back ("Cannot remove more
    tokens than has been generated"); the same prompt again does not.
    """
    try:
        return pipeline.generate([prompt], config, told)
    except RuntimeError:
        return pipeline.generate([prompt], config)


def _prompt(pipeline: Any, messages: list[BaseMessage]) -> str:
    """The messages in the model's chat format; special tokens in their text are taken out first."""
    turns = [
        {"role": _ROLES.get(message.type, "user"), "content": re.sub(r"<\|[^|>]*\|?>?", " ", str(message.text))}
        for message in messages
    ]
    return str(pipeline.get_tokenizer().apply_chat_template(turns, add_generation_prompt=True))


def _loaded(threads: int) -> Any:
    with loading():
        return _pipeline(threads)


@contextmanager
def loading() -> Iterator[None]:
    """Whatever keeps an embedded model from being loaded becomes ``ModelUnavailable``."""
    try:
        yield
    except ImportError as error:
        raise ModelUnavailable("openvino-genai is not installed; run `pip install openvino-genai`.") from error
    except FacewitnessError as error:
        raise ModelUnavailable(str(error)) from error
    except (OSError, RuntimeError) as error:
        raise ModelUnavailable(f"The embedded language model cannot be loaded ({type(error).__name__}).") from error


@cache
def _pipeline(threads: int) -> Any:
    import openvino_genai

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = _KV_BLOCKS
    scheduler.enable_prefix_caching = True
    return openvino_genai.LLMPipeline(
        str(converted()),
        "CPU",
        scheduler_config=scheduler,
        INFERENCE_NUM_THREADS=threads,
        prompt_lookup=True,
        **_PAGED,
    )


def converted() -> Path:
    """Folder of the converted model, made on first use (about 10 s, 272 MB); complete or absent, never half-written.

    Raises:
        WeightsMissing: The weights cannot be had.
    """
    source = weights.path(WEIGHTS)
    folder = weights.store() / "derived" / f"{WEIGHTS}-{(weights.card(WEIGHTS).sha256 or '')[:12]}-{_RECIPE}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            _convert(source, work)
            os.replace(work, folder)
        except OSError:
            if not folder.is_dir():  # another process may have been quicker
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return folder


def _sweep(folder: Path) -> None:
    """Remove what conversions that were killed have left; one that still runs is younger."""
    for draft in folder.parent.glob(f"{folder.name}.*"):
        if time.time() - draft.stat().st_mtime > _ABANDONED_AFTER:
            shutil.rmtree(draft, ignore_errors=True)


def _convert(source: Path, folder: Path) -> None:
    import openvino_genai

    half = folder / "half.gguf"
    _dequantise(source, half)
    openvino_genai.LLMPipeline(str(half), "CPU", enable_save_ov_model=True, **_PAGED)
    half.unlink()


def _dequantise(source: Path, target: Path) -> None:
    """Write a GGUF file with the same contents and its quantised tensors in half precision."""
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
    from gguf.quants import dequantize

    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = 1 if name == "general.file_type" else field.contents()  # 1: mostly F16
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], inner)
    for tensor in reader.tensors:
        if tensor.tensor_type == GGMLQuantizationType.F32:
            writer.add_tensor(tensor.name, np.array(tensor.data))
        else:
            writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
