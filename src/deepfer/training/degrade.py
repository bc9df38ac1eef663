"""What cameras, light and hands do to faces, as random changes of whole batches.

A photo's face goes through these in this order: light falls on it, something covers it, it is out
of focus or moves, it is small, the sensor adds noise, and a file format throws detail away. Works
on float (N, 1, S, S) batches on the 0 to 1 scale; all randomness comes from torch's global
generator. Separable changes are products with S x S matrices, which costs next to nothing.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from deepfer.training.recipe import Degrade

_GAMMA, _GAIN = 3.0, 5.0  # largest factor either way; drawn evenly on a logarithmic scale
_SIDE_LIGHT, _FOG = 0.9, 0.75  # share of the light that is taken away, of the contrast
_SIGMA = 0.045  # largest blur, as a share of the face's width
_PATH, _TAPS = 0.2, 7  # longest way that a moving face goes, and in how many steps
_SMALLEST = 0.25  # width of the smallest originals: 12 of 48 pixels
_NOISE = 32 / 255
_QUALITIES = 4.0, 60.0
_SHAPES = 4  # kinds of cover


def degrade(faces: Tensor, options: Degrade) -> tuple[Tensor, Tensor]:
    """Return changed copies of `faces`, in whole gray levels, and what of each is hidden.

    Args:
        faces: float (N, 1, S, S), 0 to 1.
        options: Which share of the faces each change meets.

    Returns:
        The faces, and float (N, 1): the share of the face that something covers.
    """
    faces = faces.clone()
    hidden = torch.zeros(len(faces), 1, device=faces.device)
    for share, change in (
        (options.light / 2, _gamma),
        (options.light / 2, _gain),
        (options.light / 2, _side_light),
        (options.light / 4, _fog),
    ):
        some = _some(faces, share)
        faces[some] = change(faces[some]).clamp(0, 1)
    some = _some(faces, options.cover)
    faces[some], hidden[some] = _cover(faces[some])
    # noise comes before the size as well: a large photo's noise shrinks with its face
    for share, change in (
        (options.blur, _blur),
        (options.motion, _motion),
        (options.noise / 3, _noise),
        (options.size, _size),
        (2 * options.noise / 3, _noise),
        (options.jpeg, _jpeg),
    ):
        some = _some(faces, share)
        faces[some] = change(faces[some]).clamp(0, 1)
    return (faces * 255).round() / 255, hidden


def _some(faces: Tensor, share: float) -> Tensor:
    """Return the positions of a fixed number of random faces."""
    return torch.randperm(len(faces), device=faces.device)[: round(share * len(faces))]


def _uniform(faces: Tensor, low: float, high: float) -> Tensor:
    """Return a random value per face, (N, 1, 1, 1)."""
    return low + (high - low) * torch.rand(len(faces), 1, 1, 1, device=faces.device)


def _factor(faces: Tensor, largest: float) -> Tensor:
    return torch.exp(_uniform(faces, -math.log(largest), math.log(largest)))


def _gamma(faces: Tensor) -> Tensor:
    return faces.clamp(min=1e-3) ** _factor(faces, _GAMMA)


def _gain(faces: Tensor) -> Tensor:
    return faces * _factor(faces, _GAIN)


def _places(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Return x (S,) and y (S, 1), -1 to 1 over the face."""
    size = faces.shape[3]
    place = (torch.arange(size, device=faces.device) + 0.5) * 2 / size - 1
    return place, place[:, None]


def _side_light(faces: Tensor) -> Tensor:
    angle = _uniform(faces, -math.pi, math.pi)
    x, y = _places(faces)
    across = (x * torch.cos(angle) + y * torch.sin(angle)).clamp(-1, 1)
    sharpness = _uniform(faces, 1, 4)  # a soft window to a hard edge
    shade = torch.sigmoid(2 * sharpness * across)
    return faces * (1 - _uniform(faces, 0.2, _SIDE_LIGHT) * shade)


def _fog(faces: Tensor) -> Tensor:
    return torch.lerp(faces, _uniform(faces, 0.2, 1).expand_as(faces), _uniform(faces, 0, _FOG))


