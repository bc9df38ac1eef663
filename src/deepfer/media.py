"""Photos to pixels: the only place where image files are decoded for recognition."""

import io
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from deepfer.errors import InputError
from deepfer.types import Image

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "PPM",
    "TIFF",
)  # others run programs, or hide sizes
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}
_SIDEWAYS = {turn for orientation, turn in _TURNS.items() if orientation >= 5}
MAX_PIXELS = 178_956_970
"""Pictures above this size are refused before they are decoded: Pillow's own limit."""

Source: TypeAlias = str | Path | bytes | PillowImage.Image | Image


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo, perhaps at a fraction of its size.

    Attributes:
        pixels: uint8 (h, w) gray or (h, w, 3) RGB, upright.
        width: Pixels of the whole photo, upright.
        height: Pixels of the whole photo, upright.
        divisor: 1, 2, 4 or 8: pixel x of `pixels` covers about divisor * x to divisor * (x + 1);
            in a turned photo whose sides are no multiples, up to divisor - 1 pixels beside that.
    """

    pixels: Image
    width: int
    height: int
    divisor: int


def read_photo(source: Source, name: str | None = None, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Return the pixels of one photo, all of them; see `decode_photo`."""
    return decode_photo(source, name, max_pixels=max_pixels).pixels


def rereadable(source: Source) -> Source:
    """Return a source that can be decoded twice: the bytes of a pipe, any other as it is."""
    try:
        if isinstance(source, str | Path) and Path(source).is_fifo():
            return Path(source).read_bytes()
    except OSError:  # told on decoding
        pass
    return source


def decode_photo(
    source: Source,
    name: str | None = None,
    *,
    long_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Photo:
    """Decode one photo.

    Args:
        source: A path, the bytes of an image file, a Pillow image, or uint8 pixels (H, W) or
            (H, W, 3) RGB, which are returned as they are.
        name: What error messages call it; the path by default.
        long_side: JPEG files with a long side of at least 2, 4 or 8 times as many pixels are
            decoded at a half, a quarter or an eighth of their size, which is much faster; from 1.
            None to decode all of them whole.
        max_pixels: Larger pictures are refused before they are decoded.

    Returns:
        Pixels turned upright as the EXIF data says. Transparent parts become white; 16-bit
        values are scaled to 8 bits; of animations, the first frame.

    Raises:
        InputError: The file is missing, empty, no image, cut short or too large, or its values
            are of more than 16 bits.
    """
    if not isinstance(source, str | Path | bytes | PillowImage.Image | np.ndarray):
        raise InputError(
            f"expected a path, bytes, a Pillow image or uint8 pixels, got {type(source).__name__}"
        )
    if isinstance(source, np.ndarray):
        pixels = _checked_array(source)
        return Photo(pixels, pixels.shape[1], pixels.shape[0], 1)
    name = name or source_name(source)
    try:
        if isinstance(source, PillowImage.Image):  # the caller's, and so never reduced
            return _decode(source, None, max_pixels)
        file = io.BytesIO(source) if isinstance(source, bytes) else Path(source)
        with PillowImage.open(file, formats=_FORMATS) as picture:
            return _decode(picture, long_side, max_pixels)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name}: is a folder, not an image") from None
    except PermissionError:
        raise InputError(f"{name}: may not be read; change its permissions") from None
    except PillowImage.DecompressionBombError:
        raise InputError(f"{name}: more than {max_pixels:,} pixels; make it smaller") from None
    except UnidentifiedImageError:
        empty = len(source) == 0 if isinstance(source, bytes) else Path(source).stat().st_size == 0  # type: ignore[arg-type]
        found = "the file is empty" if empty else "not an image that can be read"
        raise InputError(f"{name}: {found}; give a JPEG, PNG, WebP, TIFF, BMP or GIF") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise InputError(f"{name}: damaged or cut short ({error}); copy it again") from None


