"""The guard before every route, page and websocket (pure ASGI): Host, Origin, token; it leaves a Visitor behind.

Any account on a machine can reach a loopback port, and any web page can make a browser send requests to one. So:

- **Host** must be a name of this machine (else 421): a foreign name that points here is DNS rebinding.
- **Origin**, where a browser sends one, must be that Host for whatever may change something, websockets included (403).
- **The token**, operator's or class's, once in the address (``?token=…``): answered with a 303 to the same page below
  the role's secret path (ui/web/places.py) and an HttpOnly, SameSite=Strict cookie derived from it, which holds below
  that path alone: no other port of the host is ever sent it. Nowhere else do cookies count, so that a cookie that such
  a port sets is of no use; and a visitor's id carries a signature, so that nobody can give his own to someone else.
  ``Authorization: Bearer <token>`` serves programs, with the secret path and without.
  Comparison takes constant time. Wrong tokens are limited by client address (429); the right one is always let in, so
  that nobody on a shared machine can lock its owner out: 192 random bits aren't guessed either way.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.console.tokens import keep_token
from backend.settings import Settings
from ui.i18n import Language, parse_language, preferred_language, t
from ui.web.host_rules import SAFE_METHODS, HostRules
from ui.web.json_answer import JsonAnswer
from ui.web.old_visitors import OldVisitors
from ui.web.places import BASE_KEY, QUOTED_AS_IS, SECRET_FILE, Place, Places
from ui.web.sign_in_page import sign_in_page
from ui.web.visitor import STATE_KEY, Role, Visitor

LANGUAGE_COOKIE = "console-language"
COOKIE_SECONDS = 400 * 86400
WRONG_TOKENS = 10
WRONG_TOKENS_SECONDS = 60.0
LONGEST_QUERY = 16384
OPEN_PATHS = ("/manifest.json",)  # browsers fetch it without cookies; it holds the page's title
OLD_VISITORS_FILE = "old-visitors"
VISITOR_ID = re.compile(r"[0-9a-f]{32}")
# Inline scripts and eval are Gradio's own way; what counts is that nothing is loaded from or sent to elsewhere.
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
Refusal = Literal["none", "wrong", "limited"]


@dataclass(frozen=True)
class Verdict:
    """What the guard found: an answer to give instead of passing on, or the place and who asks (None: anybody may).

    ``strays`` are names of cookies of ours that came with a value that isn't ours: planted, or of an older console.
    ``old_id`` is a visitor's id of before the secret path, which this browser may take over."""

    response: Response | None = None
    place: Place | None = None
    visitor: Visitor | None = None
    fresh: bool = False
    strays: tuple[str, ...] = ()
    old_id: str = ""


