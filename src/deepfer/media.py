"""Photos to pixels: the only place where image files are decoded for recognition.

Memory is bounded: what a file needs is told from its header, and pixels go from the decoder to the
result in strips.
"""

import ctypes
import io
import logging
import math
import os
import re
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image as PillowImage
from PIL import PngImagePlugin, UnidentifiedImageError

from deepfer.errors import InputError, MissingExtraError, reason
from deepfer.memory import BUDGET
from deepfer.types import Image

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "PPM", "TIFF"),
    *("AVIF", "JPEG2000", "QOI", "PCX", "SGI"),
)  # others run programs, hide sizes, or are told by nothing that is in the file
_NAMED = {".tga": "TGA"}  # has no mark of its own, so its name must tell it
IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
    | {".avif", ".heic", ".heif", ".j2k", ".jp2", ".mpo", ".pcx", ".qoi", ".sgi", ".tga"}
)
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_DECODING = {"AVIF": 10, "JPEG2000": 20, "SGI": 6.2, "QOI": 7.2, "HEIF": 8.5, "WEBP": 16.3}
"""Bytes per pixel that decoders need, measured, where that is more than the picture itself."""

_TEXT = 4_000_000  # characters in a PNG file, packed or not, of one to four bytes each
# Pillow's own 64 MB would be up to 256 in memory, of a file of 70 kB
PngImagePlugin.MAX_TEXT_MEMORY = min(PngImagePlugin.MAX_TEXT_MEMORY, _TEXT)

_J2K_SIZE = rb"\xff\x4f\xff\x51.{4}(.{34})"  # where a JPEG 2000 picture says its sizes
_TILE, _TILE_PART = 10_000, 1200  # bytes for each of its tiles, and of their channels, measured

_WHOLE = 25_000_000  # pixels; larger pictures are looked at at a fraction of their size
_ALLOW = "change its permissions"
_STRIP = 1 << 18  # pixels that are converted at once
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
        divisor: From 1, a whole number: pixel x of `pixels` covers about divisor * x to
            divisor * (x + 1); in a turned photo whose sides are no multiples, up to divisor - 1
            pixels beside that.
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


def is_special(path: str | Path) -> bool:
    """Whether a path is a pipe, a socket or a device, whose reading may never end."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # told on reading
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def decode_photo(
    source: Source,
    name: str | None = None,
    *,
    long_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    reserve: Callable[[int, int], None] | None = None,
) -> Photo:
    """Decode one photo.

    Args:
        source: A path, the bytes of an image file, a Pillow image, or uint8 pixels (H, W) or
            (H, W, 3) RGB, which are returned as they are.
        name: What error messages call it; the path by default.
        long_side: JPEG files with a long side of at least 2, 4 or 8 times as many pixels are
            decoded at a half, a quarter or an eighth of their size, which is much faster; from 1.
            None to decode all of them whole. Pictures of more than 25 million pixels come at a
            fraction of their size in any case.
        max_pixels: Larger pictures are refused before they are decoded.
        reserve: Called with the bytes that decoding needs and the pixels that it will give,
            before it begins.

    Returns:
        Pixels turned upright as the EXIF data says. Transparent parts become white; 16-bit
        values are scaled to 8 bits; of animations, the first frame.

    Raises:
        InputError: The file is missing, empty, no image, cut short or too large, would need more
            memory than there is for pictures, or its values are of more than 16 bits.
        MissingExtraError: It is a HEIC picture, and what reads these is not installed.
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
            return _decode(source, None, max_pixels, reserve)
        with open_picture(source) as picture:
            return _decode(picture, long_side, max_pixels, reserve)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        if not os.access(name, os.R_OK | os.X_OK):
            raise InputError(f"{name}: a folder that may not be read; {_ALLOW}") from None
        raise InputError(f"{name}: is a folder, not an image") from None
    except PermissionError:
        raise InputError(f"{name}: may not be read; {_ALLOW}") from None
    except PillowImage.DecompressionBombError:
        raise InputError(f"{name}: more than {max_pixels:,} pixels; make it smaller") from None
    except UnidentifiedImageError:
        empty = len(source) == 0 if isinstance(source, bytes) else Path(source).stat().st_size == 0  # type: ignore[arg-type]
        found = "the file is empty" if empty else "not an image that can be read"
        raise InputError(f"{name}: {found}; give a JPEG, PNG, WebP, TIFF, BMP or GIF") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except MissingExtraError as error:
        raise InputError(f"{name}: a HEIC picture; {error}") from None
    except MemoryError:  # which Pillow also raises over damaged files
        raise InputError(
            f"{name}: needs more memory than there is, or is damaged; shrink it or copy it again"
        ) from None
    except Exception as error:  # damaged files make Pillow raise almost anything
        if "MAX_TEXT" in str(error):
            most = f"{_TEXT / 1e6:.0f} MB of texts, or a packed one of more than 1 MB"
            raise InputError(f"{name}: more than {most}; save it without them") from None
        raise InputError(f"{name}: damaged or cut short ({reason(error)}); copy it again") from None


