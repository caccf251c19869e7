"""Keys on the Deploy tab, as a teacher makes them."""

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.support.console import Console

NewPage = Callable[..., Page]


def models(console: Console, key: str) -> int:
    """The status that /v1 answers to that key."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{console.base_url}/v1/models", headers=headers, trust_env=False, timeout=60).status_code


def test_a_key_is_made_used_and_withdrawn(page: Page, console: Console) -> None:
    expect(page.locator("#deploy-start")).to_be_enabled()
    page.locator("#deploy-keys-section > button").click()
    panel = page.locator("#deploy-keys")
    expect(panel.locator("#deploy-api-v1")).to_have_text(f"{console.base_url}/v1")
    panel.locator("#deploy-key-name").fill("Class 3b")
    panel.locator("#deploy-requests-a-minute").fill("none")
    panel.locator("button[type=submit]").click()
    expect(panel.get_by_role("alert")).to_contain_text("Requests a minute")
    panel.locator("#deploy-requests-a-minute").fill("30")
    panel.locator("button[type=submit]").click()
    secret = panel.locator(".deploy-key-secret")
    expect(secret).to_contain_text("lm-")
    key = secret.text_content() or ""
    assert models(console, key) == 200
    row = panel.locator("tbody tr")
    expect(row).to_contain_text("Class 3b")
    expect(row).to_contain_text("30 requests a minute")
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    expect(panel.get_by_role("alert")).to_be_hidden()
    assert models(console, key) == 401
    page.reload()
    expect(page.locator("#deploy-start")).to_be_enabled()
    assert key not in page.content()


def test_a_class_sees_no_keys(new_page: NewPage, console: Console) -> None:
    with console.client(console.class_token) as client:
        assert client.get("/console/keys").status_code == 403
        assert client.post("/console/keys", json={"name": "a"}).status_code == 403
