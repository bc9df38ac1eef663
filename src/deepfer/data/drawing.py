"""How one cartoon face is drawn: a parametric head whose parts move with the expression.

Brows, eyes, nose, cheeks and mouth move with the expression; identity, pose, colours, line width,
light and noise vary independently of it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFilter

from deepfer.labels import Expression
from deepfer.types import Image

CHARACTERS = ("ada", "bo", "cem", "dora", "emil", "fay", "gus", "hana")
_CANVAS = 256  # everything is drawn at this size and then averaged down

Point = tuple[float, float]
Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Movement:
    """How the parts of the face move, from 0 (at rest) to about 1 in either direction."""

    brow_inner: float = 0.0  # up
    brow_outer: float = 0.0  # up
    frown: float = 0.0  # brows towards each other
    lid: float = 0.0  # upper lid up: eyes wide
    squint: float = 0.0  # lower lid up
    wrinkle: float = 0.0  # of the nose
    cheek: float = 0.0  # up
    smile: float = 0.0  # mouth corners up
    stretch: float = 0.0  # mouth wider
    jaw: float = 0.0  # mouth open
    upper_lip: float = 0.0  # up
    teeth: float = 0.0  # visible in the open mouth

    def scaled(self, factor: float) -> "Movement":
        """Return a weaker or stronger movement."""
        return Movement(*(factor * getattr(self, name) for name in self.__slots__))


# After the action units that EMFACS lists for each expression.
_MOVEMENTS = {
    Expression.ANGRY: Movement(-1.0, 0.35, 1.0, -0.25, 0.35, 0.25, 0, -0.45, 0.05, 0.3, 0.1, 1.0),
    Expression.DISGUST: Movement(-0.6, -0.35, 0.6, -0.45, 0.7, 1.0, 0.5, -0.6, -0.2, 0.3, 1.0, 0.6),
    Expression.FEAR: Movement(1.0, 0.25, 0.7, 1.0, 0.0, 0, 0, -0.3, 0.7, 0.4, 0, 0.7),
    Expression.HAPPY: Movement(0.1, 0.15, 0, -0.1, 0.55, 0, 1.0, 1.0, 0.6, 0.4, 0, 1.0),
    Expression.SAD: Movement(0.9, -0.65, 0.5, -0.55, 0, 0, 0, -1.0, -0.15, 0, 0, 0),
    Expression.SURPRISE: Movement(1.0, 1.0, 0, 0.95, 0, 0, 0, 0, -0.6, 1.0, 0, 0),
    Expression.NEUTRAL: Movement(),
}

# The regions whose change tells the expression; for neutral, all that could have changed.
_CARRIERS: dict[Expression, tuple[str, ...]] = {
    Expression.ANGRY: ("brows", "eyes", "mouth"),
    Expression.DISGUST: ("brows", "eyes", "nose", "mouth"),
    Expression.FEAR: ("brows", "eyes", "mouth"),
    Expression.HAPPY: ("eyes", "cheeks", "mouth"),
    Expression.SAD: ("brows", "eyes", "mouth"),
    Expression.SURPRISE: ("brows", "eyes", "mouth"),
    Expression.NEUTRAL: ("brows", "eyes", "mouth"),
}


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """One drawing.

    Attributes:
        image: uint8 (S, S, 3) RGB.
        mask: bool (S, S), True where the expression shows.
    """

    image: Image
    mask: NDArray[np.bool_]


def draw_face(
    expression: Expression, character: str, *, size: int = 48, seed: int = 0
) -> DrawnFace:
    """Draw one face.

    Args:
        expression: One of the seven basic expressions.
        character: One of `CHARACTERS`.
        size: Height and width in pixels.
        seed: Decides everything but the expression and the character.
    """
    random = np.random.default_rng([seed, CHARACTERS.index(character)])
    return _Drawing(expression, character, random).render(size)


class _Drawing:
    """One face on a large canvas; regions are noted while they are drawn."""

    def __init__(self, expression: Expression, character: str, random: np.random.Generator) -> None:
        self.expression, self.random = expression, random
        who = np.random.default_rng([77, CHARACTERS.index(character)])  # identity only
        self.skin = _skin(who)
        self.hair = _hair_color(who)
        self.head = (76 + 12 * who.random(), 96 + 10 * who.random())  # half width, half height
        self.eye_gap, self.eye_size = 33 + 7 * who.random(), 13 + 4 * who.random()
        self.brow_weight = 5 + 5 * who.random()
        self.nose_length, self.nose_width = 20 + 10 * who.random(), 9 + 8 * who.random()
        self.mouth_width, self.lip = 27 + 8 * who.random(), 4 + 4 * who.random()
        self.hair_style = CHARACTERS.index(character) % 4
        self.glasses = who.random() < 0.25
        self.beard = who.random() < 0.25

        u = random.uniform
        jitter = [1 + u(-0.12, 0.12) for _ in Movement.__slots__]
        base = _MOVEMENTS[expression].scaled(u(0.75, 1.1))
        values = zip(Movement.__slots__, jitter, strict=True)
        self.move = Movement(*(getattr(base, name) * j for name, j in values))
        self.yaw, self.nod = u(-8, 8), u(-5, 5)  # shift of the features on the head
        self.roll, self.zoom = math.radians(u(-10, 10)), u(0.92, 1.1)
        self.shift = (u(-8, 8), u(-8, 8))
        self.line = u(2.2, 4.5)
        tint = u(-14, 14)
        self.skin = tuple(int(np.clip(c + tint, 0, 255)) for c in self.skin)  # type: ignore[assignment]
        self.ink: Color = tuple(int(c * u(0.15, 0.3)) for c in self.skin)  # type: ignore[assignment]
        background: Color = tuple(int(c) for c in random.integers(60, 235, 3))  # type: ignore[assignment]
        self.picture = PillowImage.new("RGB", (_CANVAS, _CANVAS), background)
        self.mask = PillowImage.new("L", (_CANVAS, _CANVAS), 0)
        self.draw, self.mask_draw = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.mask)

    def render(self, size: int) -> DrawnFace:
        """Draw everything and bring it to its size."""
        self._head()
        for side in (-1, 1):
            self._cheek(side)
            self._eye(side)
            self._brow(side)
        self._nose()
        self._mouth()
        if self.glasses:
            self._glasses()
        blurred = self.picture.filter(ImageFilter.GaussianBlur(1))
        box = PillowImage.Resampling.BOX
        pixels = np.asarray(blurred.resize((size, size), box), dtype=np.float32)
        coverage = np.asarray(self.mask.resize((size, size), box))
        return DrawnFace(self._lit(pixels), coverage > 127)

    # --- the parts -----------------------------------------------------------------------

    def _head(self) -> None:
        width, height = self.head
        shade = tuple(int(c * 0.86) for c in self.skin)
        neck: list[Point] = [(-30, 70), (30, 70), (44, 150), (-44, 150)]
        self._fill(neck, shade, self.ink)
        if self.hair_style in (1, 3):  # long hair behind the head
            self._fill(_ellipse(0, 2, width + 20, height + 14), self.hair, self.ink)
        for side in (-1, 1):
            self._fill(_ellipse(side * (width - 1), 4, 12, 19), self.skin, self.ink)
        chin = [
            (x * (1 - 0.16 * max(0, y / height)), y) for x, y in _ellipse(0, 6, width, height, 60)
        ]
        self._fill(chin, self.skin, self.ink)
        if self.beard:
            jaw = [p for p in chin if p[1] > 45]
            self._fill(
                [*jaw, (0, 78)],
                tuple((a + b) // 2 for a, b in zip(self.hair, self.skin, strict=True)),
            )
        top = [p for p in chin if p[1] < -40 - 8 * (self.hair_style % 2)]
        fringe = {
            0: [(width * 0.55, -62), (0, -70), (-width * 0.55, -62)],
            1: [(width * 0.5, -52), (width * 0.1, -74), (-width * 0.6, -50)],
            2: [(width * 0.7, -66), (-width * 0.2, -60), (-width * 0.7, -70)],
            3: [(width * 0.4, -58), (0, -60), (-width * 0.4, -58)],
        }[self.hair_style]
        ordered = sorted(top, key=lambda p: p[0])
        crown = [(x * 1.06, y * 1.07) for x, y in ordered]
        self._fill([*crown, *fringe], self.hair, self.ink)

    def _eye(self, side: int) -> None:
        x, y = side * self.eye_gap + self.yaw, -16 + self.nod
        half = self.eye_size
        upper = half * (0.62 + 0.45 * self.move.lid)
        lower = half * (0.55 - 0.42 * self.move.squint + 0.12 * self.move.lid)
        slant = 3.0 * (-self.move.brow_inner if self.move.brow_inner < 0 else 0) * side
        lid = [(x + half * t, y - upper * (1 - t * t) - slant * t) for t in np.linspace(-1, 1, 13)]
        floor = [(x + half * t, y + lower * (1 - t * t)) for t in np.linspace(1, -1, 13)]
        white = (245, 243, 238)
        self._fill([*lid, *floor], white)
        iris = min(half * 0.55, (upper + lower) * 0.55)
        gaze = (x + self.yaw * 0.15, y - (upper - lower) * 0.3)
        self._fill(_clipped(_ellipse(*gaze, iris, iris), lid, floor), self.hair_dark)
        self._fill(_clipped(_ellipse(*gaze, iris * 0.5, iris * 0.5), lid, floor), (15, 12, 12))
        self._stroke(lid, self.line * 1.25)
        self._stroke(floor, self.line * 0.6)
        self._carries("eyes", (x, y), half + 6, max(upper, lower) + 7)

    def _brow(self, side: int) -> None:
        move, rest = self.move, -16 + self.nod - self.eye_size - 9
        inner = (
            side * (self.eye_gap - 15 - 6 * move.frown) + self.yaw,
            rest - 11 * move.brow_inner,
        )
        outer = (side * (self.eye_gap + 17) + self.yaw, rest + 2 - 11 * move.brow_outer)
        arch = 5 + 3 * (move.brow_inner + move.brow_outer) / 2
        middle = ((inner[0] + outer[0]) / 2, (inner[1] + outer[1]) / 2 - arch)
        curve = _bezier(inner, middle, outer)
        self._stroke(curve, self.brow_weight, self.hair_dark)
        if move.frown > 0.5:
            fold = (side * 7 + self.yaw, rest + 2)
            self._stroke([(fold[0], fold[1] - 9), (fold[0] - side, fold[1] + 6)], self.line * 0.7)
        self._carries("brows", middle, 24, 13)

    def _nose(self) -> None:
        x, tip = self.yaw * 1.3, -16 + self.nod + self.nose_length + 12
        width = self.nose_width * (1 + 0.25 * self.move.wrinkle)
        lift = 4 * self.move.wrinkle
        base = _bezier(
            (x - width, tip - 3 - lift), (x, tip + 8 - lift), (x + width, tip - 3 - lift)
        )
        self._stroke(base, self.line)
        self._stroke([(x - 4, tip - self.nose_length), (x - 6, tip - 10)], self.line * 0.5)
        for side in (-1, 1):
            if self.move.wrinkle > 0.5:
                for k in range(3):
                    y = tip - 26 + 8 * k
                    start, end = (x + side * 5, y), (x + side * 15, y - 5)
                    self._stroke([start, end], self.line * 0.8)
                fold = [(x + side * (width + 6), tip - 8), (x + side * (width + 20), tip + 16)]
                self._stroke(fold, self.line * 0.9)
        self._carries("nose", (x, tip - 10), width + 14, 24)

    def _cheek(self, side: int) -> None:
        lift = self.move.cheek
        x, y = side * (self.eye_gap + 10) + self.yaw, 24 + self.nod - 7 * lift
        if lift > 0.3:
            blush = tuple(
                int(a + (b - a) * 0.35 * lift)
                for a, b in zip(self.skin, (225, 105, 95), strict=True)
            )
            self._fill(_ellipse(x, y, 18, 12), blush)
            fold = _bezier((x - side * 18, y - 2), (x - side * 2, y + 2), (x - side * 8, y + 26))
            self._stroke(fold, self.line * 0.7)
            under = _bezier((x - 14, y - 17), (x, y - 13), (x + 14, y - 17))
            self._stroke(under, self.line * 0.5)
        self._carries("cheeks", (x, y), 20, 17)

    def _mouth(self) -> None:
        move = self.move
        x, y = self.yaw * 1.1, 56 + self.nod
        half = self.mouth_width * (1 + 0.38 * move.stretch)
        corner = y - 13 * move.smile - 3 * move.jaw
        gap = 25 * move.jaw
        top = y + 5 * move.smile - gap * 0.45 - 9 * move.upper_lip
        bottom = y + 9 * move.smile + gap * 0.9 + 1
        left, right = (x - half, corner), (x + half, corner)
        bow = 2 * top - corner
        upper = _bezier(left, (x, bow), right)
        lower = _bezier(left, (x, 2 * bottom - corner), right)
        lips = tuple(int(c * f) for c, f in zip(self.skin, (0.82, 0.58, 0.58), strict=True))
        if bottom - top > 5:
            rim = self.lip
            outer_up = _bezier((left[0] - 2, corner), (x, bow - 1.6 * rim), (right[0] + 2, corner))
            outer_low = _bezier(
                (left[0] - 2, corner), (x, 2 * bottom - corner + 2 * rim), (right[0] + 2, corner)
            )
            self._fill([*outer_up, *outer_low[::-1]], lips, self.ink)
            self._fill([*upper, *lower[::-1]], (60, 18, 22), self.ink)
            if move.teeth > 0.3:
                edge = [
                    (px, py + (qy - py) * 0.42)
                    for (px, py), (_, qy) in zip(upper, lower, strict=True)
                ]
                self._fill([*upper, *edge[::-1]], (240, 238, 230))
        else:
            self._stroke([(a, b + 3) for a, b in lower], self.lip * 1.3, lips)
            self._stroke(upper, self.line * 1.3)
        middle = (x, (min(top, corner) + max(bottom, corner)) / 2)
        height = (max(bottom, corner) - min(top, corner)) / 2
        self._carries("mouth", middle, half + 9, height + 10)

    def _glasses(self) -> None:
        for side in (-1, 1):
            centre = (side * self.eye_gap + self.yaw, -15 + self.nod)
            rim = _ellipse(*centre, self.eye_size + 9, self.eye_size + 6)
            self._stroke([*rim, rim[0]], self.line * 0.8)
        y = -17 + self.nod
        inner = self.eye_gap - self.eye_size - 9
        self._stroke([(-inner + self.yaw, y), (inner + self.yaw, y)], self.line * 0.8)

    # --- the pencil ----------------------------------------------------------------------

    @property
    def hair_dark(self) -> Color:
        return tuple(int(c * 0.55) for c in self.hair)  # type: ignore[return-value]

    def _place(self, points: list[Point]) -> list[Point]:
        cos, sin = math.cos(self.roll) * self.zoom, math.sin(self.roll) * self.zoom
        x0, y0 = _CANVAS / 2 + self.shift[0], _CANVAS / 2 + self.shift[1]
        return [(x0 + cos * x - sin * y, y0 + sin * x + cos * y) for x, y in points]

    def _fill(
        self, points: list[Point], color: tuple[int, ...], edge: tuple[int, ...] | None = None
    ) -> None:
        placed = self._place(points)
        if len(placed) > 2:
            self.draw.polygon(placed, fill=color)
            if edge is not None:
                self.draw.line([*placed, placed[0]], fill=edge, width=round(self.line))

    def _stroke(
        self, points: list[Point], width: float, color: tuple[int, ...] | None = None
    ) -> None:
        placed, color = self._place(points), color or self.ink
        self.draw.line(placed, fill=color, width=max(1, round(width)), joint="curve")
        for x, y in (placed[0], placed[-1]):  # round ends
            r = width / 2
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=color)

    def _carries(self, region: str, centre: Point, half_width: float, half_height: float) -> None:
        if region in _CARRIERS[self.expression]:
            shape = _ellipse(*centre, half_width, half_height)
            self.mask_draw.polygon(self._place(shape), fill=255)

    def _lit(self, pixels: NDArray[np.float32]) -> Image:
        """Light from one side, a brightness of its own, and noise."""
        size, u = len(pixels), self.random.uniform
        angle, strength = u(0, 2 * math.pi), u(0, 0.3)
        ramp = np.linspace(-1, 1, size)
        slope = math.cos(angle) * ramp[None, :] + math.sin(angle) * ramp[:, None]
        light = u(0.8, 1.15) * (1 + strength * slope)[:, :, None]
        noise = self.random.normal(0, u(0, 7), pixels.shape)
        return np.clip(pixels * light + noise, 0, 255).astype(np.uint8)


def _ellipse(x: float, y: float, a: float, b: float, steps: int = 32) -> list[Point]:
    angles = np.linspace(0, 2 * math.pi, steps, endpoint=False)
    return [(x + a * math.cos(t), y + b * math.sin(t)) for t in angles]


def _bezier(start: Point, control: Point, end: Point, steps: int = 15) -> list[Point]:
    t = np.linspace(0, 1, steps)
    weights = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t * t], axis=1)
    return [(x, y) for x, y in (weights @ np.array([start, control, end])).tolist()]


def _clipped(shape: list[Point], lid: list[Point], floor: list[Point]) -> list[Point]:
    """Keep a shape between the lids."""
    xs, tops = zip(*lid, strict=True)
    floor_xs, bottoms = zip(*sorted(floor), strict=True)
    inside = []
    for x, y in shape:
        x = min(max(x, xs[0]), xs[-1])
        inside.append(
            (x, min(max(y, float(np.interp(x, xs, tops))), float(np.interp(x, floor_xs, bottoms))))
        )
    return inside


def _skin(who: np.random.Generator) -> Color:
    tones = [(247, 214, 188), (232, 186, 150), (205, 150, 110), (160, 108, 76), (120, 78, 54)]
    return tones[who.integers(len(tones))]


def _hair_color(who: np.random.Generator) -> Color:
    tones = [(40, 30, 26), (92, 60, 36), (150, 100, 50), (205, 170, 105), (130, 130, 132)]
    return tones[who.integers(len(tones))]