def source_name(source: Source) -> str:
    """Return what a result calls its picture: the path as given, or ``-`` without one."""
    return str(source) if isinstance(source, str | Path) else "-"


def expand(path: str) -> list[tuple[str, str]]:
    """List the image files that a file, folder (recursive) or glob pattern stands for.

    A file is taken whatever its name; from folders and patterns only image files are taken,
    sorted, hidden ones left out. ``-`` is taken as it is.

    Returns:
        Paths, each with a relative name for a copy: the path below the folder, or the file's
        name.

    Raises:
        InputError: A folder or pattern holds no images, or the path is empty.
    """
    if not path:
        raise InputError("'': an empty path; give a file, a folder, a pattern or -")
    if _is_dir(path):
        photos = sorted(p for p in Path(path).rglob("*") if _is_photo(p, below=Path(path)))
        found = [(str(p), p.relative_to(path).as_posix()) for p in photos]
    elif any(c in path for c in "*?[") and not Path(path).exists():
        matches = map(Path, glob(path, recursive=True))  # noqa: PTH207 (may be absolute)
        found = [(str(p), p.name) for p in sorted(matches) if _is_photo(p)]
    else:
        return [(path, "stdin" if path == "-" else Path(path).name)]
    if not found:
        raise InputError(f"{path}: holds no images ({' '.join(sorted(IMAGE_SUFFIXES))})")
    return found


def _is_dir(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # a name too long, a folder above that may not be entered: told on reading
        return False


def _is_photo(path: Path, below: Path | None = None) -> bool:
    parts = path.relative_to(below).parts if below else path.parts[-1:]
    hidden = any(part.startswith(".") for part in parts)
    if path.suffix.lower() not in IMAGE_SUFFIXES or hidden:
        return False
    return path.is_file() or (path.is_symlink() and not path.exists())  # told on reading


def _checked_array(pixels: Image) -> Image:
    shape_ok = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not shape_ok or pixels.size == 0:
        raise InputError(
            f"expected uint8 pixels (H, W) or (H, W, 3) RGB, got {pixels.dtype} {pixels.shape}"
        )
    return pixels


def _decode(picture: PillowImage.Image, long_side: int | None, max_pixels: int) -> Photo:
    width, height = picture.size
    if width * height > max_pixels:
        raise PillowImage.DecompressionBombError
    if long_side is not None and (fraction := max(width, height) // long_side) > 1:
        picture.draft(None, (max(1, width // fraction), max(1, height // fraction)))
    divisor = round(max(width, height) / max(picture.size))
    picture.load()
    # Pillow's own exif_transpose writes the EXIF data anew, and fails where it is damaged
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    if turn in _SIDEWAYS:
        width, height = height, width
    upright = picture if turn is None else picture.transpose(turn)
    return Photo(_to_array(upright), width, height, divisor)


def _to_array(upright: PillowImage.Image) -> Image:
    if upright.mode in {"I", "F"} or upright.mode.startswith("I;16"):
        return _scaled(np.asarray(upright))
    if upright.mode in {"LA", "PA", "RGBA", "RGBa", "La"} or "transparency" in upright.info:
        color = upright.convert("RGBA")
        white = PillowImage.new("RGBA", color.size, "white")
        upright = PillowImage.alpha_composite(white, color)
    return np.asarray(upright.convert("L" if upright.mode in {"1", "L"} else "RGB"))


def _scaled(values: np.ndarray) -> Image:
    """Bring values of 8 or 16 bits, or floats of 0 to 1, to 8 bits; what is no number becomes 0."""
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, 0)
    top = values.max()
    if top > 65535:
        raise InputError(f"values up to {top:.6g}; save it with 8 or 16 bits per channel")
    one = 1 if values.dtype.kind == "f" and top <= 1 else 255 if top <= 255 else 65535
    factor = 255 / one
    return np.clip(np.rint(values * factor), 0, 255).astype(np.uint8)
