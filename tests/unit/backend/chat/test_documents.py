"""Files that are sent as their text: what is taken, what is said of the rest, and what each is by its bytes."""

import zipfile
from pathlib import Path

import pytest

from backend.chat import documents
from backend.chat.attachments import Attachments, Upload, kind_of
from backend.chat.conversation import Document, Question
from backend.chat.documents import ReadDocument, document_text, pages_document, read_document
from backend.chat.pictures import Pictures
from backend.chat.prompt import question_message
from backend.errors import InvalidInput
from tests.support.pdfs import pdf


def read(folder: Path, name: str, data: bytes) -> ReadDocument:
    path = folder / name
    path.write_bytes(data)
    return read_document(path, data, name)


def refused(folder: Path, name: str, data: bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(folder, name, data)
    [message] = caught.value.messages
    assert message.params["name"] == name
    return message.key


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("notes.txt", b"one\r\ntwo\n", "one\ntwo\n"),
        ("笔记.md", "# 显存\n8 GB".encode("gb18030"), "# 显存\n8 GB"),
        ("win.csv", "\ufeffa,b\n1,2".encode("utf-16"), "a,b\n1,2"),
        ("Makefile", b"\xef\xbb\xbfall:\n\techo hi\n", "all:\n\techo hi\n"),
        ("run.log", b"\x1b[31mred\x1b[0m\n" * 40, None),
    ],
)
def test_text_in_whatever_encoding(tmp_path: Path, name: str, data: bytes, text: str | None) -> None:
    found = read(tmp_path, name, data)
    assert kind_of(data, name) == "document"
    assert text is None or found.document == Document(name, text)
    assert "red" in found.document.text or text is not None
    assert found.notices == ()


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("big5hkscs", "怎樣部署模型？先量化權重，再啟動服務，測速度。"),
        ("cp932", "これは日本語の文章です。校正用のテキストです。"),
        ("euc_jp", "これは日本語の文章です。校正用のテキストです。"),
        ("cp949", "모델을 양자화하면 가중치는 원래의 사분의 일이 됩니다."),
        ("cp1251", "После квантования веса модели занимают четверть места."),
    ],
)
def test_an_encoding_that_is_guessed_is_told(tmp_path: Path, encoding: str, text: str) -> None:
    data = f"{text}\n{text}\n".encode(encoding)
    found = read(tmp_path, "notes.txt", data)
    assert kind_of(data, "notes.txt") == "document"
    assert found.document.text == f"{text}\n{text}\n"
    [notice] = found.notices
    assert (notice.key, notice.params["encoding"]) == ("chat.notice.document_encoding", encoding.upper())


def test_a_pdf_is_its_pages_texts(tmp_path: Path) -> None:
    found = read(tmp_path, "paper.pdf", pdf(["The KV cache (8 GB)\ngrows with tokens.", "", "Third page."]))
    document = found.document
    assert (document.pages, document.of_pages) == (3, 3)
    assert "[page 1 of 3]\nThe KV cache (8 GB)\ngrows with tokens." in document.text
    assert document.text.endswith("[page 3 of 3]\nThird page.")
    [blank] = found.notices
    assert (blank.key, blank.params["pages"]) == ("chat.notice.pdf_blank", "2")


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (pdf(["secret"], locked=True), "chat.error.pdf_password"),
        (pdf(["text"])[:60], "chat.error.pdf_damaged"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 20, "chat.error.pdf_damaged"),
        (pdf(["", ""]), "chat.error.pdf_no_text"),
    ],
)
def test_a_pdf_that_gives_no_text_says_why(tmp_path: Path, data: bytes, key: str) -> None:
    assert refused(tmp_path, "a.pdf", data) == key


def test_two_thousand_pages_are_taken_as_far_as_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_CHARACTERS", 20_000)
    found = read(tmp_path, "book.pdf", pdf([f"Page {number} says {'much ' * 8}" for number in range(1, 2001)]))
    document = found.document
    assert document.of_pages == 2000
    assert 300 < document.pages < 500
    [cut] = found.notices
    assert (cut.key, cut.params["taken"], cut.params["pages"]) == ("chat.notice.pdf_cut", document.pages, 2000)
    assert f"[page {document.pages} of 2000]" in document.text
    assert len(document.text) < 20_000 + 40 * document.pages


