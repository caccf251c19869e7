"""What a visitor adds to a question: pictures, and files that are sent as their text. What each is, its bytes say."""

import asyncio
import mimetypes
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from backend.chat.conversation import Document, Picture
from backend.chat.documents import MAX_BYTES, OTHERS, ReadDocument, is_pdf, is_text, read_document, too_large
from backend.chat.picture_file import known_kind
from backend.chat.pictures import Pictures
from backend.errors import ConsoleError, InvalidInput, Message

MAX_PICTURES = 8  # a question
MAX_DOCUMENTS = 8
REMEMBERED = 24  # files that were read: what is weighed while somebody writes is sent soon after
HEAD = 64 * 1024
FIELD = "question"
# Pictures whose kind Python's table of kinds may not know.
PICTURE_SUFFIXES = (
    ".heic", ".heif", ".avif", ".webp", ".tif", ".tiff", ".jp2", ".j2k", ".psd", ".tga", ".dds", ".ppm", ".pgm", ".pbm",
    ".pcx", ".qoi", ".ico", ".icns",
)  # fmt: skip


@dataclass(frozen=True)
class Upload:
    """A file that a visitor added: where it lies, and its name there."""

    path: Path
    name: str


@dataclass(frozen=True)
class Taken:
    """What became of the files. ``notices`` say what was changed or left out."""

    pictures: tuple[Picture, ...] = ()
    documents: tuple[Document, ...] = ()
    notices: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Looked:
    """A file that wasn't sent yet. ``document`` None: it is a picture, or can't be taken (``problem``)."""

    name: str
    document: Document | None = None
    problem: Message | None = None
    notices: tuple[Message, ...] = ()


class Attachments:
    """Reads files in threads of its own: a class that sends books keeps nobody's small notes waiting."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._threads = ThreadPoolExecutor(2, "document")
        self._read: OrderedDict[tuple[str, int, int], ReadDocument] = OrderedDict()

    async def take(self, visitor: str, uploads: Sequence[Upload]) -> Taken:
        """Keep the pictures, read the documents. Raises InvalidInput where one of them can't be taken."""
        pictures, documents, notices = list[Picture](), list[Document](), list[Message]()
        for upload in uploads:
            if await self._is_document(upload):
                read = await self._document(upload)
                documents.append(read.document)
                notices += read.notices
            else:
                picture, told = await self._pictures.keep_in_turn(visitor, upload.path, upload.name)
                pictures.append(picture)
                notices += told
        return Taken(tuple(pictures), tuple(documents), tuple(notices))

    async def look(self, upload: Upload) -> Looked:
        """What the file is, before it is sent."""
        try:
            if not await self._is_document(upload):
                return Looked(upload.name)
            read = await self._document(upload)
        except ConsoleError as error:
            return Looked(upload.name, problem=error.messages[0])
        return Looked(upload.name, read.document, notices=read.notices)

    async def count(self, uploads: Sequence[Upload]) -> tuple[int, int]:
        """How many of them are pictures, and how many documents."""
        kinds = [await self._is_document(upload) for upload in uploads]
        return kinds.count(False), kinds.count(True)

    def close(self) -> None:
        """No more files are read; those that wait are given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _is_document(self, upload: Upload) -> bool:
        return await asyncio.to_thread(_is_document, upload)

    async def _document(self, upload: Upload) -> ReadDocument:
        try:
            stat = await asyncio.to_thread(upload.path.stat)
        except OSError:
            raise _gone(upload) from None
        key = (str(upload.path), stat.st_size, stat.st_mtime_ns)
        if key not in self._read:
            if stat.st_size > MAX_BYTES:
                raise too_large(upload.name, stat.st_size)
            loop = asyncio.get_running_loop()
            self._read[key] = await loop.run_in_executor(self._threads, _read, upload)
        self._read.move_to_end(key)
        found = self._read[key]
        while len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return found


def kind_of(head: bytes, name: str) -> str:
    """ "document" or "picture", by a file's first bytes and its name. What is neither is a picture that can't be read,
    and said to be so."""
    if is_pdf(head):
        return "document"
    suffix = Path(name).suffix.lower()
    if suffix in PICTURE_SUFFIXES or (mimetypes.guess_type(f"x{suffix}")[0] or "").startswith("image/"):
        return "picture"
    if head.startswith(tuple(OTHERS)):
        return "document"
    if known_kind(head) in ("svg", "video", "raw", "variant"):
        return "picture"
    return "document" if is_text(head) else "picture"


def _is_document(upload: Upload) -> bool:
    try:
        with upload.path.open("rb") as file:
            return kind_of(file.read(HEAD), upload.name) == "document"
    except OSError:
        raise _gone(upload) from None


def _read(upload: Upload) -> ReadDocument:
    try:
        data = upload.path.read_bytes()
    except OSError:
        raise _gone(upload) from None
    return read_document(upload.path, data, upload.name)


def _gone(upload: Upload) -> InvalidInput:
    return InvalidInput(Message("chat.error.picture_gone", {"name": upload.name}, field=FIELD))
