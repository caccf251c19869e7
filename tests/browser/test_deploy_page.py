"""What a person sees of the Deploy and the Quantize tab at one glance: what is preselected runs, what can't run says so
at the choice with a button for what would, a command reads like a tutorial's, no two controls cover one another.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.models.catalog import DEMO_MODEL
from tests.support.console import Console
from tests.support.controls import choose
from tests.support.layout import cut_off, misaligned, overlaps, too_wide
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, llama
from tests.support.tiny_models import fake_model

SETTLED_MS = 60_000
SIZES = {"phone": (400, 800), "zoom": (683, 384), "laptop": (1366, 768), "desk": (1440, 900), "wide": (1920, 1080)}
QWEN2_OWN_CODE = {
    "architectures": ["OwnForCausalLM"], "model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"},
    "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 64, "torch_dtype": "bfloat16",
    "max_position_embeddings": 1024,
}  # fmt: skip
pytestmark = pytest.mark.timeout(300)
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def console_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Models whose first can't run on a CPU, and whose second wants to be trusted."""
    folder = tmp_path_factory.mktemp("models")
    llama(folder / "a-w4a16-4bit", INTERNLM2_5_1_8B, awq=True)
    fake_model(folder / "b-own-code", QWEN2_OWN_CODE)
    fake_model(folder / "c-runs")
    return ["--models", str(folder)]


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """The operator's page at the size of a small laptop, its form filled."""
    return opened(new_page(viewport={"width": 1366, "height": 768}))


def opened(page: Page) -> Page:
    expect(page.locator("#deploy-model input")).not_to_have_value("", timeout=SETTLED_MS)
    expect(page.locator("#deploy-plan .plan-verdict")).to_be_visible(timeout=SETTLED_MS)
    return page


def choice(page: Page) -> Locator:
    return page.locator("#deploy-choice .console-message")


def fits(page: Page) -> Locator:
    return page.locator('.plan-verdict[data-verdict="fits"]')


def test_what_is_preselected_runs(page: Page) -> None:
    expect(page.locator("#deploy-model input")).to_have_value(re.compile("^c-runs"))
    expect(page.locator("#deploy-engine input")).to_have_value(re.compile("^transformers"))
    expect(page.locator("#deploy-start")).to_be_enabled()
    expect(fits(page)).to_be_visible()
    expect(choice(page)).to_have_count(0)
    expect(page.locator("[role=alert]:visible")).to_have_count(0)


def test_a_choice_that_cannot_run_here_says_so_calmly_with_what_would(new_page: NewPage) -> None:
    page = opened(new_page(locale="zh-CN"))
    choose(page, "#deploy-model", "a-w4a16-4bit")
    expect(choice(page)).to_have_attribute("data-key", "engines.cpu-quantized")
    expect(page.locator("[role=alert]:visible")).to_have_count(0)
    expect(fits(page)).to_have_count(0)
    expect(page.locator("#deploy-start")).to_be_disabled()
    choice(page).locator("[data-remedy]").click()
    expect(page.locator("#deploy-model input")).to_have_value(re.compile(f"^{DEMO_MODEL.name}"))
    expect(fits(page)).to_be_visible()
    expect(choice(page)).to_have_count(0)
    expect(page.locator("#deploy-start")).to_be_enabled()

    choose(page, "#deploy-engine", "turbomind")
    expect(choice(page)).to_have_attribute("data-field", "deploy-engine")
    expect(page.locator('.plan-verdict[data-verdict="elsewhere"]')).to_be_visible()
    expect(page.locator("#deploy-plan")).to_have_attribute("data-verdict", "fits")  # on the card that it plans for
    choice(page).locator("[data-remedy]").click()
    expect(page.locator("#deploy-engine input")).to_have_value(re.compile("^transformers"))
    expect(page.locator("#deploy-start")).to_be_enabled()


def test_errors_carry_their_remedy(page: Page) -> None:
    # Trust is asked where the model needs it.
    choose(page, "#deploy-model", "b-own-code")
    expect(choice(page)).to_have_attribute("data-field", "deploy-trust-remote-code")
    expect(page.locator("#deploy-start")).to_be_disabled()
    choice(page).locator("[data-remedy]").click()
    expect(choice(page)).to_have_count(0)
    expect(page.locator("#deploy-start")).to_be_enabled()
    expect(page.locator("#deploy-command textarea")).to_have_value(re.compile("--trust-remote-code"))

    # A flag that is mistyped, and one that nobody has.
    choose(page, "#deploy-model", "c-runs")
    choose(page, "#deploy-engine", "turbomind")
    page.locator("#deploy-more > button").click()
    extra = page.locator("#deploy-extra input, #deploy-extra textarea").first
    extra.fill("--enable-prefix-cachng --foo 1")
    message = page.locator('#deploy-message [data-field="deploy-extra"]')
    expect(message).to_have_count(2)
    expect(message.last).not_to_contain_text("--role")
    message.first.locator("[data-remedy]").first.click()
    expect(extra).to_have_value("--enable-prefix-caching --foo 1")
    expect(message).to_have_count(1)
    message.locator("[data-remedy]").click()
    expect(extra).to_have_value("--enable-prefix-caching")
    expect(message).to_have_count(0)

    # A ratio that doesn't fit.
    ratio = page.locator("#deploy-cache-ratio input[type=number]")
    ratio.fill("0.99")
    ratio.blur()
    page.locator("#deploy-plan-card input").fill("4")
    page.locator("#deploy-plan-card input").press("Enter")
    button = page.locator("#deploy-plan [data-remedy]").first
    expect(button).to_be_visible()
    button.click()
    expect(ratio).not_to_have_value("0.99")


