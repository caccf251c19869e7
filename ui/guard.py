"""The guard before every route, page and websocket (pure ASGI): Host, Origin, token; it leaves a Visitor behind.

Any account on a machine can reach a loopback port, and any web page can make a browser send requests to one. So:

- **Host** must be a name of this machine (else 421): a foreign name that points here is DNS rebinding.
- **Origin**, where a browser sends one, must be that Host for whatever may change something, websockets included (403).
- **The token**, operator's or class's, once in the address (``?token=…``): answered with a 303 to the same address
  without it and an HttpOnly, SameSite=Strict cookie derived from it. ``Authorization: Bearer <token>`` serves programs.
  Comparison takes constant time. Wrong tokens are limited by client address (429); the right one is always let in, so
  that nobody on a shared machine can lock its owner out: 192 random bits aren't guessed either way.
"""

import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections import deque
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.settings import Settings
from ui.access import STATE_KEY, Role, Visitor
from ui.guard_page import sign_in_page
from ui.i18n import Language, parse_language, t

LANGUAGE_COOKIE = "console-language"
COOKIE_SECONDS = 400 * 86400
WRONG_TOKENS = 10
WRONG_TOKENS_SECONDS = 60.0
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/manifest.json",)  # browsers fetch it without cookies; it holds the page's title
# Parts of Gradio that the console doesn't use: fetching other hosts' files, editing code, sharing runs.
CLOSED_PREFIXES = tuple(
    f"{root}/{name}"
    for root in ("", "/gradio_api")
    for name in (
        "proxy=", "vibe-", "undo-vibe-", "run-history", "runs", "monitoring", "dev/", "deep_link", "process_recording",
        "custom_component/",
    )
)  # fmt: skip
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


class Guard:
    """ASGI layer around the whole application. ``tokens`` by role."""

    def __init__(self, app: ASGIApp, tokens: Mapping[Role, str], settings: Settings) -> None:
        self.app = app
        self._tokens = dict(tokens)
        self._cookies = {role: _digest(token, "cookie") for role, token in tokens.items()}
        suffix = _digest(tokens[Role.OPERATOR], "name")[:8]  # two consoles on one host: two cookies
        self.cookie_name = f"console-{suffix}"
        self.visitor_cookie = f"console-visitor-{suffix}"
        self._hosts = HostRules(settings)
        self._default_language: Language = parse_language(settings.language) or "en"
        self._wrong = WrongTokens()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        response, visitor, fresh = self._judge(scope)
        if response is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            _secure(response.headers)
            await response(scope, receive, send)
            return
        if visitor is not None:
            scope.setdefault("state", {})[STATE_KEY] = visitor

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                _secure(headers)
                if fresh and visitor is not None:
                    headers.append("set-cookie", _cookie(self.visitor_cookie, visitor.id))
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, send_secured)

    def _judge(self, scope: Scope) -> tuple[Response | None, Visitor | None, bool]:
        """What to answer instead of passing on (or None), who asks, and whether their visitor id is new."""
        headers = Headers(scope=scope)
        method = scope.get("method", "WEBSOCKET")
        language = self._language(headers)
        if not self._hosts.known(headers.get("host", "")):
            return _refuse(headers, 421, t("common.guard.host", language)), None, False
        if not self._hosts.same_origin(headers, method):
            return _refuse(headers, 403, t("common.guard.origin", language)), None, False
        if scope["path"].startswith(CLOSED_PREFIXES):
            return Response(status_code=404), None, False
        if scope["path"] in OPEN_PATHS and method in SAFE_METHODS:
            return None, None, False

        cookies = cookie_parser(headers.get("cookie", ""))
        visitor_id = cookies.get(self.visitor_cookie, "")
        fresh = not (len(visitor_id) == 32 and set(visitor_id) <= set("0123456789abcdef"))
        if fresh:
            visitor_id = secrets.token_hex(16)

        offered, rest = _token_in_query(scope) if method in ("GET", "HEAD") else (None, "")
        bearer = headers.get("authorization", "")
        if offered is not None:
            role = _match(offered, self._tokens)
            if role is None:
                return self._wrong_token(scope, headers, language), None, False
            return self._welcome(scope, role, rest, visitor_id if fresh else ""), None, False
        if bearer.lower().startswith("bearer "):
            role = _match(bearer[7:].strip(), self._tokens)
            if role is None:
                return self._wrong_token(scope, headers, language), None, False
        else:
            role = _match(cookies.get(self.cookie_name, ""), self._cookies)
        if role is None:
            return _sign_in(headers, language, "none"), None, False
        return None, Visitor(role, language, visitor_id), fresh

    def _language(self, headers: Headers) -> Language:
        chosen = parse_language(cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE))
        return chosen or preferred_language(headers.get("accept-language", "")) or self._default_language

    def _wrong_token(self, scope: Scope, headers: Headers, language: Language) -> Response:
        client = scope.get("client")
        within = self._wrong.count(client[0] if client else "")
        return _sign_in(headers, language, "wrong" if within else "limited")

    def _welcome(self, scope: Scope, role: Role, rest: str, new_visitor: str) -> Response:
        """To the same address without the token; relative, so that it holds behind a prefix."""
        last = scope["path"].rsplit("/", 1)[-1]
        response = Response(status_code=303, headers={"location": f"./{last}{'?' if rest else ''}{rest}"})
        response.headers["cache-control"] = "no-store"
        response.headers.append("set-cookie", _cookie(self.cookie_name, self._cookies[role]))
        if new_visitor:
            response.headers.append("set-cookie", _cookie(self.visitor_cookie, new_visitor))
        return response


