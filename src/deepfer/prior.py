"""Which expressions are expected how often, and answers under other expectations than learnt.

A network answers under the shares of what it was trained on: faces of photos are neutral or happy
twice in three times. Where other shares are true, as in a study that asks for each expression
equally often, one line of arithmetic makes its answers right again.

Source:
    Saerens, Latinne and Decaestecker, Adjusting the Outputs of a Classifier to New a Priori
    Probabilities, 2002, equation 2.4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deepfer.errors import InputError
from deepfer.modelfile import ModelInfo

PHOTOS, BALANCED = "photos", "balanced"

PriorLike: TypeAlias = "str | Mapping[str, float] | Prior"
"""``photos``, ``balanced``, shares as a mapping or as ``happy=0.3,sad=0.2,...``, or a `Prior`."""


@dataclass(frozen=True, slots=True)
class Prior:
    """How often each of a model's expressions is expected.

    Attributes:
        text: What results say: ``photos``, ``balanced``, or the shares as `read_prior` reads them.
        weights: What each of the model's probabilities is multiplied by, in its label order; empty
            where the model's own shares are wanted.
    """

    text: str
    weights: tuple[float, ...] = ()

    def __call__(self, probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return probabilities (N, K) as they are under this prior; rows sum to 1."""
        return reweighted(probabilities, self.weights) if self.weights else probabilities


def reweighted(
    probabilities: NDArray[np.floating], weights: Sequence[float] | NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return probabilities (N, K) with each column times its weight (K,), rows summing to 1."""
    weighted = probabilities * np.asarray(weights, probabilities.dtype)
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def read_prior(asked: PriorLike, info: ModelInfo) -> Prior:
    """Return the prior that was asked for, for a model.

    Args:
        asked: ``photos``: the shares that the model learnt, those of faces in photos.
            ``balanced``: each expression as often as any other. Or own shares, above 0, one for
            each of the model's expressions; they are brought to the sum 1.
        info: What the model file says about itself.

    Raises:
        InputError: It is none of these, or the model file does not say which shares it learnt.

    Example:
        >>> from deepfer.labels import Expression
        >>> from deepfer.modelfile import InputSpec
        >>> labels = Expression.HAPPY, Expression.SAD
        >>> info = ModelInfo("m", labels, InputSpec(48, 48), prior=(0.75, 0.25))
        >>> prior = read_prior("happy=1,sad=1", info)
        >>> prior.text, prior(np.array([[0.75, 0.25]])).tolist()
        ('happy=0.5,sad=0.5', [[0.5, 0.5]])
    """
    if isinstance(asked, Prior):
        return asked
    if asked == PHOTOS:
        return Prior(PHOTOS)
    if not info.prior:
        raise InputError(
            f"prior {asked!r}: {info.name} does not say which shares it learnt, so only "
            f"{PHOTOS!r} can be had; export the model again"
        )
    if asked == BALANCED:
        shares = [1 / len(info.labels)] * len(info.labels)
        return Prior(BALANCED, _weights(shares, info))
    shares = _own_shares(_parsed(asked) if isinstance(asked, str) else asked, asked, info)
    text = ",".join(f"{e}={share:.6g}" for e, share in zip(info.labels, shares, strict=True))
    return Prior(text, _weights(shares, info))


def _weights(shares: list[float], info: ModelInfo) -> tuple[float, ...]:
    return tuple(share / learnt for share, learnt in zip(shares, info.prior, strict=True))


def _parsed(text: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        shares = {name.strip(): float(share) for name, share in pairs}
        if len(shares) < len(pairs):
            raise ValueError  # noqa: TRY301  told below as any other mistake
    except ValueError:
        raise InputError(
            f"prior {text!r}: expected {PHOTOS}, {BALANCED}, or shares such as "
            "happy=0.3,sad=0.2,..."
        ) from None
    return shares


def _own_shares(shares: Mapping[str, float], asked: object, info: ModelInfo) -> list[float]:
    if set(shares) != set(info.labels):
        raise InputError(
            f"prior {asked!r}: expected one share for each of {', '.join(info.labels)}"
        )
    values = [float(shares[label]) for label in info.labels]
    if not all(0 < value < float("inf") for value in values):
        raise InputError(f"prior {asked!r}: shares are numbers above 0")
    return [value / sum(values) for value in values]
