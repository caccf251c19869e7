"""Calibration data in any usual form → its text. What isn't taken is named, and what can't be read is refused.

Plain text and Markdown; JSON, JSON lines, CSV and TSV with records; Parquet and Arrow (in a child: its library is
heavy); web pages, EPUB, Word and OpenDocument; each of them in gzip, bzip2, xz, zstd or zip; in whatever encoding.
"""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from backend import outside_text, text_encodings
from backend.errors import InvalidInput, Message, Value
from backend.quantization import table_reader, text_tables
from backend.quantization.page_text import page_text
from backend.quantization.text_json import begins_a_value, loads, one_after_another
from backend.quantization.text_records import TextRecords

FIELD = "text"
MOST_BYTES = 64 << 20  # of one file, unpacked: of more, the beginning is read
MOST_FILE_BYTES = 1 << 30
MOST_CHARACTERS = 16_000_000  # some four million tokens: 128 samples of 2,048 tokens sixteen times over
MOST_LAYERS = 3  # a zip in a zip in a zip
MOST_MEMBERS = 2_000
MOST_NAMES = 5  # named in a message
MOST_FIELDS = 12
USUAL = "text, content, messages, conversations, instruction, output"  # fields' names that a message tells
TOLERATED = 0.01  # lines that aren't JSON among many that are
_TEXT_SUFFIXES = (".txt", ".md", ".rst", ".log", ".text", ".markdown")
_RECORD_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather")
_PAGE_SUFFIXES = (".html", ".htm", ".xhtml")
_OTHERS = (  # what begins so is a document of another kind
    (b"%PDF-", "pdf"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "office"), (b"{\\rtf", "office"),
    (b"7z\xbc\xaf", "archive"), (b"Rar!", "archive"), (b"version https://git-lfs.github.com/spec/", "pointer"),
)  # fmt: skip
_TABLES = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff", b"FEA1")
_PAGE = re.compile(r"(?i)<!doctype html|<html|<\?xml")
_LINE_ENDS = re.compile("\r\n?")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ufeff\ud800-\udfff\ufffe\uffff]")
_BINARY_SHARE = 0.02


@dataclass(frozen=True)
class Reading:
    """What was read. ``form`` is a word of ``quantize.form.*``; ``records`` counts samples of data that has them (0 =
    running text). ``notices`` say what was left out or taken in another way than it stands there."""

    text: str
    form: str = "plain"
    records: int = 0
    notices: tuple[Message, ...] = field(default=())


def read_file(file: Path, name: str) -> Reading:
    """The text of a file; of more than MOST_BYTES its beginning. Raises InvalidInput."""
    try:
        size = file.stat().st_size
        if size > MOST_FILE_BYTES:
            raise too_large(name, size)
        with file.open("rb") as stream:
            if stream.read(8).startswith(_TABLES):
                return _finished(_table(file, name), name)
            stream.seek(0)
            content = stream.read(MOST_BYTES)
    except OSError as error:
        raise _wrong("unreadable", name, error=error.strerror or str(error)) from error
    return read(content, name, cut=size > len(content))


def read(content: bytes, name: str, *, cut: bool = False) -> Reading:
    """The text of a file's content, of which ``cut`` tells that it is the beginning alone. Raises InvalidInput."""
    try:
        return _finished(_read(content, name, cut, 0), name)
    except InvalidInput as error:  # of what is packed in it; a person knows the file that they gave
        raise InvalidInput(*(replace(said, params={**said.params, "name": name}) for said in error.messages)) from error


def too_large(name: str, size: int) -> InvalidInput:
    """The error for a file of ``size`` bytes."""
    return _wrong("large", name, mib=size >> 20, most=MOST_FILE_BYTES >> 20)


def _read(content: bytes, name: str, cut: bool, layer: int) -> Reading:
    if not content.strip():
        raise _wrong("empty", name)
    other = next((word for lead, word in _OTHERS if content.startswith(lead)), "")
    if other:
        raise _wrong(other, name)
    if content.startswith(_TABLES[:2]) or (content.startswith(_TABLES[2:]) and name.lower().endswith(_RECORD_SUFFIXES)):
        return _table(content, name)
    if content[257:262] == b"ustar":
        raise _wrong("archive", name)
    unpack = next((unpack for lead, unpack in _PACKED.items() if content.startswith(lead)), None)
    if unpack is not None:
        if layer >= MOST_LAYERS:
            raise _wrong("layers", name)
        return unpack(content, name, cut, layer + 1)
    return _text(content, name, cut)


