"""A proxy over two servers, by clicking alone: started, asked in Chat and through the console's address, watched."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.engines.base import ServeConfig
from backend.services import build_services
from tests.conftest import make_settings
from tests.support.console import Console
from tests.support.controls import choose, write
from tests.support.scripted_server import Scripted

START_MS = 240_000  # it imports torch, on a machine that may be busy
NewPage = Callable[..., Page]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def children() -> Iterator[tuple[Scripted, Scripted]]:
    """The first is in the console's list, the second nobody knows yet; it wants a key."""
    children = Scripted("--tokens", "8"), Scripted("--tokens", "8", "--key", "far-key")
    yield children
    for child in children:
        child.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, children: tuple[Scripted, Scripted]) -> Iterator[Console]:
    state_dir: Path = tmp_path_factory.mktemp("console") / "state"
    services = build_services(make_settings(state_dir))
    services.servers.start(ServeConfig(engine="external", model="", address=children[0].address))
    services.close()
    console = Console(state_dir)
    try:
        yield console.ready()
    finally:
        console.close()


def figure(card: Locator, child: Scripted, name: str) -> Locator:
    return card.locator(f'tr[data-node="{child.address}"] [data-figure={name}]')


def test_two_servers_behind_one_address(
    new_page: NewPage, console: Console, children: tuple[Scripted, Scripted]
) -> None:
    page = new_page()
    first, second = children
    expect(page.locator("#deploy-model input").first).not_to_have_value("", timeout=START_MS)
    choose(page, "#deploy-engine", "proxy")
    for hidden in ("model", "address", "quant-policy", "cache-ratio"):
        expect(page.locator(f"#deploy-{hidden}")).to_be_hidden()
    expect(page.locator('#deploy-message [data-key="engines.proxy.no-nodes"]')).to_be_visible()
    expect(page.locator("#deploy-start")).to_be_disabled()

    choose(page, "#deploy-nodes", first.address)
    write(page, "#deploy-nodes", second.address)
    page.locator("#deploy-api-key input").fill("far-key")
    expect(page.locator('#deploy-message [data-key="servers.node-new"]')).to_be_visible()
    expect(page.locator("#deploy-command textarea")).to_have_value(re.compile("serve proxy"))
    page.locator("#deploy-start").click()
    card = page.locator("#deploy-servers article").filter(has_text="scripted-proxy")
    expect(card).to_have_attribute("data-state", "running", timeout=START_MS)
    for child in children:
        expect(card.locator(f'tr[data-node="{child.address}"]')).to_have_attribute("data-state", "running")

    card.locator("[data-action=chat]").click()
    expect(page.locator("#chat-server input")).to_have_value(re.compile("scripted-proxy"))
    for number in range(6):
        page.locator("#chat-input textarea").fill(f"Question {number}")
        page.locator("#chat-input textarea").press("Enter")
        expect(page.locator("#chat-box [data-testid=user]")).to_have_count(number + 1)
        expect(page.locator("#chat-stats")).to_have_attribute("data-state", "done")

    page.locator("#deploy-tab-button").click()
    asked = [child for child in children if child.requests()]
    for child in asked:
        expect(figure(card, child, "speed")).to_have_text(re.compile("[1-9]"))
        expect(figure(card, child, "latency")).to_have_text(re.compile(r"\d"))
        expect(figure(card, child, "requests")).to_have_text("0")

    with console.client() as client:  # the console's own address goes through it too
        body = {"model": "scripted-proxy", "messages": [{"role": "user", "content": "Hi"}]}
        answer = client.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.json()["model"]) == (200, "scripted-proxy")

    second.process.kill()
    gone = card.locator(f'tr[data-node="{second.address}"]')
    expect(gone).to_have_attribute("data-state", "unreachable")
    expect(gone).to_contain_text("joins again by itself")
