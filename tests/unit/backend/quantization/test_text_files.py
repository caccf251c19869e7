"""Calibration data in any usual form is read for its text, or refused with a word."""

import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import InvalidInput
from backend.quantization import text_files
from backend.quantization.page_text import page_text
from backend.quantization.text_files import Reading, read, read_file
from backend.quantization.texts import KeptTexts, decode

CHINESE = (
    "模型量化之后，权重只占原来的四分之一，而回答的质量几乎没有变化。"
    "我们用这些文字来校准它，让它知道什么样的输入是常见的。"
)
TRADITIONAL = (
    "模型量化之後，權重只佔原來的四分之一，而回答的品質幾乎沒有變化。"
    "我們用這些文字來校準它，讓它知道什麼樣的輸入是常見的。"
)
JAPANESE = "モデルを量子化すると、重みは元の四分の一になりますが、答えの質はほとんど変わりません。"
KOREAN = "모델을 양자화하면 가중치는 원래의 사분의 일이 되지만 답변의 품질은 거의 변하지 않습니다."
RUSSIAN = "После квантования веса модели занимают четверть прежнего места, а качество ответов почти не меняется."
FRENCH = "Après la quantification, les poids prennent un quart de la place, et la qualité des réponses ne change guère."


def lines(*values: object) -> bytes:
    return "\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode()


def notes(reading: Reading) -> list[str]:
    return [notice.key.removeprefix("quantize.text.note.") for notice in reading.notices]


def refusal(content: bytes, name: str = "t.txt") -> str:
    with pytest.raises(InvalidInput) as error:
        read(content, name)
    (message,) = error.value.messages
    assert message.field == "text"
    assert message.params["name"] == name
    return message.key.removeprefix("quantize.text.")


# Encodings


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *(
            (CHINESE, encoding)
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gbk", "gb18030")
        ),
        ("怎样部署模型？先量化权重，再启动服务，测速度。" * 4, "gbk"),  # with few of the commonest characters
        ("怎樣部署模型？先量化權重，再啟動服務，測速度。" * 4, "big5"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "gb18030"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "cp949"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (FRENCH, "cp1252"),
        ("plain ASCII", "utf-16"),
        ("plain ASCII", "ascii"),
    ],
)
def test_whatever_it_is_written_in(text: str, encoding: str) -> None:
    content = f"{text}\n{text}\n".encode(encoding)
    if encoding in ("utf-16-le", "utf-16-be"):  # without a mark its zero bytes tell, and Chinese has few
        content = ("The text that follows is Chinese, of some letters.\n" * 40 + text).encode(encoding)
    reading = read(content, "t.txt")
    assert text in reading.text
    plain = encoding in ("utf-8", "utf-8-sig", "ascii")
    assert notes(reading) == ([] if plain else ["encoding"])


def test_utf16_of_chinese_alone_needs_no_mark() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        assert decode(CHINESE.encode(encoding), "t.txt") == CHINESE


def test_mixed_line_ends_and_characters_that_are_none() -> None:
    prose = "words " * 50
    assert decode(prose.encode() + b"a\r\nb\rc\nd\x00e\x07\xe2\x80\xa8f\x0cg", "t.txt") == prose + "a\nb\nc\nde\nf\ng"
    assert decode(CHINESE.encode()[:-1], "t.txt").startswith(CHINESE[:-1])


def test_a_huge_line_and_one_letter() -> None:
    assert len(decode(b"word " * 100_000, "t.txt")) == 500_000
    assert decode(b"a", "t.txt") == "a"


# Records

ONE_TWO = "one\ntwo"


