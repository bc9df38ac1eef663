"""`write_site`: the folder it writes, and what it refuses."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from deepfer.classify import Classifier, model_path
from deepfer.errors import InputError, ModelFileError
from deepfer.serve import site
from deepfer.serve.site import RUNTIME_VERSION, write_site

SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


@pytest.fixture(autouse=True)
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of two files, in place of the real one."""
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "index.html").write_text('<html lang="en" data-engine="server">')
    (folder / "browser.js").write_text("export {};")
    monkeypatch.setattr(site, "_STATIC", folder)
    return folder


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """What npm installs, in small."""
    folder = tmp_path / "node_modules" / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    for name in (SCRIPT, WASM, "ort.webgpu.min.js"):
        (folder / "dist" / name).write_text(name)
    return folder


def test_the_folder(tmp_path: Path, runtime: Path) -> None:
    out = tmp_path / "new" / "site"
    write_site(out, runtime)
    assert {p.name for p in out.iterdir()} == {
        "index.html",
        "browser.js",
        "model.json",
        "expression.onnx",
        "yunet_2023mar_dynamic.onnx",
        "LICENSE-YUNET.txt",
        "onnxruntime.js",
        WASM,
    }
    assert (out / "index.html").read_text() == '<html lang="en" data-engine="browser">'
    assert (out / "onnxruntime.js").read_text() == SCRIPT
    assert (out / "expression.onnx").read_bytes() == model_path().read_bytes()
    assert [p.name for p in out.parent.iterdir()] == ["site"]


def test_model_json_says_what_the_model_file_says(tmp_path: Path, runtime: Path) -> None:
    write_site(tmp_path / "site", runtime)
    info = Classifier().info
    content = json.loads((tmp_path / "site" / "model.json").read_text())
    assert content["name"] == info.name
    assert content["labels"] == list(info.labels)
    assert content["temperature"] == info.temperature
    assert content["input"] == asdict(info.input)
    assert sorted(content["expressions"]) == sorted(info.labels)
    for name in content["files"].values():
        assert (tmp_path / "site" / name).is_file()


def test_the_runtime_is_looked_for_in_node_modules(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_site(Path("site"))
    assert (tmp_path / "site" / WASM).is_file()


def test_a_missing_runtime_names_the_command(tmp_path: Path, runtime: Path) -> None:
    command = f"npm install onnxruntime-web@{RUNTIME_VERSION}"
    with pytest.raises(InputError, match=command):
        write_site(tmp_path / "site", tmp_path / "nowhere")
    (runtime / "dist" / WASM).unlink()
    with pytest.raises(InputError, match=WASM):
        write_site(tmp_path / "site", runtime)
    assert not (tmp_path / "site").exists()


def test_an_empty_folder_is_taken_and_others_are_refused(tmp_path: Path, runtime: Path) -> None:
    out = tmp_path / "site"
    out.mkdir()
    write_site(out, runtime)
    assert (out / "model.json").is_file()
    for taken in (out, out / "model.json"):
        with pytest.raises(InputError, match="not an empty folder"):
            write_site(taken, runtime)


def test_a_failure_leaves_nothing(tmp_path: Path, runtime: Path, static: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelFileError):
        write_site(tmp_path / "site", runtime, damaged)
    (static / "index.html").unlink()
    with pytest.raises(InputError, match="cannot be written"):
        write_site(tmp_path / "site", runtime)
    assert sorted(tmp_path.iterdir()) == before


def test_it_needs_the_base_install_only() -> None:
    heavy = "{'torch', 'onnx', 'fastapi', 'uvicorn', 'matplotlib', 'typer'}"
    code = f"import sys, deepfer.serve.site; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
