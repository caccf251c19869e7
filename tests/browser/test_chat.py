"""The Chat tab as a person uses it, against a scriptable server and the real `transformers serve`."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from backend.engines.base import ServeConfig
from backend.services import build_services
from tests.conftest import make_settings
from tests.support.console import Console
from tests.support.controls import choose
from tests.support.gradio_calls import Visitor
from tests.support.pictures import png_header
from tests.support.scripted_server import Scripted
from tests.support.tiny_models import make_model
from tests.support.waiting import wait_for

NewPage = Callable[..., Page]
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny text-only model."""
    folder = tmp_path_factory.mktemp("models")
    make_model("qwen2", folder / "tiny-text")
    return folder


@pytest.fixture(scope="module")
def console_arguments(models: Path) -> list[str]:
    return ["--models", str(models)]


@dataclass
class Known:
    """The scriptable servers that the console knows from the start, the newest last; a test runs those that it
    needs.
    """

    ports: tuple[int, ...]

    def run(self, number: int, *arguments: str) -> Scripted:
        return Scripted(*arguments, port=self.ports[number])


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console") / "state"


@pytest.fixture(scope="module")
def known(state_dir: Path) -> Known:
    """Three external servers in the console's list. They answer as they are added, and are off again before it
    starts.
    """
    services = build_services(make_settings(state_dir))
    children = [Scripted() for _ in range(3)]
    try:
        for child in children:
            server_id = services.servers.start(ServeConfig(engine="external", model="", address=child.address))
            services.gateway.lend(server_id, True)
    finally:
        services.close()
        for child in children:
            child.close()
    return Known(tuple(child.port for child in children))


@pytest.fixture(scope="module")
def console(state_dir: Path, known: Known, console_arguments: list[str]) -> Iterator[Console]:
    """The module's console, which knows the servers."""
    console = Console(state_dir, *console_arguments)
    try:
        yield console.ready()
    finally:
        console.close()


@pytest.fixture(scope="module")
def child(known: Known, console: Console) -> Iterator[Scripted]:
    """The scriptable server of most tests."""
    child = known.run(0, "--tokens", "12")
    yield child
    child.close()


def open_chat(page: Page) -> Page:
    page.locator("#chat-tab-button").click()
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", re.compile("."))
    return page


def question(page: Page, text: str) -> None:
    box = page.locator("#chat-input textarea")
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", state)


def attach(page: Page, *files: Path) -> None:
    page.locator("#chat-input input[type=file]").set_input_files(files)


def message(page: Page, key: str) -> Locator:
    return page.locator(f"#chat-message [data-key='{key}']")


def png(path: Path, colour: str = "red") -> Path:
    Image.new("RGB", (80, 60), colour).save(path)
    return path


@pytest.fixture
def chat(new_page: NewPage, child: Scripted) -> Page:
    """A visitor's first look at the tab; the server answers with a dozen words."""
    child.script(text="", tokens=12, rate=0, fault="", finish="stop", calls=[], first_s=0)
    page = open_chat(new_page())
    expect_server(page, child)
    return page


def expect_server(page: Page, server: Scripted) -> None:
    """It was chosen by itself; one that a test before this ended may still stand in the list for a second."""
    expect(page.locator("#chat-server input")).to_have_value(re.compile(rf":{server.port}\b.*external"))


def expect_nameless_server(page: Page) -> None:
    """As above, for a class, which is told of no address."""
    expect(page.locator("#chat-server input")).to_have_value(re.compile("^scripted .*external"))


def test_without_a_server_the_page_says_what_to_do_next(new_page: NewPage, console: Console) -> None:
    page = open_chat(new_page())
    expect(page.locator("#chat-starter")).to_contain_text("No server is running yet")
    page.get_by_role("button", name="Go to Deploy").click()
    expect(page.locator("#deploy-start")).to_be_visible()
    theirs = open_chat(new_page(token=console.class_token, locale="zh-CN"))
    expect(theirs.locator("#chat-starter")).to_contain_text("老师启动服务后")
    expect(theirs.locator("#chat-starter button")).to_have_count(0)


