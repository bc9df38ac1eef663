"""The conditions under which a model is measured: what light, cameras and heads do to a picture.

Each is a function of one uint8 picture (any size, gray or RGB) and a generator, at five severities
in physical units. `CONDITIONS` is the table.

Convention:
    Lengths are told in 1/128 of the picture's width, so that a severity means the same on 48-pixel
    and on 256-pixel originals. Places on the face are those of FER2013's framing
    (`align.TEMPLATE`). Beyond the picture its border is repeated.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from deepfer.align import TEMPLATE_SIZE
from deepfer.types import Image

Change: TypeAlias = Callable[[Image, np.random.Generator], Image]
"""What one severity does to a picture."""

_Values: TypeAlias = NDArray[np.float64]  # gray levels, (H, W) or (H, W, 3)
_Draw: TypeAlias = Callable[["_Pencil", bool], None]

CANVAS, CANVAS_FACE = 160, 48
"""The canvas of the whole path: 160 pixels for a face picture of 48."""


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        unit: What the severities count, for people.
        levels: Five severities by their names, such as ``x 0.25``.
        cases: The severities are cases side by side, none worse by definition than another.
        whole: Applied to a canvas that holds the face, which is then searched, aligned and
            classified; not to a crop.
    """

    unit: str
    levels: Mapping[str, Change]
    cases: bool = False
    whole: bool = False


def generator(seed: int, condition: str, name: str) -> np.random.Generator:
    """Return the generator of one picture under one condition.

    All severities draw the same (the same side, the same grain), whatever other pictures are
    measured beside it.

    Args:
        seed: Of the run.
        condition: A key of `CONDITIONS`.
        name: The picture's id.
    """
    return np.random.default_rng([seed, crc32(condition.encode()), crc32(name.encode())])


def on_canvas(image: Image) -> Image:
    """Return a picture in the middle of a plain one, 160x160 for 48 pixels."""
    height, width = image.shape[:2]
    margin = round(max(height, width) * (CANVAS - CANVAS_FACE) / 2 / CANVAS_FACE)
    padding = [(margin, margin), (margin, margin), (0, 0)][: image.ndim]
    return np.pad(image, padding, constant_values=127)


def _same(image: Image, rng: np.random.Generator) -> Image:
    return image


def _light(factor: float, image: Image, rng: np.random.Generator) -> Image:
    """Multiply the light; what exceeds white is lost."""
    return _pixels(image.astype(float) * factor)


def _gamma(gamma: float, image: Image, rng: np.random.Generator) -> Image:
    """Raise the 0 to 1 scale to a power: above 1 darkens the middle tones."""
    return _pixels(255 * (image / 255) ** gamma)


def _side_light(ratio: float, image: Image, rng: np.random.Generator) -> Image:
    """Let the light fall off across the face, from left or right, at most 30 degrees from level."""
    angle = math.pi * rng.integers(2) + math.radians(rng.uniform(-30, 30))
    y, x = _grid(image)
    way = x * math.cos(angle) + y * math.sin(angle)
    reach = np.abs(way).max()
    share = (way / reach + 1) / 2 if reach else np.zeros_like(way)
    return _pixels(image * _per_channel(ratio**-share, image))


def _blur(sigma: float, image: Image, rng: np.random.Generator) -> Image:
    """Defocus: a Gaussian of `sigma` 128ths of the width."""
    pixels = sigma * image.shape[1] / 128
    reach = max(1, math.ceil(3 * pixels))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / pixels) ** 2)
    bell /= bell.sum()
    return _pixels(_convolved(_convolved(image.astype(float), bell[None]), bell[:, None]))


def _motion(length: float, image: Image, rng: np.random.Generator) -> Image:
    """Average along a straight path of `length` 128ths of the width, in any direction."""
    angle = rng.uniform(0, math.pi)
    pixels = length * image.shape[1] / 128
    reach = math.ceil(pixels / 2) + 1
    path = np.zeros((2 * reach + 1, 2 * reach + 1))
    for place in np.linspace(-pixels / 2, pixels / 2, 4 * reach + 1):
        x, y = reach + place * math.cos(angle), reach + place * math.sin(angle)
        left, top = int(x), int(y)
        right, below = x - left, y - top
        path[top : top + 2, left : left + 2] += np.outer([1 - below, below], [1 - right, right])
    return _pixels(_convolved(image.astype(float), path / path.sum()))


