"""What is sent of a picture looks like what a viewer shows, for every mode and format that people have.

The reference is plain arithmetic on the samples (tests/support/pictures.py), never the code under test.
"""

import io
import itertools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image, ImageCms

from backend.chat.images import CheckedPicture, check_picture
from backend.errors import InvalidInput
from tests.support.pictures import (
    Pixels,
    chunk,
    exif_orientation,
    eye_distance,
    gray_scene,
    interlaced_png,
    png,
    scene,
    srgb_levels,
    srgb_light,
    tiff,
)

SCENE, GRAY = scene(), gray_scene()
HEIGHT, WIDTH = GRAY.shape
ALPHA = np.tile(np.rint(np.linspace(0, 255, WIDTH)).astype(np.uint8), (HEIGHT, 1))
OVER_WHITE = np.rint(SCENE * (ALPHA[..., None] / 255) + 255 * (1 - ALPHA[..., None] / 255)).astype(np.uint8)
GRAY_OVER_WHITE = np.rint(GRAY * (ALPHA / 255) + 255 * (1 - ALPHA / 255)).astype(np.uint8)
DITHERED = Image.fromarray(GRAY).convert("1")
DEEP = GRAY.astype(np.uint16) * 257


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(checked: CheckedPicture) -> Pixels:
    with Image.open(io.BytesIO(checked.data)) as picture:
        assert picture.mode == "RGB"
        assert not picture.getexif()
        assert not picture.info.get("icc_profile")
        return np.asarray(picture)


def rgb(picture: Pixels = SCENE) -> Image.Image:
    return Image.fromarray(picture)


def indexed(colours: int) -> tuple[Image.Image, Pixels]:
    """A palette picture, and the colours that its pixels name."""
    picture = rgb().quantize(colours)
    table = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
    return picture, table[np.asarray(picture)]


def palette_png(depth: int, *, transparent: bool = False) -> tuple[bytes, Pixels]:
    picture, shown = indexed(1 << depth)
    index = np.asarray(picture)
    colours = picture.getpalette()
    assert colours is not None
    palette = bytes(colours[: 3 << depth])
    if not transparent:
        return png(index, depth, 3, chunk(b"PLTE", palette)), shown
    clear = int(index[-1, -1])
    trns = bytes(0 if n == clear else 255 for n in range(1 << depth))
    shown = np.where((index == clear)[..., None], 255, shown).astype(np.uint8)
    return png(index, depth, 3, chunk(b"PLTE", palette), chunk(b"tRNS", trns)), shown


def with_profile(profile: Any) -> bytes:
    return ImageCms.ImageCmsProfile(profile).tobytes()


def p3_profile() -> bytes:
    """sRGB's profile with Display P3's colourants: what a phone's photo carries."""
    profile = bytearray(with_profile(ImageCms.createProfile("sRGB")))
    columns = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for entry in range(struct.unpack_from(">I", profile, 128)[0]):
        tag, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        if tag in columns:
            struct.pack_into(">3i", profile, offset + 8, *(round(v * 65536) for v in columns[tag]))
    return bytes(profile)


def p3_as_srgb(picture: Pixels) -> Pixels:
    to_srgb = np.array(((1.2249, -0.2247, 0), (-0.0420, 1.0419, 0), (-0.0197, -0.0786, 1.0979)))
    return srgb_levels(srgb_light(picture) @ to_srgb.T)


def heic(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=90, **options)
    return buffer.getvalue()


def encoded_palette(depth: int, *, transparent: bool = False) -> bytes:
    return palette_png(depth, transparent=transparent)[0]


def lab_tiff() -> bytes:
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    picture = ImageCms.applyTransform(rgb(), transform)
    assert picture is not None  # None only for a change in place
    return saved(picture, "TIFF")


def cmyk() -> Image.Image:
    ink = 255 - SCENE.astype(np.int32)
    black = ink.min(-1, keepdims=True)
    rest = np.where(black < 255, (ink - black) * 255 / np.maximum(255 - black, 1), 0)
    return Image.fromarray(np.rint(np.concatenate([rest, black], -1)).astype(np.uint8), "CMYK")


