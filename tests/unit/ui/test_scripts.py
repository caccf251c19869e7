"""The page's scripts: their tests without a browser, and the rules of their house."""

import re
from pathlib import Path

import pytest

from tests.support.node import run_node
from ui.web.asset_files import UI, modules

ROOT = UI.parent
SCRIPTS = sorted(UI.rglob("*.js"))
# A page of its own, with Swagger UI's script; and what stands in <head> itself (ui/web/html_head.py).
NO_MODULES = ("api_page.js", "start.js", "imports.js", "next.js")
MODULES = [path for path in SCRIPTS if path.name not in NO_MODULES]
TESTS = sorted((ROOT / "tests" / "unit").rglob("*.test.js"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests/unit")))
def test_script(path: Path) -> None:
    done = run_node("--test", "--test-force-exit", "--test-reporter=tap", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"^# tests (\d+)$", done.stdout, re.MULTILINE)
    assert counted, done.stdout
    assert int(counted[1]) > 0


def test_every_script_is_served_and_checked() -> None:
    served = set(modules().values())
    assert [str(path) for path in MODULES if path not in served] == []
    unchecked = [path.name for path in SCRIPTS if not path.read_text().startswith("// @ts-check\n")]
    assert unchecked == []


def test_scripts_press_nothing_of_gradios() -> None:
    """What a script has to tell Gradio goes by its bridge; only a tab's own button may be pressed, to open the tab."""
    pressed = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in MODULES
        for match in re.finditer(r"^.*\.click\(\).*$", path.read_text(), re.MULTILINE)
        if "-tab-button" not in match[0]
    ]
    assert pressed == []


def test_no_type_is_left_open() -> None:
    """No ``any``, and nothing that the check is told to overlook."""
    in_comments = re.compile(r"\{[^{}\n]*\bany\b[^{}\n]*\}|@ts-(?:ignore|expect-error|nocheck)")
    in_types = re.compile(r"[:<|,(]\s*any\b|\bany\[\]")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for paths, loose in ((SCRIPTS, in_comments), (UI.rglob("*.d.ts"), in_types))
        for path in paths
        for match in loose.finditer(path.read_text())
    ]
    assert found == []


def test_one_module_keeps_in_the_browser() -> None:
    """Which may forbid it, or be full."""
    storage = re.compile(r"\b(?:localStorage|sessionStorage)\s*[.[)]")
    assert [path.name for path in MODULES if storage.search(path.read_text())] == []


def test_every_request_has_a_deadline() -> None:
    """One module asks; it sets the deadline."""
    asking = [
        path.name for path in MODULES if re.search(r"\bfetch\(|XMLHttpRequest|EventSource|WebSocket", path.read_text())
    ]
    assert asking == ["request.js"]