def _noise(sigma: float, image: Image, rng: np.random.Generator) -> Image:
    """Add Gaussian noise, the same to all channels, so that sigma is also that of the gray."""
    noise = sigma * rng.standard_normal(image.shape[:2])
    return _pixels(image + _per_channel(noise, image))


def _jpeg(quality: int, image: Image, rng: np.random.Generator) -> Image:
    """Compress the picture as it is, and decode it."""
    file = io.BytesIO()
    PillowImage.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(PillowImage.open(file))


def _size(width: int, image: Image, rng: np.random.Generator) -> Image:
    """Shrink to a width; a smaller picture stays as it is. Enlarging is the model's matter."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    picture = PillowImage.fromarray(image)
    return np.asarray(picture.resize((width, height), PillowImage.Resampling.BILINEAR))


def _roll(degrees: float, image: Image, rng: np.random.Generator) -> Image:
    """Turn about the middle, to either side."""
    turn = math.radians(degrees) * rng.choice([-1, 1])
    y, x = _grid(image)
    cos, sin = math.cos(turn), math.sin(turn)
    return _sampled(image, x * cos - y * sin, x * sin + y * cos)


def _crop(zoom: float, shift: float, image: Image, rng: np.random.Generator) -> Image:
    """Frame `zoom` times as much, the middle moved by `shift` of the width in any direction."""
    angle = rng.uniform(0, 2 * math.pi)
    far = shift * image.shape[1]
    y, x = _grid(image)
    return _sampled(image, x * zoom + far * math.cos(angle), y * zoom + far * math.sin(angle))


def _contrast(share: float, image: Image, rng: np.random.Generator) -> Image:
    """Keep a share of each gray level's distance from the mean."""
    mean = image.mean()
    return _pixels(mean + share * (image - mean))


def _fog(transmission: float, image: Image, rng: np.random.Generator) -> Image:
    """Let a share of the picture through; the rest is light gray, uneven by half the depth."""
    field = rng.uniform(0.5, 1.5, (4, 4)).astype(np.float32)
    size = (image.shape[1], image.shape[0])
    depth = PillowImage.fromarray(field).resize(size, PillowImage.Resampling.BICUBIC)
    share = _per_channel(transmission ** np.maximum(np.asarray(depth, dtype=float), 0), image)
    return _pixels(share * image + (1 - share) * 220)


def _cast(strength: float, image: Image, rng: np.random.Generator) -> Image:
    """Move each channel along its own smooth rising curve, then turn colours gray.

    A curve moves gray levels by at most about `strength`, black and white stay.
    """
    channels = image[:, :, None] if image.ndim == 2 else image
    tone = math.pi * channels / 255
    way = rng.uniform(0, 2 * math.pi, channels.shape[2])
    moved = strength * (np.cos(way) * np.sin(tone) + np.sin(way) / 2 * np.sin(2 * tone))
    curved = _pixels(channels + moved)
    if image.ndim == 2:
        return curved[:, :, 0]
    return np.asarray(PillowImage.fromarray(curved).convert("L"))


def _cover(draw: _Draw, gray: tuple[float, float], image: Image, rng: np.random.Generator) -> Image:
    """Lay something over the face: of one gray level in `gray`, uneven by a tenth."""
    pencil = _Pencil(image)
    draw(pencil, bool(rng.integers(2)))
    return pencil.laid(rng.uniform(*gray), rng)


def _hand(image: Image, rng: np.random.Generator) -> Image:
    """Lay a hand over one cheek and half of the mouth, as bright as the face."""
    middle = np.percentile(image, 60) * rng.uniform(0.8, 1.1)
    return _cover(_draw_hand, (middle, middle), image, rng)


