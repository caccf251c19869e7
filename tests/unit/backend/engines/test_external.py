"""Addresses as people copy them, and where such an API may lie: as given first."""

import time

import pytest

from backend.engines.external import candidates, check_address, clean_address, key_beside


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
        ("http://a/v1;x=1", "http://a/v1;x=1"),
        ("api.openai.com:443/v1", "https://api.openai.com:443/v1"),
        ("localhost:443", "https://localhost:443"),
        ("http://http://a:1/v1", "http://a:1/v1"),
        ("http://https://a/v1", "https://a/v1"),
        ("https://https//a", "https://a"),
        (":8000/v1", "http://127.0.0.1:8000/v1"),
        ("8000/v1", "http://127.0.0.1:8000/v1"),
        ("::1:8000/v1", "http://[::1]:8000/v1"),
        ("http://a:1/v1 # the lab's", "http://a:1/v1"),
        ("http://a:1/v1 http://a:1/v1", "http://a:1/v1"),
        ("base_url='http://a:1/v1', api_key='sk-x'", "http://a:1/v1"),
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
        ("http://gpu/health", ["", "/v1", "/api/v1", "/openai/v1"]),
        ("http://gpu/ui/index.html", ["", "/v1", "/api/v1", "/openai/v1"]),
        ("http://gpu/api/chat", ["", "/v1", "/api/v1", "/openai/v1"]),
        ("http://gpu/v1/models/Qwen/Qwen3-4B", ["/v1"]),
        ("http://gpu/models/qwen", ["/models/qwen", "/models/qwen/v1"]),
        ("http://gpu/chat", ["/chat", "/chat/v1"]),
        ("http://gpu/v1/messages", ["/v1"]),
        ("http://gpu/v1/chat", ["/v1"]),
        ("http://gpu/v1/v1", ["/v1"]),
        ("http://gpu/V1", ["/V1", "/v1"]),
    ],
)
def test_as_given_first_and_nothing_below_a_version(address: str, tried: list[str]) -> None:
    assert candidates(address) == tuple(f"http://gpu{path}" for path in tried)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("http://a:1/v1", ""),
        ("base_url='http://a:1/v1', api_key='sk-x1'", "sk-x1"),
        ("OPENAI_BASE_URL=http://a:1/v1 OPENAI_API_KEY=sk-x1", "sk-x1"),
        ("export OPENAI_API_KEY=sk-x1\nexport OPENAI_BASE_URL=http://a:1/v1", "sk-x1"),
        ('curl http://a:1/v1/models -H "Authorization: Bearer sk-x1"', "sk-x1"),
        ('{"base_url": "http://a:1/v1", "api_key": "sk-x1"}', "sk-x1"),
        ('OpenAI(base_url="http://a:1/v1", api_key="none")', ""),
        ('OpenAI(base_url="http://a:1/v1", api_key="EMPTY")', ""),
        ("http://a:1/v1 api_key=YOUR_API_KEY", ""),
        ('http://a:1/v1 -H "Authorization: Bearer $OPENAI_API_KEY"', ""),
        ("http://a:1/v1 api_key=sk-xxxx", ""),
        ("http://a:1/v1 api_key=密钥", ""),
        ("http://a:1/v1 api_key=a1 api_key=b1", ""),
    ],
)
def test_a_key_that_was_pasted_along(given: str, key: str) -> None:
    assert key_beside(given) == key


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://h:1/v1 api_key=sk-x1", "http://h:1/v1"),
        ("http://h:1/v1 OPENAI_API_KEY=sk-x1", "http://h:1/v1"),
        ("http://h:1/v1 Authorization: Bearer sk-x1", "http://h:1/v1"),
        ("http://h:1/v1?api_key=sk-x1", "http://h:1/v1"),
        ("http://h:1/v1?x=2&api_key=sk-x1&y=3", "http://h:1/v1?x=2&y=3"),
        ("curl http://h:1/v1/models?api_key=sk-x1", "http://h:1/v1/models"),
    ],
)
def test_a_key_does_not_stay_in_the_address(given: str, address: str) -> None:
    assert (clean_address(given), key_beside(given)) == (address, "sk-x1")


def test_a_host_whose_name_is_like_a_keys() -> None:
    for host in ("http://api-key:8000/v1", "http://my.api-key:8000/v1"):
        assert (clean_address(host), key_beside(host)) == (host, "")


def test_blanks_without_end_take_no_time() -> None:
    begun = time.process_time()
    clean_address("http://a" + " " * 30_000 + "b")
    assert time.process_time() - begun < 1