def open_picture(source: str | Path | bytes) -> PillowImage.Image:
    """Open an image file of a kind that is read, without decoding it.

    Raises:
        InputError: The path is a pipe or a device.
        MissingExtraError: It is a HEIC picture, and what reads these is not installed.
        OSError: As Pillow raises it, with others, where it is no image.
    """
    if isinstance(source, bytes):
        start, named = source[:12], None
    else:
        path = Path(source)
        if is_special(path):
            raise InputError("a pipe or a device, not a file; give `-` and pipe it in")
        with path.open("rb") as file:
            start = file.read(12)
        named = _NAMED.get(path.suffix.lower())
    formats: tuple[str, ...] = FORMATS if named is None else (*FORMATS, named)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF:
        formats = _with_heif()
    return PillowImage.open(
        io.BytesIO(source) if isinstance(source, bytes) else source, "r", formats
    )


def _with_heif() -> tuple[str, ...]:
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise MissingExtraError("heic") from None
    pillow_heif.register_heif_opener(thumbnails=False)
    return (*FORMATS, "HEIF")  # AVIF may say that it is of the same family


def quiet() -> None:
    """Keep Pillow from writing about damaged pictures to stderr; what fails is told in one line."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.filterwarnings("ignore", category=PillowImage.DecompressionBombWarning)
    logging.getLogger("PIL").addHandler(logging.NullHandler())


def source_name(source: Source) -> str:
    """Return what a result calls its picture: the path as given, or ``-`` without one."""
    return str(source) if isinstance(source, str | Path) else "-"


def _checked_array(pixels: Image) -> Image:
    shape_ok = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not shape_ok or pixels.size == 0:
        raise InputError(
            f"expected uint8 pixels (H, W) or (H, W, 3) RGB, got {pixels.dtype} {pixels.shape}"
        )
    return pixels


def _decode(
    picture: PillowImage.Image,
    long_side: int | None,
    max_pixels: int,
    reserve: Callable[[int, int], None] | None,
) -> Photo:
    width, height = picture.size
    if width * height > max_pixels:
        raise PillowImage.DecompressionBombError
    kind, whole = picture.format or "", picture.size
    fraction = finest(width, height)
    if kind in {"JPEG", "MPO"} and fraction > 1:
        fraction = min(8, 1 << (fraction - 1).bit_length())  # what the decoder can do by itself
    if long_side is not None and long_side * fraction < max(width, height):
        fraction = max(fraction, max(width, height) // long_side)
    drafted = 1
    if kind in {"JPEG", "MPO"} and fraction > 1:
        picture.draft(None, (max(1, width // fraction), max(1, height // fraction)))
        drafted = round(max(width, height) / max(picture.size))
    left = finest(*picture.size)
    size = -(-picture.width // left), -(-picture.height // left)
    needed = _needed(picture, whole, size)
    if needed > BUDGET:
        raise InputError(
            f"{width}x{height} pixels of this kind ({kind} {picture.mode}) need "
            f"{needed / 1e6:.0f} MB, and {BUDGET / 1e6:.0f} are for pictures; make it smaller, or "
            "save it as JPEG, not progressive"
        )
    if reserve is not None:
        reserve(needed, size[0] * size[1])
    if kind == "TIFF":
        _silence_libtiff()
    picture.load()
    if picture.size[0] * picture.size[1] > max_pixels:  # the header said otherwise
        raise PillowImage.DecompressionBombError
    # Pillow's own exif_transpose writes the EXIF data anew, and fails where it is damaged
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    if turn in _SIDEWAYS:
        width, height = height, width
    return Photo(_to_array(picture, left, turn), width, height, drafted * left)


@cache
def _silence_libtiff() -> None:
    """Keep Pillow's own copy of libtiff from writing to stderr; what fails is told by Pillow."""
    folder = Path(PillowImage.__file__).parent
    for library in (*folder.parent.glob("pillow.libs/libtiff*"), *folder.glob(".dylibs/libtiff*")):
        with suppress(OSError, AttributeError):
            libtiff = ctypes.CDLL(str(library))
            libtiff.TIFFSetErrorHandler(None)
            libtiff.TIFFSetWarningHandler(None)


def finest(width: int, height: int) -> int:
    """Return the divisor at which a photo of a size is decoded at best."""
    return max(1, math.ceil(math.sqrt(width * height / _WHOLE)))


def _needed(picture: PillowImage.Image, whole: tuple[int, int], size: tuple[int, int]) -> int:
    """Return the bytes that decoding a picture and converting it to `size` takes at most."""
    pixels = picture.width * picture.height
    stored = pixels * (
        1 if picture.mode in {"1", "L", "P"} else 2 if picture.mode.startswith("I;16") else 4
    )
    decoding = stored
    if picture.format in _DECODING:
        decoding = max(stored, round(pixels * _DECODING[picture.format]))
    if picture.format == "JPEG2000":
        decoding += _for_tiles(picture)
    if picture.info.get("progressive"):  # its parts are gathered whole, whatever the fraction
        shares = [across * down for _, across, down, _ in getattr(picture, "layer", [])] or [1] * 4
        decoding += round(2.4 * whole[0] * whole[1] * sum(shares) / max(shares))
    return max(decoding, stored + size[0] * size[1] * (1 if _is_gray(picture) else 3))


