"""``deepfer explain``: pictures and numbers of what decided."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepfer.classify import Classifier
from deepfer.cli.console import answer, progress, tell
from deepfer.cli.photos import AnnotatedCopies, expand_all, read_stdin
from deepfer.data.base import ImageSet
from deepfer.detect import FaceDetector
from deepfer.errors import InputError
from deepfer.explain import Explanation
from deepfer.explain.means import correct_faces, explain_all, mean_maps
from deepfer.explain.methods import explain, require_names
from deepfer.explain.picture import draw, draw_means
from deepfer.explain.regions import REGIONS, face_regions, region_shares
from deepfer.explain.report import to_json
from deepfer.files import write_bytes
from deepfer.media import Source
from deepfer.pipeline import Recognizer
from deepfer.preprocess import to_pixels
from deepfer.render import encode
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
        try:
            settings[key] = int(value)
        except ValueError:
            settings[key] = value
    return settings


def explain_photos(
    paths: list[str], recognizer: Recognizer, request: Request
) -> tuple[int, int, int]:
    """Explain every face of the photos; return how many photos were done and failed, and faces."""
    require_names(request.method, request.target, recognizer.labels)
    done = drawn = 0
    inputs, failed = expand_all(paths)
    pictures = AnnotatedCopies(request.out, inputs, png=True)
    detector = FaceDetector()
    for position, (path, _) in enumerate(progress(inputs, len(inputs), "photos")):
        try:
            source: Source = read_stdin() if path == "-" else path
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
            # a face that was not searched may be framed in any way
            found = detector(crop) if face.face.landmarks is None else []
            regions = face_regions(
                crop.shape[0], crop.shape[1], found[0].landmarks if found else None
            )
            shares = region_shares(explanation.evidence, regions)
            pictures.save(position, draw(explanation, shares), f"-face{i}")
            drawn += 1
            show = _json if request.as_json else _line
            answer(show(prediction, i, face.face, explanation, shares))
        done += 1
    return done, failed, drawn


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
    write_bytes(out / "mean_maps.png", encode(draw_means(means, title), ".png"))
    answer(f"{'':<10}" + "".join(f"{name:>9}" for name in REGIONS) + "    faces   (percent)")
    for expression, shares in means.shares.items():
        cells = "".join(f"{100 * share:>9.1f}" for share in shares.values())
        answer(f"{expression:<10}{cells}{means.counts[expression]:>9}")


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
        **to_json(explanation, shares),
        "source": prediction.source,
        "face": number,
        "box": list(face.box),
        "model": prediction.model,
        "prior": prediction.prior,
        "settings": explanation.settings,
        **{name: values for name, values in optional.items() if values is not None},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
