"""The one place where text from outside comes in: config files, servers' answers, logs, names, pasted text.

What the console gets, it shows, stores and sends on as JSON. Others may write any bytes and any numbers; behind this
module text is decoded with what it is, holds nothing that an encoder refuses or that a reader can't see, and sizes,
nesting and numbers have bounds.
"""

import codecs
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

NAME_LIMIT = 500  # characters of a name or of one line for a person
TEXT_LIMIT = 1_000_000
DOCUMENT_LIMIT_BYTES = 8_000_000
DEEPEST = 64  # nesting; real documents have some ten levels
LARGEST = 1 << 53  # what JavaScript's numbers hold exactly; all the memory of the world has fewer bytes
DIGITS = 40

# Longest first: UTF-32 begins like UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
UTF8 = "utf-8"
LINES = "lines"  # none of these for the whole: each line by itself

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
# Controls, line separators, what turns the writing direction, marks without width, half characters, non-characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
# A terminal's: colours and cursor moves, titles and links, and the short ones.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


class Unusable(ValueError):
    """What came from outside can't be used. ``key`` tells the kinds apart; the text is the cause, cleaned.

    "unreadable" (the file can't be opened, or is none), "too-large", "too-deep", "not-json".
    """

    def __init__(self, key: str, cause: str) -> None:
        super().__init__(clean(cause))
        self.key = key


@dataclass(frozen=True)
class Document:
    """A JSON document: its value, cleaned all the way down, and the encoding it was written in (UTF8 is the plain)."""

    value: Any
    encoding: str


def without_escapes(text: str) -> str:
    """The text without a terminal's escape sequences, whole ones."""
    return _ESCAPE.sub("", text)


def clean(text: str, limit: int = NAME_LIMIT) -> str:
    """A name or one line: what can't be seen or encoded is shown by its code, and the rest is cut off at ``limit``."""
    if len(text) <= limit and text.isprintable():
        return text
    return _cut(_UNSEEN.sub(_visible, _joined(text[: limit + 1])), limit)


def clean_lines(text: str, limit: int = TEXT_LIMIT) -> str:
    """As ``clean``, for text of several lines: line ends (all become a line feed) and tabs stay."""
    if len(text) <= limit and text.isprintable():
        return text
    text = _joined(text[: limit + 1]).replace("\r\n", "\n").replace("\r", "\n")
    return _cut(_UNSEEN.sub(lambda found: found[0] if found[0] in "\n\t" else _visible(found), text), limit)


def decode(data: bytes) -> str:
    """The text of some bytes, whatever they are written in: see ``encoding_of``. Never raises.

    Without a mark each line is taken by itself: a log holds what several programs wrote. What fits no encoding is shown
    as ``\\xNN``. The text isn't cleaned yet.
    """
    encoding = encoding_of(data)
    if encoding == LINES:
        return "".join(_decode_line(line) for line in _LINE.findall(data))
    return data.decode(encoding, "surrogatepass" if encoding == UTF8 else "backslashreplace")


def encoding_of(data: bytes) -> str:
    """Python's name of the encoding: by its mark (a mark before UTF-8 is "utf-8-sig"), UTF-8 where it is valid, UTF-16
    and UTF-32 by their zero bytes; "lines" where it is none of these (GBK, Latin, a mixture)."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    if guessed := _by_zeros(data):
        return guessed
    try:
        data.decode(UTF8, "surrogatepass")
    except UnicodeDecodeError:
        return LINES
    return UTF8


def read_bytes(path: Path, limit: int = DOCUMENT_LIMIT_BYTES) -> bytes:
    """A regular file's bytes. A pipe or device is refused and never waited for. Raises Unusable."""
    try:
        with open_regular(path) as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise Unusable("unreadable", cause_of(error)) from error
    if len(data) > limit:
        raise Unusable("too-large", f"> {limit} B")
    return data