def _text(content: bytes, name: str, cut: bool) -> Reading:
    """Everything that is text: records, a page, or just that."""
    encoding = text_encodings.encoding_of(content)
    if not encoding or _is_binary(content, encoding):
        raise _wrong("binary", name)
    raw = text_encodings.decode(content, encoding)
    text = _clean(raw)
    notices: tuple[Message, ...] = ()
    if encoding not in ("ascii", "utf-8", "utf-8-sig"):
        lines = outside_text.encodings_of_lines(content) if encoding == outside_text.LINES else {encoding}
        notices = (_note("encoding", name, encoding=", ".join(sorted(lines)).upper()),)
    if cut:
        text = text.rpartition("\n")[0] or text
        notices += (_note("cut", name, mib=MOST_BYTES >> 20),)
    lower, start = name.lower(), text[:2000].lstrip()
    reading, sure = None, re.search(r"\.(json|jsonl|ndjson)$", lower) is not None
    is_page = _PAGE.match(start) is not None
    if is_page and lower.endswith(_RECORD_SUFFIXES):  # what a hub or a login says in place of the file
        raise _wrong("page", name)
    if start[:1] in ("{", "[", '"') or sure:
        whole = _CONTROLS.sub("", _LINE_ENDS.sub("\n", raw))  # a text in it may hold other breaks
        reading = _json(whole.rpartition("\n")[0] or whole if cut else whole, name, cut, sure=sure)
    if reading is None and lower.endswith((".csv", ".tsv", ".tab")):
        reading = _csv(text, name)
    if reading is None and (lower.endswith(_PAGE_SUFFIXES) or is_page):
        reading = Reading(page_text(text), "page")
    reading = reading or Reading(text)
    return replace(reading, notices=notices + reading.notices)


def _finished(reading: Reading, name: str) -> Reading:
    """The text within its bound; refused where nothing is left."""
    text = reading.text
    if not text.strip():
        raise _wrong("empty", name)
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS]
        note = _note("characters", name, most=f"{MOST_CHARACTERS:,}")
        return replace(reading, text=text, notices=(*reading.notices, note))
    return reading


def _clean(text: str) -> str:
    """One kind of line end, and no character that isn't text: a stray zero byte ends a program's reading."""
    return _CONTROLS.sub("", _BREAKS.sub("\n", text))


def _is_binary(content: bytes, encoding: str) -> bool:
    if encoding.startswith(("utf-16", "utf-32")):
        return False
    head = content[: 1 << 20]
    odd = sum(head.count(bytes((code,))) for code in (*range(7), *range(14, 27), *range(28, 32)))
    return odd > len(head) * _BINARY_SHARE


# Records


def _records(value: object, form: str, name: str, notices: tuple[Message, ...] = ()) -> Reading:
    """Samples, each once, one after another. auto_awq puts empty lines between lines by itself."""
    records, found, seen, repeated, total = TextRecords(value), list[str](), set[int](), 0, 0
    for raw in records.texts():
        text = _clean(raw).strip("\n")
        if hash(text) in seen:
            repeated += 1
            continue
        seen.add(hash(text))
        found.append(text)
        total += len(text) + 1
        if total > MOST_CHARACTERS:
            break
    if not any(text.strip() for text in found):
        raise _wrong("no-text", name, fields=USUAL)
    if repeated:
        notices += (_note("repeated", name, count=repeated),)
    if records.left:
        named = _named([f"{field} ({count})" for field, count in records.left.most_common()], MOST_FIELDS)
        notices += (_note("fields", name, fields=named),)
    return Reading("\n".join(found), form, len(found), notices)


def _json(text: str, name: str, cut: bool, *, sure: bool) -> Reading | None:
    """JSON, or JSON values one after another (one a line, or not); None where it is other text that begins like it.

    A last value that is cut off is left out, and named; so are some broken lines among many.
    """
    try:
        value = loads(text)
    except (ValueError, RecursionError) as error:
        return _json_values(text, name, cut, str(error), sure=sure)
    if not isinstance(value, (dict, list)):
        return None
    return _records(value, "json", name)


