"""The guard: Host, Origin, token, secret path, cookies, roles, language."""

import asyncio
import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import Unavailable
from backend.settings import Settings
from tests.conftest import make_settings
from tests.support.asgi import client, tell_visitor
from ui.web.guard import WRONG_TOKENS, Guard
from ui.web.old_visitors import OldVisitors
from ui.web.places import CLOSED_PREFIXES, BelowBase
from ui.web.visitor import Role

TOKENS = {Role.OPERATOR: "operator-token-of-32-characters-x", Role.CLASS: "class-token-of-32-characters-xxxx"}
HTML = {"accept": "text/html,*/*"}


def guarded(settings: Settings, known: Mapping[str, str] | None = None) -> Guard:
    """``known``: the visitors of the store, by their role."""
    roles = {} if known is None else known
    return Guard(tell_visitor, TOKENS, settings, lambda: roles, lambda visitor_id: roles.get(visitor_id, ""))


@pytest.fixture(scope="module")
def standing_guard(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    """One for all examples of a property."""
    return Guard(tell_visitor, TOKENS, make_settings(tmp_path_factory.mktemp("guard") / "s"))


async def raw(
    app: ASGIApp, path: str, query: str = "", headers: Mapping[str, str] | None = None, method: str = "GET"
) -> dict[str, Any]:
    """The answer to a request that httpx wouldn't send: ``status`` and ``headers``."""
    pairs = {"host": "127.0.0.1:8300"} | dict(headers or {})
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": b"", "query_string": query.encode("latin-1"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs.items()],
        "client": ("127.0.0.1", 50000),
    }  # fmt: skip
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app(scope, receive, send)
    return {"status": sent[0]["status"], "headers": Headers(raw=sent[0]["headers"])}


async def signed_in(guard: Guard, role: Role = Role.OPERATOR, host: str = "127.0.0.1:8300") -> httpx.AsyncClient:
    """A browser that followed the role's address; its requests go below the role's secret path."""
    session = client(guard, host)
    answer = await session.get(f"/?token={TOKENS[role]}")
    assert answer.status_code == 303
    session.base_url = session.base_url.join(answer.headers["location"])
    return session


async def test_token_becomes_a_cookie_and_leaves_the_address(settings: Settings) -> None:
    guard = guarded(settings)
    base = guard.places.base(Role.OPERATOR)
    session = client(guard)
    answer = await session.get(f"/some/page?a=1&token={TOKENS[Role.OPERATOR]}&b=%E4%B8%AD")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"..{base}/some/page?a=1&b=%E4%B8%AD"
    cookies = answer.headers.get_list("set-cookie")
    assert all(
        "HttpOnly" in cookie and "SameSite=Strict" in cookie and f"Path={base}/;" in cookie for cookie in cookies
    )
    assert TOKENS[Role.OPERATOR] not in "".join(cookies)
    after = await session.get(f"{base}/")
    assert after.status_code == 200
    assert after.json()["role"] == "operator"
    assert after.json()["path"] == "/"
    assert f"Path={base}/;" in after.headers["set-cookie"]
    assert (await session.get(f"{base}/")).json()["visitor"] == after.json()["visitor"]
    assert "set-cookie" not in (await session.get(f"{base}/")).headers


@pytest.mark.parametrize("role", list(Role))
async def test_the_root_leads_to_the_roles_own_path(settings: Settings, role: Role) -> None:
    guard = guarded(settings)
    answer = await client(guard).get(f"/?token={TOKENS[role]}")
    assert answer.headers["location"] == f".{guard.places.base(role)}/"
    assert guard.places.base(Role.OPERATOR) != guard.places.base(Role.CLASS)
    assert re.fullmatch(r"/[0-9a-f]{32}", guard.places.base(role))


