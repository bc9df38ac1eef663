"""The spatial transformer that Deep-Emotion and DeepFER describe: an affine map, then resampling.

Source:
    Jaderberg et al., Spatial Transformer Networks, 2015. Both studies draw the localisation
    network of the usual tutorial (7x7 and 5x5 kernels); Deep-Emotion's figure prints 3x3.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SpatialTransformer(nn.Module):
    """Finds an affine map θ on the face and resamples a picture or feature map with it.

    Args:
        input_size: Height and width of the faces, in pixels.
        kernels: Sizes of the two convolution kernels, unpadded.

    Convention:
        θ maps output to input coordinates, -1 to 1 over the map, ``align_corners=False``; outside
        the map there are zeros.
    """

    def __init__(self, input_size: int, kernels: tuple[int, int] = (7, 5)) -> None:
        super().__init__()
        first, second = kernels
        self.localization = nn.Sequential(
            nn.Conv2d(1, 8, first),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 10, second),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
        )
        side = ((input_size - first + 1) // 2 - second + 1) // 2
        self.hidden = nn.Sequential(nn.Linear(10 * side * side, 32), nn.ReLU(inplace=True))
        self.last = nn.Linear(32, 6)
        self.reset()

    def reset(self) -> None:
        """Make the map the identity, whatever the face."""
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def theta(self, faces: Tensor) -> Tensor:
        """Return float32 (N, 2, 3) for (N, 1, S, S) faces."""
        values: Tensor = self.last(self.hidden(self.localization(faces)))
        return values.float().view(-1, 2, 3)

    def forward(self, faces: Tensor, maps: Tensor) -> Tensor:
        """Resample (N, C, H, W) `maps` with the map found on `faces`, in float32."""
        # bfloat16 has too few digits for sampling positions
        with torch.autocast(faces.device.type, enabled=False):
            grid = functional.affine_grid(
                self.theta(faces.float()), list(maps.shape), align_corners=False
            )
            return functional.grid_sample(maps.float(), grid, align_corners=False)
