"""The secret path against another port of the same host, through forwards and proxies, with real cookies."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.console import Console
from tests.support.proxies import OtherServer, other_server, raw_request, tcp_forward, web_proxy


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One console without a proxy."""
    started = Console(tmp_path_factory.mktemp("app") / "state")
    try:
        yield started.ready()
    finally:
        started.close()


@pytest.fixture
def other() -> Iterator[OtherServer]:
    """Somebody else's server on this host."""
    with other_server() as server:
        yield server


def browser() -> httpx.Client:
    """Keeps cookies by the rules of browsers: by host and path, whatever the port."""
    return httpx.Client(trust_env=False, timeout=60, follow_redirects=True, headers={"accept": "text/html,*/*"})


def secrets_of(console: Console) -> list[str]:
    """Everything that lets somebody in, or is somebody."""
    found = [console.token, console.class_token]
    for address in (console.address, console.class_address):
        with browser() as session:
            session.get(address)
            found += [cookie.value for cookie in session.cookies.jar if cookie.value]
            found += [cookie.path.strip("/") for cookie in session.cookies.jar]
    return found


@pytest.mark.parametrize("role", ["operator", "class"])
def test_another_port_learns_nothing(console: Console, other: OtherServer, role: str) -> None:
    with browser() as session:
        landed = session.get(console.address if role == "operator" else console.class_address)
        assert landed.status_code == 200
        assert session.get(landed.url.join("./console/snapshot")).json()["role"] == role
        session.cookies.set("console-language", "zh", domain="127.0.0.1", path=landed.url.path)
        for path in (
            "/",
            "/console/snapshot",
            "/x/y",
            "/" + "0" * 32 + "/",
            "/gradio_api/queue/join",
            "/manifest.json",
        ):
            session.get(f"http://127.0.0.1:{other.port}{path}")
        secrets = [cookie.value for cookie in session.cookies.jar] + secrets_of(console)
    seen = "\n".join(other.requests)
    assert len(other.requests) == 6
    assert "cookie:" not in seen.lower()
    assert not [secret for secret in secrets if secret and len(secret) > 2 and secret in seen]


def test_a_class_takes_no_visitor_over(console: Console) -> None:
    """Its token makes the cookie that the class had before the secret path; the operator's id stands in shown code."""
    with browser() as operator, browser() as guest:
        page = operator.get(console.address).url
        told = [{"role": "user", "content": "the operator's own"}, {"role": "assistant", "content": "yes"}]
        assert operator.post(page.join("console/chat/import?name=a.json"), json=told).status_code == 200
        mine = next(cookie for cookie in operator.cookies.jar if "visitor" in cookie.name)
        victim = str(mine.value).partition(".")[0]
        guests_page = guest.get(console.class_address).url
        name = mine.name.replace("-visitor", "")
        proof = hmac.new(console.class_token.encode(), b"cookie", hashlib.sha256).hexdigest()
        held = next(str(cookie.value) for cookie in guest.cookies.jar if cookie.name == name)
        with browser() as thief:
            planted = {"cookie": f"{name}={held}; {name}={proof}; {mine.name}={victim}"}
            answer = thief.get(guests_page.join("console/chat/export?format=markdown"), headers=planted)
            assert "the operator's own" not in answer.text
            assert victim not in str(answer.headers)
        assert "the operator's own" in operator.get(page.join("console/chat/export?format=markdown")).text


@pytest.mark.parametrize("moment", ["before the first visit", "between two visits"])
@pytest.mark.parametrize("path", ["/", "", "/x", "/console", "/gradio_api/", "/" + "0" * 32])
def test_another_ports_cookies_change_nothing(console: Console, other: OtherServer, moment: str, path: str) -> None:
    """It belongs to a guest of the class, who knows every cookie's name and gives the operator his own."""
    with browser() as guest, browser() as operator:
        guest_page = guest.get(console.class_address).url
        theirs = {cookie.name: cookie.value for cookie in guest.cookies.jar}
        other.cookies = [
            f"{name}={value}; Max-Age=999" + (f"; Path={path}" if path else "") for name, value in theirs.items()
        ]
        if moment.startswith("before"):
            operator.get(f"http://127.0.0.1:{other.port}/")
        page = operator.get(console.address).url
        mine = visitor_cookie(operator, page)
        operator.get(f"http://127.0.0.1:{other.port}/")
        operator.get(f"http://127.0.0.1:{other.port}/console/x")
        answer = operator.get(page.join("./console/snapshot"))
        assert answer.json()["role"] == "operator"
        assert visitor_cookie(operator, page) == mine
        assert mine not in theirs.values()
        assert operator.get(f"{console.base_url}/").status_code == 401
        assert guest.get(guest_page.join("./console/snapshot")).json()["role"] == "class"


