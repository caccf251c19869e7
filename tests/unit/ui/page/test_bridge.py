"""What Gradio and the scripts tell one another: both banks of the bridge know the same names."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from backend.services import build_services
from tests.conftest import make_settings
from tests.support.node import run_node
from ui.blocks import create_blocks
from ui.page.bridge import hear
from ui.tabs import TABS
from ui.web.asset_files import UI, modules

AREAS = ("header", *(tab.name for tab in TABS))


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gr.Blocks]:
    services = build_services(make_settings(tmp_path_factory.mktemp("bridge") / "state"))

    async def made() -> gr.Blocks:
        return create_blocks(services)

    yield asyncio.run(made())
    services.close()


def script(area: str) -> Path:
    return UI / "page" / "header.js" if area == "header" else UI / "tabs" / area / f"{area}.js"


def names(source: str, table: str) -> set[str]:
    """The keys of ``export const <table> = {…};``."""
    found = re.search(rf"^export const {table} = \{{$(.*?)^\}};$", source, re.MULTILINE | re.DOTALL)
    assert found, table
    return set(re.findall(r"^  (?:async )?(\w+)[(:,]", found[1], re.MULTILINE))


def bridge_of(blocks: gr.Blocks, area: str) -> gr.HTML:
    return next(block for block in blocks.blocks.values() if block.elem_id == f"{area}-bridge")


def offered(bridge: gr.HTML) -> set[str]:
    """The events that the component names."""
    found = re.search(r'"events": (\[.*?\])', bridge.js_on_load)
    assert found
    return set(json.loads(found[1]))


@pytest.mark.parametrize("area", AREAS)
def test_what_a_script_tells_has_a_handler(blocks: gr.Blocks, area: str) -> None:
    bridge = bridge_of(blocks, area)
    handled = {event for fn in blocks.fns.values() for block, event in fn.targets if block == bridge._id}
    assert handled == offered(bridge)
    told = re.compile(r'\b(?:tell|settled)\(("[\w", ]+)')
    sources = [path.read_text() for path in script(area).parent.glob("*.js" if area != "header" else "header.js")]
    events = {event for source in sources for call in told.findall(source) for event in re.findall(r'"(\w+)"', call)}
    assert events == handled


@pytest.mark.parametrize("area", AREAS)
def test_what_gradio_tells_is_heard(blocks: gr.Blocks, area: str) -> None:
    told = {
        event
        for fn in blocks.fns.values()
        if isinstance(fn.js, str)
        for to, event in re.findall(r'hear\("(\w+)", "(\w+)", values\)', fn.js)
        if to == area
    }
    source = script(area).read_text()
    assert told == (names(source, "events") if "export const events" in source else set())


@pytest.mark.parametrize("area", AREAS)
def test_every_part_is_filled(blocks: gr.Blocks, area: str) -> None:
    mounted = {
        name
        for block in blocks.blocks.values()
        for to, name in re.findall(r'mount\("(\w+)", "(\w+)", ', getattr(block, "js_on_load", None) or "")
        if to == area
    }
    assert mounted == names(script(area).read_text(), "parts")


def test_nothing_else_stands_in_js_strings(blocks: gr.Blocks) -> None:
    """``js=`` either tells the script, or only passes values on."""
    others = {fn.js for fn in blocks.fns.values() if isinstance(fn.js, str)} - {
        hear(area, event) for area in AREAS for event in re.findall(r"\w+", script(area).read_text())
    }
    assert [js for js in others if re.search(r"window|document|fetch|import", js)] == []


def test_gradio_can_run_what_python_writes(blocks: gr.Blocks) -> None:
    """As Gradio makes functions of it."""
    mounts = [js for block in blocks.blocks.values() if "mount(" in (js := getattr(block, "js_on_load", None) or "")]
    sources = {"mounts": sorted(set(mounts)), "told": [hear("deploy", "changed")]}
    check = """
        import { readFileSync } from "node:fs";
        const { mounts, told } = JSON.parse(readFileSync(0, "utf-8"));
        for (const js of mounts) new Function("element", "trigger", "props", "server", "upload", "watch", js);
        for (const js of told) if (typeof new Function(`return (${js})`)() !== "function") throw new Error(js);
    """
    done = run_node("--input-type=module", "--eval", check, given=json.dumps(sources))
    assert done.returncode == 0, done.stderr


def test_no_button_or_box_is_there_for_a_script(blocks: gr.Blocks) -> None:
    hidden = [block for block in blocks.blocks.values() if getattr(block, "visible", True) == "hidden"]
    assert [block.elem_id for block in hidden if isinstance(block, gr.Button)] == []
    boxes = [block._id for block in hidden if isinstance(block, gr.Textbox)]
    by_script = {
        block for fn in blocks.fns.values() if fn.fn is None for block in (*_ids(fn.inputs), *_ids(fn.outputs))
    }
    assert by_script.isdisjoint(boxes)


def _ids(components: list[gr.components.Component]) -> list[int]:
    return [component._id for component in components]


def test_the_list_of_files_holds_every_area() -> None:
    assert {script(area) for area in AREAS} <= set(modules().values())