def test_a_first_conversation(chat: Page, child: Scripted) -> None:
    chat.locator("#chat-starter [data-sample]").first.click()
    expect_state(chat, "done")
    expect(chat.locator("#chat-box")).to_contain_text("The fox found a watermelon")
    stats = chat.locator("#chat-stats")
    expect(stats).to_have_attribute("data-prompt-tokens", "11")
    expect(stats).to_have_attribute("data-answer-tokens", "12")
    expect(stats).to_have_attribute("data-ttft-ms", re.compile(r"^[\d.]+$"))
    expect(stats).to_have_attribute("data-tokens-per-s", re.compile(r"^[\d.]+$"))
    expect(chat.locator("#chat-box .chat-figures")).to_contain_text("answer 12 tokens")
    expect(chat.locator("#chat-starter")).to_be_hidden()
    # It streams: the answer is there in part while it grows
    child.script(tokens=2000, rate=5)
    question(chat, "And then?")
    expect_state(chat, "streaming")
    expect(chat.locator("#chat-box [data-testid=bot]").last).to_contain_text("The fox")
    # A reload finds it going on
    chat.reload()
    open_chat(chat)
    expect_state(chat, "streaming")
    expect(chat.locator("#chat-box")).to_contain_text("And then?")
    chat.locator("#chat-stop button, button#chat-stop").click()
    expect_state(chat, "stopped")
    wait_for("the closed request", lambda: child.requests()[0]["end"] == "closed", DEADLINE_S)
    assert len(child.requests()) == 1
    roles = [part["role"] for part in child.requests()[0]["body"]["messages"]]
    assert roles == ["user", "assistant", "user"]
    expect(chat.locator("#chat-box .chat-end[data-end='chat.end.stopped']")).to_be_visible()


def test_a_stream_that_breaks_off_goes_on(chat: Page, child: Scripted) -> None:
    """An SSH forward that is cut for a moment loses nothing."""
    asked: list[Route] = []

    def cut(route: Route) -> None:
        asked.append(route)
        if len(asked) <= 2:
            route.abort()
        else:
            route.continue_()

    chat.route("**/console/chat/stream", cut)
    child.script(tokens=40, rate=20)
    question(chat, "Still there?")
    expect_state(chat, "done")
    expect(chat.locator("#chat-box")).to_contain_text("Still there?")
    expect(chat.locator("#chat-box .chat-figures")).to_contain_text("answer 40 tokens")
    assert len(asked) >= 3
    assert len(child.requests()) == 1


def test_again_edit_and_new(chat: Page, child: Scripted) -> None:
    question(chat, "First question")
    expect_state(chat, "done")
    child.script(text="Quite another answer")
    chat.get_by_role("button", name="Ask again").click()
    expect(chat.locator("#chat-box")).to_contain_text("Quite another answer")
    expect(chat.locator("#chat-box")).not_to_contain_text("watermelon")
    chat.get_by_role("button", name="Edit last question").click()
    expect(chat.locator("#chat-input textarea")).to_have_value("First question")
    question(chat, "Better question")
    expect(chat.locator("#chat-box")).to_contain_text("Better question")
    expect_state(chat, "done")
    expect(chat.locator("#chat-box")).not_to_contain_text("First question")
    assert [part["content"] for part in child.requests()[-1]["body"]["messages"]] == ["Better question"]
    chat.get_by_role("button", name="New conversation").click()
    expect_state(chat, "idle")
    expect(chat.locator("#chat-box")).not_to_contain_text("Better question")
    expect(chat.locator("#chat-starter")).to_be_visible()


def test_settings_reach_the_server_and_are_kept(chat: Page, child: Scripted) -> None:
    chat.locator("#chat-system textarea").fill("You are a fox.")
    chat.locator("#chat-max-tokens input").fill("7")
    choose(chat, "#chat-tools", "add")
    chat.keyboard.press("Escape")
    child.script(text="Eight.", calls=[[["add", '{"a": 3, "b": 5}']]])
    question(chat, "3+5?")
    expect_state(chat, "done")
    expect(chat.locator("#chat-box")).to_contain_text("Eight.")
    expect(chat.locator("#chat-box")).to_contain_text('add({"a": 3, "b": 5})')
    body = child.requests()[0]["body"]
    assert body["messages"][0] == {"role": "system", "content": "You are a fox."}
    assert body["max_tokens"] == 7
    assert child.requests()[1]["body"]["messages"][-1]["content"] == "8"
    chat.reload()
    open_chat(chat)
    expect(chat.locator("#chat-system textarea")).to_have_value("You are a fox.")
    expect(chat.locator("#chat-max-tokens input")).to_have_value("7")
    chat.locator("#chat-max-tokens input").fill("0")
    question(chat, "Kept")
    expect(message(chat, "chat.error.max_tokens")).to_contain_text("Max tokens is 0")
    expect(chat.locator("#chat-input textarea")).to_have_value("Kept")


