"""Checks a picture and makes it fit for a model: upright, RGB, no metadata, no larger than a model looks at. Pure."""

import base64
import io
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from backend.errors import InvalidInput, Message, Value

FIELD = "chat-input"
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 64_000_000  # 64 megapixels decoded to RGB take 192 MB
# InternVL2 cuts a picture into at most 12 tiles of 448 pixels, Qwen2-VL works at some 1,000 x 1,000: more is lost.
MAX_SIDE = 2048
MAX_ASPECT = 50  # a longer strip is a single line of pixels once it is made smaller
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
JPEG_QUALITY = 92
MAX_PNG_BYTES = 3 * 1024 * 1024


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
    """Decode, turn upright, flatten onto white, shrink to MAX_SIDE, and write anew without metadata.

    ``name`` is what the person called the file, for messages. InvalidInput says what is wrong with it.
    """
    if len(data) > MAX_BYTES:
        size = {"name": name, "size": f"{len(data) / 2**20:.0f} MiB", "limit": f"{MAX_BYTES // 2**20} MiB"}
        raise InvalidInput(Message("chat.error.picture_size", size, field=FIELD))
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_many_pixels(name, 0, 0) from None
    except UnidentifiedImageError:
        raise InvalidInput(Message("chat.error.picture_type", {"name": name}, field=FIELD)) from None
    except Exception:  # Pillow's decoders raise what they like on a malformed file
        raise InvalidInput(Message("chat.error.picture_broken", {"name": name}, field=FIELD)) from None
    with picture:
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise _too_many_pixels(name, width, height)
        if max(width, height) > MAX_ASPECT * min(width, height):
            shape: dict[str, Value] = {"name": name, "width": width, "height": height}
            raise InvalidInput(Message("chat.error.picture_shape", shape, field=FIELD))
        try:
            moving = bool(getattr(picture, "is_animated", False))
            upright = _decode(picture)
        except Exception:  # as above: truncated or malformed
            raise InvalidInput(Message("chat.error.picture_broken", {"name": name}, field=FIELD)) from None
        lossless = picture.format != "JPEG"
    notices = (Message("chat.notice.first_frame", {"name": name}, field=FIELD, level="info"),) if moving else ()
    encoded, mime = _encode(upright, lossless)
    return CheckedPicture(encoded, mime, upright.width, upright.height, notices)


def data_url(data: bytes, mime: str) -> str:
    """As an ``image_url`` takes it, so that no server fetches anything."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _decode(picture: Image.Image) -> Image.Image:
    if picture.format == "JPEG":
        picture.draft("RGB", (MAX_SIDE, MAX_SIDE))  # decodes a large photo at a fraction of its size
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    upright.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    if upright.mode in ("I", "I;16", "I;16B", "F"):  # more than 8 bits a pixel: convert() would cut them off
        upright = ImageOps.autocontrast(upright.convert("F").convert("L"))
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.new("RGBA", layer.size, "white")
        upright.alpha_composite(layer)
    return upright.convert("RGB")


def _encode(picture: Image.Image, lossless: bool) -> tuple[bytes, str]:
    if lossless:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        if buffer.tell() <= MAX_PNG_BYTES:
            return buffer.getvalue(), "image/png"
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), "image/jpeg"


def _too_many_pixels(name: str, width: int, height: int) -> InvalidInput:
    limit: dict[str, Value] = {"name": name, "limit": MAX_PIXELS // 1_000_000}
    if not width:
        return InvalidInput(Message("chat.error.picture_pixels_unknown", limit, field=FIELD))
    return InvalidInput(Message("chat.error.picture_pixels", {**limit, "width": width, "height": height}, field=FIELD))
