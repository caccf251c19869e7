"""Pixels that a program wrote by mistake, or measured: what is sent can be seen, and what was done is said."""

import base64
import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from backend.chat.images import CheckedPicture, check_picture
from backend.errors import InvalidInput
from tests.support.pictures import gray_scene, scene

SCENE, GRAY = scene(), gray_scene()


def saved(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def told(checked: CheckedPicture) -> list[str]:
    return [notice.key.removeprefix("chat.notice.") for notice in checked.notices]


def shown(checked: CheckedPicture) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(checked.data)).convert("RGB"))


@pytest.mark.parametrize(("kind", "name"), [("PNG", "a.png"), ("TGA", "a.tga")])
def test_a_transparency_that_hides_all_is_taken_for_a_mistake(kind: str, name: str) -> None:
    checked = check_picture(saved(Image.fromarray(np.dstack([SCENE, np.zeros_like(GRAY)])), kind), name)
    assert told(checked) == ["hidden"]
    assert np.array_equal(shown(checked), SCENE)


def test_where_there_is_nothing_to_see_it_is_said() -> None:
    assert told(check_picture(saved(Image.new("RGBA", (40, 30)), "PNG"), "a.png")) == ["blank"]


@pytest.mark.parametrize(
    ("values", "stray"),
    [
        (GRAY.astype(np.uint16), 65535),  # a hot pixel
        (GRAY.astype(np.float32) / 255, 1e6),
        (GRAY.astype(np.float32) / 255, -9999),  # what maps write for "no value"
    ],
)
def test_stray_values_dont_flatten_the_others(values: npt.NDArray[np.generic], stray: float) -> None:
    picture = values.copy()
    rows = 4 if stray < 0 else 1
    picture[:rows, : 1 if stray > 0 else None] = stray
    checked = check_picture(saved(Image.fromarray(picture), "TIFF"), "a.tif")
    assert told(checked) == ["clipped"]
    assert np.abs(shown(checked)[rows:, :, 0].astype(int) - GRAY[rows:]).max() <= 1


def test_a_few_bright_values_of_a_usual_range_stay_as_they_are() -> None:
    picture = (GRAY.astype(np.uint16) * 200).copy()
    picture[0, 0] = 65535
    assert told(check_picture(saved(Image.fromarray(picture), "TIFF"), "a.tif")) == []


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL"),
        (b"\x76\x2f\x31\x01" + bytes(50), "OpenEXR"),
        (bytes(128) + b"DICM" + bytes(50), "DICOM"),
    ],
)
def test_a_format_that_isnt_read_is_named(data: bytes, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_picture(data, "cat.png")
    (message,) = caught.value.messages
    assert (message.key, message.params["format"]) == ("chat.error.picture_format", name)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n", "pointer"),
        (b"data:image/png;base64,iVBORw0KGgo=", "base64"),
        (base64.encodebytes(saved(Image.fromarray(SCENE), "PNG")), "base64"),
    ],
)
def test_text_that_stands_for_a_picture_says_so(data: bytes, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_picture(data, "cat.png")
    assert caught.value.messages[0].key == f"chat.error.picture_{key}"
