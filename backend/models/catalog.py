"""The models on this machine: folders below a few roots, and the caches of both hubs."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backend.errors import InvalidInput, Message
from backend.machine.flags import Capabilities, snapshot
from backend.models.checkpoint import ModelInfo, broken_model, read_model
from backend.models.hubs import (
    HUB_ID,
    copied_name,
    hub_cache,
    hub_id,
    hub_snapshot,
    hugging_face_caches,
    is_address,
    is_downloading,
    modelscope_caches,
    modelscope_name,
    repository_name,
)
from backend.models.kinds import HUB_PREFIX, file_alone, is_model_folder, is_odd_folder, is_whole
from backend.models.listing import MOST_ENTRIES, Signature, list_folder, names_in
from backend.models.typed import meant
from backend.outside_text import cause_of, clean, encodable
from backend.settings import Settings

__all__ = ["DEMO_MODEL", "HUB_ID", "Catalog", "default_roots", "hub_cache", "looks_like_path"]

DEMO_MODEL = Path(__file__).resolve().parents[2] / "assets" / "demo_model"
NO_MODELS = frozenset({"lost+found"})
HUB_FOLDERS = frozenset({"hub", "models"})  # of a hub's cache that was copied, or given by its upper folder
# Where course machines have their models, for all to link to: InternLM's camps, and what others have made of it.
COURSE_BASES = ("/root/share", "/share")
COURSE_FOLDERS = ("new_models", "model_repos", "pre_models", "models", "temp/model_repos", "")

# A folder to read: its path, its name, and why it can't be read where that is known already.
Found = tuple[Path, str, Message | None]
# What of the capabilities a model's facts depend on.
Facts = tuple[object, ...]


def own_roots(settings: Settings) -> tuple[Path, ...]:
    """The models folders that a person fills: ``--models``, ~/models, /root/models."""
    return tuple(dict.fromkeys((*settings.models, Path.home() / "models", Path("/root/models"))))


def default_roots(settings: Settings) -> tuple[Path, ...]:
    """Where models are looked for: a person's own folders, what courses share, the hubs' caches, the bundled model."""
    shared = (Path(base) / inner for base in COURSE_BASES for inner in COURSE_FOLDERS)
    return (*own_roots(settings), *shared, *hugging_face_caches(), *modelscope_caches(), DEMO_MODEL)


class Catalog:
    """What the roots hold. A folder is read again only when its files changed. Safe to call from any thread.

    ``known`` gives what this machine's LMDeploy says of architectures.
    """

    def __init__(self, roots: Sequence[Path], known: Callable[[], Capabilities] = snapshot) -> None:
        self.roots = tuple(roots)
        self._capabilities = known
        self._known: dict[Path, tuple[Signature, Facts, ModelInfo]] = {}
        self._lock = threading.Lock()  # of the dict alone: no disk is waited for under it

    def capabilities(self) -> Capabilities:
        """What this machine's LMDeploy says of architectures."""
        return self._capabilities()

    def models(self) -> tuple[ModelInfo, ...]:
        """Every model folder of the roots, one or two levels deep (``name`` or ``org/name``), each once, by name.

        Roots that don't exist or may not be read are left out; broken model folders are in it, with their ``problem``.
        """
        folders: dict[str, Found] = {}
        scope = frozenset(modelscope_caches())
        for root in self.roots:
            for item in _folders(root, root in scope):
                folders.setdefault(_real(item[0]), item)
        capabilities = self._capabilities()
        models = [self._read(item, capabilities) for item in folders.values()]
        kept = {path for path, _, _ in folders.values()}
        with self._lock:
            self._known = {path: known for path, known in self._known.items() if path in kept}
        return tuple(sorted(models, key=lambda model: (model.name.casefold(), str(model.path))))

    def find(self, text: str) -> ModelInfo:
        """The model that a typed folder, a listed name or a hub id names.

        Raises InvalidInput (field model) for nothing typed, a folder that is missing, unreadable or broken, and a name
        that is neither listed nor in a hub's cache.
        """
        model = self.find_or_hub(text)
        if model is None:
            raise InvalidInput(Message("models.not-here", {"model": hub_id(meant(text))}, "model"))
        return model

    def find_or_hub(self, text: str) -> ModelInfo | None:
        """As ``find``, but None for a hub id (``org/name``) that isn't on this machine: the engine downloads it."""
        typed = text.strip()
        if not typed:
            raise InvalidInput(Message("models.nothing-chosen", field="model"))
        if "\0" in typed:
            raise InvalidInput(Message("models.not-found", {"model": clean(typed)}, "model"))
        models = self.models()
        model = _listed(models, typed)
        if model is None and not (encodable(typed) and _is_folder(typed)):  # quotes can be a folder's own
            typed = meant(typed)
            model = _listed(models, typed)
        if model is None:
            if not encodable(typed):  # no path on this machine's disks, and no name
                raise InvalidInput(Message("models.not-found", {"model": clean(typed)}, "model"))
            if _is_folder(typed) or (looks_like_path(typed) and not is_address(typed) and not typed.startswith("$")):
                model = self._at(Path(os.path.abspath(os.path.expanduser(typed))))
            elif hub_id(typed):
                return None
            elif is_address(typed):
                raise InvalidInput(Message("models.no-page", {"value": _typed(typed)}, "model"))
            else:
                raise InvalidInput(Message("models.not-found", {"model": _typed(typed)}, "model"))
        if model.problem is not None:
            raise InvalidInput(Message(model.problem.key, model.problem.params, "model"))
        return model

    def _at(self, path: Path) -> ModelInfo:
        shown = _typed(str(path))
        try:
            if not path.exists():
                raise InvalidInput(Message("models.missing-folder", {"path": shown}, "model"))
            if not path.is_dir():
                raise InvalidInput(file_alone(path) or Message("models.not-a-folder", {"path": shown}, "model"))
        except (OSError, ValueError) as error:
            params = {"path": shown, "cause": cause_of(error)}
            raise InvalidInput(Message("models.unreadable", params, "model")) from error
        if path.name.startswith(HUB_PREFIX):  # a cached repository: people copy the folder that has the name
            return self._read((_snapshot(path) or path, repository_name(path.name), None), self._capabilities())
        scope = frozenset(modelscope_caches())
        listed = (item for root in self.roots for item in _folders(root, root in scope))
        name = next((name for folder, name, _ in listed if folder == path), path.name)
        return self._read((path, name, None), self._capabilities())

    def _read(self, item: Found, capabilities: Capabilities) -> ModelInfo:
        path, name, problem = item
        if problem is not None:
            return broken_model(path, name, problem)
        try:
            signature = list_folder(path).signature
        except (OSError, ValueError):
            signature = ()
        facts = (capabilities.vision, capabilities.turbomind_architectures, capabilities.pytorch_architectures)
        with self._lock:
            cached = self._known.get(path)
        if cached is not None and signature and (cached[0], cached[1]) == (signature, facts):
            return cached[2] if cached[2].name == clean(name) else replace(cached[2], name=clean(name))
        model = read_model(path, name, capabilities)
        with self._lock:
            self._known[path] = (signature, facts, model)
        return model


