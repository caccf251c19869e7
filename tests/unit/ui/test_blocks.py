"""The page's own rules: ids, inputs, events."""

import asyncio
import inspect
import typing
from collections import Counter
from collections.abc import Iterator

import gradio as gr
import pytest
from gradio.components.base import FormComponent

from backend.services import Services, build_services
from tests.conftest import make_settings
from ui.blocks import create_blocks
from ui.tabs import TABS

# Typed into or picked from, so that Gradio would guess whether a person may (FormComponent and these).
INPUTS = (FormComponent, gr.File, gr.UploadButton, gr.MultimodalTextbox, gr.Image)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = build_services(make_settings(tmp_path_factory.mktemp("page") / "state"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def blocks(services: Services) -> gr.Blocks:
    async def made() -> gr.Blocks:  # in a loop: Gradio makes its locks in the present one, or leaves new ones behind
        return create_blocks(services)

    return asyncio.run(made())


def test_ids_are_unique(blocks: gr.Blocks) -> None:
    ids = Counter(block.elem_id for block in blocks.blocks.values() if block.elem_id)
    assert [name for name, count in ids.items() if count > 1] == []


def test_ids_say_their_tab(blocks: gr.Blocks) -> None:
    areas = {"header", "tabs", *(tab.name for tab in TABS)}
    ids = [block.elem_id for block in blocks.blocks.values() if block.elem_id]
    assert [name for name in ids if name.split("-")[0] not in areas] == []


def test_every_input_has_an_id_and_is_interactive(blocks: gr.Blocks) -> None:
    inputs = [block for block in blocks.blocks.values() if isinstance(block, INPUTS)]
    assert inputs
    assert [f"{block!r} {block.label}" for block in inputs if not block.elem_id] == []
    undecided = [block.elem_id for block in inputs if getattr(block, "interactive", True) is None]
    assert undecided == []


def test_choices_can_be_filtered(blocks: gr.Blocks) -> None:
    dropdowns = [block for block in blocks.blocks.values() if isinstance(block, gr.Dropdown)]
    assert [block.elem_id for block in dropdowns if not block.filterable] == []


def test_nothing_streams_state_to_every_page(blocks: gr.Blocks) -> None:
    """No gr.State, no unload: each adds a heartbeat stream a page, and browsers have six connections."""
    kinds = {type(block).__name__ for block in blocks.blocks.values()}
    assert "State" not in kinds
    assert "Plot" not in kinds
    assert not [fn for fn in blocks.fns.values() if any(target[1] in ("unload", "stream") for target in fn.targets)]


def test_events_that_wait_for_their_turn_have_one_handler(blocks: gr.Blocks) -> None:
    """Gradio repeats the whole event for a handler that had to wait, so that two of them call one another for ever."""
    waiting = Counter(
        target for fn in blocks.fns.values() if fn.fn and fn.trigger_mode == "always_last" for target in fn.targets
    )
    assert waiting
    named = {(blocks.blocks[block].elem_id, event): count for (block, event), count in waiting.items() if block}
    assert {target: count for target, count in named.items() if count > 1} == {}


def test_no_part_has_a_handlebars_template(blocks: gr.Blocks) -> None:
    """The page's script for it comes without Handlebars (ui/gradio_compat/scripts.py: without_handlebars)."""
    parts = [block for block in blocks.blocks.values() if isinstance(block, gr.HTML)]
    assert parts
    templates = {str(template) for part in parts for template in (part.html_template, part.css_template)}
    assert not [template for template in templates if "{{" in template]


def test_nothing_is_taken_out_of_the_page(blocks: gr.Blocks) -> None:
    """Components that come and go rebuild the page's tree, and two at one moment can leave it standing still: what is
    hidden at first stays in the page."""
    assert [block.elem_id for block in blocks.blocks.values() if getattr(block, "visible", True) is False] == []


def test_gradio_is_set_for_many_pages(blocks: gr.Blocks) -> None:
    assert blocks.max_threads == 200
    assert blocks.default_config is not None
    assert blocks._queue.default_concurrency_limit is None
    assert blocks.api_open is False
    assert blocks.analytics_enabled is False


def test_handlers_know_who_asks(blocks: gr.Blocks) -> None:
    """Every handler takes the request: its language, and whether the visitor may. A lambda only passes values on."""
    unknowing = []
    for fn in blocks.fns.values():
        if fn.fn is None or fn.name == "<lambda>":
            continue
        hints = typing.get_type_hints(inspect.unwrap(fn.fn))
        if not any(hint is gr.Request for hint in hints.values()):
            unknowing.append(fn.name)
    assert unknowing == []
