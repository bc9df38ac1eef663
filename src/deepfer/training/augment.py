"""Random changes of whole batches: one resampling for all geometry, then pixel changes.

Works on float (N, 1, H, W) batches on the 0 to 1 scale. All randomness comes from torch's
global generator, which the training loop seeds per epoch.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from deepfer.training.recipe import Augment


def augment(faces: Tensor, options: Augment, *, plain: bool) -> Tensor:
    """Return changed copies of `faces`; `plain` leaves erasing out."""
    faces = _move(faces, options)
    n = len(faces)
    if options.contrast or options.brightness:
        gain = 1 + options.contrast * _signed(n, 1, 1, 1)
        mean = faces.mean(dim=(2, 3), keepdim=True)
        faces = (faces - mean) * gain + mean + options.brightness * _signed(n, 1, 1, 1)
    if options.noise:
        faces = faces + options.noise * torch.rand(n, 1, 1, 1) * torch.randn_like(faces)
    faces = faces.clamp(0, 1)
    if options.erase and not plain:
        faces = _erase(faces, options.erase)
    return faces


def mixup(faces: Tensor, targets: list[Tensor], alpha: float) -> tuple[Tensor, list[Tensor]]:
    """Blend each face, and its rows in every target, with another one of the batch.

    Source:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018.
    """
    share = torch.distributions.Beta(alpha, alpha).sample().item()
    other = torch.randperm(len(faces))
    blended = [share * t + (1 - share) * t[other] for t in (faces, *targets)]
    return blended[0], blended[1:]


def _signed(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def _move(faces: Tensor, options: Augment) -> Tensor:
    """Rotate, shear, scale, shift and mirror in one bilinear resampling; borders are repeated."""
    if not (options.flip or options.rotate or options.scale or options.shift or options.shear):
        return faces
    n = len(faces)
    angle = math.radians(options.rotate) * _signed(n)
    shear = torch.tan(math.radians(options.shear) * _signed(n))
    scale = 1 + options.scale * _signed(n)
    stretch = 1 + options.scale / 3 * _signed(n)
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0) if options.flip else torch.ones(n)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [
            cos * mirror * stretch,
            -sin + cos * shear,
            2 * options.shift * _signed(n),
            sin * mirror * stretch,
            cos + sin * shear,
            2 * options.shift * _signed(n),
        ],
        dim=1,
    ).reshape(n, 2, 3)
    grid = functional.affine_grid(theta, list(faces.shape), align_corners=False)
    return functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def _erase(faces: Tensor, probability: float) -> Tensor:
    """Fill one random rectangle (2 to 20 % of the area) of some faces with one gray level.

    Source:
        Zhong et al., Random Erasing Data Augmentation, 2020.
    """
    n, _, height, width = faces.shape
    area = (0.02 + 0.18 * torch.rand(n, 1)) * height * width
    ratio = torch.exp(math.log(3) * _signed(n, 1))
    high, wide = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    top, left = torch.rand(n, 1) * (height - high), torch.rand(n, 1) * (width - wide)
    y, x = torch.arange(height), torch.arange(width)
    rows = (y >= top) & (y < top + high)
    columns = (x >= left) & (x < left + wide)
    hit = torch.rand(n, 1, 1) < probability
    mask = (rows[:, :, None] & columns[:, None, :] & hit)[:, None]
    return torch.where(mask, torch.rand(n, 1, 1, 1), faces)
