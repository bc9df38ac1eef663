"""An explanation as a picture: the face, the map over it, its scale and what it says."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from deepfer.explain.means import MeanMaps
from deepfer.explain.regions import face_regions
from deepfer.explain.types import Explanation

_SIDE, _MARGIN, _BAR = 288, 16, 14
_STOPS = {  # blue through white to vermillion, told apart by colour-blind readers
    -1.0: (0, 69, 130),
    -0.5: (86, 156, 214),
    0.0: (247, 247, 247),
    0.5: (240, 150, 90),
    1.0: (176, 58, 0),
}
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


def draw(explanation: Explanation, shares: dict[str, float]) -> PillowImage.Image:
    """Return the picture of one face, RGB.

    Left the face as the network was given it, right the map over it with its colour bar; for the
    attention, left the window on the face and right the view through it.

    Args:
        explanation: What to draw.
        shares: Region shares to print below; see `region_shares`.
    """
    title = ImageFont.load_default(19)
    text = ImageFont.load_default(14)
    attention = explanation.window is not None
    width = 2 * _SIDE + 3 * _MARGIN + (0 if attention else _BAR + 76)
    top = _MARGIN + 30 + 26
    picture = PillowImage.new("RGB", (width, top + _SIDE + 64), _PAPER)
    pen = ImageDraw.Draw(picture)

    probability = explanation.probabilities[explanation.expression]
    pen.text((_MARGIN, _MARGIN), f"{explanation.expression} {probability:.0%}", _INK, title)
    asked = explanation.probabilities[explanation.target]
    what = f"{explanation.method.replace('_', ' ')}, explains {explanation.target} ({asked:.0%})"
    pen.text((_MARGIN + 130, _MARGIN + 4), what, _INK, text)

    left, right = _MARGIN, 2 * _MARGIN + _SIDE
    names = ("window on the face", "seen through it") if attention else ("face", "map")
    for x, name in zip((left, right), names, strict=True):
        pen.text((x, top - 22), name, _INK, text)
    picture.paste(_enlarged(np.stack([explanation.face] * 3, axis=-1)), (left, top))
    if attention:
        _window(pen, explanation, left, top)
        assert explanation.view is not None  # noqa: S101
        view = np.round(explanation.view).astype(np.uint8)
        picture.paste(_enlarged(np.stack([view] * 3, axis=-1)), (right, top))
    else:
        reach = float(np.abs(explanation.map).max()) or 1.0
        picture.paste(_enlarged(overlay(explanation.face, explanation.map)), (right, top))
        bar = right + _SIDE + _MARGIN
        _bar(picture, pen, bar, top, _SIDE, reach, text)
        pen.text((bar, top - 22), "for", (176, 58, 0), text)
        pen.text((bar, top + _SIDE + 6), "against", (0, 69, 130), text)
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    said = ", ".join(f"{name} {share:.0%}" for name, share in ranked)
    of = "share of the view" if attention else "share of the map's positive part"
    pen.text((_MARGIN, top + _SIDE + 12), f"{of}:", _INK, text)
    pen.text((_MARGIN, top + _SIDE + 32), said, _INK, text)
    return picture


def overlay(face: NDArray[np.uint8], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return uint8 (H, W, 3): the map's colours over the gray face, stronger far from 0.

    Args:
        face: uint8 (H, W).
        values: float32 (H, W); the colours span its largest absolute value.
    """
    scaled = values / (float(np.abs(values).max()) or 1.0)
    strength = 0.8 * np.abs(scaled)[..., None] ** 0.7
    mixed = face[..., None] * (1 - strength) + colors(scaled) * strength
    return np.asarray(np.round(mixed), dtype=np.uint8)


