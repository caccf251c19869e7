"""What a person means who types or pastes a model's name, folder or page in a form of another program. Pure, but for
the environment's variables."""

import os
import re
from urllib.parse import unquote, urlsplit

# "Copy as path", a line of a script, a chat.
QUOTES = (('"', '"'), ("'", "'"), ("`", "`"), ("\u201c", "\u201d"), ("\u2018", "\u2019"))
ESCAPED = re.compile(r"\\([^\w/])", re.ASCII)


def meant(text: str) -> str:
    """Without quotes around it; an address of this machine's files, a shell's escapes and $HOME as the path that they
    stand for. Anything else as it is."""
    typed = text.strip()
    for first, last in QUOTES:
        if len(typed) > 1 and typed.startswith(first) and typed.endswith(last):
            typed = typed[1:-1].strip()
    if typed.lower().startswith("file:"):
        return _path_of(typed)
    if typed.startswith("$"):
        typed = os.path.expandvars(typed)
    return ESCAPED.sub(r"\1", typed) if typed.startswith(("/", "~")) else typed


def _path_of(address: str) -> str:
    """The path in a file:// address of this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return unquote(parts.path) if parts.netloc in ("", "localhost") and parts.path.startswith("/") else address
