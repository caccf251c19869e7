"""How much of a class's imports is kept."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.chat.archive import Archive
from backend.chat.pictures import Pictures
from backend.chat.quota import Quota
from backend.errors import InvalidInput, Unavailable
from backend.store import Store

OPERATOR, ME, OTHER = "o" * 32, "a" * 32, "b" * 32
MIB = 1 << 20


class World:
    """A store and pictures, with room for 3 MiB a visitor and 8 in total."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.archive = Archive(self.store)
        self.pictures = Pictures(folder / "pictures")
        self.quota = Quota(self.archive, self.pictures, lambda visitor: visitor == OPERATOR, 3 * MIB, 8 * MIB)
        self._count = 0

    def take(self, visitor: str, text: str) -> str:
        self._count += 1
        stored: dict[str, Any] = {"exchanges": [{"question": {"text": text}, "answers": []}]}
        with self.quota.room_for(visitor) as fits:
            self.archive.add(visitor, [(f"c{self._count}", stored, "")], fits)
        return f"c{self._count}"

    def refused(self, visitor: str, text: str) -> str:
        with pytest.raises(InvalidInput) as refusal:
            self.take(visitor, text)
        (message,) = refusal.value.messages
        return message.key


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.pictures.close()
    world.store.close()


def test_a_visitor_has_so_much_room(world: World) -> None:
    first = world.take(ME, "x" * (MIB * 2 // 3))  # it is kept as it is, as it is searched, and as it is shown
    assert 2 * MIB < world.archive.bytes_of(ME) < 2.1 * MIB
    assert world.refused(ME, "x" * (MIB // 2)) == "chat.import.visitor_full"
    assert world.archive.listed((ME,))[1] == 1
    world.take(OTHER, "x" * (MIB // 2))
    world.take(ME, "x" * (MIB // 10))
    world.archive.delete([first])
    world.take(ME, "x" * (MIB // 2))


def test_a_refusal_says_what_is_used(world: World) -> None:
    world.take(ME, "x" * (MIB // 2))
    with pytest.raises(InvalidInput) as refusal:
        world.take(ME, "中" * MIB)
    assert refusal.value.messages[0].params == {"used": 2, "more": 13, "limit": 3}


def test_pictures_count_too(world: World) -> None:
    file = io.BytesIO()
    Image.effect_noise((900, 900), 100).save(file, "PNG")
    picture = world.pictures.keep_bytes(ME, file.getvalue(), "a.png")[0]
    size = world.pictures.path(ME, picture.id).stat().st_size
    assert world.pictures.bytes_of(ME) == world.pictures.bytes_in_total() == size
    world.take(ME, "x")
    (world.pictures.path(ME, picture.id).parent / "another.png").write_bytes(bytes(3 * MIB))
    assert world.refused(ME, "x") == "chat.import.visitor_full"


def test_all_together_have_so_much_room(world: World) -> None:
    """Visitors are cheap to make: whoever has the class's token can be any number of them."""
    for number in range(3):
        world.take(f"{number}", "x" * (MIB * 3 // 4))
    assert world.refused("4", "x" * (MIB * 3 // 4)) == "chat.import.total_full"
    world.take(OPERATOR, "x" * (4 * MIB))
    assert world.refused("5", "x") == "chat.import.total_full"


def test_what_is_being_written_counts(world: World) -> None:
    with world.quota.room_for(ME) as fits, world.quota.room_for(ME) as others:
        fits(2 * MIB)
        with pytest.raises(InvalidInput):
            others(2 * MIB)
    with world.quota.room_for(ME) as fits:
        fits(2 * MIB)


def test_the_operator_has_no_such_limit(world: World) -> None:
    world.take(OPERATOR, "x" * (4 * MIB))


def test_counting_keeps_no_reader_waiting_and_ends_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.take(ME, "x" * (MIB // 2))
    with ThreadPoolExecutor(1) as other, world.store._tables_lock:  # as while somebody reads
        assert other.submit(world.archive.bytes_of, ME).result(30) > MIB
    many: list[tuple[str, dict[str, Any], str]] = [(f"m{number}", {"exchanges": []}, "") for number in range(500)]
    world.archive.add(OTHER, many)
    monkeypatch.setattr("backend.chat.archive.COUNT_S", -1)
    with pytest.raises(Unavailable) as caught:
        world.take(OTHER, "x")
    assert caught.value.messages[0].key == "chat.import.count_cut"
