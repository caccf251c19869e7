"""The runs of the Lab while the list is asked for every few seconds: it stays as it is where nothing is new."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from backend.lab.runs import MOST_ROWS, Runs
from backend.store import Store
from tests.unit.backend.lab.test_runs import a_row

MANY = MOST_ROWS + 20


@pytest.fixture(scope="module")
def prepare_state() -> Callable[[Path], None]:
    """More starts of the past than come at once."""

    def prepare(state_dir: Path) -> None:
        store = Store(state_dir)
        runs = Runs(store)
        for number in range(MANY):
            runs.keep(replace(a_row(number), started_at=1e9 + number))
        store.close()

    return prepare


def asked(page: Page, skip: int) -> None:
    """The list was asked for once more, from that row on."""
    with page.expect_response(lambda response: "/lab/runs?" in response.url and response.url.endswith(f"skip={skip}")):
        pass


def test_the_list_stays_while_it_is_asked_for(page: Page) -> None:
    page.locator("#lab-tab-button").click()
    rows = page.locator(".lab-runs-table tbody tr")
    expect(rows).to_have_count(MOST_ROWS)
    box = rows.nth(1).locator("input")
    box.check()
    asked(page, 0)
    asked(page, 0)
    expect(box).to_be_focused()
    expect(box).to_be_checked()

    # A slow line: what follows is still on its way when the list is asked for again.
    held: list[Route] = []
    slow = True
    page.route(
        lambda url: url.endswith(f"skip={MOST_ROWS}"),
        lambda route: held.append(route) if slow else route.continue_(),
    )
    with page.expect_request(lambda request: request.url.endswith(f"skip={MOST_ROWS}")):  # its own first part has come
        page.get_by_role("button", name="Show more").click()
    asked(page, 0)
    slow = False
    for route in held:
        route.continue_()
    expect(rows).to_have_count(MANY)
    asked(page, MOST_ROWS)  # and so it goes on
    expect(rows).to_have_count(MANY)


def test_why_runs_cant_be_compared_is_said_once(page: Page) -> None:
    page.locator("#lab-tab-button").click()
    beside = "**/lab/runs/beside"
    page.route(beside, lambda route: route.abort())
    page.locator(".lab-runs-table tbody tr input").first.check()
    said = page.locator("#lab-runs").get_by_role("alert").filter(visible=True)
    expect(said).to_be_visible()
    said.evaluate("(element) => (element.firstChild.same = true)")
    for _ in range(2):
        with page.expect_event("requestfailed", lambda failed: failed.url.endswith("/beside")):
            pass
    assert said.evaluate("(element) => element.firstChild.same")
    page.unroute(beside)
    expect(said).to_have_count(0)
    expect(page.locator("#lab-compare")).not_to_be_empty()