def test_pictures_are_sent_and_are_their_visitors_own(
    chat: Page, child: Scripted, new_page: NewPage, tmp_path: Path
) -> None:
    attach(chat, png(tmp_path / "red.png"), png(tmp_path / "blue.png", "blue"))
    expect(chat.locator("#chat-input .thumbnail-item")).to_have_count(2)
    thumbnail = chat.locator("#chat-input .thumbnail-item img").first
    assert thumbnail.evaluate("image => image.decode().then(() => image.naturalWidth)") == 80
    upload = thumbnail.evaluate("image => image.src")
    question(chat, "Which colours?")
    expect_state(chat, "done")
    shown = chat.locator("#chat-box img.chat-picture")
    expect(shown).to_have_count(2)
    assert shown.first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 80
    parts = child.requests()[0]["body"]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    assert all(part["image_url"]["url"].startswith("data:image/png;base64,") for part in parts[:2])
    address = chat.evaluate("src => new URL(src, document.baseURI).href", shown.first.get_attribute("src"))
    assert chat.request.get(address).status == 200
    other = open_chat(new_page())
    assert other.request.get(address).status == 404
    assert other.request.get(upload).status == 404
    expect(other.locator("#chat-box")).not_to_contain_text("Which colours?")


def bad_pictures(folder: Path) -> dict[str, Path]:
    (folder / "text.png").write_text("not a picture")
    (folder / "notes.zip").write_bytes(b"PK")
    (folder / "bomb.png").write_bytes(png_header(30_000, 30_000))
    with (folder / "large.png").open("wb") as file:
        file.truncate(200 * 2**20)
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (20, 20)).save(folder / "print.jpg")
    return {path.stem: path for path in folder.iterdir()}


def test_bad_pictures_are_explained_and_nothing_is_lost(chat: Page, child: Scripted, tmp_path: Path) -> None:
    files = bad_pictures(tmp_path)
    question(chat, "Kept before")
    expect_state(chat, "done")
    attach(chat, files["large"])
    expect(message(chat, "chat.error.upload_size")).to_contain_text("200 MiB")
    attach(chat, files["notes"])  # in the page's own words, not in Gradio's
    expect(message(chat, "chat.error.file_type")).to_contain_text("notes.zip")
    expect(chat.locator(".toast-wrap .toast-body")).to_have_count(0)
    for name, key in (("text", "chat.error.picture_type"), ("bomb", "chat.error.picture_pixels_unknown")):
        attach(chat, files[name])
        expect(chat.locator("#chat-input .thumbnail-item")).to_have_count(1)
        question(chat, "What is this?")
        expect(message(chat, key)).to_contain_text(name)
        expect(chat.locator("#chat-input textarea")).to_have_value("What is this?")
        chat.locator("#chat-input .delete-button").first.click()
        expect(chat.locator("#chat-input .thumbnail-item")).to_have_count(0)
    expect(chat.locator("#chat-box")).to_contain_text("Kept before")
    attach(chat, files["moving"], files["print"])
    expect(chat.locator("#chat-input .thumbnail-item")).to_have_count(2)
    question(chat, "And these?")
    expect(message(chat, "chat.notice.first_frame")).to_be_visible()
    expect(chat.locator("#chat-box img.chat-picture")).to_have_count(2)
    chat.locator("#chat-input textarea").press("Enter")
    expect(message(chat, "chat.error.empty")).to_be_visible()


def test_a_server_that_dies_leaves_its_part_and_another_is_asked(chat: Page, child: Scripted, known: Known) -> None:
    mortal = known.run(1, "--tokens", "50", "--rate", "5")
    try:
        expect_server(chat, mortal)  # the newest
        mortal.script(fault="die")
        question(chat, "Will you live?")
        expect_state(chat, "failed")
    finally:
        mortal.close()
    expect(chat.locator("#chat-box")).to_contain_text("The fox found")
    expect(chat.locator("#chat-box .chat-end[data-end='chat.end.gone']")).to_be_visible()
    expect_server(chat, child)
    chat.get_by_role("button", name="Ask again").click()
    expect_state(chat, "done")
    assert child.requests()[0]["body"]["messages"] == [{"role": "user", "content": "Will you live?"}]


