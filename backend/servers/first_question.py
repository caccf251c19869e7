"""The first question: once a server is ready it is asked for one token, and what came is judged.

Some servers start, say that they are ready, and die at their first request or answer nonsense: a kernel that doesn't
suit the model, 4-bit weights in the wrong dtype (NaN, which reads as "!!!!"). Better that the console sees it than the
first person who asks. A vision model is asked with a small picture. Nothing waits for this: it has a thread of its own.
"""

import base64
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from backend.causes.evidence import clean
from backend.causes.verdict import Finding, find
from backend.errors import ConsoleError, Message
from backend.outside_text import clean as clean_text
from backend.servers import refusal
from backend.servers.probe import Answer, Prober
from backend.servers.server import FirstAnswer, ServerState, ServerView

ENGINES = frozenset({"turbomind", "pytorch", "transformers"})  # what the console starts and that answers itself
DEADLINE_S = 300.0  # the first answer of a large model on a CPU takes minutes
LOG_S = 2.0  # a server writes why it failed at times only after it answered
POLL_S = 0.1
SHORT, LONGER = 1, 16  # tokens; more are asked for where one doesn't tell
SHOWN = 120  # characters of the answer
QUESTION, PICTURE_QUESTION = "Say hello.", "What is in this picture?"
_SIDE = 64  # pixels; the smallest that every vision tower takes

Update = Callable[[Callable[[ServerView], ServerView]], ServerView]


def is_asked(view: ServerView) -> bool:
    """Whether it is to be asked now: it runs, it is the console's own, and no answer is known yet."""
    known = view.first is not None and view.first.state != "asking"
    return view.state is ServerState.RUNNING and view.config.engine in ENGINES and not known and not view.asleep


class FirstQuestion(threading.Thread):
    """Asks one server, once. ``update`` is the manager's (see Watcher)."""

    def __init__(self, view: ServerView, update: Update, api_key: Callable[[], str], prober: Prober) -> None:
        super().__init__(name=f"first-question-{view.id}", daemon=True)
        self._view, self._update, self._api_key, self._prober = view, update, api_key, prober

    def run(self) -> None:
        """Ask, and write what came into the server's view. A server that is forgotten meanwhile needs no answer."""
        try:
            self._note(FirstAnswer("asking"))
            answer = ask(self._view, self._api_key(), self._prober)
            self._note(answer)
        except ConsoleError:
            return

    def _note(self, answer: FirstAnswer) -> None:
        self._update(lambda view: replace(view, first=answer))


def ask(view: ServerView, api_key: str, prober: Prober) -> FirstAnswer:
    """The question and, where one token doesn't tell, a longer one. Blocks for at most some minutes."""
    began = time.monotonic()
    mark = refusal.mark(view.log_path)
    for tokens in (SHORT, LONGER):
        answer = prober.post(f"{view.base_url}/chat/completions", api_key, request(view, tokens), timeout_s=DEADLINE_S)
        seconds = time.monotonic() - began
        if not answer.ok:
            return FirstAnswer("failed", "", seconds, _why(view, answer, mark))
        text = said(answer.body)
        judged = judge(text)
        if judged == "fine":
            return FirstAnswer("fine", text[:SHOWN], seconds)
    params = {"name": view.name, "text": text[:SHOWN]}
    return FirstAnswer("strange", text[:SHOWN], seconds, Message(f"servers.first.{judged}", params))


def request(view: ServerView, tokens: int) -> Mapping[str, Any]:
    """The body of the request. No sampling settings: every version takes its own."""
    content: Any = QUESTION
    if view.takes_images:
        url = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
        content = [{"type": "text", "text": PICTURE_QUESTION}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "user", "content": content}]
    return {"model": view.model_id, "messages": messages, "max_tokens": tokens, "stream": False}


def said(body: Any) -> str:
    """The text of a whole answer, thoughts and calls of tools included; "" where there is none."""
    choices = body.get("choices") if isinstance(body, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    if not isinstance(message, Mapping):
        return ""
    parts = [message.get(name) for name in ("reasoning_content", "reasoning", "content")]
    text = "".join(part for part in parts if isinstance(part, str))
    calls = message.get("tool_calls")
    return clean_text(text or (str(calls) if calls else ""), SHOWN * 10)


def judge(text: str) -> str:
    """ "fine", "empty" or "nonsense": no letter and no digit of any script, or the same few characters over and over.

    What NaN reads as depends on the vocabulary: token 0 is "!" for Qwen, "<unk>" for InternLM.
    """
    text = "".join(text.split())
    if not text:
        return "empty"
    if "\ufffd" in text or not any(character.isalnum() for character in text):
        return "nonsense"
    for length in range(1, 9):  # the repeated piece
        if len(text) >= 8 * length and text == (text[:length] * (len(text) // length + 1))[: len(text)]:
            return "nonsense"
    return "nonsense" if text.replace("<unk>", "") == "" else "fine"


def picture() -> bytes:
    """A red square as a PNG."""
    rows = (b"\0" + b"\xd0\x20\x20" * _SIDE) * _SIDE
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def _why(view: ServerView, answer: Answer, mark: refusal.LogMark) -> Message:
    """What the server's log says since; else how it answered."""
    end = time.monotonic() + LOG_S
    while True:
        if found := cause(refusal.since(mark)):
            return found
        if time.monotonic() >= end:
            break
        threading.Event().wait(POLL_S)
    if answer.status is None:
        return Message("servers.first.no-answer", {"name": view.name, "error": answer.error})
    return Message("servers.first.status", {"name": view.name, "status": answer.status})


def cause(text: str) -> Message | None:
    """The known cause that a part of a log names, else the log's own last word; None for neither."""
    lines = clean(text)
    found = find(lines, signalled=False)
    if isinstance(found, Finding):
        return Message(f"engines.died.{found.name}", {"cause": found.cause[: refusal.LINE_LIMIT]})
    return refusal.read_cause(text)
