"""The VRAM tab and the memory plan on this machine, which has no GPU, as a person uses them."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.controls import choose, write
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B, llama
from tests.support.vram_page import open_tab, points
from tests.support.waiting import wait_for

# Enters a value in the very moment in which a field is made, as a browser does that fills in forms.
ENTERED_AT_ONCE = """
([field, value]) => {
  const made = new MutationObserver(() => {
    const input = document.querySelector(`${field} :is(input, textarea)`);
    if (!input) return;
    made.disconnect();
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  made.observe(document.body, { childList: true, subtree: true });
}
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of real sizes, without their bytes."""
    folder = tmp_path_factory.mktemp("models")
    llama(folder / "internlm2_5-1_8b-chat", INTERNLM2_5_1_8B)
    llama(folder / "internlm2_5-7b-chat", INTERNLM2_5_7B)
    return folder


@pytest.fixture(scope="module")
def console_arguments(models: Path) -> list[str]:
    return ["--models", str(models)]


def test_the_machines_memory_without_a_gpu(shared_page: Page) -> None:
    page = shared_page
    open_tab(page)
    expect(page.locator("#vram-chart")).to_have_attribute("data-machine", "host")
    expect(page.locator("#vram-chart .vram-notes")).to_contain_text("no NVIDIA GPU")
    expect(page.locator("#vram-chart")).to_contain_text("This machine's memory")
    used = int(page.locator("#vram-table tr[data-machine]").get_attribute("data-used-mib") or 0)
    assert used > 100
    before = points(page)
    wait_for("the chart to go on", lambda: points(page) >= before + 2)
    expect(page.locator("#vram-table")).to_contain_text("Start a server on the Deploy tab")


def test_an_interval_out_of_bounds_is_refused_in_words(shared_page: Page) -> None:
    page = shared_page
    open_tab(page)
    interval = page.locator("#vram-interval input")
    interval.fill("60")
    interval.press("Enter")
    expect(page.locator("#vram-message")).to_contain_text("0.2 to 5")


def choose_turbomind(page: Page) -> None:
    """Once the page has looked at the machine, which chooses the CPU's engine here."""
    engine = page.locator("#deploy-engine input").first
    expect(engine).to_have_value(re.compile("transformers"))
    choose(page, "#deploy-engine", "turbomind")
    expect(engine).to_have_value(re.compile("turbomind"))


def test_the_plan_follows_the_form(page: Page) -> None:
    plan = page.locator("#deploy-plan")
    choose_turbomind(page)
    choose(page, "#deploy-model", "internlm2_5-1_8b-chat")
    write(page, "#deploy-plan-card", "24")
    expect(plan).to_have_attribute("data-verdict", "fits")
    kv = wait_for("a KV cache", lambda: int(plan.get_attribute("data-kv-bytes") or 0))
    tokens = int(plan.get_attribute("data-tokens") or 0)
    choose(page, "#deploy-quant-policy", "4")
    expect(plan).not_to_have_attribute("data-tokens", str(tokens))
    assert int(plan.get_attribute("data-kv-bytes") or 0) == kv
    assert int(plan.get_attribute("data-tokens") or 0) > 3.5 * tokens
    choose(page, "#deploy-model", "internlm2_5-7b-chat")
    write(page, "#deploy-plan-card", "12")
    expect(plan).to_have_attribute("data-verdict", "over")
    expect(plan).to_contain_text("AWQ")
    write(page, "#deploy-plan-card", "a big one")
    expect(plan).to_contain_text("no card size")


def test_the_ratio_for_a_class(page: Page) -> None:
    choose_turbomind(page)
    choose(page, "#deploy-model", "internlm2_5-1_8b-chat")
    write(page, "#deploy-plan-card", "24")
    expect(page.locator("#deploy-plan")).to_have_attribute("data-verdict", "fits")
    chats = page.locator("#deploy-plan-chats input, #deploy-plan-chats textarea")
    page.evaluate(ENTERED_AT_ONCE, ["#deploy-plan-chats", "10"])
    page.locator("#deploy-plan-inverse button").first.click()
    expect(chats).to_have_value("10")
    expect(page.locator("#deploy-plan-length input, #deploy-plan-length textarea")).to_have_value("4096")
    page.locator("#deploy-plan-set-chats").click()
    expect(page.locator("#deploy-plan-message")).to_contain_text("10 chats of 4,096 tokens")
    expect(chats).to_have_value("10")
    ratio = float(page.locator("#deploy-cache-ratio input").first.input_value())
    assert 0.1 < ratio < 0.4
    plan = page.locator("#deploy-plan")
    wait_for("the plan with it", lambda: 10 * 4096 <= int(plan.get_attribute("data-tokens") or 0) < 12 * 4096)
