"""The conversation as a page's script follows it: lines of JSON, each with what changed since the one before.

It is no Gradio event: at each message of one, Gradio's page walks every component that any event ever named.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from backend.chat.conversation import LANES, Aside, Exchange
from backend.chat.session import View
from backend.services import Services
from ui.tabs.chat import render
from ui.tabs.chat.render import Shown
from ui.tabs.chat.selection import all_picks, known
from ui.web.json_answer import encode
from ui.web.visitor import Visitor

HEARTBEAT = b"\n"


async def lines(services: Services, who: Visitor, conversation: str = "") -> AsyncIterator[bytes]:
    """From the conversation as it is until nothing is under way any more; an empty line is a sign of life alone.

    There is one at least every second, so that a page knows a connection that died without a word.

    ``boxes``: each lane's changes; ``lanes``: how many are shown, ``two``: whether the second is; ``stats``: for
    ``chat-stats``; ``problem``: whether there is something to say of it (why it isn't kept across a restart); ``id``
    and ``version`` of the conversation; ``tokens``: what came of the answers' log-probabilities meanwhile.
    """
    before: list[Shown] = [[] for _ in range(LANES)]
    drawn = [Drawn(lane) for lane in range(LANES)]
    last: dict[str, Any] = {}
    told: list[Sequence[str]] | None = None  # each lane's tokens, so far
    picked = len(await all_picks(services, who))  # the page asks anew when that changes
    async with aclosing(services.chat.watch(who.id, conversation)) as views:
        async for view in views:
            lanes = min(LANES, max(len(view.answers), picked, 1))
            server = known(services, view.answers[0].server_id) if view.answers else None
            now = [drawn[lane].messages(view, who) if lane < lanes else [] for lane in range(LANES)]
            line = {
                "boxes": [changes(old, new) for old, new in zip(before, now, strict=True)],
                "two": lanes > 1,
                "lanes": lanes,
                "stats": render.stats(view, who.language, server.context_length if server else 0),
                "problem": view.problem is not None,
                "id": view.id,
                "version": view.version,
            }
            tokens = [answer.tokens or () for answer in view.answers]
            if told is None and not view.active:
                told = list(tokens)  # of an answer that has ended they are asked for when somebody wants to see them
            if new := new_tokens(told or [], tokens, view):
                line["tokens"] = new
            told = list(tokens)
            others = {name: value for name, value in line.items() if name != "boxes"}
            if now == before and others == last:
                yield HEARTBEAT
            else:
                # ASCII: a model may write half a surrogate pair, and the other half with the next line
                yield encode(line, ascii_only=True) + b"\n"
            before, last = now, others


class Drawn:
    """A lane's messages. What is over is drawn once: with each word of a new answer that would take a long
    conversation milliseconds."""

    def __init__(self, lane: int) -> None:
        self._lane = lane
        self._over: list[tuple[Exchange, Shown]] = []  # all but the last exchange
        self._asides: Sequence[Aside] = ()

    def messages(self, view: View, who: Visitor) -> Shown:
        """As ``render.messages``."""
        exchanges, asides = view.conversation.exchanges, view.conversation.asides
        if asides is not self._asides:
            self._over, self._asides = [], asides
        shown: Shown = []
        for number, exchange in enumerate(exchanges):
            last = number == len(exchanges) - 1
            if not last and number < len(self._over) and self._over[number][0] is exchange:
                shown += self._over[number][1]
                continue
            del self._over[number:]  # those after it say how they differ from it
            fresh = render.exchange_messages(view, number, self._lane, who.language, who.role)
            if not last:
                self._over.append((exchange, fresh))
            shown += fresh
        return shown


def new_tokens(before: Sequence[Sequence[str]], now: Sequence[Sequence[str]], view: View) -> list[Mapping[str, Any]]:
    """``more`` tokens of the last question's answers, by lane, after the first ``keep`` of those told before."""
    new: list[Mapping[str, Any]] = []
    for lane, tokens in enumerate(now):
        old = before[lane] if lane < len(before) else ()
        keep = len(old) if tokens[: len(old)] == old else 0  # they were read anew
        if len(tokens) > keep:
            place = f"{view.conversation.exchanges[-1].id}/{lane}"
            new.append({"place": place, "keep": keep, "more": tokens[keep:]})
    return new


def changes(before: Shown, now: Shown) -> Mapping[str, Any]:
    """``keep``: so many messages stay as they are. After them come ``more``, or the next one grows by ``grow``, and
    after that come ``then``, where there are any: a thought grows above the line that says so."""
    keep = 0
    while keep < min(len(before), len(now)) and before[keep] == now[keep]:
        keep += 1
    if len(before) > keep < len(now) and (grown := _grown(before[keep], now[keep])):
        after = now[keep + 1 :]
        return {"keep": keep, "grow": grown, **({"then": after} if after or len(before) > keep + 1 else {})}
    return {"keep": keep, "more": now[keep:]}


def _grown(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What the message's first part has more at its end; "" where anything else changed."""
    old, new = before["content"][0], now["content"][0]
    if "text" not in old or "text" not in new or not new["text"].startswith(old["text"]):
        return ""
    same = {**before, "content": [new, *before["content"][1:]]} == {**now}
    return str(new["text"])[len(old["text"]) :] if same else ""