def visitor_cookie(session: httpx.Client, page: httpx.URL) -> str | None:
    """The visitor's cookie of that page."""
    found = [c.value for c in session.cookies.jar if "visitor" in c.name and c.path == page.path]
    assert len(found) == 1
    return found[0]


def test_the_root_is_the_sign_in_page(console: Console) -> None:
    with browser() as session:
        page = session.get(console.address).url
        assert re.fullmatch(r"/[0-9a-f]{32}/", page.path)
        for path in ("/", "/console/snapshot", "/config", "/gradio_api/info"):
            answer = session.get(f"{console.base_url}{path}")
            assert answer.status_code == 401
            assert not answer.history
            assert page.path.strip("/") not in answer.text
        with browser() as stranger:  # who saw the address bar
            assert stranger.get(page).status_code == 401
            assert stranger.get(page.join("./config")).status_code == 401
    with console.client("") as stranger:
        assert stranger.get("/manifest.json").status_code == 200
        assert stranger.get("/v1/models").status_code == 401


def test_programs_ask_with_the_path_and_without(console: Console) -> None:
    with browser() as session:
        path = session.get(console.address).url.path
    with console.client() as program:
        visitors = set()
        for base in ("", path.rstrip("/")):
            assert program.get(f"{base}/console/snapshot").json()["role"] == "operator"
            config = program.get(f"{base}/config").json()
            assert config["root"] == f"{console.base_url}{base}"
            assert program.get(f"{base}/gradio_api/info").status_code == 200
            visitors |= {cookie.value for cookie in program.cookies.jar}
        assert len(visitors) == 1


def opened(session: httpx.Client, address: str, token: str, role: str) -> None:
    """What a page does from sign-in on: itself, its files, its data, an event; all below where it landed."""
    landed = session.get(f"{address}/?token={token}")
    assert landed.status_code == 200, landed.text
    page = landed.url
    assert "token" not in str(page)
    assert str(page).startswith(address)
    assert landed.text.count("page/bridge.js") >= 1
    for file in re.findall(r'(?:src|href)="(\./(?:console/)?assets/[^"]+)"', landed.text):
        assert session.get(page.join(file)).status_code == 200, file
    snapshot = session.get(page.join("./console/snapshot")).json()
    assert snapshot["role"] == role
    config = session.get(page.join("./config")).json()
    root = httpx.URL(config["root"])
    if root.host != page.host or root.port != page.port:  # Gradio's page then takes its own origin
        root = page.join(root.path)
    assert f"{root.path}/" == page.path
    job = {"data": [], "fn_index": 0, "session_hash": "x", "event_data": None, "trigger_id": None}
    origin = f"{page.scheme}://{page.netloc.decode()}"
    headers = {"origin": origin, "sec-fetch-site": "same-origin"}
    joined = session.post(f"{origin}{root.path}/gradio_api/queue/join", json=job, headers=headers)
    assert joined.status_code in (200, 422), joined.text
    session.cookies.set("console-language", "zh", domain="127.0.0.1", path=page.path)
    assert session.get(page.join("./console/snapshot")).json()["language"] == "zh"
    cookies = {(cookie.name, cookie.path) for cookie in session.cookies.jar}
    assert session.get(page).status_code == 200
    assert {(cookie.name, cookie.path) for cookie in session.cookies.jar} == cookies


@pytest.mark.parametrize("role", ["operator", "class"])
def test_through_a_forward_with_another_local_port(console: Console, role: str) -> None:
    token = console.token if role == "operator" else console.class_token
    port = urlsplit(console.base_url).port
    assert port is not None
    with tcp_forward(port) as local, browser() as session:
        opened(session, f"http://127.0.0.1:{local}", token, role)
        opened(session, f"http://127.0.0.1:{port}", token, role)


PREFIX = "/user/me/proxy/8300"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One console that was told of its proxy's prefix."""
    started = Console(tmp_path_factory.mktemp("proxied") / "state", "--root-path", PREFIX)
    try:
        yield started.ready()
    finally:
        started.close()


@pytest.mark.parametrize("strip", [True, False])
@pytest.mark.parametrize("role", ["operator", "class"])
def test_behind_a_proxy(proxied: Console, strip: bool, role: str) -> None:
    token = proxied.token if role == "operator" else proxied.class_token
    port = urlsplit(proxied.base_url).port
    assert port is not None
    with ExitStack() as stack:
        outer = stack.enter_context(web_proxy(port, PREFIX, strip=strip))
        session = stack.enter_context(browser())
        opened(session, f"http://127.0.0.1:{outer}{PREFIX}", token, role)
        # Beside it directly, as through SSH: the page then asks below the prefix that Gradio was told of.
        page = session.get(f"{proxied.base_url}/?token={token}")
        assert page.status_code == 200
        assert session.get(page.url.join("./console/snapshot")).json()["role"] == role
        inner = page.url.path
        assert session.get(f"{proxied.base_url}{PREFIX}{inner}console/snapshot").json()["role"] == role


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("closed", ["/monitoring", "/gradio_api/proxy=https://x.hf.space/", "/gradio_api/deep_link"])
def test_no_number_of_prefixes_opens_what_is_closed(proxied: Console, closed: str, times: int) -> None:
    with proxied.client() as operator, browser() as session:
        base = session.get(proxied.address).url.path.rstrip("/")
        for path in (PREFIX * times + closed, f"{PREFIX * times}{base}{closed}", f"{base}{PREFIX * times}{closed}"):
            assert operator.get(path).status_code == 404


