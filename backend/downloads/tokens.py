"""Tokens for gated models: one file for each hub's address, readable by this user alone, as keys are kept."""

import hashlib
from pathlib import Path

from backend.downloads.sources import Source
from backend.errors import InvalidInput, Message
from backend.servers.keys import no_key_file
from backend.whole_file import write_whole

MOST_CHARACTERS = 500


class Tokens:
    """The tokens that this console keeps. What stands in a file never goes to a page, a log or a process list."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, source: Source) -> Path:
        """Where the token of that hub is, or would be."""
        digest = hashlib.sha256(source.endpoint.encode()).hexdigest()[:16]
        return self._folder / f"hub-{digest}.token"

    def has(self, source: Source) -> bool:
        """Whether one is kept."""
        return self.file(source).exists()

    def keep(self, source: Source, token: str) -> None:
        """Keep it in the place of an earlier one; "" forgets that. Raises InvalidInput (field token), Unavailable."""
        text = token.strip()
        if len(text) > MOST_CHARACTERS or not text.isascii() or (text and not text.isprintable()) or " " in text:
            raise InvalidInput(Message("downloads.bad-token", {"source": source.name}, "token"))
        file = self.file(source)
        try:
            if text:
                write_whole(file, text)
            else:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise no_key_file(file, error) from error
