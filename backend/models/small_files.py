"""Whether the files beside a checkpoint's weights are what their names say: tokenizer, its settings, the processor's.

A download that failed often leaves an empty file, or the hub's refusal in its place.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from backend.errors import Level, Message
from backend.models.checkpoint import ModelInfo
from backend.models.weights import HEAD_BYTES
from backend.outside_text import Unusable, clean, decode, open_regular, read_bytes, read_json

TOKENIZER = "tokenizer.json"
VOCABULARY = "tokenizer.model"
SETTINGS = "tokenizer_config.json"
# Read only where the settings don't hold the tokens themselves (transformers, tokenization_utils_base.py).
LEGACY = ("special_tokens_map.json", "added_tokens.json")
TOKENS = "added_tokens_decoder"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
DEFAULTS = "generation_config.json"
MOST_TOKENIZER_BYTES = 64 << 20
PIECES = b"\n"  # a SentencePiece model: the field of its first piece
RANKS = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")  # tiktoken's, which Llama 3 and Kimi have under this name


def broken_files(model: ModelInfo) -> Iterator[Message]:
    """What is to be said of each. An error ends a server as it loads; without a file of a warning it goes on."""
    folder = model.path
    yield from _tokenizer(folder)
    settings, keys = _object(folder / SETTINGS)
    yield from settings
    levels: dict[str, Level] = dict.fromkeys(LEGACY, "warning" if TOKENS in keys else "error")
    levels |= dict.fromkeys(PROCESSORS, "error" if model.takes_images else "warning")
    for name, level in {**levels, DEFAULTS: "warning"}.items():
        for message in _object(folder / name)[0]:
            yield Message(message.key, message.params, message.field, level)


def _tokenizer(folder: Path) -> Iterator[Message]:
    """The file that is read: tokenizer.json, without it SentencePiece's."""
    file = folder / TOKENIZER if os.path.exists(folder / TOKENIZER) else folder / VOCABULARY
    try:
        about = file.stat()
    except OSError:
        return
    look = _no_tokenizer if file.name == TOKENIZER else _no_vocabulary
    if about.st_size <= MOST_TOKENIZER_BYTES and (cause := look(file, about.st_mtime_ns, about.st_size)):
        yield Message("models.tokenizer-broken", {"file": str(file), "cause": cause}, "model")


def _object(file: Path) -> tuple[tuple[Message, ...], frozenset[str]]:
    """What is wrong with a file of settings, and its keys. One that isn't there, or can't be read, has neither."""
    try:
        about = file.stat()
    except OSError:
        return (), frozenset()
    cause, keys = _no_object(file, about.st_mtime_ns, about.st_size)
    message = Message("models.bad-json", {"file": str(file), "cause": cause}, "model")
    return ((message,) if cause else ()), keys


@lru_cache(maxsize=64)
def _no_tokenizer(file: Path, _changed_ns: int, _size: int) -> str:
    """Why the file is no tokenizer; "" where it looks like one. Some 100 ms for 100,000 words, once."""
    try:
        value = json.loads(read_bytes(file, MOST_TOKENIZER_BYTES))
    except (ValueError, RecursionError) as error:
        return clean(str(error), 200)
    return "" if isinstance(value, dict) and isinstance(value.get("model"), dict) else 'no "model"'


@lru_cache(maxsize=64)
def _no_vocabulary(file: Path, _changed_ns: int, size: int) -> str:
    """Why the file is neither SentencePiece's nor tiktoken's; "" where it begins like one."""
    try:
        with open_regular(file) as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        return clean(str(error), 200)
    if head.startswith(PIECES) or RANKS.match(head):
        return ""
    return clean(decode(head), 80) if head.isascii() and head.strip() else f"{size} B"


@lru_cache(maxsize=64)
def _no_object(file: Path, _changed_ns: int, size: int) -> tuple[str, frozenset[str]]:
    """Why the file holds no JSON object, "" where it does; and the object's keys."""
    try:
        value = read_json(file).value
    except Unusable as error:
        return (str(error) if size else "0 B") if error.key == "not-json" else "", frozenset()
    return ("", frozenset(value)) if isinstance(value, dict) else (type(value).__name__, frozenset())
