"""Presets: each visitor's own, the operator's in every browser; bad ones are refused, others' are out of reach."""

from pathlib import Path

import pytest

from backend.chat.conversation import Sampling
from backend.chat.presets import Preset, Presets
from backend.classroom.people import CLASS, OPERATOR, People
from backend.errors import InvalidInput, NotFound
from backend.store import Store

SHARP = Preset("Sharp", False, Sampling(temperature=0.0, top_k=5, seed=7, stop=("\n\n", "END")))


def test_presets_are_kept_by_name_and_kind(tmp_path: Path) -> None:
    with_store = Store(tmp_path)
    presets = Presets(with_store, People(with_store))
    presets.keep("me", SHARP)
    presets.keep("me", Preset("  Sharp ", True, Sampling(system="Be sharp."), "Why?"))
    presets.keep("me", Preset("sharp", False, Sampling(temperature=0.1)))
    with_store.close()
    store = Store(tmp_path)  # the console was started anew
    presets = Presets(store, People(store))
    assert presets.get("me", "Sharp", False) == SHARP
    assert presets.get("me", "Sharp", True).question == "Why?"
    presets.keep("me", Preset("Sharp", False, Sampling(temperature=0.5)))
    assert [one.sampling.temperature for one in presets.of("me") if not one.prompt] == [0.1, 0.5]
    presets.forget("me", "Sharp", False)
    with pytest.raises(NotFound):
        presets.get("me", "Sharp", False)
    assert presets.of("another") == ()
    store.close()


def test_the_operator_has_them_in_every_browser_and_a_guest_has_none_of_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    people = People(store)
    for visitor, role in (("one", OPERATOR), ("two", OPERATOR), ("guest", CLASS)):
        people.note(visitor, role)
    presets = Presets(store, people)
    presets.keep("one", SHARP)
    assert presets.of("two") == (SHARP,)
    assert presets.of("guest") == ()
    store.close()


@pytest.mark.parametrize(
    ("preset", "key"),
    [
        (Preset("  ", False, Sampling()), "chat.error.preset_name"),
        (Preset("x" * 61, False, Sampling()), "chat.error.preset_name"),
        (Preset("x", True, Sampling(), "y" * 20_001), "chat.error.preset_question"),
    ],
)
def test_what_cannot_be_kept_is_said(tmp_path: Path, preset: Preset, key: str) -> None:
    store = Store(tmp_path)
    with pytest.raises(InvalidInput) as caught:
        Presets(store, People(store)).keep("me", preset)
    assert caught.value.messages[0].key == key
    store.close()


def test_what_is_stored_and_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_json("chat_preset", "me", [{"name": "from tomorrow", "prompt": False, "sampling": {"top_k": "many"}}, 3])
    presets = Presets(store, People(store))
    assert presets.of("me") == ()
    presets.keep("me", SHARP)
    assert len(store.get_json("chat_preset", "me") or ()) == 3
    store.close()