def open_regular(path: Path) -> BinaryIO:
    """The file, opened for reading bytes. Raises OSError, also for what isn't a file: a pipe or device in a folder
    would block, or never end."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening some devices does something already
        raise OSError(0, "not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def mark_of(path: Path) -> str:
    """The encoding that a mark at a file's beginning names, "" for none. Many programs read plain UTF-8 only.

    Raises Unusable.
    """
    try:
        with open_regular(path) as stream:
            head = stream.read(4)
    except (OSError, ValueError) as error:
        raise Unusable("unreadable", cause_of(error)) from error
    return next((encoding for mark, encoding in MARKS if head.startswith(mark)), "")


def read_json(path: Path, limit: int = DOCUMENT_LIMIT_BYTES) -> Document:
    """A JSON file. Raises Unusable."""
    return parse_json(read_bytes(path, limit), limit)


def parse_json(data: bytes | str, limit: int = DOCUMENT_LIMIT_BYTES) -> Document:
    """A JSON document, in whatever encoding. Raises Unusable.

    NaN, Infinity and numbers of more than DIGITS digits, which aren't JSON or of no use, become None.
    """
    if len(data) > limit:
        raise Unusable("too-large", f"> {limit} B")
    encoding = encoding_of(data) if isinstance(data, bytes) else UTF8
    text = decode(data) if isinstance(data, bytes) else data.removeprefix("\ufeff")
    try:
        value = json.loads(text, parse_constant=lambda _: None, parse_int=_parse_int, parse_float=_parse_float)
    except RecursionError as error:
        raise Unusable("too-deep", f"> {DEEPEST}") from error
    except ValueError as error:
        raise Unusable("not-json", str(error)) from error
    return Document(clean_value(value), encoding)


def clean_value(value: Any, depth: int = DEEPEST) -> Any:
    """A JSON value that every encoder takes: strings and keys cleaned, numbers bounded (else None). Raises Unusable
    where it is nested deeper than ``depth``, or no JSON value."""
    if isinstance(value, str):
        return clean_lines(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**DIGITS else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, (Mapping, list, tuple)):
        raise Unusable("not-json", type(value).__name__)
    if depth <= 0:
        raise Unusable("too-deep", f"> {DEEPEST}")
    if isinstance(value, Mapping):
        return {clean(str(key), TEXT_LIMIT): clean_value(item, depth - 1) for key, item in value.items()}
    return [clean_value(item, depth - 1) for item in value]


def is_json(value: Any) -> bool:
    """Whether the value can be sent as JSON just as it is."""
    try:
        return encodable(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return False


def whole(value: object, most: int = LARGEST) -> int:
    """A positive whole number of a foreign document, or 0: not a number, below 1, or above ``most``.

    3.0 is 3: some writers know no whole numbers.
    """
    if isinstance(value, bool):
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 < value <= most else 0


def cause_of(error: BaseException) -> str:
    """Why something failed, in the system's words."""
    if isinstance(error, OSError) and error.strerror:
        return clean(error.strerror)
    return clean(str(error) or type(error).__name__)


def encodable(text: str) -> bool:
    """Whether it is text that can be written as UTF-8: a file's name may be any bytes."""
    try:
        text.encode(UTF8)
    except UnicodeEncodeError:
        return False
    return True


def _joined(text: str) -> str:
    """Halves of one character that stand side by side are that character."""
    return _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)  # ␀ ␊ ␛
    if code == 0x7F:
        return "\u2421"
    if code < 0x100:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file's name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def _by_zeros(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, whose ASCII characters have zero bytes beside them; "" for anything else."""
    head = data[:4096]
    size = len(head) // 4 * 4
    if size < 4 or 0 not in head:
        return ""
    zeros = [head[i:size:4].count(0) / (size // 4) for i in range(4)]
    few, most = 0.1, 0.6
    if zeros[0] < few and min(zeros[1:]) > most:
        return "utf-32-le"
    if zeros[3] < few and min(zeros[:3]) > most:
        return "utf-32-be"
    if max(zeros[0], zeros[2]) < few and min(zeros[1], zeros[3]) > most:
        return "utf-16-le"
    if max(zeros[1], zeros[3]) < few and min(zeros[0], zeros[2]) > most:
        return "utf-16-be"
    return ""


def encodings_of_lines(data: bytes) -> frozenset[str]:
    """In what the lines beyond ASCII are written, each judged by itself; UTF8 stands for damaged UTF-8 too."""
    return frozenset(_line_encoding(line) for line in _LINE.findall(data) if not line.isascii())


def _decode_line(line: bytes) -> str:
    try:
        return line.decode(UTF8, "surrogatepass")
    except UnicodeDecodeError:
        return line.decode(_line_encoding(line), "backslashreplace")


def _line_encoding(line: bytes) -> str:
    """UTF-8, also with a few bad bytes or cut at an end; GB18030, which holds GBK and GB2312; the Windows Latin page,
    where letters with accents stand alone between others."""
    good = sum(not char.isascii() for char in line.decode(UTF8, "ignore"))
    bad = line.decode(UTF8, "replace").count("\ufffd") - line.count("\ufffd".encode())
    if good > bad:
        return UTF8
    runs = _HIGH_RUN.findall(line)
    encoding = "cp1252" if sum(len(run) == 1 for run in runs) * 2 > len(runs) else "gb18030"
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return UTF8
    return encoding


def _parse_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= DIGITS else None


def _parse_float(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None
