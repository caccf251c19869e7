"""A server that runs already, here or elsewhere, with an OpenAI-compatible address. Pure."""

import re
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from backend.engines import checks
from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.machine.machine import Environment, Machine
from backend.machine.network import connectable, is_loopback, numeric
from backend.models.checkpoint import ModelInfo

BACKSLASH = "\\"
MOST_SHOWN = 200  # characters of an address in a message
# What people copy along with the API's address: an endpoint of it, or a page beside it.
_END = re.compile(
    r"/(?:chat/completions|completions|models|embeddings|responses|messages|docs|redoc|openapi\.json"
    r"|swagger(?:/index\.html)?|health|metrics|api/(?:chat|generate|tags)|(?:ui/)?index\.html|ui)$"
    r"|(?<=/v\d)/(?:models/.+|chat|v\d)$",
    re.IGNORECASE,
)
_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?", re.IGNORECASE)
_DOTS = str.maketrans("。．｡", "...")
_QUOTES = r"\s\"'`“”‘’「」『』《》<>"
_BEHIND = rf"[{_QUOTES}),;，；。、]"
_AROUND = re.compile(rf"^[{_QUOTES}(]+|(?<!{_BEHIND}){_BEHIND}+$")
# OPENAI_BASE_URL=…, export X=…, set X=…, $env:X = …, "base_url": …, --base-url …, 地址：…
_ASSIGNED = re.compile(
    r"^(?:(?:export|set|setx|env)\s+|\$env:)?[\"']?(?!https?\b)\w[\w.]*[\"']?\s*(?:=\s*|:\s+|:(?=[\"'`]|https?:))"
    r"|^--?[A-Za-z][\w-]*(?:\s*=\s*|\s+)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(https?)\s*[:;]?\s*[/\\]+\s*", re.IGNORECASE)
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.:]*(?:%\w+)?")
_INNER = (".local", ".lan", ".internal", ".home", ".intranet", ".localdomain", ".home.arpa", ".cluster.local")
_BLANK = re.compile(r"\s")
_REMARK = re.compile(r"(?<!\s)\s+(?:\(|#).*")  # "(Press CTRL+C to quit)", "# the lab's"
_KEY = re.compile(
    r"(?:api[_-]?key[\"']?\s*[=:]|authorization[\"']?\s*[:=]\s*[\"']?bearer\s|--api-keys?[\s=])"
    rf"\s*[{_QUOTES}]*(?P<key>[^{_QUOTES},;()&]+)",
    re.IGNORECASE,
)
_OF_NAMES = string.ascii_letters + string.digits + "_-"
# What stands in a key's place: EMPTY, YOUR_API_KEY, $OPENAI_API_KEY, sk-…
_NO_KEY = re.compile(
    r"none|null|empty|no-?key|(?:sk-)?(?:x{2,}|[-.*]+)|your.*|.*[${}].*|.*[^!-~].*", re.IGNORECASE | re.DOTALL
)
# An address in a line of a log, a command or a program: the only one, else nobody knows which is meant.
_INSIDE = re.compile(rf"(?<![\w@:])https?://[^{_QUOTES}(),;，；。、]+", re.IGNORECASE)


@dataclass(frozen=True)
class External:
    """Nothing is started; the address is watched and can be chatted with."""

    name: str = "external"
    fields: frozenset[str] = frozenset({"address", "api_key", "model_name"})

    def choices(self, environment: Environment | None) -> Mapping[str, tuple[str, ...]]:
        """None of its fields has a choice."""
        return {}

    def unavailable(self, machine: Machine) -> Message | None:
        """It needs nothing of this machine."""
        return None

    def refuses(self, model: ModelInfo) -> Message | None:
        """It takes no model: the server has its own."""
        return None

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> tuple[Message, ...]:
        """The address, and the key, which goes into a header."""
        messages = list(check_address(config.address))
        if checks.CONTROL.search(config.api_key) or not config.api_key.isascii():
            messages.append(Message("engines.external.bad-key", field="api_key"))
        return tuple(messages)

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> None:
        """Nothing is started."""
        return None

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        """The given name; "" = what the server's model list says first."""
        return config.model_name


