"""What an engine is, and the settings a server is started with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backend.errors import Message
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo
from backend.models.hubs import hub_id
from backend.models.typed import meant
from backend.processes.command import CommandSpec


@dataclass(frozen=True)
class ServeConfig:
    """What a person chose on the Deploy tab. Sizes are in tokens, ``cache_max_entry_count`` is a ratio of free memory.

    ``model`` is a folder, a hub id, or, for the external engine, unused beside ``address``. ``environment`` "" lets
    the console choose. ``gpus`` () means the first one. ``port`` None means a free one. ``model_name`` "" means the
    folder's name. ``extra`` is further flags as a shell would split them (flags.split_extra). ``api_key`` is for the
    external engine and a proxy's new nodes; it is never stored with the rest nor logged. ``nodes`` are the addresses of
    the servers behind a proxy.
    """

    engine: str
    model: str
    environment: str = ""
    gpus: tuple[str, ...] = ()
    model_format: str = "auto"
    quant_policy: int = 0
    cache_max_entry_count: float = 0.8
    tp: int = 1
    session_len: int | None = None
    dtype: str = "auto"
    port: int | None = None
    model_name: str = ""
    trust_remote_code: bool = False
    extra: tuple[str, ...] = ()
    address: str = ""
    api_key: str = field(default="", repr=False)
    nodes: tuple[str, ...] = ()

    @property
    def hub_model(self) -> str:
        """The model as an engine is told of it where it isn't on this machine: of a hub's page, the name."""
        return hub_id(meant(self.model)) or self.model


class Engine(Protocol):
    """One way to serve a model. ENGINES in backend/engines/__init__.py is the registry; all methods are pure."""

    @property
    def name(self) -> str:
        """Its key in ENGINES and in ServeConfig.engine."""

    @property
    def fields(self) -> frozenset[str]:
        """The ServeConfig fields that it uses; the form hides the others."""

    def choices(self, environment: Environment | None) -> Mapping[str, tuple[str, ...]]:
        """What the fields with a choice take ("dtype": ("auto", "float16", …)), as that environment's parser says."""

    def unavailable(self, machine: Machine) -> Message | None:
        """Why it can't run on this machine, or None. It stays selectable: the command and plan can still be seen."""

    def refuses(self, model: ModelInfo) -> Message | None:
        """Why it can't take this model, or None."""

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> Sequence[Message]:
        """Everything wrong (level error) or worth knowing (warning, info) about the settings, ``unavailable`` and
        ``refuses`` included. ``model`` is None for a hub id that isn't on this machine. Whether the port is free is
        the server manager's to ask."""

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> CommandSpec | None:
        """The command, or None where nothing is started (external). Only what differs from the default is on it,
        host and port always. ``key_file`` lies in Settings.keys_dir; the key in it must not begin with "-"."""

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        """What a request to the server names as its model; "" where only the server knows (external)."""