PAYLOADS = (
    "<script>window.ran=1</script> <img src=x onerror='window.ran=2'> <svg onload='window.ran=3'> "
    "[a](javascript:window.ran=4) <a href='javascript:window.ran=5'>b</a> ![c](http://192.0.2.1/spy.png) "
    "<iframe srcdoc='<script>parent.ran=6</script>'></iframe> <style>body{display:none}</style> "
    "<form action='http://192.0.2.1/'><button>d</button></form> ${window.ran=7} {{constructor}} "
    "$$\\href{javascript:1}{e}$$"
)


def test_markup_in_an_answer_or_question_does_not_run(chat: Page, child: Scripted) -> None:
    child.script(text=f"{PAYLOADS} the end of it")
    question(chat, f"{PAYLOADS} # <b>as it is</b>")
    expect_state(chat, "done")
    box = chat.locator("#chat-box")
    expect(box).to_contain_text("the end of it")
    expect(box.locator("[data-testid=user]")).to_contain_text("<script>window.ran=1</script>")
    expect(box.locator("[data-testid=user]")).to_contain_text("# <b>as it is</b>")
    expect(box).to_contain_text("[a](javascript:window.ran=4)")
    for link in box.locator("a").all():
        assert (link.get_attribute("href") or "").startswith("http")
    for selector in ("script", "iframe", "form", "[onerror]", "[onload]"):
        assert box.locator(selector).count() == 0, selector
    chat.reload()
    open_chat(chat)
    expect(box).to_contain_text("the end of it")
    assert chat.evaluate("window.ran") is None


