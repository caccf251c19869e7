"""Addresses of servers that run already, as a person types them, and where their API is found."""

import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from backend.engines.base import ServeConfig
from backend.errors import ConsoleError, InvalidInput, Unavailable
from backend.servers import external
from backend.servers.external import ServerAddress, find_api, server_address, with_scheme
from backend.servers.probe import Prober
from tests.support.raw_server import Answer, dribble, raw_server, respond

CERTIFICATE = Path(__file__).parents[3] / "data" / "self-signed-127.0.0.1.pem"  # with its key: for tests alone
LIST = json.dumps({"object": "list", "data": [{"id": "theirs"}]}).encode()


@pytest.fixture
def prober() -> Iterator[Prober]:
    made = Prober()
    yield made
    made.close()


@contextmanager
def serving(paths: dict[str, Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server that knows these paths and 404; its address, and what it was asked for."""
    asked: list[str] = []

    def answer(connection: socket.socket, head: bytes, over: threading.Event) -> None:
        path = head.split(b" ", 2)[1].decode()
        asked.append(path)
        paths.get(path, respond(b"no", status="404 -"))(connection, head, over)

    with raw_server(answer) as port:
        yield f"http://127.0.0.1:{port}", asked


@pytest.mark.parametrize(
    ("typed", "root", "base_url", "host", "port"),
    [
        ("127.0.0.1:23333", "http://127.0.0.1:23333", "http://127.0.0.1:23333/v1", "127.0.0.1", 23333),
        (" localhost:8000/v1/ ", "http://localhost:8000", "http://localhost:8000/v1", "localhost", 8000),
        ("https://api.example.org", "https://api.example.org", "https://api.example.org/v1", "api.example.org", 443),
        ("http://h/x/v1/chat/completions", "http://h/x", "http://h/x/v1", "h", 80),
        ("http://[::1]:9/v1/models", "http://[::1]:9", "http://[::1]:9/v1", "::1", 9),
        ("http://0.0.0.0:23333", "http://127.0.0.1:23333", "http://127.0.0.1:23333/v1", "127.0.0.1", 23333),
    ],
)
def test_what_is_typed_becomes_an_address(typed: str, root: str, base_url: str, host: str, port: int) -> None:
    config = with_scheme(ServeConfig("external", "", address=typed))
    assert server_address(config.address) == ServerAddress(root, base_url, host, port)


def test_nothing_stays_nothing() -> None:
    assert with_scheme(ServeConfig("external", "", address="  ")).address == ""


@pytest.mark.parametrize(
    "path",
    ["/v1", "/api/paas/v4", "/api/v3", "/v1beta/openai", "/openai/v1", "/api/v1", "/v2", "/compatible-mode/v1", ""],
)
@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/models", "/models?limit=2"])
def test_an_api_is_found_as_given(prober: Prober, path: str, end: str) -> None:
    with serving({f"{path}/models": respond(LIST)}) as (address, asked):
        api = find_api(f"{address}{path}{end}", "", prober)
    assert (api.base_url, [m.id for m in api.models]) == (f"{address}{path}", ["theirs"])
    assert asked == [f"{path}/models"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/v1"),
        ("/", "/v1"),
        ("", "/openai/v1"),
        ("", "/api/v1"),
        ("/api", "/api/v1"),
        ("/v1beta", "/v1beta/openai"),
    ],
)  # fmt: skip
def test_where_the_address_as_given_has_none_the_usual_places_are_tried(prober: Prober, given: str, path: str) -> None:
    with serving({f"{path}/models": respond(LIST)}) as (address, asked):
        api = find_api(f"{address}{given}", "", prober)
    assert api.base_url == f"{address}{path}"
    assert asked[0] == f"{given.rstrip('/')}/models"


def test_nothing_is_asked_below_a_version(prober: Prober) -> None:
    with serving({}) as (address, asked), pytest.raises(InvalidInput) as caught:
        find_api(f"{address}/api/paas/v4/", "", prober)
    assert [m.key for m in caught.value.messages] == ["servers.external-no-server"]
    assert not [path for path in asked if "/v4/v1" in path]


def test_a_web_page_for_every_path_is_no_server(prober: Prober) -> None:
    page = respond(b"<html></html>", "Content-Type: text/html; charset=utf-8")
    paths = dict.fromkeys(("/models", "/v1/models", "/health", "/api/v1/models"), page)
    with serving(paths) as (address, _), pytest.raises(InvalidInput):
        find_api(address, "", prober)
    with serving({**paths, "/openai/v1/models": respond(LIST)}) as (address, _):
        assert find_api(address, "", prober).base_url == f"{address}/openai/v1"


def test_openais_form_comes_before_others(prober: Prober) -> None:
    """Google's own list stands beside the one for OpenAI's clients."""
    own = respond(json.dumps({"models": [{"name": "models/theirs"}]}).encode())
    with serving({"/v1beta/models": own, "/v1beta/openai/models": respond(LIST)}) as (address, _):
        assert find_api(f"{address}/v1beta", "", prober).base_url == f"{address}/v1beta/openai"
    with serving({"/v1beta/models": own}) as (address, _):
        assert find_api(f"{address}/v1beta", "", prober).base_url == f"{address}/v1beta"


def test_transformers_serve_without_a_hub_cache(prober: Prober) -> None:
    paths = {"/health": respond(b'{"status":"ok"}'), "/v1/models": respond(b"boom", status="500 -")}
    with serving(paths) as (address, _):
        api = find_api(address, "", prober)
    assert (api.base_url, list(api.models)) == (f"{address}/v1", [])


def refusal(find: Callable[[], object]) -> tuple[type[ConsoleError], str]:
    with pytest.raises(ConsoleError) as caught:
        find()
    return type(caught.value), caught.value.messages[0].key


def test_a_key_that_is_refused(prober: Prober) -> None:
    for status in ("401 -", "403 -"):
        with serving({"/v1/models": respond(b"{}", status=status), "/health": respond(b"")}) as (address, _):
            found = refusal(partial(find_api, address, "wrong", prober))
        assert found == (InvalidInput, "servers.external-key-refused")


def test_a_redirect_is_named_and_not_followed(prober: Prober) -> None:
    with serving({}) as (elsewhere, asked):
        moved = respond(b"", f"Location: {elsewhere}/v1/models", status="308 -")
        with serving({"/v1/models": moved}) as (address, _), pytest.raises(InvalidInput) as caught:
            find_api(f"{address}/v1", "sesame", prober)
    (message,) = caught.value.messages
    assert (message.key, message.params["location"]) == ("servers.external-redirect", f"{elsewhere}/v1")
    assert asked == []


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/login?next=/v1/models", "{here}/login?next=/v1/models"),
        ("/api/v1/models", "{here}/api/v1"),
        ("//gpu.example/v1/models", "http://gpu.example/v1"),
        ("https://me:secret@gpu.example/", "…"),
        ("http://[", "http://["),
    ],
)
def test_a_redirects_target_can_be_entered(prober: Prober, target: str, shown: str) -> None:
    moved = respond(b"", f"Location: {target}", status="302 -")
    with serving({"/v1/models": moved}) as (address, _), pytest.raises(InvalidInput) as caught:
        find_api(f"{address}/v1", "", prober)
    assert caught.value.messages[0].params["location"] == shown.format(here=address)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("400 Bad Request", b'{"error": {"message": "API key not valid. See https://x.example"}}', "API key not valid"),
        ("402 Payment Required", b'{"error": "no credit"}', "no credit"),
        ("429 Too Many Requests", b"slow down", "slow down"),
        ("503 Service Unavailable", b"<html><h1>Loading model</h1></html>", "Loading model"),
    ],
)
def test_an_api_that_says_why_it_lists_nothing(prober: Prober, status: str, body: bytes, said: str) -> None:
    answer = respond(body, status=status)
    with serving({"/v1/models": answer}) as (address, _), pytest.raises(Unavailable) as caught:
        find_api(address, "", prober)
    (message,) = caught.value.messages
    assert message.key == "servers.external-says"
    assert message.params["value"] == f"{address}/v1"
    assert said in str(message.params["detail"])


def test_http_to_a_server_of_https(prober: Prober) -> None:
    def alert(connection: socket.socket, head: bytes, over: threading.Event) -> None:
        connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")

    words = b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
    for answer in (alert, respond(words, status="400 Bad Request")):
        with serving({"/v1/models": answer}) as (address, _):
            found = refusal(partial(find_api, f"{address}/v1", "", prober))
        assert found == (Unavailable, "servers.external-only-tls")


def test_a_key_pasted_with_the_address_is_the_key() -> None:
    pasted = ServeConfig("external", "", address="base_url='http://a:1/v1', api_key='sk-x1'")
    config = with_scheme(pasted)
    assert (config.address, config.api_key) == ("http://a:1/v1", "sk-x1")
    assert with_scheme(ServeConfig("external", "", address=pasted.address, api_key="given")).api_key == "given"


def test_a_dribbling_server_ends_in_time(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "FIND_S", 1.0)
    monkeypatch.setattr(external, "ASK_S", 0.4)
    with raw_server(dribble(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as port:
        found = refusal(lambda: find_api(f"http://127.0.0.1:{port}", "", prober))
    assert found == (Unavailable, "servers.external-too-slow")


def test_nobody_there(prober: Prober) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refusal(lambda: find_api(f"http://127.0.0.1:{port}", "", prober))[1] == "servers.external-no-answer"
    unknown = refusal(lambda: find_api("http://no-such-host.invalid/v1", "", prober))
    # A machine without a network may wait for a name server until the deadline.
    assert unknown in [(Unavailable, f"servers.external-{kind}") for kind in ("unknown-name", "too-slow")]


def test_a_certificate_of_its_own_and_none(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with raw_server(respond(LIST), tls) as port:
        address = f"https://127.0.0.1:{port}/v1"
        assert refusal(lambda: find_api(address, "", prober)) == (Unavailable, "servers.external-certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        trusting = Prober()
        assert find_api(address, "", trusting).base_url == address
        trusting.close()
    with raw_server(respond(LIST), read=False) as port:
        plain = refusal(lambda: find_api(f"https://127.0.0.1:{port}/v1", "", prober))
    assert plain == (Unavailable, "servers.external-no-tls")


def test_the_consoles_own_address_is_a_loop(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as console, socket.create_server(("127.0.0.1", 0)):
        port = console.getsockname()[1]
        said = {"address": "https://hub.example/lab/?token=x", "pid": os.getpid()}
        (tmp_path / "console.json").write_text(json.dumps(said))

        def is_loop(address: str) -> bool:
            config = with_scheme(ServeConfig("external", "", address=address))
            found = external.conflict(config, (), tmp_path)
            return found is not None and found.key == "servers.external-is-console"

        assert is_loop(f"http://127.0.0.1:{port}/v1")
        assert is_loop(f"0.0.0.0:{port}")
        assert is_loop("https://hub.example/lab/v1")
        assert not is_loop(f"http://gpu.example:{port}/v1")
        assert not is_loop("http://127.0.0.1:1/v1")
        (tmp_path / "console.json").write_text(json.dumps({**said, "pid": 1}))
        assert not is_loop(f"http://127.0.0.1:{port}/v1")
