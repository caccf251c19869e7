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
    "(snapshot|selection) listener failed|mounting .* failed|nobody hears|Error in watch callback|^no text "
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


class Pages:
    """Makes pages, each of a fresh browser: ``make()``, ``make(locale="zh-CN")``, ``make(token=…)``.

    Every page is watched: an error of its scripts, and a request that leaves this machine, fail the test (``check``).
    """

    def __init__(self, browser: Browser, console: Console) -> None:
        self._browser = browser
        self._console = console
        self._contexts: list[BrowserContext] = []
        self._problems: list[str] = []

    def make(self, token: str | None = None, path: str = "/", ready: bool = True, **options: object) -> Page:
        wanted = {"locale": "en-US", "viewport": {"width": 1366, "height": 850}} | options
        context = self._browser.new_context(**wanted)  # type: ignore[arg-type]
        context.set_default_timeout(DEADLINE_MS)
        self._contexts.append(context)
        context.on("request", lambda request: self._note(request.url))
        context.on("page", self._watch)
        page = context.new_page()
        token = self._console.token if token is None else token
        page.goto(f"{self._console.base_url}{path}" + (f"?token={token}" if token else ""))
        if ready:
            page.locator("#header-servers[data-count]").wait_for()
        return page

    def check(self) -> None:
        """Fails where something went wrong that a test may not have looked at."""
        problems, self._problems = self._problems, []
        assert not problems, "\n".join(problems)

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self._problems.append(f"uncaught: {error}"))
        page.on("console", self._heard)

    def _heard(self, said: ConsoleMessage) -> None:
        if OWN_FAILURES.search(said.text):
            self._problems.append(said.text)

    def _note(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname not in LOOPBACK:
            self._problems.append(f"a request left this machine: {url}")


@pytest.fixture
def new_page(browser: Browser, console: Console) -> Iterator[Callable[..., Page]]:
    """A factory of pages: ``new_page()``, ``new_page(locale="zh-CN")``, ``new_page(token=…)``."""
    pages = Pages(browser, console)
    yield pages.make
    pages.close()
    pages.check()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """The operator's page, in English, ready to use."""
    return new_page()


@pytest.fixture(scope="module")
def opened_once(browser: Browser, console: Console) -> Iterator[tuple[Pages, Page]]:
    """One page of the module's, with what watches it."""
    pages = Pages(browser, console)
    yield pages, pages.make()
    pages.close()


@pytest.fixture
def shared_page(opened_once: tuple[Pages, Page]) -> Iterator[Page]:
    """The operator's page, in English, loaded once for the module: for tests that leave it as they found it, and find
    it as another left it (any tab open). A page load takes seconds of both cores."""
    pages, page = opened_once
    yield page
    pages.check()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The sample pictures that come with the console."""
    return Path(__file__).parents[2] / "assets" / "pictures"