async def test_the_path_stays_and_is_kept_beside_the_token(settings: Settings) -> None:
    assert guarded(settings).places.base(Role.OPERATOR) == guarded(settings).places.base(Role.OPERATOR)
    assert (settings.state_dir / "path-secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("query", ["", "?tab=vram", f"?a=1&token={TOKENS[Role.CLASS]}"])
async def test_a_path_without_its_last_slash_keeps_its_query(settings: Settings, query: str) -> None:
    guard = guarded(settings)
    base = guard.places.base(Role.CLASS)
    answer = await client(guard).get(f"{base}{query}")
    assert answer.headers["location"] == f".{base}/{query}"


@pytest.mark.parametrize(
    "path", ["/", "", "/config", "/console/snapshot", "/gradio_api/queue/data", "/?view=api", "/static/x.png"]
)
async def test_the_path_alone_lets_nobody_in(settings: Settings, path: str) -> None:
    """It stands in the address bar, which a projector shows."""
    guard = guarded(settings)
    for role in Role:
        answer = await client(guard).get(f"{guard.places.base(role)}{path}", headers=HTML, follow_redirects=True)
        assert answer.status_code == 401
        assert "name='token'" in answer.text


async def test_the_root_never_tells_the_path(settings: Settings) -> None:
    """Not even to a browser that has the cookies, nor to a program: only to who has the token."""
    guard = guarded(settings)
    session = await signed_in(guard)
    await session.get("/")
    everything = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies.jar)
    paths = [guard.places.base(role) for role in Role]
    for target in ("/", "/config", "/login", "/x?token=wrong", "//", "/..", "/v1/models"):
        for headers in ({}, HTML, {"cookie": everything}, HTML | {"cookie": everything}):
            answer = await client(guard).get(f"http://127.0.0.1:8300{target}", headers=headers)
            assert answer.status_code in (200, 401, 429)
            told = f"{answer.text} {answer.headers}"
            assert not [path for path in paths if path[1:] in told], (target, headers)


async def test_cookies_count_below_their_own_path_alone(settings: Settings) -> None:
    guard = guarded(settings)
    session = await signed_in(guard)
    await session.get("/")
    own = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies.jar)
    for base in ("", guard.places.base(Role.CLASS), "/" + "0" * 32, "/x"):
        answer = await client(guard).get(f"{base}/console/snapshot", headers={"cookie": own})
        assert answer.status_code == 401, base


@pytest.mark.parametrize("name", ["auth", "visitor", "language", "foreign"])
@pytest.mark.parametrize("value", ["", "x", "0" * 32, "0" * 64, "of a guest", '"', "\xff\xfe", "a.b", "." * 400])
async def test_what_another_port_sets_is_of_no_use(settings: Settings, name: str, value: str) -> None:
    """It can't know the path, so its cookies come behind; a guest of the class may run it, with cookies of his own."""
    guard = guarded(settings)
    names = {"auth": guard.cookie_name, "visitor": guard.visitor_cookie, "language": "console-language", "foreign": "a"}
    guest = await signed_in(guard, Role.CLASS)
    guest_id = (await guest.get("/")).json()["visitor"]
    theirs = {cookie.name: cookie.value for cookie in guest.cookies.jar}
    planted = f"{names[name]}={theirs.get(names[name], guest_id) if value == 'of a guest' else value}".encode("latin-1")

    new = client(guard)
    landed = new.base_url.join((await new.get(f"/?token={TOKENS[Role.OPERATOR]}")).headers["location"])
    own = "; ".join(f"{cookie.name}={cookie.value}" for cookie in new.cookies.jar).encode()
    bare = client(guard)
    first = await bare.get(landed, headers={b"cookie": own + b"; " + planted})
    assert first.json()["role"] == "operator"
    assert first.json()["visitor"] != guest_id
    own += "; {}={}".format(*next(c for c in ((c.name, c.value) for c in bare.cookies.jar))).encode()
    again = await client(guard).get(landed, headers={b"cookie": own + b"; " + planted})
    assert again.json()["role"] == "operator"
    assert again.json()["visitor"] == first.json()["visitor"]
    assert (await client(guard).get(landed, headers={b"cookie": planted})).status_code == 401


async def test_a_planted_cookie_is_taken_away_again(settings: Settings) -> None:
    guard = guarded(settings)
    session = await signed_in(guard)
    session.cookies.set(guard.visitor_cookie, "planted", domain="127.0.0.1", path="/")
    session.cookies.set(guard.cookie_name, "planted", domain="127.0.0.1", path="/")
    await session.get("/")
    assert sorted(cookie.path for cookie in session.cookies.jar) == [f"{guard.places.base(Role.OPERATOR)}/"] * 2


def old_browser(guard: Guard, visitor_id: str, role: Role = Role.OPERATOR) -> httpx.AsyncClient:
    """A browser with the cookies of a console from before the secret path."""
    session = client(guard)
    proof = hmac.new(TOKENS[role].encode(), b"cookie", hashlib.sha256).hexdigest()
    for name, value in ((guard.cookie_name, proof), (guard.visitor_cookie, visitor_id)):
        session.cookies.set(name, value, domain="127.0.0.1", path="/")
    return session


