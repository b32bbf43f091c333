"""The face that the tools share: found once, its mesh and embedding computed once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .forensic_network import Traces
    from .image import Photo, RGBImage
    from .part_similarity import Signature
    from .sface import Seen
    from .trace_calibration import Judgement

T = TypeVar("T")
_SHARED = ("mesh", "pose", "feature", "seen", "crop", "traces", "judgement", "signature")
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face, in pixels of the upright photo.

    Attributes:
        id: ``f1`` for the largest, then by falling area.
        box: x, y, width, height.
        points: (5, 2) right eye, left eye, nose tip, right and left mouth corner (the person's right).
        score: Detector confidence in 0..1; not calibrated.
    """

    id: str
    box: tuple[float, float, float, float]
    points: Floats
    score: float

    @property
    def size(self) -> float:
        """Shorter side of the box in pixels."""
        return min(self.box[2], self.box[3])


@dataclass(frozen=True, slots=True)
class Mesh:
    """MediaPipe face mesh of one face.

    Attributes:
        points: (478, 3) x, y in pixels of the upright photo, z in the same scale, smaller is nearer.
        presence: Model's confidence in 0..1 that a face was in the crop.
        blendshapes: 52 values in 0..1 in the order of ``landmarks.BLENDSHAPES``.
    """

    points: Floats
    presence: float
    blendshapes: Floats

    def blendshape(self, name: str) -> float:
        """Value of one blendshape by its MediaPipe name."""
        from .landmarks import BLENDSHAPES

        return float(self.blendshapes[BLENDSHAPES.index(name)])


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Rotation of the head in degrees; yaw > 0 to the person's left, pitch > 0 up, roll > 0 clockwise."""

    yaw: float
    pitch: float
    roll: float


@dataclass(slots=True)
class FaceView:
    """A photo and one of its faces, with what several tools need computed at most once.

    Thread-safe: tools run in parallel on the same view; mesh and feature can be computed at the same time. The modules
    that compute them are imported on use, since they build on this one. ``commercial_only`` restricts the weights to
    those whose licence and training data allow commercial use.
    """

    photo: Photo
    face: Face
    _memo: dict[str, Any] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=lambda: {name: threading.Lock() for name in _SHARED})
    commercial_only: bool = False

    @property
    def crop(self) -> RGBImage:
        """(160, 160, 3) uint8 RGB, aligned, with surroundings: see ``alignment.align_wide``."""
        from .alignment import align_wide

        return self._once("crop", lambda: align_wide(self.photo.rgb, self.face.points))

    @property
    def traces(self) -> Traces:
        """What the embedded forensic network reads in the crop."""
        from .forensic_network import read

        return self._once("traces", lambda: read(self.crop[None])[0])

    @property
    def judgement(self) -> Judgement:
        """What the traces mean, calibrated."""
        from .trace_calibration import judge

        return self._once("judgement", lambda: judge(self.traces, self.crop))

    @property
    def mesh(self) -> Mesh:
        """478 landmarks and 52 blendshapes; raises ``NotMeasurable`` where the network sees no face."""
        from .landmarks import track

        return self._once("mesh", lambda: track(self.photo.rgb, self.face))

    @property
    def pose(self) -> HeadPose:
        """Head pose from the mesh."""
        from .head_pose import estimate

        return self._once("pose", lambda: estimate(self.mesh))

    @property
    def seen(self) -> Seen:
        """What SFace sees of the face."""
        from .alignment import align
        from .sface import see

        return self._once("seen", lambda: see(align(self.photo.rgb, self.face.points)))

    @property
    def feature(self) -> Floats:
        """(128,) SFace feature, not normalised: its norm falls with quality."""
        return self._once("feature", lambda: self.seen.feature)

    @property
    def signature(self) -> Signature:
        """What each part of the face is compared by."""
        return self._once("signature", self._sign)

    def _sign(self) -> Signature:
        from .part_similarity import sign

        made = sign(self)
        self._memo.pop("seen", None)  # two megabytes that nobody reads again
        return made

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        with self._locks[name]:
            if name not in self._memo:
                self._memo[name] = compute()
            result: T = self._memo[name]
        return result


@dataclass(slots=True)
class Reference:
    """A face to compare with: the face of a reference photo, or a stored template without a photo.

    Attributes:
        feature: (128,) SFace feature, not normalised.
        view: The photo and its face; None for a stored template.
    """

    feature: Floats
    view: FaceView | None = None
