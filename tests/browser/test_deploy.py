"""What a person does on the Deploy tab, with the real `transformers serve`."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from backend.processes import ports
from tests.support.console import Console
from tests.support.controls import choose, write
from tests.support.tiny_models import QWEN2_TENSORS, fake_model, make_model
from tests.support.waiting import wait_for

LOAD_MS = 240_000  # a model server's start on a busy machine
pytestmark = pytest.mark.timeout(600)
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that serves, and one that loads nowhere."""
    folder = tmp_path_factory.mktemp("models")
    make_model("qwen2", folder / "tiny qwen's 模型")
    fake_model(folder / "wrong-weights", tensors=QWEN2_TENSORS | {"model.embed_tokens.weight": ("BF16", (3, 5))})
    return folder


@pytest.fixture(scope="module")
def console_arguments(models: Path) -> list[str]:
    return ["--models", str(models)]


def choose_model(page: Page, model: Path) -> None:
    """Choose the model and the CPU engine, and wait until their command is shown."""
    opened(page)
    choose(page, "#deploy-engine", "transformers")
    write(page, "#deploy-model", str(model))
    expect(command(page)).to_have_value(re.compile(re.escape(model.name.split("'")[0])))


def opened(page: Page) -> None:
    """Wait until the page has filled its form."""
    expect(field(page, "deploy-model")).not_to_have_value("", timeout=LOAD_MS)


def command(page: Page) -> Locator:
    return page.locator("#deploy-command textarea")


def field(page: Page, control: str) -> Locator:
    return page.locator(f"#{control} input, #{control} textarea").first


def card(page: Page, server_id: str) -> Locator:
    return page.locator(f'#deploy-servers [data-server-id="{server_id}"]')


def chosen(page: Page) -> str:
    return page.locator("#deploy-status").get_attribute("data-server-id") or ""


def state(page: Page, wanted: str) -> None:
    """Wait for the chosen server's state."""
    expect(page.locator("#deploy-status")).to_have_attribute("data-state", wanted, timeout=LOAD_MS)


def test_a_server_from_start_to_forget(new_page: NewPage, console: Console, models: Path) -> None:
    page = new_page()
    expect(page.locator("#deploy-servers .deploy-empty")).to_be_visible()
    expect(page.locator("#deploy-stop")).to_be_disabled()
    choose_model(page, models / "tiny qwen's 模型")
    expect(page.locator("#deploy-model-details [data-fact=architecture]")).to_contain_text("Qwen2ForCausalLM")
    shown = command(page).input_value()

    page.locator("#deploy-start").dblclick()
    expect(page.locator("#deploy-servers article")).to_have_count(1)
    first = chosen(page)
    with console.client() as client:
        (server,) = client.get("/console/snapshot").json()["servers"]
    assert server["command"] == shown  # what runs is what was shown
    state(page, "running")
    expect(card(page, first)).to_have_attribute("data-state", "running")
    expect(page.locator("#deploy-log")).to_contain_text("Uvicorn running")
    assert httpx.get(f"{server['address']}/health", trust_env=False).status_code == 200

    # Another browser, and this one after a reload, see the same.
    other = new_page(locale="zh-CN")
    expect(card(other, first)).to_have_attribute("data-state", "running")
    expect(card(other, first).locator(".badge")).to_have_text("运行中")
    page.reload()
    expect(card(page, first)).to_have_attribute("data-state", "running")
    # What comes next is the loudest button, and the log tells of nothing that the console asks itself.
    expect(page.locator("#deploy-start-panel")).to_have_attribute("data-quiet", "")
    expect(card(page, first).locator('[data-action="chat"]')).to_have_class(re.compile("primary"))
    expect(page.locator("#deploy-log")).not_to_contain_text("/health")
    page.locator("#deploy-log .log-own input").check()
    expect(page.locator("#deploy-log")).to_contain_text("/health")
    # The next server's command already has another port.
    choose_model(page, models / "tiny qwen's 模型")
    expect(command(page)).not_to_have_value(re.compile(rf"--port {server['port']}\b"))

    # What a tutorial's reader does next: the model list with the line that the card shows, and the API page.
    card(page, first).locator('[data-action="code"]').click()
    expect(card(page, first).locator('[data-kind="ssh"] pre')).to_contain_text(f"-L {server['port']}:127.0.0.1:")
    line = card(page, first).locator('[data-kind="curl"] pre').inner_text()
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["object"] == "list"
    with page.context.expect_page() as popup:
        card(page, first).locator('[data-action="api"]').click()
    ask_for_health(popup.value)

    page.locator("#deploy-stop").click()
    state(page, "stopped")
    expect(page.locator("#deploy-status")).to_contain_text("SIGTERM")
    expect(card(other, first)).to_have_attribute("data-state", "stopped")
    card(page, first).locator('[data-action="restart"]').click()
    state(page, "running")
    second = chosen(page)
    assert second != first
    card(page, second).locator('[data-action="stop"]').click()
    state(page, "stopped")
    card(page, second).locator('[data-action="forget"]').click()
    expect(page.locator("#deploy-servers .deploy-empty")).to_be_visible()
    expect(other.locator("#deploy-servers article")).to_have_count(0)


def ask_for_health(api: Page) -> None:
    """Send one request with Swagger UI's own buttons."""
    api.locator(".opblock", has_text="/health").click()
    api.locator(".opblock.is-open .execute").click()
    expect(api.locator(".live-responses-table .response .response-col_status")).to_contain_text("200")
    expect(api.locator(".live-responses-table")).to_contain_text("ok")
    api.close()


