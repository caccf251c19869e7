"""What the Chat tab shows of a conversation: pure, from backend values to Gradio's messages and the page's figures."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from backend.chat.conversation import ENDED, Answer, AnswerState, Question, split_thinking
from backend.chat.room import View
from backend.errors import Message
from backend.servers.view import ServerState, ServerView
from ui.access import Role
from ui.i18n import Language, say, t

SEPARATOR = " · "
Shown = list[dict[str, Any]]
# Servers' own error texts may name paths, which a class doesn't see.
DETAIL = "detail"


def messages(view: View, lane: int, language: Language, role: Role) -> Shown:
    """The conversation in that lane as gr.Chatbot's page takes it (what its ``postprocess`` makes of it too)."""
    shown: Shown = []
    for number, exchange in enumerate(view.conversation.exchanges):
        shown.append(question_message(exchange.question, language))
        if exchange.answers:
            column = min(lane, len(exchange.answers) - 1)  # asked before a second server was there to compare
            answer = exchange.answers[column]
            waiting = waiting_text(view, column, language) if answer.state is AnswerState.WAITING else ""
            shown.extend(answer_messages(answer, number, column, waiting, language, role))
    return shown


def question_message(question: Question, language: Language) -> dict[str, Any]:
    """Pictures and text exactly as they were sent: neither Markdown nor HTML in it means anything."""
    parts = []
    if question.pictures:
        images = "".join(
            f'<img class="chat-picture" src="./console/chat/picture/{escape(picture.id)}" loading="lazy" '
            f'width="{picture.width}" height="{picture.height}" '
            f'alt="{escape(t("chat.picture.alt", language, {"name": picture.name}))}">'
            for picture in question.pictures
        )
        parts.append(f'<div class="chat-pictures">{images}</div>')
    if question.text:
        parts.append(f'<div class="chat-question">{escape(question.text)}</div>')
    return _message("user", [html_part("".join(parts))])


def answer_messages(
    answer: Answer, number: int, lane: int, waiting: str, language: Language, role: Role
) -> list[dict[str, Any]]:
    """What the model thought and called, its answer, and how it ended."""
    ended = answer.state in ENDED
    thinking, text, closed = split_thinking(answer.text)
    thinking = "\n\n".join(part for part in (answer.thinking, thinking) if part)
    shown: list[dict[str, Any]] = []
    if thinking:
        status = "done" if ended or (text and closed) else "pending"
        shown.append(_note(t("chat.thinking", language), thinking, status))
    for step in answer.rounds:
        if step.text.strip():
            shown.append(_message("assistant", [text_part(step.text)]))
        for use in step.calls:
            arguments = use.arguments if len(use.arguments) <= 200 else use.arguments[:200] + "…"
            title = t("chat.tool.called", language, {"call": f"{use.name}({arguments})", "result": use.result})
            shown.append(_note(title, t("chat.tool.explain", language), "done"))
    parts: list[Any] = [text_part(text)] if text else []
    if ended:
        parts.append(html_part(footer(answer, number, lane, language, role)))
    elif not text:
        parts.append(
            html_part(f'<div class="chat-waiting">{escape(waiting or t("chat.state.streaming", language))}</div>')
        )
    if parts:
        shown.append(_message("assistant", parts))
    return shown


def footer(answer: Answer, number: int, lane: int, language: Language, role: Role) -> str:
    """Under an answer: who wrote it, how fast, and why it ended early."""
    parts = [f'<span class="chat-who">{escape(answer.server_name)}</span>']
    parts += [f"<span>{escape(figure)}</span>" for figure in figure_texts(answer, language)]
    label = escape(t("common.copy", language))
    if answer.text:
        parts.append(
            f'<button type="button" class="button small" data-chat-copy="{number}/{lane}" '
            f'aria-label="{escape(t("chat.copy.label", language))}">{label}</button>'
        )
    why = ""
    if answer.end is not None:
        why = (
            f'<div class="chat-end" data-level="{answer.end.level}" data-end="{escape(answer.end.key)}">'
            f"{escape(say(without_detail(answer.end, role), language))}</div>"
        )
    return f'<div class="chat-figures" data-state="{answer.state}">{"".join(parts)}</div>{why}'


def figure_texts(answer: Answer, language: Language) -> list[str]:
    """Tokens, time to first token and speed as a person reads them; what isn't known is left out."""
    stats, texts = answer.stats, []
    about = "≈" if stats.approximate and answer.state in ENDED else ""
    if stats.prompt_tokens is not None:
        texts.append(t("chat.figure.prompt", language, {"count": f"{stats.prompt_tokens:,}"}))
    if stats.answer_tokens is not None:
        texts.append(t("chat.figure.answer", language, {"count": f"{about}{stats.answer_tokens:,}"}))
    if stats.ttft_ms is not None:
        texts.append(t("chat.figure.ttft", language, {"time": milliseconds(stats.ttft_ms)}))
    if stats.tokens_per_s is not None:
        texts.append(t("chat.figure.speed", language, {"speed": f"{about}{stats.tokens_per_s:,.1f}"}))
    return texts


