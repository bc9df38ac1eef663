"""Short texts: shares of expressions, times, settings, names."""

from collections.abc import Callable
from functools import cache

from deepfer.classify import Classifier, model_path
from deepfer.cli.explain import parse_settings
from deepfer.cli.video import seconds
from deepfer.data import open_dataset
from deepfer.explain.methods import require_names
from deepfer.prior import read_prior

from .refusals import each

WORDS = (b"photos", b"balanced", b"happy", b":", b"s", b"=0.1")


@cache
def seeds() -> list[bytes]:
    shares = ",".join(f"{label}=0.1" for label in _classifier().info.labels)
    return [
        *(b"photos", b"balanced", shares.encode(), b"happy=0.3,sad=0.2"),
        *(b"1:02:03.5", b"0.5s", b"90", b"patch=12", b"fill=blur", b"ferplus", b"occlusion"),
    ]


def run(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")  # as arguments come
    readings: tuple[Callable[[str], object], ...] = (
        seconds,
        lambda text: read_prior(text, _classifier().info),
        lambda text: parse_settings([text]),
        lambda text: require_names(text, text, _classifier().info.labels),
        model_path,
        lambda text: open_dataset(text, None),
    )
    each(readings, text)


@cache
def _classifier() -> Classifier:
    return Classifier()