async def sign_in(session: httpx.AsyncClient, role: Role = Role.OPERATOR) -> None:
    answer = await session.get(f"/?token={TOKENS[role]}")
    session.base_url = session.base_url.join(answer.headers["location"])


@pytest.mark.parametrize("before", list(Role))
@pytest.mark.parametrize("now", list(Role))
@pytest.mark.parametrize("told", [True, False], ids=["role stored", "role unknown"])
async def test_an_old_visitor_is_taken_over_once(settings: Settings, before: Role, now: Role, told: bool) -> None:
    guard = guarded(settings, {"0123456789abcdef" * 2: now.value if told else ""})
    session = old_browser(guard, "0123456789abcdef" * 2, before)
    assert (await session.get("/")).status_code == 401  # the old cookie lets nobody in any more
    await sign_in(session, now)
    assert (await session.get("/")).json() | {"query": ""} == {
        "path": "/", "query": "", "role": now.value, "language": "en", "visitor": "0123456789abcdef" * 2
    }  # fmt: skip
    assert {cookie.path for cookie in session.cookies.jar} == {f"{guard.places.base(now)}/"}
    assert (await session.get("/")).json()["visitor"] == "0123456789abcdef" * 2
    # Any port of the host may have seen that id: nobody else gets it, after a restart neither.
    for again in (guard, guarded(settings)):
        thief = old_browser(again, "0123456789abcdef" * 2, Role.CLASS)
        await sign_in(thief, Role.CLASS)
        assert (await thief.get("/")).json()["visitor"] != "0123456789abcdef" * 2
    assert (settings.state_dir / "old-visitors").stat().st_mode & 0o777 == 0o600


def test_old_visitors_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    path = tmp_path / "file" / "old-visitors"
    path.parent.write_text("")
    with pytest.raises(Unavailable) as caught:
        OldVisitors(path).settle({"a" * 32: "class"})
    [message] = caught.value.messages
    assert (message.key, message.params["path"]) == ("servers.own-file-unusable", str(path))


async def taken_over(guard: Guard, role: Role, visitor_id: str) -> bool:
    """Whether somebody who has that role's token gets that visitor's id, with the old cookies that it lets him make."""
    session = old_browser(guard, visitor_id, role)
    await sign_in(session, role)
    return bool((await session.get("/")).json()["visitor"] == visitor_id)


async def test_only_who_was_there_before_the_secret_path_is_old(settings: Settings) -> None:
    """Ids of today stand in the code that pages show, and the class's old cookie can be made of its token."""
    known = {"a" * 32: "class"}
    guard = guarded(settings, known)
    known["b" * 32] = "class"
    for later in (guard, guarded(settings, known)):
        assert not await taken_over(later, Role.CLASS, "b" * 32)
        assert not await taken_over(later, Role.CLASS, "c" * 32)
    (settings.state_dir / "path-secret").unlink()  # a new path makes nobody old
    assert not await taken_over(guarded(settings, known), Role.CLASS, "b" * 32)
    assert await taken_over(guarded(settings, known), Role.CLASS, "a" * 32)


async def test_an_old_visitor_stays_with_its_role(settings: Settings) -> None:
    known = {"a" * 32: "operator", "b" * 32: "class", "c" * 32: ""}
    guard = guarded(settings, known)
    assert not await taken_over(guard, Role.CLASS, "a" * 32)
    assert not await taken_over(guard, Role.OPERATOR, "b" * 32)
    known["c" * 32] = "operator"  # seen meanwhile
    assert not await taken_over(guard, Role.CLASS, "c" * 32)
    known.clear()  # the store was lost: what was settled counts
    assert not await taken_over(guard, Role.OPERATOR, "b" * 32)
    assert await taken_over(guard, Role.OPERATOR, "a" * 32)


async def test_a_cookie_doesnt_count_for_a_visitor_of_another_role(settings: Settings) -> None:
    known: dict[str, str] = {}
    session = await signed_in(guarded(settings, known), Role.CLASS)
    visitor_id = (await session.get("/")).json()["visitor"]
    assert (await session.get("/")).json()["visitor"] == visitor_id
    known[visitor_id] = "operator"
    assert (await session.get("/")).json()["visitor"] != visitor_id