def test_what_a_reader_that_dies_leaves_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_CHILD", tmp_path / "gone.py")
    assert refused(tmp_path, "a.pdf", pdf(["text"])) == "chat.error.pdf_failed"


def test_pages_beyond_the_limit_are_named() -> None:
    found = pages_document("a.pdf", ["x" * 400_000, "y" * 400_000, "z"], 3)
    assert (found.document.pages, found.document.of_pages) == (2, 3)
    assert [notice.key for notice in found.notices] == ["chat.notice.pdf_cut"]


@pytest.mark.parametrize(
    ("name", "data", "key"),
    [
        ("empty.txt", b"", "document_empty"),
        ("blank.py", b" \n\n", "document_empty"),
        ("report.docx", b"PK\x03\x04rest", "document_office"),
        ("files.zip", b"PK\x03\x04rest", "document_zip"),
        ("letter.rtf", b"{\\rtf1 hello}", "document_office"),
        ("program", b"\x7fELF\x02\x01\x01" + b"\0" * 64, "document_type"),
        ("noise.txt", bytes(range(1, 32)) * 50, "document_type"),
    ],
)
def test_what_is_no_text_is_said_in_its_own_words(tmp_path: Path, name: str, data: bytes, key: str) -> None:
    assert refused(tmp_path, name, data) == f"chat.error.{key}"


def test_a_long_text_is_cut_and_it_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, "long.txt", b"word " * 200_000)
    assert len(found.document.text) == 500_000
    assert [notice.key for notice in found.notices] == ["chat.notice.document_cut"]
    assert refused(tmp_path, "huge.txt", b"a" * (documents.MAX_BYTES + 1)) == "chat.error.document_size"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("photo.png", b"not a picture", "picture"),
        ("photo", b"\x89PNG\r\n\x1a\n", "picture"),
        ("drawing.svg", b"<svg>", "picture"),
        ("scan.png", pdf(["x"]), "document"),
        ("code.ts", b"let a = 1", "document"),
        ("page.html", b"<html>", "document"),
        ("clip.mp4", b"\0\0\0\x18ftypisom", "picture"),
        ("noise.bin", b"\0\1\2\3" * 30, "picture"),
    ],
)
def test_what_a_file_is_its_bytes_say(name: str, head: bytes, kind: str) -> None:
    assert kind_of(head, name) == kind


def test_the_model_reads_files_by_name_before_the_question() -> None:
    question = Question("What does it do?", documents=(Document('a "b".py', "print(1)\n"),))
    assert document_text(question.documents[0]) == "<document name=\"a 'b'.py\">\nprint(1)\n</document>"
    message = question_message(question, False, lambda picture: "")
    assert message["content"] == "<document name=\"a 'b'.py\">\nprint(1)\n</document>\n\nWhat does it do?"
    assert question.characters == len("What does it do?") + len("print(1)\n")


async def test_a_file_is_read_once_while_it_is_weighed_and_sent(tmp_path: Path) -> None:
    attachments = Attachments(Pictures(tmp_path / "pictures"))
    path = tmp_path / "paper.pdf"
    path.write_bytes(pdf(["Once."]))
    looked = await attachments.look(Upload(path, "paper.pdf"))
    assert looked.document is not None
    taken = await attachments.take("me", [Upload(path, "paper.pdf")])
    assert taken.documents[0] is looked.document
    path.write_bytes(pdf(["Twice, and otherwise."]))
    taken = await attachments.take("me", [Upload(path, "paper.pdf")])
    assert "Twice" in taken.documents[0].text
    path.unlink()
    assert (await attachments.look(Upload(path, "paper.pdf"))).problem is not None
    archive = tmp_path / "a.docx"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("word/document.xml", "<a/>")
    problem = (await attachments.look(Upload(archive, "a.docx"))).problem
    assert problem is not None
    assert problem.key == "chat.error.document_office"
    attachments.close()
