"""Slots and ports that are given out."""

import threading
from pathlib import Path

import pytest

from backend.servers.slots import FIRST_PORTS, LOWEST_PORT, Slots, first_port


def test_two_consoles_of_one_machine_begin_with_different_ports() -> None:
    """A server that still loads doesn't listen: another console can't see that its port is taken."""
    found = {first_port(Path(f"/home/student{number}/.local/state/lmdeploy-console")) for number in range(30)}
    assert len(found) >= 28
    assert all(LOWEST_PORT <= port < LOWEST_PORT + FIRST_PORTS for port in found)
    assert first_port(Path("/home/a")) == first_port(Path("/home/a"))


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path, LOWEST_PORT, lambda: [LOWEST_PORT])


def test_a_preview_is_given_what_the_start_gets(slots: Slots) -> None:
    shown = slots.next()
    assert slots.next() == shown
    with slots.own() as taken:
        assert taken == shown
        assert slots.next() != shown


def test_a_start_that_fails_leaves_its_slot_to_the_next(slots: Slots) -> None:
    with pytest.raises(ZeroDivisionError), slots.own() as taken:
        raise ZeroDivisionError
    assert slots.next() == taken


def test_many_starts_at_once_get_slots_of_their_own(slots: Slots) -> None:
    found: list[str] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait(timeout=30)
        with slots.own() as slot, slots.promise(slot.port):
            found.append(slot.server_id)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(set(found)) == 8


def test_a_port_that_is_promised_or_in_use_is_nobody_elses(slots: Slots) -> None:
    port = slots.next().port
    with slots.promise(port) as others:
        assert others == {LOWEST_PORT}
        assert slots.ports_taken() == {LOWEST_PORT, port}
        assert not slots.is_free(port)
        assert slots.next().port not in (port, LOWEST_PORT)
    assert slots.ports_taken() == {LOWEST_PORT}