@pytest.mark.parametrize(
    "value",
    [
        ["one", "two"],
        [{"text": "one"}, {"text": "two", "id": 7, "url": "https://x"}],
        [{"Content": "one"}, {"content": "two"}],
        {"data": [{"text": "one"}, {"text": "two"}]},
        {"train": {"rows": [{"row_idx": 0, "row": {"text": "one"}}, {"row_idx": 1, "row": {"text": "two"}}]}},
        {"text": ["one", "two"]},
        {"text": {"0": "one", "1": "two"}},
        {"instruction": ["one"], "output": ["two"]},
        [{"instruction": "one", "input": "", "output": "two"}],
        [{"prompt": "one", "completion": "two"}],
        [{"prompt": "one", "chosen": "two", "rejected": "three"}],
        [{"question": "one", "answer": {"value": "two"}}],
        [{"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}],
        [
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "one"},
                            {"type": "image_url", "image_url": {"url": "data:x"}},
                        ],
                    },
                    {"role": "assistant", "content": "two"},
                ]
            }
        ],
        [{"conversations": [{"from": "human", "value": "one"}, {"from": "gpt", "value": "two"}]}],
        [{"id": "x", "conversation": [{"human": "one", "assistant": "two"}]}],
        [{"system": "one", "conversations": [{"from": "human", "value": "two"}]}],
        [[{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]],
        [{"history": [["one", "two"]]}],
        [{"dialog": ["one", "two"]}],
        [{"chosen": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}],
        [{"meta": {"a": 1}, "item": {"text": "one"}}, {"item": {"text": "two"}}],
        {"version": "1", "data": [{"title": "one", "paragraphs": [{"qas": [{"answers": [{"text": "two"}]}]}]}]},
        [{"instruction": "one", "instances": [{"input": "", "output": "two"}]}],
        [{"conversation_id": "1", "chat": {"turn_1": {"Human": "one", "MOSS": "two"}}}],
        [{"custom_id": "1", "body": {"model": "m", "messages": [{"role": "user", "content": ONE_TWO}]}}],
        [{"text": "one", "score": float("nan")}, {"text": "two", "id": 1e300}],
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_records_as_people_have_them(value: Any) -> None:
    for content in (json.dumps(value), json.dumps(value, indent=2), json.dumps(value).replace("{", "{\r\n")):
        assert decode(content.encode(), "t.json") == ONE_TWO
    if isinstance(value, list):
        assert decode(lines(*value), "t.jsonl") == ONE_TWO
        assert decode(b"".join(json.dumps(item).encode() for item in value), "t.json") == ONE_TWO


@pytest.mark.parametrize("between", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"])
def test_what_stands_within_a_text_doesnt_end_a_line(between: str) -> None:
    assert decode(f'{{"text": "one{between}two"}}\n'.encode(), "t.jsonl") == ONE_TWO
    assert decode(lines({"text": f"one{between}two"}, {"text": "three"}), "t.jsonl") == ONE_TWO + "\nthree"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (str({"text": ONE_TWO}) + "\n", "t.jsonl"),
        (str([{"text": ONE_TWO}]), "t.json"),
        ('messages\n"' + str([{"role": "user", "content": ONE_TWO}]) + '"\n', "t.csv"),
    ],
)
def test_records_as_python_prints_them(content: str, name: str) -> None:
    assert decode(content.encode(), name) == ONE_TWO


def test_a_sentence_in_a_list_of_its_words() -> None:
    assert decode(lines({"tokens": ["The", "fox", "ran", "."], "tags": [0, 1, 2, 0]}), "t.jsonl") == "The fox ran ."
    assert decode(lines({"tokens": list("狐狸跑了")}), "t.jsonl") == "狐狸跑了"


def test_unknown_fields_give_their_prose() -> None:
    row = {"id": "a-1", "lang": "en", "url": "https://example.org/a b", "lyrics": "The first line of a long song"}
    assert decode(lines(row, row | {"lyrics": "Another line of another song"}), "t.jsonl") == (
        "The first line of a long song\nAnother line of another song"
    )


def test_broken_lines() -> None:
    half = read(lines({"text": "one"}, {"text": "two"}) + b'\n{"text": "thr', "t.jsonl")
    assert (half.text, notes(half)) == (ONE_TWO, ["half"])
    listed = read(json.dumps([{"text": "one"}, {"text": "two"}, {"text": "three"}], indent=1).encode()[:-12], "t.json")
    assert (listed.text, notes(listed)) == (ONE_TWO, ["half"])
    many = [json.dumps({"text": f"line {n}"}) for n in range(500)]
    some = read("\n".join([*many[:200], "{oops", *many[200:]]).encode(), "t.jsonl")
    assert (some.records, notes(some)) == (500, ["bad-lines"])
    assert some.notices[0].params["line"] == 201
    assert refusal(b'{"text": "a"}\n{oops\n{oops\n{"text": "b"}', "t.jsonl") == "bad-jsonl"
    assert refusal(b'{"text": ', "t.json") == "bad-jsonl"


