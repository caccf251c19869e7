"""What a model's folder says of its chat template, read without Jinja."""

import contextlib
import os
import stat
from pathlib import Path

TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
TEMPLATE_BYTES = 1024 * 1024
TOKENIZER = "tokenizer.json"
ADDED_BYTES = 512 * 1024  # the added tokens stand at the file's beginning


def template_of(folder: Path) -> str:
    """The text of the files in a model's folder that may hold its chat template; "" where there is none."""
    if not folder.is_absolute():
        return ""
    return "".join(_head(folder / name, TEMPLATE_BYTES) for name in TEMPLATE_FILES)


def has_token(folder: Path, token: str) -> bool:
    """Whether the vocabulary has that text as one token of its own, as far as the files' beginnings tell."""
    if not folder.is_absolute():
        return False
    for name, size in (("tokenizer_config.json", TEMPLATE_BYTES), (TOKENIZER, ADDED_BYTES)):
        text = _head(folder / name, size)
        if f'"content": "{token}"' in text or f'"content":"{token}"' in text or f'"{token}":' in text:
            return True
    return False


def _head(path: Path, size: int) -> str:
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file.read(size).decode("utf-8", "replace")
    return ""
