"""Addresses as people copy them, and where such an API may lie: as given first."""

import pytest

from backend.engines.external import candidates, check_address, clean_address


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("localhost:23333", "http://localhost:23333"),
        ("23333", "http://127.0.0.1:23333"),
        (":23333", "http://127.0.0.1:23333"),
        ("::1", "http://[::1]"),
        ("http：//127.0.0.1：23333/v1", "http://127.0.0.1:23333/v1"),
        ("http:/127.0.0.1:23333", "http://127.0.0.1:23333"),
        ("http:\\\\127.0.0.1:23333\\v1", "http://127.0.0.1:23333/v1"),
        ("https//a.b/v1", "https://a.b/v1"),
        ("127。0。0。1:23333", "http://127.0.0.1:23333"),
        ("api.deepseek.com", "https://api.deepseek.com"),
        ("gpu.lab.local/v1", "http://gpu.lab.local/v1"),
        ("“http://a:1/v1”。", "http://a:1/v1"),
        ("地址：http://a:1/v1", "http://a:1/v1"),
        ("OPENAI_BASE_URL=http://a:1/v1", "http://a:1/v1"),
        ('$env:OPENAI_BASE_URL = "http://a:1/v1"', "http://a:1/v1"),
        ('"base_url": "http://a:1/v1",', "http://a:1/v1"),
        ('client = OpenAI(base_url="http://a:1/v1", api_key="none")', "http://a:1/v1"),
        ("curl http://a:1/v1/models", "http://a:1/v1/models"),
        ("INFO:     Uvicorn running on http://0.0.0.0:23333 (Press CTRL+C to quit)", "http://0.0.0.0:23333"),
        ("http://0.0.0.0:23333 (Press CTRL+C to quit)", "http://0.0.0.0:23333"),
        ("[the server](http://a:1/v1)", "http://a:1/v1"),
        ("http://ho st", "http://ho st"),
    ],
)
def test_what_people_copy(given: str, address: str) -> None:
    assert clean_address(given) == address


@pytest.mark.parametrize("given", ["http://ho st", "from http://a:1 to http://b:2", "ws://a/v1", "127.0.0.1 23333"])
def test_what_stays_unclear_is_refused(given: str) -> None:
    assert [message.key for message in check_address(clean_address(given))] == ["engines.external.bad-address"]


@pytest.mark.parametrize(
    ("address", "tried"),
    [
        ("http://gpu/api/paas/v4", ["/api/paas/v4"]),
        ("http://gpu/api/paas/v4/chat/completions", ["/api/paas/v4"]),
        ("http://gpu/api/v3/", ["/api/v3"]),
        ("http://gpu/v1beta/openai", ["/v1beta/openai"]),
        ("http://gpu/v1beta", ["/v1beta", "/v1beta/openai"]),
        ("http://gpu/v1/account/gateway/openai", ["/v1/account/gateway/openai"]),
        ("http://gpu/compatible-mode/v1", ["/compatible-mode/v1"]),
        ("http://gpu/v2alpha1/models", ["/v2alpha1"]),
        ("http://gpu", ["", "/v1", "/api/v1", "/openai/v1"]),
        ("http://gpu/llm", ["/llm", "/llm/v1"]),
        ("http://gpu//v1//", ["/v1"]),
    ],
)
def test_as_given_first_and_nothing_below_a_version(address: str, tried: list[str]) -> None:
    assert candidates(address) == tuple(f"http://gpu{path}" for path in tried)
