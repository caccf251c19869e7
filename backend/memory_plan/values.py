"""A memory plan as values. Sizes are bytes on each GPU."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from backend.errors import Message, Value

Verdict = Literal["fits", "tight", "over"]


@dataclass(frozen=True)
class Card:
    """Where the model is to run: one GPU's memory, or the machine's. ``name`` as NVML gives it, "" if unknown."""

    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Learned:
    """Measured minus planned, from earlier starts of that engine on that GPU: added to the parts that theory doesn't
    give. ``count`` starts were looked at."""

    context_bytes: int = 0
    work_bytes: int = 0
    count: int = 0


@dataclass(frozen=True)
class Step:
    """One line of the arithmetic: ``key`` is a text of ui/locales; params ending in _bytes are sizes."""

    key: str
    params: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The plan. ``ready_bytes`` is what is used once the server answers; ``total_bytes`` adds a picture's work space.

    ``tokens`` is what the cache holds, ``token_bytes`` what one takes. ``session_len`` are the tokens of one chat that
    the server allows. ``reserve_bytes`` is what the PyTorch engine keeps clear before the ratio. ``remedies`` say what
    would make it fit. ``learned`` counts the measured starts that the plan goes by.
    """

    engine: str
    free_bytes: int
    weights_bytes: int
    vision_bytes: int
    context_bytes: int
    kv_bytes: int
    work_bytes: int
    picture_bytes: int
    tokens: int
    token_bytes: float
    session_len: int
    ratio: float
    verdict: Verdict
    remedies: tuple[Message, ...]
    steps: tuple[Step, ...]
    reserve_bytes: int = 0
    learned: int = 0

    @property
    def before_cache_bytes(self) -> int:
        """Taken before the KV cache gets its share of what is left."""
        return self.weights_bytes + self.vision_bytes + self.context_bytes

    @property
    def ready_bytes(self) -> int:
        """Used once the server answers."""
        return self.before_cache_bytes + self.kv_bytes + self.work_bytes

    @property
    def total_bytes(self) -> int:
        """Used with a picture under way."""
        return self.ready_bytes + self.picture_bytes

    @property
    def free_after_bytes(self) -> int:
        """Left over; negative where it doesn't fit."""
        return self.free_bytes - self.total_bytes

    def chats(self, tokens: int | None = None) -> int:
        """How many chats of that many tokens the cache holds at once."""
        length = tokens or self.session_len
        return self.tokens // length if length > 0 else 0
