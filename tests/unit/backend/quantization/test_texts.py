"""Calibration texts: what is taken, what is refused, and how it is kept."""

import shutil
from pathlib import Path

import pytest

from backend.errors import NotFound
from backend.quantization import texts
from backend.quantization.texts import KeptTexts, demo_text


def test_a_kept_text_is_laid_out_as_auto_awq_looks_for_it(tmp_path: Path) -> None:
    kept = KeptTexts(tmp_path / "kept").keep("a\nb", "mine.txt")
    assert kept.file == kept.folder / "wikitext" / "train.txt"
    assert kept.file.read_text() == "a\nb"
    assert "wikitext-2-raw-v1" in (kept.folder / "wikitext" / "README.md").read_text()
    assert kept.name == "mine.txt"
    assert KeptTexts(tmp_path / "kept").keep("a\nb").id == kept.id
    assert KeptTexts(tmp_path / "kept").get(kept.id) == kept


@pytest.mark.parametrize("lost", ["wikitext/train.txt", "wikitext/README.md", "wikitext"])
def test_a_text_whose_removal_was_cut_off_is_gone_until_it_is_given_again(tmp_path: Path, lost: str) -> None:
    store = KeptTexts(tmp_path / "kept")
    kept = store.keep("a\nb", "mine.txt")
    place = kept.folder / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    with pytest.raises(NotFound):
        store.get(kept.id)
    assert store.keep("a\nb", "mine.txt") == kept == store.get(kept.id)
    assert kept.file.read_text() == "a\nb"
    assert [folder.name for folder in (tmp_path / "kept").iterdir()] == [kept.id]


@pytest.mark.parametrize("name", ["gone", "../../etc", ""])
def test_a_text_that_is_not_kept(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        KeptTexts(tmp_path).get(name)


def test_old_texts_go_and_used_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MOST_KEPT", 1)
    store = KeptTexts(tmp_path / "kept")
    used, other, newest = (store.keep(text) for text in ("1", "2", "3"))
    import os

    for age, kept in enumerate((newest, other, used)):
        os.utime(kept.folder, (1000 - age, 1000 - age))
    store.forget_others({used.id})
    assert store.get(used.id)
    assert store.get(newest.id)
    with pytest.raises(NotFound):
        store.get(other.id)


def test_the_demo_text_is_in_both_languages_and_apart_from_the_held_out_one() -> None:
    text = demo_text().file.read_text(encoding="utf-8")
    held_out = (texts.DEMO_FOLDER / "held_out.txt").read_text(encoding="utf-8")
    for one in (text, held_out):
        assert sum("一" <= letter <= "鿿" for letter in one) > 200
        assert sum(letter.isascii() for letter in one) > 1000
    paragraphs = {line for line in held_out.splitlines() if len(line) > 40}
    assert paragraphs
    assert not paragraphs & set(text.splitlines())