class Guard:
    """ASGI layer around the whole application. ``tokens`` by role; ``roles``: the stored role of every visitor that the
    store knows, "" = unknown; ``role_of``: the same of one of them now."""

    def __init__(
        self,
        app: ASGIApp,
        tokens: Mapping[Role, str],
        settings: Settings,
        roles: Callable[[], Mapping[str, str]] = dict,
        role_of: Callable[[str], str] = lambda visitor_id: "",
    ) -> None:
        self.app = app
        self._tokens = dict(tokens)
        self._role_of = role_of
        self._old_visitors = OldVisitors(settings.state_dir / OLD_VISITORS_FILE)
        if not (settings.state_dir / SECRET_FILE).exists():
            self._old_visitors.settle(roles())
        self._secret = keep_token(settings.state_dir / SECRET_FILE)
        self._cookies = {role: _digest(token, "cookie below the secret path") for role, token in tokens.items()}
        self._old_cookies = {role: _digest(token, "cookie") for role, token in tokens.items()}
        suffix = _digest(tokens[Role.OPERATOR], "name")[:8]  # two consoles on one host: two cookies
        self.cookie_name = f"console-{suffix}"
        self.visitor_cookie = f"console-visitor-{suffix}"
        self.places = Places(settings.root_path, self._secret, self._tokens)
        self._hosts = HostRules(settings)
        self._default_language: Language = parse_language(settings.language) or "en"
        self._wrong = WrongTokens()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        verdict = self._judge(scope)
        if verdict.response is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            _secure(verdict.response.headers)
            await verdict.response(scope, receive, send)
            return
        assert verdict.place is not None
        visitor = verdict.visitor
        if visitor is not None and await self._takes_over(verdict.old_id, visitor.role):
            visitor = Visitor(visitor.role, visitor.language, verdict.old_id)
        cookies = self._set_cookies(verdict, visitor)
        state = {**scope.get("state", {}), BASE_KEY: self.places.base(verdict.place.role)}
        if visitor is not None:
            state[STATE_KEY] = visitor

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Gradio would let pages of other ports of this host read what it answers.
                raw = [pair for pair in message["headers"] if not pair[0].lower().startswith(b"access-control-")]
                headers = MutableHeaders(raw=raw)
                _secure(headers)
                for cookie in cookies:
                    headers.append("set-cookie", cookie)
                message = {**message, "headers": headers.raw}
            await send(message)

        path = verdict.place.path
        raw_path = _quoted(path)
        await self.app({**scope, "path": path, "raw_path": raw_path, "state": state}, receive, send_secured)

    def _judge(self, scope: Scope) -> Verdict:
        headers = Headers(scope=scope)
        method = scope.get("method", "WEBSOCKET")
        language = self._language(headers)
        if not self._hosts.known(headers):
            return Verdict(_refuse(headers, 421, t("common.guard.host", language)))
        if not self._hosts.same_origin(headers, method):
            return Verdict(_refuse(headers, 403, t("common.guard.origin", language)))
        place = self.places.locate(scope["path"])
        if place is None:
            return Verdict(Response(status_code=400))
        if place.path in OPEN_PATHS and method in SAFE_METHODS:
            return Verdict(place=place)

        if not place.path:  # a secret path without its last slash: the page's relative addresses would miss it
            query = scope["query_string"].decode("latin-1")
            inner = self.places.base(place.role).rpartition("/")[2]
            return Verdict(_redirect(f"./{inner}/" + (f"?{query}" if query else "")))

        offered, rest = _token_in_query(scope) if method in ("GET", "HEAD") else (None, "")
        bearer = headers.get("authorization", "")
        if offered is not None:
            role = _match(offered, self._tokens)
            if role is None:
                return Verdict(self._wrong_token(scope, headers, place, language))
            return Verdict(self._welcome(place, role, rest))
        if bearer.lower().startswith("bearer "):
            role = _match(bearer[7:].strip(), self._tokens)
            if role is None:
                return Verdict(self._wrong_token(scope, headers, place, language))
            signed_in = True
        else:
            role = place.role
            signed_in = role is not None and any(
                hmac.compare_digest(value.encode(), self._cookies[role].encode())
                for value in cookie_values(headers, self.cookie_name)
            )
        if role is None or not signed_in:
            return Verdict(self._sign_in(headers, place, language, "none"))
        if place.closed or place.odd:
            return Verdict(Response(status_code=404))
        if len(scope["query_string"]) > LONGEST_QUERY:
            return Verdict(Response(status_code=414))
        return self._who(headers, place, role, language)

    def _who(self, headers: Headers, place: Place, role: Role, language: Language) -> Verdict:
        """The visitor of a request that may pass: by the cookie, or with a new id."""
        offered = cookie_values(headers, self.visitor_cookie)
        visitor_id = next((found for value in offered if (found := self._visitor_id(value, role))), "")
        proofs = cookie_values(headers, self.cookie_name)
        old = any(_match(value, self._old_cookies) for value in proofs)
        strays = [self.cookie_name] * any(not _match(value, self._cookies) for value in proofs)
        strays += [self.visitor_cookie] * any(not self._visitor_id(value, role) for value in offered)
        old_id = next((value for value in offered if VISITOR_ID.fullmatch(value)), "") if old and not visitor_id else ""
        visitor = Visitor(role, language, visitor_id or secrets.token_hex(16))
        return Verdict(None, place, visitor, not visitor_id, tuple(strays), old_id)

    def _visitor_id(self, cookie: str, role: Role) -> str:
        """The id in a visitor's cookie; "" where the console never gave it to that role, or knows it of another."""
        visitor_id, _, signature = cookie.partition(".")
        right = VISITOR_ID.fullmatch(visitor_id) and hmac.compare_digest(
            signature.encode(), self._signature(visitor_id, role).encode()
        )
        return visitor_id if right and self._theirs(visitor_id, role) else ""

    def _theirs(self, visitor_id: str, role: Role) -> bool:
        """Whether nobody of another role is known by that id: what is theirs goes by the role that is stored."""
        return self._role_of(visitor_id) in ("", role.value)

    async def _takes_over(self, old_id: str, role: Role) -> bool:
        """Whether the visitor of before the secret path is this browser's from now on."""
        theirs = bool(old_id) and self._theirs(old_id, role)
        return theirs and await run_in_threadpool(self._old_visitors.take, old_id, role.value)

    def _signature(self, visitor_id: str, role: Role) -> str:
        return _digest(self._secret, f"visitor {visitor_id} of {role}")[:32]

    def _set_cookies(self, verdict: Verdict, visitor: Visitor | None) -> Sequence[str]:
        """The visitor's id, where it is new; and the end of cookies that hold for the whole host and aren't ours."""
        place = verdict.place
        assert place is not None
        cookies = [f"{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict" for name in verdict.strays]
        if verdict.fresh and visitor is not None:
            value = f"{visitor.id}.{self._signature(visitor.id, visitor.role)}"
            cookies += [_cookie(self.visitor_cookie, value, path) for path in self.places.cookie_paths(place.role)]
        return cookies

    def _language(self, headers: Headers) -> Language:
        cookies = map(parse_language, cookie_values(headers, LANGUAGE_COOKIE))
        chosen: Language | None = next((language for language in cookies if language), None)
        return chosen or preferred_language(headers.get("accept-language", "")) or self._default_language

    def _wrong_token(self, scope: Scope, headers: Headers, place: Place, language: Language) -> Response:
        client = scope.get("client")
        within = self._wrong.count(client[0] if client else "")
        return self._sign_in(headers, place, language, "wrong" if within else "limited")

    def _welcome(self, place: Place, role: Role, query: str) -> Response:
        """To the page below the role's secret path, without the token."""
        response = _redirect(self.places.address(place, role, query))
        for path in self.places.cookie_paths(role):
            response.headers.append("set-cookie", _cookie(self.cookie_name, self._cookies[role], path))
        return response

    def _sign_in(self, headers: Headers, place: Place, language: Language, refusal: Refusal) -> Response:
        status = 429 if refusal == "limited" else 401
        if "text/html" not in headers.get("accept", ""):
            response: Response = JsonAnswer({"messages": [t(f"common.guard.{refusal}", language)]}, status)
        else:
            # A link from another site comes without the Strict cookie although the browser has it: the page asks again.
            elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
            retry = refusal == "none" and place.role is not None and elsewhere
            response = HTMLResponse(sign_in_page(language, refusal, retry, self.places.root(place)), status)
        response.headers["cache-control"] = "no-store"
        if refusal == "limited":
            response.headers["retry-after"] = str(int(WRONG_TOKENS_SECONDS))
        else:
            response.headers["www-authenticate"] = 'Bearer realm="LMDeploy Console"'
        return response


