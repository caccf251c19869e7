"""Checks a picture and makes it fit for a model: what a viewer shows, upright, RGB, no metadata, no larger than a model
looks at."""

import base64
import io
import threading
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import pillow_heif
from PIL import Image, ImageChops, UnidentifiedImageError

from backend.chat import picture_colours, picture_file
from backend.chat.picture_file import BareFile
from backend.errors import InvalidInput, Level, Message, Value

FIELD = "question"
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 64_000_000  # 64 megapixels decoded to RGB take 192 MB
# A camera's JPEG is decoded at a fraction of its size; Pillow itself refuses to open more than this.
MAX_JPEG_PIXELS = 178_000_000
# InternVL2 cuts a picture into at most 12 tiles of 448 pixels, Qwen2-VL works at some 1,000 x 1,000: more is lost.
MAX_SIDE = 2048
MAX_ASPECT = 50  # a longer strip is a single line of pixels once it is made smaller
THIN_SIDE = 256  # of a longish picture made smaller than this, writing can't be read any more
FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "HEIF", "AVIF", "JPEG2000", "PPM", "ICO", "CUR", "ICNS", "PSD",
    "DDS", "PCX", "QOI", "SGI",
)  # fmt: skip
BY_NAME = {".tga": "TGA", ".icb": "TGA", ".vda": "TGA", ".vst": "TGA"}  # nothing in the file tells what it is
RAW_SUFFIXES = (".dng", ".cr2", ".nef", ".arw", ".orf", ".rw2", ".pef", ".srw")  # they open as TIFF: a thumbnail
ANIMATED = ("GIF", "WEBP", "AVIF")
LOSSY = ("JPEG", "HEIF", "AVIF")
JPEG_QUALITY = 92
MAX_PNG_BYTES = 3 * 1024 * 1024
MOST_SCANS = 100  # of a JPEG; an ordinary progressive one has ten
LEAST_SHARE = 0.9  # of a picture that is cut off: with less, what is asked about may be what's missing
OTHER_BITS = b"\xaa" * 400  # where a JPEG breaks off its decoder goes on with zeros: these are other bits
LARGE_PIXELS = 16_000_000
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

# Each large picture takes hundreds of MB while it is decoded: one at a time. Nothing else is held meanwhile.
_large = threading.BoundedSemaphore(1)


@dataclass(frozen=True)
class CheckedPicture:
    """A picture that is safe to keep and send. ``notices`` say what was changed beyond size and format."""

    data: bytes
    mime: str
    width: int
    height: int
    notices: tuple[Message, ...] = ()

    @property
    def suffix(self) -> str:
        """The file's ending: ".jpg" or ".png"."""
        return ".png" if self.mime == "image/png" else ".jpg"


def check_picture(data: bytes, name: str) -> CheckedPicture:
    """Decode, turn upright, bring its colours to sRGB, flatten onto white, shrink to MAX_SIDE, and write anew without
    metadata.

    ``name`` is what the person called the file, for messages. InvalidInput says what is wrong with it. Any number of
    threads may call it: of large pictures one at a time is decoded.
    """
    if len(data) > MAX_BYTES:
        size = {"name": name, "size": f"{len(data) / 2**20:.0f} MiB", "limit": f"{MAX_BYTES // 2**20} MiB"}
        raise InvalidInput(Message("chat.error.picture_size", size, field=FIELD))
    file = picture_file.bare(data)
    picture = _open(file.data, data, name)
    with picture:
        _check_size(picture, file, name)
        with _large if is_large(picture) else nullcontext():
            return _made_fit(picture, file, name)


def is_large_file(data: bytes, name: str) -> bool:
    """Whether the picture takes long and much memory to decode; False for what isn't a picture."""
    try:
        with _open(picture_file.bare(data).data, data, name) as picture:
            return is_large(picture)
    except InvalidInput:
        return False


def is_large(picture: Image.Image) -> bool:
    """Whether it will have many pixels in memory. Of a JPEG its size after ``draft`` counts; an icon may hide a large
    picture behind a small size."""
    _draft(picture)
    return picture.width * picture.height > LARGE_PIXELS or picture.format in ("ICO", "CUR", "ICNS")