async def test_an_old_visitor_needs_its_old_proof(settings: Settings) -> None:
    guard = guarded(settings, {"0" * 32: "operator"})
    session = await signed_in(guard)
    session.cookies.set(guard.visitor_cookie, "0" * 32, domain="127.0.0.1", path="/")
    assert (await session.get("/")).json()["visitor"] != "0" * 32


async def test_who_has_a_visitor_keeps_it(settings: Settings) -> None:
    guard = guarded(settings, {"0" * 32: "operator"})
    session = await signed_in(guard)
    known = (await session.get("/")).json()["visitor"]
    for cookie in old_browser(guard, "0" * 32).cookies.jar:
        session.cookies.jar.set_cookie(cookie)
    assert (await session.get("/")).json()["visitor"] == known


async def test_roles(settings: Settings) -> None:
    """Both at once in one browser: each below its own path, each a visitor of its own."""
    guard = guarded(settings)
    session = await signed_in(guard)
    operator = (await session.get("/")).json()
    answer = await session.get(f"/page?token={TOKENS[Role.CLASS]}")
    assert answer.headers["location"] == f"..{guard.places.base(Role.CLASS)}/page"
    guest = (await session.get(session.base_url.join(answer.headers["location"]))).json()
    assert (operator["role"], guest["role"]) == ("operator", "class")
    assert operator["visitor"] != guest["visitor"]
    assert (await session.get("/")).json()["visitor"] == operator["visitor"]


@pytest.mark.parametrize(
    ("root_path", "opened", "base"),
    [
        ("/outer/x", "/outer/x", "/outer/x"), ("/outer/x", "", ""), ("https://hub.example.edu/o", "/o", "/o"),
        ("https://hub.example.edu/o", "", ""), ("/%E4%B8%AD", "/%E4%B8%AD", "/%E4%B8%AD"), ("", "", ""),
    ],
)  # fmt: skip
async def test_behind_proxies_that_keep_their_prefix_and_that_take_it(
    tmp_path: Path, root_path: str, opened: str, base: str
) -> None:
    guard = guarded(make_settings(tmp_path / "s", root_path=root_path))
    session = client(guard)
    answer = await session.get(f"{opened}/?token={TOKENS[Role.OPERATOR]}")
    landed = session.base_url.join(f"{opened}/").join(answer.headers["location"])
    assert landed.raw_path.decode().startswith(f"{base}/")
    first = await session.get(landed)
    assert first.json()["path"] == "/"
    inner = guard.places.base(Role.OPERATOR).rpartition("/")[2]
    for outer in {"", opened}:  # the page's own requests come with the prefix, as Gradio was told, or without
        answer = await session.get(f"{outer}/{inner}/console/snapshot")
        assert (answer.json()["path"], answer.json()["visitor"]) == ("/console/snapshot", first.json()["visitor"])


async def test_an_address_from_before_leads_to_the_page(settings: Settings) -> None:
    """A bookmark of a path that was made anew since, or with odd parts in it."""
    guard = guarded(settings)
    base = guard.places.base(Role.OPERATOR)
    for path, location in ((f"/{'0' * 32}/", f"..{base}/"), ("//evil.example/", f"../..{base}/"), ("/a/../b", None)):
        answer = await client(guard).get(f"http://127.0.0.1:8300{path}", params={"token": TOKENS[Role.OPERATOR]})
        assert answer.headers["location"] == location or (location is None and base in answer.headers["location"])
    odd = await raw(guard, "/\ud800", f"token={TOKENS[Role.OPERATOR]}")
    assert odd["headers"]["location"] == f".{base}/"


async def test_two_browsers_are_two_visitors(settings: Settings) -> None:
    guard = guarded(settings)
    first, second = await signed_in(guard), await signed_in(guard)
    assert (await first.get("/")).json()["visitor"] != (await second.get("/")).json()["visitor"]


