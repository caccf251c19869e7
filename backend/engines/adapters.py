"""LoRA adapters on the command line (``--adapters``), checked before the start: the engine says so only after loading.

Looks at the adapters' folders, nothing else.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo
from backend.models.kinds import adapter_base

FLAG = "--adapters"
CONFIG = "adapter_config.json"


def given_adapters(extra: Sequence[str]) -> tuple[str, ...]:
    """What stands behind the flag: folders, or ``name=folder``."""
    found: list[str] = []
    for at, word in enumerate(extra):
        name, equals, value = word.partition("=")
        if name != FLAG:
            continue
        if equals:
            found.append(value)
            continue
        for following in extra[at + 1 :]:
            if following.startswith("--"):
                break
            found.append(following)
    return tuple(found)


def check_adapters(
    config: ServeConfig, model: ModelInfo | None, environment: Environment | None
) -> tuple[Message, ...]:
    """Everything that stands against the adapters (pytorch/check_env/adapter.py, cli/utils.py of LMDeploy 0.18)."""
    given = given_adapters(config.extra)
    return tuple(_found(config, model, environment, given)) if given else ()


def _found(
    config: ServeConfig, model: ModelInfo | None, environment: Environment | None, given: Sequence[str]
) -> Iterator[Message]:
    if config.engine == "turbomind":  # it hands them to the other engine alone, and is silent
        yield Message("engines.adapters-turbomind", {}, "engine")
        return
    if environment is not None and "peft" in environment.lacking:
        params = {"environment": environment.label, "python": str(environment.python)}
        yield Message("engines.adapters-peft", params, "environment")
    names = [one.partition("=")[0] if "=" in one else "" for one in given]
    if len(given) > 1 and "" in names:
        yield Message("engines.adapters-names", {"value": given[names.index("")]}, "extra")
    if twice := next((name for name in names if name and names.count(name) > 1), ""):
        yield Message("engines.adapters-twice", {"value": twice}, "extra")
    for one in given:
        folder = Path(one.partition("=")[2] if "=" in one else one)
        if not folder.is_absolute():
            continue  # a hub's id: the engine loads it
        if not (folder / CONFIG).is_file():
            yield Message("engines.adapters-folder", {"value": str(folder), "file": CONFIG}, "extra")
            continue
        base = adapter_base(folder)
        if model is not None and base != "?" and _name(base) != _name(model.name):
            params = {"value": str(folder), "base": base, "model": model.name}
            yield Message("engines.adapters-base", params, "extra", "warning")


def _name(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2].lower()
