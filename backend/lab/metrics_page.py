"""The console's own figures as a Prometheus page: servers, jobs, GPUs, KV caches. No person, path or key is on it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backend.memory.readings import Sample
from backend.quantization.job import JobState, JobView
from backend.servers.server import ServerState, ServerView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "lmdeploy_console_"


def metrics_page(
    servers: Sequence[ServerView], jobs: Sequence[JobView], sample: Sample | None, answering: int
) -> bytes:
    """The page. ``answering``: answers under way, in chats and at the console's address."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(lambda: _figures(servers, jobs, sample, answering)))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, figures: Callable[[], Iterable[Metric]]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        return self._figures()


def _figures(
    servers: Sequence[ServerView], jobs: Sequence[JobView], sample: Sample | None, answering: int
) -> Iterable[Metric]:
    states = Counter(view.state for view in servers)
    yield _gauge("servers", "Servers by state.", ("state",), [((one.value,), states[one]) for one in ServerState])
    ends = Counter(view.job.state for view in jobs)
    yield _gauge("jobs", "Quantization jobs by state.", ("state",), [((one.value,), ends[one]) for one in JobState])
    yield _gauge("answers_under_way", "Answers under way.", (), [((), answering)])
    if sample is None:
        return
    yield _gauge("host_memory_used_bytes", "Memory of the machine in use.", (), [((), sample.host.used_bytes)])
    gpus = [gpu.reading for gpu in sample.gpus]
    for name, text, values in (
        ("gpu_memory_used_bytes", "Memory of the GPU in use.", [gpu.used_bytes for gpu in gpus]),
        ("gpu_memory_total_bytes", "Memory of the GPU.", [gpu.total_bytes for gpu in gpus]),
        ("gpu_power_watts", "Power that the GPU draws.", [gpu.power_watts for gpu in gpus]),
        ("gpu_utilization_percent", "Utilization of the GPU.", [gpu.utilization_percent for gpu in gpus]),
    ):
        pairs = zip(gpus, values, strict=True)
        yield _gauge(name, text, ("gpu", "name"), [((gpu.id, gpu.name), value) for gpu, value in pairs])
    yield from _servers({view.id: view.name for view in servers}, sample)


def _servers(names: dict[str, str], sample: Sample) -> Iterable[Metric]:
    held: Counter[str] = Counter()
    for gpu in sample.gpus:
        held.update(gpu.shares)
    label = ("server",)
    known = [server for server in names if server in held]
    text = "GPU memory that the server holds."
    yield _gauge("server_gpu_memory_bytes", text, label, [((names[one],), held[one]) for one in known])
    known = [server for server in names if server in sample.resident]
    text = "Machine memory that the server holds."
    yield _gauge("server_host_memory_bytes", text, label, [((names[one],), sample.resident[one]) for one in known])
    uses = [(names[server], use) for server, use in sample.caches.items() if server in names]
    for name, text, figures in (
        ("server_kv_cache_usage_ratio", "Filled part of the KV cache.", [use.usage for _, use in uses]),
        ("server_requests_running", "Requests being answered.", [use.running for _, use in uses]),
        ("server_requests_waiting", "Requests that wait.", [use.waiting for _, use in uses]),
        ("server_tokens_per_second", "Tokens generated.", [use.tokens_per_second for _, use in uses]),
        ("server_time_to_first_token_seconds", "Mean of the last requests.", [use.ttft_s for _, use in uses]),
    ):
        yield _gauge(name, text, label, [((who,), value) for (who, _), value in zip(uses, figures, strict=True)])


def _gauge(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[tuple[str, ...], float | None]]
) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
    for key, value in values:
        if value is not None:
            family.add_metric(key, value)
    return family
