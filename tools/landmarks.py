"""478 face landmarks and 52 blendshapes with MediaPipe's networks on LiteRT."""

from __future__ import annotations

import threading
import zipfile
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import NotMeasurable
from . import weights
from .face import Face, Floats, Mesh
from .image import RGBImage

BLENDSHAPES: tuple[str, ...] = tuple(
    """_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
        cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
        eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft
        eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft
        mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight
        mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft
        mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft
        noseSneerRight""".split()
)
"""The person's left and right, in the order of the network's output."""

PRESENCE_MIN = 0.5
"""MediaPipe's default ``min_face_presence_confidence``."""

_SIDE = 256
_MARGIN = 1.5
_PASSES = 2
_EYE_CORNERS = (33, 263)
# MediaPipe's face_blendshapes_graph.cc: which of the 478 points the blendshape network reads.
_BLENDSHAPE_POINTS = np.array(
    """0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91 93 95
    103 105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161 162 163 168
    172 173 176 178 181 185 191 195 197 234 246 249 251 263 267 269 270 276 282 283 284 285 288 291 293 295
    296 297 300 308 310 311 312 314 317 318 321 323 324 332 334 336 338 356 361 362 365 373 374 375 377 378
    379 380 381 382 384 385 386 387 388 389 390 397 398 400 402 405 409 415 454 466 468 469 470 471 472 473
    474 475 476 477""".split(),
    np.intp,
)

_lock = threading.Lock()


def track(rgb: RGBImage, face: Face) -> Mesh:
    """Fit the mesh to one face.

    The crop is a square 1.5 times the face, upright by the eyes; a second pass crops around the first pass's mesh.

    Args:
        rgb: (height, width, 3) uint8, RGB.
        face: From ``detection.detect`` on the same photo.

    Raises:
        NotMeasurable: The network sees no face in the crop.
    """
    x, y, width, height = face.box
    centre, side = np.array([x + width / 2, y + height / 2]), _MARGIN * max(width, height)
    angle = _angle(face.points[0], face.points[1])
    for _ in range(_PASSES):
        axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points, logit = _fit(_crop(rgb, centre, side, axes))
        upright = (points[:, :2] / _SIDE - 0.5) * side
        placed = np.column_stack([upright @ axes.T + centre, points[:, 2] / _SIDE * side])
        angle = _angle(placed[_EYE_CORNERS[0]], placed[_EYE_CORNERS[1]])
        low, high = upright.min(0), upright.max(0)
        centre, side = centre + axes @ (low + high) / 2, _MARGIN * float((high - low).max())
    presence = float(1 / (1 + np.exp(-logit)))
    if presence < PRESENCE_MIN:
        raise NotMeasurable(f"The landmark model's face presence is {presence:.2f}, below {PRESENCE_MIN:.2f}.")
    mesh = placed.astype(np.float32)
    return Mesh(points=mesh, presence=presence, blendshapes=_blend(mesh))


def _angle(right: NDArray[Any], left: NDArray[Any]) -> float:
    return float(np.arctan2(left[1] - right[1], left[0] - right[0]))


def _crop(rgb: RGBImage, centre: NDArray[np.float64], side: float, axes: NDArray[np.float64]) -> RGBImage:
    corners = np.array([[-1, -1], [1, -1], [-1, 1]]) * side / 2 @ axes.T + centre
    square = np.array([[0, 0], [_SIDE, 0], [0, _SIDE]], np.float32)
    transform = cv2.getAffineTransform(corners.astype(np.float32), square)
    crop = cv2.warpAffine(rgb, transform, (_SIDE, _SIDE))
    return crop.astype(np.uint8, copy=False)


def _fit(crop: RGBImage) -> tuple[Floats, float]:
    """(478, 3) points in pixels of the crop, and the logit of face presence."""
    with _lock:
        network = _interpreter("face_landmarks_detector.tflite")
        network.set_tensor(network.get_input_details()[0]["index"], (crop.astype(np.float32) / 255)[None])
        network.invoke()
        points, logit = (network.get_tensor(detail["index"]) for detail in network.get_output_details()[:2])
    return points.reshape(478, 3), float(logit.item())


def _blend(mesh: Floats) -> Floats:
    with _lock:
        network = _interpreter("face_blendshapes.tflite")
        network.set_tensor(network.get_input_details()[0]["index"], mesh[None, _BLENDSHAPE_POINTS, :2])
        network.invoke()
        values: Floats = network.get_tensor(network.get_output_details()[0]["index"])
    return values.reshape(52)


@cache
def _interpreter(member: str) -> Any:
    """One interpreter of a network in the bundle for the process; not thread-safe, so calls hold the lock."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=bundle(member), num_threads=2)
    interpreter.allocate_tensors()
    return interpreter


def bundle(member: str) -> bytes:
    """One file of face_landmarker.task, which is a zip."""
    with zipfile.ZipFile(weights.path("face_landmarker")) as archive:
        return archive.read(member)
