"""Calibration texts that people give: checked, kept by content, and laid out as auto_awq finds them without a network.

auto_awq calls ``load_dataset('wikitext', 'wikitext-2-raw-v1', split='train')``; a folder named ``wikitext`` in the
working directory, with a README.md that names the text file, is taken for it.
"""

import hashlib
import json
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from backend.errors import Message, NotFound, Unavailable
from backend.message_document import message_from_json, message_to_json
from backend.private_folders import make_private
from backend.quantization import text_files
from backend.quantization.text_files import Reading

FIELD = "text"
DATASET_FOLDER = "wikitext"
TEXT_FILE = "train.txt"
CARD_FILE = "README.md"
ABOUT = "about.json"
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


@dataclass(frozen=True)
class KeptText:
    """A calibration text on disk. ``folder`` is what auto_awq's working directory must be; ``characters`` are the
    file's bytes. ``form``, ``records`` and ``notices`` are what its Reading said."""

    id: str
    folder: Path
    characters: int
    name: str
    form: str = "plain"
    records: int = 0
    notices: tuple[Message, ...] = ()

    @property
    def file(self) -> Path:
        """The text itself, UTF-8."""
        return self.folder / DATASET_FOLDER / TEXT_FILE

    def is_longer(self, characters: int) -> bool:
        """Whether it has more characters than that."""
        if self.characters <= characters:
            return False
        with self.file.open(encoding="utf-8") as file:
            return len(file.read(characters + 1)) > characters

    def samples(self, count: int, characters: int) -> tuple[str, ...]:
        """Its first pieces, for a person to see what was read."""
        with self.file.open(encoding="utf-8") as file:
            return tuple(text_files.samples_of(file.read(50 * characters), count, characters))


def decode(content: bytes, name: str) -> str:
    """The text of an uploaded or pasted file's content, in whatever form and encoding. Raises InvalidInput."""
    return text_files.read(content, name).text


class KeptTexts:
    """The texts of one state directory, by their content's hash. Safe to call from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep_reading(self, reading: Reading, name: str) -> KeptText:
        """Keep what was read, with what there is to know of it."""
        return self.keep(reading.text, name, reading)

    def keep(self, text: str, name: str = "", reading: Reading | None = None) -> KeptText:
        """Write the text where a job can use it, once. Raises Unavailable where there is no space."""
        text_id = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = self._folder / text_id
        if not _is_whole(folder):
            draft = self._folder / f".{text_id}.{secrets.token_hex(4)}.part"
            try:
                _lay_out(draft, text)
                _write_about(draft, name, reading)
                if not _is_whole(folder):
                    shutil.rmtree(folder, ignore_errors=True)
                draft.rename(folder)
            except OSError as error:
                shutil.rmtree(draft, ignore_errors=True)
                if not _is_whole(folder):  # nor has another call kept it meanwhile
                    params = {"path": str(folder), "error": error.strerror or str(error)}
                    raise Unavailable(Message("quantize.text.not-kept", params, FIELD)) from error
        elif reading is not None:  # the same text, perhaps from another file this time
            with suppress(OSError):
                _write_about(folder, name, reading)
        return self.get(text_id)

    def get(self, text_id: str) -> KeptText:
        """A kept text. Raises NotFound."""
        folder = self._folder / text_id
        if not text_id.isalnum() or not _is_whole(folder):
            raise NotFound(Message("quantize.text.gone", field=FIELD))
        size = (folder / DATASET_FOLDER / TEXT_FILE).stat().st_size
        return replace(_about(folder), id=text_id, folder=folder, characters=size)

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


def _is_whole(folder: Path) -> bool:
    """Whether auto_awq finds a text there. A removal that was cut off leaves a part."""
    return all((folder / DATASET_FOLDER / name).is_file() for name in (CARD_FILE, TEXT_FILE))


def _lay_out(folder: Path, text: str) -> None:
    dataset = folder / DATASET_FOLDER
    make_private(dataset, must_be_new=True)
    (dataset / CARD_FILE).write_text(CARD, encoding="utf-8")
    (dataset / TEXT_FILE).write_text(text, encoding="utf-8")


def _write_about(folder: Path, name: str, reading: Reading | None) -> None:
    about: dict[str, object] = {}
    if reading is not None:
        notices = [message_to_json(notice) for notice in reading.notices]
        about = {"form": reading.form, "records": reading.records, "notices": notices}
    (folder / "name").write_text(name, encoding="utf-8", errors="replace")
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _about(folder: Path) -> KeptText:
    """What is known of a kept text beside itself; of one that an earlier console kept, its name alone."""
    name = (folder / "name").read_text(encoding="utf-8") if (folder / "name").exists() else ""
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        notices = tuple(message_from_json(notice) for notice in about.get("notices", ()))
        return KeptText("", folder, 0, name, str(about.get("form", "plain")), int(about.get("records", 0)), notices)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return KeptText("", folder, 0, name)
