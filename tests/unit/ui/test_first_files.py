"""Gradio's files that a page needs first: what fails here is what an upgrade of Gradio has changed in its build."""

from pathlib import Path

import pytest

from ui import first_files as module
from ui.first_files import FirstFiles, first_files, style_sheet
from ui.gradio_compat import static_folder

TYPES = {"textbox", "html", "dropdown", "chatbot", "tabs"}


def test_they_are_found_and_there() -> None:
    files = first_files(TYPES)
    kinds = [name.partition("-")[0] for name in files.scripts]
    assert {"Index", "core", "Blocks"} <= set(kinds)
    assert len(files.scripts) > 15
    assert len(files.styles) > 10
    for name in (*files.scripts, *files.styles):
        assert (static_folder() / "assets" / name).is_file()
    assert len(set(files.scripts)) == len(files.scripts)
    sheet = style_sheet(files)
    assert "url(./" not in sheet
    assert len(sheet) > 10_000


def test_more_components_need_more() -> None:
    assert set(first_files({"textbox"}).scripts) < set(first_files(TYPES).scripts)
    assert first_files({"textbox", "no-such-component"}) == first_files({"textbox"})


def test_what_isnt_seen_at_first_comes_later() -> None:
    files, whole = first_files({"textbox", "html"}, TYPES), first_files(TYPES)
    assert files.scripts == first_files({"textbox", "html"}).scripts
    assert set(files.later) == set(whole.scripts) - set(files.scripts)
    assert any(name.startswith("markdown-code-") for name in files.later)
    assert files.styles == whole.styles
    assert first_files(TYPES, TYPES).later == ()


def test_of_another_build_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page loads then as Gradio made it."""
    for wrong in ("<html></html>", '<script src="./assets/index-none.js"></script>'):
        monkeypatch.setattr(Path, "read_text", lambda *_, text=wrong, **__: text)
        module._text.cache_clear()
        assert first_files(TYPES) == FirstFiles()
    module._text.cache_clear()