def test_the_copied_command_runs_in_a_shell(new_page: NewPage, console: Console, models: Path, tmp_path: Path) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    port = ports.free_port()
    choose_model(page, models / "tiny qwen's 模型")
    page.locator("#deploy-more > button").click()
    field(page, "deploy-port").fill(str(port))
    expect(command(page)).to_have_value(re.compile(rf"--port {port}$"))
    page.locator("#deploy-command button").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.replace(" \\\n ", "").split() == command(page).input_value().split()
    log = tmp_path / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(["bash", "-c", f"exec env {copied}"], stdout=output, stderr=subprocess.STDOUT)
    try:
        # The same address typed as that of a server that runs already.
        choose(page, "#deploy-engine", "external")
        field(page, "deploy-address").fill(f"127.0.0.1:{port}")
        wait_until_healthy(port, child, log)
        page.locator("#deploy-start").click()
        state(page, "running")
        server_id = chosen(page)
        expect(page.locator("#deploy-log")).not_to_contain_text("Uvicorn")
        card(page, server_id).locator('[data-action="forget"]').click()
        expect(card(page, server_id)).to_have_count(0)
    finally:
        child.terminate()
        child.wait(30)


def wait_until_healthy(port: int, child: "subprocess.Popen[bytes]", log: Path) -> None:
    def healthy() -> bool:
        assert child.poll() is None, log.read_text(errors="replace")
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    wait_for("the copied command's server", healthy, LOAD_MS / 1000, 0.2)


def test_a_server_that_dies_says_why(new_page: NewPage, models: Path) -> None:
    page = new_page()
    choose_model(page, models / "wrong-weights")
    page.locator("#deploy-start").click()
    expect(page.locator("#deploy-servers article")).to_have_count(1)
    state(page, "failed")
    server_id = chosen(page)
    expect(card(page, server_id).locator('[data-exit-code="1"]')).to_be_visible()
    expect(card(page, server_id).locator(".deploy-reason")).not_to_be_empty()
    expect(card(page, server_id).locator(".deploy-reason-lines")).to_contain_text("RuntimeError")
    card(page, server_id).locator('[data-action="forget"]').click()
    expect(card(page, server_id)).to_have_count(0)


@pytest.mark.parametrize(
    ("locale", "label", "mark"), [("en-US", "Session length", "whole number"), ("zh-CN", "会话长度", "整数")]
)
def test_errors_stand_beside_the_command_in_the_pages_language(
    new_page: NewPage, models: Path, locale: str, label: str, mark: str
) -> None:
    page = new_page(locale=locale)
    opened(page)
    write(page, "#deploy-model", str(models / "tiny qwen's 模型"))
    choose(page, "#deploy-engine", "turbomind")
    page.locator("#deploy-more > button").click()
    field(page, "deploy-session-len").fill("many")
    error = page.locator('#deploy-message [role=alert][data-field="deploy-session-len"]')
    expect(error).to_contain_text(label)
    expect(error).to_contain_text("many")
    expect(error).to_contain_text(mark)
    expect(page.locator("#deploy-start")).to_be_disabled()
    field(page, "deploy-session-len").fill("4096")
    expect(error).to_have_count(0)
    expect(command(page)).to_have_value(re.compile("--session-len 4096"))
    choose(page, "#deploy-engine", "transformers")
    expect(page.locator("#deploy-quant-policy")).to_be_hidden()
    expect(page.locator("#deploy-start")).to_be_enabled()


def test_a_pasted_command_fills_the_form(new_page: NewPage, models: Path) -> None:
    page = new_page()
    opened(page)
    page.locator("#deploy-paste-section > button").click()
    field(page, "deploy-paste").fill(
        "lmdeploy serve api_server \\\n  /root/elsewhere/wrong-weights \\\n  --server_name 0.0.0.0 --quant-policy 8 "
        "--cache_max_entry_count 0.4 --max-batch-size 16"
    )
    page.locator("#deploy-paste-apply").click()
    expect(page.locator("#deploy-paste-message")).to_contain_text("--server_name")
    expect(field(page, "deploy-engine")).to_have_value(re.compile("^turbomind"))
    expect(field(page, "deploy-model")).to_have_value(re.compile("^wrong-weights"))
    expect(field(page, "deploy-quant-policy")).to_have_value(re.compile("^8"))
    expect(page.locator("#deploy-cache-ratio input[type=number]")).to_have_value("0.4")
    page.locator("#deploy-more > button").click()
    expect(field(page, "deploy-extra")).to_have_value("--max-batch-size 16")


def test_a_class_has_no_deploy(new_page: NewPage, console: Console) -> None:
    """Not by its address either."""
    page = new_page(token=console.class_token, path="/")
    page.goto(f"{page.url}#deploy")
    page.reload()
    expect(page.locator("#chat-tab")).to_be_visible()
    expect(page.locator("#deploy-tab-button")).to_have_count(0)
    expect(page.locator("#deploy-start")).to_have_count(0)


def test_every_control_is_named_and_the_page_fits(new_page: NewPage) -> None:
    page = new_page(viewport={"width": 400, "height": 800})
    opened(page)
    for section in ("deploy-paste-section", "deploy-more", "deploy-connect", "deploy-environments-section"):
        page.locator(f"#{section} > button").click()
    expect(page.locator("#deploy-environments .deploy-verdict").first).to_be_visible()
    expect(page.locator("#deploy-ssh-line textarea[aria-label]")).to_be_visible()
    for width in (400, 1366):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert unnamed(page) == [], width


def unnamed(page: Page) -> list[str]:
    """The shown controls that a screen reader can't name."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('#deploy-tab :is(button, input, textarea, a[href])')]
            .filter((e) => e.checkVisibility() && ![...(e.labels ?? [])].some((label) => label.innerText.trim())
                && !e.ariaLabel && !e.innerText?.trim() && !e.title && !e.getAttribute('aria-labelledby'))
            .map((e) => e.outerHTML.slice(0, 200))"""
    )
    return found