def _json_values(text: str, name: str, cut: bool, cause: str, *, sure: bool) -> Reading | None:
    values, broken, prose, ended, form = list[object](), list[tuple[int, str]](), 0, False, "jsonl"
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        ended = False
        try:
            values.append(loads(line.rstrip().removesuffix(",")))
        except (ValueError, RecursionError) as error:
            broken.append((number, str(error)))
            prose += not begins_a_value(line)
            ended = True
    if not values or len(broken) > len(values):  # not one a line: one after another, or a list that was cut off
        values, rest = one_after_another(text)
        broken, ended, form = ([(text.count("\n", 0, rest) + 1, "")] if rest >= 0 else []), True, "json"
        prose = rest >= 0 and not begins_a_value(text[rest : rest + 1])
    if not sure and prose > TOLERATED * len(values):  # of which JSON is an example
        return None
    if not any(isinstance(value, (dict, list) if not sure else (dict, list, str)) for value in values):
        if sure:
            line_number, why = broken[0] if broken else (1, "")
            raise _wrong("bad-jsonl", name, line=line_number, error=why or cause)
        return None
    notices: tuple[Message, ...] = ()
    inside = broken[:-1] if ended else broken
    if len(inside) > max(1, TOLERATED * len(values)):
        if not sure and form == "json":
            return None
        raise _wrong("bad-jsonl", name, line=inside[0][0], error=inside[0][1])
    if inside:
        notices += (_note("bad-lines", name, count=len(inside), line=inside[0][0]),)
    if broken and ended and not cut:
        notices += (_note("half", name, line=broken[-1][0]),)
    return _records(values, form, name, notices)


def _csv(text: str, name: str) -> Reading | None:
    """A table's rows by the names in its first line; without names every column with prose counts."""
    try:
        table = text_tables.read_table(text, MOST_BYTES, tabs=name.lower().endswith((".tsv", ".tab")))
    except csv.Error as error:
        raise _wrong("bad-csv", name, error=str(error)) from error
    if not table.rows:
        return None
    joined = (_note("joined-cells", name, count=table.joined, column=table.onto),) if table.joined else ()
    return _records(table.rows, "csv", name, joined)


def _table(source: Path | bytes, name: str) -> Reading:
    rows, notice = table_reader.rows(source, name)
    return _records(rows, "table", name, notice)


# Packed


def _gzip(content: bytes, name: str, cut: bool, layer: int) -> Reading:
    return _stream(gzip.GzipFile(fileobj=io.BytesIO(content)), name, cut, layer)


def _bzip2(content: bytes, name: str, cut: bool, layer: int) -> Reading:
    return _stream(bz2.BZ2File(io.BytesIO(content)), name, cut, layer)


def _xz(content: bytes, name: str, cut: bool, layer: int) -> Reading:
    return _stream(lzma.LZMAFile(io.BytesIO(content)), name, cut, layer)


def _zstd(content: bytes, name: str, cut: bool, layer: int) -> Reading:
    unpacked, more = table_reader.unzstd(content, name, MOST_BYTES)
    return _read(unpacked, _inner(name), cut or more, layer)


def _stream(stream: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, name: str, cut: bool, layer: int) -> Reading:
    """What comes out, as far as it goes."""
    unpacked, broken = bytearray(), ""
    try:
        while len(unpacked) < MOST_BYTES and (piece := stream.read1(1 << 20)):
            unpacked += piece
    except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
        broken = str(error)
        if not unpacked:
            raise _wrong("packed", name, error=broken) from error
    more = cut or len(unpacked) >= MOST_BYTES
    reading = _read(bytes(unpacked[:MOST_BYTES]), _inner(name), more or bool(broken), layer)
    if broken and not more:
        notices = [note for note in reading.notices if note.key != "quantize.text.note.cut"]
        return replace(reading, notices=(*notices, _note("packed", name, error=broken)))
    return reading


def _inner(name: str) -> str:
    return re.sub(r"(?i)\.(gz|bz2|xz|zst|zstd)$", "", name)


