"""Another way to draw: test pictures by Pillow, as files of any size, shape and format. Never used in training."""

from __future__ import annotations

import io
import math
import random

from PIL import Image, ImageDraw

from .scenes import Scene, Shape

# Named web colours that everybody would call so.
PAINTS = {
    "red": ["#ff0000", "#dc143c", "#d62728", "#e53935"],
    "orange": ["#ff8c00", "#ff9800", "#fb8c00"],
    "yellow": ["#ffff00", "#ffd700", "#fdd835", "#ffeb3b"],
    "green": ["#008000", "#228b22", "#2ca02c", "#43a047", "#32cd32"],
    "blue": ["#0000ff", "#1e90ff", "#1f77b4", "#4169e1", "#1565c0"],
    "purple": ["#800080", "#8e24aa", "#9932cc", "#7b1fa2"],
    "pink": ["#ffc0cb", "#ff69b4", "#f48fb1", "#ffb6c1"],
    "brown": ["#8b4513", "#a0522d", "#795548", "#6d4c41"],
    "black": ["#000000", "#111111", "#212121"],
    "white": ["#ffffff", "#fafafa"],
    "grey": ["#808080", "#9e9e9e", "#757575", "#888888"],
}
GROUNDS = ["#ffffff"] * 5 + [
    "#fafafa",
    "#000000",
    "#212121",
    "#fff8e1",
    "#e3f2fd",
    "#fdd835",
    "#1565c0",
    "#2ca02c",
    "#808080",
    "#ffc0cb",
    "#00bcd4",
    "#d2b48c",
    "#3f51b5",
    "#ff9800",
    "#e53935",
]
NAMED_GROUNDS = {
    "#ffffff": "white",
    "#fafafa": "white",
    "#000000": "black",
    "#212121": "black",
    "#fdd835": "yellow",
    "#1565c0": "blue",
    "#2ca02c": "green",
    "#808080": "grey",
    "#ffc0cb": "pink",
    "#ff9800": "orange",
    "#e53935": "red",
}


def rgb(code: str) -> tuple[float, float, float]:
    """``#rrggbb`` as shares from 0 to 1."""
    return tuple(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def scene(
    rng: random.Random, count: int, kinds: tuple[str, ...] = ("circle", "square", "triangle", "star", "heart", "cross")
) -> Scene:
    """``count`` shapes on a plain ground, none close to a cell's border, sizes and colours easy to tell for a person."""
    while True:
        ground = rng.choice(GROUNDS)
        width, height = rng.choice(
            [
                (400, 300),
                (640, 480),
                (300, 500),
                (512, 512),
                (1280, 720),
                (224, 224),
                (800, 1000),
                (160, 120),
                (1920, 1080),
                (600, 250),
                (96, 96),
            ]
        )
        wide, high = width / min(width, height), height / min(width, height)
        colours = [c for c in PAINTS if c != NAMED_GROUNDS.get(ground)]
        shapes: list[Shape] = []
        for _ in range(60 * count):
            if len(shapes) == count:
                return Scene(shapes, NAMED_GROUNDS.get(ground), rgb(ground), width / height)
            size = rng.uniform(0.075, (0.38, 0.38, 0.26, 0.2, 0.17, 0.15)[count])
            x, y = (
                rng.uniform(1.1 * size / wide, 1 - 1.1 * size / wide),
                rng.uniform(1.1 * size / high, 1 - 1.1 * size / high),
            )
            colour = rng.choice(colours)
            paint = rgb(rng.choice(PAINTS[colour]))
            if any(abs(v * 3 - b) < 0.13 for v in (x, y) for b in (1, 2)) or math.dist(paint, rgb(ground)) < 0.4:
                continue
            if any(math.hypot((x - s.x) * wide, (y - s.y) * high) < 1.35 * (size + s.size) for s in shapes):
                continue
            shape = Shape(rng.choice(kinds), colour, paint, x, y, size)
            if any(s.place == shape.place and abs(s.x - x) < 0.05 for s in shapes):
                continue
            shapes.append(shape)


def _outline(kind: str, rng: random.Random) -> list[tuple[float, float]]:
    """Corners of a shape of radius 1, y down."""
    if kind == "circle":
        return [(math.cos(i * math.pi / 24) * 0.95, math.sin(i * math.pi / 24) * 0.95) for i in range(48)]
    if kind == "square":
        return [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
    if kind == "triangle":
        return [(0, -1), (0.95, 0.7), (-0.95, 0.7)]
    if kind == "star":
        return [
            (
                math.sin(i * math.pi / 5) * (1.05 if i % 2 == 0 else 0.43),
                -math.cos(i * math.pi / 5) * (1.05 if i % 2 == 0 else 0.43),
            )
            for i in range(10)
        ]
    if kind == "heart":
        turns = [i * math.pi / 30 for i in range(60)]
        return [
            (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
            for t in turns
        ]
    a = 0.3
    return [(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a), (a, 1), (-a, 1), (-a, a), (-1, a), (-1, -a), (-a, -a)]


def _wobbled(points: list[tuple[float, float]], rng: random.Random, strength: float) -> list[tuple[float, float]]:
    """The same outline as a mouse would draw it: more points, each a little off, the errors following each other."""
    out, dx, dy = [], 0.0, 0.0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        steps = max(1, int(math.hypot(x1 - x0, y1 - y0) / 0.12))
        for i in range(steps):
            dx, dy = 0.8 * dx + rng.gauss(0, strength), 0.8 * dy + rng.gauss(0, strength)
            out.append((x0 + (x1 - x0) * i / steps + dx, y0 + (y1 - y0) * i / steps + dy))
    return out


def draw(picture: Scene, rng: random.Random, style: str = "filled", short: int | None = None) -> Image.Image:
    """The scene, ``short`` pixels on its shorter side (default: some size): ``filled``, ``outline`` or ``hand`` (a wobbly pen line)."""
    scale = 3
    short = short or rng.choice((96, 160, 224, 300, 480, 720, 1000))
    width, height = (
        (round(short * picture.aspect), short) if picture.aspect >= 1 else (short, round(short / picture.aspect))
    )
    big = Image.new("RGB", (width * scale, height * scale), tuple(round(v * 255) for v in picture.rgb))
    pen = ImageDraw.Draw(big)
    for shape in picture.shapes:
        points = _outline(shape.kind, rng)
        if style == "hand":
            points = _wobbled(points, rng, 0.018)
        turn = rng.uniform(-0.22, 0.22)
        cos, sin = math.cos(turn), math.sin(turn)
        radius = shape.size * short * scale
        corners = [
            (
                shape.x * width * scale + radius * (cos * x - sin * y),
                shape.y * height * scale + radius * (sin * x + cos * y),
            )
            for x, y in points
        ]
        paint = tuple(round(v * 255) for v in shape.rgb)
        if style == "filled":
            pen.polygon(corners, fill=paint)
        else:
            line = max(2 * scale, round(rng.uniform(0.016, 0.03) * short * scale))
            pen.line([*corners, corners[0], corners[1]], fill=paint, width=line, joint="curve")
    return big.resize((width, height), Image.Resampling.LANCZOS)


def file(image: Image.Image, rng: random.Random) -> tuple[str, bytes]:
    """The picture as a PNG, JPEG or WebP file: ``(mime type, bytes)``."""
    kind = rng.choice(("PNG", "PNG", "JPEG", "WEBP"))
    buffer = io.BytesIO()
    image.save(buffer, kind, **({} if kind == "PNG" else {"quality": rng.randint(70, 95)}))
    return f"image/{kind.lower()}", buffer.getvalue()
