"""What the console keeps on disk, seen and cleared by the operator."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.console import Console

NewPage = Callable[..., Page]
OLD_S = 2 * 3600
SIZES = {"uploads/a/scan.png": 5 << 20, "console.sqlite3.corrupt-20260101-000000": 90_000}


@pytest.fixture(scope="module")
def prepare_state() -> Callable[[Path], None]:
    def prepare(state_dir: Path) -> None:
        for place, size in SIZES.items():
            path = state_dir / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(size))
            os.utime(path, (time.time() - OLD_S,) * 2)

    return prepare


def test_the_operator_looks_and_clears(page: Page, console: Console) -> None:
    section = page.locator("#deploy-storage")
    section.locator("summary").click()
    uploads = section.locator('tr[data-kind="uploads"]')
    expect(uploads).to_contain_text("5 MiB, 1 file")
    expect(section.locator('tr[data-kind="databases"]')).to_contain_text("< 0.1 MiB")
    expect(section.locator("tfoot")).to_contain_text("files")
    uploads.locator('[data-action="clear"]').click()
    expect(uploads).to_contain_text("Remove 5 MiB for good?")
    expect(uploads.locator('[data-action="no"]')).to_be_focused()  # Enter alone removes nothing
    page.keyboard.press("Enter")
    expect(uploads.locator('[data-action="clear"]')).to_be_focused()
    assert (console.state_dir / "uploads/a/scan.png").exists()
    uploads.locator('[data-action="clear"]').click()
    uploads.locator('[data-action="yes"]').click()
    expect(section.get_by_role("status")).to_have_text("Freed 5 MiB.")
    expect(uploads).to_contain_text("nothing")
    expect(uploads.locator("button")).to_have_count(0)
    assert not (console.state_dir / "uploads/a/scan.png").exists()
    assert (console.state_dir / "console.sqlite3.corrupt-20260101-000000").exists()


def test_what_cant_be_told_isnt_shown_as_if_it_were(page: Page) -> None:
    page.route("**/console/storage", lambda route: route.abort())
    section = page.locator("#deploy-storage")
    section.locator("summary").click()
    expect(section).to_contain_text("can't be told")
    expect(section.locator("table")).to_be_hidden()
    page.unroute("**/console/storage")
    section.get_by_text("Look again").click()
    expect(section.locator('tr[data-kind="logs"]')).to_be_visible()


def test_a_class_sees_none_of_it(new_page: NewPage, console: Console) -> None:
    guest = new_page(token=console.class_token)
    expect(guest.locator("#chat-tab")).to_be_visible()
    expect(guest.locator("#deploy-storage summary")).to_be_hidden()
