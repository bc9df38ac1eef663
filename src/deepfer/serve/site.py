"""The web page as a folder of files: it recognises in the browser, and any web server will do."""

import json
import os
import shutil
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from deepfer.classify import Classifier
from deepfer.errors import InputError
from deepfer.files import claimed, write_text
from deepfer.labels import Expression

RUNTIME_VERSION = "1.30.0"
"""The release of the npm package onnxruntime-web that the page is tested with."""

_PACKAGE = Path(str(resources.files("deepfer")))
_STATIC = _PACKAGE / "serve" / "static"
_WEIGHTS = _PACKAGE / "weights"
_DETECTOR = "yunet_2023mar_dynamic.onnx"
_CLASSIFIER = "expression.onnx"
_LICENCE = "LICENSE-YUNET.txt"
_RUNTIME_FILES = {
    # not every web server knows .mjs, and browsers run no module of an unknown type
    "ort.wasm.bundle.min.mjs": "onnxruntime.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}
_ENGINE = 'data-engine="{}"'


def write_site(out: Path, runtime: Path | None = None, model: str | None = None) -> None:
    """Write the page, the detector, a model and what runs them to a new folder.

    Args:
        out: The folder; it appears when all is written.
        runtime: The folder of the npm package onnxruntime-web; by default below
            ``node_modules`` of the current folder.
        model: As for `Recognizer`.

    Raises:
        InputError: `out` is not empty or cannot be written, or `runtime` lacks its files.
        ModelFileError: The model file cannot be used.
    """
    runtime = runtime or Path("node_modules") / "onnxruntime-web"
    missing = [name for name in _RUNTIME_FILES if not (runtime / "dist" / name).is_file()]
    if missing:
        raise InputError(
            f"{runtime}: no dist/{missing[0]}; "
            f"first run `npm install onnxruntime-web@{RUNTIME_VERSION}`"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not an empty folder; give a new one")
    classifier = Classifier(model)
    target = out.resolve()
    try:
        with claimed(target.parent, target.name):
            _write_whole(target, runtime, classifier)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from None


def _write_whole(target: Path, runtime: Path, classifier: Classifier) -> None:
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        _write(partial, runtime, classifier)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: Path, runtime: Path, classifier: Classifier) -> None:
    shutil.copytree(_STATIC, folder, ignore=shutil.ignore_patterns("live.*", "server.js"))
    page = folder / "index.html"
    text = page.read_text(encoding="utf-8")
    write_text(page, text.replace(_ENGINE.format("server"), _ENGINE.format("browser")))
    for name, own in _RUNTIME_FILES.items():
        shutil.copyfile(runtime / "dist" / name, folder / own)
    for name in (_DETECTOR, _LICENCE):
        shutil.copyfile(_WEIGHTS / name, folder / name)
    shutil.copyfile(classifier.path, folder / _CLASSIFIER)
    write_text(folder / "model.json", _model_json(classifier))


def _model_json(classifier: Classifier) -> str:
    """Return what the model file says about itself: ONNX Runtime Web cannot read metadata."""
    labels = classifier.info.labels
    content = {
        **asdict(classifier.info),
        "expressions": [e for e in Expression if e in labels],
        "files": {"model": _CLASSIFIER, "detector": _DETECTOR},
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
