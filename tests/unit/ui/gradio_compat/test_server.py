"""Each reliance on Gradio's insides in this process: what fails here is what an upgrade of Gradio has changed."""

import asyncio
import contextlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from gradio.queueing import Event
from gradio.server_messages import HeartbeatMessage, ProcessStartsMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.gradio_compat import server
from ui.gradio_compat.scripts import slim, static_folder, unused_scripts
from ui.gradio_compat.server import (
    API,
    FILES,
    QUEUE_LOOK_S,
    SEEN_IN,
    SESSIONS,
    UPLOAD,
    UPLOAD_PROGRESS,
    USED,
    Page,
    encodable,
    file_paths,
    mount,
    mounted,
    route_of,
)  # fmt: skip

LOG: list[str] = []


class Seen:
    """The layer: notes what it is asked for, and what the page checks and takes."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, dict[str, Any]]] = []
        self.checked: list[str] = []
        self.taken: list[str] = []

    def layer(self, app: ASGIApp) -> ASGIApp:
        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            route, parameters = route_of(scope)
            self.routes.append((route, dict(parameters)))
            await app(scope, receive, send)

        return noting

    def check(self, request: Any, path: str) -> None:
        self.checked.append(path)
        if "mine" not in path:
            raise gr.Error("not yours", print_exception=False)

    def take(self, request: Any, paths: Sequence[str]) -> None:
        self.taken.extend(paths)


def echo(value: Any, files: Any) -> Any:
    """A handler that tells what it was given."""
    LOG.append(repr((value, files)))
    return value


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def app(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    page = Page(seen.check, seen.take, analytics_enabled=False)
    with page:
        text, files = gr.Textbox(), gr.MultimodalTextbox()
        gr.Button().click(echo, [text, files], text, api_name="echo", queue=False)
        gr.Button().click(lambda text: gr.update(label=text), text, text, api_name="relabel", queue=False)
    app = FastAPI()
    mount(app, page, seen.layer, max_file_size=1000)
    return app


@contextlib.asynccontextmanager
async def living(app: FastAPI) -> Any:
    """A client of the application, started as a server starts it."""
    async with app.router.lifespan_context(app), _client(app) as client:
        yield client


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60)


def page_of(app: FastAPI) -> Any:
    return mounted(app).get_blocks()  # type: ignore[attr-defined]


async def echoed(client: httpx.AsyncClient, *data: Any) -> httpx.Response:
    return await client.post(f"{API}/run/echo", json={"data": list(data), "session_hash": "s"})


def test_a_page_knows_its_own_kind_again() -> None:
    """The page of a console that was started again, in another process, answers with the same number as before."""
    script = """
import gradio as gr
from ui.gradio_compat.server import Page
page = Page(None, None, analytics_enabled=False)
with page:
    box = gr.Textbox()
for scripts in (["page.js?v=1", "style.css?v=0"], ["style.css?v=0", "page.js?v=1"], ["page.js?v=2", "style.css?v=0"]):
    page.known_by(scripts)
    print(page.app_id)
with page:
    box.change(print, box, api_name="told")
page.known_by(["page.js?v=1", "style.css?v=0"])
print(page.app_id)
"""
    root = Path(__file__).parents[4]
    argv = [sys.executable, "-c", script]
    first, second = (
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120, cwd=root).stdout.split()
        for _ in range(2)
    )
    assert first == second
    number, in_any_order, other_script, other_event = map(int, first)
    assert number == in_any_order < 1 << 53
    assert len({number, other_script, other_event}) == 3


async def test_the_page_is_told_what_it_draws(app: FastAPI) -> None:
    async with living(app) as client:
        page = (await client.get("/")).text
    texts = {"en": {"a": "</script>"}, "zh-CN": {"a": "你好"}}
    page = page.replace('"i18n_translations":null', f'"i18n_translations":{json.dumps(texts)}'.replace("<", "\\u003c"))
    slimmed = slim(page, "en")

    def value(text: str, name: str) -> Any:
        return json.JSONDecoder().raw_decode(text, text.index(f"window.{name} = ") + len(f"window.{name} = "))[0]

    before, after = value(page, "gradio_config"), value(slimmed, "gradio_config")
    assert before["i18n_translations"] == texts
    assert after["i18n_translations"] == {"en": texts["en"]}
    assert any("api_info" in component for component in before["components"])
    assert not [component for component in after["components"] if "api_info" in component]
    assert [c["props"] for c in after["components"]] == [c["props"] for c in before["components"]]
    assert {name for name in before if before[name] != after[name]} == {"components", "i18n_translations"}
    assert "named_endpoints" in value(page, "gradio_api_info")
    assert value(slimmed, "gradio_api_info") == {"named_endpoints": {}, "unnamed_endpoints": {}}
    assert slimmed.count("</script>") == page.count("</script>") - 1
    assert "iframeResizer" in page
    assert "iframeResizer" not in slimmed
    assert slim("another page", "en") == "another page"
    # Nothing of the page reads what is left out; its client submits by number, and takes what it isn't told of.
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in (static_folder() / "assets").glob("*.js"))
    assert not re.search(r"\b(api_info_as_input|api_info_as_output|example_inputs|skip_api)\b", scripts)
    assert re.search(r"typeof \w+==`number`\)\w+=\w+,\w+=\w+\.unnamed_endpoints\[\w+\]", scripts)


async def test_what_is_seen_at_first() -> None:
    with Page(lambda *_: None, lambda *_: None, analytics_enabled=False) as page:
        gr.Textbox()
        with gr.Tabs():
            with gr.Tab("A", id="a"), gr.Accordion("closed", open=False):
                gr.Number()
            with gr.Tab("B", id="b"):
                with gr.Accordion("open"):
                    gr.Slider()
                gr.HTML(visible="hidden")
    assert page.kinds_at_first("a") == {"textbox", "tabs", "tabitem", "accordion", "form"}
    assert page.kinds_at_first("b") == {"textbox", "tabs", "tabitem", "accordion", "slider", "html", "form"}
    assert page.kinds() >= page.kinds_at_first("a") | {"number"}


def test_the_version_that_all_this_was_seen_in() -> None:
    """Another one: read this module's reasons again, then change SEEN_IN."""
    assert gr.__version__ == SEEN_IN


