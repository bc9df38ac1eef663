"""The table of methods, and `explain`, which is the way in to all of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer.classify import Classifier, model_path
from deepfer.errors import InputError, MissingExtraError, UnknownNameError
from deepfer.explain.attention import density, warped, window_corners
from deepfer.explain.occlusion import occlusion_maps
from deepfer.explain.types import Explanation
from deepfer.labels import Expression
from deepfer.media import Source, read_photo
from deepfer.preprocess import to_pixels

_THREADS = 2  # an occlusion's faces are many enough to share


BASE_METHODS = ("occlusion", "attention")
"""Those that need no gradients, and no more than the base install."""


def list_methods() -> tuple[str, ...]:
    """Return the names of the methods."""
    return tuple(_METHODS)


def require_names(method: str, target: str | None, labels: tuple[Expression, ...]) -> None:
    """Fail with `UnknownNameError` unless there is the method, and the target among the labels."""
    if method not in _METHODS:
        raise UnknownNameError("method", method, list_methods())
    if target is not None and target not in labels:
        raise UnknownNameError("expression", target, tuple(map(str, labels)))


def explain(
    crop: Source,
    method: str = "occlusion",
    *,
    target: str | None = None,
    model: Classifier | str | Path | None = None,
    **settings: Any,
) -> Explanation:
    """Show what decided about one face.

    Args:
        crop: A face crop as for `Recognizer.recognize`, framed as in training; for the faces of
            a photo see `Recognizer.recognize_crops`.
        method: One of `list_methods`.
        target: The expression to explain; the most probable one by default.
        model: As for `Recognizer`.
        settings: Of the method. ``occlusion``: ``patch`` and ``stride`` in 48ths of the face (8,
            2) and ``fill`` (``"mean"``, ``"black"`` or ``"blur"``). ``integrated_gradients``:
            ``steps`` (32).

    Raises:
        UnknownNameError: There is no such method, or the model does not know the target.
        InputError: The crop cannot be read, settings are wrong, or the model has no attention.
        ModelFileError: The model file cannot be used.
        MissingExtraError: The method needs gradients, and the extra ``explain`` is missing.

    Example:
        >>> from deepfer.explain import explain
        >>> face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
        >>> explain(face, target="happy").map.shape
        (48, 48)
    """
    classifier = model if isinstance(model, Classifier) else Classifier(model)
    labels = classifier.info.labels
    require_names(method, target, labels)
    face = to_pixels([read_photo(crop)], classifier.info.input)[0]
    probabilities = classifier(face[None])[0]
    chosen = labels[int(probabilities.argmax())] if target is None else Expression(target)
    run, defaults = _METHODS[method]
    if unknown := sorted(set(settings) - set(defaults)):
        raise InputError(
            f"{method} has no setting {', '.join(unknown)}; it has {', '.join(defaults) or 'none'}"
        )
    settings = {**defaults, **settings}
    for key, value in settings.items():
        if type(value) is not type(defaults[key]):
            raise InputError(
                f"{method}: {key} {value!r}: expected {type(defaults[key]).__name__} "
                f"such as {defaults[key]!r}"
            )
    return Explanation(
        method=method,
        target=chosen,
        probabilities=dict(zip(labels, probabilities.tolist(), strict=True)),
        face=face,
        settings=settings,
        **run(classifier, face, labels.index(chosen), **settings),
    )


def _occlusion(
    classifier: Classifier, face: NDArray[np.uint8], target: int, **settings: Any
) -> dict[str, Any]:
    with ThreadPoolExecutor(_THREADS) as pool:

        def classify(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.concatenate(list(pool.map(classifier, np.array_split(faces, _THREADS))))

        pixels = {key: -(-settings[key] * len(face) // 48) for key in ("patch", "stride")}
        soft, hard = occlusion_maps(classify, face, target, fill=settings["fill"], **pixels)
    return {"map": soft, "hard": hard}


def _attention(classifier: Classifier, face: NDArray[np.uint8], target: int) -> dict[str, Any]:
    theta = classifier.theta(face[None])
    if theta is None:
        raise InputError(f"{classifier.info.name} has no attention; choose another method")
    return {
        "map": density(face, theta[0]),
        "window": window_corners(theta[0], *face.shape),
        "view": warped(face, theta[0]),
    }


def _gradient_method(name: str) -> Callable[..., dict[str, Any]]:
    def run(
        classifier: Classifier, face: NDArray[np.uint8], target: int, **settings: Any
    ) -> dict[str, Any]:
        try:
            gradients = import_module("deepfer.explain.gradients")
        except ModuleNotFoundError:
            raise MissingExtraError("explain") from None
        network = gradients.network_of(_exact(classifier.path) or classifier)
        spec = classifier.info.input
        return {"map": gradients.gradient_map(name, network, face, target, spec, **settings)}

    return run


@cache
def _exact(path: Path) -> Classifier | None:
    """Return a shipped model as it was trained: 8-bit integers have no gradients."""
    exact = model_path(path, exact=True)
    return None if exact == path else Classifier(exact)


_METHODS: dict[str, tuple[Callable[..., dict[str, Any]], dict[str, Any]]] = {
    "occlusion": (_occlusion, {"patch": 8, "stride": 2, "fill": "mean"}),
    "attention": (_attention, {}),
    "grad_cam": (_gradient_method("grad_cam"), {}),
    "hires_cam": (_gradient_method("hires_cam"), {}),
    "gradient": (_gradient_method("gradient"), {}),
    "integrated_gradients": (_gradient_method("integrated_gradients"), {"steps": 32}),
}
"""Per method: what runs it, and its settings with their defaults."""
