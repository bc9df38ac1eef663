"""A whole image set as tensors in memory, handed out in batches."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from deepfer.data.base import ImageSet
from deepfer.modelfile import InputSpec
from deepfer.preprocess import to_pixels


class TensorSet:
    """One image set at the network's size.

    Attributes:
        pixels: uint8 (N, 1, H, W).
        labels: int64 (N,).
        targets: float32 (N, K), one-hot.
        votes: float32 (N, V), vote shares; V is 0 where there are none.
    """

    def __init__(self, images: ImageSet, spec: InputSpec, device: torch.device) -> None:
        self.spec = spec
        self.pixels = torch.from_numpy(to_pixels(images.images, spec)).unsqueeze(1).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)
        self.targets = functional.one_hot(self.labels, len(images.expressions)).float()
        votes = images.votes
        if votes is None:
            votes = np.zeros((len(images), 0), dtype=np.float32)
        total = votes.sum(axis=1, keepdims=True) if votes.size else 1.0
        self.votes = torch.from_numpy(votes / np.maximum(total, 1)).float().to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def faces(self, chosen: Tensor) -> Tensor:
        """Return float32 (n, 1, H, W) faces on the 0 to 1 scale, to be augmented."""
        return self.pixels[chosen].float() / 255

    def normalized(self, faces: Tensor) -> Tensor:
        """Return 0 to 1 faces as network input: `preprocess.normalize` on tensors."""
        return (faces - self.spec.mean) / self.spec.std
