"""The Deploy tab without a browser: its handlers on real services, and its routes before a real model server's API."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.engines.base import ServeConfig
from backend.processes import ports
from backend.services import Services, build_services
from backend.store import Store
from tests.conftest import make_settings
from tests.support.tiny_models import fake_model
from tests.support.waiting import wait_for
from ui.i18n import LANGUAGES, Language
from ui.tabs.deploy import TAB
from ui.tabs.deploy.form import unused_controls
from ui.tabs.deploy.handlers import Handlers
from ui.tabs.deploy.values import CONTROLS, form_values
from ui.web.visitor import STATE_KEY, Role, Visitor

KEY = "sk-of-the-server"
Ask = Callable[..., gr.Request]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    models = tmp_path / "models"
    fake_model(models / "tiny")
    fake_model(models / "a b'c 模型 --x")
    fake_model(models / "broken")
    (models / "broken" / "model.safetensors").write_bytes(b"\x99" * 20)
    services = build_services(make_settings(tmp_path / "state", models=(models,)))
    yield services
    services.close()


@pytest.fixture
def handlers(services: Services) -> Handlers:
    return Handlers(services)


def form(services: Services, **changes: object) -> list[object]:
    """The form's values for the CPU engine and the tiny model, with changes."""
    config = ServeConfig("transformers", str(services.settings.models[0] / "tiny"))
    values = dict(form_values(config).values) | changes
    return [values[name] for name in CONTROLS]


# ---------------------------------------------------------------------------------------------- handlers


def test_the_page_opens_with_the_models_and_the_engine_of_this_machine(handlers: Handlers, ask: Ask) -> None:
    model, ssh, line, minutes, engine, _, environment, check = handlers.load(ask())
    labels = {label.split(" · ")[0]: value for label, value in model["choices"]}
    assert {"tiny", "broken"} <= set(labels)
    assert Path(model["value"]).name != "broken"
    assert (ssh, minutes) == ("", "30")
    assert line.startswith("ssh -CN -L ")
    has_gpu = bool(handlers.services.finder.machine().gpus)
    assert engine == ("turbomind" if has_gpu else "transformers")
    assert len(environment["choices"]) > 1
    assert "LMDeploy" in check


def test_the_form_offers_what_the_engine_uses(handlers: Handlers, ask: Ask) -> None:
    quant_policy, model_format, _ = handlers.fit_choices(ask(), "turbomind", "")
    assert [value for _, value in quant_policy["choices"]][:3] == ["0", "4", "8"]
    assert "awq" in [value for _, value in model_format["choices"]]
    hidden = {engine: set(ids) for engine, ids in unused_controls().items()}
    assert hidden["turbomind"] == {"deploy-address", "deploy-api-key", "deploy-nodes", "deploy-nodes-far"}
    used = set(CONTROLS.values()) - hidden["proxy"]
    assert used == {
        "deploy-engine", "deploy-nodes", "deploy-api-key", "deploy-lmdeploy", "deploy-port", "deploy-extra",
    }  # fmt: skip
    assert {"deploy-gpus", "deploy-quant-policy", "deploy-address"} <= hidden["transformers"]
    used = set(CONTROLS.values()) - hidden["external"]
    assert used == {"deploy-engine", "deploy-address", "deploy-api-key", "deploy-model-name"}


def test_the_preview_is_the_command_and_a_shell_takes_it(services: Services, handlers: Handlers, ask: Ask) -> None:
    strange = str(services.settings.models[0] / "a b'c 模型 --x")
    command, message, start = handlers.preview(ask(), *form(services, model=strange))
    assert start["interactive"] is True
    assert "engines.open-server" in message
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    assert strange in words.stdout.splitlines()