def colors(scaled: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the colours (..., 3), 0 to 255, of values from -1 to 1."""
    stops = np.array(list(_STOPS))
    channels = np.array(list(_STOPS.values()), dtype=np.float64).T
    return np.stack([np.interp(scaled, stops, channel) for channel in channels], axis=-1)


def _enlarged(pixels: NDArray[np.uint8]) -> PillowImage.Image:
    return PillowImage.fromarray(pixels).resize((_SIDE, _SIDE), PillowImage.Resampling.BICUBIC)


def _window(pen: ImageDraw.ImageDraw, explanation: Explanation, left: int, top: int) -> None:
    assert explanation.window is not None  # noqa: S101
    scale = _SIDE / np.array(explanation.face.shape[::-1])
    corners = np.clip(explanation.window * scale, 1, _SIDE - 2) + np.array([left, top])
    closed = [(x, y) for x, y in np.vstack([corners, corners[:1]]).tolist()]
    pen.line(closed, fill=(0, 0, 0), width=5)
    pen.line(closed, fill=(240, 228, 66), width=3)


def _bar(
    picture: PillowImage.Image,
    pen: ImageDraw.ImageDraw,
    left: int,
    top: int,
    side: int,
    reach: float,
    font: Font,
) -> None:
    ramp = colors(np.linspace(1, -1, side))[:, None].repeat(_BAR, axis=1)
    picture.paste(PillowImage.fromarray(np.round(ramp).astype(np.uint8)), (left, top))
    pen.rectangle((left, top, left + _BAR - 1, top + side - 1), outline=_INK)
    marks = ((0, f"{reach:+.2g}"), (0.5, "0"), (1, f"{-reach:+.2g}"))
    for place, label in marks:
        y = top + place * (side - 1)
        pen.line((left + _BAR, y, left + _BAR + 4, y), fill=_INK)
        pen.text((left + _BAR + 8, y), label, _INK, font, anchor="lm")


def draw_means(means: MeanMaps, title: str) -> PillowImage.Image:
    """Return mean maps and their differences from the other expressions', RGB.

    One column per expression over the outlines of the regions; all maps of a row share a scale.
    """
    tile, side = 132, 120
    text, small = ImageFont.load_default(14), ImageFont.load_default(12)
    columns = len(means.maps)
    left = 92
    picture = PillowImage.new("RGB", (left + columns * tile + 90, 2 * tile + 100), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((_MARGIN, 10), title, _INK, text)
    for row, (name, maps) in enumerate(
        (("mean map", means.maps), ("less the\nothers", means.differences()))
    ):
        top = 64 + row * (tile + 12)
        pen.multiline_text((_MARGIN, top + side / 2), name, _INK, small, anchor="lm")
        reach = max(float(np.abs(values).max()) for values in maps.values()) or 1.0
        for column, (expression, values) in enumerate(maps.items()):
            x = left + column * tile
            if row == 0:
                label = f"{expression}\n{means.counts[expression]} face(s)"
                pen.multiline_text(
                    (x + side / 2, top - 4), label, _INK, small, anchor="md", align="center"
                )
            shown = PillowImage.fromarray(_outlined(values / reach, side))
            picture.paste(shown, (x, top))
        _bar(picture, pen, left + columns * tile + 4, top, side, reach, small)
    return picture


def _outlined(scaled: NDArray[np.floating], side: int) -> NDArray[np.uint8]:
    """Return a map's colours, uint8 (side, side, 3), with the outlines of the regions in gray."""
    shown = PillowImage.fromarray(np.round(colors(scaled)).astype(np.uint8))
    pixels = np.array(shown.resize((side, side), PillowImage.Resampling.BICUBIC))
    number = np.zeros((side, side), dtype=np.int64)
    for i, mask in enumerate(face_regions(side, side).values()):
        number[mask] = i
    edge = np.zeros_like(number, dtype=bool)
    edge[:, 1:] |= number[:, 1:] != number[:, :-1]
    edge[1:] |= number[1:] != number[:-1]
    pixels[edge] = (110, 110, 110)
    return pixels