async def test_the_queue_rests_between_looks(app: FastAPI) -> None:
    page = page_of(app)
    assert page._queue.sleep_when_free == QUEUE_LOOK_S
    assert page.max_threads == server.MAX_THREADS
    assert page._queue.max_size == server.MOST_WAITING
    assert {fn.concurrency_limit for fn in page.fns.values()} == {"default"}
    assert page._queue.default_concurrency_limit is None
    assert "len(self.event_analytics) > self.ANALYTICS_MAX_EVENTS" in inspect.getsource(type(page._queue))
    assert page._queue.max_size == page._queue.ANALYTICS_MAX_EVENTS
    async with living(app):
        slept: list[float] = []
        real = asyncio.sleep

        async def noting(delay: float, *rest: Any) -> Any:
            slept.append(delay)
            return await real(delay, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio, "sleep", noting)
            await real(0.1)
        # Nothing else in the queue looks more often.
        assert 3 <= slept.count(QUEUE_LOOK_S) <= 25  # two loops look
        assert [delay for delay in slept if delay < QUEUE_LOOK_S] == []


async def test_sessions_are_forgotten(app: FastAPI) -> None:
    holder = mounted(app).state_holder  # type: ignore[attr-defined]
    assert holder.capacity == SESSIONS
    for number in range(2 * SESSIONS):
        holder[f"session-{number}"]
    assert len(holder.session_data) == SESSIONS
    async with living(app) as client:  # one that was forgotten goes on
        answer = await client.post(f"{API}/run/echo", json={"data": ["Hi", None], "session_hash": "session-0"})
        assert answer.json()["data"] == ["Hi"]