class WrongTokens:
    """How many wrong tokens each client address offered in the last minute."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}

    def count(self, client: str) -> bool:
        """Notes one more; False once there are too many."""
        now = time.monotonic()
        if len(self._seen) > 1000:
            self._seen = {name: times for name, times in self._seen.items() if now - times[-1] < WRONG_TOKENS_SECONDS}
        times = self._seen.setdefault(client, deque(maxlen=WRONG_TOKENS + 1))
        while times and now - times[0] >= WRONG_TOKENS_SECONDS:
            times.popleft()
        times.append(now)
        return len(times) <= WRONG_TOKENS


def _digest(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def _match(offered: str, known: Mapping[Role, str]) -> Role | None:
    """The role whose secret was offered. Every secret is compared, each in constant time."""
    given = offered.encode("utf-8", "replace")
    matches = [role for role, secret in known.items() if hmac.compare_digest(given, secret.encode())]
    return matches[0] if matches else None


def _token_in_query(scope: Scope) -> tuple[str | None, str]:
    """The ``token`` of the query (a whole pasted address counts too), and the query without it."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    offered = next((value for name, value in pairs if name == "token"), None)
    if offered is None:
        return None, ""
    rest = urlencode([(name, value) for name, value in pairs if name != "token"])
    return offered.rpartition("token=")[2].strip(), rest


def cookie_values(headers: Headers, name: str) -> list[str]:
    """Every value that came under that name, the one of the longest path first, as browsers send them."""
    pairs = (part.partition("=") for line in headers.getlist("cookie") for part in line.split(";"))
    return [value.strip().strip('"') for found, _, value in pairs if found.strip() == name]


def _cookie(name: str, value: str, path: str) -> str:
    return f"{name}={value}; Path={path}; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"


def _redirect(location: str) -> Response:
    return Response(status_code=303, headers={"location": location, "cache-control": "no-store"})


def _quoted(path: str) -> bytes:
    return quote(path, safe=QUOTED_AS_IS).encode()


def _secure(headers: MutableHeaders) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)


def _refuse(headers: Headers, status: int, text: str) -> Response:
    if "text/html" in headers.get("accept", ""):
        return Response(text, status, media_type="text/plain; charset=utf-8")
    return JsonAnswer({"messages": [text]}, status)
