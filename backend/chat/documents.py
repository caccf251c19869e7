"""Files that are sent as their text: notes, code, tables, PDFs. What can't be read is said, and what is cut."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.chat.conversation import Document
from backend.errors import InvalidInput, Message
from backend.machine.child import NoAnswer, ask
from backend.outside_text import clean_lines
from backend.text_encodings import decode_guessed, encoding_of

FIELD = "question"
MAX_BYTES = 32 * 1024 * 1024
MAX_CHARACTERS = 500_000  # of one file; a model with the longest context takes some 3 million
MAX_PAGES = 5_000
PDF_DEADLINE_S = 120.0
PDF = b"%PDF-"
PDF_HEAD = 1024  # bytes before the mark that readers let pass
CONTROLS_ALLOWED = 0.01  # of a text: form feeds and colours of a terminal, but no program or picture
NAMED_PAGES = 12  # in a message
# Beginnings of files that aren't text, though one of them may look like it for a while.
OTHERS: Mapping[bytes, str] = {
    b"PK\x03\x04": "document_zip",
    b"\xd0\xcf\x11\xe0": "document_office",
    b"{\\rtf": "document_office",
    b"\x1f\x8b": "document_zip",
    b"7z\xbc\xaf": "document_zip",
    b"Rar!": "document_zip",
}
OFFICE = (
    ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".pages", ".key", ".numbers", ".epub", ".doc", ".xls",
    ".ppt", ".rtf",
)  # fmt: skip

log = logging.getLogger(__name__)

_CHILD = Path(__file__).parent / "children" / "pdf_text.py"
_HYPHEN = re.compile("[\x02\ufffe]\r?\n?")  # where PDFium found a word that goes on in the next line


@dataclass(frozen=True)
class ReadDocument:
    """A file's text. ``notices`` say what of it wasn't taken."""

    document: Document
    notices: tuple[Message, ...] = ()


def is_pdf(data: bytes) -> bool:
    """Whether these are a PDF's first bytes."""
    return PDF in data[: PDF_HEAD + len(PDF)]


def is_text(data: bytes) -> bool:
    """Whether a file's bytes are text, in whatever encoding: nothing but very few of its characters are controls."""
    if data.startswith(tuple(OTHERS)):
        return False
    head = data[:65536]
    if b"\0" in data and not encoding_of(head).startswith(("utf-16", "utf-32")):
        return False
    text, _ = decode_guessed(head)
    unseen = sum(character < " " and character not in "\t\n\r\f\x1b" for character in text)
    broken = text.count("\\x") - head.count(b"\\x")  # bytes that fit no encoding
    return unseen + max(broken, 0) <= CONTROLS_ALLOWED * max(len(text), 1)


def read_document(path: Path, data: bytes, name: str) -> ReadDocument:
    """The text of a file that lies at ``path`` with these bytes. Raises InvalidInput. Takes seconds for a large PDF."""
    if len(data) > MAX_BYTES:
        raise too_large(name, len(data))
    if is_pdf(data):
        return _pdf(path, name)
    for beginning, key in OTHERS.items():
        if data.startswith(beginning):
            raise _wrong("document_office" if name.lower().endswith(OFFICE) else key, name)
    if not data.strip():
        raise _wrong("document_empty", name)
    if not is_text(data):
        raise _wrong("document_type", name)
    text, guessed = decode_guessed(data)
    text = text.removeprefix("\ufeff").replace("\0", "")
    notices: tuple[Message, ...] = ()
    if guessed:
        notices = (_told("document_encoding", {"name": name, "encoding": guessed.upper()}),)
    if len(text) > MAX_CHARACTERS:
        counts = {"name": name, "count": f"{len(text):,}", "limit": f"{MAX_CHARACTERS:,}"}
        notices += (_told("document_cut", counts),)
        text = text[:MAX_CHARACTERS]
    return ReadDocument(Document(name, clean_lines(text)), notices)


def too_large(name: str, size: int) -> InvalidInput:
    """What to raise of a file with so many bytes."""
    sizes = {"name": name, "size": f"{size / 2**20:.0f} MiB", "limit": f"{MAX_BYTES // 2**20} MiB"}
    return InvalidInput(Message("chat.error.document_size", sizes, field=FIELD))


def document_text(document: Document) -> str:
    """As the model reads it: the text under the file's name, so that a question can speak of it."""
    name = document.name.replace('"', "'")
    return f'<document name="{name}">\n{document.text.strip()}\n</document>'


def _pdf(path: Path, name: str) -> ReadDocument:
    try:
        answer = ask(
            Path(sys.executable), _CHILD, str(path), str(MAX_PAGES), str(MAX_CHARACTERS), deadline_s=PDF_DEADLINE_S
        )
        found: Mapping[str, Any] = json.loads(answer)
    except (NoAnswer, ValueError) as error:
        log.warning("a PDF's text can't be read: %s", error)
        raise _wrong("pdf_failed", name) from error
    if found["error"]:
        raise _wrong(f"pdf_{found['error']}", name)
    return pages_document(name, [_page_text(text) for text in found["texts"]], found["pages"])


def pages_document(name: str, texts: list[str], of_pages: int) -> ReadDocument:
    """The pages' texts as one, each behind its mark. Raises InvalidInput where there is no text."""
    blank = [number for number, text in enumerate(texts, start=1) if not text]
    if len(blank) == len(texts):
        raise InvalidInput(Message("chat.error.pdf_no_text", {"name": name, "pages": of_pages}, field=FIELD))
    parts, taken, characters, cut = list[str](), 0, 0, False
    for number, text in enumerate(texts, start=1):
        room = MAX_CHARACTERS - characters
        if room <= 0:
            break
        cut = len(text) > room
        parts.append(f"[page {number} of {of_pages}]\n{text[:room]}".rstrip())
        characters, taken = characters + len(text), number
    notices = list[Message]()
    if taken < of_pages or cut:
        counts: dict[str, str | int] = {"name": name, "taken": taken, "pages": of_pages, "limit": f"{MAX_CHARACTERS:,}"}
        notices.append(_told("pdf_cut", counts))
    if blank := [number for number in blank if number <= taken]:
        shown = ", ".join(map(str, blank[:NAMED_PAGES])) + (" …" if len(blank) > NAMED_PAGES else "")
        notices.append(_told("pdf_blank", {"name": name, "pages": shown, "count": len(blank)}))
    return ReadDocument(Document(name, "\n\n".join(parts), taken, of_pages), tuple(notices))


def _page_text(text: str) -> str:
    text = _HYPHEN.sub("", text).replace("\f", "\n")
    return clean_lines("\n".join(line.rstrip() for line in text.splitlines())).strip()


def _wrong(key: str, name: str) -> InvalidInput:
    return InvalidInput(Message(f"chat.error.{key}", {"name": name}, field=FIELD))


def _told(key: str, values: Mapping[str, str | int]) -> Message:
    return Message(f"chat.notice.{key}", values, FIELD, "warning")
