import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from deepfer.errors import InputError
from deepfer.media import decode_photo, expand, read_photo


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


@pytest.mark.parametrize("kind", ["ICO", "EPS", "PCX", "TGA", "SGI"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match="not an image that can be read"):
        read_photo(encoded(PillowImage.new("RGB", (32, 32)), kind))


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
        names = [name for _, name in expand(str(tmp_path))]
        assert names == ["a.jpg", "b.png", "sub/c.PNG"]

    def test_pattern(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.png", "c.jpg"):
            (tmp_path / name).touch()
        found = [name for _, name in expand(f"{tmp_path}/*.png")]
        assert found == ["a.png", "b.png"]

    def test_a_link_to_nowhere_is_told_on_reading(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").symlink_to("gone.png")
        ((path, _),) = expand(str(tmp_path))
        with pytest.raises(InputError, match="no such file"):
            read_photo(path)

    def test_an_empty_path_is_no_folder(self) -> None:
        with pytest.raises(InputError, match="an empty path"):
            expand("")

    def test_a_file_whose_name_looks_like_a_pattern(self, tmp_path: Path) -> None:
        odd = tmp_path / "me[1].png"
        odd.touch()
        assert expand(str(odd)) == [(str(odd), "me[1].png")]

    @pytest.mark.parametrize("pattern", ["", "/*.png"])
    def test_nothing_found(self, tmp_path: Path, pattern: str) -> None:
        with pytest.raises(InputError, match="holds no images"):
            expand(f"{tmp_path}{pattern}")
