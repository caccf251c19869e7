"""Whatever comes in, what goes on can be shown, stored and sent."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.outside_text import (
    DEEPEST,
    LARGEST,
    Unusable,
    clean,
    clean_lines,
    clean_value,
    decode,
    encodable,
    encoding_of,
    is_json,
    parse_json,
    read_bytes,
    read_json,
    whole,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates included
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)
FEW = settings(deadline=None, derandomize=True, max_examples=150)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Qwen2.5-7B", "Qwen2.5-7B"),
        ("通义千问 ü 👩‍🔬", "通义千问 ü 👩‍🔬"),
        ("a\ud800b", "a\\ud800b"),
        ("\ud83d\ude00", "😀"),
        (os.fsdecode(b"m\xff\xfe"), "m\\xff\\xfe"),
        ("two\nlines\r\n", "two␊lines␍␊"),
        ("\x1b[31mred\x00\x7f", "␛[31mred␀␡"),
        ("\x85\u2028\u202egpj.exe\ufeff", "\\x85\\u2028\\u202egpj.exe\\ufeff"),
        ("x" * 600, "x" * 499 + "…"),
        ("", ""),
    ],
)
def test_a_name_is_seen_as_it_is(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_lines_keep_their_ends_and_tabs() -> None:
    assert clean_lines("a\r\nb\rc\n\td\x0b\u2028") == "a\nb\nc\n\td␋\\u2028"
    assert clean_lines("x" * 20, 10) == "x" * 9 + "…"


@FEW
@given(ANY_TEXT)
def test_clean_text_can_always_be_sent_and_cleaning_it_again_changes_nothing(text: str) -> None:
    for made in (clean(text), clean_lines(text)):
        assert encodable(made)
    assert clean(clean(text)) == clean(text)
    assert clean_lines(clean_lines(text)) == clean_lines(text)
    if encodable(text) and text.isprintable():
        assert clean(text) == text


SENTENCE = '{"名": "量化模型", "n": 1}'


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (SENTENCE.encode(), "utf-8"),
        (SENTENCE.encode("utf-8-sig"), "utf-8-sig"),
        (SENTENCE.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + SENTENCE.encode("utf-16-be"), "utf-16"),
        (SENTENCE.encode("utf-32"), "utf-32"),
        (b"\0\0\xfe\xff" + SENTENCE.encode("utf-32-be"), "utf-32"),
        (b'{"name": "plain ascii", "n": 1}'.decode().encode("utf-16-le"), "utf-16-le"),
        (b'{"name": "plain ascii", "n": 1}'.decode().encode("utf-16-be"), "utf-16-be"),
        (b'{"name": "plain ascii", "n": 1}'.decode().encode("utf-32-le"), "utf-32-le"),
        (SENTENCE.encode("gbk"), "lines"),
        (SENTENCE.encode("gb18030"), "lines"),
        (b"", "utf-8"),
        (b"\0", "utf-8"),
    ],
)
def test_encodings(data: bytes, encoding: str) -> None:
    assert encoding_of(data) == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gbk", "gb2312", "gb18030"])
def test_chinese_is_read_in_every_encoding(encoding: str) -> None:
    assert decode(SENTENCE.encode(encoding)) == SENTENCE
    assert parse_json(SENTENCE.encode(encoding)).value == {"名": "量化模型", "n": 1}


def test_a_log_of_several_programs_is_read_line_by_line() -> None:
    log = "加载模型完成\n".encode() + "显存不足\n".encode("gbk") + "déjà vu, naïve café\n".encode("cp1252")
    assert decode(log) == "加载模型完成\n显存不足\ndéjà vu, naïve café\n"
    assert decode("加载模型完成".encode()[:-1]) == "加载模型完\\xe6\\x88"
    assert decode("量化模型".encode()[1:]).endswith("化模型")
    assert decode(b"a\xff\xffb\n") == "a\\xff\\xffb\n"


@FEW
@given(st.binary(max_size=200))
def test_any_bytes_become_text(data: bytes) -> None:
    assert encodable(clean_lines(decode(data)))


@FEW
@given(ANY_VALUE)
def test_any_value_can_be_sent_once_it_is_clean(value: Any) -> None:
    made = clean_value(value)
    assert is_json(made)
    json.dumps(made, ensure_ascii=False, allow_nan=False).encode()
    if is_json(value) and clean_value(made) == value:
        assert made == value


@FEW
@given(st.binary(max_size=60) | ANY_TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_json_of_any_bytes_is_a_clean_value_or_unusable(data: bytes) -> None:
    key, value = "", None
    try:
        value = parse_json(data).value
    except Unusable as error:
        key = error.key
        value = str(error)
    assert key in {"", "not-json", "too-deep", "too-large"}
    assert is_json(value)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"{", "not-json"),
        (b"", "not-json"),
        (b"[" * 100_000, "too-deep"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "too-deep"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "too-deep"),
        (b'"' + b"x" * 2000 + b'"', "too-large"),
        (b'"\\ud8', "not-json"),
    ],
)
def test_unusable_json(data: bytes, key: str) -> None:
    with pytest.raises(Unusable) as caught:
        parse_json(data, 1000 if key == "too-large" else 8_000_000)
    assert caught.value.key == key


def test_numbers_have_bounds() -> None:
    text = '{"a": NaN, "b": [-Infinity, 1e999], "c": 1' + "0" * 300 + ', "d": -7, "e": 1.5, "f": 1' + "0" * 9000 + "}"
    assert parse_json(text).value == {"a": None, "b": [None, None], "c": None, "d": -7, "e": 1.5, "f": None}
    assert [whole(value) for value in (7, 7.0, 7.5, -7, 0, True, "7", None, [7], 10**300, math.inf, math.nan)] == [
        7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    ]  # fmt: skip
    assert whole(LARGEST) == LARGEST


def test_lone_surrogates_and_controls_of_a_document_are_visible() -> None:
    assert parse_json(b'{"\\ud800": ["a\\udfff\\u0000", "\\ud83d\\ude00"]}').value == {"\\ud800": ["a\\udfff␀", "😀"]}


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes('{"模型": 1}'.encode("utf-8-sig"))
    assert read_json(file).value == {"模型": 1}
    assert read_json(file).encoding == "utf-8-sig"
    with pytest.raises(Unusable) as caught:
        read_bytes(file, 3)
    assert caught.value.key == "too-large"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "pipe", tmp_path / "dangling", tmp_path / "loop", tmp_path, Path("/dev/zero"), Path("a\0")):
        with pytest.raises(Unusable) as caught:
            read_bytes(path)
        assert caught.value.key == "unreadable"
        assert str(caught.value)
