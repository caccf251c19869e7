"""Draw the sample pictures that the Chat tab offers (assets/sample_pictures).

python -m train.sample_pictures
"""

from __future__ import annotations

import random
from pathlib import Path

from .pillow import draw, rgb
from .scenes import Scene, Shape

OUT = Path(__file__).resolve().parents[2] / "sample_pictures"


def shape(kind: str, colour: str, code: str, x: float, y: float, size: float) -> Shape:
    """A shape painted with the web colour ``code``."""
    return Shape(kind, colour, rgb(code), x, y, size)


PICTURES = {
    "two_shapes": (
        Scene(
            [shape("circle", "red", "#e53935", 0.18, 0.2, 0.13), shape("square", "blue", "#1565c0", 0.8, 0.78, 0.16)],
            "white",
            (1, 1, 1),
            4 / 3,
        ),
        "filled",
    ),
    "five_shapes": (
        Scene(
            [
                shape("star", "yellow", "#fdd835", 0.17, 0.2, 0.13),
                shape("heart", "pink", "#ff69b4", 0.82, 0.2, 0.12),
                shape("circle", "white", "#ffffff", 0.5, 0.5, 0.12),
                shape("triangle", "green", "#32cd32", 0.17, 0.8, 0.12),
                shape("cross", "red", "#e53935", 0.82, 0.8, 0.12),
            ],
            None,
            rgb("#303f7f"),
            4 / 3,
        ),
        "filled",
    ),
    "three_stars": (
        Scene(
            [
                shape("star", "orange", "#ff8c00", 0.17, 0.5, 0.12),
                shape("star", "purple", "#8e24aa", 0.5, 0.5, 0.12),
                shape("star", "green", "#2ca02c", 0.83, 0.5, 0.12),
            ],
            "white",
            (1, 1, 1),
            1.6,
        ),
        "filled",
    ),
    "hand_drawn": (
        Scene(
            [shape("heart", "red", "#dc143c", 0.2, 0.25, 0.17), shape("circle", "black", "#212121", 0.8, 0.75, 0.15)],
            "white",
            (1, 1, 1),
            4 / 3,
        ),
        "hand",
    ),
    "big_and_small": (
        Scene(
            [
                shape("square", "purple", "#8e24aa", 0.24, 0.5, 0.28),
                shape("triangle", "orange", "#fb8c00", 0.82, 0.2, 0.1),
            ],
            "white",
            (1, 1, 1),
            4 / 3,
        ),
        "filled",
    ),
}


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for name, (scene, style) in PICTURES.items():
        rng = random.Random(name)
        image = draw(scene, rng, style, short=300)
        image.quantize(64).save(OUT / f"{name}.png", optimize=True)
        print(f"{name}.png: {(OUT / f'{name}.png').stat().st_size} bytes")


if __name__ == "__main__":
    main()
