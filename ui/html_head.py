"""What the console puts into <head> of Gradio's page: language, theme, styles and scripts.

Gradio's own ``head=`` comes too late for the language, which its texts are read with at the first script. So this ASGI
layer rewrites the one HTML page on its way out.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.access import STATE_KEY, Visitor
from ui.i18n import Language

ASSETS = Path(__file__).parent.parent / "assets"
SCRIPTS = ("console", "log_view")  # before the tabs' own, which build on them
LOCALE: dict[Language, str] = {"en": "en", "zh": "zh-CN"}

# Mounts are queued until console.js is there; Gradio reads the language once, at its first script; the chosen theme
# stands in for the system's, so that nothing flashes.
STUB = """<script>
window.lmConsole = {queue: [], mount(...mount) { this.queue.push(mount); }};
Object.defineProperty(navigator, "language", {get: () => %(locale)s, configurable: true});
Object.defineProperty(navigator, "languages", {get: () => [%(locale)s], configurable: true});
(() => {
  let theme = null;
  try { theme = localStorage.getItem("console-theme"); } catch { return; }
  if (theme !== "dark" && theme !== "light") return;
  const real = window.matchMedia.bind(window);
  window.matchMedia = (query) => {
    const list = real(query);
    const dark = {get: () => theme === "dark"};
    if (/prefers-color-scheme: *dark/.test(query)) Object.defineProperty(list, "matches", dark);
    return list;
  };
})();
</script>"""


class HtmlHead:
    """ASGI layer: rewrites the answer to GET / where it is HTML, and compresses it."""

    def __init__(self, app: ASGIApp, tabs: Iterable[str]) -> None:
        self.app = app
        self.tabs = tuple(tabs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        takes_gzip = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        visitor: Visitor = scope["state"][STATE_KEY]
        start: Message | None = None
        body = bytearray()

        async def rewrite(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if message.get("more_body") or start is None:
                return
            headers = MutableHeaders(raw=list(start["headers"]))
            content = bytes(body)
            if headers.get("content-type", "").startswith("text/html"):
                content = inject(content.decode(), visitor.language, self.tabs).encode()
                headers["cache-control"] = "no-store"
                headers["content-language"] = LOCALE[visitor.language]
                headers.add_vary_header("accept-encoding")
                if takes_gzip:
                    content = gzip.compress(content, 5)
                    headers["content-encoding"] = "gzip"
                headers["content-length"] = str(len(content))
            await send({**start, "headers": headers.raw})
            await send({"type": "http.response.body", "body": content})

        await self.app({**scope, "headers": plain}, receive, rewrite)


def inject(page: str, language: Language, tabs: tuple[str, ...]) -> str:
    """Gradio's page in that language, with the console's styles and scripts, and without its social-media tags."""
    locale = LOCALE[language]
    page = re.sub(r"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*", "", page)
    page = page.replace('lang="en"', f'lang="{locale}"', 1)
    stub = STUB % {"locale": json.dumps(locale)}
    links = "".join(f'<link rel="stylesheet" href="{escape(url)}">' for url in asset_urls("css", ("console", *tabs)))
    scripts = "".join(
        f'<script type="module" src="{escape(url)}"></script>' for url in asset_urls("js", (*SCRIPTS, *tabs))
    )
    icon = "".join(
        f'<link rel="icon" type="image/svg+xml" href="{escape(asset_url(path))}">'
        for path in [ASSETS / "icons" / "favicon.svg"]
    )
    # After Gradio's own <base>: relative addresses hold behind any prefix.
    page = page.replace("<head>", f"<head>{stub}", 1)
    return page.replace("</head>", f"{icon}{links}{scripts}</head>", 1)


def asset_urls(kind: str, names: Iterable[str]) -> list[str]:
    """The addresses of assets/<kind>/<name>.<kind> for the names that have one, relative to the page."""
    paths = (ASSETS / kind / f"{name}.{kind}" for name in names)
    return [asset_url(path) for path in paths if path.is_file()]


def asset_url(path: Path) -> str:
    """An asset's address with a digest of its content, so that browsers may keep it for ever."""
    return f"./console/assets/{path.relative_to(ASSETS).as_posix()}?v={_digest(path, path.stat().st_mtime_ns)}"


@lru_cache(maxsize=256)
def _digest(path: Path, mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
