"""From the settings that a person chose to the command that would run, with all that is wrong or worth knowing."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from backend.engines.base import Engine, ServeConfig
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, Unavailable
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo
from backend.processes import ports
from backend.processes.command import CommandSpec
from backend.servers.slots import HOST, Slot


class Models(Protocol):
    """What is needed of the catalogue (backend/models/catalog.py)."""

    def find_or_hub(self, text: str) -> ModelInfo | None:
        """The model; None for a hub id that isn't on this machine. Raises InvalidInput."""


ChooseEnvironment = Callable[[ServeConfig, ModelInfo | None, Machine], Environment]


@dataclass(frozen=True)
class Preview:
    """What would be started. ``command`` is None for the external engine, and where the settings don't give one."""

    command: CommandSpec | None
    messages: tuple[Message, ...]
    environment: Environment | None
    model: ModelInfo | None
    port: int

    @property
    def errors(self) -> tuple[Message, ...]:
        """The messages that stand in the way of a start."""
        return tuple(m for m in self.messages if m.level == "error")


@dataclass
class _Findings:
    """Messages collected on the way; ``kinds`` are the classes of error that they would be raised as."""

    messages: list[Message] = field(default_factory=list)
    kinds: set[type[ConsoleError]] = field(default_factory=set)

    def add(self, kind: type[ConsoleError], *messages: Message) -> None:
        self.messages += (m for m in messages if m not in self.messages)
        if any(m.level == "error" for m in messages):
            self.kinds.add(kind)

    def worst(self) -> type[ConsoleError] | None:
        """What to raise: a wrong value comes before what the machine lacks, and that before a conflict."""
        return next((kind for kind in (InvalidInput, Unavailable, Conflict) if kind in self.kinds), None)


@dataclass(frozen=True)
class Plan:
    """A preview, and what a start would raise."""

    preview: Preview
    refusal: ConsoleError | None


def plan(
    config: ServeConfig,
    slot: Slot,
    ports_taken: Collection[int],
    machine: Machine,
    models: Models,
    engines: Mapping[str, Engine],
    choose_environment: ChooseEnvironment,
) -> Plan:
    """Look the model up, check everything, build the command. Starts and writes nothing."""
    findings = _Findings()
    model: ModelInfo | None = None
    environment: Environment | None = None
    command: CommandSpec | None = None
    port = config.port if config.port is not None else slot.port
    engine = engines.get(config.engine)
    if engine is None:
        known = ", ".join(engines)
        findings.add(
            InvalidInput, Message("servers.unknown-engine", {"value": config.engine, "known": known}, "engine")
        )
    else:
        found = True
        try:
            model = models.find_or_hub(config.model) if "model" in engine.fields else None
        except ConsoleError as error:
            found = False
            findings.add(type(error), *error.messages)
        unavailable = engine.unavailable(machine)
        for message in engine.check(config, model, machine):
            # Without its model, only the other settings' errors are worth saying.
            if found or message.level == "error":
                findings.add(Unavailable if message == unavailable else InvalidInput, message)
        # A number that is no port at all is the engine's to refuse.
        asked = config.port if config.port is not None and 1 <= config.port <= 65535 else None
        if asked is not None and (asked in ports_taken or not ports.is_free(HOST, asked)):
            params = {"value": asked, "free": slot.port}
            findings.add(Conflict, Message("servers.port-in-use", params, "port"))
        if found:
            try:
                environment = choose_environment(config, model, machine)
                command = engine.command(config, model, environment, port, slot.key_file)
            except ConsoleError as error:
                findings.add(type(error), *error.messages)
    preview = Preview(command, tuple(findings.messages), environment, model, port)
    kind = findings.worst()
    return Plan(preview, None if kind is None else kind(*preview.errors))