def check_address(address: str) -> tuple[Message, ...]:
    """What is wrong with an address that ``clean_address`` has put right, and what of it is left out."""
    text = address.strip()
    if not text:
        return (Message("engines.external.no-address", field="address"),)
    try:
        parts = _parts(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        netloc = parts.netloc
        if "@" not in netloc:
            connectable(parts.hostname or "")
    except ValueError:
        good, netloc = False, text.partition("://")[2].partition("/")[0]
    if "@" in netloc:
        return (Message("engines.external.credentials", field="address"),)
    if not good or checks.CONTROL.search(text) or _BLANK.search(text):
        return (Message("engines.external.bad-address", {"value": shown(text)}, "address"),)
    if parts.query or parts.fragment:
        return (
            Message("engines.external.query-left-out", {"value": origin(parts) + parts.path}, "address", "warning"),
        )
    return ()


def clean_address(text: str) -> str:
    """The address in what a person pasted: without what stood around it, with a scheme. Nothing is judged here.

    ``OPENAI_BASE_URL="http://gpu:8000/v1"`` → ``http://gpu:8000/v1``; ``127.0.0.1:23333`` → ``http://127.0.0.1:23333``.
    """
    address = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    before = None
    while address != before:  # quotes around an assignment, and around its value
        before = address
        address = _AROUND.sub("", address)
        address = _ASSIGNED.sub("", address, count=1)
    if not address:
        return ""
    address = _REMARK.sub("", address)
    inside = {found.rstrip(".,:") for found in _INSIDE.findall(address)}
    if len(inside) == 1 and _is_about(address):
        address = _without_key(inside.pop())
    else:
        address = _AROUND.sub("", _without_key(address))
    while (slashes := _SCHEME.match(address)) and _SCHEME.match(address[slashes.end() :]):
        address = address[slashes.end() :]
    if slashes:
        rest = address[slashes.end() :]
        address = f"{slashes[1].lower()}://{rest.replace(BACKSLASH, '/') if BACKSLASH in slashes[0] else rest}"
    elif "://" not in address:
        address = _with_scheme(address)
    scheme, _, rest = address.partition("://")
    netloc, slash, path = rest.partition("/")
    return f"{scheme}://{netloc.translate(_DOTS)}{slash}{path}"


def _is_about(text: str) -> bool:
    """Whether an address stands among other words, not as a beginning whose rest has blanks."""
    blank = _BLANK.search(text) is not None
    if not _SCHEME.match(text):
        return blank
    rest = _INSIDE.sub("", text)
    return rest.startswith(("'", '"', "`", ",")) or (blank and not rest.strip())


def key_beside(text: str) -> str:
    """The key in what was pasted with an address (``api_key="sk-…"``, ``Authorization: Bearer …``); "" for none, and
    for what only stands in its place."""
    found = {key for _, _, key in _keys(text)}
    found = {key for key in found if not _NO_KEY.fullmatch(key)}
    return found.pop() if len(found) == 1 else ""


def _keys(text: str) -> list[tuple[int, int, str]]:
    """Each key that is named as one: where its name begins, where it ends, and the key."""
    found = []
    for match in _KEY.finditer(text):
        begin = len(text[: match.start()].rstrip(_OF_NAMES))
        if text[begin - 1 : begin] not in ("/", ".", "@"):  # else it is a host's name: http://api-key:8000
            found.append((begin, match.end(), match["key"]))
    return found


def _without_key(text: str) -> str:
    """An address without the key that ``key_beside`` finds behind it, or in its query."""
    if key_beside(text):
        for begin, end, _ in reversed(_keys(text)):
            text = text[:begin] + text[end:].removeprefix("&")
    return text.rstrip("?&") if text.endswith(("?", "&")) else text


def base_url(address: str) -> str:
    """What an OpenAI client takes, by custom: the API's path as given where it names a version, else with /v1.

    "http://gpu:23333" → "http://gpu:23333/v1"; "http://gpu/api/paas/v4/models" → "http://gpu/api/paas/v4". Raises
    ValueError for an address that ``check_address`` refuses.
    """
    given, *others = candidates(address)
    return next((other for other in others if other == f"{given}/v1"), given)


def candidates(address: str) -> tuple[str, ...]:
    """The base URLs to try: as given first, then where such APIs usually lie. Raises ValueError as ``base_url``."""
    if any(message.level == "error" for message in check_address(address)):
        raise ValueError(address)
    parts = _parts(address.strip())
    path = re.sub("/{2,}", "/", parts.path).rstrip("/")
    while end := _END.search(path):
        path = path[: end.start()].rstrip("/")
    path = quote(path, safe="/%:@!$&'()*+,;=~-._")
    more: tuple[str, ...] = ("/v1",)
    last = path.rpartition("/")[2]
    if _VERSION.fullmatch(last):
        more = ("/openai",) if "beta" in last else ()
        if last != last.lower():
            path, more = path.removesuffix(last), (last, last.lower())
            return tuple(origin(parts) + path + end for end in more)
    elif last == "openai" and any(_VERSION.fullmatch(part) for part in path.split("/")):
        more = ()
    elif not path:
        more = ("/v1", "/api/v1", "/openai/v1")
    return tuple(origin(parts) + path + end for end in ("", *more))


def origin(parts: SplitResult) -> str:
    """Scheme, host and port, the host so that a client can go there."""
    host = connectable(parts.hostname or "")
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def shown(address: str) -> str:
    """The address for a message: bounded, control characters visible."""
    return "".join(c if c.isprintable() else "�" for c in address[:MOST_SHOWN])


def _parts(address: str) -> SplitResult:
    """Raises ValueError for what is no address, a port that is none included."""
    parts = urlsplit(address)
    _ = parts.port
    if parts.netloc.endswith(":"):  # "http://gpu:" says nothing of a port
        parts = parts._replace(netloc=parts.netloc.rstrip(":"))
    return parts


def _with_scheme(address: str) -> str:
    """http, save for https' own port and a public name without one: a key must not go there in plain."""
    address = address.lstrip("/\\")
    if re.fullmatch(r":?\d{1,5}(?:/.*)?", address):  # a port of this machine, as the course writes it
        return f"http://127.0.0.1:{address.lstrip(':')}"
    if loopback := re.fullmatch(r"::1:(\d{4,5}(?:/.*)?)", address):  # a port, as of any other name
        return f"http://[::1]:{loopback[1]}"
    if _BARE_IPV6.fullmatch(address) and numeric(address) is not None:
        return f"http://[{address}]"
    host = address.partition("/")[0]
    public = ":" not in host and "." in host.strip(".") and numeric(host) is None and not is_loopback(host)
    public = public or host.endswith(":443")
    return f"{'https' if public and not host.endswith(_INNER) else 'http'}://{address}"