class HostRules:
    """Which Host and Origin headers are this console's own.

    Loopback names with any port (an SSH forward's local port may differ), the ``--host`` name, the host of a
    ``--root-path`` that is a full address. Listening on the network: also this machine's names and any bare IP
    address, which can't be rebound.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = {"localhost", "127.0.0.1", "::1"}
        self._outer = urlsplit(settings.root_path).netloc.lower()
        self._any_address = not is_loopback(settings.host)
        self._names.add(settings.host.strip("[]").lower())
        if self._outer:
            self._names.add(_hostname(self._outer))
        if self._any_address:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def known(self, host: str) -> bool:
        """Whether a Host header names this console."""
        name = _hostname(host)
        return bool(name) and (name in self._names or (self._any_address and _is_address(name)))

    def same_origin(self, headers: Headers, method: str) -> bool:
        """Whether a request may come from a page of this console, or from no page at all."""
        site = headers.get("sec-fetch-site", "none")
        navigation = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("none", "same-origin") and not navigation:
            return False
        origin = headers.get("origin")
        if origin is None or method in SAFE_METHODS:
            return True
        netloc = urlsplit(origin).netloc.lower()
        return bool(netloc) and netloc in {headers.get("host", "").lower(), self._outer}


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


def is_loopback(host: str) -> bool:
    """Whether listening there is for this machine alone."""
    name = host.strip("[]").lower()
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def preferred_language(accept: str) -> Language | None:
    """The first of the browser's languages, by its weights, that the console speaks."""
    weighted = []
    for position, part in enumerate(accept.split(",")):
        name, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        weighted.append((-weight, position, parse_language(name)))
    weighted.sort(key=lambda entry: entry[:2])
    return next((language for weight, _, language in weighted if language and weight), None)


def _hostname(netloc: str) -> str:
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def _match(offered: str, known: Mapping[Role, str]) -> Role | None:
    """The role whose secret was offered. Every secret is compared, each in constant time."""
    given = offered.encode()
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


def _cookie(name: str, value: str) -> str:
    return f"{name}={value}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"


def _secure(headers: MutableHeaders) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)


def _sign_in(headers: Headers, language: Language, refusal: Refusal) -> Response:
    status = 429 if refusal == "limited" else 401
    if "text/html" not in headers.get("accept", ""):
        response: Response = JSONResponse({"messages": [t(f"common.guard.{refusal}", language)]}, status)
    else:
        # A link from another site comes without the Strict cookie although the browser has it: the page asks once more.
        retry = refusal == "none" and headers.get("sec-fetch-site") in ("cross-site", "same-site")
        response = HTMLResponse(sign_in_page(language, refusal, retry), status)
    response.headers["cache-control"] = "no-store"
    if refusal == "limited":
        response.headers["retry-after"] = str(int(WRONG_TOKENS_SECONDS))
    else:
        response.headers["www-authenticate"] = 'Bearer realm="LMDeploy Console"'
    return response


def _refuse(headers: Headers, status: int, text: str) -> Response:
    if "text/html" in headers.get("accept", ""):
        return Response(text, status, media_type="text/plain; charset=utf-8")
    return JSONResponse({"messages": [text]}, status)