def run_code(page: Page, console: Console, child: Scripted, said: str) -> None:
    """Both codes on the page, run as they stand, ask what was asked on the page."""
    page.locator("#chat-code-panel > button, #chat-code-panel .label-wrap").first.click()
    for language, argv in (("python", [sys.executable, "-c"]), ("curl", ["bash", "-c"])):
        code = page.locator(f"#chat-code [data-language={language}]")
        expect(code).to_contain_text(f"{console.base_url}/v1")
        text = code.text_content() or ""
        assert console.token not in text
        assert console.class_token not in text
        done = subprocess.run([*argv, text], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert "watermelon" in done.stdout, done.stderr
        assert child.requests()[-1]["body"]["messages"][-1]["content"] == said


def test_the_code_runs_as_it_is_pasted(chat: Page, console: Console, child: Scripted) -> None:
    question(chat, "It's $HOME?")
    expect_state(chat, "done")
    run_code(chat, console, child, "It's $HOME?")


def test_the_code_of_a_class_runs_too(new_page: NewPage, console: Console, child: Scripted) -> None:
    child.script(text="", tokens=12, rate=0, fault="")
    page = open_chat(new_page(token=console.class_token))
    expect_nameless_server(page)
    question(page, "Who's there?")
    expect_state(page, "done")
    run_code(page, console, child, "Who's there?")


def test_two_servers_side_by_side(chat: Page, child: Scripted, known: Known) -> None:
    other = known.run(2)
    try:
        child.script(text="from the one")
        other.script(text="from the other")
        expect(chat.locator("#chat-server-2")).to_be_visible()
        choose(chat, "#chat-server", str(child.port))
        choose(chat, "#chat-server-2", str(other.port))
        expect(chat.locator("#chat-box-2")).to_be_visible()
        question(chat, "Who are you?")
        expect_state(chat, "done")
        expect(chat.locator("#chat-box")).to_contain_text("from the one")
        expect(chat.locator("#chat-box-2")).to_contain_text("from the other")

        # While both answer, the page is opened anew: both columns are there, and go on to their ends.
        for server in (child, other):
            server.script(text="", tokens=200, rate=10)  # longer than a slow machine's page takes to open
        question(chat, "And now?")
        expect_state(chat, "streaming")
        chat.reload()
        open_chat(chat)
        expect(chat.locator("#chat-stop")).to_be_enabled()
        expect(chat.locator("#chat-box-2")).to_contain_text("from the other")
        expect_state(chat, "done")
        for box in ("#chat-box", "#chat-box-2"):
            expect(chat.locator(f"{box} .chat-figures[data-state=done]")).to_have_count(2)

        # A cleared conversation leaves nothing in either.
        chat.locator("#chat-clear").click()
        expect_state(chat, "idle")
        for box in ("#chat-box", "#chat-box-2"):
            expect(chat.locator(f"{box} .chat-figures")).to_have_count(0)
    finally:
        other.close()
    expect(chat.locator("#chat-server-2")).to_be_hidden()  # the next test finds one server alone


def test_a_class_chats_in_chinese_and_sees_no_paths(new_page: NewPage, console: Console, child: Scripted) -> None:
    child.script(text="", tokens=12, rate=0, fault="context")
    page = open_chat(new_page(token=console.class_token, locale="zh-CN"))
    expect_nameless_server(page)
    question(page, "你好")
    expect_state(page, "failed")
    expect(page.locator("#chat-box .chat-end")).to_contain_text("对话长度超过模型的上下文")
    expect(page.locator("#chat-box .chat-end")).not_to_contain_text("9000")  # the server's own words may name paths
    child.script(fault="")
    page.get_by_role("button", name="重新生成").click()
    expect_state(page, "done")
    expect(page.locator("#chat-stats")).to_contain_text("回答 12 个 token")
    assert str(console.state_dir) not in page.content()


def test_everything_has_a_name_and_can_be_reached_by_keyboard(chat: Page) -> None:
    nameless = chat.locator("#chat-columns").evaluate(
        """root => [...root.querySelectorAll("button, input, textarea, select, [role=log], [role=group]")]
          .filter((e) => e.offsetParent !== null)
          .filter((e) => !(e.getAttribute("aria-label") || e.title || e.textContent.trim() || e.labels?.length
            || e.getAttribute("aria-labelledby")))
          .map((e) => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
    box = chat.locator("#chat-input textarea")
    box.click()
    box.type("By keyboard")
    box.press("Enter")
    expect_state(chat, "done")
    reached = set()
    chat.locator("#chat-server input").focus()
    focused = "(e => e.dataset.chatCopy ? 'copy' : e.dataset.chatAgain ? 'again' : e.dataset.chatEdit ? 'edit' : e.id"
    for _ in range(30):
        chat.keyboard.press("Tab")
        reached.add(chat.evaluate(f"{focused} || e.closest('[id]')?.id)(document.activeElement)"))
    assert {"copy", "again", "edit", "chat-clear", "chat-temperature"} <= {str(r) for r in reached}


def test_the_conversation_fills_the_window(new_page: NewPage, child: Scripted) -> None:
    """Worth projecting: at 1366 × 768 the conversation has 520 px and more, and nothing has to be scrolled to."""
    child.script(text="", tokens=12, rate=0, fault="")
    page = open_chat(new_page(viewport={"width": 1366, "height": 768}))
    expect_server(page, child)
    chips = page.locator("#chat-starter [data-sample]")
    assert 3 <= chips.count() <= 4
    inside = page.locator("#chat-box").bounding_box()
    assert inside is not None
    assert inside["height"] >= 520
    for chip in chips.all():
        box = chip.bounding_box()
        assert box is not None
        assert inside["y"] <= box["y"] <= box["y"] + box["height"] <= inside["y"] + inside["height"]
    expect(page.locator("#chat-input")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    page.locator("#chat-view-side").click()
    expect(page.locator("#chat-side")).to_be_hidden()
    wider = page.locator("#chat-box").bounding_box()
    assert wider is not None
    assert wider["width"] > 1.3 * inside["width"]
    page.reload()
    expect(page.locator("#chat-stats[data-state]")).to_be_visible()
    expect(page.locator("#chat-side")).to_be_hidden()


def test_icons_stand_on_messages_and_figures_once(chat: Page, child: Scripted) -> None:
    question(chat, "One")
    expect_state(chat, "done")
    question(chat, "Two")
    expect(chat.locator("#chat-box .chat-figures")).to_have_count(2)
    expect_state(chat, "done")
    expect(chat.get_by_role("button", name="Copy the answer")).to_have_count(2)
    expect(chat.get_by_role("button", name="Ask again")).to_have_count(1)
    expect(chat.get_by_role("button", name="Edit last question")).to_have_count(1)
    shown = chat.evaluate(
        """() => [...document.querySelectorAll('#chat-columns *')].filter((e) => !e.children.length
            && e.checkVisibility() && /answer 12 tokens/.test(e.textContent) && !e.closest('.sr-only')).length"""
    )
    assert shown == 2  # one for each answer
    chat.get_by_role("button", name="Edit last question").click()
    expect(chat.locator("#chat-input textarea")).to_be_focused()
    expect(chat.locator("#chat-input textarea")).to_have_value("Two")


def test_keys_stop_and_begin_anew(chat: Page, child: Scripted) -> None:
    child.script(tokens=2000, rate=5)
    question(chat, "Long")
    expect_state(chat, "streaming")
    expect(chat.locator("#chat-stop")).to_be_visible()
    chat.keyboard.press("Escape")
    expect_state(chat, "stopped")
    expect(chat.locator("#chat-stop")).to_be_hidden()
    chat.locator("#chat-input textarea").fill("n")  # a letter that is written does nothing else
    expect(chat.locator("#chat-box")).to_contain_text("Long")
    chat.locator("#chat-input textarea").fill("")
    chat.locator("#header-guide").focus()
    chat.keyboard.press("n")
    expect_state(chat, "idle")
    expect(chat.locator("#chat-input textarea")).to_be_focused()


def test_a_stop_asks_first_while_others_are_answered(new_page: NewPage, console: Console, child: Scripted) -> None:
    child.script(text="", tokens=2000, rate=5, fault="")
    student = open_chat(new_page(token=console.class_token))
    expect_nameless_server(student)
    question(student, "Long")
    expect_state(student, "streaming")
    teacher = new_page()
    expect(teacher.locator("#header-share")).to_have_attribute("data-here", re.compile(r"^[1-9]"))
    running = "snapshot.servers.find(({state}) => state === 'running').id"
    server = teacher.evaluate(f"fetch('./console/snapshot').then((r) => r.json()).then((snapshot) => {running})")
    asking = (
        "window.may = null; import('./console/assets/page/ask_first.js')"
        f".then(({{mayStop}}) => mayStop('{server}', 'it')).then((may) => {{ window.may = may; }}); null"
    )
    for press, may in (("#ask-stop footer .button:not(.danger)", False), ("#ask-stop .danger", True)):
        teacher.evaluate(asking)
        expect(teacher.locator("#ask-stop")).to_contain_text("answering somebody else")
        teacher.locator(press).click()
        teacher.wait_for_function("window.may !== null")
        assert teacher.evaluate("window.may") is may
    student.locator("#chat-stop button, button#chat-stop").click()
    expect_state(student, "stopped")
    teacher.evaluate(asking)
    teacher.wait_for_function("window.may === true")  # nobody is in the middle of one: nothing is asked


def test_the_real_transformers_serve_a_text_model_and_the_queue(
    new_page: NewPage, console: Console, models: Path
) -> None:
    with Visitor(console) as starter:
        starter.start(ServeConfig("transformers", str(models / "tiny-text")))
    operator = open_chat(new_page())
    expect(operator.locator("#chat-server input")).to_have_value(re.compile("tiny-text.*transformers"), timeout=180_000)
    expect(operator.locator("#chat-starter")).to_contain_text("takes no pictures")
    expect(operator.locator("#chat-input textarea")).to_have_attribute("placeholder", re.compile("takes no pictures"))
    expect(operator.locator("#chat-input .upload-button")).to_have_count(1)  # for text files and PDFs
    operator.locator("#chat-max-tokens input").fill("8")
    question(operator, "Hello")
    expect_state(operator, "done")
    expect(operator.locator("#chat-stats")).to_have_attribute("data-prompt-tokens", re.compile(r"^\d+$"))
    # One at a time: the second sees its place, and gets its turn
    operator.locator("#chat-max-tokens input").fill("3000")
    question(operator, "A long one")
    expect_state(operator, "streaming")
    student = open_chat(new_page(token=console.class_token))
    student.locator("#chat-max-tokens input").fill("8")
    question(student, "Me too")
    expect(student.locator("#chat-stats[data-place='1']")).to_contain_text("Your place: 1 of 1")
    operator.locator("#chat-stop button, button#chat-stop").click()
    expect_state(student, "done")
