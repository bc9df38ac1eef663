"""The photos a command was given, and the annotated copies it writes."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from PIL import Image as PillowImage

from deepfer.cli.console import results_folder, tell
from deepfer.detect import resized
from deepfer.errors import InputError
from deepfer.files import sweep, write_bytes
from deepfer.gather import expand
from deepfer.media import Photo, Source, decode_photo
from deepfer.render import annotate, encode
from deepfer.types import Prediction


def read_stdin() -> bytes:
    """Return the picture on standard input."""
    if sys.stdin.isatty():
        raise InputError("-: standard input is a terminal; pipe a picture into it")
    return sys.stdin.buffer.read()


def expand_all(paths: Sequence[str]) -> tuple[list[tuple[str, str]], int]:
    """Return what `expand` makes of all paths, and how many stand for nothing, which is told."""
    inputs: list[tuple[str, str]] = []
    failed = 0
    for path in paths:
        try:
            found, unread = expand(path)
        except InputError as error:
            found, unread = [], [str(error)]
        for line in unread:
            tell(f"error: {line}")
        inputs += found
        failed += len(unread)
    return inputs, failed


class AnnotatedCopies:
    """Writes pictures of photos into a folder, never over one another or an original.

    Args:
        folder: Made where it does not exist.
        inputs: Paths of all photos with the relative names of their copies. JPEG stays JPEG,
            everything else becomes PNG; equal names are numbered.
        png: All become PNG.

    Raises:
        InputError: The folder cannot be made, or a copy would overwrite a photo.
    """

    def __init__(
        self, folder: Path, inputs: Sequence[tuple[str, str]], *, png: bool = False
    ) -> None:
        results_folder(folder)
        originals = {Path(path).resolve() for path, _ in inputs}
        taken: set[str] = set()
        self._targets = []
        for path, name in inputs:
            wanted = PurePath(name)
            keeps = wanted.suffix.lower() in {".jpg", ".jpeg"} and not png
            kind = wanted.suffix if keeps else ".png"
            target = _free(folder / wanted.with_suffix(kind), taken)
            if target.resolve() in originals:
                raise InputError(
                    f"--out {folder}: the copy of {path} would overwrite {target}; "
                    "choose another folder"
                )
            self._targets.append(target)
        for parent in {target.parent for target in self._targets}:
            sweep(parent)

    def write(self, position: int, source: Source, prediction: Prediction) -> None:
        """Write the annotated copy of the photo at `position` among the inputs.

        Raises:
            InputError: The copy cannot be written.
        """
        photo = decode_photo(source)
        if photo.divisor > 1:
            prediction = _shrunk(prediction, photo)
        self.save(position, annotate(photo.pixels, prediction))

    def save(self, position: int, picture: PillowImage.Image, ending: str = "") -> None:
        """Write a picture of the photo at `position`, `ending` behind its name.

        Raises:
            InputError: It cannot be written.
        """
        target = self._targets[position]
        target = target.with_stem(target.stem + ending)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, encode(picture, target.suffix))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"--out {target}: cannot be written ({reason})") from None


def _shrunk(prediction: Prediction, photo: Photo) -> Prediction:
    """Return the prediction in the pixels of a photo that was decoded at a fraction."""
    high, wide = photo.pixels.shape[:2]
    faces = tuple(
        replace(face, face=resized(face.face, 1 / photo.divisor, (wide, high)))
        for face in prediction.faces
    )
    return replace(prediction, faces=faces, width=wide, height=high)


def _free(target: Path, taken: set[str]) -> Path:
    """Return the path, numbered if it is taken; some systems do not tell A from a."""
    free, number = target, 2
    while str(free).casefold() in taken:
        free = target.with_stem(f"{target.stem}-{number}")
        number += 1
    taken.add(str(free).casefold())
    return free
