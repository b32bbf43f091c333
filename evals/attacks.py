"""FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018) on the embedded matcher and the forensic network.

White-box: the attacker has the weights, and, against the matcher, the reference photos too. The aim is away from the
truth: a genuine photo is to be refused, anything else to be accepted. Gradients reach the photo through the inverse of
the warp that aligned the face, whose five points are those of the plain photo; each step reads the crop that the
examination would read of the changed photo. What is changed are whole pixel values, so that a PNG keeps all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..tools.alignment import TEMPLATE, align, align_wide, similarity_transform, wide_transform
from ..tools.face import Floats
from ..tools.image import RGBImage

STEPS = 10
"""Of PGD, of one pixel value each, from a random start."""
_FULL = 255

Gradient = Callable[[RGBImage], NDArray[np.float32]]
"""Of an aligned crop, the gradient of what makes it more genuine: the same shape."""


class Aimed(NamedTuple):
    """A network to be misled.

    Attributes:
        crop: Photo to the crop that the network reads.
        transform: (2, 3) matrix from pixels of the photo to the crop.
        gradient: See ``Gradient``.
    """

    crop: Callable[[RGBImage], RGBImage]
    transform: NDArray[np.float64]
    gradient: Gradient


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Attributes:
        network: ``matcher`` or ``detector``.
        limit: Greatest change of a pixel value, of 255.
        steps: 1 is FGSM.
    """

    network: str
    limit: int
    steps: int

    def __call__(self, rgb: RGBImage, aimed: Aimed, accept: bool, rng: np.random.Generator) -> RGBImage:
        """The changed photo; ``accept`` says whether it is to look more genuine, or less."""
        plain, step = rgb.astype(np.int16), self.limit if self.steps == 1 else 1
        now = plain
        if self.steps > 1:
            start = rng.integers(-self.limit, self.limit + 1, rgb.shape, np.int16)
            side = aimed.crop(rgb).shape[0]
            reached = _to_photo(np.ones((side, side, 3), np.float32), aimed.transform, rgb.shape) > 0
            now = (plain + start * reached).clip(0, _FULL)
        for _ in range(self.steps):
            crop = aimed.crop(now.astype(np.uint8))
            uphill = np.sign(_to_photo(aimed.gradient(crop), aimed.transform, rgb.shape)).astype(np.int16)
            moved = now + (step if accept else -step) * uphill
            now = moved.clip(plain - self.limit, plain + self.limit).clip(0, _FULL)
        return now.astype(np.uint8)


ATTACKS = {
    f"{name} {limit} {network}": Attack(network, limit, steps)
    for network in ("matcher", "detector")
    for name, steps in (("fgsm", 1), ("pgd", STEPS))
    for limit in (2, 4)
}


def on_matcher(points: Floats, reference: Floats) -> Aimed:
    """SFace's cosine to a reference feature (128,)."""
    import torch

    from .gradients import matcher

    target = torch.from_numpy(np.array(reference, np.float32))[None]

    def gradient(crop: RGBImage) -> NDArray[np.float32]:
        pixels = _leaf(crop)
        return _gradient(torch.cosine_similarity(matcher()(pixels.permute(0, 3, 1, 2)), target)[0], pixels)

    transform = similarity_transform(points.astype(np.float64), TEMPLATE)
    return Aimed(lambda rgb: align(rgb, points), transform, gradient)


def on_detector(points: Floats) -> Aimed:
    """The forensic network's logit of a real face, less those of all forged families together."""
    from .gradients import detector

    def gradient(crop: RGBImage) -> NDArray[np.float32]:
        pixels = _leaf(crop)
        logits = detector(pixels)[0]
        return _gradient(logits[0] - logits[1:].logsumexp(0), pixels)

    return Aimed(lambda rgb: align_wide(rgb, points), wide_transform(points), gradient)


def _leaf(crop: RGBImage) -> Any:
    import torch

    return torch.from_numpy(crop.astype(np.float32))[None].requires_grad_()


def _gradient(value: Any, pixels: Any) -> NDArray[np.float32]:
    import torch

    found: NDArray[np.float32] = torch.autograd.grad(value, pixels)[0][0].numpy()
    return found


def _to_photo(of_crop: NDArray[np.float32], transform: NDArray[np.float64], shape: tuple[int, ...]) -> Any:
    """What each pixel of the photo gets from the crop's pixels beside it; 0 outside the crop."""
    return cv2.warpAffine(of_crop, transform, (shape[1], shape[0]), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
