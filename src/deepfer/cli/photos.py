"""The photos a command was given, and the annotated copies it writes."""

import sys
from pathlib import Path, PurePath

from deepfer.errors import InputError
from deepfer.files import write_bytes
from deepfer.media import Source, read_photo
from deepfer.render import annotate, encode
from deepfer.types import Prediction


def read_stdin() -> bytes:
    """Return the picture on standard input."""
    if sys.stdin.isatty():
        raise InputError("-: standard input is a terminal; pipe a picture into it")
    return sys.stdin.buffer.read()


class AnnotatedCopies:
    """Writes annotated copies of photos into a folder, never over one another or an original.

    Args:
        folder: Made where it does not exist.

    Raises:
        InputError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: set[Path] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {folder}: cannot make this folder ({error})") from None

    def write(self, source: Source, name: str, prediction: Prediction) -> None:
        """Write one copy under `name`; JPEG stays JPEG, everything else becomes PNG."""
        wanted = PurePath(name)
        kind = wanted.suffix if wanted.suffix.lower() in {".jpg", ".jpeg"} else ".png"
        target = self._free(self.folder / wanted.with_suffix(kind))
        if isinstance(source, str) and target.exists() and target.samefile(source):
            raise InputError(
                f"--out {self.folder}: would overwrite {source}; choose another folder"
            )
        picture = encode(annotate(read_photo(source), prediction), kind)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, picture)
        except OSError as error:
            raise InputError(f"--out {target}: cannot be written ({error})") from None

    def _free(self, target: Path) -> Path:
        free, number = target, 2
        while free in self._taken:
            free = target.with_stem(f"{target.stem}-{number}")
            number += 1
        self._taken.add(free)
        return free
