"""What the Chat tab shows of a conversation: pure, from backend values to Gradio's messages and the page's figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.chat.branches import siblings
from backend.chat.conversation import (
    ENDED,
    OTHERS_CAN,
    Answer,
    AnswerState,
    Document,
    Exchange,
    ToolUse,
    split_thinking,
)
from backend.chat.session import Crowd, View
from backend.chat.setup import Setup
from backend.chat.writer import call_key
from backend.errors import Message, Value
from backend.servers.server import ServerState, ServerView
from ui.i18n import Language, say, t
from ui.page.units import gib
from ui.tabs.chat.answer_markup import answer_markup, escape, plain
from ui.tabs.chat.answer_tree import form_html
from ui.web.snapshot_json import public_name
from ui.web.visitor import Role

SEPARATOR = " · "
SHORT = 200  # characters of a tool call in its title
Shown = list[dict[str, Any]]
# What Deploy does about what an answer says: what it is asked for (deploy.js: errands), and the button's text.
_CARD, _SETTINGS = ("card", "chat.starter.deploy"), ("edit", "chat.remedy.settings")
ON_DEPLOY: Mapping[str, tuple[str, str]] = {
    "chat.tools.as_text": ("parser", "remedy.parser"),
    "chat.refused.tools": ("parser", "remedy.parser"),
    "chat.logprobs.mode": ("logprobs", "chat.remedy.logprobs"),
    "chat.refused.memory": _SETTINGS,
    "chat.error.key": _SETTINGS,
    "chat.error.redirect": _SETTINGS,
    "chat.error.unreachable": _CARD,
    "chat.end.server_died": _CARD,
    "chat.end.gone": _CARD,
    "servers.not-running": _CARD,
}
# Servers' own error texts may name paths, which a class doesn't see.
HIDDEN = ("detail", "address", "location")  # parameters of messages that a class isn't told


def messages(view: View, lane: int, language: Language, role: Role) -> Shown:
    """The conversation in that lane as gr.Chatbot's page takes it (what its ``postprocess`` makes of it too)."""
    numbers = range(len(view.conversation.exchanges))
    return [one for number in numbers for one in exchange_messages(view, number, lane, language, role)]


def exchange_messages(view: View, number: int, lane: int, language: Language, role: Role) -> Shown:
    """A question and its answer in that lane. Of one that isn't the last they depend on it, on those before it and on
    the branches alone."""
    exchange, last = view.conversation.exchanges[number], number == len(view.conversation.exchanges) - 1
    others = siblings(view.conversation, number) if view.conversation.asides else (exchange,)
    turning = turner(exchange, others, language)
    edited = any(other.question != exchange.question for other in others)
    shown = [question_message(exchange, number, language, turning if edited else "", last=last)]
    if exchange.answers:
        column = min(lane, len(exchange.answers) - 1)  # asked before a second server was there to compare
        answer = exchange.answers[column]
        waiting = waiting_text(view, column, language) if answer.state is AnswerState.WAITING else ""
        alone, better = len(exchange.answers) == 1, exchange.better == column
        place = Place(exchange.id, number, column, last, alone, better)
        seconds = thinking_seconds(view, answer) if last else 0
        shown += answer_messages(answer, place, waiting, language, role, "" if edited else turning, seconds)
    return shown


def thinking_seconds(view: View, answer: Answer) -> int:
    """For how long a last answer that thinks has been at it, from when it was asked for."""
    if answer.state is not AnswerState.STREAMING or answer.thinking_s is not None:
        return 0
    return max(0, int(view.waited_s - (answer.stats.queued_ms or 0) / 1000))


@dataclass(frozen=True)
class Place:
    """Where an answer stands. ``last``: its question is; ``alone``: nobody else answered; ``better``: a person said
    so."""

    exchange: int
    number: int
    lane: int
    last: bool = True
    alone: bool = True
    better: bool = False