def test_lists_one_behind_the_other() -> None:
    listed = "\n".join(json.dumps([{"text": text}], indent=1) for text in ("one", "two"))
    for content in (listed, '{"text": "one"},\n{"text": "two"}'):
        reading = read(content.encode(), "t.json")
        assert (reading.text, notes(reading)) == (ONE_TWO, [])


def test_repeated_records_count_once() -> None:
    reading = read(lines(*[{"text": "one"}] * 30, {"text": "two"}), "t.jsonl")
    assert (reading.text, reading.records, notes(reading)) == (ONE_TWO, 2, ["repeated"])
    assert reading.notices[0].params["count"] == 29


@pytest.mark.parametrize(
    "text",
    [
        "[A link](https://x) begins this page.\n\nMore.",
        "{{ template }} and so on\n",
        '"A quotation," she said.\n',
        "[1] A footnote\n[2] Another\n",
        '{"text": "b"} is a record.\nThis page tells how to write one.\n',
        '{"text": "b"}\nThis page tells how to write one.\n',
    ],
)
def test_text_that_begins_like_json_is_text(text: str) -> None:
    assert decode(text.encode(), "t.md") == text


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("text\none\ntwo\n", "t.csv"),
        ("id,text\n1,one\n2,two\n", "t.csv"),
        ("id;Text\r\n1;one\r\n2;two\r\n", "t.csv"),
        ("text\tlabel\none\t1\ntwo\t0\n", "t.tsv"),
        ('\ufeffinstruction,input,output\n"one",,"two"\n', "t.csv"),
        (
            'conversations\n"[{""from"": ""human"", ""value"": ""one""}, {""from"": ""gpt"", ""value"": ""two""}]"\n',
            "t.csv",
        ),
    ],
)
def test_tables_of_text(content: str, name: str) -> None:
    assert decode(content.encode(), name) == ONE_TWO
    assert decode(content.encode("utf-16"), name) == ONE_TWO


def test_a_table_without_names_and_a_long_cell() -> None:
    prose = "A sentence that is long enough to be prose."
    assert decode(f"7,{prose}\n8,{prose} Again.\n".encode(), "t.csv") == f"{prose}\n{prose} Again."
    assert len(decode(b"text\n" + b"word " * 100_000, "t.csv")) > 400_000


def test_a_comma_without_quotation_marks_is_part_of_the_text() -> None:
    reading = read(b"id,text\n1,Hello, world of ours\n2,Fine,,\n", "t.csv")
    assert (reading.text, notes(reading)) == ("Hello, world of ours\nFine", ["joined-cells", "fields"])
    assert reading.notices[0].params == {"name": "t.csv", "count": 1, "column": "text"}
    assert reading.notices[1].params["fields"] == "id (2)"
    assert decode(b"text,label\nHello, world,1\n", "t.csv") == "Hello, world"


def test_columns_of_one_name_and_the_line_for_excel() -> None:
    assert decode(b"text,text\none,two\n", "t.csv") == ONE_TWO
    assert decode(b"sep=;\r\ntext;label\r\none, two;1\r\n", "t.csv") == "one, two"


def test_a_bomb_is_read_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MOST_BYTES", 1 << 17)
    for content, name in (
        (gzip.compress(b"word " * 300_000, mtime=0), "bomb.txt.gz"),
        (bz2.compress(b"word " * 300_000), "bomb.txt.bz2"),
        (lzma.compress(b"word " * 300_000), "bomb.txt.xz"),
        (packed({"bomb.txt": b"word " * 300_000}), "bomb.zip"),
    ):
        reading = read(content, name)
        assert len(reading.text) <= 1 << 17
        assert notes(reading) == ["cut"]


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# Packed and documents

WORD = (
    b"<?xml version='1.0'?><w:document><w:p><w:r><w:t>o</w:t></w:r><w:r><w:t>ne</w:t></w:r></w:p>"
    b"<w:p><w:t>two</w:t></w:p></w:document>"
)
SPINE = b'<item id="b" href="a.xhtml"/><item href="z.xhtml" id="a"/><itemref idref="a"/><itemref idref="b"/>'


