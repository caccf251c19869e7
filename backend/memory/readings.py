"""What is known of memory at one moment, as values: read by a source, kept by the sampler, drawn by the VRAM tab."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.machine.host import HostReading
from backend.machine.nvml import GpuReading


@dataclass(frozen=True, slots=True)
class Owner:
    """A server or job that may hold memory. ``kind`` is "server" or "job"; ``gpus`` are the ids it was given."""

    id: str
    name: str
    kind: str
    state: str
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How busy an LMDeploy server is, from its /metrics. ``usage`` is the KV cache's filled part, 0…1.

    ``cache_bytes`` is the KV cache's size on each GPU where it is known, else None. ``ttft_s`` is the mean time to
    the first token of the requests since the reading before, None where there were none.
    """

    usage: float
    running: int
    waiting: int
    tokens_per_second: float | None
    cache_bytes: int | None = None
    ttft_s: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for a marker: ``key`` is a text of ui/locales with {name}; ``at`` as in Reading."""

    at: float
    key: str
    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at everything. ``at`` is in seconds of a clock that never jumps (it runs on while the machine sleeps).

    ``owner_of`` maps the pids that NVML names to owners; ``resident`` are the owners' bytes of machine memory (RSS).
    ``hidden`` says that NVML names processes that can't be seen from here (a container).
    """

    at: float
    host: HostReading
    gpus: tuple[GpuReading, ...] = ()
    owners: tuple[Owner, ...] = ()
    owner_of: Mapping[int, str] = field(default_factory=dict)
    resident: Mapping[str, int] = field(default_factory=dict)
    caches: Mapping[str, CacheUse] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class GpuSample:
    """A GPU's reading with every owner's share of it in bytes. ``others_bytes`` is what no server or job of ours holds.

    ``inferred`` says that the shares come from how the used memory grew, since processes can't be told apart here.
    """

    reading: GpuReading
    shares: Mapping[str, int]
    others_bytes: int | None
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading in the buffer. ``number`` grows by one with every sample of this console's life."""

    number: int
    at: float
    host: HostReading
    gpus: tuple[GpuSample, ...]
    resident: Mapping[str, int]
    caches: Mapping[str, CacheUse]
