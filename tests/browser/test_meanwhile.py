"""What others do while a person reads a question: the answer is for what was asked."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.campaign.ground import Ground, ground

DEADLINE_MS = 30_000


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    """A console with quick models."""
    with ground() as made:
        made.open()
        yield made


@pytest.fixture
def page(browser: Browser, place: Ground) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", viewport={"width": 1366, "height": 850})
    made = context.new_page()
    made.set_default_timeout(DEADLINE_MS)
    made.goto(place.running.address)
    made.locator("#header-servers[data-count]").wait_for()
    yield made
    context.close()


def test_stop_is_for_the_server_that_was_asked_about(page: Page, place: Ground) -> None:
    """Another page starts a newer one meanwhile, which is the chosen one then."""
    older = place.start(place.model("ok"))
    place.until(place.server, older, "running")
    expect(page.locator("#deploy-status")).to_have_attribute("data-state", "running")
    page.route(re.compile("/answers$"), lambda route: route.fulfill(json={"others": 2}))
    page.locator("#deploy-stop").click()
    question = page.locator("#ask-stop")
    expect(question).to_be_visible()
    newer = place.start(place.model("ok"))
    place.until(place.server, newer, "running")
    expect(page.locator("#deploy-status")).to_have_attribute("data-server-id", newer)
    question.locator(".danger").click()
    place.until(place.server, older, "stopped")
    assert place.server(newer)["state"] == "running"
    place.stop(newer)