ODD_TARGETS = [
    b"//", b"/..", b"/.", b"/%2e%2e/", b"/%2f", b"/%00", b"/%0a", b"/%5c", b"/%ff", b"/%ed%a0%80", b"/a/%2e/b", b"/%",
    b"/%zz", b"/?%ff=%00", b"/?token", b"/?token=%ff", b"/?token=%ed%a0%80", b"/?" + b"a" * 30000,
    b"/" + b"a" * 30000, b"/?deep_link=%00", b"/config?x=%ed%a0%80", b"/gradio_api/file=%ff", b"/gradio_api/file=",
    b"/gradio_api/file=%ed%a0%80", b"/static/", b"/static/..", b"/assets/", b"/assets/%ff", b"/theme.css?v=%00",
    b"/console", b"/console/", b"/console/log/%ff", b"/console/assets/", b"/console/log/%ed%a0%80", b"/gradio_api",
    b"/gradio_api/", b"/svelte/", b"/svelte/%ff", b"/svelte/..%2f..", b"/favicon.ico/", b"/robots.txt", b"/pwa_icon",
    b"/pwa_icon/x", b"/login", b"/logout", b"/gradio_api/queue/status", b"/gradio_api/heartbeat/%ff?x",
    b"/gradio_api/upload_progress", b"/gradio_api/app_id", b"/gradio_api/queue/data", b"/gradio_api/stream/a/b/c/d",
]  # fmt: skip
ODD_HEADERS = [
    b"", b"X-Forwarded-Host: a b\r\n", b"X-Forwarded-Host: [\r\n", b"X-Forwarded-Host: \xff\r\n",
    b"X-Gradio-Server: ::\r\n", b"X-Gradio-Server: \xed\xa0\x80\r\n", b"X-Forwarded-Proto: \xff\r\n",
    b"Cookie: \xff=\xfe; console-language=\xed\r\n", b"Accept-Language: \xff;q=nan,en;q=1e999,zh;q=-\r\n",
    b"Accept: \xff\r\n", b"Accept-Encoding: \xff\r\n", b"Range: bytes=\xff\r\n", b"Referer: \xff\r\n",
    b"If-None-Match: \xff\r\n", b"Content-Type: \xff\r\n", b"Origin: http://[\r\n", b"Origin: \xff\r\n",
]  # fmt: skip


def test_no_odd_request_is_an_error_of_ours(console: Console) -> None:
    port = urlsplit(console.base_url).port
    assert port is not None
    bearer = f"Authorization: Bearer {console.token}\r\n".encode()
    requests = [(method, target, b"") for target in ODD_TARGETS for method in (b"GET", b"POST", b"HEAD", b"OPTIONS")]
    requests += [
        (b"GET", target, header) for header in ODD_HEADERS for target in (b"/", b"/config", b"/console/snapshot")
    ]
    for method, target, header in requests:
        if target == b"/gradio_api/queue/data" or target.startswith(b"/gradio_api/heartbeat"):
            continue  # streams
        head = b"%b %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" % (method, target)
        answer = raw_request(port, head + bearer + header + b"Content-Length: 0\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        assert status < 500, (method, target, header, answer[:300])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        (b"GET / HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.0\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: evil.com\\@localhost\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: localhost@evil.com\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: \xff\r\n", 421),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n", 400),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", 400),
        (b"GET x HTTP/1.1\r\nHost: localhost\r\n", 400),
        (b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n", 400),
    ],
)
def test_hosts_and_targets(console: Console, head: bytes, status: int) -> None:
    port = urlsplit(console.base_url).port
    assert port is not None
    bearer = f"Authorization: Bearer {console.token}\r\n".encode()
    answer = raw_request(port, head + bearer + b"Connection: close\r\n\r\n")
    assert int(answer.split(b" ", 2)[1]) == status


def test_no_other_origin_may_read(console: Console) -> None:
    with console.client() as operator:
        for origin in ("http://localhost:9", "http://127.0.0.1:9", "null", "http://evil.example"):
            for method, path in (("GET", "/config"), ("GET", "/"), ("OPTIONS", "/gradio_api/queue/join")):
                headers = {"origin": origin, "access-control-request-method": "POST"}
                answer = operator.request(method, path, headers=headers)
                assert not [name for name in answer.headers if name.startswith("access-control")]
