"""What is known before the start, as a list: each subject green, yellow or red, with its messages. Pure.

The messages are those of the preview (engines' checks, port), put in order, and what the surroundings add: memory,
disk, other programs on the GPU, proxies, the files beside the weights.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from backend.engines.base import ServeConfig
from backend.engines.remedies import GPU_ENGINES
from backend.engines.template_names import template_message
from backend.errors import Message, Value
from backend.machine.machine import Environment
from backend.memory_plan.values import Plan
from backend.models.checkpoint import ModelInfo
from backend.servers.leftovers import Leftover
from backend.units import GIB

State = Literal["green", "yellow", "red"]

# In the order in which they are shown, with the settings' fields that they are about.
SUBJECTS: dict[str, frozenset[str]] = {
    "model": frozenset({"model", "trust_remote_code"}),
    "engine": frozenset({"engine", "environment"}),
    "gpus": frozenset({"gpus", "tp"}),
    "format": frozenset({"model_format", "dtype"}),
    "memory": frozenset({"cache_max_entry_count", "quant_policy"}),
    "context": frozenset({"session_len"}),
    "address": frozenset({"port", "address", "api_key"}),
    "flags": frozenset({"extra", "model_name"}),
    "disk": frozenset(),
    "proxy": frozenset(),
}
ON_A_GPU = frozenset({"gpus", "format", "memory", "context"})
LITTLE_DISK_BYTES = 2 * GIB  # logs, and the kernels that an engine compiles
SMALLEST_CACHE_BYTES = 64 << 20  # TurboMind takes slabs of 32 MiB or more; with none it hangs, without a word
MUCH_BYTES = GIB


@dataclass(frozen=True)
class Surroundings:
    """What isn't in the settings; None (or "") = not known. Sizes are bytes.

    ``others_bytes`` is what other programs hold on the chosen GPUs. ``proxies`` are the variables that name one.
    ``tokenizer`` and ``template``: whether the model's folder has them. ``leftovers`` are processes of earlier servers
    on the chosen GPUs, ``environment`` the one whose LMDeploy would run. ``disagreements``: what of the model's files
    contradicts what (models/agreement.py).
    """

    plan: Plan | None = None
    free_disk_bytes: int | None = None
    others_bytes: int | None = None
    proxies: tuple[str, ...] = ()
    tokenizer: bool | None = None
    template: bool | None = None
    leftovers: tuple[Leftover, ...] = ()
    environment: Environment | None = None
    disagreements: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Row:
    """One subject: its name in SUBJECTS, how it stands, and what is to be said of it."""

    subject: str
    state: State
    messages: tuple[Message, ...]


def preflight(
    config: ServeConfig, model: ModelInfo | None, messages: Sequence[Message], around: Surroundings
) -> tuple[Row, ...]:
    """The list. ``messages`` are the preview's."""
    if config.engine == "external":
        subjects = ["address", "proxy"]
    else:
        subjects = [name for name in SUBJECTS if config.engine in GPU_ENGINES or name not in ON_A_GPU]
    found: dict[str, list[Message]] = {name: [] for name in subjects}
    for message in (*messages, *seen(config, model, around)):
        subject = next((name for name in subjects if message.field in SUBJECTS[name]), "")
        found[subject or _by_key(message, subjects)].append(message)
    return tuple(Row(name, _state(said), tuple(said)) for name, said in found.items())


def to_mend(rows: Iterable[Row]) -> tuple[int, int]:
    """How many are red and how many yellow."""
    states = [row.state for row in rows]
    return states.count("red"), states.count("yellow")


def seen(config: ServeConfig, model: ModelInfo | None, around: Surroundings) -> tuple[Message, ...]:
    """What the surroundings add to the preview's messages."""
    return (*_files(config, model, around), *_memory(config, around), *_machine(around))


def _files(config: ServeConfig, model: ModelInfo | None, around: Surroundings) -> Iterable[Message]:
    if model is None or model.problem is not None:
        return
    yield from around.disagreements
    if around.tokenizer is False:
        yield Message("preflight.no-tokenizer", {"model": model.name}, "model")
    given = any(word.split("=")[0] == "--chat-template" for word in config.extra)
    built_in = None
    if config.engine in GPU_ENGINES:
        built_in = template_message(config, model, around.environment, around.template)
    if built_in is not None:
        yield built_in
    elif around.template is False and not given:
        yield Message("preflight.no-template", {"model": model.name}, "extra", "warning")


def _memory(config: ServeConfig, around: Surroundings) -> Iterable[Message]:
    plan = around.plan
    if config.engine not in GPU_ENGINES:
        return
    for one in around.leftovers:
        params: dict[str, Value] = {"pid": one.pid, "start": one.start, "what": one.what, "gib": _gib(one.used_bytes)}
        key = "preflight.leftover" if one.own else "preflight.leftover-other"
        yield Message(key, params if one.own else {**params, "user": one.user}, "gpus", "warning")
    rest = (around.others_bytes or 0) - sum(one.used_bytes for one in around.leftovers)
    if rest >= MUCH_BYTES:
        yield Message("preflight.others", {"gib": _gib(rest)}, "gpus", "warning")
    if plan is None:
        return
    sizes: dict[str, Value] = {"needed": _gib(plan.total_bytes), "free": _gib(plan.free_bytes)}
    if plan.verdict == "over":
        yield Message("preflight.memory-over", sizes, "cache_max_entry_count")
    elif config.engine == "turbomind" and 0 <= plan.kv_bytes < SMALLEST_CACHE_BYTES:
        mib: dict[str, Value] = {"mib": round(plan.kv_bytes / (1 << 20), 1)}
        yield Message("preflight.cache-tiny", mib, "cache_max_entry_count")
    elif plan.verdict == "tight":
        yield Message("preflight.memory-tight", sizes, "cache_max_entry_count", "warning")
    if plan.verdict != "over" and 0 < plan.tokens < plan.session_len:
        lengths: dict[str, Value] = {"tokens": plan.tokens, "session": plan.session_len}
        yield Message("preflight.session-cache", lengths, "session_len", "warning")


def _machine(around: Surroundings) -> Iterable[Message]:
    if around.free_disk_bytes is not None and around.free_disk_bytes < LITTLE_DISK_BYTES:
        yield Message("preflight.disk", {"gib": _gib(around.free_disk_bytes)}, "disk", "warning")
    if around.proxies:
        yield Message("preflight.proxy", {"names": ", ".join(around.proxies)}, "proxy", "info")


def _by_key(message: Message, subjects: Sequence[str]) -> str:
    """The subject of a message that is about no field of the form."""
    if message.field in subjects:
        return message.field
    return "engine" if "engine" in subjects else subjects[0]


def _state(messages: Iterable[Message]) -> State:
    levels = {message.level for message in messages}
    return "red" if "error" in levels else "yellow" if "warning" in levels else "green"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f}"
