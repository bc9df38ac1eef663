import io
import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps, PngImagePlugin

from deepfer.errors import InputError
from deepfer.gather import expand
from deepfer.media import decode_photo, read_photo


def encoded(picture: PillowImage.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_exif_orientation_is_applied() -> None:
    picture = PillowImage.new("RGB", (20, 10), "red")
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    assert read_photo(encoded(picture, "JPEG", exif=exif)).shape == (20, 10, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    data = encoded(PillowImage.fromarray(pixels), "PNG", exif=exif)
    expected = ImageOps.exif_transpose(PillowImage.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read_photo(data), np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("side", "divisor"), [(1201, 1), (600, 2), (300, 4), (40, 8)])
def test_large_jpegs_are_decoded_at_a_fraction(orientation: int, side: int, divisor: int) -> None:
    picture = PillowImage.new("RGB", (1201, 803), "blue")
    picture.paste("red", (0, 0, 400, 400))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, "JPEG", exif=exif)
    whole, photo = read_photo(data), decode_photo(data, long_side=side)
    assert (photo.height, photo.width) == whole.shape[:2]
    assert photo.divisor == divisor
    assert photo.pixels.shape[:2] == tuple(-(-n // divisor) for n in whole.shape[:2])
    places = np.array([[100, 100], [100, -100], [-100, 100], [-100, -100]])
    for y, x in places:
        np.testing.assert_allclose(
            photo.pixels[y // divisor, x // divisor].astype(int), whole[y, x], atol=3
        )


def test_only_jpeg_files_are_reduced_and_the_callers_picture_is_left_alone() -> None:
    picture = PillowImage.new("RGB", (1200, 800), "blue")
    assert decode_photo(encoded(picture, "PNG"), long_side=300).divisor == 1
    opened = PillowImage.open(io.BytesIO(encoded(picture, "JPEG")))
    assert decode_photo(opened, long_side=300).divisor == 1
    assert opened.size == (1200, 800)


def test_the_limit_counts_the_pixels_of_the_whole_photo() -> None:
    data = encoded(PillowImage.new("RGB", (1200, 800)), "JPEG")
    with pytest.raises(InputError, match="more than 959,999 pixels"):
        decode_photo(data, long_side=300, max_pixels=959_999)


def test_damaged_exif_does_not_cost_the_picture() -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    exif[0x8769] = {0x9286: b"a comment that is long enough to be kept elsewhere"}
    data = encoded(PillowImage.new("RGB", (20, 10)), "JPEG", exif=exif)
    place = data.index(b"\x92\x86")
    damaged = data[:place] + b"\x92\x86\x00\x0b\xff\xff\xff\xff" + data[place + 8 :]
    assert read_photo(damaged).shape == (20, 10, 3)


@pytest.mark.parametrize("kind", ["ICO", "EPS", "TGA"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match="not an image that can be read"):
        read_photo(encoded(PillowImage.new("RGB", (32, 32)), kind))


@pytest.mark.parametrize("kind", ["PCX", "SGI", "AVIF", "JPEG2000", "QOI", "DIB", "MPO"])
def test_kinds_that_are_read_whatever_their_names(kind: str) -> None:
    picture = PillowImage.new("RGB", (32, 24), (200, 100, 50))
    assert abs(read_photo(encoded(picture, kind)).astype(int) - (200, 100, 50)).max() < 9


def test_tga_is_told_by_its_name(tmp_path: Path) -> None:
    PillowImage.new("RGB", (32, 24), "red").save(tmp_path / "a.tga")
    assert read_photo(tmp_path / "a.tga")[0, 0].tolist() == [255, 0, 0]


def test_heic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(32))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"a\.jpg: a HEIC picture; .*deepfer\[heic\]"):
        read_photo(path)


def test_heic_is_read() -> None:
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(PillowImage.new("RGB", (64, 48), (200, 100, 50))).save(buffer, quality=95)
    pixels = read_photo(buffer.getvalue())
    assert pixels.shape == (48, 64, 3)
    assert abs(pixels[9, 9].astype(int) - (200, 100, 50)).max() < 9


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16", "P"])
def test_large_pictures_come_at_a_fraction(
    monkeypatch: pytest.MonkeyPatch, mode: str, orientation: int
) -> None:
    picture = PillowImage.new("RGB", (601, 403), "white")
    picture.paste("black", (0, 0, 300, 200))
    if mode == "I;16":
        picture = PillowImage.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, "PNG", exif=exif)
    whole = read_photo(data)
    monkeypatch.setattr("deepfer.media._WHOLE", 30_000)
    monkeypatch.setattr("deepfer.media._STRIP", 3_000)
    photo = decode_photo(data)
    assert photo.divisor == 3
    assert (photo.height, photo.width) == whole.shape[:2]
    assert photo.pixels.shape[:2] == tuple(-(-n // 3) for n in whole.shape[:2])
    np.testing.assert_array_equal(photo.pixels[10:-10:9, 10:-10:9], whole[31:-29:27, 31:-29:27])


def test_the_memory_of_a_picture_is_known_before_it_is_decoded() -> None:
    needs: list[tuple[int, int]] = []
    data = encoded(PillowImage.new("RGB", (400, 300)), "PNG")
    decode_photo(data, reserve=lambda *needed: needs.append(needed))
    assert needs == [(400 * 300 * 7, 400 * 300)]


@pytest.mark.parametrize("name", ["rgb_7070.webp", "progressive.jpg", "tiles.j2k"])
def test_what_would_need_too_much_memory_is_refused(name: str, cases: Path) -> None:
    if name == "progressive.jpg":
        data = encoded(PillowImage.new("RGB", (16, 16)), "JPEG", progressive=True, subsampling=0)
        frame = data.index(b"\xff\xc2")
        data = data[: frame + 5] + b"\x1f\x40\x1f\x40" + data[frame + 9 :]  # 8000 x 8000
    else:
        data = (cases / "images" / name).read_bytes()
    with pytest.raises(InputError, match=r"need \d+ MB, and 210 are for pictures; make it smaller"):
        read_photo(data)


def test_texts_in_png_files_are_bounded() -> None:
    """Packed, they take a thousandth of the memory that they need."""
    texts = PngImagePlugin.PngInfo()
    for number in range(40):
        texts.add_itxt(f"{number}", "a" * 1_000_000 + "\U0001f600", zip=True)
    data = encoded(PillowImage.new("L", (8, 8)), "PNG", pnginfo=texts)
    assert len(data) < 60_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 4 MB of texts, or a packed one of more"):
            read_photo(data)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    few = PngImagePlugin.PngInfo()
    few.add_itxt("a", "a" * 900_000, zip=True)
    assert read_photo(encoded(PillowImage.new("L", (8, 8)), "PNG", pnginfo=few)).shape == (8, 8)


def test_values_that_overflow() -> None:
    values = np.array([[-3e38, 0, 1]], np.float32)
    assert read_photo(encoded(PillowImage.fromarray(values), "TIFF")).tolist() == [[0, 0, 255]]


def test_gray_stays_gray() -> None:
    assert read_photo(encoded(PillowImage.new("L", (5, 4), 7), "PNG")).shape == (4, 5)


def test_transparent_parts_become_white() -> None:
    clear = PillowImage.new("RGBA", (3, 3), (255, 0, 0, 0))
    assert (read_photo(encoded(clear, "PNG")) == 255).all()


def test_palette_with_transparency_is_rgb() -> None:
    picture = PillowImage.new("P", (3, 3), 0)
    picture.putpalette([10, 20, 30] + [0] * 765)
    assert read_photo(encoded(picture, "PNG"))[0, 0].tolist() == [10, 20, 30]
    assert (read_photo(encoded(picture, "PNG", transparency=0)) == 255).all()


def test_sixteen_bits_are_scaled() -> None:
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)
    data = encoded(PillowImage.fromarray(values), "PNG")
    assert read_photo(data).tolist() == [[0, 128, 255]]


def test_float_tiff_is_scaled() -> None:
    data = encoded(PillowImage.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)), "TIFF")
    assert read_photo(data).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, np.nan, 1, np.inf]], np.float32), [[0, 0, 255, 0]]),
        (np.array([[0, 255]], np.float32), [[0, 255]]),
        (np.array([[0, 65535]], np.float32), [[0, 255]]),
        (np.array([[0, 65535]], np.int32), [[0, 255]]),
        (np.array([[0, 65536]], np.int32), None),
        (np.array([[0, 1e9]], np.float32), None),
    ],
)
def test_ranges_of_large_numbers(
    tmp_path: Path, values: np.ndarray, expected: list[list[int]] | None
) -> None:
    PillowImage.fromarray(values).save(tmp_path / "a.tiff")
    if expected is None:
        with pytest.raises(InputError, match=r"a\.tiff: values up to .*; save it with 8 or 16"):
            read_photo(tmp_path / "a.tiff")
    else:
        assert read_photo(tmp_path / "a.tiff").tolist() == expected