def milliseconds(value: float) -> str:
    """850 ms, 12.3 s."""
    return f"{value:,.0f} ms" if value < 1000 else f"{value / 1000:,.1f} s"


def stats(view: View, language: Language, context: int = 0) -> dict[str, Any]:
    """What ``chat-stats`` shows and carries: a state, the figures of the newest answer as data, one line of text."""
    answers = view.answers
    if not answers:
        return {"state": "idle", "data": {}, "label": t("chat.state.idle", language), "text": ""}
    state = overall([answer.state for answer in answers])
    answer = answers[0]
    texts = [waiting_text(view, 0, language)] if state is AnswerState.WAITING else figure_texts(answer, language)
    known = answer.stats
    if context and known.prompt_tokens is not None:
        used = known.prompt_tokens + (known.answer_tokens or 0)
        texts.append(t("chat.figure.context", language, {"used": f"{used:,}", "context": f"{context:,}"}))
    figures: dict[str, Any] = {
        "prompt-tokens": known.prompt_tokens,
        "answer-tokens": known.answer_tokens,
        "ttft-ms": known.ttft_ms and round(known.ttft_ms, 1),
        "tokens-per-s": known.tokens_per_s and round(known.tokens_per_s, 2),
        "queued-ms": known.queued_ms and round(known.queued_ms, 1),
        "total-ms": known.total_ms and round(known.total_ms, 1),
        "approximate": "true" if known.approximate else None,
        "end": answer.end.key if answer.end else None,
        "place": view.places[0][0] if 0 in view.places else None,
        "server": answer.server_name,
    }
    return {
        "state": str(state),
        "data": {name: value for name, value in figures.items() if value is not None},
        "label": t(f"chat.state.{state}", language),
        "text": SEPARATOR.join(texts),
    }


def overall(states: Sequence[AnswerState]) -> AnswerState:
    """One state for all lanes: something under way first, then what went wrong."""
    order = (AnswerState.STREAMING, AnswerState.WAITING, AnswerState.FAILED, AnswerState.STOPPED, AnswerState.DONE)
    return min(states, key=order.index)


def waiting_text(view: View, lane: int, language: Language) -> str:
    """What is waited for, and since when."""
    seconds = int(view.waited_s)
    if lane in view.places:
        place, length = view.places[lane]
        return t("chat.waiting.place", language, {"place": place, "length": length, "seconds": seconds})
    return t("chat.waiting.token", language, {"seconds": seconds})


def without_detail(message: Message, role: Role) -> Message:
    """The message without a server's own words, for a class."""
    if role is Role.OPERATOR or DETAIL not in message.params:
        return message
    return Message(message.key, {**message.params, DETAIL: "…"}, message.field, message.level)


def text_part(text: str) -> dict[str, Any]:
    """Markdown inside a message."""
    return {"text": text, "type": "text"}


def html_part(html: str) -> dict[str, Any]:
    """HTML of our own inside a message; what is data in it has been escaped. Copying a message leaves it out."""
    props: Mapping[str, Any] = {"value": html, "html_template": "${value}", "css_template": "", "js_on_load": None}
    return {"type": "component", "component": "html", "value": html, "constructor_args": {}, "props": props}


def _note(title: str, content: str, status: str) -> dict[str, Any]:
    return _message("assistant", [text_part(content)], {"title": title, "status": status})


def _message(role: str, content: list[Any], metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"role": role, "metadata": metadata, "content": content, "options": None}


# -- servers ---------------------------------------------------------------------------------------------------------


def server_choices(views: Sequence[ServerView], language: Language) -> list[tuple[str, str]]:
    """The servers that can be asked, the newest first."""
    return [(server_label(view, language), view.id) for view in views if view.state is ServerState.RUNNING]


def server_label(view: ServerView, language: Language) -> str:
    """``qwen2-0.5b · turbomind · :23333``."""
    parts = [view.name, view.config.engine]
    if view.port:
        parts.append(f":{view.port}")
    if view.takes_images:
        parts.append(t("chat.server.pictures", language))
    return SEPARATOR.join(parts)


def choose_server(views: Sequence[ServerView], picked: str) -> str:
    """The server to talk to: the one picked by hand while it runs, else the newest that runs, else none."""
    running = [view.id for view in views if view.state is ServerState.RUNNING]
    return picked if picked in running else next(iter(running), "")


def choose_second(views: Sequence[ServerView], chosen: str, other: str) -> str:
    """The server to compare the chosen one with: the other that was picked by hand while it runs, else none."""
    running = [view.id for view in views if view.state is ServerState.RUNNING]
    return other if other in running and other != chosen else ""
