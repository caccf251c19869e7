"""The conversation as a page's script follows it: lines of JSON, each with what changed since the one before.

It is no Gradio event: at each message of one, Gradio's page walks every component that any event ever named.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from backend.services import Services
from ui.access import Visitor
from ui.tabs.chat import render
from ui.tabs.chat.render import Shown
from ui.tabs.chat.servers import known, picks

LANES = 2


async def lines(services: Services, who: Visitor) -> AsyncIterator[str]:
    """From the conversation as it is until nothing is under way any more.

    ``boxes``: each lane's changes; ``two``: whether the second is shown; ``stats``: for ``chat-stats``;
    ``problem``: whether there is something to say of it (why it isn't kept across a restart).
    """
    before: list[Shown] = [[] for _ in range(LANES)]
    _, second = await picks(services, who)  # the page asks anew when that changes
    async with aclosing(services.chat.watch(who.id)) as views:
        async for view in views:
            two = len(view.answers) > 1 or bool(second)
            server = known(services, view.answers[0].server_id) if view.answers else None
            now = [
                render.messages(view, lane, who.language, who.role) if lane == 0 or two else [] for lane in range(LANES)
            ]
            line = {
                "boxes": [changes(old, new) for old, new in zip(before, now, strict=True)],
                "two": two,
                "stats": render.stats(view, who.language, server.context_length if server else 0),
                "problem": view.problem is not None,
            }
            yield json.dumps(line, separators=(",", ":")) + "\n"  # ASCII: a model may write half a surrogate pair
            before = now


def changes(before: Shown, now: Shown) -> Mapping[str, Any]:
    """``keep``: so many messages stay as they are; after them come ``more``, or the next one only grows by the text
    ``grow``."""
    keep = 0
    while keep < min(len(before), len(now)) and before[keep] == now[keep]:
        keep += 1
    if len(before) == len(now) == keep + 1 and (grown := _grown(before[keep], now[keep])):
        return {"keep": keep, "grow": grown}
    return {"keep": keep, "more": now[keep:]}


def _grown(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What the message's first part has more at its end; "" where anything else changed."""
    old, new = before["content"][0], now["content"][0]
    if "text" not in old or "text" not in new or not new["text"].startswith(old["text"]):
        return ""
    same = {**before, "content": [new, *before["content"][1:]]} == {**now}
    return str(new["text"])[len(old["text"]) :] if same else ""