def data_url(data: bytes, mime: str) -> str:
    """As an ``image_url`` takes it, so that no server fetches anything."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _open(data: bytes, whole: bytes, name: str) -> Image.Image:
    """The picture with its size known and no pixel decoded."""
    kind = picture_file.known_kind(whole)
    if kind in ("pdf", "svg", "video", "raw") or (name.lower().endswith(RAW_SUFFIXES) and kind == "variant"):
        raise _wrong(f"picture_{'raw' if kind == 'variant' else kind}", name)
    if picture_file.declared_pixels(data) > MAX_PIXELS:
        raise _too_many_pixels(name, 0, 0)
    pillow_heif.register_heif_opener()
    by_name = BY_NAME.get("." + name.lower().rpartition(".")[2])
    try:
        return Image.open(io.BytesIO(data), formats=(*FORMATS, *([by_name] if by_name else [])))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter where warnings are errors
        raise _too_many_pixels(name, 0, 0) from None
    except UnidentifiedImageError:
        if foreign := picture_file.foreign_format(whole):
            raise _wrong("picture_format", name, format=foreign) from None
        raise _wrong(f"picture_{kind or 'type'}", name) from None
    except Exception:  # Pillow's decoders raise what they like on a malformed file
        raise _wrong("picture_broken", name) from None


def _check_size(picture: Image.Image, file: BareFile, name: str) -> None:
    width, height = picture.size
    baseline = picture.format == "JPEG" and "progressive" not in picture.info
    if width * height > (MAX_JPEG_PIXELS if baseline else MAX_PIXELS):
        raise _too_many_pixels(name, width, height)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise _wrong("picture_shape", name, width=width, height=height)
    if picture.format == "JPEG" and picture_file.scans(file.data) > MOST_SCANS:
        raise _wrong("picture_scans", name)


def _made_fit(picture: Image.Image, file: BareFile, name: str) -> CheckedPicture:
    original, format_ = picture.size, picture.format or ""
    icc, turn = file.icc or picture.info.get("icc_profile") or b"", _turn(picture, file)
    notices = list[Message]()
    try:
        if file.frames > 1 or (format_ in ANIMATED and _has_another(picture)):
            notices.append(_note("first_frame", name))
        elif format_ == "TIFF" and _has_another(picture):
            notices.append(_note("first_page", name))
        picture, cut = _decoded(picture, file, name)
        notices.extend(cut)
        picture, stretched = picture_colours.plain(picture)
        if stretched is not None:
            low, high = f"{stretched.low:.6g}", f"{stretched.high:.6g}"
            notices.append(_note("clipped" if stretched.clipped else "stretched", name, low=low, high=high))
        picture, hidden = picture_colours.seen(picture)
        if hidden:
            notices.append(_note(hidden, name, level="warning"))
        picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
        picture = picture if turn is None else picture.transpose(turn)
        picture, dark = picture_colours.flattened(picture_colours.to_srgb(picture, icc, file.gamma, file.cicp))
    except InvalidInput:
        raise
    except Exception:  # as above: truncated or malformed
        raise _wrong("picture_broken", name) from None
    if dark:
        notices.append(_note("dark", name))
    if min(picture.size) < THIN_SIDE <= min(original):
        notices.append(_note("thin", name, level="warning", width=picture.width, height=picture.height))
    picture.info.clear()  # a profile or a comment of the original would be written, and means nothing any more
    encoded, mime = _encode(picture, format_ not in LOSSY)
    return CheckedPicture(encoded, mime, picture.width, picture.height, tuple(notices))


def _draft(picture: Image.Image) -> None:
    """Have a large JPEG decoded at a half, a quarter or an eighth, which costs a fraction of time and memory."""
    if picture.format == "JPEG":
        scale = min(1.0, MAX_SIDE / max(picture.size))
        picture.draft(None, (int(picture.width * scale), int(picture.height * scale)))


def _has_another(picture: Image.Image) -> bool:
    """Whether more frames or pages follow; those themselves may be broken."""
    try:
        picture.seek(1)
    except Exception:  # EOFError where there is none, else whatever is wrong with it
        return False
    finally:
        with suppress(EOFError):
            picture.seek(0)
    return True


def _decoded(picture: Image.Image, file: BareFile, name: str) -> tuple[Image.Image, tuple[Message, ...]]:
    """The picture with its pixels. One that is cut off near its end is taken as far as it goes, and says so."""
    try:
        picture.load()
        return picture, ()
    except OSError:
        if picture.format not in ("JPEG", "PNG") or picture.info.get("interlace"):
            raise
    if picture.format == "JPEG":
        ended = _jpeg(file.data + picture_file.JPEG_END)
        # What follows in its place changes nothing: every pixel was there, the mark at the end alone is missing.
        if ImageChops.difference(ended, _jpeg(file.data + OTHER_BITS + picture_file.JPEG_END)).getbbox() is None:
            return ended, ()
        if picture_file.is_cut_in_later_pass(file.data):
            return ended, (_note("cut_soft", name, level="warning"),)
    setattr(picture, "tile", [])  # what has come of it is all there will be  # noqa: B010
    box = picture.getbbox(alpha_only=False)
    rows = box[3] if box else 0
    if rows < LEAST_SHARE * picture.height:
        raise _wrong("picture_broken", name)
    there, _ = picture_colours.plain(picture.crop((0, 0, picture.width, rows)))
    whole = Image.new(there.mode, picture.size, "white")
    whole.paste(there)
    percent = min(99, round(100 * rows / picture.height))
    return whole, (_note("cut", name, level="warning", percent=percent),)


def _jpeg(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data), formats=["JPEG"])
    _draft(picture)
    picture.load()
    return picture


def _turn(picture: Image.Image, file: BareFile) -> Image.Transpose | None:
    """What makes it upright by its Exif; TIFF and HEIF are turned as they are decoded."""
    orientation = file.orientation
    if picture.format in ("WEBP", "AVIF"):
        orientation = picture_file.orientation(bytes(picture.info.get("exif") or b""))
    return TURNS.get(orientation)


def _encode(picture: Image.Image, lossless: bool) -> tuple[bytes, str]:
    if lossless:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        if buffer.tell() <= MAX_PNG_BYTES:
            return buffer.getvalue(), "image/png"
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), "image/jpeg"


def _note(key: str, name: str, level: Level = "info", **params: Value) -> Message:
    return Message(f"chat.notice.{key}", {"name": name, **params}, field=FIELD, level=level)


def _wrong(key: str, name: str, **params: Value) -> InvalidInput:
    return InvalidInput(Message(f"chat.error.{key}", {"name": name, **params}, field=FIELD))


def _too_many_pixels(name: str, width: int, height: int) -> InvalidInput:
    limit: dict[str, Value] = {"limit": MAX_PIXELS // 1_000_000}
    if not width:
        return _wrong("picture_pixels_unknown", name, **limit)
    return _wrong("picture_pixels", name, **limit, width=width, height=height)
