"""The models on this machine: folders below a few roots, and the Hugging Face cache."""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.errors import InvalidInput, Message
from backend.models.checkpoint import ModelInfo, read_model
from backend.settings import Settings

DEMO_MODEL = Path(__file__).resolve().parents[2] / "assets" / "demo_model"
HUB_PREFIX = "models--"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
MOST_ENTRIES = 2000  # of one root: a home folder given by mistake must not stall the page

Signature = tuple[tuple[str, int, int], ...]


def default_roots(settings: Settings) -> tuple[Path, ...]:
    """Where models are looked for: ``--models``, ~/models, /root/models, the Hugging Face cache, the bundled model."""
    return (*settings.models, Path.home() / "models", Path("/root/models"), hub_cache(), DEMO_MODEL)


def hub_cache() -> Path:
    """The Hugging Face cache, by huggingface_hub's rules: HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


class Catalog:
    """What the roots hold. A folder is read again only when its files changed. Safe to call from any thread."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(roots)
        self._known: dict[Path, tuple[Signature, ModelInfo]] = {}
        self._lock = threading.Lock()

    def models(self) -> tuple[ModelInfo, ...]:
        """Every model folder of the roots, one or two levels deep (``name`` or ``org/name``), each once, by name.

        Roots that don't exist or may not be read are left out; broken model folders are in it, with their ``problem``.
        """
        found: dict[str, tuple[Path, str]] = {}
        for root in self.roots:
            for path, name in _folders(root):
                found.setdefault(os.path.realpath(path), (path, name))
        with self._lock:
            models = [self._read(path, name) for path, name in found.values()]
            kept = {path for path, _ in found.values()}
            self._known = {path: known for path, known in self._known.items() if path in kept}
        return tuple(sorted(models, key=lambda model: (model.name.casefold(), str(model.path))))

    def find(self, text: str) -> ModelInfo:
        """The model that a typed folder, a listed name or a hub id names.

        Raises InvalidInput (field deploy-model) for nothing typed, a folder that is missing, unreadable or broken, and
        a name that is neither listed nor in the Hugging Face cache.
        """
        model = self.find_or_hub(text)
        if model is None:
            raise InvalidInput(Message("models.not-here", {"model": text.strip()}, "deploy-model"))
        return model

    def find_or_hub(self, text: str) -> ModelInfo | None:
        """As ``find``, but None for a hub id (``org/name``) that isn't on this machine: the engine downloads it."""
        typed = text.strip()
        if not typed:
            raise InvalidInput(Message("models.nothing-chosen", field="deploy-model"))
        if "\0" in typed:
            raise InvalidInput(Message("models.not-found", {"model": typed.replace("\0", "␀")}, "deploy-model"))
        listed = {model.name: model for model in reversed(self.models())}
        if typed in listed:
            model = listed[typed]
        elif looks_like_path(typed) or os.path.isdir(typed):
            model = self._at(Path(os.path.abspath(os.path.expanduser(typed))))
        elif HUB_ID.fullmatch(typed):
            return None
        else:
            raise InvalidInput(Message("models.not-found", {"model": typed}, "deploy-model"))
        if model.problem is not None:
            raise InvalidInput(Message(model.problem.key, model.problem.params, "deploy-model"))
        return model

    def _at(self, path: Path) -> ModelInfo:
        try:
            if not path.exists():
                raise InvalidInput(Message("models.missing-folder", {"path": str(path)}, "deploy-model"))
            if not path.is_dir():
                raise InvalidInput(Message("models.not-a-folder", {"path": str(path)}, "deploy-model"))
        except OSError as error:
            params = {"path": str(path), "cause": error.strerror or str(error)}
            raise InvalidInput(Message("models.unreadable", params, "deploy-model")) from error
        name = next((name for root in self.roots for folder, name in _folders(root) if folder == path), path.name)
        with self._lock:
            return self._read(path, name)

    def _read(self, path: Path, name: str) -> ModelInfo:
        signature = _signature(path)
        known = self._known.get(path)
        if known is not None and known[0] == signature and known[1].name == name:
            return known[1]
        model = read_model(path, name)
        self._known[path] = (signature, model)
        return model


def looks_like_path(text: str) -> bool:
    """Whether it can only be meant as a folder, not as a hub id (``org/name``)."""
    return text.startswith(("/", "~", ".")) or text.count("/") > 1


def _folders(root: Path) -> Iterator[tuple[Path, str]]:
    """Model folders below a root with their names; the root itself where it is one."""
    if _is_model(root):
        yield root, root.name
        return
    for entry in _subfolders(root):
        path = root / entry
        if entry.startswith(HUB_PREFIX):
            snapshot = _hub_snapshot(path)
            if snapshot is not None:
                yield snapshot, entry.removeprefix(HUB_PREFIX).replace("--", "/")
        elif _is_model(path):
            yield path, entry
        elif inner := [name for name in _subfolders(path) if _is_model(path / name)]:
            yield from ((path / name, f"{entry}/{name}") for name in inner)


def _subfolders(folder: Path) -> list[str]:
    """Names of the folders in it, symlinks to folders included; none where it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                e.name
                for _, e in zip(range(MOST_ENTRIES), entries, strict=False)
                if not e.name.startswith(".") and e.is_dir()
            )
    except OSError:
        return []


def _is_model(folder: Path) -> bool:
    """A config.json or weights make a folder a model, complete or broken."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for _, entry in zip(range(MOST_ENTRIES), entries, strict=False)]
    except OSError:
        return False
    return "config.json" in names or any(name.endswith((".safetensors", ".safetensors.index.json")) for name in names)


def _hub_snapshot(repository: Path) -> Path | None:
    """The snapshot of a cached hub repository that ``main`` names, else the newest that holds a model."""
    snapshots = repository / "snapshots"
    try:
        commit = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    if commit and os.path.basename(commit) == commit and _is_model(snapshots / commit):
        return snapshots / commit
    held = [snapshots / name for name in _subfolders(snapshots) if _is_model(snapshots / name)]
    return max(held, key=_modified, default=None)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _signature(path: Path) -> Signature:
    """Name, size and mtime of the folder's files: the same signature means the same model."""
    try:
        with os.scandir(path) as entries:
            stats = ((entry.name, entry.stat()) for entry in entries)
            return tuple(sorted((name, status.st_size, status.st_mtime_ns) for name, status in stats))
    except OSError:
        return ()