@pytest.mark.parametrize(
    ("content", "name", "form"),
    [
        (gzip.compress(b"one\ntwo", mtime=0), "t.txt.gz", "plain"),
        (gzip.compress(b"one\n", mtime=0) + gzip.compress(b"two", mtime=0), "t.gz", "plain"),
        (bz2.compress(lines("one", {"text": "two"})), "t.jsonl.bz2", "jsonl"),
        (lzma.compress(b"text\none\ntwo\n"), "t.csv.xz", "csv"),
        (
            packed(
                {"a/1.txt": b"one", "a/2.jsonl": b'{"text": "two"}', "__MACOSX/._1.txt": b"\0\0", "a/.DS_Store": b"\0"}
            ),
            "t.zip",
            "several",
        ),
        (packed({"t.jsonl.gz": gzip.compress(lines({"text": "one"}, {"text": "two"}), mtime=0)}), "t.zip", "jsonl"),
        (
            b"<!DOCTYPE html><html><head><style>p {}</style><script>x()</script></head><body><p>one</p><p>two",
            "t.html",
            "page",
        ),
        (b"<html><body><div>one<div>two</div></div><!-- three --></body></html>", "saved.txt", "page"),
        (
            packed({"word/document.xml": WORD}),
            "t.docx",
            "document",
        ),
        (
            packed(
                {
                    "mimetype": b"application/vnd.oasis",
                    "content.xml": b"<?xml version='1.0'?><text:p>one</text:p><text:p>two</text:p>",
                }
            ),
            "t.odt",
            "document",
        ),
        (
            packed(
                {
                    "mimetype": b"application/epub+zip",
                    "META-INF/container.xml": b"<x/>",
                    "o/c.opf": SPINE,
                    "o/a.xhtml": b"<p>two</p>",
                    "o/z.xhtml": b"<p>one</p>",
                }
            ),
            "t.epub",
            "book",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_packed_and_documents(content: bytes, name: str, form: str) -> None:
    reading = read(content, name)
    assert (reading.text, reading.form) == (ONE_TWO, form)


def test_what_a_zip_holds_beside_text_is_named() -> None:
    reading = read(packed({"a.txt": b"one", "b.png": b"\x89PNG\r\n\x1a\n\0\0\0", "c.pdf": b"%PDF-1.4"}), "t.zip")
    assert (reading.text, notes(reading)) == ("one", ["left-out"])
    assert reading.notices[0].params["files"] == "b.png, c.pdf"


def test_half_a_gzip_gives_what_came_out() -> None:
    text = "".join(f"line {number} {random.Random(number).random()}\n" for number in range(20_000))
    whole = gzip.compress(text.encode(), mtime=0)
    reading = read(whole[: len(whole) // 2], "t.txt.gz")
    assert text.startswith(reading.text)
    assert len(reading.text) > 10_000
    assert notes(reading) == ["packed"]


def test_pages_are_read_as_a_person_does() -> None:
    page = "<h1>A &amp; B</h1><ul><li>one<li>two</ul><table><tr><td>a</td><td>b</td></tr></table>"
    assert page_text(page) == "A & B\none\ntwo\na b"


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        (b"", "t.txt", "empty"),
        (b" \n\t\r\n", "t.txt", "empty"),
        (b"\x7fELF\x00\x01" + bytes(200), "t", "binary"),
        (random.Random(1).randbytes(5_000), "t.bin", "binary"),
        (b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(5_000), "t.png", "binary"),
        (b"%PDF-1.7 ...", "t.pdf", "pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "t.doc", "office"),
        (packed({"xl/workbook.xml": b"<x/>"}), "t.xlsx", "office"),
        (b"{\\rtf1 text}", "t.rtf", "office"),
        (b"Rar!\x1a\x07", "t.rar", "archive"),
        (b"a.txt" + bytes(252) + b"ustar\0" + bytes(249), "t.tar", "archive"),
        (packed({"a.png": b"\x89PNG\r\n\x1a\n\0\0\0"}), "t.zip", "nothing-in"),
        (b"PK\x03\x04" + bytes(40), "t.zip", "packed"),
        (b"\x1f\x8b\x08" + bytes(40), "t.gz", "packed"),
        (
            gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"one", mtime=0), mtime=0), mtime=0), mtime=0),
            "t.gz",
            "layers",
        ),
        (b'{"id": 1}\n{"id": 2}', "t.jsonl", "no-text"),
        (b'{"text": 1}\n{"id": 2}', "t.jsonl", "no-text"),
        (b"[]", "t.json", "no-text"),
        (b"[" * 100_000, "t.json", "bad-jsonl"),
        (b"<html><script>x</script></html>", "t.html", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n", "t.jsonl", "pointer"),
        (b"<!doctype html><html><body>Please sign in</body></html>", "t.jsonl", "page"),
        (b"Entry not found", "t.jsonl", "bad-jsonl"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_holds_no_text_is_refused_with_a_word(content: bytes, name: str, why: str) -> None:
    assert refusal(content, name) == why


def test_a_zip_with_a_password_says_so() -> None:
    data = bytearray(packed({"a.txt": b"one"}))
    data[6] |= 1  # the flag in the file's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    assert refusal(bytes(data), "t.zip") == "locked"


def test_of_a_large_file_the_beginning_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MOST_BYTES", 100_000)
    file = tmp_path / "large.jsonl"
    file.write_bytes(lines(*({"text": f"text {number}"} for number in range(20_000))))
    reading = read_file(file, file.name)
    assert notes(reading) == ["cut"]
    assert 3_000 < reading.records < 6_000
    monkeypatch.setattr(text_files, "MOST_CHARACTERS", 5_000)
    assert "characters" in notes(read(b"some words\n" * 1_000, "t.txt"))


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(2 << 30)  # a hole: takes no disk
    with pytest.raises(InvalidInput) as error:
        read_file(huge, "huge.txt")
    assert error.value.messages[0].key == "quantize.text.large"
    assert error.value.messages[0].params["mib"] == 2048


def test_what_was_read_is_kept_with_the_text(tmp_path: Path) -> None:
    reading = read((CHINESE + "\n\nmore\n").encode("gbk"), "mine.txt")
    texts = KeptTexts(tmp_path)
    kept = texts.keep_reading(reading, "mine.txt")
    assert texts.get(kept.id) == kept
    assert (kept.name, kept.form, kept.notices) == ("mine.txt", "plain", reading.notices)
    assert kept.samples(1, 20) == (CHINESE[:19] + "…",)
    assert not kept.is_longer(1000)
    assert kept.is_longer(10)
    (kept.folder / "about.json").write_text("{")
    assert texts.get(kept.id).form == "plain"


# Any input at all

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["text", "messages", "role", "content", "output", "data", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def taken_or_refused(content: bytes, name: str) -> None:
    try:
        reading = read(content, name)
    except InvalidInput:
        return
    assert reading.text.strip()
    reading.text.encode()
    assert not set(reading.text) & set("\0\r\x0b\x0c\u2028\u2029\ufeff")


NAMES = st.sampled_from(["t.txt", "t.json", "t.jsonl", "t.csv", "t.html", "t.md", "t"])


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore")), NAMES)
def test_any_bytes_are_taken_or_refused(content: bytes, name: str) -> None:
    taken_or_refused(content, name)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(JSON, st.floats(0, 1), NAMES)
def test_any_json_cut_anywhere_is_taken_or_refused(value: Any, share: float, name: str) -> None:
    content = json.dumps(value).encode()
    taken_or_refused(content, name)
    taken_or_refused(content[: int(len(content) * share)], name)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"], exclude_characters="\ufeff"), min_size=1
        ).filter(str.strip),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(
        [
            lambda text: {"text": text},
            lambda text: {"messages": [{"role": "user", "content": text}]},
            lambda text: {"conversations": [{"from": "gpt", "value": text}]},
        ]
    ),
)
def test_no_text_of_a_record_is_lost(found: list[str], encoding: str, wrap: Callable[[str], Any]) -> None:
    content = "\n".join(json.dumps(wrap(text), ensure_ascii=False) for text in found).encode(encoding)
    assert decode(content, "t.jsonl") == "\n".join(found)