def test_cmyk_becomes_rgb() -> None:
    data = encoded(PillowImage.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    red = read_photo(data)[0, 0]
    assert red[0] > 200
    assert red[1] < 60


def test_first_frame_of_an_animation() -> None:
    frames = [PillowImage.new("RGB", (4, 4), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_photo(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "empty"), (b"hello, this is text", "not an image")],
)
def test_no_image(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(InputError, match=expected):
            read_photo(source)


def test_truncated_jpeg_is_named(tmp_path: Path, astronaut: Path) -> None:
    whole = encoded(PillowImage.open(astronaut), "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.jpg: damaged or cut short"):
        read_photo(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_photo(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        read_photo(tmp_path)


def test_bomb_is_refused_before_it_is_decoded() -> None:
    # 30,000 x 30,000 pixels in a few bytes: a header without its data
    picture = encoded(PillowImage.new("1", (30_000, 30_000)), "PNG")
    with pytest.raises(InputError, match="pixels"):
        read_photo(picture)


@pytest.mark.parametrize("shape", [(0, 0), (3, 3, 4), (3,)])
def test_arrays_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected uint8"):
        read_photo(np.zeros(shape, dtype=np.uint8))


def test_float_arrays_are_refused() -> None:
    with pytest.raises(InputError, match="float64"):
        read_photo(np.zeros((4, 4)))  # type: ignore[arg-type]


class TestExpand:
    def test_folder_is_searched_recursively_and_sorted(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.jpg", "sub/c.PNG", "notes.txt", ".hidden.png", ".git/d.png"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        found, unread = expand(str(tmp_path))
        assert not unread
        names = [name for _, name in found]
        assert names == ["a.jpg", "b.png", "sub/c.PNG"]

    def test_content_counts_and_what_is_not_read_is_listed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        PillowImage.new("RGB", (8, 8)).save(tmp_path / "noname", "PNG")
        PillowImage.new("RGB", (8, 8)).save(tmp_path / "a.bin", "BMP")
        PillowImage.new("RGB", (8, 8)).save(tmp_path / "icon.ico")
        (tmp_path / "heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(32))
        (tmp_path / "BMW.txt").write_text("BM is how this text begins")
        names = [name for _, name in expand(str(tmp_path))[0]]
        assert names == ["a.bin", "heic", "icon.ico", "noname"]
        with pytest.raises(InputError, match=r"icon\.ico: not an image that can be read"):
            read_photo(tmp_path / "icon.ico")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_pipes_and_closed_folders_are_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "closed").mkdir()
        os.mkfifo(tmp_path / "a.jpg")
        os.mkfifo(tmp_path / "queue")
        scandir = os.scandir

        def refusing(path: str) -> object:
            if Path(path).name == "closed":
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)
        found, unread = expand(str(tmp_path))
        assert not found
        assert [line.split(": ")[1] for line in unread] == [
            "a pipe or a device, not a file; take it out",
            "a folder that may not be read; change its permissions",
        ]
        with pytest.raises(InputError, match="a pipe or a device"):
            read_photo(tmp_path / "a.jpg")

    def test_pattern(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.png", "c.jpg"):
            (tmp_path / name).touch()
        found = [name for _, name in expand(f"{tmp_path}/*.png")[0]]
        assert found == ["a.png", "b.png"]

    def test_a_link_to_nowhere_is_told_on_reading(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").symlink_to("gone.png")
        ((path, _),), _ = expand(str(tmp_path))
        with pytest.raises(InputError, match="no such file"):
            read_photo(path)

    def test_an_empty_path_is_no_folder(self) -> None:
        with pytest.raises(InputError, match="an empty path"):
            expand("")

    def test_a_file_whose_name_looks_like_a_pattern(self, tmp_path: Path) -> None:
        odd = tmp_path / "me[1].png"
        odd.touch()
        assert expand(str(odd)) == ([(str(odd), "me[1].png")], [])

    @pytest.mark.parametrize("pattern", ["", "/*.png"])
    def test_nothing_found(self, tmp_path: Path, pattern: str) -> None:
        with pytest.raises(InputError, match="holds no images"):
            expand(f"{tmp_path}{pattern}")
