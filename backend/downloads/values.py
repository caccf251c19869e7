"""What a hub says, as values that the console and its children share. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: its path, its bytes, and its SHA-256 or (small ones of Hugging Face) git's SHA-1."""

    path: str
    size: int
    sha256: str = ""
    sha1: str = ""


@dataclass(frozen=True)
class Repository:
    """What a hub says of a repository. ``revision`` is a commit, or ModelScope's branch. ``gated``: a person must have
    asked for access, and give a token."""

    id: str
    revision: str
    files: tuple[RemoteFile, ...]
    licence: str = ""
    gated: bool = False


@dataclass(frozen=True)
class Found:
    """One answer to a search. ``downloads`` as its hub counts them."""

    id: str
    downloads: int
    gated: bool
