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
