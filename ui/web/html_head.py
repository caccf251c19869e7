"""What the console puts into <head> of Gradio's page: what the first frame needs, styles and scripts.

Gradio's own ``head=`` comes too late for the language, which its texts are read with at the first script. So this ASGI
layer rewrites the one HTML page on its way out, once for all who get the same one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from html import escape

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.first_files import FirstFiles, carried_script, style_sheet
from ui.gradio_compat.scripts import slim, theme_address
from ui.i18n import Language
from ui.web.asset_files import (
    UI,
    carried_url,
    file_url,
    first_scripts,
    import_map,
    made,
    next_scripts,
    styles_url,
)
from ui.web.bundles import without_comments
from ui.web.compression import accepted, packed
from ui.web.made_once import MadeOnce
from ui.web.visitor import STATE_KEY, Role, Visitor

LOCALE: dict[Language, str] = {"en": "en", "zh": "zh-CN"}
NONE = FirstFiles()
MOST_PAGES = 64
_BASE = re.compile(r"<base\s[^>]*>")

# Before Gradio's first script: it reads language and theme once, and the page's description when that is there.
START, IMPORTS, NEXT = (
    without_comments((UI / "page" / name).read_text(encoding="utf-8")) for name in ("start.js", "imports.js", "next.js")
)


class HtmlHead:
    """ASGI layer: rewrites the answer to GET / where it is HTML, and compresses it."""

    def __init__(
        self, app: ASGIApp, tabs: Mapping[Role, Sequence[str]], first: Mapping[Role, FirstFiles] | None = None
    ) -> None:
        """``tabs``: the names of those that each role has; ``first``: what its page needs of Gradio's files."""
        self.app = app
        self.tabs = {role: tuple(names) for role, names in tabs.items()}
        self.first = first or {}
        self._pages = MadeOnce[bytes](MOST_PAGES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        encoding = accepted(Headers(scope=scope).get("accept-encoding", ""))
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
                content = await self._rewritten(content, visitor, encoding)
                headers["cache-control"] = "no-store"
                headers["content-language"] = LOCALE[visitor.language]
                headers.add_vary_header("accept-encoding")
                if encoding:
                    headers["content-encoding"] = encoding
                headers["content-length"] = str(len(content))
            await send({**start, "headers": headers.raw})
            await send({"type": "http.response.body", "body": content})

        await self.app({**scope, "headers": plain}, receive, rewrite)

    async def _rewritten(self, content: bytes, visitor: Visitor, encoding: str) -> bytes:
        """Gradio's page as that role gets it. It holds its own address, of which a class with forwards has many: each
        takes a tenth of a second, in which the others are served. With other files of the console's it is another."""
        language, role = visitor.language, visitor.role
        key = (sha256(content).digest(), language, role, encoding, made())
        return await self._pages.get(key, partial(self._make, content, language, role, encoding))

    def _make(self, content: bytes, language: Language, role: Role, encoding: str) -> bytes:
        page = inject(content.decode(), language, role, self.tabs[role], self.first.get(role, NONE))
        return packed(page.encode(), encoding)


def inject(page: str, language: Language, role: Role, tabs: Sequence[str], files: FirstFiles = NONE) -> str:
    """Gradio's page for that role, with the console's styles and scripts, and without what nobody there needs.

    ``tabs`` are those that the role has; the first is the one that a page opens with. ``files`` are Gradio's own that
    it needs first.
    """
    locale = LOCALE[language]
    page = slim(page, locale)
    page = re.sub(r"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*", "", page)
    page = page.replace('lang="en"', f'lang="{locale}"', 1)
    later = [f"./assets/{name}" for name in files.later]
    about = json.dumps(
        {"locale": locale, "role": role, "tabs": list(tabs), "later": later, "next": next_scripts(language, tabs)}
    )
    start = f'<script type="application/json" id="console-page">{about}</script><script>{START}</script>'
    page = page.replace("<head>", f"<head>{start}", 1)
    sheet = styles_url(style_sheet(files))
    scripts = [f"./assets/{name}" for name in files.scripts] + first_scripts(language, tabs)
    # After Gradio's own <base>: relative addresses hold behind any prefix. Before any module: the map counts for those
    # alone that come after it. And before the page's long description: what is named here is asked for meanwhile.
    imports = json.dumps(import_map(language, tabs))
    early = f'<script type="application/json" id="console-imports">{imports}</script>'
    if carried := carried_script(files):
        early += f'<script id="console-carried" src="{escape(carried_url(role, carried))}"></script>'
    early += f"<script>{IMPORTS}</script>"
    early += "".join(
        f'<link rel="preload" as="style" href="{escape(url)}">' for url in (sheet, theme_address(page)) if url
    )
    early += "".join(f'<link rel="modulepreload" href="{escape(url)}">' for url in scripts)
    early += f"<script>{NEXT}</script>"
    page = _BASE.sub(lambda base: f"{base[0]}{early}", page, count=1)
    links = f'<link rel="icon" type="image/svg+xml" href="{escape(file_url("icons/favicon.svg"))}">'
    links += f'<link rel="stylesheet" href="{escape(sheet)}">'
    # Gradio's page asks for what has no link yet: these have one, which loads nothing.
    links += "".join(f'<link rel="stylesheet" href="./assets/{name}" disabled>' for name in files.styles)
    links += "".join(f'<link rel="carried" href="./assets/{name}">' for name in files.carried)
    return page.replace("</head>", f"{links}</head>", 1)
