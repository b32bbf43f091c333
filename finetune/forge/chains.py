"""What happens to photos on their way: compression, resizing, blur, noise, screenshots. For real and forged alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ...tools.image import RGBImage

INTERPOLATIONS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)

Step = Callable[[RGBImage, np.random.Generator], RGBImage]


def jpeg(rgb: RGBImage, quality: int) -> RGBImage:
    """Through JPEG with 4:2:0 chroma at a quality of 1..100; (height, width, 3) uint8 RGB."""
    return _through(rgb, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def webp(rgb: RGBImage, quality: int) -> RGBImage:
    """Through lossy WebP at a quality of 1..100."""
    return _through(rgb, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality])


def resize(rgb: RGBImage, factor: float, interpolation: int = cv2.INTER_AREA) -> RGBImage:
    """Scaled by a factor and back to the same size."""
    height, width = rgb.shape[:2]
    size = max(8, round(width * factor)), max(8, round(height * factor))
    there = cv2.resize(rgb, size, interpolation=interpolation)
    return cv2.resize(there, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def blur(rgb: RGBImage, sigma: float) -> RGBImage:
    """Gaussian of ``sigma`` pixels."""
    return cv2.GaussianBlur(rgb, (0, 0), sigma).astype(np.uint8, copy=False)


def noise(rgb: RGBImage, sigma: float, rng: np.random.Generator) -> RGBImage:
    """White Gaussian noise of ``sigma`` of 255 in each channel."""
    noisy = rgb + rng.standard_normal(rgb.shape, np.float32) * np.float32(sigma)
    return noisy.clip(0, 255).astype(np.uint8)


def brightness(rgb: RGBImage, gain: float, offset: float = 0.0) -> RGBImage:
    """``gain * value + offset``, clipped."""
    return cv2.convertScaleAbs(rgb, alpha=gain, beta=offset).astype(np.uint8, copy=False)


def screenshot(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Shown at another size, sharpened as screens are, gamma a little off, saved again."""
    shown = resize(rgb, rng.uniform(0.6, 1.5), cv2.INTER_LINEAR)
    sharp = cv2.addWeighted(shown, 1.3, cv2.GaussianBlur(shown, (0, 0), 1.0), -0.3, 0)
    table = (255 * (np.arange(256) / 255) ** rng.uniform(0.85, 1.15)).astype(np.uint8)
    return jpeg(cv2.LUT(sharp, table).astype(np.uint8, copy=False), int(rng.integers(70, 96)))


STEPS: Mapping[str, Step] = {
    "jpeg": lambda rgb, rng: jpeg(rgb, int(rng.integers(30, 96))),
    "webp": lambda rgb, rng: webp(rgb, int(rng.integers(30, 96))),
    "resize": lambda rgb, rng: resize(rgb, rng.uniform(0.3, 0.9), INTERPOLATIONS[rng.integers(4)]),
    "blur": lambda rgb, rng: blur(rgb, rng.uniform(0.3, 1.6)),
    "noise": lambda rgb, rng: noise(rgb, rng.uniform(1, 10), rng),
    "brightness": lambda rgb, rng: brightness(rgb, rng.uniform(0.7, 1.3), rng.uniform(-25, 25)),
    "screenshot": screenshot,
}

CHAINS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "jpeg": ("jpeg",),
    "jpeg twice": ("jpeg", "jpeg"),
    "webp": ("webp",),
    "messenger": ("resize", "jpeg"),
    "reposted": ("jpeg", "resize", "jpeg"),
    "old camera": ("blur", "noise", "jpeg"),
    "noise": ("noise", "jpeg"),
    "edited": ("brightness", "jpeg"),
    "screenshot": ("screenshot",),
    "blur": ("blur",),
}


def draw(rng: np.random.Generator) -> str:
    """Name of a chain."""
    return str(rng.choice(list(CHAINS)))


def run(rgb: RGBImage, name: str, rng: np.random.Generator) -> RGBImage:
    """One chain with drawn strengths; the same generator state gives the same picture, whatever is shown on it."""
    for step in CHAINS[name]:
        rgb = STEPS[step](rgb, rng)
    return rgb


def _through(rgb: RGBImage, suffix: str, options: list[int]) -> RGBImage:
    _, data = cv2.imencode(suffix, rgb[..., ::-1], options)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded[..., ::-1], np.uint8, order="C")
