"""Gradio's page scripts as ui/gradio_compat/scripts.py changes them: so that the page goes on after a failed connection
instead of loading itself anew, and costs less."""

import functools

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.gradio_compat import scripts
from ui.gradio_compat.scripts import PAGE_SCRIPTS, static_folder


class GoesOn:
    """ASGI layer around Gradio's router: the scripts that are mended come from here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if PAGE_SCRIPTS.fullmatch(path) and (script := await run_in_threadpool(mended, path)):
                await Response(script, media_type="text/javascript")(scope, receive, send)
                return
        await self.app(scope, receive, send)


@functools.lru_cache(maxsize=128)  # paths come from outside
def mended(path: str) -> str | None:
    """The script at that path, mended; None where there is none, or none that has a part in it."""
    try:
        script = (static_folder() / path.lstrip("/")).read_text(encoding="utf-8")
    except OSError:
        return None
    return scripts.mended(script)
