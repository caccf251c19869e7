"""Pictures of more than 8 bits a pixel, to 8: measured, scanned, or counted in fractions. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_BAND_ROWS = 256  # rows looked at together: a deep picture is never in memory twice
# The full scales that a deep picture may use: 8 and 16 bits, and 1 where it counts in fractions.
_SCALES = (255.0, 65535.0)
_USED = 0.25  # a picture that uses less of its scale is stretched: what is 12 bits deep would be black
_MINISWHITE_TAG = 262
_SAMPLE = 1_000_000  # pixels that the range is judged by
_STRAY = 0.001  # of the pixels, at either end: hot ones, dead ones
_CORE = 0.1  # of the whole range: if nearly all pixels lie in less, the stray ones would flatten the picture
_PAPER = 0.75  # of the scale: nearly all of a blank page is brighter

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """The values that became black and white in a picture that was stretched. ``clipped``: some lie outside."""

    low: float
    high: float
    clipped: bool = False


def eight_bits(picture: Image.Image) -> tuple[Image.Image, Range | None]:
    """The picture in 8 bits, and the range where not all of a usual one was shown as it is."""
    low, high, core = _range(picture)
    if low > high:  # not a number anywhere
        return Image.new("L", picture.size), None
    if core is not None and any(low >= 0 and high <= scale <= core[0] / _PAPER for scale in _SCALES):
        core = None  # a nearly blank page: what is dark on it is ink, and no stray pixel
    clipped = core is not None
    low, high = core or (low, high)
    scales = ((1.0,) if picture.mode == "F" else ()) + _SCALES
    fits = (scale for scale in scales if low >= 0 and high <= scale and high - low >= scale * _USED)
    scale = next(fits, 0.0)
    if not scale and low == high:  # one shade: as bright as it says
        scale = next((each for each in scales if 0 <= low <= each), 0.0)
    bottom, span = (0.0, scale) if scale else (low, max(high - low, 1e-300))
    inverted = getattr(picture, "tag_v2", {}).get(_MINISWHITE_TAG) == 0
    result = Image.new("L", picture.size)
    for top, values in _bands(picture):
        share = np.nan_to_num((values - bottom) / span, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
        levels = np.rint((1 - share if inverted else share) * 255).astype(np.uint8)
        result.paste(Image.fromarray(levels), (0, top))
    if clipped:
        return result, Range(bottom, bottom + span, clipped=True)
    return result, None if scale or low == high else Range(low, high)


def _range(picture: Image.Image) -> tuple[float, float, tuple[float, float] | None]:
    """The least and the largest value; and where nearly all lie, if that is a small part of it."""
    low, high = np.inf, -np.inf
    step = max(1, picture.width * picture.height // _SAMPLE)
    samples = list[Floats]()
    for _, values in _bands(picture):
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            samples.append(finite[::step])
    if not samples:
        return low, high, None
    values = _without_fillers(np.sort(np.concatenate(samples)))
    stray = int(_STRAY * values.size)
    first, last = float(values[stray]), float(values[values.size - 1 - stray])
    return low, high, (first, last) if 0 < last - first < _CORE * (high - low) else None


def _without_fillers(values: Floats) -> Floats:
    """Sorted values without one that stands for "no value", as maps write -9999: far from all others, at an end."""
    inner = values[(values > values[0]) & (values < values[-1])]
    if not inner.size:
        return values
    width = inner[-1] - inner[0]
    if inner[0] - values[0] > width:
        values = values[values > values[0]]
    if values[-1] - inner[-1] > width:
        values = values[values < values[-1]]
    return values


def _bands(picture: Image.Image) -> Iterator[tuple[int, Floats]]:
    for top in range(0, picture.height, _BAND_ROWS):
        band = picture.crop((0, top, picture.width, min(top + _BAND_ROWS, picture.height)))
        yield top, np.asarray(band).astype(np.float64)