def looks_like_path(text: str) -> bool:
    """Whether it can only be meant as a folder, not as a hub id (``org/name``) or the address of a page."""
    return text.startswith(("/", "~", ".")) or (text.count("/") > 1 and not hub_id(text))


def _typed(text: str) -> str:
    """What a person typed, as they typed it, wherever that can be sent back."""
    return text if encodable(text) else clean(text)


def _listed(models: Sequence[ModelInfo], typed: str) -> ModelInfo | None:
    """The listed model of that name, path or page; hubs don't tell capitals apart."""
    name = hub_id(typed) or typed
    for same in (
        lambda model: model.name == typed,
        lambda model: str(model.path) == typed and model.problem is not None,
        lambda model: model.name == modelscope_name(name),
        lambda model: "/" in name and model.name.casefold() == modelscope_name(name).casefold(),
    ):
        if found := next(filter(same, models), None):
            return found
    return None


def _folders(root: Path, scope: bool, depth: int = 3) -> Iterator[Found]:
    """Model folders below a root with their names; the root itself where it is one, alone where it is a whole one.

    ``scope``: it is ModelScope's, which writes dots in another way. ``depth``: how far a copied cache may lie below it
    ("modelscope/hub/models").
    """
    name_of = modelscope_name if scope else copied_name
    names = names_in(root)
    if is_model_folder(names):
        yield root, root.name, None
        if is_whole(names):
            return
    for entry in _subfolders(root):
        path = root / entry
        if entry.startswith(HUB_PREFIX):
            yield from _repository(path, entry)
            continue
        problem, inside = _names(path)
        if problem is not None:
            yield path, name_of(entry), problem
            continue
        if scope and "snapshots" in inside and "--" in entry:  # ModelScope's since 1.38, as Hugging Face has it
            if (snapshot := _snapshot(path)) is not None:
                yield snapshot, entry.replace("--", "/", 1), None
            continue
        if is_model_folder(inside):
            yield path, name_of(entry), None
            if is_whole(inside):
                continue
        yield from ((found, name_of(name), None) for found, name in _inner(root, entry, inside))
        if depth and (entry in HUB_FOLDERS or not HUB_FOLDERS.isdisjoint(inside)):
            yield from _folders(path, True, depth - 1)


