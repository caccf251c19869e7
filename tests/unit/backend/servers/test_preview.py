"""Ports that are given out."""

from pathlib import Path

from backend.servers.preview import FIRST_PORTS, LOWEST_PORT, first_port


def test_two_consoles_of_one_machine_begin_with_different_ports() -> None:
    """A server that still loads doesn't listen: another console can't see that its port is taken."""
    found = {first_port(Path(f"/home/student{number}/.local/state/lmdeploy-console")) for number in range(30)}
    assert len(found) >= 28
    assert all(LOWEST_PORT <= port < LOWEST_PORT + FIRST_PORTS for port in found)
    assert first_port(Path("/home/a")) == first_port(Path("/home/a"))
