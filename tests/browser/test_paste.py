"""The paste box on every tab: what it fills, what it says of the words, and the one click to where a line belongs."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.console import Console
from tests.support.tiny_models import fake_model

NewPage = Callable[..., Page]
BLOCK = """conda activate lmdeploy
(lmdeploy) root@intern-studio:~# lmdeploy lite auto_awq /root/models/small --calib-dataset 'ptb' --w-bits 4 \\
    --search-scale False
lmdeploy chat /root/models/small —quant-policy 8 --cache-max-entry-count 0.4
ssh -CNg -L 23333:127.0.0.1:23333 root@ssh.example.com -p 41682
nvidia-smi
"""


@pytest.fixture(scope="module")
def console_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    fake_model(folder / "small")
    return ["--models", str(folder)]


def field(page: Page, control: str) -> Locator:
    return page.locator(f"#{control} input, #{control} textarea").first


def paste(page: Page, tab: str, block: str) -> Locator:
    """Paste on the tab, which is open; gives what became of it."""
    page.locator(f"#{tab}-paste-section > button").click()
    field(page, f"{tab}-paste").fill(block)
    page.locator(f"#{tab}-paste-apply").click()
    said = page.locator(f"#{tab}-paste-message")
    expect(said.locator("[data-key], .console-message").first).to_be_visible()
    return said


def test_a_block_fills_its_tab_and_goes_on_to_the_others(new_page: NewPage) -> None:
    page = new_page()
    expect(field(page, "deploy-model")).not_to_have_value("")
    said = paste(page, "deploy", BLOCK)
    expect(field(page, "deploy-quant-policy")).to_have_value(re.compile("^8"))
    expect(field(page, "deploy-model")).to_have_value(re.compile("^small"))
    expect(page.locator("#deploy-cache-ratio input[type=number]")).to_have_value("0.4")
    for words in ("conda activate lmdeploy", "--quant-policy 8", "— → --", "nvidia-smi"):
        expect(said).to_contain_text(words)
    page.locator("#deploy-connect > button").click()
    expect(field(page, "deploy-ssh-line")).to_have_value(re.compile("-p 41682 root@ssh.example.com"))

    said.locator('[data-go="go_quantize"]').click()
    expect(page.locator("#quantize-paste-apply")).to_be_visible()
    expect(field(page, "quantize-dataset")).to_have_value(re.compile("wikitext2"))
    expect(field(page, "quantize-model")).to_have_value(re.compile("^small"))
    expect(page.locator("#quantize-paste-message")).to_contain_text("ptb")

    page.locator('#quantize-paste-message [data-go="go_vram"]').click()
    expect(page.locator("#vram-chart")).to_be_visible()


def test_every_tab_takes_a_paste_in_chinese(new_page: NewPage) -> None:
    page = new_page(locale="zh-CN")
    for tab in ("quantize", "chat", "vram"):
        page.locator(f"#{tab}-tab-button").first.click()
        said = paste(page, tab, "lmdeploy serve gradio /root/models/small --x '<img src=x onerror=alert(1)>'")
        expect(said.locator('[data-go="go_deploy"]')).to_contain_text("部署")
        expect(said).to_contain_text("<img src=x")
        expect(said.locator("img")).to_have_count(0)

    field(page, "vram-paste").fill("lmdeploy serve gradio http://localhost:23333 --server-port 6006")
    page.locator("#vram-paste-apply").click()
    said.locator('[data-go="go_chat"]').click()
    said = page.locator("#chat-paste-message")
    expect(said).to_contain_text("external")  # no server of this console listens there
    said.locator('[data-go="go_deploy"]').click()
    expect(field(page, "deploy-engine")).to_have_value(re.compile("^external"))
    expect(field(page, "deploy-address")).to_have_value("http://localhost:23333")


def test_a_class_has_no_paste_box(new_page: NewPage, console: Console) -> None:
    """What is pasted there are things to start, which a class can't."""
    page = new_page(token=console.class_token)
    for tab in ("chat", "vram"):
        page.locator(f"#{tab}-tab-button").first.click()
        expect(page.locator(f"#{tab}-tab")).to_be_visible()
        expect(page.locator(f"#{tab}-paste-section")).to_be_hidden()
