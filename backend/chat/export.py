"""Conversations as files: Markdown to read, JSON with everything, OpenAI messages for other programs. Pure, but for the
pictures that it asks for."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.chat.archive import Entry
from backend.chat.conversation import Answer, Conversation, Exchange, Picture, from_json
from backend.chat.prompt import answer_messages, question_message
from backend.chat.setup import Setup
from backend.errors import ConsoleError, InvalidInput, Message
from backend.units import GIB

FORMAT = "lmdeploy-console-conversations"  # what this console's JSON says of itself
VERSION = 1
FORMS = ("markdown", "json", "openai")
NO_PICTURE = "data:,"  # of a picture whose file is gone

PictureUrl = Callable[[str, str], str]  # visitor and picture's id → data URL
Whole = Sequence[tuple[Entry, Mapping[str, Any]]]


@dataclass(frozen=True)
class Exported:
    """A file: its name, its kind, its content."""

    name: str
    mime: str
    data: bytes


def exported(whole: Whole, form: str, several: bool, picture_url: PictureUrl) -> Exported:
    """``several``: they were asked for as all, and are a list however many there are."""
    if form not in FORMS:
        raise InvalidInput(Message("chat.export.form", {"value": form[:40], "known": ", ".join(FORMS)}))
    name = "conversations" if several else _file_name(whole[0][0].title)
    if form == "json":
        told = {"format": FORMAT, "version": VERSION, "conversations": [_kept(*one, picture_url) for one in whole]}
        return Exported(f"{name}.json", "application/json", _json(told))
    if form == "openai":
        lines = [{"messages": _messages(*one, picture_url)} for one in whole]
        if several:
            return Exported(f"{name}.jsonl", "application/jsonl", b"".join(_json(line) + b"\n" for line in lines))
        return Exported(f"{name}.messages.json", "application/json", _json(lines[0]))
    text = "\n\n---\n\n".join(markdown(entry, _read(stored)) for entry, stored in whole)
    return Exported(f"{name}.md", "text/markdown", (text + "\n").encode("utf-8", "replace"))


def markdown(entry: Entry, conversation: Conversation) -> str:
    """The branch that is shown, as a person reads it."""
    parts = [f"# {' '.join(entry.title.split()) or '—'}"]
    if conversation.sampling.system.strip():
        parts.append(_quoted(conversation.sampling.system))
    for exchange in conversation.exchanges:
        parts.append(f"## Q: \n\n{_question(exchange)}".replace("## Q: \n", "## ❯\n"))
        for lane, answer in enumerate(exchange.answers):
            better = " ★" if exchange.better == lane else ""
            parts.append(f"### {answer.server_name or answer.model_id or '—'}{better}")
            if answer.thinking.strip():
                parts.append(f"<details><summary>…</summary>\n\n{_quoted(answer.thinking)}\n\n</details>")
            for step in answer.rounds:
                parts += [f"`{use.name}({use.arguments})` → `{use.result}`" for use in step.calls]
            parts.append(answer.text or "…")
            parts.append(_figures(answer))
    return "\n\n".join(part for part in parts if part)


def _question(exchange: Exchange) -> str:
    question = exchange.question
    names = [*(picture.name for picture in question.pictures), *(document.name for document in question.documents)]
    added = " ".join(f"[{name}]" for name in names)
    return "\n\n".join(part for part in (added, question.text) if part)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _figures(answer: Answer) -> str:
    stats, setup, parts = answer.stats, answer.setup or Setup(), ["edited"] if answer.edited else list[str]()
    if setup.bits is not None:
        parts.append(f"{setup.bits} bits")
    if setup.kv_bits is not None:
        parts.append(f"KV {setup.kv_bits} bits")
    if setup.gpu_bytes is not None:
        parts.append(f"GPU {setup.gpu_bytes / GIB:.2f} GiB")
    if stats.answer_tokens is not None:
        parts.append(f"{stats.answer_tokens} tokens")
    if stats.tokens_per_s is not None:
        parts.append(f"{stats.tokens_per_s:.1f} tokens/s")
    if stats.ttft_ms is not None:
        parts.append(f"TTFT {stats.ttft_ms:.0f} ms")
    return f"*{' · '.join(parts)}*" if parts else ""


def _kept(entry: Entry, stored: Mapping[str, Any], picture_url: PictureUrl) -> dict[str, Any]:
    """Everything, as it is stored, with its pictures. One that can't be read goes along as it is."""
    names = sorted(_picture_ids(stored))
    return {
        "title": entry.title,
        "named": entry.named,
        "created_at": entry.created_at,
        "changed_at": entry.changed_at,
        "conversation": stored,
        "pictures": {name: url for name in names if (url := _url(entry.visitor, name, picture_url)) != NO_PICTURE},
    }


def _picture_ids(stored: Mapping[str, Any]) -> frozenset[str]:
    try:
        return from_json(stored).pictures
    except ValueError:
        return frozenset()


def _messages(entry: Entry, stored: Mapping[str, Any], picture_url: PictureUrl) -> list[dict[str, Any]]:
    """The branch that is shown; of several servers the better one's answers, the first one's where nobody said."""
    conversation = _read(stored)
    messages: list[dict[str, Any]] = []
    if conversation.sampling.system.strip():
        messages.append({"role": "system", "content": conversation.sampling.system})

    def url(picture: Picture) -> str:
        return _url(entry.visitor, picture.id, picture_url)

    for exchange in conversation.exchanges:
        messages.append(question_message(exchange.question, True, url))
        if exchange.answers:
            better = exchange.better if exchange.better in range(len(exchange.answers)) else 0
            messages += answer_messages(exchange.answers[better or 0])
    return messages


def _url(visitor: str, picture: str, picture_url: PictureUrl) -> str:
    try:
        return picture_url(visitor, picture)
    except ConsoleError:
        return NO_PICTURE


def _read(stored: Mapping[str, Any]) -> Conversation:
    try:
        return from_json(stored)
    except ValueError:
        return Conversation()


def _json(value: Any) -> bytes:
    """ASCII, so that halves of surrogate pairs, which a model may write, don't break the file."""
    return json.dumps(value, ensure_ascii=True).encode()


def _file_name(title: str) -> str:
    name = re.sub(r"[^\w\-. ]+", " ", title).strip(" .")
    return " ".join(name.split())[:60] or time.strftime("conversation-%Y%m%d")
