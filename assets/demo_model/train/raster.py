"""Draw a batch of scenes on the GPU, as the image processor would hand them to the model.

Every picture comes out as 3 x 224 x 224, squeezed to a square as the processor does it, with the traces that real files
have: anti-aliasing, rotation, hand-drawn wobble, outlines with gaps, low resolution, JPEG blocks and noise.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import torch

from .scenes import COLOURS, KINDS, Scene

Paint = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]

SIZE = 224
SLOTS = 5
# Columns of a shape's row: kind, red, green, blue, x, y, size, rotation, stretch, shear, detail (star and cross), stroke (0: filled),
# edge stroke, gap angle, gap width, wobble amplitudes and phases (4 each), number of the colour
COLUMNS = 24
PATCHES = 16
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def shape_row(shape: object, rng: random.Random, hand: bool, outline: bool, edge: bool) -> list[float]:
    """The numbers that draw one shape, with random rotation, proportions and wobble."""
    kind = KINDS.index(shape.kind)  # type: ignore[attr-defined]
    turn = rng.gauss(0, 0.16) if rng.random() < 0.75 else 0.0
    turn = max(-0.38, min(0.38, turn))
    if kind == 2 and rng.random() < 0.15:
        turn += math.pi
    if kind == 5 and rng.random() < 0.25:
        turn += math.pi / 4
    if kind == 3 and rng.random() < 0.2:
        turn = rng.uniform(0, 2 * math.pi)
    free = 0.26 if hand else 0.1
    stretch = math.exp(rng.uniform(-free, free))
    shear = rng.uniform(-0.45, 0.45) if kind == 2 and rng.random() < 0.5 else rng.uniform(-0.12, 0.12) if hand else 0.0
    detail = (
        rng.uniform(0.36, 0.56)
        if kind == 3
        else (rng.uniform(0.06, 0.16) if rng.random() < (0.6 if hand else 0.2) else rng.uniform(0.18, 0.42))
    )
    size = shape.size  # type: ignore[attr-defined]
    stroke = max(rng.uniform(0.012, 0.034), 0.05 * size) / size if outline else 0.0
    if kind == 5 and outline and rng.random() < 0.6:
        detail, stroke = stroke / 2 + 0.02, 0.0  # two pen strokes
    gap = rng.uniform(0, 2 * math.pi), (rng.uniform(0.03, 0.16) if outline and hand and rng.random() < 0.4 else 0.0)
    strength = rng.uniform(0.0, 0.055) if hand else 0.0
    waves = [strength * rng.uniform(-1, 1) for _ in range(4)] + [rng.uniform(0, 2 * math.pi) for _ in range(4)]
    return [
        kind,
        *shape.rgb,
        shape.x,
        shape.y,
        size,
        turn,
        stretch,
        shear,
        detail,
        stroke,
        (rng.uniform(0.03, 0.09) if edge and not outline else 0.0),
        *gap,
        *waves,
        COLOURS.index(shape.colour),
    ]  # type: ignore[attr-defined]


def scene_rows(scene: Scene, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """``(shapes, picture)``: SLOTS x COLUMNS (rows of zeros where there is no shape) and background, aspect and effects."""
    hand = rng.random() < 0.42
    outline = rng.random() < (0.55 if hand else 0.15)
    edge = rng.random() < 0.06
    rows = np.zeros((SLOTS, COLUMNS), np.float32)
    rows[:, 0] = -1
    for i, shape in enumerate(scene.shapes):
        rows[i] = shape_row(shape, rng, hand, outline if rng.random() < 0.9 else not outline, edge)
    jpeg = rng.uniform(0.01, 0.09) if rng.random() < 0.35 else 0.0
    noise = rng.uniform(0, 0.02) if rng.random() < 0.3 else 0.0
    soft = rng.choice((0.35, 0.5, 0.7, 1.0, 1.5))
    picture = np.array([*scene.rgb, scene.aspect, soft, jpeg, noise, float(scene.clutter)], np.float32)
    return rows, picture


def drawings(shapes: np.ndarray, pictures: np.ndarray, rng: random.Random) -> dict[str, np.ndarray]:
    """What ``render`` takes, of the rows of N scenes (``scene_rows``).

    With which pictures are clutter, which go through JPEG, and the resolutions that two eighths of them go through; half
    of those are JPEG files of that size. All that is known before the GPU draws, so that drawing never waits for it.
    """
    return {
        "shapes": shapes,
        "pictures": pictures,
        "cluttered": np.flatnonzero(pictures[:, 7] > 0),
        "pressed": np.flatnonzero(pictures[:, 5] > 0),
        "low": np.array([rng.randrange(56, SIZE, 8), rng.randrange(56, SIZE, 8)]),
    }


def _distance(kind: int, p: torch.Tensor, q: torch.Tensor, detail: torch.Tensor) -> torch.Tensor:
    """Signed distance (negative inside) of points (p, q; q points up) to a shape of that kind, of radius about 1."""
    if kind == 0:
        return torch.hypot(p, q) - 0.93
    if kind == 1:
        return torch.maximum(p.abs(), q.abs()) - 0.83
    if kind == 2:
        return torch.maximum(-q, 0.8660254 * p.abs() + 0.5 * q) - 0.58
    if kind == 3:
        sector = 2 * math.pi / 5
        angle = torch.atan2(p, q)
        angle = (torch.remainder(angle + sector / 2, sector) - sector / 2).abs()
        radius = torch.hypot(p, q)
        x, y = radius * torch.sin(angle), radius * torch.cos(angle)  # the tip is at (0, 1.1)
        tip = 1.1
        inner_x, inner_y = detail * tip * math.sin(sector / 2), detail * tip * math.cos(sector / 2)
        dx, dy = inner_x, inner_y - tip  # from the tip to the inner corner
        return (dx * (y - tip) - dy * x) / torch.hypot(dx, dy)
    if kind == 4:
        scale = 0.62
        x, y = p.abs() * scale, (q + 0.92) * scale
        upper = torch.hypot(x - 0.25, y - 0.75) - math.sqrt(2) / 4
        half = 0.5 * torch.clamp(x + y, min=0)
        lower = torch.sqrt(torch.minimum(x * x + (y - 1) ** 2, (x - half) ** 2 + (y - half) ** 2)) * torch.sign(x - y)
        return torch.where(y + x > 1, upper, lower) / scale
    a, b = p.abs(), q.abs()
    return torch.minimum(torch.maximum(a - 0.98, b - detail), torch.maximum(b - 0.98, a - detail))


def _coverage(rows: torch.Tensor, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How much of each pixel a shape covers, how much its dark edge does, and whether it is inside: each N x SIZE x SIZE."""
    n, device = len(rows), rows.device
    grid = (torch.arange(SIZE, device=device) + 0.5) / SIZE
    column = [c.view(n, 1, 1) for c in rows.unbind(1)]
    aspect = picture[:, 3].view(n, 1, 1)
    wide, high = aspect.clamp(min=1), (1 / aspect).clamp(min=1)
    x = (grid.view(1, 1, SIZE) - column[4]) * wide / column[6]
    y = -(grid.view(1, SIZE, 1) - column[5]) * high / column[6]
    cos, sin = torch.cos(column[7]), torch.sin(column[7])
    p, q = cos * x + sin * y, -sin * x + cos * y
    p, q = (p - column[9] * q) / column[8], q * column[8]
    angle = torch.atan2(q, p)
    wave = torch.zeros_like(angle)
    for i, k in enumerate((2, 3, 5, 9)):
        wave = wave + column[15 + i] * torch.cos(k * angle + column[19 + i])
    bend = 1 + wave
    p, q = p * bend, q * bend
    # All kinds for every row: compiled into one kernel that is cheaper than sorting the rows by kind.
    distance = _distance(0, p, q, column[10])
    for kind in range(1, len(KINDS)):
        distance = torch.where(column[0] == kind, _distance(kind, p, q, column[10]), distance)
    stroke = column[11]
    shifted = torch.where(stroke > 0, distance.abs() - stroke / 2, distance)
    gap = torch.remainder(angle - column[13] + math.pi, 2 * math.pi) - math.pi
    # A pixel measured in the shape's units; the squeeze makes the two directions differ, their mean is near enough.
    pixel = (wide + high) / 2 / SIZE / column[6] * picture[:, 4].view(n, 1, 1)
    shifted = torch.where((column[14] > 0) & (gap.abs() < column[14]), shifted.clamp(min=1.0), shifted)
    cover = torch.sigmoid(-shifted / pixel * 2.5)
    edge = torch.where(
        column[12] > 0, torch.sigmoid(-(distance.abs() - column[12] / 2) / pixel * 2.5), torch.zeros_like(cover)
    )
    return cover, edge, torch.maximum((distance < 0).float(), cover)


