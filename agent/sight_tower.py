"""Vision tower and projector of the model that looks, as an OpenVINO graph: pixels in, embeddings of tokens out.

SigLIP (Zhai et al. 2023, arXiv 2303.15343) without its head, projector of LLaVA-1.5 (Liu et al. 2023, arXiv
2310.03744).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from PIL import Image

from ..tools.face import Floats
from ..tools.image import RGBImage
from .sight_weights import PROJECTOR, TOWER, Tensors, Vision

UNREAD = 1
"""Layers at the tower's end that LLaVA's feature layer, -2, leaves out."""


def pixels(faces: Sequence[RGBImage], side: int) -> Floats:
    """Faces as the tower takes them: (n, 3, side, side) in -1..1, resized as by transformers' SigLIP processor.

    Args:
        faces: (height, width, 3) uint8 RGB.
        side: Of the tower's pictures.
    """
    resized = [Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC) for face in faces]
    stacked = np.stack([np.asarray(face, np.float32) for face in resized])
    return np.ascontiguousarray((stacked / 127.5 - 1).transpose(0, 3, 1, 2))


def network(tensors: Tensors, vision: Vision) -> openvino.Model:
    """Graph from (n, 3, side, side) pixels to (n, tokens, width of the language model) embeddings."""
    inputs = ops.parameter([-1, 3, vision.image_size, vision.image_size], np.float32)
    hidden = _patches(inputs, tensors, vision)
    for number in range(vision.num_hidden_layers - UNREAD):
        layer = f"{TOWER}encoder.layers.{number}."
        hidden = ops.add(
            hidden, _attention(_norm(hidden, tensors, f"{layer}layer_norm1", vision), tensors, layer, vision)
        )
        inner = _linear(_norm(hidden, tensors, f"{layer}layer_norm2", vision), tensors, f"{layer}mlp.fc1")
        hidden = ops.add(hidden, _linear(ops.gelu(inner, "tanh"), tensors, f"{layer}mlp.fc2"))
    inner = ops.gelu(_linear(hidden, tensors, f"{PROJECTOR}linear_1"), "erf")
    return openvino.Model([_linear(inner, tensors, f"{PROJECTOR}linear_2")], [inputs], "tower")


def _patches(inputs: Any, tensors: Tensors, vision: Vision) -> Any:
    """(n, tokens, width): each patch embedded, and its place added."""
    place = f"{TOWER}embeddings."
    stride = [vision.patch_size] * 2
    kernel, bias = tensors[f"{place}patch_embedding.weight"], tensors[f"{place}patch_embedding.bias"]
    grid = ops.convolution(inputs, kernel, stride, [0, 0], [0, 0], [1, 1])
    tokens = ops.transpose(ops.reshape(grid, [0, vision.hidden_size, -1], True), [0, 2, 1])
    return ops.add(ops.add(tokens, bias), tensors[f"{place}position_embedding.weight"])


def _attention(hidden: Any, tensors: Tensors, layer: str, vision: Vision) -> Any:
    query, key, value = (
        ops.transpose(
            ops.reshape(
                _linear(hidden, tensors, f"{layer}self_attn.{name}_proj"), [0, 0, vision.num_attention_heads, -1], True
            ),
            [0, 2, 1, 3],
        )
        for name in "qkv"
    )
    found = ops.transpose(ops.scaled_dot_product_attention(query, key, value), [0, 2, 1, 3])
    return _linear(ops.reshape(found, [0, 0, vision.hidden_size], True), tensors, f"{layer}self_attn.out_proj")


def _norm(hidden: Any, tensors: Tensors, name: str, vision: Vision) -> Any:
    centred = ops.mvn(hidden, [-1], True, vision.layer_norm_eps, "inside_sqrt")
    return ops.add(ops.multiply(centred, tensors[f"{name}.weight"]), tensors[f"{name}.bias"])


def _linear(hidden: Any, tensors: Tensors, name: str) -> Any:
    return ops.add(ops.matmul(hidden, tensors[f"{name}.weight"], False, True), tensors[f"{name}.bias"])
