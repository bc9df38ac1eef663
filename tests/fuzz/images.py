"""Pictures of all kinds that are read."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, PngImagePlugin

from deepfer.errors import InputError
from deepfer.media import decode_photo

from . import mutate

WORDS = (
    *(b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"acTL", b"fcTL"),
    *(b"\xff\xd8", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb", b"\xff\xe1", b"Exif\0\0"),
    *(b"RIFF", b"WEBP", b"VP8X", b"ALPH", b"ANMF", b"GIF89a", b"II*\0", b"MM\0*", b"qoif"),
    *(b"ftypavif", b"ftypheic", b"meta", b"ipco", b"ispe", b"\xff\x4f\xff\x51", b"jP  "),
)
_CASES = Path(__file__).parents[1] / "cases" / "images"
_SIDES = 33, 21
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRC = 0.8  # share of PNG files whose sums are made right again


@cache
def seeds() -> list[bytes]:
    return [*_written(), *(path.read_bytes() for path in sorted(_CASES.iterdir()))]


def run(data: bytes) -> None:
    try:
        decode_photo(data, long_side=16)
        decode_photo(data)
    except InputError:
        if data[2:3] not in {b"\1", b"\2", b"\3", b"\t", b"\n", b"\x0b"}:
            raise
        path = Path("a.tga")  # told by its name alone
        path.write_bytes(data)
        decode_photo(path)


def changed(data: bytes, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> bytes:
    found = mutate.changed(data, others, rng, words)
    right = found.startswith(_SIGNATURE) and rng.random() < _CRC
    return _with_right_sums(found) if right else found


def _with_right_sums(data: bytes) -> bytes:
    found, place = bytearray(data), len(_SIGNATURE)
    while place + 12 <= len(found):
        (length,) = struct.unpack_from(">I", found, place)
        end = place + 8 + length
        if end + 4 > len(found):
            break
        struct.pack_into(">I", found, end, zlib.crc32(found[place + 4 : end]))
        place = end + 4
    return bytes(found)


def _written() -> Iterator[bytes]:
    values = np.random.default_rng(0).integers(0, 256, (*_SIDES[::-1], 4), dtype=np.uint8)
    values[..., :3] //= 64  # so that runs and palettes occur
    color = Image.fromarray(values, "RGBA")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    texts = PngImagePlugin.PngInfo()
    texts.add_text("a", "plain")
    texts.add_text("b", "packed " * 9, zip=True)
    texts.add_itxt("c", "grüße", "de", "c", zip=True)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield _saved(color, mode, "PNG", exif=exif, pnginfo=texts)
    yield _saved(color, "RGB", "PNG", icc_profile=b"a profile" * 9)
    yield _saved(color, "P", "PNG", transparency=3)
    yield _saved(color, "RGBA", "PNG", save_all=True, append_images=[color.rotate(180)])
    for mode in ("L", "RGB", "CMYK"):
        yield _saved(color, mode, "JPEG", exif=exif)
        yield _saved(color, mode, "JPEG", progressive=True, optimize=True)
    yield _saved(color, "RGB", "JPEG", subsampling=2, comment=b"a comment", restart_marker_rows=1)
    yield _saved(color, "RGB", "MPO", save_all=True, append_images=[color.convert("RGB")])
    for more in ({}, {"lossless": True}, {"save_all": True, "append_images": [color]}):
        yield _saved(color, "RGBA", "WEBP", exif=exif, **more)
    for more in ({}, {"interlace": 0}, {"save_all": True, "append_images": [color.rotate(9)]}):
        yield _saved(color, "P", "GIF", comment=b"a comment", **more)
    for kind in ("BMP", "DIB"):
        for mode in ("1", "L", "P", "RGB", "RGBA"):
            yield _saved(color, mode, kind)
    for mode in ("1", "L", "I", "RGB", "F"):
        yield _saved(color, mode, "PPM")
    yield b"P3 3 2 255 " + b"0 128 255 " * 6
    yield b"P2 # a comment\n3 2 65535\n" + b"0 128 65535 " * 2
    yield b"P1 3 2 0 1 0 1 0 1"
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"):
        yield _saved(color, mode, "TIFF")
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        yield _saved(color, "RGB", "TIFF", compression=packing, exif=exif)
    for packing in ("group3", "group4", "tiff_ccitt"):
        yield _saved(color, "1", "TIFF", compression=packing)
    yield _saved(color, "RGB", "TIFF", big_tiff=True)
    for mode in ("RGB", "RGBA"):
        yield _saved(color, mode, "AVIF", exif=exif)
        yield _saved(color, mode, "QOI")
        yield _saved(color, mode, "TGA")
    yield _saved(color, "P", "TGA", compression="tga_rle")
    for mode in ("L", "RGB", "RGBA", "I;16"):
        yield _saved(color, mode, "JPEG2000")
    yield _saved(color, "RGB", "JPEG2000", no_jp2=True, tile_size=(16, 16), irreversible=True)
    for mode in ("1", "L", "P", "RGB"):
        yield _saved(color, mode, "PCX")
    for mode in ("L", "RGB", "RGBA"):
        yield _saved(color, mode, "SGI")
    yield from _heic(color)


def _saved(picture: Image.Image, mode: str, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    through = "L" if mode in {"I;16", "I", "F", "LA", "PA"} else "RGB"
    own = picture if mode == "RGBA" else picture.convert(through).convert(mode)
    own.save(buffer, kind, **options)
    return buffer.getvalue()


def _heic(picture: Image.Image) -> Iterator[bytes]:
    try:
        import pillow_heif
    except ModuleNotFoundError:
        return
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture.convert("RGB").resize((64, 64))).save(buffer)
    yield buffer.getvalue()
