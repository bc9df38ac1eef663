"""Random changes of whole batches: one resampling for all geometry, then pixel changes.

Works on float (N, 1, H, W) batches on the 0 to 1 scale. All randomness comes from torch's
global generator, which the training loop seeds per epoch.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from deepfer.training.recipe import Augment


def augment(faces: Tensor, options: Augment, *, plain: bool, together: int = 1) -> Tensor:
    """Return changed copies of `faces`.

    Args:
        faces: A batch.
        options: The recipe's ``[augment]`` table.
        plain: Leave erasing out.
        together: So many faces that follow each other are changed alike, but for their noise.
    """
    chance = _Chance(faces, together)
    faces = _move(faces, options, chance)
    if options.contrast or options.brightness:
        gain = 1 + options.contrast * chance.signed(1, 1, 1)
        mean = faces.mean(dim=(2, 3), keepdim=True)
        faces = (faces - mean) * gain + mean + options.brightness * chance.signed(1, 1, 1)
    if options.noise:
        faces = faces + options.noise * chance.share(1, 1, 1) * torch.randn_like(faces)
    faces = faces.clamp(0, 1)
    if options.erase and not plain:
        faces = _erase(faces, options.erase, chance)
    return faces


def mixup(
    faces: Tensor, targets: dict[str, Tensor], alpha: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Blend each face, and its rows in every target, with another one of the batch.

    Source:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018.
    """
    share = torch.distributions.Beta(alpha, alpha).sample().item()
    other = torch.randperm(len(faces), device=faces.device)

    def blended(values: Tensor) -> Tensor:
        return share * values + (1 - share) * values[other]

    return blended(faces), {name: blended(values) for name, values in targets.items()}


class _Chance:
    """Draws one value (or block of values) per face of a batch, on the batch's device."""

    def __init__(self, faces: Tensor, together: int) -> None:
        self.n, self.together, self.device = len(faces), together, faces.device

    def share(self, *shape: int) -> Tensor:
        """Return uniform values in 0 to 1."""
        drawn = torch.rand(self.n // self.together, *shape, device=self.device)
        return drawn if self.together == 1 else drawn.repeat_interleave(self.together, dim=0)

    def signed(self, *shape: int) -> Tensor:
        """Return uniform values in -1 to 1."""
        return self.share(*shape) * 2 - 1


def _move(faces: Tensor, options: Augment, chance: _Chance) -> Tensor:
    """Rotate, shear, scale, shift and mirror in one bilinear resampling; borders are repeated."""
    if not (options.flip or options.rotate or options.scale or options.shift or options.shear):
        return faces
    angle = math.radians(options.rotate) * chance.signed()
    shear = torch.tan(math.radians(options.shear) * chance.signed())
    scale = 1 + options.scale * chance.signed()
    stretch = 1 + options.scale / 3 * chance.signed()
    mirrored = chance.share() < (0.5 if options.flip else 0.0)
    mirror = 1 - 2 * mirrored.float()
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [
            cos * mirror * stretch,
            -sin + cos * shear,
            2 * options.shift * chance.signed(),
            sin * mirror * stretch,
            cos + sin * shear,
            2 * options.shift * chance.signed(),
        ],
        dim=1,
    ).reshape(len(faces), 2, 3)
    grid = functional.affine_grid(theta, list(faces.shape), align_corners=False)
    return functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def _erase(faces: Tensor, probability: float, chance: _Chance) -> Tensor:
    """Fill one random rectangle (2 to 20 % of the area) of some faces with one gray level.

    Source:
        Zhong et al., Random Erasing Data Augmentation, 2020.
    """
    height, width = faces.shape[2:]
    area = (0.02 + 0.18 * chance.share(1)) * height * width
    ratio = torch.exp(math.log(3) * chance.signed(1))
    high, wide = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    top, left = chance.share(1) * (height - high), chance.share(1) * (width - wide)
    y, x = (torch.arange(side, device=faces.device) for side in (height, width))
    rows = (y >= top) & (y < top + high)
    columns = (x >= left) & (x < left + wide)
    hit = chance.share(1, 1) < probability
    mask = (rows[:, :, None] & columns[:, None, :] & hit)[:, None]
    return torch.where(mask, chance.share(1, 1, 1), faces)