async def test_bearer_token_for_programs(settings: Settings) -> None:
    session = client(guarded(settings), headers={"authorization": f"Bearer {TOKENS[Role.CLASS]}"})
    assert (await session.get("/")).json()["role"] == "class"
    wrong = client(guarded(settings), headers={"authorization": "Bearer nonsense"})
    assert (await wrong.get("/")).status_code == 401


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("below", [None, *Role])
async def test_programs_need_no_secret_path(settings: Settings, role: Role, below: Role | None) -> None:
    """And are one visitor each, wherever they ask."""
    guard = guarded(settings)
    session = client(guard, headers={"authorization": f"Bearer {TOKENS[role]}"})
    base = guard.places.base(below)
    answers = [(await session.get(f"{base}/console/snapshot")).json() for _ in range(2)]
    assert [answer["role"] for answer in answers] == [role.value] * 2
    assert answers[0]["path"] == "/console/snapshot"
    assert answers[0]["visitor"] == answers[1]["visitor"]


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/join", "/console/snapshot", "/assets/index.js"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
async def test_nothing_without_a_token(settings: Settings, path: str, method: str) -> None:
    answer = await client(guarded(settings)).request(method, path)
    assert answer.status_code == 401


async def test_a_token_in_a_post_is_no_way_in(settings: Settings) -> None:
    answer = await client(guarded(settings)).post(f"/?token={TOKENS[Role.OPERATOR]}")
    assert answer.status_code == 401


async def test_manifest_is_fetched_without_cookies(settings: Settings) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import Response

        await Response("manifest")(scope, receive, send)

    guard = Guard(app, TOKENS, settings)
    assert (await client(guard).get("/manifest.json")).status_code == 200
    assert (await client(guard).post("/manifest.json")).status_code == 401


async def test_sign_in_page_in_both_languages(settings: Settings) -> None:
    answer = await client(guarded(settings)).get("/", headers={**HTML, "accept-language": "zh-CN,zh;q=0.9"})
    assert answer.status_code == 401
    assert "<html lang='zh'>" in answer.text
    assert "需要访问令牌" in answer.text
    assert "needs its token" in answer.text
    program = await client(guarded(settings)).get("/")
    assert program.json()["messages"]


async def test_a_pasted_address_counts_as_its_token(settings: Settings) -> None:
    pasted = f"http://127.0.0.1:8300/?token={TOKENS[Role.OPERATOR]}"
    answer = await client(guarded(settings)).get("/", params={"token": pasted})
    assert answer.status_code == 303


async def test_a_link_from_another_site_is_asked_once_more(settings: Settings) -> None:
    navigation = {**HTML, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = await client(guarded(settings)).get("/", headers=navigation)
    assert answer.status_code == 401
    assert "location.replace" not in answer.text  # the root has no cookie to wait for
    below = await client(guarded(settings)).get(f"{guarded(settings).places.base(Role.CLASS)}/", headers=navigation)
    assert below.status_code == 401
    assert "location.replace" in below.text


async def test_wrong_tokens_are_limited_and_the_right_one_is_not(settings: Settings) -> None:
    guard = guarded(settings)
    session = client(guard)
    answers = [(await session.get("/?token=wrong", headers=HTML)).status_code for _ in range(WRONG_TOKENS + 3)]
    assert answers == [401] * WRONG_TOKENS + [429] * 3
    assert (await session.get(f"/?token={TOKENS[Role.OPERATOR]}")).status_code == 303


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8300", "127.0.0.1.evil.example", "", "localhost.evil.example", "192.168.1.5",
        "evil.com\\@localhost", "evil.com@localhost", "localhost@evil.com", "localhost:1@evil.com",
        "localhost#@evil.com",
        "localhost/", "localhost/@evil.com", "localhost?", "localhost:", "localhost:0", "localhost:65536",
        "localhost:x",
        "localhost:80:80", "localhost.", ".localhost", "local host", " localhost", "localhost\t", "127.1", "2130706433",
        "0x7f000001", "127.0.0.1,evil.com", "[::1", "::1", "[::1]x", "[::ffff:127.0.0.1%25lo]", "[::1%lo]", "[]",
        "[::1].evil",
        "localhost\\", "%6cocalhost", "ｌocalhost".encode().decode("latin-1"), "localhost\xa0", "-localhost",
        "a" * 5000,
    ],
)  # fmt: skip
async def test_foreign_host_names(settings: Settings, host: str) -> None:
    session = await signed_in(guarded(settings))
    assert (await raw(session._transport.app, "/", headers={"host": host}))["status"] == 421  # type: ignore[attr-defined]