def test_the_list_before_the_start(services: Services, handlers: Handlers, ask: Ask) -> None:
    _, html, _ = handlers.preview(ask(), *form(services))
    assert 'class="deploy-preflight" data-state="red"' in html  # the tiny model has no tokenizer
    assert 'data-message="preflight.no-tokenizer"' in html
    assert 'data-subject="memory"' not in html  # on the CPU
    _, html, _ = handlers.preview(ask(language="zh"), *form(services, engine="turbomind", tp="3"))
    assert "启动前检查：" in html
    assert '<li data-subject="gpus" data-state="red">' in html
    assert "data-remedy" in html[html.index("deploy-preflight") :]
    _, html, _ = handlers.preview(ask(), *form(services, model=""))
    assert "deploy-preflight" not in html


def test_an_engine_that_cannot_run_here_shows_its_command_and_why(
    services: Services, handlers: Handlers, ask: Ask
) -> None:
    if services.finder.machine().gpus:
        pytest.skip("this machine has a GPU")
    values = form(services, engine="turbomind", quant_policy="8", gpus=["0"])
    command, message, start = handlers.preview(ask(), *values)
    assert "CUDA_VISIBLE_DEVICES=0" in command
    assert "--quant-policy 8" in command
    assert "$(cat " in command
    assert start["interactive"] is False
    assert 'data-key="environments.no-driver"' in message or 'data-key="environments.no-gpu"' in message


