"""Files that a checkpoint's config.json speaks of and that aren't there: the model's own code, and what prepares
pictures. A server is started without the hub, so nothing brings them."""

import os
import re
from collections.abc import Iterator

from backend.errors import Level, Message
from backend.models.checkpoint import ModelInfo
from backend.models.hubs import HUB_ID, hugging_face_caches
from backend.models.kinds import HUB_PREFIX
from backend.models.listing import names_in
from backend.models.small_files import PROCESSORS

MODULE = re.compile(r"\w+(?:\.\w+)+", re.ASCII)
ELSEWHERE = "--"  # "org/name--modeling_x.Class": the code is that repository's
CONFIG_CLASS = "AutoConfig"  # read for every engine; LMDeploy's have models of their own in the place of the others
SEES = "ForConditionalGeneration"  # transformers' classes that see, whose pictures its AutoProcessor prepares


def missing_files(model: ModelInfo) -> Iterator[Message]:
    """What is to be said of each. An error ends a server as it loads; with a warning it depends on the engine."""
    if model.needs_remote_code:
        yield from _code(model)
    processed = any(os.path.exists(model.path / name) for name in PROCESSORS)
    if model.takes_images and model.architecture.endswith(SEES) and not processed:
        yield Message("models.no-processor", {"model": model.name, "file": PROCESSORS[0]}, "model")


def _code(model: ModelInfo) -> Iterator[Message]:
    """The files of ``auto_map``, each once, the configuration's first."""
    auto_map = model.config.get("auto_map")
    named = auto_map if isinstance(auto_map, dict) else {}
    seen = set()
    for key in sorted(named, key=lambda key: key != CONFIG_CLASS):
        repository, _, place = str(named[key]).rpartition(ELSEWHERE)
        file = place.rsplit(".", 1)[0].replace(".", "/") + ".py"
        if not MODULE.fullmatch(place) or file in seen:
            continue
        seen.add(file)
        level: Level = "error" if key == CONFIG_CLASS else "warning"
        about = {"model": model.name, "file": file}
        if repository and HUB_ID.fullmatch(repository) and not _in_a_cache(repository, file):
            yield Message("models.code-elsewhere", {**about, "repository": repository}, "model", level)
        elif not repository and not os.path.exists(model.path / file):
            yield Message("models.code-missing", about, "model", level)


def _in_a_cache(repository: str, file: str) -> bool:
    folder = HUB_PREFIX + repository.replace("/", "--")
    snapshots = [cache / folder / "snapshots" for cache in hugging_face_caches()]
    return any(os.path.exists(place / name / file) for place in snapshots for name in names_in(place))
