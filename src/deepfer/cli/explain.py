"""``deepfer explain``: pictures and numbers of what decided."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from deepfer.classify import Classifier
from deepfer.cli.console import answer, progress, tell
from deepfer.cli.photos import read_stdin
from deepfer.data.base import ImageSet
from deepfer.errors import InputError
from deepfer.explain import Explanation
from deepfer.explain.means import correct_faces, explain_all, mean_maps
from deepfer.explain.methods import explain
from deepfer.explain.picture import draw, draw_means
from deepfer.explain.regions import REGIONS, face_regions, region_shares
from deepfer.files import replacing
from deepfer.media import Source, expand
from deepfer.pipeline import Recognizer
from deepfer.preprocess import to_pixels
from deepfer.report import SCHEMA
from deepfer.types import Face, Prediction


@dataclass(frozen=True)
class Request:
    """What the command was asked for."""

    method: str
    target: str | None
    settings: dict[str, Any]
    as_json: bool
    out: Path


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` settings; whole numbers become int."""
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text!r}: expected key=value, such as patch=12")
        settings[key] = int(value) if value.isdigit() else value
    return settings


def explain_photos(paths: list[str], recognizer: Recognizer, request: Request) -> tuple[int, int]:
    """Explain every face of the photos; return how many photos were done and how many failed."""
    done = failed = 0
    inputs: list[tuple[str, str]] = []
    for path in paths:
        try:
            inputs += expand(path)
        except InputError as error:
            tell(f"error: {error}")
            failed += 1
    for path, name in progress(inputs, len(inputs), "photos"):
        source: Source = read_stdin() if path == "-" else path
        try:
            prediction, crops = recognizer.recognize_crops(source)
        except InputError as error:
            tell(f"error: {error}")
            failed += 1
            continue
        if not prediction.faces and not request.as_json:
            answer(f"{prediction.source}: no face")
        for i, (face, crop) in enumerate(zip(prediction.faces, crops, strict=True), start=1):
            explanation = explain(
                crop,
                request.method,
                target=request.target,
                model=recognizer.classifier,
                **request.settings,
            )
            shares = region_shares(explanation.map, face_regions(*crop.shape))
            target = request.out / PurePath(name).with_suffix("")
            picture = target.with_name(f"{target.name}-face{i}.png")
            _save(draw(explanation, shares), picture)
            show = _json if request.as_json else _line
            answer(show(prediction, i, face.face, explanation, shares))
        done += 1
    return done, failed


def explain_dataset(
    classifier: Classifier,
    images: ImageSet,
    *,
    what: str,
    method: str,
    settings: dict[str, Any],
    per_expression: int,
    out: Path,
) -> None:
    """Write mean maps over correctly classified faces, and print the share of each region."""
    chosen = correct_faces(classifier, images, per_expression=per_expression)
    faces = to_pixels(images.take(chosen).images, classifier.info.input)
    found = progress(explain_all(classifier, faces, method, **settings), len(faces), "faces")
    means = mean_maps(found)
    means.write(out)
    title = f"{what}, {method.replace('_', ' ')}, {classifier.info.name}"
    _save(draw_means(means, title), out / "mean_maps.png")
    answer(f"{'':<10}" + "".join(f"{name:>9}" for name in REGIONS) + "    faces   (percent)")
    for expression, shares in means.shares.items():
        cells = "".join(f"{100 * share:>9.1f}" for share in shares.values())
        answer(f"{expression:<10}{cells}{means.counts[expression]:>9}")


def _save(picture: PillowImage.Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            picture.save(partial, "PNG")
    except OSError as error:
        raise InputError(f"--out {path}: cannot be written ({error})") from None


def _line(
    prediction: Prediction,
    number: int,
    face: Face,
    explanation: Explanation,
    shares: dict[str, float],
) -> str:
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    regions = ", ".join(f"{name} {share:.0%}" for name, share in ranked)
    own = explanation.probabilities
    asked = "" if explanation.target == explanation.expression else f", why {explanation.target}"
    return (
        f"{prediction.source} face {number}: {explanation.expression} "
        f"{own[explanation.expression]:.0%}{asked}: {regions}"
    )


def _json(
    prediction: Prediction,
    number: int,
    face: Face,
    explanation: Explanation,
    shares: dict[str, float],
) -> str:
    optional = {
        name: None if values is None else np.round(values, 5).tolist()
        for name, values in (("hard", explanation.hard), ("window", explanation.window))
    }
    content = {
        "schema": SCHEMA,
        "source": prediction.source,
        "face": number,
        "box": list(face.box),
        "model": prediction.model,
        "method": explanation.method,
        "settings": explanation.settings,
        "expression": str(explanation.expression),
        "target": str(explanation.target),
        "probabilities": {str(e): round(p, 6) for e, p in explanation.probabilities.items()},
        "regions": {name: round(share, 4) for name, share in shares.items()},
        "map": np.round(explanation.map, 5).tolist(),
        **{name: values for name, values in optional.items() if values is not None},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