WRONG: list[tuple[Mapping[str, object], str, str]] = [
    ({"model": ""}, "deploy-model", ""),
    ({"model": "/no/such/folder"}, "deploy-model", "/no/such/folder"),
    ({"model": "nonsense"}, "deploy-model", "nonsense"),
    ({"model": "/a\nb"}, "deploy-model", "/a\nb"),
    ({"port": "80000"}, "deploy-port", "80000"),
    ({"port": "http"}, "deploy-port", "http"),
    ({"dtype": "int3"}, "deploy-dtype", "int3"),
    ({"extra": "--no-such-flag 1"}, "deploy-extra", "--no-such-flag"),
    ({"extra": "--host 0.0.0.0"}, "deploy-extra", "--host"),
    ({"extra": "--a 'b"}, "deploy-extra", "--a 'b"),
    ({"engine": "turbomind", "tp": "two"}, "deploy-tp", "two"),
    ({"engine": "turbomind", "tp": "64"}, "deploy-tp", "64"),
    ({"engine": "turbomind", "session_len": "many"}, "deploy-session-len", "many"),
    ({"engine": "turbomind", "session_len": "-5"}, "deploy-session-len", "-5"),
    ({"engine": "turbomind", "cache_max_entry_count": 1}, "deploy-cache-ratio", "1"),
    ({"engine": "turbomind", "cache_max_entry_count": 1.5}, "deploy-cache-ratio", "1.5"),
    ({"engine": "turbomind", "cache_max_entry_count": 0}, "deploy-cache-ratio", "0"),
    ({"engine": "turbomind", "quant_policy": "3"}, "deploy-quant-policy", "3"),
    ({"engine": "turbomind", "model_format": "awq"}, "deploy-model-format", "awq"),
    ({"engine": "turbomind", "extra": "--server-port 1"}, "deploy-port", "--server-port"),
    ({"engine": "turbomind", "extra": "--enable-prefix-cachng"}, "deploy-extra", "--enable-prefix-cachng"),
    ({"engine": "external", "address": ""}, "deploy-address", ""),
    ({"engine": "external", "address": "ftp://host"}, "deploy-address", "ftp://host"),
    ({"environment": "/no/python"}, "deploy-lmdeploy", "/no/python"),
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_bad_input_names_field_and_value_and_starts_nothing(
    services: Services, handlers: Handlers, ask: Ask, language: Language
) -> None:
    for changes, field, value in WRONG:
        values = form(services, **changes)
        _, shown, start = handlers.preview(ask(language=language), *values)
        said, selected = handlers.start(ask(language=language), *values)
        for html in (shown, said):
            assert f'data-field="{field}"' in html, changes
            assert 'role="alert"' in html
            assert value.replace("'", "&#x27;") in html, changes
            assert ("：" in html) == (language == "zh"), html
        assert start["interactive"] is False
        assert selected == gr.skip()
    assert services.servers.snapshot() == ()
    assert list(services.settings.runs_dir.iterdir()) == []


def test_a_broken_model_is_listed_and_refused(services: Services, handlers: Handlers, ask: Ask) -> None:
    broken = str(services.settings.models[0] / "broken")
    details = handlers.describe(ask(), "transformers", broken)
    assert 'data-field="deploy-model"' in details
    assert "broken" in details
    _, message, start = handlers.preview(ask(), *form(services, model=broken))
    assert 'role="alert"' in message
    assert start["interactive"] is False


def test_a_taken_port_is_refused_with_a_free_one(services: Services, handlers: Handlers, ask: Ask) -> None:
    with ports_held() as taken:
        _, message, _ = handlers.preview(ask(), *form(services, port=str(taken)))
    assert str(taken) in message
    assert 'data-field="deploy-port"' in message


def test_a_class_may_look_at_nothing_and_start_nothing(services: Services, handlers: Handlers, ask: Ask) -> None:
    guest = ask(Role.CLASS)
    command, message, start = handlers.preview(guest, *form(services))
    assert (command, start["interactive"]) == ("", False)
    assert 'data-key="common.operator_only"' in message
    assert 'data-key="common.operator_only"' in handlers.start(guest, *form(services))[0]
    assert handlers.describe(guest, "transformers", "tiny") == ""
    assert str(services.settings.models[0]) not in repr(handlers.load(guest))
    assert services.servers.snapshot() == ()


def test_a_pasted_command_fills_the_form(services: Services, handlers: Handlers, ask: Ask) -> None:
    text = "lmdeploy serve api_server /root/elsewhere/tiny --cache_max_entry_count 0.4 --quant-policy 4 --tp 2"
    message, *values = handlers.paste(ask(), text)
    filled = dict(zip(CONTROLS, values, strict=True))
    assert 'data-key="deploy.paste.done"' in message
    assert filled["model"] == str(services.settings.models[0] / "tiny")  # the folder of that name which is here
    assert (filled["engine"], filled["quant_policy"], filled["tp"]) == ("turbomind", "4", "2")
    assert (filled["cache_max_entry_count"], filled["session_len"]) == ("0.4", "")
    refused, *unchanged = handlers.paste(ask(language="zh"), "rm -rf /")
    assert 'data-key="deploy.error.paste"' in refused
    assert all(value == gr.skip() for value in unchanged)


def test_the_login_is_remembered_and_a_wrong_one_is_not(services: Services, handlers: Handlers, ask: Ask) -> None:
    line, message = handlers.remember_login(ask(), "ssh -p 41682 root@ssh.example.com")
    assert (line.endswith(" -p 41682 root@ssh.example.com"), message) == (True, "")
    _, message = handlers.remember_login(ask(), "me@host;reboot")
    assert 'data-key="deploy.error.ssh"' in message
    services.close()
    reopened = Store(services.settings.state_dir)
    assert reopened.get_json("setting", "ssh_login") == "ssh -p 41682 root@ssh.example.com"
    reopened.close()


def test_the_deadline_for_getting_ready_is_adjustable(services: Services, handlers: Handlers, ask: Ask) -> None:
    assert handlers.ready_timeout(ask(), "45") == ""
    assert services.servers.ready_timeout_s == 45 * 60
    assert 'role="alert"' in handlers.ready_timeout(ask(), "soon")
    assert 'role="alert"' in handlers.ready_timeout(ask(), "0")
    assert services.servers.ready_timeout_s == 45 * 60


# ---------------------------------------------------------------------------------------------- a described API


ODD: list[bytes] = []  # what the server says of its API instead


@pytest.fixture
def upstream() -> Iterator[str]:
    """A model server's address: it wants a key, describes its API, streams, and tells what it was sent."""
    app = FastAPI()
    app.state.gate = threading.Event()

    @app.middleware("http")
    async def check(request: Request, call_next: Any) -> Any:
        if request.headers.get("authorization") != f"Bearer {KEY}" and request.url.path != "/health":
            return HTMLResponse("no", 401)
        if request.url.path == "/openapi.json" and ODD:
            return Response(ODD[0], media_type="application/json")
        return await call_next(request)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {}

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": "m", "object": "model"}]}

    @app.api_route("/echo/{word}", methods=["POST"])
    async def echo(word: str, request: Request) -> dict[str, Any]:
        body = (await request.body()).decode()
        return {"word": word, "query": request.url.query, "headers": dict(request.headers), "body": body}

    @app.get("/stream")
    def stream() -> StreamingResponse:
        def parts() -> Iterator[str]:
            yield "data: first\n\n"
            assert app.state.gate.wait(30)
            yield "data: second\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    @app.post("/open")
    def open_gate() -> None:
        app.state.gate.set()

    @app.get("/page")
    def page() -> HTMLResponse:
        return HTMLResponse("<script>evil()</script>", headers={"set-cookie": "a=b"})

    @app.get("/away")
    def away() -> RedirectResponse:
        return RedirectResponse("http://example.com/")

    with served(app) as address:
        yield address


class served:  # reads as a sentence: with served(app) as address
    """An ASGI app on a free loopback port, in a thread."""

    def __init__(self, app: ASGIApp) -> None:
        self.port = ports.free_port()
        self.server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=self.port, log_config=None, ws="none", lifespan="off")
        )
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> str:
        self.thread.start()
        wait_for("the server", lambda: self.server.started)
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(30)