async def test_two_hosts_or_none(settings: Settings) -> None:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    for hosts in ([], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]):
        scope = {
            "type": "http", "method": "GET", "path": "/", "query_string": b"",
            "headers": [(b"host", host) for host in hosts],
        }  # fmt: skip
        await guarded(settings)(scope, None, send)  # type: ignore[arg-type]
        assert sent[0]["status"] == 421
        sent.clear()


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "localhost:9999", "[::1]:8300", "LOCALHOST:1", "[0:0:0:0:0:0:0:1]"]
)
async def test_loopback_names_with_any_port(settings: Settings, host: str) -> None:
    answer = await client(guarded(settings)).get("/", headers={"host": host})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8300", "file://", "",
        "http://evil.example\\@127.0.0.1:8300", "http://127.0.0.1:8300@evil.example", "http://[", "127.0.0.1:8300",
        "ftp://127.0.0.1:8300", "http://127.0.0.1:8300/", "http://127.0.0.1:8300\xff", "http://127.0.0.1:8300, null",
    ],
)  # fmt: skip
async def test_another_pages_writes_are_refused(settings: Settings, origin: str) -> None:
    session = await signed_in(guarded(settings))
    headers = {"origin": origin, "authorization": f"Bearer {TOKENS[Role.OPERATOR]}"}
    app = session._transport.app  # type: ignore[attr-defined]
    assert (await raw(app, "/console/deploy/stop", headers=headers, method="POST"))["status"] == 403


async def test_the_pages_own_writes_pass(settings: Settings) -> None:
    session = await signed_in(guarded(settings))
    own = {"origin": "http://127.0.0.1:8300", "sec-fetch-site": "same-origin"}
    assert (await session.post("/console/x", headers=own)).status_code == 200
    assert (await session.post("/console/x")).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_pages_reads_are_refused(settings: Settings, site: str) -> None:
    session = await signed_in(guarded(settings))
    headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert (await session.get("/console/snapshot", headers=headers)).status_code == 403


async def test_behind_a_proxy_with_a_full_address(tmp_path: Path) -> None:
    guard = guarded(make_settings(tmp_path / "s", root_path="https://hub.example.edu/user/me/proxy/8300"))
    session = await signed_in(guard, host="hub.example.edu")
    assert (await session.post("/x", headers={"origin": "https://hub.example.edu"})).status_code == 200
    inner = await signed_in(guard, host="127.0.0.1:8300")
    assert (await inner.post("/x", headers={"origin": "https://hub.example.edu"})).status_code == 200
    assert (await inner.post("/x", headers={"origin": "https://other.example.edu"})).status_code == 403


async def test_on_the_network_addresses_are_known_and_foreign_names_not(tmp_path: Path) -> None:
    guard = guarded(make_settings(tmp_path / "s", host="0.0.0.0"))
    assert (await client(guard, "192.168.1.5:8300").get("/")).status_code == 401
    assert (await client(guard, "evil.example").get("/")).status_code == 421


