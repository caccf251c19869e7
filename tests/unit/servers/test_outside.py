"""Addresses of servers that run already, as a person types them."""

import pytest

from backend.engines.base import ServeConfig
from backend.servers.outside import ServerAddress, server_address, with_scheme


@pytest.mark.parametrize(
    ("typed", "root", "base_url", "host", "port"),
    [
        ("127.0.0.1:23333", "http://127.0.0.1:23333", "http://127.0.0.1:23333/v1", "127.0.0.1", 23333),
        (" localhost:8000/v1/ ", "http://localhost:8000", "http://localhost:8000/v1", "localhost", 8000),
        ("https://api.example.org", "https://api.example.org", "https://api.example.org/v1", "api.example.org", 443),
        ("http://h/x/v1/chat/completions", "http://h/x", "http://h/x/v1", "h", 80),
        ("http://[::1]:9/v1/models", "http://[::1]:9", "http://[::1]:9/v1", "::1", 9),
    ],
)
def test_what_is_typed_becomes_an_address(typed: str, root: str, base_url: str, host: str, port: int) -> None:
    config = with_scheme(ServeConfig("external", "", address=typed))
    assert server_address(config.address) == ServerAddress(root, base_url, host, port)


def test_nothing_stays_nothing() -> None:
    assert with_scheme(ServeConfig("external", "", address="  ")).address == ""