def text_chunks(count: int, size: int) -> list[bytes]:
    return [chunk(b"tEXt", b"parameters\0" + b"x" * size) for _ in range(count)]


def ztxt(size: int) -> bytes:
    return chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"steps " * (size // 6)))


def itxt(size: int) -> bytes:
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x>" * (size // 3)))


def jpeg_with(*segments: tuple[int, bytes], **options: Any) -> bytes:
    data = saved(rgb(), "JPEG", quality=95, **options)
    extra = b"".join(bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return data[:2] + extra + data[2:]


def animated(kind: str, **options: Any) -> bytes:
    others = [rgb(255 - SCENE), rgb(SCENE[::-1])]
    return saved(rgb(), kind, save_all=True, append_images=others, duration=100, **options)


def mpo(**options: Any) -> bytes:
    return saved(rgb(), "MPO", save_all=True, append_images=[rgb().resize((24, 16))], quality=95, **options)


def floats(low: float, high: float) -> npt.NDArray[np.float32]:
    return (low + (high - low) * GRAY.astype(np.float32) / 255).astype(np.float32)


def not_numbers() -> npt.NDArray[np.float32]:
    values = floats(0, 1)
    values[0, 0], values[0, 1] = np.nan, np.inf
    return values


def pq_levels(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084, white at 203 cd/m²."""
    root = (light * 203 / 10_000) ** 0.1593017578125
    levels: npt.NDArray[np.float64] = ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375
    return levels


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[], bytes]
    shown: Pixels
    notices: tuple[str, ...] = ()
    near: float = 1.0  # how far it may look from what is shown; a lossy format moves colours by itself
    file: str = "cat.png"


LOSSY = 4.0
STRETCHED = ("stretched",)
CASES = [
    # PNG
    Case("png-rgb", lambda: saved(rgb(), "PNG"), SCENE),
    Case("png-rgb-interlaced", lambda: interlaced_png(SCENE), SCENE),
    Case("png-gray", lambda: saved(Image.fromarray(GRAY), "PNG"), GRAY),
    Case("png-gray-2", lambda: png(GRAY >> 6, 2, 0), ((GRAY >> 6) * 85).astype(np.uint8)),
    Case("png-gray-4", lambda: png(GRAY >> 4, 4, 0), ((GRAY >> 4) * 17).astype(np.uint8)),
    Case("png-1", lambda: saved(DITHERED, "PNG"), np.asarray(DITHERED).astype(np.uint8) * 255),
    Case(
        "png-1-clear",
        lambda: png(np.asarray(DITHERED).astype(np.uint8), 1, 0, chunk(b"tRNS", b"\0\1")),
        np.asarray(DITHERED).astype(np.uint8) * 255,
    ),
    Case("png-la", lambda: png(np.stack([GRAY, ALPHA], -1), 8, 4), GRAY_OVER_WHITE),
    Case("png-rgba", lambda: png(np.concatenate([SCENE, ALPHA[..., None]], -1), 8, 6), OVER_WHITE),
    Case("png-gray-16-full", lambda: png(DEEP, 16, 0), GRAY),
    Case("png-gray-16-of-12", lambda: png(DEEP >> 4, 16, 0), GRAY, STRETCHED),
    Case("png-gray-16-of-10", lambda: png(DEEP >> 6, 16, 0), GRAY, STRETCHED),
    Case("png-gray-16-narrow", lambda: png(DEEP // 50 + 30_000, 16, 0), GRAY, STRETCHED),
    Case(
        "png-gray-16-one-shade",
        lambda: png(np.full((HEIGHT, WIDTH), 40_000, np.uint16), 16, 0),
        np.full_like(GRAY, 156),
    ),
    Case("png-la-16", lambda: png(np.stack([DEEP, ALPHA.astype(np.uint16) * 257], -1), 16, 4), GRAY_OVER_WHITE),
    Case("png-rgb-16", lambda: png(SCENE.astype(np.uint16) * 257, 16, 2), SCENE),
    Case(
        "png-rgba-16",
        lambda: png(np.concatenate([SCENE, ALPHA[..., None]], -1).astype(np.uint16) * 257, 16, 6),
        OVER_WHITE,
    ),
    *(Case(f"png-p{depth}", partial(encoded_palette, depth), palette_png(depth)[1]) for depth in (1, 2, 4, 8)),
    *(
        Case(
            f"png-p{depth}-clear",
            partial(encoded_palette, depth, transparent=True),
            palette_png(depth, transparent=True)[1],
        )
        for depth in (1, 2, 4, 8)
    ),
    Case(
        "png-rgb-trns",
        lambda: png(SCENE, 8, 2, chunk(b"tRNS", struct.pack(">3H", 20, 20, 20))),
        np.where((SCENE == 20).all(-1)[..., None], 255, SCENE).astype(np.uint8),
    ),
    Case(
        "png-linear",
        lambda: png(
            np.rint((SCENE / 255.0) ** 2.2 * 65535).astype(np.uint16), 16, 2, chunk(b"gAMA", struct.pack(">I", 100_000))
        ),
        SCENE,
        near=2.0,
    ),
    Case("png-gamma-usual", lambda: png(SCENE, 8, 2, chunk(b"gAMA", struct.pack(">I", 45_455))), SCENE),
    Case("png-gamma-zero", lambda: png(SCENE, 8, 2, chunk(b"gAMA", struct.pack(">I", 0))), SCENE),
    Case(
        "png-gamma-but-srgb",
        lambda: png(SCENE, 8, 2, chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"sRGB", b"\0")),
        SCENE,
    ),
    Case("png-p3-cicp", lambda: png(SCENE, 8, 2, chunk(b"cICP", bytes((12, 13, 0, 1)))), p3_as_srgb(SCENE)),
    Case("png-srgb-cicp", lambda: png(SCENE, 8, 2, chunk(b"cICP", bytes((1, 13, 0, 1)))), SCENE),
    Case("png-p3-icc", lambda: saved(rgb(), "PNG", icc_profile=p3_profile()), p3_as_srgb(SCENE)),
    Case("png-broken-icc", lambda: saved(rgb(), "PNG", icc_profile=b"not a profile" * 40), SCENE),
    Case("png-apng", lambda: animated("PNG"), SCENE, ("first_frame",)),
    Case("png-exif-turned", lambda: png(SCENE, 8, 2, chunk(b"eXIf", exif_orientation(3)[6:])), SCENE[::-1, ::-1]),
    Case("png-1.5-mb-ztxt", lambda: png(SCENE, 8, 2, ztxt(1_500_000)), SCENE),
    Case("png-100-mb-ztxt", lambda: png(SCENE, 8, 2, ztxt(100_000_000)), SCENE),
    Case("png-itxt", lambda: png(SCENE, 8, 2, *[itxt(3_000_000)] * 30), SCENE),
    Case("png-many-chunks", lambda: png(SCENE, 8, 2, *text_chunks(5_000, 200)), SCENE),
    Case(
        "png-broken-text",
        lambda: png(SCENE, 8, 2, chunk(b"zTXt", b"no end"), chunk(b"iTXt", b"\0\0\0"), chunk(b"tIME", b"")),
        SCENE,
    ),
    Case("png-wrong-checksum-of-text", lambda: png(SCENE, 8, 2, chunk(b"tEXt", b"a\0b")[:-4] + b"\0\0\0\0"), SCENE),
    Case("png-large-icc", lambda: png(SCENE, 8, 2, chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(4_000_000)))), SCENE),
    Case("png-no-iend", lambda: saved(rgb(), "PNG")[:-12], SCENE),
    Case("png-then-zip", lambda: saved(rgb(), "PNG") + b"PK\3\4" * 5_000, SCENE),
    # JPEG
    Case("jpeg", lambda: saved(rgb(), "JPEG", quality=95), SCENE, near=LOSSY, file="cat.jpg"),
    Case("jpeg-named-png", lambda: saved(rgb(), "JPEG", quality=95), SCENE, near=LOSSY),
    Case("jpeg-gray", lambda: saved(Image.fromarray(GRAY), "JPEG", quality=95), GRAY, near=LOSSY),
    Case("jpeg-progressive", lambda: saved(rgb(), "JPEG", quality=95, progressive=True), SCENE, near=LOSSY),
    Case("jpeg-cmyk", lambda: saved(cmyk(), "JPEG", quality=95), SCENE, near=LOSSY),
    Case("jpeg-mpo", mpo, SCENE, near=LOSSY),
    Case("jpeg-mpo-broken-index", lambda: mpo().replace(b"MPF\0", b"MPF\0\xff\xff", 1), SCENE, near=LOSSY),
    Case("jpeg-exif-broken", lambda: jpeg_with((0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f")), SCENE, near=LOSSY),
    Case(
        "jpeg-exif-loop", lambda: jpeg_with((0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(40))), SCENE, near=LOSSY
    ),
    Case("jpeg-exif-orientation-99", lambda: jpeg_with((0xE1, exif_orientation(99))), SCENE, near=LOSSY),
    Case(
        "jpeg-xmp-large",
        lambda: jpeg_with(*[(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"x" * 65_000)] * 80),
        SCENE,
        near=LOSSY,
    ),
    Case("jpeg-comments", lambda: jpeg_with(*[(0xFE, b"c" * 60_000)] * 100), SCENE, near=LOSSY),
    Case(
        "jpeg-photoshop-broken",
        lambda: jpeg_with((0xED, b"Photoshop 3.0\x008BIM\x04\x04\xff\xff\xff")),
        SCENE,
        near=LOSSY,
    ),
    Case("jpeg-p3", lambda: saved(rgb(), "JPEG", quality=95, icc_profile=p3_profile()), p3_as_srgb(SCENE), near=LOSSY),
    Case(
        "jpeg-icc-of-another-space",
        lambda: saved(Image.fromarray(GRAY), "JPEG", quality=95, icc_profile=p3_profile()),
        GRAY,
        near=LOSSY,
    ),
    Case("jpeg-large-icc", lambda: saved(rgb(), "JPEG", quality=95, icc_profile=bytes(2_000_000)), SCENE, near=LOSSY),
    Case("jpeg-no-end", lambda: saved(rgb(), "JPEG", quality=95)[:-2], SCENE, near=LOSSY),
    Case(
        "jpeg-trailing",
        lambda: saved(rgb(), "JPEG", quality=95) + b"<script>alert(1)</script>" * 9_000,
        SCENE,
        near=LOSSY,
    ),
    # WebP, GIF, AVIF, HEIC
    Case("webp-lossless", lambda: saved(rgb(), "WEBP", lossless=True), SCENE),
    Case("webp-lossy", lambda: saved(rgb(), "WEBP", quality=95), SCENE, near=LOSSY),
    Case(
        "webp-alpha",
        lambda: saved(Image.fromarray(np.concatenate([SCENE, ALPHA[..., None]], -1)), "WEBP", lossless=True),
        OVER_WHITE,
    ),
    Case("webp-animated", lambda: animated("WEBP", lossless=True), SCENE, ("first_frame",)),
    Case("webp-exif-turned", lambda: saved(rgb(), "WEBP", lossless=True, exif=exif_orientation(3)), SCENE[::-1, ::-1]),
    Case("webp-p3", lambda: saved(rgb(), "WEBP", lossless=True, icc_profile=p3_profile()), p3_as_srgb(SCENE)),
    Case(
        "webp-metadata",
        lambda: saved(rgb(), "WEBP", lossless=True, xmp=b"x" * 3_000_000, icc_profile=b"y" * 2_000_000),
        SCENE,
    ),
    Case("gif", lambda: saved(indexed(64)[0], "GIF"), indexed(64)[1]),
    Case("gif-animated", lambda: animated("GIF"), SCENE, ("first_frame",), near=6.0),
    Case("gif-animated-cut", lambda: animated("GIF")[:-900], SCENE, ("first_frame",), near=6.0),
    Case("avif", lambda: saved(rgb(), "AVIF", quality=90), SCENE, near=LOSSY),
    Case(
        "avif-exif-turned",
        lambda: saved(rgb(), "AVIF", quality=90, exif=exif_orientation(3)),
        SCENE[::-1, ::-1],
        near=LOSSY,
    ),
    Case("avif-animated", lambda: animated("AVIF", quality=90), SCENE, ("first_frame",), near=LOSSY),
    Case("heic", lambda: heic(rgb()), SCENE, near=LOSSY, file="IMG_0001.HEIC"),
    Case("heic-named-jpg", lambda: heic(rgb()), SCENE, near=LOSSY, file="IMG_0001.jpg"),
    # TIFF
    Case("tiff-rgb", lambda: saved(rgb(), "TIFF"), SCENE),
    Case("tiff-lzw", lambda: saved(rgb(), "TIFF", compression="tiff_lzw"), SCENE),
    Case(
        "tiff-fax", lambda: saved(DITHERED, "TIFF", compression="group4"), np.asarray(DITHERED).astype(np.uint8) * 255
    ),
    Case(
        "tiff-pages",
        lambda: saved(rgb(), "TIFF", save_all=True, append_images=[rgb(255 - SCENE)]),
        SCENE,
        ("first_page",),
    ),
    Case("tiff-gray-min-is-white", lambda: tiff(255 - GRAY, 0), GRAY),
    Case("tiff-16", lambda: tiff(DEEP, 1), GRAY),
    Case("tiff-16-big-endian", lambda: tiff(DEEP, 1, ">"), GRAY),
    Case("tiff-16-of-12", lambda: tiff(DEEP >> 4, 1), GRAY, STRETCHED),
    Case("tiff-16-min-is-white", lambda: tiff(65535 - DEEP, 0), GRAY),
    Case("tiff-16-signed", lambda: tiff((DEEP.astype(np.int32) - 32768).astype(np.int16), 1), GRAY, STRETCHED),
    Case("tiff-rgb-16", lambda: tiff(SCENE.astype(np.uint16) * 257, 2), SCENE),
    Case("tiff-32", lambda: tiff(GRAY.astype(np.uint32), 1), GRAY),
    Case("tiff-32-signed", lambda: tiff(GRAY.astype(np.int32) * 4_000_000 - 500_000_000, 1), GRAY, STRETCHED),
    Case("tiff-float-1", lambda: tiff(floats(0, 1), 1), GRAY),
    Case("tiff-float-255", lambda: tiff(floats(0, 255), 1), GRAY),
    Case("tiff-float-any", lambda: tiff(floats(-1200, 3400), 1), GRAY, STRETCHED),
    Case("tiff-float-tiny", lambda: tiff(floats(0, 1e-6), 1), GRAY, STRETCHED),
    Case("tiff-float-not-numbers", lambda: tiff(not_numbers(), 1), GRAY),
    Case("tiff-float-big-endian", lambda: tiff(floats(0, 1), 1, ">"), GRAY),
    Case("tiff-cmyk", lambda: saved(cmyk(), "TIFF"), SCENE),
    Case("tiff-lab", lab_tiff, SCENE, near=3.0),
    Case("tiff-jpeg", lambda: saved(rgb(), "TIFF", compression="jpeg", quality=95), SCENE, near=LOSSY),
    Case("tiff-turned", lambda: tiff(SCENE, 2, extra=((274, 3),)), SCENE[::-1, ::-1]),
    Case("tiff-palette", lambda: saved(indexed(64)[0], "TIFF"), indexed(64)[1]),
    Case("tiff-la", lambda: saved(Image.fromarray(np.stack([GRAY, ALPHA], -1), "LA"), "TIFF"), GRAY_OVER_WHITE),
    Case(
        "tiff-rgba", lambda: saved(Image.fromarray(np.concatenate([SCENE, ALPHA[..., None]], -1)), "TIFF"), OVER_WHITE
    ),
    # The others that a viewer opens
    Case("bmp", lambda: saved(rgb(), "BMP"), SCENE),
    Case("bmp-1", lambda: saved(DITHERED, "BMP"), np.asarray(DITHERED).astype(np.uint8) * 255),
    Case("bmp-palette", lambda: saved(indexed(64)[0], "BMP"), indexed(64)[1]),
    Case("ico", lambda: saved(rgb(scene(64, 64)), "ICO", sizes=[(16, 16), (64, 64)]), scene(64, 64)),
    Case("jpeg2000", lambda: saved(rgb(), "JPEG2000", irreversible=False), SCENE),
    Case("jpeg2000-16", lambda: saved(Image.fromarray(DEEP), "JPEG2000", irreversible=False), GRAY),
    Case("ppm", lambda: saved(rgb(), "PPM"), SCENE),
    Case(
        "pgm-plain-12",
        lambda: b"P2 %d %d 4095 " % (WIDTH, HEIGHT) + b" ".join(b"%d" % v for v in (DEEP >> 4).ravel()),
        GRAY,
    ),
    Case("pbm", lambda: saved(DITHERED, "PPM"), np.asarray(DITHERED).astype(np.uint8) * 255),
    Case("tga", lambda: saved(rgb(), "TGA"), SCENE, file="cat.tga"),
    Case("pcx", lambda: saved(rgb(), "PCX"), SCENE),
    Case("qoi", lambda: saved(rgb(), "QOI"), SCENE),
    Case("sgi", lambda: saved(rgb(), "SGI"), SCENE),
    Case("dds", lambda: saved(rgb(), "DDS"), SCENE),
    Case(
        "icns",
        lambda: saved(rgb(scene(128, 128)), "ICNS"),
        np.asarray(rgb(scene(128, 128)).resize((1024, 1024))),
        near=3.0,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_sent_as_a_viewer_shows_it(case: Case) -> None:
    checked = check_picture(case.make(), case.file)
    assert [notice.key for notice in checked.notices] == [f"chat.notice.{name}" for name in case.notices]
    assert eye_distance(pixels(checked), case.shown) < case.near


TURNED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1), 6: lambda p: np.rot90(p, -1), 7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}  # fmt: skip


@pytest.mark.parametrize(("value", "order"), list(itertools.product(TURNED, "<>")))
def test_all_eight_orientations(value: int, order: str) -> None:
    for data in (
        saved(rgb(), "JPEG", quality=95, exif=exif_orientation(value, order)),
        mpo(exif=exif_orientation(value, order)),
        heic(rgb(), exif=exif_orientation(value, order)),
        saved(rgb(), "AVIF", quality=90, exif=exif_orientation(value, order)),
    ):
        assert eye_distance(pixels(check_picture(data, "a.jpg")), TURNED[value](SCENE)) < LOSSY


def test_the_distance_sees_what_an_eye_sees() -> None:
    """The measure itself: a negative, a turn and a white picture are far; one level more is near."""
    assert eye_distance(SCENE, SCENE) == 0
    assert eye_distance(SCENE, np.minimum(SCENE, 254) + 1) < 1
    for wrong in (255 - SCENE, SCENE[::-1], SCENE[..., ::-1], np.full_like(SCENE, 255), p3_as_srgb(SCENE)):
        assert eye_distance(SCENE, np.ascontiguousarray(wrong)) > 1.5


@pytest.mark.parametrize("colours", [2, 16])
def test_scans_are_made_smaller_with_levels_between(colours: int) -> None:
    """Lines a pixel wide, 3 apart: nearest neighbour would drop some of them altogether."""
    page = np.full((4096, 1000), 255, np.uint8)
    page[::3] = 0
    scan = (
        Image.fromarray(page).convert("1") if colours == 2 else Image.fromarray(page).convert("RGB").quantize(colours)
    )
    shown = pixels(check_picture(saved(scan, "PNG"), "scan.png"))
    assert shown.shape[0] == 2048
    assert 100 < shown[100:1900, 100:1300].min() <= shown[100:1900, 100:1300].max() < 230
    bands = shown[96:1896, :, 0].reshape(-1, 12, shown.shape[1]).mean((1, 2))
    assert np.abs(bands - 170).max() < 4


def test_transparent_colour_does_not_bleed_when_made_smaller() -> None:
    """What is under full transparency has a colour too, which nobody sees."""
    picture = np.zeros((2100, 4096, 4), np.uint8)
    picture[:, ::2] = (0, 0, 255, 255)
    picture[:, 1::2] = (255, 0, 0, 0)
    shown = pixels(check_picture(saved(Image.fromarray(picture), "PNG", compress_level=1), "a.png"))
    middle = shown[1000:1010, 1000:1100].reshape(-1, 3).mean(0)
    assert np.abs(middle - (127, 127, 255)).max() < 3


def test_a_white_drawing_on_nothing_can_be_seen() -> None:
    logo = np.full((64, 96, 4), 255, np.uint8)
    logo[..., 3] = 0
    logo[20:40, 20:60, 3] = 255
    checked = check_picture(saved(Image.fromarray(logo), "PNG"), "logo.png")
    assert [notice.key for notice in checked.notices] == ["chat.notice.dark"]
    shown = pixels(checked)
    assert shown[30, 30].min() == 255
    assert shown[5, 5].max() < 60


@pytest.mark.parametrize(
    ("transfer", "encode"),
    [
        (16, pq_levels),
        (8, lambda light: light),
    ],
)  # fmt: skip
def test_high_dynamic_range(transfer: int, encode: Callable[[Any], Any]) -> None:
    to_2020 = np.array(((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)))
    levels = np.rint(encode((srgb_light(SCENE) @ to_2020.T).clip(0, 1)) * 65535).astype(np.uint16)
    data = png(levels, 16, 2, chunk(b"cICP", bytes((9, transfer, 0, 1))))
    assert eye_distance(pixels(check_picture(data, "hdr.png")), SCENE) < 4  # 8 of its 16 bits are used


# What can't be sent


def refused(data: bytes, name: str = "cat.png") -> str:
    with pytest.raises(InvalidInput) as caught:
        check_picture(data, name)
    (message,) = caught.value.messages
    assert message.params["name"] == name
    return message.key.removeprefix("chat.error.picture_")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"%PDF-1.7\n%\xe2\xe3", "pdf"),
        (b"\n\n%PDF-1.4", "pdf"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a --><svg/>", "svg"),
        (b"<!DOCTYPE svg PUBLIC><svg/>", "svg"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "video"),
        (b"\x1aE\xdf\xa3" + bytes(40), "video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw"),
        (b"\0" * 5000, "type"),
        (b"PK\x03\x04" + bytes(100), "type"),
        (b"<html><body>Not found</body></html>", "type"),
        (b"I am a text, not a picture.\n" * 10, "type"),
        (b"\x89PNG\r\n\x1a\n", "variant"),
        (b"\xff\xd8\xff", "variant"),
        (b"II*\0\x08\0\0\0\0\0", "broken"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "variant"),
    ],
    ids=repr,
)
def test_what_no_viewer_shows_as_a_picture_is_refused_with_a_word(data: bytes, why: str) -> None:
    assert refused(data) == why


def test_raw_files_are_not_sent_as_their_thumbnail() -> None:
    assert refused(tiff(SCENE, 2), "DSC_0001.NEF") == "raw"


@pytest.mark.parametrize(("width", "height"), [(100_000, 1), (1, 100_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_huge_sizes_are_refused_before_they_are_decoded(width: int, height: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    assert refused(data) in ("shape", "pixels", "pixels_unknown")
    webp = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff\xff\xff\xff" + bytes(8)
    assert refused(webp) == "pixels_unknown"
    gif = b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b"\x2c" + bytes(12) + b"\x3b"
    assert refused(gif) in ("pixels", "pixels_unknown")


def test_a_jpeg_of_hundreds_of_passes_is_refused() -> None:
    data = saved(rgb(), "JPEG", progressive=True)
    scan = data.index(b"\xff\xda")
    assert refused(data[:scan] + data[scan : data.index(b"\xff\xda", scan + 2)] * 500 + data[scan:]) == "scans"


WHOLE: dict[str, Callable[[], bytes]] = {
    "png": lambda: png(SCENE, 8, 2),
    "jpeg": lambda: saved(rgb(), "JPEG", quality=95),
    "jpeg-progressive": lambda: saved(rgb(), "JPEG", quality=95, progressive=True),
    "png-interlaced": lambda: interlaced_png(SCENE),
    "webp": lambda: saved(rgb(), "WEBP", lossless=True),
    "gif": lambda: saved(indexed(64)[0], "GIF"),
    "tiff": lambda: tiff(SCENE, 2),
    "bmp": lambda: saved(rgb(), "BMP"),
    "heic": lambda: heic(rgb()),
    "avif": lambda: saved(rgb(), "AVIF", quality=90),
    "jpeg2000": lambda: saved(rgb(), "JPEG2000", irreversible=False),
    "ppm": lambda: saved(rgb(), "PPM"),
    "mpo": mpo,
    "ico": lambda: saved(rgb(scene(64, 64)), "ICO", sizes=[(64, 64)]),
    "tga": lambda: saved(rgb(), "TGA"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_cut_at_every_tenth_it_is_sent_as_shown_or_refused(kind: str) -> None:
    data = WHOLE[kind]()
    name = f"cat.{kind}"
    whole = pixels(check_picture(data, name))
    for cut in (*(len(data) * tenth // 10 for tenth in range(10)), *(len(data) - left for left in range(1, 12))):
        try:
            checked = check_picture(data[:cut], name)
        except InvalidInput:
            continue
        shown = pixels(checked)
        rows = shown.shape[0] * 9 // 10
        assert eye_distance(shown[:rows], whole[:rows]) < (6 if kind == "jpeg-progressive" else 1)
        if eye_distance(shown, whole) > 1:
            assert checked.notices, cut


def test_the_last_bytes_of_a_photo_may_be_missing() -> None:
    """As a viewer does; a tenth of the rows may be."""
    photo = saved(rgb(scene(960, 640)), "JPEG", quality=95)
    for cut, notices in ((2, []), (40, ["chat.notice.cut"])):
        assert [notice.key for notice in check_picture(photo[:-cut], "a.jpg").notices] == notices
    progressive = saved(rgb(scene(960, 640)), "JPEG", quality=95, progressive=True)
    checked = check_picture(progressive[:-3000], "a.jpg")
    assert [notice.key for notice in checked.notices] == ["chat.notice.cut_soft"]
    assert eye_distance(pixels(checked), scene(960, 640)) < LOSSY
    assert refused(progressive[: len(progressive) // 5]) == "broken"


def test_a_strip_says_that_writing_may_be_lost() -> None:
    checked = check_picture(saved(Image.new("L", (400, 12_000)), "PNG"), "chat.png")
    assert [notice.key for notice in checked.notices] == ["chat.notice.thin"]


def test_a_nearly_blank_page_of_16_bits_stays_white() -> None:
    page = np.random.default_rng(1).normal(62_000, 150, (200, 300)).astype(np.uint16)
    page[100, 100:120] = 1_500  # ink, of fewer pixels than what is taken for stray
    seen = pixels(check_picture(png(page, 16, 0), "page.png"))
    assert np.median(seen) == 241
    assert seen[:90].min() > 235
    assert seen[100, 100:120].max() < 10