def _inner(root: Path, entry: str, inside: list[str]) -> Iterator[tuple[Path, str]]:
    """``org/name`` below a root; else the folder itself, where its files tell of something like a model. Below a folder
    that is listed as a model itself, models alone."""
    path = root / entry
    listed = is_model_folder(inside)
    if "model_index.json" in inside:  # diffusers: the folders in it are its parts
        yield path, entry
        return
    nested = False
    for name in _subfolders(path):
        names = names_in(path / name)
        if is_model_folder(names) or (is_odd_folder(names) and not listed):
            nested = True
            yield path / name, f"{entry}/{name}"
    if not nested and not listed and is_odd_folder(inside):
        yield path, entry


def _repository(path: Path, entry: str) -> Iterator[Found]:
    """A repository of a Hugging Face cache."""
    snapshot = _snapshot(path) or hub_snapshot(path, is_odd_folder)
    if snapshot is None and is_model_folder(names_in(path)):  # what it holds was copied into it, without the layout
        snapshot = path
    if snapshot is not None:
        yield snapshot, repository_name(entry), None
    elif is_downloading(path):
        yield path, repository_name(entry), None


def _snapshot(repository: Path) -> Path | None:
    """The newest whole one, main's before others; where none is whole, the same of the broken ones."""
    return hub_snapshot(repository, is_whole) or hub_snapshot(repository, is_model_folder)


def _subfolders(folder: Path) -> list[str]:
    """Names of the folders in it, symlinks to folders included; none where it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                e.name
                for _, e in zip(range(MOST_ENTRIES), entries, strict=False)
                if not e.name.startswith(".") and e.name not in NO_MODELS and _is_dir(e)
            )
    except (OSError, ValueError):
        return []


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _names(path: Path) -> tuple[Message | None, list[str]]:
    """The names in a folder; or why it may not be looked into, which a person can change."""
    try:
        with os.scandir(path) as entries:
            return None, [entry.name for _, entry in zip(range(MOST_ENTRIES), entries, strict=False)]
    except PermissionError as error:
        return Message("models.unreadable", {"path": clean(str(path)), "cause": cause_of(error)}), []
    except (OSError, ValueError):
        return None, []


def _is_folder(text: str) -> bool:
    try:
        return os.path.isdir(text)
    except ValueError:
        return False


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)
