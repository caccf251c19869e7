"""Free and taken ports, and whose a listening one is."""

import os
import socket

import pytest

from backend.processes import ports


def test_a_listening_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
        assert not ports.is_free("0.0.0.0", port)
        assert ports.free_port(preferred=port) != port
    assert ports.is_free("127.0.0.1", port)
    assert ports.free_port(preferred=port) == port
    assert ports.free_port(preferred=port, avoid={port}) != port


@pytest.mark.parametrize("port", [-1, 0, 65536, 10**9])
def test_no_port(port: int) -> None:
    assert not ports.is_free("127.0.0.1", port)


def test_an_address_of_another_machine() -> None:
    assert not ports.is_free("192.0.2.1", 8000)


def test_the_last_port_and_what_follows() -> None:
    assert 1024 <= ports.free_port(preferred=65535, avoid={65535}) < 65535


def test_whose_a_port_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ports.listens(os.getpid(), port)
    assert ports.listens(os.getpid(), port) is False
    assert ports.listens(2**22 + 1, port) is False
