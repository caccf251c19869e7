"""Where the hubs' own tools keep what they downloaded: Hugging Face's cache and ModelScope's, old layouts and new.

Hugging Face: ``models--Org--Name/snapshots/COMMIT`` with links into ``blobs``. ModelScope: ``[hub/][models/]Org/Name``,
where a dot of the name is ``___``; newer versions link the true name to it.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from backend.models.kinds import HUB_PREFIX, PARTIAL
from backend.models.listing import names_in

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
PAGE = re.compile(
    r"(?:(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com|modelscope\.(?:cn|ai)/models)/|hf://)"
    r"(?P<id>[^/?#\s]+/[^/?#\s]+)(?:[/?#].*)?"
)
ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://.*|(?:www\.|huggingface\.co/|hf\.co/|hf-mirror\.com/|modelscope\.(?:cn|ai)/|github\.com/).*",
    re.IGNORECASE | re.DOTALL,
)
# What stands in an organisation's place in the addresses of the hubs' other pages.
NO_ORGANISATIONS = frozenset({
    "datasets", "spaces", "models", "studios", "collections", "papers", "docs", "blog", "learn", "posts", "api",
})  # fmt: skip
DOT = "___"
COPIED = re.compile(r"(?<=\d)___(?=\d)")


def hub_cache() -> Path:
    """The Hugging Face cache that downloads go to, by huggingface_hub's rules."""
    return hugging_face_caches()[0]


def hugging_face_caches() -> tuple[Path, ...]:
    """Every folder that is or was a Hugging Face cache, by its environment variables; the first is today's.

    HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub; transformers' own, older ones.
    """
    home = _variable("HF_HOME")
    default = (_variable("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "huggingface" / "hub"
    folders = [
        _variable("HF_HUB_CACHE"),
        _variable("HUGGINGFACE_HUB_CACHE"),
        home / "hub" if home else None,
        default,
        _variable("TRANSFORMERS_CACHE"),
        _variable("PYTORCH_TRANSFORMERS_CACHE"),
    ]
    return tuple(dict.fromkeys(path for path in folders if path is not None))


def modelscope_caches() -> tuple[Path, ...]:
    """Every folder that may hold ModelScope's ``Org/Name``: MODELSCOPE_CACHE, MODELSCOPE_HOME, ~/.cache/modelscope,
    each itself and with ``hub``, ``models``, ``hub/models``, as its versions have had it."""
    default = (_variable("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "modelscope"
    given = [
        _variable("MODELSCOPE_CACHE"),
        _variable("MODELSCOPE_HOME"),
        default,
        Path("~/.cache/modelscope").expanduser(),
    ]
    bases = dict.fromkeys(path for path in given if path is not None)
    below = ("models", "hub/models", "hub", "")
    return tuple(dict.fromkeys(base / inner if inner else base for base in bases for inner in below))


def modelscope_download_cache() -> Path:
    """The folder of ``Org/Name`` that all of ModelScope's versions look into first: what is loaded goes there."""
    given = _variable("MODELSCOPE_CACHE")
    return given / "models" if given else Path("~/.cache/modelscope/hub/models").expanduser()


def modelscope_name(folder: str) -> str:
    """``Qwen2___5-7B`` → ``Qwen2.5-7B``, as ModelScope's cache has it."""
    return folder.replace(DOT, ".")


def copied_name(folder: str) -> str:
    """As ``modelscope_name``, for a folder of any root: only a number's point is sure to have been one."""
    return COPIED.sub(".", folder)


def repository_name(folder: str) -> str:
    """``models--Org--Name`` → ``Org/Name``."""
    return folder.removeprefix(HUB_PREFIX).replace("--", "/")


def hub_snapshot(repository: Path, is_model: Callable[[list[str]], bool]) -> Path | None:
    """The snapshot of a cached hub repository that ``main`` or ``master`` names, else the newest with a model."""
    snapshots = repository / "snapshots"
    for branch in ("main", "master"):
        try:
            with (repository / "refs" / branch).open(encoding="utf-8") as stream:
                commit = stream.read(200).strip()
        except (OSError, ValueError):
            continue
        if commit and os.path.basename(commit) == commit and is_model(names_in(snapshots / commit)):
            return snapshots / commit
    revisions = [snapshots / name for name in names_in(snapshots) if is_model(names_in(snapshots / name))]
    return max(revisions, key=_modified, default=None)


def is_downloading(repository: Path) -> bool:
    """Whether a download into a cached repository began and isn't whole."""
    return any(PARTIAL.fullmatch(name) for name in names_in(repository / "blobs"))


def hub_id(text: str) -> str:
    """The hub's name in what a person typed or pasted: itself, or the address of its page; "" for anything else."""
    if page := PAGE.fullmatch(text):
        name = page["id"].removesuffix(".git")
        return name if HUB_ID.fullmatch(name) and name.split("/")[0] not in NO_ORGANISATIONS else ""
    return text if HUB_ID.fullmatch(text) else ""


def is_address(text: str) -> bool:
    """Whether it is the address of a page, of a model or of anything else."""
    return ADDRESS.fullmatch(text) is not None


def _variable(name: str) -> Path | None:
    """A folder that an environment variable names, ~ and $NAMES filled in; None where it is unset or empty.

    A home that there isn't ("~nobody") stays as it is written: pathlib's own expansion would raise.
    """
    value = os.environ.get(name, "").strip()
    return Path(os.path.expanduser(os.path.expandvars(value))) if value else None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