def turner(exchange: Exchange, others: Sequence[Exchange], language: Language) -> str:
    """‹ 1 of 3 ›: from a branch to the next one; "" where there is only one."""
    if len(others) < 2:
        return ""
    place = [other.id for other in others].index(exchange.id)
    parts = []
    for icon, step, name in (("back", -1, "chat.branch.back"), ("forth", 1, "chat.branch.forth")):
        to = place + step
        off = "" if 0 <= to < len(others) else " disabled"
        value = str(others[to].id) if not off else ""
        parts.append(action(icon, "chat-branch", value, t(name, language), off))
    count = t("chat.branch.place", language, {"place": place + 1, "count": len(others)})
    parts.insert(1, f'<span class="chat-branch-place">{escape(count)}</span>')
    return f'<span class="chat-branch">{"".join(parts)}</span>'


def question_message(
    exchange: Exchange, number: int, language: Language, turning: str = "", *, last: bool = True
) -> dict[str, Any]:
    """Pictures and text exactly as they were sent: neither Markdown nor HTML in it means anything."""
    question = exchange.question
    parts = []
    if question.pictures:
        images = "".join(
            f'<img class="chat-picture" src="./console/chat/picture/{escape(picture.id)}" loading="lazy" '
            f'width="{picture.width}" height="{picture.height}" '
            f'alt="{escape(t("chat.picture.alt", language, {"name": picture.name}))}">'
            for picture in question.pictures
        )
        parts.append(f'<div class="chat-pictures">{images}</div>')
    if question.documents:
        chips = "".join(
            document_chip(document, f"{exchange.id}/{n}", language) for n, document in enumerate(question.documents)
        )
        parts.append(f'<div class="chat-documents">{chips}</div>')
    if question.text:
        parts.append(f'<div class="chat-question">{escape(question.text)}</div>')
    copy = action("copy", "chat-copy-question", str(number), t("chat.copy.question", language)) if question.text else ""
    edit = action(
        "edit", "chat-edit", str(exchange.id), t("chat.edit.label" if last else "chat.edit.earlier", language)
    )
    parts.append(f'<div class="chat-actions">{turning}{copy}{edit}</div>')
    return _message("user", [html_part("".join(parts))])


def document_chip(document: Document, place: str, language: Language) -> str:
    """A file that was sent as its text, which the chip opens."""
    size = t("chat.document.characters", language, {"count": f"{len(document.text):,}"})
    if document.of_pages:
        pages: dict[str, Value] = {"taken": document.pages, "pages": document.of_pages}
        whole = document.pages == document.of_pages
        size = f"{t('chat.document.pages' if whole else 'chat.document.some_pages', language, pages)}, {size}"
    title = escape(t("chat.document.open", language))
    return (
        f'<button type="button" class="chat-document" data-chat-document="{place}" title="{title}">'
        f"<span>{escape(document.name)}</span><small>{escape(size)}</small></button>"
    )


