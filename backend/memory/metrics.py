"""An LMDeploy server's /metrics: how full its KV cache is and how busy it is."""

import contextlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from backend.machine.fetch import Fetcher

TIMEOUT_SECONDS = 0.25
EVERY_SECONDS = 2.0
BACK_OFF_SECONDS = 10.0
_MOST_BYTES = 256 * 1024

_PREFIX = "lmdeploy:"
_WANTED = frozenset({
    "gpu_cache_usage_perc", "num_requests_running", "num_requests_waiting", "generation_tokens_total",
    "time_to_first_token_seconds_sum", "time_to_first_token_seconds_count",
})  # fmt: skip


@dataclass(frozen=True)
class Metrics:
    """One scrape; ``usage`` 0…1, ``generated`` the tokens generated since the server started, ``first_s`` the seconds
    that all its ``firsts`` (requests that got a first token) waited for it together."""

    usage: float
    running: int
    waiting: int
    generated: float
    first_s: float = 0.0
    firsts: float = 0.0


def parse(text: str) -> Metrics | None:
    """LMDeploy's lines of a Prometheus page, summed over its engines (usage: the fullest); None without them."""
    values: dict[str, list[float]] = {}
    for line in text.splitlines():
        # The page is mostly buckets of histograms: what isn't wanted isn't parsed. One line at a time, so that one that
        # can't be read costs no other.
        name = re.split(r"[{\s]", line, maxsplit=1)[0]
        if not name.startswith(_PREFIX) or name.removeprefix(_PREFIX) not in _WANTED:
            continue
        with contextlib.suppress(ValueError, IndexError, KeyError):
            for family in text_string_to_metric_families(f"{line}\n"):
                for sample in family.samples:
                    if math.isfinite(sample.value):  # "1e999" is no number of requests
                        values.setdefault(sample.name.removeprefix(_PREFIX), []).append(sample.value)
    if "gpu_cache_usage_perc" not in values:
        return None
    return Metrics(
        usage=min(1.0, max(0.0, *values["gpu_cache_usage_perc"], 0.0)),
        running=round(sum(values.get("num_requests_running", ()))),
        waiting=round(sum(values.get("num_requests_waiting", ()))),
        generated=sum(values.get("generation_tokens_total", ())),
        first_s=sum(values.get("time_to_first_token_seconds_sum", ())),
        firsts=sum(values.get("time_to_first_token_seconds_count", ())),
    )


@dataclass
class _Server:
    url: str
    key: str
    next_at: float = 0.0
    last: Metrics | None = None
    last_at: float = 0.0
    tokens_per_second: float | None = None
    ttft_s: float | None = None


class MetricsReader:
    """Asks servers now and then. For the sampler's thread only.

    A server that doesn't answer at once is left alone for a while, so that it never holds up the samples.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._servers: dict[str, _Server] = {}
        self._fetcher = Fetcher(keep=False)

    def read(self, server: str, base_url: str, key: str) -> tuple[Metrics, float | None, float | None] | None:
        """The newest figures, and between the last two scrapes tokens per second and the mean time to the first token
        in seconds; None where there are none.

        ``key`` is the server's API key: LMDeploy guards /metrics with it too.
        """
        now = self._clock()
        page = self._servers.get(server)
        if page is None:
            page = self._servers[server] = _Server(base_url.removesuffix("/v1") + "/metrics", key)
        if now >= page.next_at:
            self._scrape(page, now)
        return (page.last, page.tokens_per_second, page.ttft_s) if page.last is not None else None

    def keep(self, servers: set[str]) -> None:
        """Forgets all others."""
        for gone in set(self._servers) - servers:
            del self._servers[gone]

    def _scrape(self, server: _Server, now: float) -> None:
        metrics = self._get(server)
        server.next_at = now + (EVERY_SECONDS if metrics is not None else BACK_OFF_SECONDS)
        if metrics is None:
            server.last = server.tokens_per_second = server.ttft_s = None
            return
        server.ttft_s = None
        if server.last is not None and now > server.last_at:
            # A smaller count means that the server began anew.
            server.tokens_per_second = max(0.0, metrics.generated - server.last.generated) / (now - server.last_at)
            if metrics.firsts > server.last.firsts and metrics.first_s >= server.last.first_s:
                server.ttft_s = (metrics.first_s - server.last.first_s) / (metrics.firsts - server.last.firsts)
        server.last, server.last_at = metrics, now

    def _get(self, server: _Server) -> Metrics | None:
        page = self._fetcher.get(server.url, server.key, deadline_s=TIMEOUT_SECONDS, most_bytes=_MOST_BYTES)
        return parse(page.content.decode("utf-8", "replace")) if page.status == 200 else None