class _Pencil:
    """Draws the outline of a cover in the coordinates of a 48-pixel face.

    Args:
        image: The face to be covered.
    """

    _FINE = 4  # parts of a pixel, so that edges are smooth

    def __init__(self, image: Image) -> None:
        self.image = image
        height, width = image.shape[:2]
        self._sheet = PillowImage.new("L", (width * self._FINE, height * self._FINE))
        self._draw = ImageDraw.Draw(self._sheet)
        self._scale = np.array([width, height]) * self._FINE / TEMPLATE_SIZE

    def shape(self, *points: tuple[float, float], mirror: bool = False) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._placed(points, mirror=mirror), fill=255)

    def oval(self, x: float, y: float, across: float, down: float, *, mirror: bool = False) -> None:
        """Fill an ellipse about (x, y) with these radii."""
        turns = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        edge = zip(x + across * np.cos(turns), y + down * np.sin(turns), strict=True)
        self._draw.polygon(self._placed(tuple(edge), mirror=mirror), fill=255)

    def laid(self, gray: float, rng: np.random.Generator) -> Image:
        """Return the face with what was drawn laid over it."""
        share = np.asarray(self._sheet.reduce(self._FINE), dtype=float) / 255
        field = rng.uniform(0.9, 1.1, (6, 6)).astype(np.float32)
        size = (self.image.shape[1], self.image.shape[0])
        uneven = PillowImage.fromarray(field).resize(size, PillowImage.Resampling.BICUBIC)
        own, layer = (
            _per_channel(x, self.image) for x in (share, gray * np.asarray(uneven, dtype=float))
        )
        return _pixels((1 - own) * self.image + own * layer)

    def _placed(self, points: Any, *, mirror: bool) -> list[tuple[float, float]]:
        placed = np.array(points)
        if mirror:
            placed[:, 0] = TEMPLATE_SIZE - placed[:, 0]
        return [(x, y) for x, y in (placed * self._scale).tolist()]


def _draw_hair(pencil: _Pencil, mirror: bool) -> None:
    """A fringe over forehead and brows, deeper on one side."""
    pencil.shape((0, 0), (48, 0), (48, 20), (40, 15), (24, 14), (10, 18), (0, 26), mirror=mirror)


def _draw_sunglasses(pencil: _Pencil, mirror: bool) -> None:
    for x in (14.5, 33.5):
        pencil.oval(x, 19, 8, 6)
    pencil.shape((5, 16), (43, 16), (43, 18), (5, 18))
    pencil.shape((0, 15), (7, 16), (7, 19), (0, 17))
    pencil.shape((48, 15), (41, 16), (41, 19), (48, 17))


def _draw_mask(pencil: _Pencil, mirror: bool) -> None:
    """A mask over mouth and nose."""
    pencil.shape(
        (24, 23), (31, 26), (43, 27), (41, 40), (33, 48), (15, 48), (7, 40), (5, 27), (17, 26)
    )


def _draw_hand(pencil: _Pencil, mirror: bool) -> None:
    pencil.oval(10, 40, 15, 10, mirror=mirror)
    for x, y in ((3, 25), (8.5, 22), (14, 23), (19.5, 27)):
        pencil.oval(x, y, 2.6, 4, mirror=mirror)
        pencil.shape((x - 2.6, y), (x + 2.6, y), (x + 2.2, 40), (x - 2.2, 40), mirror=mirror)


def _draw_half(pencil: _Pencil, mirror: bool) -> None:
    """A flat thing over the left or the right half."""
    pencil.shape((0, 0), (24, 0), (24, 48), (0, 48), mirror=mirror)


def _pixels(values: _Values) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _per_channel(values: _Values, image: Image) -> _Values:
    """Return (H, W) values in a shape that goes with the picture's."""
    return values if image.ndim == 2 else values[:, :, None]


