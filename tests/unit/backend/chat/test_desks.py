"""What a browser had before it is there again after a restart."""

from pathlib import Path

import pytest

from backend.chat.conversation import Sampling
from backend.chat.desks import AREA, Desks
from backend.store import Store


def test_it_outlives_the_console(tmp_path: Path) -> None:
    store = Store(tmp_path)
    desks = Desks(store)
    desk = desks.of("v")
    desk.open, desk.sampling = "x", Sampling(system="S", temperature=0.1, max_tokens=None, tools=("add",))
    desks.keep("v")
    again = Desks(store).of("v")
    assert (again.open, again.sampling) == (desk.open, desk.sampling)
    assert Desks(store).of("another").open != Desks(store).of("another").open
    store.close()


@pytest.mark.parametrize(
    "stored", [None, 5, {}, {"open": 7}, {"sampling": 7}, {"sampling": {"top_p": 99}}, {"sampling": {"x": 1}}]
)
def test_what_cannot_be_read_begins_anew(tmp_path: Path, stored: object) -> None:
    store = Store(tmp_path)
    store.put_json(AREA, "v", stored)
    desk = Desks(store).of("v")
    assert desk.open
    assert desk.sampling == Sampling()
    store.close()
