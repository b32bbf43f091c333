"""LoRA adapters of a running vLLM server: which it has, and loading and unloading them while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai

from ..errors import ModelUnavailable
from .served_model import SECONDS


class ServedAdapters:
    """Methods raise ``ModelUnavailable`` where the server refuses or cannot be reached.

    Args:
        address: Base address, such as ``http://127.0.0.1:8001/v1``. The key is read from ``FACEWITNESS_API_KEY``.
    """

    def __init__(self, address: str) -> None:
        key = os.environ.get("FACEWITNESS_API_KEY") or "none"
        self._client = openai.OpenAI(base_url=address, api_key=key, timeout=SECONDS, max_retries=0)

    def names(self) -> list[str]:
        """Of the model and its adapters."""
        with _asking():
            return [model.id for model in self._client.models.list()]

    def load(self, name: str, folder: Path) -> None:
        """Load an adapter.

        Args:
            name: By which it is called from then on.
            folder: Where it is on the server's disk.
        """
        with _asking():
            self._client.post("/load_lora_adapter", cast_to=str, body={"lora_name": name, "lora_path": str(folder)})

    def unload(self, name: str) -> None:
        """Unload an adapter."""
        with _asking():
            self._client.post("/unload_lora_adapter", cast_to=str, body={"lora_name": name})


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except openai.APIStatusError as error:
        raise ModelUnavailable(f"The server refused (HTTP {error.status_code}).") from None
    except openai.APIError as error:
        raise ModelUnavailable(f"The server cannot be reached ({type(error).__name__}).") from None
