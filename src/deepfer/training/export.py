"""A trained network to a model file: exported, calibrated on validation, compared with torch."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepfer import metrics
from deepfer.certainty import fit_certainty, fit_set_mass, vote_shares
from deepfer.classify import Classifier, softmax
from deepfer.data.base import ImageSet
from deepfer.errors import CheckpointError
from deepfer.files import claimed, replacing
from deepfer.modelfile import ModelInfo
from deepfer.models.base import Network
from deepfer.preprocess import normalize, to_pixels
from deepfer.training import checkpoint
from deepfer.training.build import training_sets
from deepfer.training.quantize import CALIBRATION_FACES, quantize

TOLERANCE = 1e-4


def export(
    source: Path,
    target: Path,
    *,
    name: str,
    root: Path | None,
    training_data: str = "",
    licence: str = "",
    int8: bool = False,
) -> tuple[ModelInfo, float]:
    """Write a model file.

    One temperature is fitted on the validation split, and the file is compared with torch on it
    before it takes its name.

    Args:
        source: A run folder or a checkpoint.
        target: The ``.onnx`` file to write.
        name: What the model calls itself.
        root: Folder that holds the data set it was trained on.
        training_data: What to say about it; the data set's name by default.
        licence: Terms of the weights.
        int8: Write the 8-bit form; its temperature and figures are its own.

    Returns:
        What the file says about itself, and the largest difference from torch's logits.

    Raises:
        CheckpointError: The run cannot be read, or the file's answers differ from torch's.
        DataError: The validation split cannot be read.
        InputError: Another program is writing the file.
    """
    if target.is_dir():
        raise CheckpointError(f"--to {target}: is a folder; name the .onnx file to write")
    network, about = checkpoint.load_network(source)
    recipe = about.trained_by(str(source))
    if recipe.saliency.variant != "none":
        raise CheckpointError(
            f"{source}: its faces were weighted by another network, which a model file cannot "
            "hold; measure it with `deepfer bench`"
        )
    train, val = training_sets(recipe, root)
    spec = about.input
    pixels = to_pixels(val.images, spec)
    if val.fingerprint() != about.data["val"]:
        raise CheckpointError(
            f"{source}: {recipe.dataset} below {root} is not the data it was trained with; "
            "give the same --root"
        )
    info = ModelInfo(
        name=name,
        labels=about.labels,
        input=spec,
        training_data=training_data or f"{recipe.dataset}, {about.data['train']}",
        licence=licence,
        recipe=" + ".join(about.averaged or (recipe.fingerprint(),)),
        prior=_shares(train, perceived=recipe.loss.perceived),
        network=about.model,
        network_options=dict(about.model_options),
    )
    with claimed(target.parent, target.name), replacing(target) as partial:
        write_model(network, info, partial)
        logits = Classifier(partial).logits(pixels)
        difference = _difference(network, normalize(pixels[:512], spec), logits[:512])
        if not difference <= TOLERANCE:  # nor is nan
            raise CheckpointError(
                f"{source}: the exported network differs from torch by {difference:.1e}, "
                f"more than {TOLERANCE:.0e}; report this with the run folder"
            )
        if int8:
            order = np.random.default_rng(0).permutation(len(train))[:CALIBRATION_FACES]
            quantize(partial, to_pixels(train.take(np.sort(order)).images, spec), spec)
            _set_metadata(partial, info)
            logits = Classifier(partial).logits(pixels)
        info = _calibrated(info, logits, val, perceived=recipe.loss.perceived)
        _set_metadata(partial, info)
    return info, difference


def fit_temperature(logits: NDArray[np.floating], true: NDArray[np.generic]) -> float:
    """Return the temperature with the least mean negative log likelihood, within 0.25 to 4.

    Answers that are all right, or no better than chance, have their optimum at zero or infinity:
    the first give 1, the second the bound.

    Args:
        logits: (N, K).
        true: int64 (N,) labels, or float64 (N, K) shares of people who saw each.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2.
    """
    scores, labels = torch.from_numpy(np.asarray(logits, np.float64)), torch.from_numpy(true)
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_t], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(scores / log_t.exp(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    if true.ndim == 1 and (logits.argmax(axis=1) == true).all():
        return 1.0  # the likelihood has no optimum, and the search would stop anywhere
    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return min(max(float(log_t.detach().exp()), 0.25), 4.0)


class _WithTheta(nn.Module):
    """Gives the attention's affine maps as a second output."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        theta = self.network.theta(faces)
        logits = self.network(faces)
        return (logits,) if theta is None else (logits, theta)


def write_model(network: Network, info: ModelInfo, path: Path) -> None:
    """Write a network as a model file, as it is: not calibrated, not compared with torch."""
    example = torch.zeros(2, 1, info.input.height, info.input.width)
    outputs = ["logits"] if network.theta(example) is None else ["logits", "theta"]
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns that torchvision's operators are not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's exporter warns about torch's own code
            torch.onnx.export(
                _WithTheta(network.deployed()).eval(),
                (example,),
                str(path),
                input_names=["faces"],
                output_names=outputs,
                opset_version=20,
                dynamo=True,
                external_data=False,
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    _set_metadata(path, info)


def _set_metadata(path: Path, info: ModelInfo) -> None:
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, info.to_metadata())
    for node in model.graph.node:  # the exporter leaves source paths of this machine there
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.save(model, str(path))


def _difference(network: Network, faces: NDArray[np.float32], logits: Any) -> float:
    with torch.inference_mode():
        expected = network(torch.from_numpy(faces)).numpy()
    return float(np.abs(expected - logits).max())


def _shares(images: ImageSet, *, perceived: bool) -> tuple[float, ...]:
    """Return each label's share, by people's votes where those were learnt.

    Empty where a label does not occur: what the network makes of it is no answer to divide.
    """
    if perceived and images.votes is not None:
        shares = vote_shares(images.votes).mean(axis=0)
    else:
        shares = np.bincount(images.labels, minlength=len(images.expressions)) / len(images)
    return tuple(round(float(share), 6) for share in shares) if shares.min() > 0 else ()


def _calibrated(
    info: ModelInfo, logits: NDArray[np.float32], val: ImageSet, *, perceived: bool
) -> ModelInfo:
    """Fit on validation what makes probabilities, sets and certainty true."""
    true = val.labels
    if not perceived or val.votes is None:
        temperature = fit_temperature(logits, true)
        probabilities = softmax(logits / temperature)
    else:
        shares = vote_shares(val.votes)
        temperature = fit_temperature(logits, shares)
        probabilities = softmax(logits / temperature)
        clear = 2 * shares.max(axis=1) > 1
        info = replace(
            info,
            set_mass=round(fit_set_mass(probabilities, val.votes), 6),
            certainty=round(fit_certainty(probabilities, np.where(clear, true, -1)), 6),
        )
    figures = {
        "validation accuracy": float((logits.argmax(axis=1) == true).mean()),
        "validation ECE": metrics.calibration_error(probabilities, true),
        "validation NLL": metrics.log_loss(probabilities, true),
    }
    return replace(
        info,
        temperature=temperature,
        figures={name: round(value, 6) for name, value in figures.items()},
    )
