"""What becomes of the pictures that people send."""

import io
from pathlib import Path

import pytest
from PIL import Image

from backend.chat.images import MAX_BYTES, MAX_SIDE, check_picture, data_url
from backend.chat.pictures import Pictures
from backend.errors import InvalidInput, NotFound
from tests.support.pictures import png_header


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def colour_at(picture: Image.Image, where: tuple[int, int]) -> tuple[int, ...]:
    """The channels there, of a picture that has several."""
    colour = picture.getpixel(where)
    assert isinstance(colour, tuple)
    return colour


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        check_picture(data, "cat.png")
    (message,) = caught.value.messages
    assert message.field == "question"
    assert message.params["name"] == "cat.png"
    return message.key


def test_a_png_stays_lossless() -> None:
    checked = check_picture(encoded(Image.new("RGB", (40, 30), (1, 2, 3)), "PNG"), "a.png")
    assert (checked.mime, checked.suffix, checked.width, checked.height) == ("image/png", ".png", 40, 30)
    assert opened(checked.data).getpixel((5, 5)) == (1, 2, 3)


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    checked = check_picture(encoded(Image.new("CMYK", (40, 30), (255, 0, 0, 0)), "JPEG"), "a.jpg")
    picture = opened(checked.data)
    assert (picture.mode, checked.mime) == ("RGB", "image/jpeg")
    red, green, blue = colour_at(picture, (5, 5))
    assert red < 60 < green
    assert blue > 60


def test_a_photo_is_turned_upright_and_its_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    exif[0x010F] = "A camera maker"
    photo = Image.new("RGB", (60, 20), "red")
    photo.paste("blue", (0, 0, 20, 20))
    checked = check_picture(encoded(photo, "JPEG", exif=exif), "a.jpg")
    picture = opened(checked.data)
    assert (checked.width, checked.height) == picture.size == (20, 60)
    assert colour_at(picture, (10, 8))[2] > 200  # what was on the left is on top
    assert not picture.getexif()
    assert b"camera maker" not in checked.data


def test_a_large_photo_is_made_smaller() -> None:
    checked = check_picture(encoded(Image.new("RGB", (5000, 2500), "green"), "JPEG"), "a.jpg")
    assert (checked.width, checked.height) == (MAX_SIDE, MAX_SIDE // 2)


def test_transparency_becomes_white() -> None:
    picture = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert opened(check_picture(encoded(picture, "PNG"), "a.png").data).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert opened(check_picture(encoded(Image.new(mode, (20, 20)), "PNG"), "a.png").data).mode == "RGB"


def test_of_an_animation_the_first_frame_is_taken_and_said_so() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    checked = check_picture(animation, "a.gif")
    assert [notice.key for notice in checked.notices] == ["chat.notice.first_frame"]
    assert opened(checked.data).getpixel((5, 5)) == (255, 0, 0)


def test_text_named_as_a_picture_is_refused() -> None:
    assert refusal(b"I am a text, not a picture.\n" * 10) == "chat.error.picture_type"


def test_a_truncated_picture_is_refused() -> None:
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    for kind in ("PNG", "JPEG", "WEBP"):
        data = encoded(noise, kind)
        assert refusal(data[: len(data) // 2]) == "chat.error.picture_broken"


@pytest.mark.parametrize(
    ("size", "key"),
    [
        ((30_000, 30_000), "chat.error.picture_pixels_unknown"),  # Pillow itself refuses to open it
        ((9_000, 9_000), "chat.error.picture_pixels"),
        ((20_000, 10), "chat.error.picture_shape"),
    ],
)
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], key: str) -> None:
    assert refusal(png_header(*size)) == key


def test_a_file_that_is_too_large_is_refused() -> None:
    assert refusal(b"\x89PNG" + bytes(MAX_BYTES)) == "chat.error.picture_size"


def test_a_data_url_holds_the_bytes() -> None:
    assert data_url(b"abc", "image/png") == "data:image/png;base64,YWJj"


def test_pictures_are_their_visitors_own(tmp_path: Path) -> None:
    upload = tmp_path / "a.png"
    upload.write_bytes(encoded(Image.new("RGB", (20, 20), "red"), "PNG"))
    pictures = Pictures(tmp_path / "kept")
    mine, _ = pictures.keep("visitor-1", upload, "a.png")
    theirs, _ = pictures.keep("visitor-2", upload, "a.png")
    assert mine.id == theirs.id
    assert pictures.path("visitor-1", mine.id) != pictures.path("visitor-2", mine.id)
    assert pictures.data_url("visitor-1", mine.id).startswith("data:image/png;base64,")
    for wrong in ("", "..", "x.png", f"../{mine.id}", f"{mine.id}/..", "a.txt"):
        with pytest.raises(NotFound):
            pictures.path("visitor-1", wrong)
    with pytest.raises(NotFound):
        pictures.path("visitor-3", mine.id)
    path = pictures.path("visitor-1", mine.id)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert "visitor" not in str(path.relative_to(tmp_path))
    pictures.remove("visitor-1", mine.id)
    assert pictures.path("visitor-2", mine.id).is_file()
    with pytest.raises(NotFound):
        pictures.path("visitor-1", mine.id)


def test_an_upload_that_is_gone_or_too_large_is_said_so(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "kept")
    with pytest.raises(InvalidInput) as caught:
        pictures.keep("v", tmp_path / "nothing.png", "nothing.png")
    assert caught.value.messages[0].key == "chat.error.picture_gone"
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(InvalidInput) as caught:
        pictures.keep("v", large, "large.png")
    assert caught.value.messages[0].params["size"] == "200 MiB"
