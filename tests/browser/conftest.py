"""A real console and Debian's Chromium. A module changes how its console starts by overriding ``console_arguments``."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.support.chromium import launch
from tests.support.console import Console

DEADLINE_MS = 30_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")
OWN_FAILURES = re.compile(
    "(snapshot|selection) listener failed|mounting .* failed|nobody hears|Error in watch callback"
)  # what the scripts catch, and say


HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests."""
    expect.set_options(timeout=DEADLINE_MS)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console_arguments() -> list[str]:
    """Further arguments of the module's console, such as ["--models", folder]."""
    return []


@pytest.fixture(scope="module")
def prepare_state() -> Callable[[Path], None]:
    """What to lay into the module's state folder before its console starts."""
    return lambda state_dir: None


@pytest.fixture(scope="module")
def console(
    tmp_path_factory: pytest.TempPathFactory, console_arguments: list[str], prepare_state: Callable[[Path], None]
) -> Iterator[Console]:
    """A console of the module's own; at the end it and all that it started are gone."""
    state_dir = tmp_path_factory.mktemp("console") / "state"
    prepare_state(state_dir)
    console = Console(state_dir, *console_arguments)
    try:
        yield console.ready()
    finally:
        console.close()


@pytest.fixture
def new_page(browser: Browser, console: Console) -> Iterator[Callable[..., Page]]:
    """A factory of pages, each of a fresh browser: ``new_page()``, ``new_page(locale="zh-CN")``, ``new_page(token=…)``.

    Every page is watched: an error of its scripts, and a request that leaves this machine, fail the test.
    """
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def heard(said: ConsoleMessage) -> None:
        if OWN_FAILURES.search(said.text):
            problems.append(said.text)

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(f"uncaught: {error}"))
        page.on("console", heard)

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname not in LOOPBACK:
            problems.append(f"a request left this machine: {url}")

    def make(token: str | None = None, path: str = "/", ready: bool = True, **options: object) -> Page:
        context = browser.new_context(**({"locale": "en-US", "viewport": {"width": 1366, "height": 850}} | options))  # type: ignore[arg-type]
        context.set_default_timeout(DEADLINE_MS)
        contexts.append(context)
        context.on("request", lambda request: note(request.url))
        context.on("page", watch)
        page = context.new_page()
        token = console.token if token is None else token
        page.goto(f"{console.base_url}{path}" + (f"?token={token}" if token else ""))
        if ready:
            page.locator("#header-servers[data-count]").wait_for()
        return page

    yield make
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """The operator's page, in English, ready to use."""
    return new_page()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The sample pictures that come with the console."""
    return Path(__file__).parents[2] / "assets" / "pictures"
