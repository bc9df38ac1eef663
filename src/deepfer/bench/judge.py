"""Are the maps right? Every method and control on the same faces, in one table.

Where the data says which regions carry the expression (drawn faces): pointing game and share of
the map inside them. Everywhere: deletion and insertion with two fills, and what is left of the
map when the network's weights are random.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepfer.bench.fidelity import (
    CONTROLS,
    Map,
    area,
    control,
    deletion_insertion,
    mass,
    pointing,
    rank_correlation,
)
from deepfer.bench.page import write_page
from deepfer.classify import Classifier
from deepfer.errors import InputError
from deepfer.explain import BASE_METHODS, explain, list_methods
from deepfer.models import create_model
from deepfer.training.export import write_model

_FILLS = ("mean", "blur")
_COLUMNS = (
    "map",
    "needs gradients",
    "pointing game",
    "share in true regions",
    *(f"{curve}, {fill} fill" for fill in _FILLS for curve in ("deletion", "insertion")),
    "rank correlation with random weights",
    "ms per face",
)


def judge(
    classifier: Classifier,
    faces: NDArray[np.uint8],
    targets: Sequence[str],
    truths: NDArray[np.bool_] | None,
    *,
    what: str,
    out: Path,
    announce: Callable[[str], None] = lambda line: None,
) -> str:
    """Judge all methods that the model allows, and the controls; write the table.

    Args:
        classifier: The model.
        faces: uint8 (N, H, W), N at least 2.
        targets: The expressions that are explained.
        truths: bool (N, H, W), where each face shows its expression, if that is known.
        what: What to call the faces.
        out: Folder for ``table.md``, ``table.csv`` and ``report.html``.
        announce: Called with the name of every map that is done.

    Returns:
        The table in Markdown.
    """
    if not classifier.info.network:
        raise InputError(f"{classifier.path}: does not say which network it holds; export it again")
    if len(faces) < 2:
        raise InputError(f"{what}: {len(faces)} face(s); maps are judged on at least two")
    found: dict[str, tuple[NDArray[np.float32], float]] = {}
    for method in list_methods():
        try:
            _maps(method, classifier, faces[:1], targets[:1])  # libraries load
            started = time.monotonic()
            maps = _maps(method, classifier, faces, targets)
            found[method] = maps, 1000 * (time.monotonic() - started) / len(faces)
        except InputError as error:  # a network without attention
            announce(f"{method}: left out, {error}")
    with tempfile.TemporaryDirectory() as folder:
        random_model = _random_twin(classifier, Path(folder) / "random.onnx")
        twins = {method: _maps(method, random_model, faces, targets) for method in found}
    lines = []
    for method, (maps, milliseconds) in found.items():
        pairs = zip(maps, twins[method], strict=True)
        left = [rank_correlation(own, twin) for own, twin in pairs]
        shown = "" if np.isnan(left).any() else f"{np.mean(left):.2f}"
        lines.append(
            [
                method.replace("_", " "),
                "no" if method in BASE_METHODS else "yes",
                *_figures(classifier, faces, targets, truths, maps),
                shown,
                f"{milliseconds:.0f}",
            ]
        )
        announce(f"{method}: done")
    occlusion = found["occlusion"][0]
    others = (occlusion.sum(axis=0) - occlusion) / (len(faces) - 1)
    controls = {
        f"{name} (control)": np.stack([control(name, f, seed=i) for i, f in enumerate(faces)])
        for name in CONTROLS
    }
    for name, maps in {**controls, "mean map of the other faces (control)": others}.items():
        figures = _figures(classifier, faces, targets, truths, maps)
        lines.append([name, "no", *figures, "", ""])
    title = f"{what}, {len(faces)} faces, {classifier.info.name}"
    return write_page(out, title, _COLUMNS, lines, [])


def _maps(
    method: str, classifier: Classifier, faces: NDArray[np.uint8], targets: Sequence[str]
) -> NDArray[np.float32]:
    return np.stack(
        [
            explain(face, method, target=target, model=classifier).map
            for face, target in zip(faces, targets, strict=True)
        ]
    )


def _figures(
    classifier: Classifier,
    faces: NDArray[np.uint8],
    targets: Sequence[str],
    truths: NDArray[np.bool_] | None,
    maps: NDArray[np.float32],
) -> list[str]:
    """Return the cells from pointing game to insertion, as text."""
    place = [classifier.info.labels.index(t) for t in targets]
    areas: list[str] = []
    for fill in _FILLS:
        curves = [
            deletion_insertion(classifier, face, values, k, fill=fill)
            for face, values, k in zip(faces, maps, place, strict=True)
        ]
        areas += [f"{np.mean([area(pair[i]) for pair in curves]):.3f}" for i in (0, 1)]
    if truths is None:
        return ["", "", *areas]
    pairs: list[tuple[Map, NDArray[np.bool_]]] = list(zip(maps, truths, strict=True))
    hits = np.mean([pointing(values, truth) for values, truth in pairs])
    inside = np.mean([mass(values, truth) for values, truth in pairs])
    return [f"{hits:.3f}", f"{inside:.3f}", *areas]


def _random_twin(classifier: Classifier, path: Path) -> Classifier:
    """Write a model of the same form whose weights are as before any training."""
    about = classifier.info
    torch.manual_seed(0)
    network = create_model(about.network, num_classes=len(about.labels), **about.network_options)
    write_model(network, replace(about, temperature=1.0), path)
    return Classifier(path)