def _zip(content: bytes, name: str, cut: bool, layer: int) -> Reading:
    try:
        if cut:
            raise _wrong("large", name, mib=len(content) >> 20, most=MOST_BYTES >> 20)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [info for info in archive.infolist()[:MOST_MEMBERS] if not _is_hidden(info)]
            names = {info.filename for info in members}
            if "xl/workbook.xml" in names or "ppt/presentation.xml" in names:
                raise _wrong("office", name)
            if any(info.flag_bits & 1 for info in members):
                raise _wrong("locked", name)
            for document, form in (("word/document.xml", "document"), ("content.xml", "document")):
                if document in names:
                    return Reading(page_text(_utf8(_member(archive, document))), form)
            if "META-INF/container.xml" in names:
                pages = sorted((n for n in names if n.lower().endswith(_PAGE_SUFFIXES)), key=_reading_order(archive))
                return Reading("\n".join(page_text(_utf8(_member(archive, page))) for page in pages), "book")
            return _together(archive, members, name, layer)
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        lzma.LZMAError,
    ) as error:
        raise _wrong("packed", name, error=str(error)) from error


def _together(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str, layer: int) -> Reading:
    """The texts of several files, one after another; those that hold none are named."""
    readings, left, notices, room = list[Reading](), list[str](), list[Message](), MOST_BYTES
    for info in sorted(members, key=lambda info: info.filename):
        if room <= 0:
            left.append(info.filename)
            continue
        data = _member(archive, info.filename, room)
        room -= len(data)
        try:
            reading = _read(data, PurePosixPath(info.filename).name, info.file_size > len(data), layer)
        except InvalidInput:
            left.append(info.filename)
            continue
        readings.append(reading)
        notices += [note for note in reading.notices if note.key not in {known.key for known in notices}]
    if not readings:
        raise _wrong("nothing-in", name, files=_named(left))
    if left:
        notices.append(_note("left-out", name, count=len(left), files=_named(left)))
    form = readings[0].form if len(readings) == 1 else "several"
    return Reading("\n".join(r.text for r in readings), form, sum(r.records for r in readings), tuple(notices))


def _member(archive: zipfile.ZipFile, name: str, most: int = MOST_BYTES) -> bytes:
    with archive.open(name) as stream:
        return stream.read(most)


def _reading_order(archive: zipfile.ZipFile) -> Callable[[str], tuple[int, str]]:
    """A book's pages in the order of its spine."""
    order = dict[str, int]()
    for opf in (name for name in archive.namelist() if name.lower().endswith(".opf")):
        source = _utf8(_member(archive, opf))
        items = {}
        for item in re.findall(r"<(?:\w+:)?item\b[^>]*>", source):
            attributes = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', item))
            items[attributes.get("id", "")] = attributes.get("href", "")
        for number, idref in enumerate(re.findall(r'<(?:\w+:)?itemref\b[^>]*idref\s*=\s*"([^"]*)"', source)):
            order[str(PurePosixPath(opf).parent / items.get(idref, ""))] = number
    return lambda page: (order.get(page, len(order)), page)


def _utf8(data: bytes) -> str:
    return _clean(outside_text.decode(data))


def _is_hidden(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename)
    return info.is_dir() or path.parts[:1] == ("__MACOSX",) or path.name.startswith(".")


def _named(names: list[str], most: int = MOST_NAMES) -> str:
    more = ", …" if len(names) > most else ""
    return ", ".join(outside_text.clean(name, 80) for name in names[:most]) + more


_PACKED: dict[bytes, Callable[[bytes, str, bool, int], Reading]] = {
    b"\x1f\x8b": _gzip, b"BZh": _bzip2, b"\xfd7zXZ\0": _xz, b"\x28\xb5\x2f\xfd": _zstd, b"PK\x03\x04": _zip,
}  # fmt: skip


def samples_of(text: str, count: int, characters: int) -> Iterator[str]:
    """The first pieces of a text, for a person to see what was read."""
    shown = 0
    for line in text[: 50 * characters].split("\n"):
        if line.strip() and shown < count:
            shown += 1
            yield outside_text.clean(line.strip(), characters)


def _note(key: str, name: str, **params: Value) -> Message:
    return Message(f"quantize.text.note.{key}", {"name": name, **params}, FIELD, "info")


def _wrong(key: str, name: str, **params: Value) -> InvalidInput:
    return InvalidInput(Message(f"quantize.text.{key}", {"name": name, **params}, FIELD))