def _for_tiles(picture: PillowImage.Image) -> int:
    """Return the bytes that the tiles of a JPEG 2000 picture take, however small they are.

    A file may hold more headers than the one that is decoded, so the worst counts.
    """
    file = getattr(picture, "fp", None)
    if file is None:  # the caller's, decoded
        return 0
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    most = 0
    for found in re.finditer(_J2K_SIZE, data, re.DOTALL):
        wide, high, _, _, tile_wide, tile_high, left, top, parts = struct.unpack(">8IH", found[1])
        if tile_wide and tile_high:
            tiles = -(-max(0, wide - left) // tile_wide) * -(-max(0, high - top) // tile_high)
            most = max(most, tiles * (_TILE + parts * _TILE_PART))
    return most


def _is_gray(picture: PillowImage.Image) -> bool:
    return picture.mode in {"1", "L", "I", "F"} or picture.mode.startswith("I;16")


def _to_array(
    picture: PillowImage.Image, divisor: int, turn: PillowImage.Transpose | None
) -> Image:
    """Return the upright pixels, `divisor` times smaller, without a second copy of the whole."""
    wide, high = (-(-side // divisor) for side in picture.size)
    see_through = (
        picture.mode in {"LA", "PA", "RGBA", "RGBa", "La"} or "transparency" in picture.info
    )
    gray = _is_gray(picture) and not see_through
    shape = (wide, high) if turn in _SIDEWAYS else (high, wide)
    upright = np.empty(shape if gray else (*shape, 3), np.uint8)
    target = _as_stored(upright, turn)
    convert = _converter(picture, gray, see_through)
    for top, strip in _strips(picture, divisor):
        shown = convert(strip)
        if divisor > 1:
            shown = shown.reduce(divisor)
        target[top // divisor : top // divisor + shown.height] = np.asarray(shown)
    return upright


def _strips(picture: PillowImage.Image, divisor: int) -> Iterator[tuple[int, PillowImage.Image]]:
    rows = max(1, _STRIP // (picture.width * divisor)) * divisor
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        yield top, strip


def _converter(
    picture: PillowImage.Image, gray: bool, see_through: bool
) -> Callable[[PillowImage.Image], PillowImage.Image]:
    """Return what makes 8-bit gray or RGB of a strip of the picture."""
    if see_through:

        def on_white(strip: PillowImage.Image) -> PillowImage.Image:
            color = strip.convert("RGBA")
            white = PillowImage.new("RGBA", color.size, "white")
            return PillowImage.alpha_composite(white, color).convert("RGB")

        return on_white
    if picture.mode in {"I", "F"} or picture.mode.startswith("I;16"):
        top = max(_finite(strip).max() for _, strip in _strips(picture, 1))
        if top > 65535:
            raise InputError(f"values up to {top:.6g}; save it with 8 or 16 bits per channel")
        one = 1 if picture.mode == "F" and top <= 1 else 255 if top <= 255 else 65535

        def scaled(strip: PillowImage.Image) -> PillowImage.Image:
            values = np.clip(_finite(strip), 0, one) * (255 / one)
            return PillowImage.fromarray(np.rint(values).astype(np.uint8))

        return scaled
    return lambda strip: strip.convert("L" if gray else "RGB")


def _finite(strip: PillowImage.Image) -> np.ndarray:
    """Return values of 16 or 32 bits; what is no number is 0."""
    values = np.asarray(strip)
    return np.where(np.isfinite(values), values, 0) if values.dtype.kind == "f" else values


def _as_stored(upright: Image, turn: PillowImage.Transpose | None) -> Image:
    """Return a view of upright pixels in the order in which the file stores them."""
    views: dict[PillowImage.Transpose | None, Callable[[], Image]] = {
        None: lambda: upright,
        PillowImage.Transpose.FLIP_LEFT_RIGHT: lambda: upright[:, ::-1],
        PillowImage.Transpose.ROTATE_180: lambda: upright[::-1, ::-1],
        PillowImage.Transpose.FLIP_TOP_BOTTOM: lambda: upright[::-1],
        PillowImage.Transpose.TRANSPOSE: lambda: upright.swapaxes(0, 1),
        PillowImage.Transpose.ROTATE_270: lambda: np.rot90(upright),
        PillowImage.Transpose.TRANSVERSE: lambda: upright[::-1, ::-1].swapaxes(0, 1),
        PillowImage.Transpose.ROTATE_90: lambda: np.rot90(upright, -1),
    }
    return views[turn]()
