"""LMDeploy's Prometheus page."""

from backend.memory.metrics import parse

PAGE = """# HELP lmdeploy:gpu_cache_usage_perc GPU KV-cache usage. 1 means 100 percent usage.
# TYPE lmdeploy:gpu_cache_usage_perc gauge
lmdeploy:gpu_cache_usage_perc{engine="0",model_name="m"} 0.25
lmdeploy:num_requests_running{engine="0",model_name="m"} 3.0
lmdeploy:num_requests_waiting{engine="0",model_name="m"} 1.0
# TYPE lmdeploy:generation_tokens_total counter
lmdeploy:generation_tokens_total{engine="0",model_name="m"} 1.2345e+04
lmdeploy:generation_tokens_created{engine="0",model_name="m"} 1.7e+09
"""


def test_the_figures_are_read() -> None:
    found = parse(PAGE)
    assert found is not None
    assert (found.usage, found.running, found.waiting, found.generated) == (0.25, 3, 1, 12345.0)


def test_several_engines_are_added_up() -> None:
    found = parse(PAGE + PAGE.replace('engine="0"', 'engine="1"').replace(" 0.25", " 0.75"))
    assert found is not None
    assert (found.usage, found.running, found.generated) == (0.75, 6, 24690.0)


def test_another_page_has_none() -> None:
    assert parse("process_cpu_seconds_total 12.5\n") is None
    assert parse("") is None
    assert parse("lmdeploy:gpu_cache_usage_perc nan\n") is None


def test_labels_and_times_are_read_as_prometheus_writes_them() -> None:
    odd = 'lmdeploy:gpu_cache_usage_perc{model_name="a}b \\"c\\" #d",engine="0"} 0.5 1700000000000\n'
    found = parse(odd + 'lmdeploy:num_requests_running{model_name="a}b"} 2\n')
    assert found is not None
    assert (found.usage, found.running) == (0.5, 2)


def test_a_line_that_cant_be_read_costs_no_other() -> None:
    lines = ('num_requests_running{model_name="m 7', "num_requests_waiting", "num_requests_running x")
    broken = "".join(f"lmdeploy:{line}\n" for line in lines)
    found = parse(broken + PAGE + "lmdeploy:num_requests_running 1e999\n\n \n{} 5\n")
    assert found is not None
    assert (found.running, found.waiting) == (3, 1)


def test_histograms_are_read_by_their_sums_alone() -> None:
    name = "lmdeploy:time_to_first_token_seconds"
    buckets = "".join(f'{name}_bucket{{le="{edge}"}} {edge}\n' for edge in range(200))
    found = parse(f"{buckets}{PAGE}{name}_sum 4.5\n{name}_count 9\n")
    assert found is not None
    assert (found.first_s, found.firsts) == (4.5, 9)