def answer_messages(
    answer: Answer, place: Place, waiting: str, language: Language, role: Role, turning: str = "", thinking_for: int = 0
) -> list[dict[str, Any]]:
    """What the model thought and called, its answer, and how it ended. ``thinking_for``: s, while it does."""
    ended = answer.state in ENDED
    thinking, text, closed = split_thinking(answer.text)
    thinking = "\n\n".join(part for part in (answer.thinking, thinking) if part)
    shown: list[dict[str, Any]] = []
    if thinking:
        status = "done" if ended or (text and closed) else "pending"
        title = t("chat.thinking", language)
        if status == "pending" and thinking_for:
            title = t("chat.thinking.running", language, {"seconds": thinking_for})
        elif answer.thinking_s is not None:
            title = t("chat.thinking.time", language, {"time": milliseconds(answer.thinking_s * 1000, language)})
        shown.append(_note(title, answer_markup(thinking, ended=ended), status))
    for number, step in enumerate(answer.rounds):
        if step.text.strip():
            shown.append(_message("assistant", [text_part(answer_markup(step.text))]))
        shown += [tool_note(use, language) for use in step.calls if not use.waiting]
        waiting_calls = [(n, use) for n, use in enumerate(step.calls) if use.waiting and not ended]
        shown += [your_turn(use, call_key(place.lane, number, n), language) for n, use in waiting_calls]
    parts: list[Any] = [text_part(answer_markup(text, ended=ended))] if text else []
    if (text or ended) and (answer.tokens or (answer.tokens == () and answer.no_logprobs is None and not ended)):
        parts.append(html_part(f'<div class="chat-tokens" data-chat-tokens="{place.exchange}/{place.lane}"></div>'))
    if ended and text and answer.form is not None:
        parts.append(html_part(form_html(answer.form, text, language)))
    if ended:
        parts.append(html_part(footer(answer, place, language, role, turning)))
    elif not text and not any(use.waiting for step in answer.rounds for use in step.calls):
        parts.append(
            html_part(f'<div class="chat-waiting">{escape(waiting or t("chat.state.streaming", language))}</div>')
        )
    if parts:
        shown.append(_message("assistant", parts))
    return shown


def tool_note(use: ToolUse, language: Language) -> dict[str, Any]:
    """What the model called and what came out, to the letter; the title only where it is short."""
    call, result = f"{use.name}({use.arguments})", use.result
    title = t("chat.tool.called", language, {"call": shortened(call), "result": shortened(result)})
    time = "" if use.seconds is None else milliseconds(use.seconds * 1000, language)
    told = t("chat.tool.explain", language) + (f" {t('chat.tool.time', language, {'time': time})}" if time else "")
    text = f"<p>{escape(told)}</p>"
    if max(len(call), len(result)) > SHORT:
        text += f"<pre><code>{_code(call)}&#10;→ {_code(result)}</code></pre>"
    return _note(plain(title), text, "done")


def your_turn(use: ToolUse, key: str, language: Language) -> dict[str, Any]:
    """A call that the person answers: what the model asks for, and where the result is typed."""
    label = escape(t("chat.tool.result", language))
    html = (
        f'<div class="chat-your-turn" data-chat-call="{key}"><p>{escape(t("chat.tool.your_turn", language))}</p>'
        f"<pre><code>{_code(f'{use.name}({use.arguments})')}</code></pre>"
        f'<textarea rows="2" aria-label="{label}" placeholder="{label}"></textarea>'
        f'<button type="button" class="button small primary" data-chat-give="{key}">'
        f"{escape(t('chat.tool.give', language))}</button></div>"
    )
    return _message("assistant", [html_part(html)])


def _code(text: str) -> str:
    return escape(text).replace("\n", "&#10;")


def shortened(text: str) -> str:
    """The beginning."""
    return text if len(text) <= SHORT else text[:SHORT] + "…"