async def test_what_nobody_reads_is_forgotten(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_UNREAD", 30)
    page = page_of(app)
    queue = page._queue
    messages, events = queue.pending_messages_per_session, queue.pending_event_ids_session
    messages.max_size = 5
    number = next(number for number, fn in page.fns.items() if fn.api_name == "echo")

    async def join(session: str) -> None:
        body = {"data": ["Hi", None], "session_hash": session, "fn_index": number}
        (await client.post(f"{API}/queue/join", json=body)).raise_for_status()

    async with living(app) as client:
        await join("who reads")
        await join("who never reads")
        for _ in range(30):
            messages["who never reads"].put_nowait(HeartbeatMessage())
        assert (await echoed(client, "Hi", None)).status_code == 200
        assert "who never reads" not in messages.keys() | events.keys()
        assert "who reads" in messages.keys() & events.keys()
        events.update({f"gone {other}": set() for other in range(20)})  # Gradio forgot their messages by itself
        assert (await echoed(client, "Hi", None)).status_code == 200
        assert events.keys() == {"who reads"}
        stream = await client.get(f"{API}/queue/data", params={"session_hash": "who reads"})
        assert '"msg":"process_completed"' in stream.text
        assert '"data":["Hi"]' in stream.text


async def test_an_event_of_a_forgotten_session_ends_no_queue(app: FastAPI) -> None:
    page = page_of(app)
    queue = page._queue
    messages = queue.pending_messages_per_session
    messages.max_size = 2
    function = next(fn for fn in page.fns.values() if fn.api_name == "echo")
    async with living(app):
        event = Event("old", function, Request({"type": "http"}), None)
        for session in ("old", "newer", "newest"):
            messages[session] = asyncio.Queue()
        assert "old" not in messages
        queue.send_message(event, ProcessStartsMessage(eta=None))
        assert messages["old"].qsize() == 1
        assert len(messages) == 2


async def test_a_pages_first_event_writes_nothing_out(app: FastAPI) -> None:
    async with living(app) as client:
        assert (await echoed(client, "Hi", None)).json()["data"] == ["Hi"]
    session = mounted(app).state_holder["s"]  # type: ignore[attr-defined]
    assert session.config_values == {}


async def test_a_session_keeps_what_an_event_changed_and_shares_the_rest(app: FastAPI) -> None:
    holder = mounted(app).state_holder  # type: ignore[attr-defined]
    one, two = holder["one"], holder["two"]
    assert one.blocks_config.fns is two.blocks_config.fns
    number, block = next((n, b) for n, b in one.blocks_config.blocks.items() if isinstance(b, gr.Textbox))
    changed = gr.Textbox(label="changed", render=False)
    one[number] = changed
    assert (one[number], two[number], holder.blocks.default_config.blocks[number]) == (changed, block, block)
    assert one.blocks_config.blocks.maps[0] == {number: changed}
    assert one.config_values == {}


async def test_events_dont_fill_a_session(app: FastAPI) -> None:
    """Gradio makes each changed component anew, and would keep all that ever were under numbers of their own."""
    async with living(app) as client:
        for number in range(5):
            data = {"data": [f"label {number}"], "session_hash": "s"}
            (await client.post(f"{API}/run/relabel", json=data)).raise_for_status()
            assert (await echoed(client, "Hi", None)).json()["data"] == ["Hi"]
    session = mounted(app).state_holder["s"]  # type: ignore[attr-defined]
    (changed,) = session.blocks_config.blocks.maps[0].values()
    assert changed.label == "label 4"


async def test_no_footer(app: FastAPI) -> None:
    async with living(app) as client:
        assert (await client.get("/config")).json()["footer_links"] == []


async def test_gradio_checks_paths_itself(app: FastAPI, seen: Seen, tmp_path: Path) -> None:
    """Even where the console's own check would let one pass."""
    stray = tmp_path / "mine.png"
    stray.write_bytes(b"secret")
    async with living(app) as client:
        LOG.clear()
        files = {"text": "", "files": [{"path": str(stray), "meta": {"_type": "gradio.FileData"}}]}
        answer = await echoed(client, "", files)
        assert seen.checked == [str(stray)]
        assert answer.status_code == 500
        assert LOG == []
    assert not [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]


async def test_every_call_is_checked_before_gradio_looks(app: FastAPI, seen: Seen) -> None:
    async with living(app) as client:
        LOG.clear()
        for data in (["", {"text": "", "files": [{"path": "/dev/zero"}]}], [{"path": "http://127.0.0.1:1/"}, None]):
            answer = await echoed(client, *data)
            assert answer.status_code == 500
            assert answer.json()["error"] == "not yours"
        assert LOG == []
        assert seen.taken == []
        upload = await client.post(UPLOAD, files={"files": ("mine.txt", b"words")})
        (path,) = upload.json()
        files = {"text": "look", "files": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}
        assert (await echoed(client, "a", files)).status_code == 200
        assert seen.taken == [path]
        assert path in LOG[0]


async def test_the_layer_sees_which_route_is_reached(app: FastAPI, seen: Seen) -> None:
    """Asked of the router itself, after everything that could still change the address."""
    async with living(app) as client:
        for address, route in {
            "/": "/", "/config": "/config", f"{API}/upload_progress?upload_id=1": UPLOAD_PROGRESS,
            f"{API}/file=/etc/passwd": FILES[0], f"{API}/file%3D%2Fetc/passwd": FILES[0],
            f"{API}/file/etc/passwd": FILES[1], f"{API}/nothing": "", "/assets/x.js": "/assets/{path:path}",
        }.items():  # fmt: skip
            seen.routes.clear()
            await client.get(address)
            assert seen.routes[0][0] == route, address
        await client.get(f"{API}/file=/etc/passwd")
        assert seen.routes[-1][1] == {"path_or_url": "/etc/passwd"}
        await client.post(UPLOAD, files={"files": ("a.txt", b"words" * 1000)})
        assert seen.routes[-1][0] == UPLOAD


async def test_used_routes_are_gradios(app: FastAPI) -> None:
    known = {getattr(route, "path", "") for route in server._routes(mounted(app).router)}
    assert sorted(USED - known) == []
    assert set(FILES) <= known


async def test_a_file_above_the_limit_is_413(app: FastAPI) -> None:
    async with living(app) as client:
        answer = await client.post(UPLOAD, files={"files": ("a.txt", b"words" * 1000)})
        assert answer.status_code == 413


async def test_unfinished_uploads_lie_at_the_top(app: FastAPI, tmp_path: Path) -> None:
    """Where ui/web/upload_shelf.py removes them, by the name that tempfile gives them."""
    found: list[str] = []

    async def body() -> Any:
        yield b'--b\r\ncontent-disposition: form-data; name="files"; filename="a.txt"\r\n\r\n' + b"x" * 500
        await asyncio.sleep(0)
        yield b"x"
        for _ in range(200):
            found.extend(path.name for path in (tmp_path / "uploads").iterdir() if path.is_file())
            if found:
                break
            await asyncio.sleep(0.01)
        yield b"\r\n--b--\r\n"

    sent = list[bytes]()
    chunks = body()

    async def receive() -> Any:
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        sent.append(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Any) -> None:
        pass

    async with living(app):
        headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"host", b"127.0.0.1")]
        scope = {
            "type": "http", "method": "POST", "path": UPLOAD, "raw_path": UPLOAD.encode(), "query_string": b"",
            "headers": headers, "root_path": "", "scheme": "http", "http_version": "1.1",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        await app(scope, receive, send)
    assert found
    assert found[0].startswith("tmp")


def test_a_request_knows_the_real_one() -> None:
    """ui/web/visitor.py finds the guard's word in the scope of the request that Gradio wraps."""
    real = Request({"type": "http", "headers": [], "state": {"a": 1}})
    assert gr.Request(real).request.scope["state"] == {"a": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "files", "b"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(value=json_values, path=st.text(max_size=8), data=st.data())
def test_a_file_is_found_wherever_it_hides(value: Any, path: str, data: st.DataObject) -> None:
    wrap = data.draw(st.lists(st.sampled_from(["list", "dict"]), max_size=6))
    hidden: Any = {"path": path, "meta": {"_type": "gradio.FileData"}}
    for how in wrap:
        hidden = [value, hidden] if how == "list" else {"x": hidden, "y": value}
    assert list(file_paths([value, hidden])) == [path]


def test_a_thousand_levels_are_no_problem() -> None:
    deep: Any = {"path": "/x"}
    for _ in range(100_000):
        deep = [deep]
    found: Iterator[str] = file_paths(deep)
    assert list(found) == ["/x"]


async def test_what_gradios_encoder_refuses_is_made_encodable(app: FastAPI) -> None:
    async with living(app) as client:
        headers = {"content-type": "application/json"}
        body = b'{"data": ["half \\udc80 a pair", null], "session_hash": "s"}'
        answer = await client.post(f"{API}/run/echo", content=body, headers=headers)
        assert answer.json()["data"] == ["half \ufffd a pair"]
    whole = [{"choices": [("a", "b")]}, 1.5, None]
    assert encodable(whole) is whole
    assert encodable([10**30, "\ud800"]) == ["1" + "0" * 30, "\ufffd"]


async def test_the_pages_description_names_tabs_as_the_start_script_reads_them() -> None:
    """ui/page/start.js sets which tab opens, and which of them a class doesn't have."""
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Tabs(elem_id="tabs"):
        gr.Tab("A", id="a", elem_id="a-tab")
    found = {one["type"]: one["props"] for one in blocks.get_config_file()["components"]}
    assert found["tabs"]["elem_id"] == "tabs"
    assert found["tabitem"]["id"] == "a"
    assert found["tabitem"]["visible"] is True
    index = (static_folder() / "index.html").read_text(encoding="utf-8")
    assert "window.gradio_config = " in index  # its setter sees the description


async def test_the_player_of_streams_is_a_stub(app: FastAPI) -> None:
    """hls.js: a quarter of the first page's bytes, for streams alone, of which the console has none."""
    (path,) = unused_scripts()
    async with _client(app) as client:
        answer = await client.get(f"/assets/{path.name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert len(answer.content) < 500
    exported = set(re.findall(r"none as (\w+)", answer.text))
    importers = [file for file in path.parent.glob("*.js") if f'from"./{path.name}"' in file.read_text("utf-8")]
    assert sorted(file.name.partition("-")[0] for file in importers) == ["StaticAudio", "Video"]
    for file in importers:
        for names in re.findall(rf'import{{([^}}]*)}}from"./{re.escape(path.name)}"', file.read_text("utf-8")):
            assert {name.partition(" as ")[0] for name in names.split(",")} <= exported
