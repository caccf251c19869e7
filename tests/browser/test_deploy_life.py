"""Presets, what fits, further flags, and a server's life on its card: its first answer, and that it comes back."""

import json
import os
import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Page, expect

from backend.models.catalog import DEMO_MODEL
from tests.support.console import Console
from tests.support.controls import choose, write
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B, llama

LOAD_MS = 240_000
pytestmark = pytest.mark.timeout(600)
PRESETS = {
    "format": "lmdeploy-console-presets",
    "version": 1,
    "presets": [{"name": "from a file", "settings": {"engine": "pytorch", "quant_policy": 8, "session_len": 2048}}],
}


@pytest.fixture(scope="module")
def console_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    llama(folder / "internlm2_5-1_8b-chat", INTERNLM2_5_1_8B)
    llama(folder / "internlm2_5-7b-chat", INTERNLM2_5_7B)
    llama(folder / "internlm2_5-7b-chat-w4a16-4bit", INTERNLM2_5_7B, awq=True)
    return ["--models", str(folder)]


def unfold(page: Page, *accordions: str) -> None:
    for accordion in accordions:
        page.locator(f"{accordion} .label-wrap").first.click()


def file(name: str, content: object) -> FilePayload:
    return {"name": name, "mimeType": "application/json", "buffer": json.dumps(content).encode()}


def test_settings_with_a_name_and_what_fits(new_page: Callable[..., Page]) -> None:
    page = new_page()
    expect(page.locator("#deploy-model input").first).not_to_have_value("", timeout=LOAD_MS)
    choose(page, "#deploy-engine", "turbomind")
    unfold(page, "#deploy-presets", "#deploy-fits", "#deploy-more")
    unfold(page, "#deploy-flags")

    choose(page, "#deploy-preset", "internlm2_5-7b-chat-w4a16-4bit · 4-bit weights, less KV cache")
    expect(page.locator("#deploy-model input").first).to_have_value(re.compile("w4a16-4bit"))
    expect(page.locator("#deploy-quant-policy input").first).to_have_value(re.compile("^4"))
    command = page.locator("#deploy-command textarea")
    expect(command).to_have_value(re.compile(r"--model-format awq"))

    extra = page.locator("#deploy-extra textarea, #deploy-extra input").first
    batch = page.locator("#deploy-flag-batch textarea, #deploy-flag-batch input").first
    page.locator("#deploy-flag-prefix input").check()
    expect(extra).to_have_value("--enable-prefix-caching")
    batch.fill("32")
    batch.blur()
    expect(extra).to_have_value("--enable-prefix-caching --max-batch-size 32")
    extra.fill("--max-batch-size 64")
    expect(batch).to_have_value("64")
    expect(page.locator("#deploy-flag-prefix input")).not_to_be_checked()
    expect(page.locator("#deploy-flag-adapters")).to_be_hidden()  # the other engine's

    page.locator("#deploy-fits-look").click()
    first = page.locator("#deploy-fits-result li").first
    expect(first).to_have_attribute("data-model", "internlm2_5-7b-chat")
    first.get_by_role("button").click()
    expect(page.locator("#deploy-session-len textarea, #deploy-session-len input").first).to_have_value("4000")
    expect(command).to_have_value(re.compile(r"--quant-policy 8"))

    page.locator("#deploy-preset-name textarea, #deploy-preset-name input").first.fill("课堂")
    page.locator("#deploy-preset-save").click()
    expect(page.locator("#deploy-preset input").first).to_have_value(re.compile("^课堂"))
    files = page.locator("#deploy-preset-files input[type=file]")
    files.set_input_files(file("other.json", {"format": "other"}))
    expect(page.locator("#deploy-preset-files .deploy-problem")).to_be_visible()
    files.set_input_files(file("presets.json", PRESETS))
    expect(page.locator("#deploy-preset-files p")).to_contain_text("from a file")
    choose(page, "#deploy-preset", "from a file")
    expect(command).to_have_value(re.compile(r"--backend pytorch(?s:.)*--session-len 2048"))
    page.locator("#deploy-preset-delete").click()
    expect(page.locator("#deploy-preset-message")).to_contain_text("from a file")


def test_a_server_says_something_at_once_and_comes_back(new_page: Callable[..., Page], console: Console) -> None:
    page = new_page()
    expect(page.locator("#deploy-model input").first).not_to_have_value("", timeout=LOAD_MS)
    choose(page, "#deploy-engine", "transformers")
    write(page, "#deploy-model", str(DEMO_MODEL))
    expect(page.locator("#deploy-command textarea")).to_have_value(re.compile(re.escape(str(DEMO_MODEL))))
    expect(page.locator("#deploy-start")).to_be_enabled()
    page.locator("#deploy-start").click()
    card = page.locator(".deploy-card")
    expect(card).to_have_attribute("data-state", "running", timeout=LOAD_MS)
    answer = card.locator('[data-fact="first"]')
    expect(answer).to_have_attribute("data-first", "fine", timeout=LOAD_MS)
    server_id = card.get_attribute("data-server-id") or ""

    life = card.locator(".deploy-life")
    life.locator("summary").click()
    restarts = life.locator("input[type=number]").first
    restarts.fill("99")
    life.get_by_role("button").click()
    expect(card.locator(".deploy-problem")).to_be_visible()
    for _ in range(2):  # the card is drawn anew: what was refused stays, and what is typed then
        page.wait_for_event("response", lambda response: "console/snapshot" in response.url)
    expect(restarts).to_have_value("99")
    restarts.fill("1")
    life.get_by_role("button").click()
    expect(life).to_have_attribute("data-on", "true")

    pid = json.loads((console.state_dir / "runs" / server_id / "process.json").read_text())["pid"]
    os.killpg(pid, signal.SIGKILL)
    expect(card).to_have_attribute("data-state", "running", timeout=LOAD_MS)
    expect(card).not_to_have_attribute("data-server-id", server_id, timeout=LOAD_MS)
    expect(page.locator(".deploy-life-lines")).to_contain_text("1 of 1", timeout=LOAD_MS)
    expect(card).to_have_attribute("data-state", "running", timeout=LOAD_MS)