def test_a_command_reads_like_a_tutorials(new_page: NewPage) -> None:
    page = opened(new_page(permissions=["clipboard-read", "clipboard-write"]))
    choose(page, "#deploy-engine", "turbomind")
    choose(page, "#deploy-quant-policy", "8")
    shown = page.locator("#deploy-command pre").first
    expect(shown).to_contain_text("--quant-policy 8")
    lines = shown.inner_text().split("\n")
    assert re.fullmatch(r"lmdeploy serve api_server \S+/c-runs \\", lines[0])
    assert all(re.fullmatch(r" {4}--\S+( \S+)*", line.removesuffix(" \\")) for line in lines[1:])
    assert all(line.endswith(" \\") for line in lines[:-1])
    for plumbing in ("HF_HUB_OFFLINE", "--api-keys", "--allow-origins", "--server-name"):
        assert plumbing not in shown.inner_text()
    page.locator("#deploy-command button").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    whole = page.locator("#deploy-command textarea").input_value()
    assert copied.replace("\\\n", "").split() == whole.split()
    assert '--api-keys "$(cat ' in copied
    page.locator("#deploy-command summary").click()
    expect(page.locator("#deploy-command pre").last).to_contain_text("HF_HUB_OFFLINE=1")
    colours = page.evaluate(
        "[...document.querySelectorAll('#deploy-command pre')].map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(colours)) == 1


def test_engines_are_installed_from_the_page(page: Page, console: Console) -> None:
    """Here they are there already: the real installer finds nothing to do, and the page says that it is done."""
    for _ in range(2):  # a finished one is gone after Close, and can be begun anew
        status = page.evaluate(
            """async () => (await fetch("console/installation/start", { method: "POST", body: "{}",
                headers: { "Content-Type": "application/json" } })).status"""
        )
        assert status == 200
        card = page.locator("#deploy-installation [data-state]")
        expect(card).to_have_attribute("data-state", "succeeded", timeout=SETTLED_MS)
        expect(card).to_contain_text("The engines are there.")
        expect(card.locator("pre")).to_contain_text(re.compile("(Audited|Checked) [0-9]+ packages"))
        card.locator('[data-action="forget"]').click()
        expect(card).to_be_hidden()
    expect(page.locator("#deploy-start")).to_be_enabled()


def test_what_matters_is_on_one_screen_and_nothing_sticks(page: Page) -> None:
    wanted = ["deploy-model", "deploy-engine", "deploy-plan", "deploy-start", "deploy-stop", "deploy-servers"]
    for control in wanted:
        expect(page.locator(f"#{control}")).to_be_in_viewport(ratio=1)
    choose(page, "#deploy-engine", "turbomind")
    page.locator("#header-hint button").click()  # what a first visitor is told has been read by who has a GPU
    for control in (*wanted, "deploy-quant-policy", "deploy-model-format", "deploy-cache-ratio"):
        expect(page.locator(f"#{control}")).to_be_in_viewport(ratio=0.5 if control == "deploy-cache-ratio" else 1)
    sticking = page.evaluate(
        """() => [...document.querySelectorAll("#deploy-tab *, #quantize-tab *")]
            .filter((e) => ["sticky", "fixed"].includes(getComputedStyle(e).position) && !e.matches(".options"))
            .map((e) => e.id || e.className)"""
    )
    assert sticking == []


@pytest.mark.parametrize(("locale", "dark"), [("en-US", False), ("zh-CN", True)])
def test_no_two_controls_cover_one_another(new_page: NewPage, locale: str, dark: bool) -> None:
    page = opened(new_page(locale=locale, color_scheme="dark" if dark else "light"))
    choose(page, "#deploy-engine", "turbomind")
    for tab in ("deploy", "quantize"):
        page.locator(f"#{tab}-tab-button").click()
        expect(page.locator(f"#{tab}-start")).to_be_visible()
        expect(page.locator(f"#{tab}-command pre").first).to_be_visible(timeout=SETTLED_MS)
        for width, height in (*SIZES.values(),):
            page.set_viewport_size({"width": width, "height": height})
            check_layout(page, f"#{tab}-tab", f"{tab} at {width}")
        for section in page.locator(f"#{tab}-tab button.label-wrap:not(.open):visible").all()[::-1]:
            section.click()
        for width, height in (SIZES["wide"], SIZES["phone"]):
            page.set_viewport_size({"width": width, "height": height})
            check_layout(page, f"#{tab}-tab", f"{tab} at {width}, everything open")
    for tab, filled in (("chat", "#chat-stats[data-state]"), ("vram", "#vram-chart .vram-plot"), ("lab", ".lab-tools")):
        page.locator(f"#{tab}-tab-button").click()
        expect(page.locator(filled).first).to_be_visible(timeout=SETTLED_MS)
        for width, height in (*SIZES.values(),):
            page.set_viewport_size({"width": width, "height": height})
            check_layout(page, f"#{tab}-tab", f"{tab} at {width}")


def check_layout(page: Page, tab: str, what: str) -> None:
    assert overlaps(page, tab) == [], what
    assert misaligned(page, tab) == [], what
    assert cut_off(page, tab) == [], what
    assert too_wide(page) <= 0, what