def footer(answer: Answer, place: Place, language: Language, role: Role, turning: str = "") -> str:
    """Under an answer: who wrote it, how fast, and why it ended early."""
    parts = [f'<span class="chat-who">{escape(answer.server_name)}</span>']
    texts = [*setup_texts(answer.setup, language), *figure_texts(answer, language)]
    parts += [f"<span>{escape(figure)}</span>" for figure in texts]
    if place.better:
        parts.insert(1, f'<span class="chat-better">{escape(t("chat.better.said", language))}</span>')
    if answer.edited:
        parts.insert(1, f'<span class="chat-edited">{escape(t("chat.rewrite.edited", language))}</span>')
    again = t("chat.regenerate.label" if place.last else "chat.regenerate.earlier", language)
    actions = action("again", "chat-again", str(place.exchange), again)
    if answer.text:
        copied = f"{place.number}/{place.lane}"
        rewrite = action("edit", "chat-rewrite", f"{copied}/{place.exchange}", t("chat.rewrite.label", language))
        actions = action("copy", "chat-copy", copied, t("chat.copy.label", language)) + rewrite + actions
    if not place.alone:
        name, pressed = t("chat.better", language), "true" if place.better else "false"
        value = f"{place.exchange}/{place.lane}"
        actions = action("better", "chat-better", value, name, f' aria-pressed="{pressed}"') + actions
    if place.last and place.alone and answer.cut_off:
        actions = action("goon", "chat-goon", str(place.exchange), t("chat.continue.label", language)) + actions
    actions = turning + actions
    parts.append(f'<span class="chat-actions">{actions}</span>')
    why = ""
    if answer.left_out:
        left = t("chat.left_out" if answer.left_out > 1 else "chat.left_out.one", language, {"count": answer.left_out})
        why = f'<div class="chat-end" data-level="warning" data-end="chat.left_out">{escape(left)}</div>'
    for message in filter(None, (answer.as_text, answer.no_logprobs, answer.end)):
        why += _note_below(message, language, role)
        if role is Role.OPERATOR and (found := ON_DEPLOY.get(message.key)) is not None:
            what, label = found
            why += (
                f'<button type="button" class="button small chat-remedy" data-chat-deploy="{what}"'
                f' data-server="{escape(answer.server_id)}">{escape(t(label, language))}</button>'
            )
    if place.last and answer.end is not None and answer.end.key in OTHERS_CAN:
        name = t("chat.next.go_on" if answer.cut_off else "chat.next.ask", language)
        why += (
            f'<button type="button" class="button small chat-next" data-chat-next="{place.exchange}/{place.lane}">'
            f"{escape(name)}</button>"
        )
    return f'<div class="chat-figures" data-state="{answer.state}">{"".join(parts)}</div>{why}'


def _note_below(message: Message, language: Language, role: Role) -> str:
    return (
        f'<div class="chat-end" data-level="{message.level}" data-end="{escape(message.key)}">'
        f"{escape(say(without_detail(message, role), language, audience=role))}</div>"
    )


def action(icon: str, event: str, value: str, name: str, more: str = "") -> str:
    """An icon that does something with its message (ui/tabs/chat/actions.js), with its name."""
    named = f'title="{escape(name)}" aria-label="{escape(name)}"'
    return (
        f'<button type="button" class="chat-action" data-icon="{icon}" data-{event}="{value}" {named}{more}></button>'
    )


def setup_texts(setup: Setup | None, language: Language) -> list[str]:
    """What a compared server ran with; what isn't known is left out."""
    texts = []
    if setup is not None and setup.bits is not None:
        texts.append(t("chat.figure.bits", language, {"bits": setup.bits}))
    if setup is not None and setup.kv_bits is not None:
        texts.append(t("chat.figure.kv_bits", language, {"bits": setup.kv_bits}))
    if setup is not None and setup.gpu_bytes is not None:
        texts.append(t("chat.figure.gpu", language, {"size": gib(setup.gpu_bytes)}))
    return texts


def figure_texts(answer: Answer, language: Language) -> list[str]:
    """Tokens, time to first token and speed as a person reads them; what isn't known is left out."""
    stats, texts = answer.stats, []
    about = "≈" if stats.approximate and answer.state in ENDED else ""
    if stats.prompt_tokens is not None:
        texts.append(t("chat.figure.prompt", language, {"count": f"{stats.prompt_tokens:,}"}))
    if stats.answer_tokens is not None:
        texts.append(t("chat.figure.answer", language, {"count": f"{about}{stats.answer_tokens:,}"}))
    if stats.ttft_ms is not None:
        texts.append(t("chat.figure.ttft", language, {"time": milliseconds(stats.ttft_ms, language)}))
    if stats.tokens_per_s is not None:
        texts.append(t("chat.figure.speed", language, {"speed": f"{about}{stats.tokens_per_s:,.1f}"}))
    return texts