def _dct_matrix(device: torch.device) -> torch.Tensor:
    k = torch.arange(8, device=device, dtype=torch.float32)
    matrix = torch.cos((2 * k.view(1, 8) + 1) * k.view(8, 1) * math.pi / 16) * math.sqrt(2 / 8)
    matrix[0] /= math.sqrt(2)
    return matrix


def _jpeg(images: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Round the 8 x 8 block frequencies as JPEG does, more coarsely for colour and high frequencies."""
    n, _, high, wide = images.shape
    device = images.device
    to_ycc = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], device=device)
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, images)
    blocks = ycc.view(n, 3, high // 8, 8, wide // 8, 8).permute(0, 1, 2, 4, 3, 5)
    dct = _dct_matrix(device)
    frequency = dct @ blocks @ dct.T
    ramp = 1 + 0.45 * (torch.arange(8, device=device).view(8, 1) + torch.arange(8, device=device).view(1, 8))
    step = strength.view(n, 1, 1, 1, 1, 1) * ramp * torch.tensor([1.0, 1.6, 1.6], device=device).view(1, 3, 1, 1, 1, 1)
    frequency = torch.round(frequency / step) * step
    ycc = (dct.T @ frequency @ dct).permute(0, 1, 2, 4, 3, 5).reshape(n, 3, high, wide)
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_ycc), ycc)


def _clutter(n: int, device: torch.device, generator: torch.Generator) -> torch.Tensor:
    """Pictures that are no drawings: coloured noise from coarse to fine, as a photo's texture."""
    image = torch.zeros(n, 3, SIZE, SIZE, device=device)
    for cells in (3, 7, 14, 28, 56):
        noise = torch.rand(n, 3, cells, cells, device=device, generator=generator) - 0.5
        weight = torch.rand(n, 1, 1, 1, device=device, generator=generator) * (1.6 if cells < 20 else 0.9)
        image += weight * torch.nn.functional.interpolate(noise, (SIZE, SIZE), mode="bicubic")
    return (0.5 + image * 0.8).clamp(0, 1)


def paint(
    images: torch.Tensor, share: torch.Tensor, content: torch.Tensor, rows: torch.Tensor, pictures: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``images``, ``share`` and ``content`` with one more shape in each picture (N rows; none where the kind is -1).

    ``share`` (N x 16 x 16) is how much of a patch its shape covers; ``content`` is as ``render`` returns it, not yet flat.
    Training compiles this function: it needs nothing from the GPU before it goes on.
    """
    present = rows[:, 0].view(-1, 1, 1) >= 0
    cover, edge, inside = (torch.where(present, part, 0.0) for part in _coverage(rows, pictures))
    part = torch.nn.functional.avg_pool2d(inside.unsqueeze(1), SIZE // PATCHES)[:, 0]
    best = part > share
    cells = (rows[:, 4:6] * PATCHES).long().clamp(0, PATCHES - 1).view(-1, 2, 1, 1)
    line = torch.arange(PATCHES, device=rows.device)
    centre = (cells[:, 1] == line.view(1, PATCHES, 1)) & (cells[:, 0] == line.view(1, 1, PATCHES)) & present
    kind, colour = ((rows[:, column].long() + 1).view(-1, 1, 1) for column in (0, COLUMNS - 1))
    content = torch.stack(
        (
            torch.where(best, kind, content[:, 0]),
            torch.where(best, colour, content[:, 1]),
            torch.where(centre, 1, content[:, 2]),
        ),
        1,
    )
    images = images + cover.unsqueeze(1) * (rows[:, 1:4].view(-1, 3, 1, 1) - images)
    return images * (1 - 0.92 * edge.unsqueeze(1)), torch.maximum(part, share), content


@torch.no_grad()
def render(
    drawn: dict[str, torch.Tensor], generator: torch.Generator, paint: Paint = paint
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel values (N x 3 x 224 x 224, normalized) of what ``drawings`` holds, and what is in each patch.

    The second is N x 3 x 256: the kind (0: none) and colour (0: none) of the shape in each patch of 14 x 14 pixels, and 1
    where a shape has its centre. ``generator`` is on the same device.
    """
    rows, pictures, cluttered, pressed = (drawn[name] for name in ("shapes", "pictures", "cluttered", "pressed"))
    n, device = len(rows), rows.device
    images = pictures[:, :3].view(n, 3, 1, 1).expand(n, 3, SIZE, SIZE).contiguous()
    share = torch.full((n, PATCHES, PATCHES), 0.12, device=device)
    content = torch.zeros(n, 3, PATCHES, PATCHES, dtype=torch.long, device=device)
    for slot in range(SLOTS):
        images, share, content = paint(images, share, content, rows[:, slot].contiguous(), pictures)
    if len(cluttered):
        images[cluttered] = _clutter(len(cluttered), device, generator)
    part = n // 8
    for i, low in enumerate(drawn["low"].tolist()):
        small = images[i * part : (i + 1) * part]
        if len(small):
            small = torch.nn.functional.interpolate(small, (low, low), mode="area")
            coarse = torch.rand(len(small) // 2, device=device, generator=generator) * 0.06 + 0.01
            small[: len(coarse)] = _jpeg(small[: len(coarse)], coarse)
            images[i * part : (i + 1) * part] = torch.nn.functional.interpolate(small, (SIZE, SIZE), mode="bicubic")
    if len(pressed):
        images[pressed] = _jpeg(images[pressed], pictures[pressed, 5])
    images += pictures[:, 6].view(n, 1, 1, 1) * torch.randn(images.shape, device=device, generator=generator)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (images.clamp(0, 1) - mean) / std, content.flatten(2)
