"""A plan for what the form holds: finds the model's shape, the card and what earlier starts taught."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message
from backend.machine.host import read_host
from backend.machine.machine import Gpu
from backend.memory_plan.model_shape import ModelShape, read_shape
from backend.memory_plan.plan import plan
from backend.memory_plan.values import Card, Learned, Plan
from backend.models.checkpoint import ModelInfo, read_tensors
from backend.units import GIB

THIS_MACHINE = "machine"
DEFAULT_CARD_GIB = 24.0  # where the machine has no GPU and no card is named: the usual class slice
_CARD = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*(?:gi?b?)?\s*(?:·.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Planned:
    """A plan and what it was made for. ``named``: the card was named by size, and all of it counts as free."""

    plan: Plan
    shape: ModelShape
    config: ServeConfig
    card: Card
    named: bool


class Planner:
    """Plans, with the shapes of models kept between calls. Safe to call from any thread.

    ``find`` is the catalogue's, ``gpus`` NVML's; ``learned(engine, gpu name, packed)`` what earlier starts taught.
    """

    def __init__(
        self,
        find: Callable[[str], ModelInfo],
        gpus: Callable[[], tuple[Gpu, ...]],
        learned: Callable[[str, str, bool], Learned] = lambda engine, gpu, packed: Learned(),
    ) -> None:
        self._find = find
        self._gpus = gpus
        self._learned = learned
        self._lock = threading.Lock()
        self._shapes: dict[tuple[Path, int, str], ModelShape] = {}

    def shape(self, model: str) -> ModelShape:
        """The shape of a model that the catalogue finds. Raises InvalidInput."""
        info = self._find(model)
        config = info.path / "config.json"
        # Another size or another config.json is another model in the same folder.
        key = (info.path, info.size_bytes, str(config.stat().st_mtime_ns) if config.exists() else "")
        with self._lock:
            shape = self._shapes.get(key)
        if shape is None:
            shape = read_shape(info, read_tensors(info.path))
            with self._lock:
                self._shapes = {k: v for k, v in self._shapes.items() if k[0] != info.path} | {key: shape}
        return shape

    def card(self, config: ServeConfig, text: str) -> tuple[Card, bool]:
        """The card that ``text`` names (see ``parse_card``), or this machine's; and whether it was named by size.

        With several GPUs it is the fullest of them: every one takes the same share of the model.
        """
        size = parse_card(text)
        gpus = self._gpus()
        if size is not None:
            return Card(gpus[0].name if gpus else "", size, size), True
        if config.engine == "transformers":
            host = read_host()
            return Card("", host.total_bytes, host.total_bytes - host.used_bytes), False
        chosen = [gpu for gpu in gpus if gpu.id in config.gpus] or list(gpus[: max(1, config.tp)])
        if not chosen:
            size = round(DEFAULT_CARD_GIB * GIB)
            return Card("", size, size), True
        tightest = min(chosen, key=lambda gpu: gpu.total_bytes if gpu.free_bytes is None else gpu.free_bytes)
        free = tightest.total_bytes if tightest.free_bytes is None else tightest.free_bytes
        return Card(tightest.name, tightest.total_bytes, free), False

    def plan(self, config: ServeConfig, card: str = "") -> Planned:
        """The plan. Raises InvalidInput for a model or card that can't be used, and for the external engine."""
        if config.engine in ("external", "proxy"):
            raise InvalidInput(Message(f"plan.{config.engine}", level="info"))
        shape = self.shape(config.model)
        found, named = self.card(config, card)
        return self.plan_on(shape, config, found, named)

    def plan_on(self, shape: ModelShape, config: ServeConfig, card: Card, named: bool = False) -> Planned:
        """The plan on a card that is known already."""
        learned = self._learned(config.engine, card.name, shape.packed_bytes > 0)
        return Planned(plan(shape, config, card, learned), shape, config, card, named)

    def gpus(self) -> tuple[Gpu, ...]:
        """This machine's GPUs."""
        return self._gpus()


def parse_card(text: str) -> int | None:
    """ "24", "24 GiB", "24 GiB · A100 slice" → bytes; "" and "machine" → None. Raises InvalidInput for the rest."""
    typed = text.strip()
    if not typed or typed.split(" ")[0].lower() == THIS_MACHINE:
        return None
    match = _CARD.fullmatch(typed)
    size = float(match[1].replace(",", ".")) if match else 0.0
    if not 0.5 <= size <= 4096:
        raise InvalidInput(Message("plan.bad-card", {"value": typed}, field="card"))
    return round(size * GIB)
