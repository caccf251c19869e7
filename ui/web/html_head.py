"""What the console puts into <head> of Gradio's page: what the first frame needs, styles and scripts.

Gradio's own ``head=`` comes too late for the language, which its texts are read with at the first script. So this ASGI
layer rewrites the one HTML page on its way out.
"""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from html import escape

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.first_files import FirstFiles
from ui.i18n import Language
from ui.web.asset_files import (
    FIRST_MODULES,
    UI,
    asset_files,
    asset_url,
    gradio_styles_url,
    modules,
    plain_url,
    tab_module,
)
from ui.web.visitor import STATE_KEY, Role, Visitor

LOCALE: dict[Language, str] = {"en": "en", "zh": "zh-CN"}
NONE = FirstFiles()
_TEXTS = '"i18n_translations":'
_BASE = re.compile(r"<base\s[^>]*>")

# Before Gradio's first script: it reads language and theme once, and the page's description when that is there.
START = (UI / "page" / "start.js").read_text(encoding="utf-8")


class HtmlHead:
    """ASGI layer: rewrites the answer to GET / where it is HTML, and compresses it."""

    def __init__(self, app: ASGIApp, tabs: Mapping[Role, Sequence[str]], first: FirstFiles = NONE) -> None:
        """``tabs``: the names of those that each role has."""
        self.app = app
        self.tabs = {role: tuple(names) for role, names in tabs.items()}
        self.first = first

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
                content = inject(content.decode(), visitor, self.tabs[visitor.role], self.first).encode()
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


def inject(page: str, visitor: Visitor, tabs: Sequence[str], files: FirstFiles = NONE) -> str:
    """Gradio's page for that visitor, with the console's styles and scripts, and without its social-media tags.

    ``tabs`` are those that the visitor has; the first is the one that a page opens with. ``files`` are Gradio's own
    that it needs first.
    """
    locale = LOCALE[visitor.language]
    page = in_one_language(page, locale)
    page = re.sub(r"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*", "", page)
    page = page.replace('lang="en"', f'lang="{locale}"', 1)
    about = json.dumps({"locale": locale, "role": visitor.role, "tabs": list(tabs)})
    start = f'<script type="application/json" id="console-page">{about}</script><script>{START}</script>'
    page = page.replace("<head>", f"<head>{start}", 1)
    urls = {name: asset_url(name, path) for name, path in asset_files(tabs).items()}
    # After Gradio's own <base>: relative addresses hold behind any prefix. Before any module: the map counts for those
    # alone that come after it.
    page = _BASE.sub(lambda base: f"{base[0]}{import_map(urls)}", page, count=1)
    links = "".join(
        f'<link rel="stylesheet" href="{escape(url)}">' for name, url in urls.items() if name.endswith(".css")
    )
    if files.styles:
        # Gradio's page asks for a style that has no link yet: these have one, which loads nothing.
        links += f'<link rel="stylesheet" href="{escape(gradio_styles_url(files))}">'
        links += "".join(f'<link rel="stylesheet" href="./assets/{name}" disabled>' for name in files.styles)
    first = modules([*FIRST_MODULES, *(tab_module(tab) for tab in tabs[:1])])
    preloaded = [f"./assets/{name}" for name in files.scripts] + [urls[name] for name in first]
    preloads = "".join(f'<link rel="modulepreload" href="{escape(url)}">' for url in preloaded)
    icon = f'<link rel="icon" type="image/svg+xml" href="{escape(urls["icons/favicon.svg"])}">'
    return page.replace("</head>", f"{icon}{links}{preloads}</head>", 1)


def in_one_language(page: str, locale: str) -> str:
    """Gradio's configuration with the texts of the page's language alone, which is half of the page's bytes."""
    place = page.find(_TEXTS)
    if place < 0:
        return page
    start = place + len(_TEXTS)
    texts, end = json.JSONDecoder().raw_decode(page, start)
    if not isinstance(texts, dict) or locale not in texts:
        return page
    kept = json.dumps({locale: texts[locale]}, ensure_ascii=False, separators=(",", ":"))
    return page[:start] + kept.replace("<", "\\u003c") + page[end:]


def import_map(urls: Mapping[str, str]) -> str:
    """From each module's plain address, which the others import, to the one with its digest."""
    imports = {plain_url(name): url for name, url in urls.items() if name.endswith(".js")}
    return f'<script type="importmap">{json.dumps({"imports": imports})}</script>'
