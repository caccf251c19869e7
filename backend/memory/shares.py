"""Whose memory is it? Pure arithmetic on one reading after the other."""

from collections.abc import Mapping, Sequence

from backend.machine.nvml import GpuReading
from backend.memory.readings import GpuSample, Owner


def by_process(gpu: GpuReading, owner_of: Mapping[int, str]) -> GpuSample:
    """Shares from NVML's own list of processes."""
    shares: dict[str, int] = {}
    for process in gpu.processes or ():
        owner = owner_of.get(process.pid)
        if owner is not None and process.used_bytes is not None:
            shares[owner] = shares.get(owner, 0) + process.used_bytes
    others = None if gpu.used_bytes is None else max(0, gpu.used_bytes - sum(shares.values()))
    return GpuSample(gpu, shares, others)


class Ledger:
    """Shares on one GPU where processes can't be told apart: what was added since an owner came is the owner's.

    Growth goes to the owner that came last; when an owner leaves, what it held is no longer counted. Right while nobody
    outside the console starts or ends something on that GPU meanwhile, which is why samples say that it was inferred.
    """

    def __init__(self) -> None:
        self._baseline: int | None = None
        self._shares: dict[str, int] = {}  # in the order they came

    def account(self, gpu: GpuReading, owners: Sequence[Owner]) -> GpuSample:
        """The shares now; ``owners`` are those alive."""
        if gpu.used_bytes is None:
            return GpuSample(gpu, {}, None)
        here = [owner.id for owner in owners if gpu.id in owner.gpus]
        for gone in [owner for owner in self._shares if owner not in here]:
            del self._shares[gone]
        if not here or self._baseline is None:
            self._baseline = gpu.used_bytes if not here else 0
        for owner in here:
            self._shares.setdefault(owner, 0)
        if self._shares:
            newest = next(reversed(self._shares))
            older = sum(size for owner, size in self._shares.items() if owner != newest)
            self._shares[newest] = max(0, gpu.used_bytes - self._baseline - older)
        shares = dict(self._shares)
        return GpuSample(gpu, shares, max(0, gpu.used_bytes - sum(shares.values())), inferred=True)
