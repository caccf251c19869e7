"""Calibration texts that people give: checked, kept by content, and laid out as auto_awq finds them without a network.

auto_awq calls ``load_dataset('wikitext', 'wikitext-2-raw-v1', split='train')``; a folder named ``wikitext`` in the
working directory, with a README.md that names the text file, is taken for it.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from backend.errors import InvalidInput, Message, NotFound, Unavailable, Value

FIELD = "quantize-text"
DATASET_FOLDER = "wikitext"
TEXT_FILE = "train.txt"
MOST_BYTES = 64 << 20
MOST_KEPT = 50
CARD = """---
configs:
- config_name: wikitext-2-raw-v1
  data_files:
  - split: train
    path: train.txt
---
"""
DEMO_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "calibration"
# The fields that hold the text in common JSONL data; messages and conversations are lists of turns.
_TEXT_FIELDS = ("text", "content", "output", "answer", "response")
_TURN_LISTS = ("messages", "conversations", "conversation")
_TURN_FIELDS = ("content", "value")


@dataclass(frozen=True)
class KeptText:
    """A calibration text on disk. ``folder`` is what auto_awq's working directory must be."""

    id: str
    folder: Path
    characters: int
    name: str

    @property
    def file(self) -> Path:
        """The text itself, UTF-8."""
        return self.folder / DATASET_FOLDER / TEXT_FILE


def decode(content: bytes, name: str) -> str:
    """The text of an uploaded or pasted file: plain, or one JSON object a line. Raises InvalidInput.

    Refused: nothing, more than MOST_BYTES, zero bytes in it (a binary file), another encoding than UTF-8, JSONL whose
    objects hold no text.
    """
    if len(content) > MOST_BYTES:
        raise too_large(name, len(content))
    if b"\0" in content[:4096] or b"\0" in content:
        key = "quantize.text.encoding" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "quantize.text.binary"
        raise InvalidInput(Message(key, {"name": name, "encoding": "UTF-16"}, FIELD))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            Message("quantize.text.not-utf8", {"name": name, "byte": error.start, "guess": _guess(content)}, FIELD)
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _looks_like_jsonl(text):
        text = _from_jsonl(text, name)
    if not text.strip():
        raise InvalidInput(Message("quantize.text.empty", {"name": name}, FIELD))
    return text


def too_large(name: str, size: int) -> InvalidInput:
    """The error for a text of ``size`` bytes."""
    return InvalidInput(
        Message("quantize.text.large", {"name": name, "mib": size >> 20, "most": MOST_BYTES >> 20}, FIELD)
    )


def read_upload(file: Path, name: str) -> str:
    """The text of an uploaded file; its size is looked at before it is read. Raises InvalidInput."""
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise too_large(name, size)
        return decode(file.read_bytes(), name)
    except OSError as error:
        params = {"name": name, "error": error.strerror or str(error)}
        raise InvalidInput(Message("quantize.text.unreadable", params, FIELD)) from error


class KeptTexts:
    """The texts of one state directory, by their content's hash. Safe to call from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, text: str, name: str = "") -> KeptText:
        """Write the text where a job can use it, once. Raises Unavailable where there is no space."""
        text_id = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = self._folder / text_id
        if not folder.is_dir():
            draft = self._folder / f".{text_id}.part"
            try:
                shutil.rmtree(draft, ignore_errors=True)
                _lay_out(draft, text)
                (draft / "name").write_text(name, encoding="utf-8")
                draft.rename(folder)
            except FileExistsError:
                shutil.rmtree(draft, ignore_errors=True)
            except OSError as error:
                shutil.rmtree(draft, ignore_errors=True)
                if not folder.is_dir():
                    params = {"path": str(folder), "error": error.strerror or str(error)}
                    raise Unavailable(Message("quantize.text.not-kept", params, FIELD)) from error
        return self.get(text_id)

    def get(self, text_id: str) -> KeptText:
        """A kept text. Raises NotFound."""
        folder = self._folder / text_id
        if not text_id.isalnum() or not folder.is_dir():
            raise NotFound(Message("quantize.text.gone", field=FIELD))
        name = (folder / "name").read_text(encoding="utf-8") if (folder / "name").exists() else ""
        return KeptText(text_id, folder, (folder / DATASET_FOLDER / TEXT_FILE).stat().st_size, name)

    def forget_others(self, used: set[str]) -> None:
        """Remove the oldest texts that no job uses, beyond MOST_KEPT."""
        if not self._folder.is_dir():
            return
        kept = sorted((f for f in self._folder.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime, reverse=True)
        for folder in kept[MOST_KEPT:]:
            if folder.name not in used:
                shutil.rmtree(folder, ignore_errors=True)


def demo_text() -> KeptText:
    """The text that comes with the console."""
    file = DEMO_FOLDER / DATASET_FOLDER / TEXT_FILE
    return KeptText("demo", DEMO_FOLDER, file.stat().st_size, TEXT_FILE)


def _lay_out(folder: Path, text: str) -> None:
    dataset = folder / DATASET_FOLDER
    dataset.mkdir(parents=True)
    (dataset / "README.md").write_text(CARD, encoding="utf-8")
    (dataset / TEXT_FILE).write_text(text, encoding="utf-8")


def _looks_like_jsonl(text: str) -> bool:
    first = next((line for line in text.split("\n", 50) if line.strip()), "").strip()
    if not first.startswith("{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _from_jsonl(text: str, name: str) -> str:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            params: dict[str, Value] = {"name": name, "line": number, "error": str(error)}
            raise InvalidInput(Message("quantize.text.bad-jsonl", params, FIELD)) from error
        found.append(_text_of(value))
    if not any(found):
        fields = ", ".join((*_TEXT_FIELDS, *_TURN_LISTS))
        raise InvalidInput(Message("quantize.text.no-text", {"name": name, "fields": fields}, FIELD))
    return "\n".join(part for part in found if part)


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    turns = next((value[key] for key in _TURN_LISTS if isinstance(value.get(key), list)), None)
    if turns is not None:
        parts = (_first(turn, _TURN_FIELDS) for turn in turns)
        return "\n".join(part for part in parts if part)
    return _first(value, _TEXT_FIELDS)


def _first(value: object, keys: tuple[str, ...]) -> str:
    if not isinstance(value, dict):
        return ""
    return next((value[key] for key in keys if isinstance(value.get(key), str) and value[key]), "")


def _guess(content: bytes) -> str:
    """A likely encoding, to name in the message."""
    for encoding in ("gb18030", "big5"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding.upper()
    return "latin-1"