async def test_websockets_are_guarded(settings: Settings) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": [(b"host", b"127.0.0.1:8300")]}
    await guarded(settings)(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


CLOSED = ["/gradio_api/proxy=https://x.hf.space/", "/gradio_api/vibe-edit/", "/monitoring", "/gradio_api/deep_link"]


@pytest.mark.parametrize("path", CLOSED)
async def test_unused_parts_of_gradio_are_closed(settings: Settings, path: str) -> None:
    session = await signed_in(guarded(settings))
    assert (await session.get(path)).status_code == 404


@pytest.mark.parametrize("root_path", ["", "/x", "https://hub.example.edu/x", "/gradio_api", "/%78"])
@pytest.mark.parametrize("closed", ["/monitoring", "/gradio_api/proxy=a"])
@pytest.mark.parametrize(
    "spelling",
    [
        "{0}", "/x{0}", "/x/x{0}", "/x//x{0}", "//x{0}", "/{0}", "/.{0}", "/a/..{0}", "/x/./x{0}", "{0}/.", "{0}.",
        "{0}/",
        "{0}%2e", "/\\{0}", "{0}\x00", "/gradio_api{0}",
    ],
)  # fmt: skip
async def test_no_spelling_opens_them(tmp_path: Path, root_path: str, closed: str, spelling: str) -> None:
    """What an application that reads paths as Starlette does would see is never a closed part, with or without any
    number of prefixes, and whoever asks."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(get_route_path(scope))
        await Response("passed")(scope, receive, send)

    guard = Guard(BelowBase(app, root_path), TOKENS, make_settings(tmp_path / "s", root_path=root_path))
    bearer = {"authorization": f"Bearer {TOKENS[Role.OPERATOR]}"}
    for base in ("", guard.places.base(Role.OPERATOR), guard.places.base(None)):
        for path in (closed, closed.upper(), closed.title()):
            await raw(guard, base + spelling.format(path), headers=bearer)
    for path in seen:
        plain = posixpath.normpath(unquote(path).replace("\\", "/").lower())
        assert not plain.startswith(CLOSED_PREFIXES), path
        assert not plain.startswith("//")


async def test_a_number_of_a_thousand_digits_is_no_path(settings: Settings) -> None:
    """A router's own reading of it would fail."""
    session = await signed_in(guarded(settings))
    for path in ("chat/document/1/", "chat/document/", "x/"):
        assert (await session.get(f"console/{path}{'9' * 5000}")).status_code == 404
        assert (await session.get(f"console/{path}{'9' * 5000}/1")).status_code == 404
        assert (await session.get(f"console/{path}{'9' * 20}")).status_code == 200


PIECES = [*"/.%2eEfFx\\\x00\n;:?=a", "\ud800", "中", "monitoring", "gradio_api"]


@given(path=st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@hypothesis_settings(deadline=None, derandomize=True, max_examples=100)
def test_odd_paths_are_answered(standing_guard: Guard, path: str) -> None:
    async def ask() -> None:
        for base in ("/", "/" + "0" * 32 + "/", standing_guard.places.base(Role.OPERATOR) + "/"):
            for query in ("", "token=x", f"token={TOKENS[Role.OPERATOR]}"):
                answer = await raw(
                    standing_guard, base + path, query, {"authorization": f"Bearer {TOKENS[Role.OPERATOR]}"}
                )
                assert answer["status"] in (200, 303, 401, 404, 429)
                assert answer["headers"].get("location", "./").startswith(("./", "../"))

    asyncio.run(ask())


@pytest.mark.parametrize("path", ["*", "", "http://127.0.0.1:8300/", "http://evil.example/", "x/y", "127.0.0.1:8300"])
async def test_targets_that_are_no_path(settings: Settings, path: str) -> None:
    bearer = {"authorization": f"Bearer {TOKENS[Role.OPERATOR]}"}
    assert (await raw(guarded(settings), path, headers=bearer))["status"] == 400


async def test_no_other_origin_is_told_that_it_may_read(settings: Settings) -> None:
    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        allowed = {"access-control-allow-origin": "http://localhost:9", "Access-Control-Allow-Credentials": "true"}
        await Response("x", headers=allowed)(scope, receive, send)

    session = await signed_in(Guard(gradio, TOKENS, settings))
    for method in ("GET", "OPTIONS"):
        answer = await session.request(method, "/config", headers={"origin": "http://localhost:9"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_security_headers_stand_on_every_answer(settings: Settings) -> None:
    session = await signed_in(guarded(settings))
    for answer in (await session.get("/"), await client(guarded(settings)).get("/", headers=HTML)):
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "de,en;q=0.7,zh;q=0.3", "en"),
        ("zh", "en", "zh"),
        ("klingon", "zh", "zh"),
    ],
)
async def test_language(settings: Settings, cookie: str, accept: str, language: str) -> None:
    session = await signed_in(guarded(settings))
    if cookie:
        session.cookies.set("console-language", cookie)
    answer = await session.get("/", headers={"accept-language": accept})
    assert answer.json()["language"] == language


async def test_the_languages_last_word_is_the_settings(tmp_path: Path) -> None:
    session = await signed_in(guarded(make_settings(tmp_path / "s", language="zh")))
    assert (await session.get("/", headers={"accept-language": "fr"})).json()["language"] == "zh"


async def test_two_consoles_have_two_cookies(settings: Settings) -> None:
    other = Guard(tell_visitor, {**TOKENS, Role.OPERATOR: "another-token-of-32-characters-xx"}, settings)
    assert guarded(settings).cookie_name != other.cookie_name
    session = await signed_in(guarded(settings))
    stranger = client(other, cookies=session.cookies)
    assert (await stranger.get("/")).status_code == 401


async def test_a_forged_visitor_is_replaced(settings: Settings) -> None:
    guard = guarded(settings)
    session = client(guard, headers={"authorization": f"Bearer {TOKENS[Role.OPERATOR]}"})
    answer = await session.get("/", headers={"cookie": f"{guard.visitor_cookie}=../../etc"})
    assert len(answer.json()["visitor"]) == 32
    assert answer.json()["visitor"] in answer.headers["set-cookie"]
