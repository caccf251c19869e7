"""A person gets a model: looked at, downloaded, paused, gone on with, and used, from a hub on this machine."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_deploy import field, opened
from tests.support.console import Console
from tests.support.local_hub import Faults, LocalHub, local_hub
from tests.support.tiny_models import make_model
from tests.support.waiting import wait_for

LOAD_MS = 120_000
NAME = "Some-Org/Tiny-Qwen"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A hub with a real model, which takes some seconds to come."""
    model = make_model("qwen2", tmp_path_factory.mktemp("hub") / "tiny")
    with local_hub({NAME: model}, Faults()) as hub:
        yield hub


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def console(hub: LocalHub, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console that knows that hub alone."""
    environment = {"HF_ENDPOINT": hub.address, "MODELSCOPE_ENDPOINT": hub.address}
    console = Console(tmp_path_factory.mktemp("console") / "state", "--models", str(models), environment=environment)
    try:
        yield console.ready()
    finally:
        console.close()


def test_get_a_model(page: Page, new_page: Callable[..., Page], console: Console, hub: LocalHub, models: Path) -> None:
    opened(page)
    assert hub.asked == []  # nothing was asked before a person pressed Look
    page.locator("#deploy-download").click()
    dialog = page.locator("#deploy-get")
    expect(dialog).to_be_visible()
    dialog.locator("#deploy-get-text").fill("https://example.com/no/model")
    dialog.locator("#deploy-get-look").click()
    expect(dialog.locator("[role=alert]")).to_contain_text("isn't a model's page")
    assert hub.asked == []
    dialog.locator("#deploy-get-text").fill("tiny")
    dialog.locator("#deploy-get-look").click()
    dialog.locator(f'.get-found[data-model="{NAME}"]').first.click()
    card = dialog.locator(f'.get-card[data-model="{NAME}"]')
    expect(card).to_have_attribute("data-verdict", "fits")
    expect(card).to_contain_text("Qwen2ForCausalLM")
    expect(card).to_contain_text("apache-2.0")
    expect(card.locator("li[data-able=true]")).to_have_count(2)
    folder = card.locator(f'#deploy-get-place option[value="{models}"]')
    expect(folder).to_have_count(1)
    card.locator("#deploy-get-place").select_option(str(models))
    hub.faults.speed = 100_000
    card.locator("#deploy-get-start").click()
    expect(dialog).to_have_count(0)

    row = page.locator("#deploy-downloads .get-row")
    expect(row).to_have_attribute("data-state", "running")
    wait_for("something came", lambda: sum(hub.sent.values()) > 200_000)
    row.get_by_role("button", name="Pause").click()
    expect(row).to_have_attribute("data-state", "paused")
    # A class sees nothing of it, another page of the operator's does; there it goes on.
    student = new_page(token=console.class_token)
    expect(student.locator("#deploy-download")).to_have_count(0)
    other = new_page()
    hub.faults.speed = None
    other.locator("#deploy-downloads .get-row").get_by_role("button", name="Go on").click()
    expect(row).to_have_attribute("data-state", "succeeded", timeout=LOAD_MS)
    row.get_by_role("button", name="Use it").click()
    expect(field(page, "deploy-model")).to_have_value(re.compile("^Tiny-Qwen"))
    expect(page.locator("#deploy-model-details")).to_contain_text(str(models / "Tiny-Qwen"))

    # A second time it is found, and nothing is loaded.
    page.locator("#deploy-download").click()
    dialog.locator("#deploy-get-text").fill(NAME)
    dialog.locator("#deploy-get-look").click()
    expect(dialog.locator(".get-here")).to_contain_text(str(models / "Tiny-Qwen"), timeout=LOAD_MS)
    expect(dialog.locator("#deploy-get-start")).to_be_hidden()
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Remove from list").click()
    expect(row).to_have_count(0)
    assert (models / "Tiny-Qwen" / "model.safetensors").is_file()