def _cover(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Cover the mouth, the eyes, one side or any place, by a rectangle or an ellipse."""
    x, y = _places(faces)

    def between(low: float, high: float) -> Tensor:
        return _uniform(faces, low, high)

    shape = torch.randint(_SHAPES, (len(faces), 1, 1, 1), device=faces.device)
    mask, glasses, half = (shape == i for i in range(3))
    side = torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    centre_x, centre_y = between(-0.7, 0.7), between(-0.7, 0.7)
    wide, high = between(0.15, 0.6), between(0.15, 0.6)
    centre_x = torch.where(mask | glasses, between(-0.08, 0.08), centre_x)
    centre_y = torch.where(mask, between(0.45, 0.7), centre_y)
    centre_y = torch.where(glasses, between(-0.35, -0.1), centre_y)
    wide = torch.where(mask, between(0.5, 0.9), torch.where(glasses, between(0.5, 0.9), wide))
    high = torch.where(mask, between(0.35, 0.6), torch.where(glasses, between(0.12, 0.3), high))
    turn = between(-0.3, 0.3)  # radians
    right = (x - centre_x) * torch.cos(turn) + (y - centre_y) * torch.sin(turn)
    down = (y - centre_y) * torch.cos(turn) - (x - centre_x) * torch.sin(turn)
    round_ = (right / wide) ** 2 + (down / high) ** 2 < 1
    square = (right.abs() < wide) & (down.abs() < high)
    inside = torch.where(between(0, 1) < 0.5, round_, square)
    beyond = right * side > between(-0.1, 0.5)  # hair, a hand, the edge of a door
    inside = torch.where(half, beyond, inside)

    # gray, or stripes and blots like cloth and fingers
    waves = between(3, 25) * right + between(-8, 8) * down + between(0, 6)
    grain = functional.interpolate(torch.rand_like(faces[:, :, ::4, ::4]), scale_factor=4)
    texture = torch.where(between(0, 1) < 0.5, torch.sin(waves) / 2, grain - 0.5)
    fill = (between(0, 1) + between(0, 0.5) * texture).clamp(0, 1)
    covered = torch.where(inside, fill, faces)
    # what counts is the face's middle: its corners are hair and background
    inner = (x / 0.8) ** 2 + (y / 0.9) ** 2 < 1
    hidden = (inside & inner).float().sum(dim=(2, 3)) / inner.sum()
    return covered, hidden


def _blur(faces: Tensor) -> Tensor:
    sigma = faces.shape[3] * _uniform(faces, 0.008, _SIGMA)
    place = torch.arange(faces.shape[3], device=faces.device, dtype=faces.dtype)
    weights = torch.exp(-((place - place[:, None]) ** 2) / (2 * sigma**2))
    weights = weights / weights.sum(dim=3, keepdim=True)
    return weights @ faces @ weights.transpose(2, 3)


def _motion(faces: Tensor) -> Tensor:
    angle = _uniform(faces, -math.pi, math.pi)
    length = 2 * _uniform(faces, 0.03, _PATH)
    x, y = _places(faces)
    total = torch.zeros_like(faces)
    for step in torch.linspace(-0.5, 0.5, _TAPS).tolist():
        right = x + step * length * torch.cos(angle)
        down = y + step * length * torch.sin(angle)
        grid = torch.cat([right.expand_as(faces), down.expand_as(faces)], dim=1)
        grid = grid.permute(0, 2, 3, 1)
        total += functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    return total / _TAPS


def _size(faces: Tensor) -> Tensor:
    matrices = _shrinkers(faces.shape[3]).to(faces.device)
    chosen = torch.randint(len(matrices), (len(faces),), device=faces.device)
    matrix = matrices[chosen].unsqueeze(1)
    return matrix @ faces @ matrix.transpose(2, 3)


@cache
def _shrinkers(size: int) -> Tensor:
    """Return (K, S, S) matrices that shrink to each size from 12 of 48 up and enlarge again."""
    rows = torch.eye(size)[:, None]  # what becomes of each pixel of a row is a column
    smaller = range(round(_SMALLEST * size), size)
    return torch.stack(
        [
            functional.interpolate(
                functional.interpolate(rows, n, mode="linear", antialias=False)
                if n > size / 2
                else functional.adaptive_avg_pool1d(rows, n),
                size,
                mode="linear",
            )[:, 0].T
            for n in smaller
        ]
    )


def _noise(faces: Tensor) -> Tensor:
    return faces + _uniform(faces, 0, _NOISE) * torch.randn_like(faces)


_LUMINANCE = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]  # ITU-T T.81, table K.1


def _jpeg(faces: Tensor) -> Tensor:
    """Round the cosine transform of each 8 x 8 block, as JPEG does; sides are multiples of 8."""
    n, _, size, _ = faces.shape
    k = torch.arange(8, device=faces.device, dtype=faces.dtype)
    basis = torch.cos((2 * k + 1) * k[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    low, high = _QUALITIES
    quality = torch.exp(_uniform(faces, math.log(low), math.log(high)))[:, None]
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = (scale * torch.tensor(_LUMINANCE, device=faces.device)).clamp(min=1)  # gray levels
    blocks = (255 * faces - 128).reshape(n, size // 8, 8, size // 8, 8).permute(0, 1, 3, 2, 4)
    values = basis @ blocks @ basis.T
    values = (values / steps).round() * steps
    blocks = (basis.T @ values @ basis).permute(0, 1, 3, 2, 4)
    return (blocks.reshape(faces.shape) + 128) / 255