class ports_held:  # reads as a sentence: with ports_held() as taken
    """A port that somebody listens on."""

    def __enter__(self) -> int:
        import socket

        self.socket = socket.create_server(("127.0.0.1", 0))
        return int(self.socket.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def console(services: Services, role: Role = Role.OPERATOR, language: Language = "en") -> ASGIApp:
    """The tab's routes where the console mounts them, asked by this visitor."""
    app = Starlette(routes=[Mount("/console", routes=list(TAB.routes(services)))])

    async def visited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"] = {STATE_KEY: Visitor(role, language, "0" * 32)}
        await app(scope, receive, send)

    return visited


@pytest.fixture
def server_id(services: Services, handlers: Handlers, upstream: str, ask: Ask) -> str:
    message, server_id = handlers.start(ask(), *form(services, engine="external", address=upstream, api_key=KEY))
    assert 'data-key="deploy.message.connected"' in message
    return str(server_id)


@pytest.fixture
def client(services: Services, server_id: str) -> Iterator[httpx.Client]:
    with (
        served(console(services)) as address,
        httpx.Client(base_url=f"{address}/console/servers/{server_id}", trust_env=False, timeout=30) as client,
    ):
        yield client


def test_the_api_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/api")
    assert page.status_code == 200
    assert "http://" not in page.text.replace('"http://127.0.0.1', "")
    assert "https://" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "api_page.js"):
        assert client.get(f"/api/files/{name}").status_code == 200
    assert client.get("/api/files/secrets.txt").status_code == 404


