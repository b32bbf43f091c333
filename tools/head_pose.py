"""Head pose: the rotation under which the canonical face looks like the measured mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from . import weights
from .evidence import Evidence, Picture, Region
from .face import FaceView, HeadPose, Mesh, Reference
from .registry import FaceTool

# MediaPipe's canonical face (geometry_pipeline_metadata_landmarks in face_landmarker.task, Apache-2.0): the landmarks
# that it fits pose with, since they hardly move with expression; x to the person's left, y up, z to the viewer in cm.
_CANONICAL = np.array(
    [
        (4, 0.000, -0.463, 7.587),
        (6, 0.000, 2.473, 5.789),
        (10, 0.000, 8.262, 4.482),
        (33, -4.446, 2.664, 3.173),
        (54, -6.279, 6.615, 1.426),
        (67, -3.524, 8.006, 3.729),
        (117, -5.259, 0.946, 2.974),
        (119, -3.301, 0.862, 3.873),
        (121, -1.821, 1.468, 4.224),
        (127, -7.743, 2.365, -2.005),
        (129, -1.786, -0.978, 4.850),
        (132, -7.271, -2.891, -2.252),
        (133, -1.856, 2.585, 3.758),
        (136, -5.085, -7.179, 0.715),
        (143, -6.408, 2.236, 1.561),
        (147, -6.235, -1.944, 1.664),
        (198, -1.247, 0.230, 5.681),
        (205, -3.833, -1.537, 4.138),
        (263, 4.446, 2.664, 3.173),
        (284, 6.279, 6.615, 1.426),
        (297, 3.524, 8.006, 3.729),
        (346, 5.259, 0.946, 2.974),
        (348, 3.301, 0.862, 3.873),
        (350, 1.821, 1.468, 4.224),
        (356, 7.743, 2.365, -2.005),
        (358, 1.786, -0.978, 4.850),
        (361, 7.271, -2.891, -2.252),
        (362, 1.856, 2.585, 3.758),
        (365, 5.085, -7.179, 0.715),
        (372, 6.408, 2.236, 1.561),
        (376, 6.235, -1.944, 1.664),
        (420, 1.247, 0.230, 5.681),
        (425, 3.833, -1.537, 4.138),
    ]
)
_LANDMARKS = _CANONICAL[:, 0].astype(np.intp)
_FLIP = np.diag([1.0, -1.0, -1.0])
"""Between y up, z to the viewer and the camera's y down, z away from it."""
_DISTANCE = 4.0
"""Camera distance in face sizes, about that of a portrait; 2 to 8 give the same yaw within a tenth."""


def estimate(mesh: Mesh) -> HeadPose:
    """Fit the canonical face to the mesh in the picture plane (SQPnP, Terzakis and Lourakis 2020).

    The camera looks at the face, not at the middle of the photo, so that cropping does not change the pose. The mesh's
    own depth is left out: with it, opening the mouth tips the head.

    Returns:
        Pose relative to the line of sight to the face.
    """
    seen = mesh.points[_LANDMARKS, :2].astype(np.float64)
    focal = _DISTANCE * float(np.ptp(mesh.points[:, :2], axis=0).max())
    camera = np.diag([focal, focal, 1.0])
    _, turn, _ = cv2.solvePnP(_CANONICAL[:, 1:] @ _FLIP, seen - seen.mean(0), camera, None, flags=cv2.SOLVEPNP_SQPNP)
    rotation = np.asarray(cv2.Rodrigues(turn)[0], np.float64)
    return _angles(_FLIP @ rotation @ _FLIP)


def _angles(rotation: NDArray[np.float64]) -> HeadPose:
    """Yaw about the vertical, then pitch, then roll about the line of sight (y up, z to the viewer)."""
    ahead = rotation[:, 2]
    yaw = np.arctan2(ahead[0], ahead[2])
    pitch = np.arcsin(np.clip(ahead[1], -1, 1))
    roll = -np.arctan2(rotation[1, 0], rotation[1, 1])
    return HeadPose(*(float(np.degrees(angle)) for angle in (yaw, pitch, roll)))


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    pose = view.pose
    landmarks = Picture(tuple((float(x), float(y)) for x, y in view.mesh.points[:, :2]))
    turned = _turn(view, "yaw", pose.yaw, "turned", "to the person's left", "to the person's right")
    return [
        replace(turned, picture=landmarks),
        _turn(view, "pitch", pose.pitch, "tipped", "up", "down"),
        _turn(view, "roll", pose.roll, "tilted", "clockwise in the picture", "anticlockwise in the picture"),
    ]


def _turn(view: FaceView, axis: str, angle: float, verb: str, positive: str, negative: str) -> Evidence:
    """One sentence an axis: size and direction."""
    printed = round(abs(angle))
    direction = "" if printed == 0 else f" {positive}" if angle > 0 else f" {negative}"
    return Evidence(
        measure=f"head_pose.{axis}",
        tool="head_pose",
        finding=f"The head is {verb} {printed} {'degree' if printed == 1 else 'degrees'}{direction}.",
        value=round(angle, 1),
        unit="deg",
        numbers=(float(printed),),
        region=Region(*view.face.box),
        model=weights.card("face_landmarker"),
    )


TOOL = FaceTool(name="head_pose", title="Estimating head pose", measure=_measure)
