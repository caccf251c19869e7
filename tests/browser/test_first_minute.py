"""The README's first minute without a GPU or a download: Start, a sample picture, the right answer."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

LOAD_MS = 180_000
TOLD = {
    "en-US": (
        "The picture shows 2 shapes: an orange triangle at the top right and a purple square on the left.",
        "What colour is the triangle?",
        "The triangle is orange.",
        "What is the KV cache?",
        "keeps the keys and values of all earlier tokens",
    ),
    "zh-CN": (
        "图中有 2 个图形：右上方的橙色三角形和左边的紫色正方形。",
        "三角形是什么颜色？",
        "三角形是橙色。",
        "什么是 KV 缓存？",
        "KV 缓存保存之前所有 token 的键和值",
    ),
}


@pytest.fixture(scope="module")
def console_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """No models but the one that comes along."""
    return ["--models", str(tmp_path_factory.mktemp("none"))]


def ask(page: Page, question: str, answer: str) -> None:
    page.locator("#chat-input textarea").fill(question)
    page.locator("#chat-input textarea").press("Enter")
    expect(page.locator("#chat-box")).to_contain_text(answer, timeout=LOAD_MS)
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", "done")


def click_in_sight(page: Page, target: Locator) -> None:
    """One click, without a scroll before it."""
    expect(target).to_be_in_viewport(ratio=1)
    target.click()
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("locale", TOLD)
def test_start_a_sample_picture_and_the_right_answer(new_page: Callable[..., Page], locale: str) -> None:
    """From an empty machine to the first right answer about a picture in three clicks."""
    page = new_page(locale=locale, viewport={"width": 1366, "height": 768})
    seen, question, answer, explain, explained = TOLD[locale]
    expect(page.locator("#deploy-start")).to_be_enabled()
    expect(page.locator("#deploy-plan")).to_have_attribute("data-verdict", "fits")  # above Start: nothing moves it now
    expect(page.locator("#deploy-tab[data-settled]")).to_be_visible()  # covered before: a click would scroll for a way
    click_in_sight(page, page.locator("#deploy-start"))
    expect(page.locator("#deploy-status")).to_have_attribute("data-state", "running", timeout=LOAD_MS)

    click_in_sight(page, page.locator("#chat-tab-button"))
    expect(page.locator("#chat-stats[data-state]")).to_be_visible()
    click_in_sight(page, page.locator("#chat-starter [data-sample]").first)
    stats = page.locator("#chat-stats")
    box = page.locator("#chat-box")
    expect(box).to_contain_text(seen, timeout=LOAD_MS)
    expect(stats).to_have_attribute("data-state", "done")
    ask(page, question, answer)
    page.locator("#chat-clear").click()  # the tiny model answers other questions best in a conversation of their own
    expect(stats).to_have_attribute("data-state", "idle")
    ask(page, explain, explained)

    page.locator("#deploy-tab-button").click()
    page.locator("#deploy-stop").click()
    expect(page.locator("#deploy-status")).to_have_attribute("data-state", "stopped", timeout=LOAD_MS)
