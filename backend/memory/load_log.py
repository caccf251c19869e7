"""What an engine's own log says of memory while a server starts. Pure: text in, facts out.

TurboMind (lmdeploy 0.18): `Object cache budget: 13858.51 MB from free 138585.12 MB and ratio 0.100` at log level INFO
(MB are MiB), and always `slab_size 33554432, object_size 1671168, object_count 20`, once the KV cache is laid out.
"""

import re
from dataclasses import dataclass, replace

MIB = 1024**2

_BUDGET = re.compile(r"Object cache budget: ([0-9.]+) MB from free ([0-9.]+) MB and ratio ([0-9.]+)")
_SLAB = re.compile(r"slab_size (\d+), object_size (\d+), object_count (\d+)")
_LOADED = re.compile(r"Loading weights from safetensors:\s+100%")
_WARMING_UP = re.compile(r"Warming up decoding:\s+\d+%")


@dataclass(frozen=True)
class LoadFacts:
    """What the log has said so far; None or False where it hasn't.

    ``loaded``: the weights are on the GPU. ``laid_out``: the KV cache has its memory.
    ``free_bytes`` is what was free when the cache's share was taken of it, ``budget_bytes`` that share.
    ``slab_bytes``, ``block_bytes`` and ``blocks_per_slab`` are how TurboMind lays the cache out.
    """

    loaded: bool = False
    laid_out: bool = False
    free_bytes: int | None = None
    budget_bytes: int | None = None
    slab_bytes: int | None = None
    block_bytes: int | None = None
    blocks_per_slab: int | None = None

    def tokens(self, block_tokens: int = 64) -> int | None:
        """Tokens that the cache holds: whole slabs in the budget × blocks in a slab × tokens in a block."""
        if self.budget_bytes is None or not self.slab_bytes or self.blocks_per_slab is None:
            return None
        return self.budget_bytes // self.slab_bytes * self.blocks_per_slab * block_tokens


def read_more(facts: LoadFacts, text: str) -> LoadFacts:
    """The facts after a further piece of the log."""
    budget = _BUDGET.search(text)
    if budget:
        facts = replace(
            facts,
            loaded=True,
            budget_bytes=round(float(budget[1]) * MIB),
            free_bytes=round(float(budget[2]) * MIB),
        )
    slab = _SLAB.search(text)
    if slab:
        facts = replace(
            facts,
            loaded=True,
            laid_out=True,
            slab_bytes=int(slab[1]),
            block_bytes=int(slab[2]),
            blocks_per_slab=int(slab[3]),
        )
    if _LOADED.search(text):
        facts = replace(facts, loaded=True)
    if _WARMING_UP.search(text):  # the PyTorch engine warms up once its cache stands
        facts = replace(facts, loaded=True, laid_out=True)
    return facts
