"""Where a model can be put, and what of it is on this machine already. Looks at the disk, changes nothing."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.downloads.values import RemoteFile
from backend.models.checkpoint import ModelInfo
from backend.models.hubs import DOT, hub_cache, hugging_face_caches, modelscope_caches, modelscope_download_cache
from backend.models.kinds import HUB_PREFIX

HUB = "hub"
WEIGHTS = re.compile(
    r".+\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|onnx|onnx_data|gguf|ggml|tflite|ot|pdparams|mlmodel|npz|pkl)",
    re.IGNORECASE,
)
OTHERS = frozenset({"original", "onnx", "openvino", "gguf", "coreml", "metal", "flax", "tf", ".git", "runs"})
SMALL_BYTES = 1_000_000


@dataclass(frozen=True)
class Place:
    """A folder that models are put into. ``id`` is "hub" or the folder's path; ``free_bytes`` None = not known."""

    id: str
    path: Path
    free_bytes: int | None


def places(kind: str, roots: Sequence[Path], demo: Path) -> tuple[Place, ...]:
    """The hub's own cache first, then every models folder that can be written to."""
    caches = {*hugging_face_caches(), *modelscope_caches()}
    cache = hub_cache() if kind == "huggingface" else modelscope_download_cache()
    folders = [root for root in dict.fromkeys(roots) if root not in caches and root != demo and can_write(root)]
    own = [Place(HUB, cache, free_bytes(cache))] if can_write(cache) else []
    return (*own, *(Place(str(folder), folder, free_bytes(folder)) for folder in folders))


def target_in(place: Place, kind: str, repository: str) -> tuple[Path, str]:
    """The folder that the model becomes there, and its layout: "folder", or "hub" for Hugging Face's cache."""
    organisation, _, name = repository.partition("/")
    if place.id != HUB:
        return place.path / name, "folder"
    if kind == "huggingface":
        return place.path / f"{HUB_PREFIX}{organisation}--{name}", HUB
    return place.path / organisation / name.replace(".", DOT), "folder"


def stage_of(target: Path, layout: str, revision: str, files: Iterable[RemoteFile]) -> Path:
    """The hidden folder beside it that is filled meanwhile: one for each state of the repository. Beside a cached
    repository it is in the cache, beside a folder in its parent."""
    state = "\n".join([revision, *(f"{file.path} {file.size} {file.sha256 or file.sha1}" for file in files)])
    return target.parent / f".{target.name}.{hashlib.sha256(state.encode()).hexdigest()[:8]}.loading"


def is_loaded(path: str, size: int, weights: frozenset[str]) -> bool:
    """Whether a file of the repository is wanted: of the weights those that an engine loads (``weights``; () where
    that isn't known), and everything else that isn't the same in another program's format."""
    folder, _, name = path.rpartition("/")
    if path in weights:
        return True
    if any(part in OTHERS for part in folder.split("/")):
        return False
    if not weights or size < SMALL_BYTES or not WEIGHTS.fullmatch(name):
        return True
    return bool(folder) and name.endswith(".safetensors")  # adapters that a model's own code loads


def same_model(model: ModelInfo, repository: str, files: Sequence[RemoteFile], weights: frozenset[str]) -> bool:
    """Whether that folder is this very model: its weights are as long, and its config.json is the same; where the
    folder is in Hugging Face's cache, every weight file is the one of that hash."""
    wanted = [file for file in files if file.path in weights]
    config = next((file for file in files if file.path == "config.json"), None)
    if not wanted or config is None or model.problem is not None:
        return False
    names = {_plain(model.name), _plain(os.path.realpath(model.path))}  # a link may be called anything
    if _plain(repository) not in names:
        return False
    try:
        for file in wanted:
            here = model.path / file.path
            if here.stat().st_size != file.size:
                return False
            blob = Path(os.path.realpath(here)).name
            if file.sha256 and len(blob) == 64 and blob != file.sha256:
                return False
        return is_file(model.path / "config.json", config)
    except OSError:
        return False


def is_file(place: Path, file: RemoteFile) -> bool:
    """Whether that small file is the hub's, by its hash; by its size where the hub names none."""
    data = place.read_bytes()
    if file.sha256:
        return hashlib.sha256(data).hexdigest() == file.sha256
    if file.sha1:
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == file.sha1
    return len(data) == file.size


def known_blobs(repository: str, files: Iterable[RemoteFile]) -> dict[str, str]:
    """Files of that repository in Hugging Face's caches, by SHA-256: another revision may share them."""
    found = {}
    for cache in hugging_face_caches():
        blobs = cache / f"{HUB_PREFIX}{repository.replace('/', '--')}" / "blobs"
        for file in files:
            blob = blobs / file.sha256
            if file.sha256 and file.sha256 not in found and blob.is_file() and blob.stat().st_size == file.size:
                found[file.sha256] = str(blob)
    return found


def staged_bytes(stage: Path) -> int:
    """What has been loaded into it."""
    total = 0
    for parent, _, names in os.walk(stage):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return total


def free_bytes(folder: Path) -> int | None:
    """The space where it is or would be."""
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def can_write(folder: Path) -> bool:
    """Whether this user may put something there; for a folder that isn't there, whether it can be made."""
    try:
        existing = _existing(folder)
        return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    except OSError:
        return False


def _existing(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if place.exists()), folder)


def _plain(name: str) -> str:
    return name.rpartition("/")[2].replace(DOT, ".").casefold()
