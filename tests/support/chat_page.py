"""What a person does on the Chat tab, for browser tests."""

import re

from playwright.sync_api import Page, expect


def open_chat(page: Page) -> Page:
    """The tab, once it shows how it stands and a server is chosen."""
    page.locator("#chat-tab-button").click()
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", re.compile("."))
    expect(page.locator("#chat-server input")).not_to_have_value("")
    return page


def send(page: Page, text: str) -> None:
    """Writes a question and presses Enter."""
    box = page.locator("#chat-input textarea")
    box.fill(text)
    box.press("Enter")


def state(page: Page, wanted: str) -> None:
    """Waits until the conversation stands so: "idle", "done" …"""
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", wanted)
