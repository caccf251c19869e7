"""From every way to hold a picture's pixels to red, green and blue as a viewer shows them. Pure."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from backend.chat.picture_depth import DEEP, Floats, Range, eight_bits

_FLAT = 16  # levels; a drawing that differs less from its background can't be seen
DARK = (32, 32, 32)


def plain(picture: Image.Image) -> tuple[Image.Image, Range | None]:
    """The picture in L, LA, RGB, RGBA, CMYK or LAB, 8 bits each, so that it can be made smaller with levels between;
    and the range of a deep one that had to be stretched."""
    if picture.mode in DEEP:
        return eight_bits(picture)
    if picture.mode == "1":
        return picture.convert("LA" if picture.has_transparency_data else "L"), None
    if picture.mode in ("La", "LA", "RGBa", "RGBA", "PA"):
        return picture.convert({"La": "LA", "LA": "LA"}.get(picture.mode, "RGBA")), None
    if picture.has_transparency_data:
        return picture.convert("RGBA"), None
    if picture.mode in ("L", "RGB", "CMYK", "LAB"):
        return picture, None
    return picture.convert("RGB"), None


def seen(picture: Image.Image) -> tuple[Image.Image, str]:
    """What ``plain`` gave, without a transparency that hides all of it, as some programs write by mistake: then
    "hidden", or "blank" where there is nothing to see behind it."""
    if picture.mode not in ("LA", "RGBA") or picture.getchannel("A").getextrema()[1] != 0:
        return picture, ""
    colours = picture.convert("L" if picture.mode == "LA" else "RGB")
    if all(low == high for low, high in _extrema(colours)):
        return picture, "blank"
    return colours, "hidden"


def to_srgb(
    picture: Image.Image, icc: bytes = b"", gamma: float = 0.0, cicp: tuple[int, int] | None = None
) -> Image.Image:
    """What ``plain`` gave, in sRGB: mode RGB, or RGBA where it has transparency.

    A profile that can't be used counts as none.
    """
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    if alpha is not None:
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    if cicp is not None and picture.mode in ("L", "RGB"):
        picture = _from_cicp(picture.convert("RGB"), *cicp)
    elif (converted := _by_profile(picture, icc)) is not None:
        picture = converted
    elif gamma:
        picture = picture.point(_gamma_table(gamma) * len(picture.getbands()))
    picture = picture.convert("RGB")
    if alpha is not None:
        picture.putalpha(alpha)
    return picture


def flattened(picture: Image.Image) -> tuple[Image.Image, bool]:
    """Over white; over DARK where only that shows what is drawn (then True)."""
    if picture.mode != "RGBA":
        return picture, False
    over_white = _over(picture, (255, 255, 255))
    if _spread(over_white) < _FLAT:
        over_dark = _over(picture, DARK)
        if _spread(over_dark) > 2 * _FLAT:
            return over_dark, True
    return over_white, False


def _over(picture: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    ground = Image.new("RGB", picture.size, colour)
    ground.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return ground


def _spread(picture: Image.Image) -> int:
    return max(high - low for low, high in _extrema(picture))


def _extrema(picture: Image.Image) -> list[tuple[int, int]]:
    return [(int(values.min()), int(values.max())) for values in map(np.asarray, picture.split())]


# Colours


def _by_profile(picture: Image.Image, icc: bytes) -> Image.Image | None:
    """By the picture's own profile, or by LAB's; None where there is none that fits."""
    try:
        if icc:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        elif picture.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            return None
        space = {"GRAY": "L", "Lab": "LAB"}.get(profile.profile.xcolor_space.strip(), profile.profile.xcolor_space)
        if space.strip() != picture.mode:
            return None if picture.mode != "LAB" else _by_profile(picture, b"")
        return ImageCms.profileToProfile(
            picture,
            profile,
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            "RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None if not icc or picture.mode != "LAB" else _by_profile(picture, b"")


def _gamma_table(gamma: float) -> list[int]:
    """A sample's level on the screen, of a file whose samples are light to the power of ``gamma``."""
    light = np.linspace(0, 1, 256) ** (1 / min(max(gamma, 0.05), 20.0))
    return [int(level) for level in np.rint(_srgb(light) * 255)]


def _srgb(light: Floats) -> Floats:
    light = light.clip(0, 1)
    curved: Floats = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return curved


def _from_srgb(level: Floats) -> Floats:
    linear: Floats = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return linear


def _from_pq(level: Floats) -> Floats:
    """SMPTE ST 2084, with its reference white (203 cd/m²) as a screen's white."""
    root = level ** (1 / 78.84375)
    light: Floats = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return light * 10_000 / 203


def _from_hlg(level: Floats) -> Floats:
    """ARIB STD-B67, with its reference white (level 0.75) as a screen's white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene: Floats = np.where(level <= 0.5, level**2 / 3, (np.exp((level - c) / a) + b) / 12)
    light: Floats = scene / ((np.exp((0.75 - c) / a) + b) / 12)
    return light


_CURVES: dict[int, Callable[[Floats], Floats]] = {
    4: lambda level: level**2.2,
    5: lambda level: level**2.8,
    8: lambda level: level,
    16: _from_pq,
    18: _from_hlg,
}
_WHITE = (0.3127, 0.3290)
# Chromaticities of red, green and blue by ITU-T H.273.
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def _from_cicp(picture: Image.Image, primaries: int, transfer: int) -> Image.Image:
    if primaries not in _PRIMARIES:
        primaries = 1
    if primaries == 1 and transfer not in _CURVES:
        return picture
    light = _CURVES.get(transfer, _from_srgb)(np.asarray(picture).astype(np.float64) / 255)
    matrix = np.linalg.inv(_to_xyz(1)) @ _to_xyz(primaries)
    return Image.fromarray(np.rint(_srgb(light @ matrix.T) * 255).astype(np.uint8))


def _to_xyz(primaries: int) -> Floats:
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in _PRIMARIES[primaries]]).T
    x, y = _WHITE
    white = np.array((x / y, 1.0, (1 - x - y) / y))
    xyz: Floats = columns * np.linalg.solve(columns, white)
    return xyz
