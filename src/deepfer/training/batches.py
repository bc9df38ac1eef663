"""A whole image set as tensors in memory, handed out in batches."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from deepfer.certainty import vote_shares
from deepfer.data.base import ImageSet
from deepfer.modelfile import InputSpec
from deepfer.preprocess import LEAST_DEVIATION, to_pixels


class TensorSet:
    """One image set at the network's size.

    Attributes:
        pixels: uint8 (N, 1, H, W).
        labels: int64 (N,).
        targets: float32 (N, K), one-hot; with `perceived` the vote shares.
        votes: float32 (N, V), vote shares; V is 0 where there are none.
        subjects: int64 (N,), one number for every person, in order of their names; None if unknown.
        sequences: The same for recordings.
    """

    def __init__(
        self, images: ImageSet, spec: InputSpec, device: torch.device, *, perceived: bool = False
    ) -> None:
        self.spec = spec
        self.pixels = torch.from_numpy(to_pixels(images.images, spec)).unsqueeze(1).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)
        self.targets = functional.one_hot(self.labels, len(images.expressions)).float()
        votes = images.votes
        if votes is None:
            votes = np.zeros((len(images), 0), dtype=np.float32)
        self.votes = torch.from_numpy(vote_shares(votes)).float().to(device)
        if perceived:
            self.targets = self.votes
        self.subjects, self.sequences = (
            None if names is None else _numbered(names).to(device)
            for names in (images.subjects, images.sequences)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def faces(self, chosen: Tensor) -> Tensor:
        """Return float32 (n, 1, H, W) faces on the 0 to 1 scale, to be augmented."""
        return self.pixels[chosen].float() / 255

    def normalized(self, faces: Tensor) -> Tensor:
        """Return 0 to 1 faces as network input: `preprocess.normalize` on tensors."""
        if not self.spec.standardize:
            return (faces - self.spec.mean) / self.spec.std
        deviation, mean = torch.std_mean(faces, dim=(2, 3), correction=0, keepdim=True)
        return (faces - mean) / deviation.clamp(min=LEAST_DEVIATION / 255)


def _numbered(names: tuple[str, ...]) -> Tensor:
    """Return int64 (N,): each name's place among them."""
    return torch.from_numpy(np.unique(names, return_inverse=True)[1].astype(np.int64))
