"""Gradio's files that a page needs first: what fails here is what an upgrade of Gradio has changed in its build."""

import json
import re
from pathlib import Path

import pytest

from tests.support.node import run_node
from ui import first_files as module
from ui.first_files import FirstFiles, carried_script, first_files, style_sheet
from ui.gradio_compat.scripts import static_folder

TYPES = {"textbox", "html", "dropdown", "chatbot", "tabs"}


def test_they_are_found_and_there() -> None:
    files = first_files(TYPES)
    kinds = [name.partition("-")[0] for name in files.scripts]
    assert {"Index", "core", "Blocks"} <= set(kinds)
    assert len(files.scripts + files.carried) > 15
    assert len(files.styles) > 10
    for name in (*files.scripts, *files.carried, *files.styles):
        assert (static_folder() / "assets" / name).is_file()
    assert len(set(files.scripts + files.carried)) == len(files.scripts + files.carried)
    sheet = style_sheet(files)
    assert "url(./" not in sheet
    assert len(sheet) > 10_000


def test_more_components_need_more() -> None:
    assert everything(first_files({"textbox"})) < everything(first_files(TYPES))
    assert first_files({"textbox", "no-such-component"}) == first_files({"textbox"})


def test_what_isnt_seen_at_first_comes_later() -> None:
    files, whole = first_files({"textbox", "html"}, TYPES), first_files(TYPES)
    assert files.scripts == first_files({"textbox", "html"}).scripts
    assert files.carried == first_files({"textbox", "html"}).carried
    assert set(files.later) == everything(whole) - everything(files)
    assert any(name.startswith("markdown-code-") for name in files.later)
    assert files.styles == whole.styles
    assert first_files(TYPES, TYPES).later == ()


def everything(files: FirstFiles) -> set[str]:
    return {*files.scripts, *files.carried}


def test_the_small_ones_come_as_one() -> None:
    """Read by Node as the page's script reads it: each a module, with imports that a map can name."""
    files = first_files(TYPES)
    assert len(files.carried) > 10
    ask = """
        import { readFileSync } from "node:fs";
        const element = { dataset: {} };
        new Function("document", readFileSync(0, "utf-8"))({ currentScript: element });
        process.stdout.write(element.dataset.scripts);
    """
    done = run_node("--input-type=module", "--eval", ask, given=carried_script(files))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["scripts"]) == set(files.carried)
    named: set[str] = set()
    for source in told["scripts"].values():
        assert len(source) < 13_000
        assert 'from"./' not in source
        assert "import.meta" not in source
        named |= set(re.findall(r'\b(?:from|import)"gradio/([^"]+)"', source))
    assert named - set(files.carried) == set(told["others"])
    for name in told["others"]:
        assert (static_folder() / "assets" / name).is_file()
    html = next(name for name in files.carried if name.startswith("HTML-"))
    assert "extend=" not in told["scripts"][html]  # without Handlebars (ui/gradio_compat/scripts.py)
    assert carried_script(FirstFiles()) == ""


def test_of_another_build_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page loads then as Gradio made it."""
    for wrong in ("<html></html>", '<script src="./assets/index-none.js"></script>'):
        monkeypatch.setattr(Path, "read_text", lambda *_, text=wrong, **__: text)
        module._text.cache_clear()
        assert first_files(TYPES) == FirstFiles()
    module._text.cache_clear()
