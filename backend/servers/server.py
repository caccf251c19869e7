"""A server: the view that everyone sees, made by the manager, and the record of it that is stored."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from backend.clock import Moment
from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.message_document import message_from_json, message_to_json
from backend.outside_text import clean_value, is_json, whole


class ServerState(StrEnum):
    """``unreachable``: it runs (or an external address is known), but /health doesn't answer."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class NodeView:
    """A server behind a proxy, as the proxy's card shows it. ``running``: it has joined.

    ``requests`` are under way, ``latency_s`` is the mean of the last ones, ``answers_a_minute`` those that ended,
    ``tokens_per_s`` what it generates, where it tells; None = not known.
    """

    address: str
    name: str
    state: ServerState
    requests: int | None = None
    latency_s: float | None = None
    answers_a_minute: int | None = None
    tokens_per_s: float | None = None
    problem: Message | None = None


@dataclass(frozen=True)
class FirstAnswer:
    """What came of the first question (first_question.py). ``state``: "asking", "fine", "strange" (it answered, but
    with nothing or nonsense) or "failed"; ``text`` is what it said, ``seconds`` how long it took."""

    state: str
    text: str = ""
    seconds: float = 0.0
    problem: Message | None = None


@dataclass(frozen=True)
class Life:
    """What is done for a server while nobody looks, all off by default: how often at most it is started again after a
    crash; after how many seconds without a question its memory is freed (0: never); whether it is started with the
    console after the machine was. ``problem``: why it doesn't sleep any more."""

    restarts: int = 0
    idle_s: float = 0.0
    comes_back: bool = False
    problem: Message | None = None


@dataclass(frozen=True)
class Crash:
    """The last crash: when (seconds since the epoch), the how manieth in a row, why, when it is started again (0 = it
    isn't), and the log lines behind it."""

    at: float
    count: int
    reason: Message | None = None
    again_at: float = 0.0
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerView:
    """One server. Times are seconds since the epoch (0 = not yet); ``progress`` is 0…1, or None where the log says
    nothing.

    ``stage`` is a key of ui/locales ("deploy.stage.weights"). ``base_url`` is a client's. ``model_id`` is what a
    request names. ``reason`` says why it failed, ``reason_lines`` are the log lines behind it. ``stop_signal`` is
    what ended it: "" (by itself), "SIGTERM" or "SIGKILL". ``command`` is the preview. ``name`` is the server's own, on
    this console and in its list: "demo_model :23333". ``nodes`` are a proxy's; they are seen anew, never stored.
    ``first`` is None until the first question is asked; ``asleep``: it runs, with its memory freed.
    ``takes_forms``: whether it holds an answer to a JSON schema, None where nobody has asked (chat/form_probe.py).
    """

    id: str
    name: str
    state: ServerState
    config: ServeConfig
    model_path: str
    model_id: str
    address: str
    base_url: str
    port: int
    pid: int
    command: str
    environment: str
    takes_images: bool
    context_length: int
    created_at: float
    ready_at: float = 0.0
    ended_at: float = 0.0
    progress: float | None = None
    stage: str = ""
    exit_code: int | None = None
    stop_signal: str = ""
    reason: Message | None = None
    reason_lines: tuple[str, ...] = ()
    log_path: Path | None = None
    served_name: str = ""
    nodes: tuple[NodeView, ...] = ()
    first: FirstAnswer | None = None
    life: Life = Life()
    crash: Crash | None = None
    asleep: bool = False
    takes_forms: bool | None = None

    @property
    def model_name(self) -> str:
        """What it was told to call its model, or the model's own name: several servers may share it."""
        return self.config.model_name or self.served_name or self.name

    @property
    def trouble(self) -> Message | None:
        """Why it failed, else what was wrong with its first answer."""
        return self.reason or (self.first.problem if self.first is not None else None)


PARTS: Mapping[str, type[Any]] = {"first": FirstAnswer, "life": Life, "crash": Crash}
MESSAGES_WITHIN = {"first": "problem", "life": "problem", "crash": "reason"}


@dataclass(frozen=True)
class ServerRecord:
    """One server. ``key_file`` is None where it takes no key. The key itself is never in a record.

    ``started`` is when it was started, by a clock that can't be set; None for an external one, and for one that an
    older version started.
    """

    view: ServerView
    key_file: Path | None
    started: Moment | None = None

    def to_json(self) -> dict[str, Any]:
        """As a document of the store."""
        view = asdict(replace(self.view, config=replace(self.view.config, api_key=""), reason=None, nodes=()))
        view["reason"] = None if self.view.reason is None else message_to_json(self.view.reason)
        for name, within in MESSAGES_WITHIN.items():
            part = getattr(self.view, name)
            message = getattr(part, within, None)
            if view[name] is not None:
                view[name][within] = None if message is None else message_to_json(message)
        view["log_path"] = None if self.view.log_path is None else str(self.view.log_path)
        view["rung"] = view.pop("stop_signal")
        return {
            "view": view,
            "key_file": None if self.key_file is None else str(self.key_file),
            "started": None if self.started is None else self.started.to_json(),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "ServerRecord":
        """The record that ``to_json`` made; fields that this version doesn't know are left out.

        Records of earlier versions hold what a server said of itself as it came: it is mended here.
        Raises KeyError, TypeError or ValueError where it is no such document.
        """
        stored = value["view"]
        view = {f.name: _sound(f.name, stored[f.name]) for f in fields(ServerView) if f.name in stored}
        view["stop_signal"] = stored.get("rung", "")
        view["config"] = _config(view["config"])
        view["context_length"] = whole(view["context_length"])
        view["state"] = ServerState(view["state"])
        view.pop("nodes", None)
        view["reason"] = None if view["reason"] is None else message_from_json(view["reason"])
        view["reason_lines"] = tuple(view["reason_lines"])
        for name, kind in PARTS.items():
            if name in view:
                view[name] = _part(kind, view[name])
        view["log_path"] = None if view["log_path"] is None else Path(view["log_path"])
        key_file = None if value["key_file"] is None else Path(value["key_file"])
        return ServerRecord(ServerView(**view), key_file, Moment.from_json(value.get("started")))


def _part(kind: type[Any], value: Any) -> Any:
    """A part of the view as it was stored; None, and the default of a part that is always there, for none."""
    if not isinstance(value, Mapping):
        return kind() if kind is Life else None
    known: dict[str, Any] = {f.name: value[f.name] for f in fields(kind) if f.name in value}
    known.update({name: tuple(part) for name, part in known.items() if isinstance(part, list)})
    for name in set(MESSAGES_WITHIN.values()):
        if known.get(name) is not None:
            known[name] = message_from_json(known[name])
    return kind(**known)


def _sound(name: str, value: Any) -> Any:
    """A stored field without what breaks every page. What can be sent is left as it is: a path may hold anything."""
    return value if name == "log_path" or is_json(value) else clean_value(value)


def _config(value: Mapping[str, Any]) -> ServeConfig:
    known: dict[str, Any] = {f.name: value[f.name] for f in fields(ServeConfig) if f.name in value}
    known.update({name: tuple(v) for name, v in known.items() if isinstance(v, list)})
    return ServeConfig(**known)
