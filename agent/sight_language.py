"""The language model of the model that looks: the converted SmolLM2, LoRA merged in, read from embeddings.

The graph is the one that ``embedded_model`` keeps, changed in memory: what the token ids led to becomes an input, and
logits are computed of the last place alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from ..tools.face import Floats
from . import sight_weights
from .embedded_model import EXACT
from .sight_weights import Settings, Tensors

_TABLE = "model.embed_tokens.weight"


class Language:
    """One text at a time: what was read is kept until ``forget``.

    Args:
        folder: Of the converted model.
        settings: Of the shipped model.
        tensors: Its tensors.
        threads: CPU threads.

    Attributes:
        length: Tokens read.
    """

    def __init__(self, folder: Path, settings: Settings, tensors: Tensors, threads: int) -> None:
        core = openvino.Core()
        model = core.read_model(folder / "openvino_model.xml")
        constants = {node.get_friendly_name(): node for node in model.get_ops() if node.get_type_name() == "Constant"}
        self._table = np.array(constants[_TABLE].data)
        _merge(constants, settings, tensors)
        _take_embeddings(model, constants[_TABLE])
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", **EXACT}
        self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self.length = 0

    def embed(self, tokens: Sequence[int]) -> Floats:
        """(n, width) embeddings of n tokens."""
        return self._table[list(tokens)].astype(np.float32)

    def read(self, embeddings: Floats) -> Floats:
        """Read on: (n, width) embeddings in, (vocabulary,) logits of the token that follows out."""
        start, self.length = self.length, self.length + len(embeddings)
        self._request.infer(
            {
                "inputs_embeds": embeddings[None],
                "attention_mask": np.ones((1, self.length), np.int64),
                "position_ids": np.arange(start, self.length)[None],
                "beam_idx": np.zeros(1, np.int32),
            }
        )
        return np.array(self._request.get_output_tensor().data[0, -1])

    def forget(self) -> None:
        """Begin a new text."""
        self._request.reset_state()
        self.length = 0


def _merge(constants: dict[str, Any], settings: Settings, tensors: Tensors) -> None:
    """Put LoRA into the weights. The converted model has their rows in transformers' order, not in llama.cpp's."""
    for module, (a, b) in sight_weights.low_rank(tensors).items():
        held = constants[re.sub(r"layers\.(\d+)", r"model.layers[\1]", module) + ".weight"]
        merged = held.data.astype(np.float32)
        merged += (settings.lora_scale * b) @ a
        (convert,) = held.output(0).get_target_inputs()  # to single precision
        _replace(convert.get_node(), ops.constant(merged, shared_memory=True))


def _take_embeddings(model: openvino.Model, table: Any) -> None:
    """Replace the look-up of token ids by an input, and compute logits of the last place alone."""
    ids = model.input("input_ids").get_node()
    embeddings = ops.parameter([-1, -1, table.shape[1]], np.float32, "inputs_embeds")
    embeddings.output(0).set_names({"inputs_embeds"})
    for target in ids.output(0).get_target_inputs():
        if target.get_node().get_type_name() == "ShapeOf":
            target.replace_source_output(embeddings.output(0))
    (convert,) = table.output(0).get_target_inputs()
    for target in convert.get_node().output(0).get_target_inputs():
        user = target.get_node()
        if user.get_type_name() == "Gather":
            _replace(user, embeddings)
        else:  # the head shares the table
            last = ops.gather(user.input_value(0), [-1], 1)
            user.input(0).replace_source_output(last.output(0))
    model.add_parameters([embeddings])
    model.remove_parameter(ids)
    model.validate_nodes_and_infer_types()


def _replace(node: Any, by: Any) -> None:
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(by.output(0))
