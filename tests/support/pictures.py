"""Pictures for tests: some that no one should send, and what a viewer shows of the others."""

import struct
import zlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size, as a bomb does, without the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


# What a viewer shows, by plain arithmetic: the reference that pictures are compared with.

Pixels = npt.NDArray[np.uint8]


def scene(width: int = 96, height: int = 64) -> Pixels:
    """A picture in which every fault shows: a ramp of gray above, colours below, a dark disc off the middle, a bright
    corner at the top left. Height x width x RGB."""
    y, x = np.mgrid[0:height, 0:width]
    share = x / (width - 1)
    ramp = np.rint(share * 255)
    colours = np.stack([np.rint(255 * np.abs(np.sin(np.pi * (share + shift)))) for shift in (0, 1 / 3, 2 / 3)], -1)
    picture = np.where((y < height / 2)[..., None], ramp[..., None], colours)
    picture[(x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < (height / 5) ** 2] = 20
    picture[: height // 5, : width // 5] = (250, 240, 60)
    return picture.astype(np.uint8)


def gray_scene(width: int = 96, height: int = 64) -> Pixels:
    """The same in gray. Height x width."""
    gray: Pixels = np.rint(scene(width, height) @ np.array((0.299, 0.587, 0.114))).astype(np.uint8)
    return gray


def srgb_light(levels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Light of sRGB levels, 0 to 1."""
    share = levels.astype(np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def srgb_levels(light: npt.NDArray[np.float64]) -> Pixels:
    """The inverse of srgb_light."""
    light = light.clip(0, 1)
    share = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    levels: Pixels = np.rint(share * 255).astype(np.uint8)
    return levels


def lab(picture: Pixels) -> npt.NDArray[np.float64]:
    """CIE L*a*b* of an RGB or gray picture, D65."""
    rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, -1)
    to_xyz = np.array(((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)))
    xyz = srgb_light(rgb) @ to_xyz.T / np.array((0.9505, 1.0, 1.089))
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack(
        [116 * root[..., 1] - 16, 500 * (root[..., 0] - root[..., 1]), 200 * (root[..., 1] - root[..., 2])], -1
    )


def eye_distance(one: Pixels, other: Pixels, cell: int = 4) -> float:
    """How different two pictures of one size look: the mean distance in L*a*b* of cells of some pixels. Below 2 an eye
    sees nothing; a picture and its negative are some 50 apart."""
    assert one.shape[:2] == other.shape[:2], (one.shape, other.shape)

    def cells(picture: Pixels) -> npt.NDArray[np.float64]:
        values = lab(picture)
        high, wide = values.shape[0] // cell * cell, values.shape[1] // cell * cell
        means: npt.NDArray[np.float64] = (
            values[:high, :wide].reshape(high // cell, cell, wide // cell, cell, 3).mean((1, 3))
        )
        return means

    return float(np.linalg.norm(cells(one) - cells(other), axis=-1).mean())


# Files made by hand, where Pillow writes none


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG's chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels: npt.NDArray[Any], depth: int, colour: int, *extra: bytes) -> bytes:
    """A PNG of these samples (height x width, or x channels), of 1 to 16 bits; ``extra`` chunks stand before them."""
    height, width = pixels.shape[:2]
    samples = pixels.reshape(height, -1)
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    elif depth == 8:
        rows = [row.astype(np.uint8).tobytes() for row in samples]
    else:
        bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


def interlaced_png(pixels: Pixels) -> bytes:
    """An RGB PNG in Adam7's seven passes."""
    height, width = pixels.shape[:2]
    rows = []
    for left, top, right, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        rows += [b"\0" + row.tobytes() for row in pixels[top::down, left::right]]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")


def tiff(
    pixels: npt.NDArray[Any], photometric: int, order: Literal["<", ">"] = "<", extra: tuple[tuple[int, int], ...] = ()
) -> bytes:
    """A TIFF of one strip with these samples, of their own bits and kind; ``extra`` tags are shorts."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    bits = pixels.dtype.itemsize * 8
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, 1), (262, 3, 1, photometric), (273, 4, 1, 8),
        (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data)), (339, 3, 1, kind),
        *((tag, 3, 1, value) for tag, value in extra),
    ]  # fmt: skip
    after = 8 + len(data)
    tags.append((258, 3, channels, bits if channels == 1 else after))
    shorts = b"" if channels == 1 else struct.pack(f"{order}{channels}H", *[bits] * channels)
    entries = b""
    for tag, form, count, value in sorted(tags):
        packed = struct.pack(f"{order}HH", value, 0) if form == 3 and count == 1 else struct.pack(f"{order}I", value)
        entries += struct.pack(f"{order}HHI", tag, form, count) + packed
    lead = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", after + len(shorts))
    return lead + data + shorts + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)


def exif_orientation(value: int, order: str = "<") -> bytes:
    """An Exif block that says how the picture is turned."""
    lead = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, value, 0)
    return b"Exif\0\0" + lead + struct.pack(f"{order}IH", 8, 1) + entry + struct.pack(f"{order}I", 0)
