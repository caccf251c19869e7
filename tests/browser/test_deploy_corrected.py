"""A server that runs and answers nonsense: its card offers what would help, in the form or at once."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.campaign.ground import make_environment
from tests.support.controls import choose
from tests.support.tiny_models import fake_model

LOAD_MS = 120_000
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def console_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("ground")
    fake_model(folder / "models" / "mute")
    (folder / "models" / "mute" / "behave").write_text("nonsense")
    environment: Path = make_environment(folder / "quick")
    return ["--models", str(folder / "models"), "--lmdeploy", str(environment)]


def test_it_is_corrected(new_page: Callable[..., Page]) -> None:
    page = new_page()
    expect(page.locator("#deploy-model input").first).to_have_value(re.compile("mute"), timeout=LOAD_MS)
    fold = page.locator("#deploy-more .label-wrap").first
    fold.click()
    choose(page, "#deploy-lmdeploy", "quick")
    fold.click()
    expect(page.locator("#deploy-dtype")).to_be_hidden()
    expect(page.locator("#deploy-start")).to_be_enabled()
    page.locator("#deploy-start").click()
    card = page.locator(".deploy-card")
    expect(card).to_have_attribute("data-state", "running", timeout=LOAD_MS)
    expect(card.locator('.deploy-reason[data-first="strange"]')).to_be_visible(timeout=LOAD_MS)
    remedy = card.locator('[data-action="remedy-0"]')
    expect(remedy).to_have_text("Use float32: stop, then start again")
    server_id = card.get_attribute("data-server-id") or ""

    card.locator('[data-action="correct"]').click()
    dtype = page.locator("#deploy-dtype")
    expect(dtype.locator("input")).to_have_value(re.compile("float32"))
    expect(dtype).to_have_attribute("data-changed", "changed")
    expect(page.locator("#deploy-command textarea")).to_have_value(re.compile("--dtype float32"))
    card.locator('[data-action="edit"]').click()  # its own settings again
    expect(dtype.locator("input")).to_have_value(re.compile("auto"))
    expect(dtype).not_to_have_attribute("data-changed", "changed")

    remedy.click()
    expect(card).not_to_have_attribute("data-server-id", server_id, timeout=LOAD_MS)
    expect(card.locator('[data-fact="first"]')).to_have_attribute("data-first", "fine", timeout=LOAD_MS)
    expect(card).to_have_attribute("data-state", "running")
    expect(card.locator('[data-action^="remedy"], [data-action="correct"]')).to_have_count(0)