def test_the_description_points_at_the_console(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["servers"] == [{"url": "./call"}]
    assert "/v1/models" in document["paths"]


def test_a_request_is_passed_on_with_the_key_and_without_the_consoles_cookie(client: httpx.Client) -> None:
    headers = {"cookie": "console-token=secret", "origin": "http://here", "content-type": "application/json"}
    answer = client.post("/api/call/echo/w?a=1&b=%20", content='{"x": "ü"}', headers=headers).json()
    assert (answer["word"], answer["query"], answer["body"]) == ("w", "a=1&b=%20", '{"x": "ü"}')
    assert answer["headers"]["authorization"] == f"Bearer {KEY}"
    assert not {"cookie", "origin"} & set(answer["headers"])


def test_a_streamed_answer_comes_as_it_is_made(client: httpx.Client) -> None:
    with client.stream("GET", "/api/call/stream") as answer:
        parts = answer.iter_text()
        assert next(parts) == "data: first\n\n"
        client.post("/api/call/open").raise_for_status()  # only now the server goes on
        assert "".join(parts) == "data: second\n\n"


def test_what_comes_back_cannot_act_as_the_console(client: httpx.Client) -> None:
    answer = client.get("/api/call/page")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    redirect = client.get("/api/call/away")
    assert redirect.status_code == 307
    assert "location" not in redirect.headers


@pytest.mark.parametrize("path", ["metrics", "v1/../openapi.json", "/example.com/health", "echo/a/b", "v1/models/"])
def test_only_the_paths_of_the_description_are_passed_on(client: httpx.Client, path: str) -> None:
    assert client.get(f"/api/call/{path}").status_code == 404


ODD_DESCRIPTIONS = {
    "empty": b"", "html": b"<html>", "list": b"[]", "null": b"null", "no paths": b'{"openapi": "3.1.0"}',
    "paths a list": b'{"paths": [1]}', "nested": b'{"paths": {"/a": {"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}}",
    "nested within Python's limit": b'{"paths": {"/a": {"x": ' + b"[" * 700 + b"]" * 700 + b"}}}",
    "50 MB": b'{"paths": {"/a": {"get": {"summary": "' + b"x" * (50 << 20) + b'"}}}}',
    "huge number": b'{"paths": {"/a": {"x": ' + b"9" * 6000 + b"}}}", "not text": bytes(range(256)),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD_DESCRIPTIONS)
def test_an_odd_description_is_told_of(client: httpx.Client, kind: str) -> None:
    ODD.append(ODD_DESCRIPTIONS[kind])
    try:
        begun = time.monotonic()
        page = client.get("/api")
        assert page.status_code == 409
        assert "/openapi.json" in page.text
        assert client.get("/api/openapi.json").json()["messages"]
        assert client.post("/api/call/a").status_code == 409
        assert time.monotonic() - begun < 20
    finally:
        ODD.clear()


def test_a_description_that_would_freeze_a_pattern(client: httpx.Client) -> None:
    path = "/" + "{a}" * 40 + "b"
    names = {"get": {"summary": "half \udc80 a pair", "x": float("nan")}}
    ODD.append(json.dumps({"paths": {path: names, "/echo/{word}": {}}}).encode())
    try:
        begun = time.monotonic()
        assert client.get("/api").status_code == 200
        assert client.get("/api/openapi.json").json()["paths"][path]["get"] == {
            "summary": "half \ufffd a pair",
            "x": None,
        }
        assert client.get("/api/call/" + "a" * 3000).status_code == 404
        assert client.post("/api/call/echo/a%3Fb%23c").json()["word"] == "a?b#c"
        assert time.monotonic() - begun < 20
    finally:
        ODD.clear()


def test_a_class_gets_neither_the_page_nor_the_buttons(services: Services, server_id: str) -> None:
    with served(console(services, Role.CLASS, "zh")) as address:
        for method, path in (
            ("GET", "api"),
            ("GET", "api/openapi.json"),
            ("GET", "api/call/v1/models"),
            ("GET", "code"),
            ("GET", "report"),
        ):
            assert httpx.request(method, f"{address}/console/servers/{server_id}/{path}").status_code == 403
        for action in ("stop", "restart", "forget"):
            assert httpx.post(f"{address}/console/servers/{server_id}/{action}", json={}).status_code == 403


def test_the_report_has_the_versions_and_no_folder_of_a_person(services: Services, client: httpx.Client) -> None:
    text = client.get("/report").json()["text"]
    assert "lmdeploy: " in text
    assert "driver" in text or "GPUs: none" in text
    assert str(Path.home()) not in text
    assert str(services.settings.state_dir) not in text


def test_an_unknown_server_is_not_found_in_the_pages_language(services: Services) -> None:
    with served(console(services, language="zh")) as address:
        answer = httpx.post(f"{address}/console/servers/gone/stop", json={})
        assert answer.status_code == 404
        assert "gone" in answer.json()["messages"][0]
        assert "服务" in answer.json()["messages"][0]
        page = httpx.get(f"{address}/console/servers/gone/api")
        assert page.status_code == 404
        assert "服务" in page.text


def test_the_code_lines_name_the_login_and_read_the_key(
    services: Services, handlers: Handlers, client: httpx.Client, ask: Ask
) -> None:
    handlers.remember_login(ask(), "ssh -p 41682 root@ssh.example.com")
    answer = client.get("/code").json()
    assert answer["login"] is True
    assert answer["lines"]["ssh"].endswith("-p 41682 root@ssh.example.com")
    assert KEY not in json.dumps(answer)
    models = subprocess.run(["bash", "-c", answer["lines"]["curl"]], capture_output=True, text=True, check=True)
    assert json.loads(models.stdout)["data"][0]["id"] == "m"


def test_an_external_server_is_forgotten_with_its_key(services: Services, server_id: str, client: httpx.Client) -> None:
    assert client.post("/stop", json={}).status_code == 409
    assert client.post("/forget", json={}).status_code == 200
    assert services.servers.snapshot() == ()
    assert not (services.settings.keys_dir / f"{server_id}.key").exists()


# ------------------------------------------------------------------------------------- presets, life, leftovers


def test_presets_go_out_and_come_in(services: Services) -> None:
    with (
        served(console(services)) as address,
        httpx.Client(base_url=f"{address}/console", trust_env=False, timeout=30) as client,
    ):
        good = {"name": "n", "settings": {"engine": "pytorch", "quant_policy": 8}}
        file = {"format": "lmdeploy-console-presets", "version": 1, "presets": [good]}
        assert client.post("/presets/import", json={"text": json.dumps(file)}).json() == {"names": ["n"]}
        exported = client.get("/presets")
        assert "attachment" in exported.headers["content-disposition"]
        assert exported.json()["presets"][0]["settings"] == good["settings"]
        for body in ({"text": "{"}, {"text": 7}, {}):
            assert client.post("/presets/import", json=body).status_code == 400


def test_what_cannot_be_wished_or_ended(services: Services, client: httpx.Client) -> None:
    for body in (
        {},
        {"restarts": "3", "idle_minutes": 0, "comes_back": False},
        {"restarts": 3, "idle_minutes": 0, "comes_back": 1},
        {"restarts": 3, "idle_minutes": 0, "comes_back": True},  # it is another's server
    ):
        assert client.post("/life", json=body).status_code == 400
    leftovers = client.base_url.join("../../leftovers/end")
    for body in ({}, {"pid": "1", "start": 1}, {"pid": True, "start": 1}, {"pid": -1, "start": 1}):
        assert client.post(leftovers, json=body).status_code == 400
    assert client.post(leftovers, json={"pid": 1, "start": 1}).status_code == 404  # it holds no GPU's memory


def test_a_class_wishes_and_ends_nothing(services: Services, server_id: str) -> None:
    with (
        served(console(services, Role.CLASS)) as address,
        httpx.Client(base_url=f"{address}/console", trust_env=False, timeout=30) as client,
    ):
        wish = {"restarts": 1, "idle_minutes": 0, "comes_back": False}
        assert client.post(f"/servers/{server_id}/life", json=wish).status_code == 403
        assert client.post(f"/servers/{server_id}/wake", json={}).status_code == 403
        assert client.post("/leftovers/end", json={"pid": 1, "start": 1}).status_code == 403
        assert client.get("/presets").status_code == 403
        assert client.post("/presets/import", json={"text": "{}"}).status_code == 403


def test_a_correction_that_is_not_offered(services: Services, handlers: Handlers, ask: Ask) -> None:
    for server_id in ("none", "", None, 7):
        more, message, *form_left = handlers.correct(ask(), server_id, 0)
        assert 'role="alert"' in message
        assert "open" not in more
        assert len(form_left) == len(CONTROLS)
