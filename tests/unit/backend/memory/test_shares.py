"""Whose memory is it: by NVML's processes, and by growth where those can't be told apart."""

from typing import Any

from backend.machine.nvml import GpuReading, ProcessMemory
from backend.memory.readings import Owner
from backend.memory.shares import Ledger, by_process

GIB = 1024**3


def gpu(used_gib: float | None, *processes: tuple[int, int | None], **values: Any) -> GpuReading:
    used = None if used_gib is None else round(used_gib * GIB)
    listed = tuple(ProcessMemory(pid, size) for pid, size in processes)
    return GpuReading("0", "u", "card", 24 * GIB, used, processes=listed, **values)


def server(name: str, state: str = "running") -> Owner:
    return Owner(name, name, "server", state, ("0",))


def test_processes_are_added_up_by_owner_and_the_rest_is_others() -> None:
    sample = by_process(gpu(10, (1, 2 * GIB), (2, 3 * GIB), (9, GIB)), {1: "a", 2: "a"})
    assert sample.shares == {"a": 5 * GIB}
    assert sample.others_bytes == 5 * GIB
    assert not sample.inferred


def test_a_size_that_is_not_told_is_no_share() -> None:
    sample = by_process(gpu(10, (1, None)), {1: "a"})
    assert sample.shares == {}
    assert sample.others_bytes == 10 * GIB


def test_a_card_that_cannot_be_read_has_no_others() -> None:
    assert by_process(gpu(None), {}).others_bytes is None


def test_growth_belongs_to_the_server_that_came_last() -> None:
    ledger = Ledger()
    ledger.account(gpu(1), [])
    ledger.account(gpu(1), [server("a", "starting")])
    assert ledger.account(gpu(9), [server("a")]).shares == {"a": 8 * GIB}
    ledger.account(gpu(9), [server("a"), server("b", "starting")])
    both = ledger.account(gpu(14), [server("a"), server("b")])
    assert both.shares == {"a": 8 * GIB, "b": 5 * GIB}
    assert both.others_bytes == GIB
    assert both.inferred


def test_what_a_server_held_goes_with_it() -> None:
    ledger = Ledger()
    ledger.account(gpu(1), [])
    ledger.account(gpu(9), [server("a")])
    ledger.account(gpu(14), [server("a"), server("b")])
    assert ledger.account(gpu(6), [server("b")]).shares == {"b": 5 * GIB}
    assert ledger.account(gpu(1), []).shares == {}


def test_a_server_that_was_there_first_holds_what_is_used() -> None:
    assert Ledger().account(gpu(9), [server("a")]).shares == {"a": 9 * GIB}


def test_another_card_is_none_of_its_business() -> None:
    elsewhere = Owner("a", "a", "server", "running", ("1",))
    assert Ledger().account(gpu(9), [elsewhere]).shares == {}
