"""What the tests of the VRAM tab do on its page."""

import json

from playwright.sync_api import Page, expect


def open_tab(page: Page) -> None:
    page.locator("#vram-tab-button").first.click()
    expect(page.locator("#vram-chart")).to_have_attribute("data-state", "live")


def dataset(page: Page) -> dict[str, str]:
    values: dict[str, str] = json.loads(
        page.locator("#vram-chart").evaluate("element => JSON.stringify(element.dataset)")
    )
    return values


def points(page: Page) -> int:
    return int(dataset(page).get("points", 0))
