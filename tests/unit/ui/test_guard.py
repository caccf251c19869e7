"""The guard: Host, Origin, token, cookie, roles, language."""

from pathlib import Path

import httpx
import pytest

from backend.settings import Settings
from tests.conftest import make_settings
from tests.unit.ui.asgi import client, tell_visitor
from ui.access import Role
from ui.guard import WRONG_TOKENS, Guard, is_loopback, preferred_language

TOKENS = {Role.OPERATOR: "operator-token-of-32-characters-x", Role.CLASS: "class-token-of-32-characters-xxxx"}
HTML = {"accept": "text/html,*/*"}


def guarded(settings: Settings) -> Guard:
    return Guard(tell_visitor, TOKENS, settings)


async def signed_in(guard: Guard, role: Role = Role.OPERATOR, host: str = "127.0.0.1:8300") -> httpx.AsyncClient:
    session = client(guard, host)
    answer = await session.get(f"/?token={TOKENS[role]}")
    assert answer.status_code == 303
    return session


async def test_token_becomes_a_cookie_and_leaves_the_address(settings: Settings) -> None:
    guard = guarded(settings)
    session = client(guard)
    answer = await session.get(f"/some/page?a=1&token={TOKENS[Role.OPERATOR]}&b=%E4%B8%AD")
    assert answer.status_code == 303
    assert answer.headers["location"] == "./page?a=1&b=%E4%B8%AD"
    cookies = answer.headers.get_list("set-cookie")
    assert all("HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie for cookie in cookies)
    assert TOKENS[Role.OPERATOR] not in "".join(cookies)
    after = await session.get("/")
    assert after.status_code == 200
    assert after.json()["role"] == "operator"
    assert (await session.get("/")).json()["visitor"] == after.json()["visitor"]


async def test_the_root_redirects_to_itself(settings: Settings) -> None:
    answer = await client(guarded(settings)).get(f"/?token={TOKENS[Role.CLASS]}")
    assert answer.headers["location"] == "./"


async def test_roles(settings: Settings) -> None:
    guard = guarded(settings)
    assert (await (await signed_in(guard, Role.CLASS)).get("/")).json()["role"] == "class"
    assert (await (await signed_in(guard)).get("/")).json()["role"] == "operator"
    session = await signed_in(guard)
    await session.get(f"/?token={TOKENS[Role.CLASS]}")
    assert (await session.get("/")).json()["role"] == "class"


async def test_two_browsers_are_two_visitors(settings: Settings) -> None:
    guard = guarded(settings)
    first, second = await signed_in(guard), await signed_in(guard)
    assert (await first.get("/")).json()["visitor"] != (await second.get("/")).json()["visitor"]


async def test_bearer_token_for_programs(settings: Settings) -> None:
    session = client(guarded(settings), headers={"authorization": f"Bearer {TOKENS[Role.CLASS]}"})
    assert (await session.get("/")).json()["role"] == "class"
    wrong = client(guarded(settings), headers={"authorization": "Bearer nonsense"})
    assert (await wrong.get("/")).status_code == 401


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/join", "/console/snapshot", "/assets/index.js"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
async def test_nothing_without_a_token(settings: Settings, path: str, method: str) -> None:
    answer = await client(guarded(settings)).request(method, path)
    assert answer.status_code == 401


async def test_a_token_in_a_post_is_no_way_in(settings: Settings) -> None:
    answer = await client(guarded(settings)).post(f"/?token={TOKENS[Role.OPERATOR]}")
    assert answer.status_code == 401


async def test_manifest_is_fetched_without_cookies(settings: Settings) -> None:
    async def app(scope, receive, send):
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
    assert "location.replace" in answer.text


async def test_wrong_tokens_are_limited_and_the_right_one_is_not(settings: Settings) -> None:
    guard = guarded(settings)
    session = client(guard)
    answers = [(await session.get("/?token=wrong", headers=HTML)).status_code for _ in range(WRONG_TOKENS + 3)]
    assert answers == [401] * WRONG_TOKENS + [429] * 3
    assert (await session.get(f"/?token={TOKENS[Role.OPERATOR]}")).status_code == 303


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8300", "127.0.0.1.evil.example", "", "localhost.evil.example", "192.168.1.5"]
)
async def test_foreign_host_names(settings: Settings, host: str) -> None:
    session = await signed_in(guarded(settings))
    answer = await session.get("/", headers={"host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:9999", "[::1]:8300", "LOCALHOST:1"])
async def test_loopback_names_with_any_port(settings: Settings, host: str) -> None:
    answer = await client(guarded(settings)).get("/", headers={"host": host})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8300", "file://", ""]
)
async def test_another_pages_writes_are_refused(settings: Settings, origin: str) -> None:
    session = await signed_in(guarded(settings))
    answer = await session.post("/console/deploy/stop", headers={"origin": origin})
    assert answer.status_code == 403


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
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": [(b"host", b"127.0.0.1:8300")]}
    await guarded(settings)(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("path", ["/gradio_api/proxy=https://x.hf.space/", "/gradio_api/vibe-edit/", "/monitoring"])
async def test_unused_parts_of_gradio_are_closed(settings: Settings, path: str) -> None:
    session = await signed_in(guarded(settings))
    assert (await session.get(path)).status_code == 404


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


def test_preferred_language() -> None:
    assert preferred_language("en;q=0.1, zh;q=0.9") == "zh"
    assert preferred_language("zh;q=0, en") == "en"
    assert preferred_language("zh;q=x, en;q=0.5") == "en"
    assert preferred_language("fr") is None


def test_is_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.1", "example.org", ""]))
