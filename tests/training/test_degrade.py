"""Faces in bad conditions, and what is left of their targets."""

import pytest
import torch

from deepfer.modelfile import InputSpec
from deepfer.preprocess import normalize
from deepfer.training.degrade import degrade
from deepfer.training.recipe import Degrade

FACES = torch.rand(16, 1, 48, 48, generator=torch.Generator().manual_seed(0))
PARTS = ["light", "cover", "blur", "motion", "size", "noise", "jpeg"]


def test_nothing_asked_nothing_changed():
    changed, hidden = degrade(FACES, Degrade())
    assert torch.allclose(changed, FACES, atol=0.5 / 255 + 1e-6)
    assert not hidden.any()


@pytest.mark.parametrize("part", PARTS)
def test_each_change_meets_its_share_in_whole_gray_levels(part):
    torch.manual_seed(0)
    changed, hidden = degrade(FACES, Degrade(**{part: 0.5}))
    met = ((changed - FACES).abs() > 1 / 255).flatten(1).any(dim=1).sum()
    assert 1 <= met <= (16 if part == "light" else 8)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.allclose(changed * 255, (changed * 255).round(), atol=1e-3)
    assert bool(hidden.any()) == (part == "cover")
    assert hidden.max() <= 1


def test_standardised_faces_do_not_know_light_and_contrast():
    pixels = (FACES[:, 0] * 100 + 20).round().to(torch.uint8).numpy()
    spec = InputSpec(48, 48, standardize=True)
    bright = normalize(pixels * 2, spec)
    assert abs(bright - normalize(pixels, spec)).max() < 1e-4
    assert abs(bright.mean()) < 1e-5
    assert abs(bright.std() - 1) < 1e-5
    assert not normalize(pixels[:1] * 0 + 7, spec).any()
