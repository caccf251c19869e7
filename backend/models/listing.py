"""What lies in a folder, in one look: names, sizes, times, and what a link leads to. Nothing is opened."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

MOST_ENTRIES = 5000  # of one folder; the largest checkpoints have some 400 files
# Looked for by name where a folder has more: somebody's pictures may lie beside a model.
SURE = ("config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json")


class Entry(NamedTuple):
    """One name in a folder. ``size`` is in bytes, ``changed`` in ns; 0 = not known.

    ``kind``: "file", "folder", "dangling" (a link to nothing, or in a circle), "other" (a pipe, a device, a socket),
    "refused" (it may not be looked at).
    """

    name: str
    kind: str
    size: int = 0
    changed: int = 0


Signature = tuple[Entry, ...]


@dataclass(frozen=True)
class Listing:
    """The entries of a folder by name; ``left_out``: there are more than MOST_ENTRIES."""

    path: Path
    entries: Mapping[str, Entry] = field(default_factory=dict)
    left_out: bool = False

    def files(self) -> Iterator[Entry]:
        """What can be read."""
        return (entry for entry in self.entries.values() if entry.kind == "file")

    def has(self, *names: str) -> bool:
        """Whether one of the names stands there, whatever it is."""
        return any(name in self.entries for name in names)

    def is_file(self, name: str) -> bool:
        """Whether it can be read."""
        return name in self.entries and self.entries[name].kind == "file"

    def of_kind(self, kind: str) -> list[str]:
        """The names of that kind."""
        return [entry.name for entry in self.entries.values() if entry.kind == kind]

    @property
    def size_bytes(self) -> int:
        """All files of the folder itself."""
        return sum(entry.size for entry in self.files())

    @property
    def signature(self) -> Signature:
        """The same signature means the same content. A link to nothing is another one once it leads somewhere."""
        return tuple(self.entries.values())


def list_folder(path: Path) -> Listing:
    """The folder's listing, sorted by name. Raises OSError where it can't be listed."""
    with os.scandir(path) as found:
        entries = [_described(item.name, item) for _, item in zip(range(MOST_ENTRIES), found, strict=False)]
        left_out = next(found, None) is not None
    if left_out:
        seen = {entry.name for entry in entries}
        entries += [_described(name, path / name) for name in SURE if name not in seen and os.path.lexists(path / name)]
    return Listing(path, {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}, left_out)


def names_in(path: Path) -> list[str]:
    """Only the names, which is faster; none where it can't be listed."""
    try:
        with os.scandir(path) as found:
            names = [item.name for _, item in zip(range(MOST_ENTRIES), found, strict=False)]
        if len(names) == MOST_ENTRIES:
            names += [name for name in SURE if name not in names and os.path.lexists(path / name)]
        return names
    except (OSError, ValueError):
        return []


def _described(name: str, item: os.DirEntry[str] | Path) -> Entry:
    try:
        status = item.stat()
    except PermissionError:
        return Entry(name, "refused")
    except OSError:
        return Entry(name, "dangling")
    if stat.S_ISREG(status.st_mode):
        return Entry(name, "file", status.st_size, status.st_mtime_ns)
    kind = "folder" if stat.S_ISDIR(status.st_mode) else "other"
    return Entry(name, kind, 0, status.st_mtime_ns if kind == "folder" else 0)