def milliseconds(value: float, language: Language) -> str:
    """850 ms, 12.3 s."""
    return f"{value:,.0f} ms" if value < 1000 else f"{value / 1000:,.1f} {t('common.seconds', language)}"


def stats(view: View, language: Language, context: int = 0) -> dict[str, Any]:
    """What ``chat-stats`` shows and carries: a state, what no message shows (the wait, the context), and the figures of
    the newest answer: as data, and for those who hear the page (its message shows them)."""
    answers = view.answers
    if not answers:
        return {"state": "idle", "data": {}, "label": t("chat.state.idle", language), "text": "", "aloud": ""}
    state = overall([answer.state for answer in answers])
    lane = next(number for number, answer in enumerate(answers) if answer.state is state)
    answer = answers[0]
    texts = [] if state is AnswerState.WAITING else figure_texts(answer, language)
    waiting = waiting_text(view, lane, language) if state is AnswerState.WAITING else ""
    known = answer.stats
    used = ""
    if context and known.prompt_tokens is not None:
        counts = {"used": f"{known.prompt_tokens + (known.answer_tokens or 0):,}", "context": f"{context:,}"}
        used = t("chat.figure.context", language, counts)
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
        "context-share": None
        if not context
        else round(((known.prompt_tokens or 0) + (known.answer_tokens or 0)) / context, 2),
    }
    return {
        "state": str(state),
        "data": {name: value for name, value in figures.items() if value is not None},
        "label": t(f"chat.state.{state}", language),
        "text": waiting or used,
        "aloud": SEPARATOR.join(texts),
    }


def overall(states: Sequence[AnswerState]) -> AnswerState:
    """One state for all lanes: something under way first, then what went wrong."""
    order = (AnswerState.STREAMING, AnswerState.WAITING, AnswerState.FAILED, AnswerState.STOPPED, AnswerState.DONE)
    return min(states, key=order.index)


def waiting_text(view: View, lane: int, language: Language) -> str:
    """What is waited for, and since when."""
    if lane in view.doing:
        return say(view.doing[lane], language)
    seconds = int(view.waited_s)
    crowd = view.crowds.get(lane, Crowd())
    if lane in view.places:
        place, length = view.places[lane]
        counts: dict[str, Value] = {"place": place, "length": length, "seconds": seconds}
        if crowd.at_once is not None and crowd.at_once > 1:
            return t("chat.waiting.place_of_some", language, {**counts, "at_once": crowd.at_once})
        return t("chat.waiting.place", language, counts)
    if crowd.waiting:
        return t("chat.waiting.waiting", language, {"count": crowd.waiting, "seconds": seconds})
    if crowd.beside > 0:
        key = "chat.waiting.others" if crowd.beside > 1 else "chat.waiting.others.one"
        return t(key, language, {"count": crowd.beside, "seconds": seconds})
    return t("chat.waiting.token", language, {"seconds": seconds})


def without_detail(message: Message, role: Role) -> Message:
    """The message without a server's own words and addresses, for a class."""
    hidden = {name: "…" for name in HIDDEN if name in message.params}
    if role is Role.OPERATOR or not hidden:
        return message
    return Message(message.key, {**message.params, **hidden}, message.field, message.level)


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


def server_choices(
    views: Sequence[ServerView], language: Language, role: Role = Role.OPERATOR
) -> list[tuple[str, str]]:
    """The servers that can be asked, the newest first."""
    return [(server_label(view, language, role), view.id) for view in views if view.state is ServerState.RUNNING]


def server_label(view: ServerView, language: Language, role: Role = Role.OPERATOR) -> str:
    """``qwen2-0.5b :23333 · turbomind``; for a class no port, nor an address as a name."""
    name = public_name(view, role)
    port = f" :{view.port}" if view.port and role is Role.OPERATOR and f":{view.port}" not in name else ""
    parts = [name + port, view.config.engine]
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
