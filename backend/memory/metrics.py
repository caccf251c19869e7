"""An LMDeploy server's /metrics: how full its KV cache is and how busy it is."""

import contextlib
import http.client
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 0.25
EVERY_SECONDS = 2.0
BACK_OFF_SECONDS = 10.0
_MOST_BYTES = 256 * 1024

_LINE = re.compile(
    r"^lmdeploy:(gpu_cache_usage_perc|num_requests_running|num_requests_waiting|generation_tokens_total)"
    r"(?:\{[^}]*\})? ([0-9.eE+-]+)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Metrics:
    """One scrape; ``usage`` 0…1, ``generated`` the tokens generated since the server started."""

    usage: float
    running: int
    waiting: int
    generated: float


def parse(text: str) -> Metrics | None:
    """LMDeploy's lines of a Prometheus page, summed over its engines (usage: the fullest); None without them."""
    found: dict[str, list[float]] = {}
    for name, value in _LINE.findall(text):
        with contextlib.suppress(ValueError):
            found.setdefault(name, []).append(float(value))
    if "gpu_cache_usage_perc" not in found:
        return None
    return Metrics(
        usage=min(1.0, max(0.0, *found["gpu_cache_usage_perc"], 0.0)),
        running=round(sum(found.get("num_requests_running", ()))),
        waiting=round(sum(found.get("num_requests_waiting", ()))),
        generated=sum(found.get("generation_tokens_total", ())),
    )


@dataclass
class _Server:
    connection: http.client.HTTPConnection
    headers: dict[str, str]
    next_at: float = 0.0
    last: Metrics | None = None
    last_at: float = 0.0
    tokens_per_second: float | None = None


class MetricsReader:
    """Asks servers now and then over connections kept open. For the sampler's thread only.

    A server that doesn't answer at once is left alone for a while, so that it never holds up the samples.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._servers: dict[str, _Server] = {}

    def read(self, server: str, base_url: str, key: str) -> tuple[Metrics, float | None] | None:
        """The newest figures and tokens per second between the last two scrapes; None where there are none.

        ``key`` is the server's API key: LMDeploy guards /metrics with it too.
        """
        now = self._clock()
        known = self._servers.get(server)
        if known is None:
            address = urlsplit(base_url)
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
            known = _Server(connection, {"Authorization": f"Bearer {key}"} if key else {})
            self._servers[server] = known
        if now >= known.next_at:
            self._scrape(known, now)
        return (known.last, known.tokens_per_second) if known.last is not None else None

    def keep(self, servers: set[str]) -> None:
        """Forgets all others."""
        for gone in set(self._servers) - servers:
            self._servers.pop(gone).connection.close()

    def _scrape(self, server: _Server, now: float) -> None:
        metrics = self._get(server)
        server.next_at = now + (EVERY_SECONDS if metrics is not None else BACK_OFF_SECONDS)
        if metrics is None:
            server.last = server.tokens_per_second = None
            return
        if server.last is not None and now > server.last_at:
            # A smaller count means that the server began anew.
            server.tokens_per_second = max(0.0, metrics.generated - server.last.generated) / (now - server.last_at)
        server.last, server.last_at = metrics, now

    def _get(self, server: _Server) -> Metrics | None:
        try:
            server.connection.request("GET", "/metrics", headers=server.headers)
            response = server.connection.getresponse()
            body = response.read(_MOST_BYTES)
            if response.status != 200 or len(body) == _MOST_BYTES:
                server.connection.close()
                return None
            return parse(body.decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException):
            server.connection.close()
            return None