def _grid(image: Image) -> tuple[_Values, _Values]:
    """Return y and x of every pixel's centre, in pixels from the picture's."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(float)
    return y - (height - 1) / 2, x - (width - 1) / 2


def _sampled(image: Image, x: _Values, y: _Values) -> Image:
    """Return the picture at other places (pixels from its centre), bilinear."""
    height, width = image.shape[:2]
    x = np.clip(x + (width - 1) / 2, 0, width - 1)
    y = np.clip(y + (height - 1) / 2, 0, height - 1)
    left, top = x.astype(int), y.astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    a, b = (_per_channel(part, image) for part in (x - left, y - top))
    upper = (1 - a) * image[top, left] + a * image[top, right]
    lower = (1 - a) * image[below, left] + a * image[below, right]
    return _pixels((1 - b) * upper + b * lower)


def _convolved(values: _Values, kernel: _Values) -> _Values:
    """Return values weighted with a kernel of odd height and width."""
    down, across = (side // 2 for side in kernel.shape)
    padding = [(down, down), (across, across), (0, 0)][: values.ndim]
    padded = np.pad(values, padding, mode="edge")
    height, width = values.shape[:2]
    total = np.zeros_like(values)
    for y, x in np.argwhere(kernel > 0):
        total += kernel[y, x] * padded[y : y + height, x : x + width]
    return total


def _levels(name: str, change: Callable[..., Image], *values: float) -> dict[str, Change]:
    """Return severities of one number each; `name` says it, such as ``x {}``."""
    return {name.format(value): partial(change, value) for value in values}


CONDITIONS: dict[str, Condition] = {
    "light": Condition("brightness", _levels("x {}", _light, 0.1, 0.25, 0.5, 2, 3)),
    "gamma": Condition("power of the 0 to 1 scale", _levels("{}", _gamma, 0.33, 0.5, 1.5, 2, 3)),
    "side light": Condition(
        "lit to unlit side, ratio", _levels("{}", _side_light, 1.5, 2, 4, 8, 16)
    ),
    "blur": Condition("sigma, 1/128 of the width", _levels("{}", _blur, 1, 2, 3, 4, 6)),
    "motion blur": Condition("path, 1/128 of the width", _levels("{}", _motion, 4, 8, 12, 16, 24)),
    "noise": Condition("sigma in gray levels", _levels("{}", _noise, 5, 10, 15, 25, 40)),
    "JPEG": Condition("quality", _levels("{}", _jpeg, 50, 30, 15, 10, 5)),
    "size": Condition("face's width in pixels", _levels("{}", _size, 40, 32, 24, 16, 12)),
    "roll": Condition("degrees", _levels("{}", _roll, 5, 10, 15, 20, 30)),
    "crop": Condition(
        "framing",
        {
            "wider 25 %": partial(_crop, 1.25, 0),
            "wider 12 %": partial(_crop, 1.12, 0),
            "tighter 12 %": partial(_crop, 0.88, 0),
            "tighter 25 %": partial(_crop, 0.75, 0),
            "shifted 12 %": partial(_crop, 1, 0.12),
        },
    ),
    "cover": Condition(
        "what lies over the face",
        {
            "hair": partial(_cover, _draw_hair, (15, 90)),
            "sunglasses": partial(_cover, _draw_sunglasses, (5, 40)),
            "hand": _hand,
            "mask": partial(_cover, _draw_mask, (140, 235)),
            "half": partial(_cover, _draw_half, (0, 255)),
        },
        cases=True,
    ),
    "contrast": Condition("share kept", _levels("{}", _contrast, 0.5, 0.3, 0.2, 0.1, 0.05)),
    "fog": Condition("share let through", _levels("{}", _fog, 0.8, 0.6, 0.4, 0.25, 0.15)),
    "gray cast": Condition("gray levels moved", _levels("{}", _cast, 10, 20, 30, 40, 50)),
    "whole path": Condition(
        "face on a canvas, searched",
        {
            "as it is": _same,
            "roll 90": partial(_roll, 90),
            "brightness x 0.25": partial(_light, 0.25),
            "noise 25": partial(_noise, 25),
            "24 pixels": partial(_size, 24 * CANVAS // CANVAS_FACE),
        },
        cases=True,
        whole=True,
    ),
}
"""The conditions by name.

Severities run from mild to severe, but for ``light``, ``gamma`` and ``crop``, which run from one
side to the other, and ``cover`` and ``whole path``, which list cases.
"""
